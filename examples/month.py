"""January: the real list of A-grade taxpayers goes from the bureau's file to three banks, and is proven."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from examples.city import CITY, City, Party
from examples.story import expect, wait_for

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "examples" / "data" / "jiangxi_2018_A.csv"
PROFILE = ROOT / "adapters" / "bureau" / "profiles" / "jiangxi-2018.toml"


def tell(city: City) -> str:
    """Returns the first digits of the edition's manifest."""
    story, work = city.story, city.story.work
    story.chapter("The bureau inspects and publishes the 2018 list of A-grade taxpayers (real, GBK)")
    story.run("xinyi-bureau", "inspect", SOURCE, "--profile", PROFILE)
    inspected = story.run("xinyi-bureau", "inspect", SOURCE, "--profile", PROFILE, "--json", quiet=True)
    check_classified(json.loads(inspected))
    dated = ("--product", "grade-a", "--period", "2019-01")
    city.maker.run("publish", SOURCE, "--profile", PROFILE, *dated, quiet=True)
    digest = json.loads(city.maker.run("status", "--json", quiet=True))[0]["manifest"][:12]

    story.chapter("A second person reviews and approves")
    city.approver.run("review", digest)
    city.approver.run("approve", digest, "--yes", quiet=True)

    story.chapter("Three banks receive, land and confirm")
    wait_for(story, city.banks[0].home / "spool" / "ready")
    wait_for(story, city.folder / "outgoing", "*.complete")
    city.banks[1].run("fetch")
    city.banks[2].run("fetch", "--folder", city.folder)
    for bank in city.banks:
        bank.run("land")
    city.banks[0].run("confirm")
    city.banks[1].run("confirm")
    city.banks[2].run("confirm", "--folder", city.folder)
    city.maker.run("status")
    check_counts(json.loads(city.maker.run("status", "--json", quiet=True))[0], city.banks)

    story.chapter("The auditor exports the log, verifies it offline, and proves one record alone")
    policy = work / "policy.toml"
    city.auditor.run("policy", "--bureau", f"{CITY}/tax-bureau", "-o", policy)
    city.auditor.run("export", work / "export", "--records", "--purpose", "monthly review")
    story.run("xinyi-audit", "verify", work / "export", "--policy", policy)
    # The list is public by law; its first row is a real A-grade taxpayer.
    subject = ("--edition", digest, "--taxpayer", "91360200787252585L", "-o", work / "record")
    story.run("xinyi-audit", "prove", "record", work / "export", "--policy", policy, *subject)
    story.run("xinyi-audit", "verify-record", work / "record", "--policy", policy)
    return digest


#: The bundled list, counted by hand and by others: identifiers by what they are, and those that occur repeatedly.
CLASSIFIED = {
    "uscc": 3941,
    "uscc_check": 4,
    "old": 896,
    "both": 82,
    "neither": 7,
    "other": 5,
}
REPEATED = {
    "identifiers": 48,
    "rows": 100,
    "all_identical": 14,
    "some_identical": 16,
    "became_one_record": 48,
    "quarantined": 0,
}
ROWS, RECORDS = 4935, 4867


def check_classified(report: dict[str, Any]) -> None:
    found = {group["group"]: group["rows"] for group in report["identifiers"]}
    expect("identifiers by what they are", found, CLASSIFIED)
    expect("identifiers that occur more than once", report["repeated"], REPEATED)
    expect("rows and records", (report["rows"], report["records"]), (ROWS, RECORDS))
    outcomes = report["outcomes"]
    print(
        f"✓ {ROWS:,} rows, each with one outcome: {outcomes['accepted']:,} accepted, {outcomes['warned']} accepted "
        f"with a warning, {outcomes['rejected']} rejected and kept to be mended; {report['merged']} of the "
        f"{REPEATED['rows']} repeated rows went into the record of another: {RECORDS:,} records"
    )


def check_counts(edition: dict[str, Any], banks: list[Party]) -> None:
    """Bureau, gateway and banks count the same, and every receipt holds under the bank's own pinned key."""
    expect("records as the gateway lists them", edition["records"], RECORDS)
    expect("deliveries", len(edition["deliveries"]), len(banks))
    for delivery in edition["deliveries"]:
        name = delivery["recipient"]
        expect(f"state of {name}", delivery["state"], "APPLIED")
        stages = [receipt["stage"] for receipt in delivery["receipts"]]
        expect(f"receipts of {name}", stages, ["RECEIVED", "ACCEPTED", "APPLIED"])
        for receipt in delivery["receipts"]:
            expect(f"seal of {name}'s {receipt['stage']}", receipt["verdict"], "true")
            expect(f"records in {name}'s {receipt['stage']}", receipt["accepted"], RECORDS)
    for bank in banks:
        with closing(sqlite3.connect(bank.home / "bank.db")) as database:
            landed = database.execute("SELECT count(*) FROM grade_a").fetchone()[0]
        expect(f"rows landed at {bank.party}", landed, RECORDS)
    print(
        f"✓ {RECORDS:,} records sealed by the bureau, listed by the gateway, receipted three times by each of "
        "three banks, and counted in each bank's own table"
    )
