"""February and March: what differs travels, a wrong record is taken back, and what a bank knew is proven.

Everybody in these two months is made up, of a division that does not exist: that somebody left the list, or was
never right on it, is said of nobody real.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from examples import generate
from examples.city import CITY, City, Party
from examples.month import RECORDS
from examples.story import expect, wait_for
from xinyi import days

#: New on the list in February.
ADDED = 60
#: Which of them were wrong: one was never A, one stands under another firm's name.
NEVER_A, MISNAMED = 7, 11
#: A registration number (GS 15-2006) in a column of taxpayer numbers: somebody has to decide what it is.
DOUBTFUL = ("新增", "990101000000018", "示例疑问商贸0061号有限公司", "2018", "A级", "国家税务总局示例市税务局")


def tell(city: City) -> None:
    firms = list(islice(generate.rows(ADDED, seed=2019), ADDED))
    february = tell_february(city, firms)
    tell_known(city, firms, "known-in-february", "GRADE_A")
    tell_march(city, firms, february)
    tell_known(city, firms, "known-in-march", None)
    tell_report(city, firms)


def tell_february(city: City, firms: list[tuple[str, ...]]) -> str:
    story, work = city.story, city.story.work
    story.chapter("February: only what differs travels, 60 firms more; one row is doubtful")
    source = work / "february.csv"
    write(source, (generate.CHANGE, *generate.HEADINGS), [*(("新增", *firm) for firm in firms), DOUBTFUL])
    dated = ("--product", "grade-a", "--period", "2019-02")
    made = city.maker.run("publish", source, "--changes", "--profile", "city-changes", *dated, "--json", quiet=True)
    report = json.loads(made)
    edition = report["manifest"][:12]
    expect("new taxpayers", report["comparison"]["added"], ADDED)
    expect("rows in quarantine", report["outcomes"]["quarantined"], 1)
    city.maker.run("questions", "--edition", edition)
    city.approver.run("approve", edition, "--yes", quiet=True)
    [question] = json.loads(city.maker.run("questions", "--edition", edition, "--json", quiet=True))
    why = ("--as", "excluded", "--reason", "a registration number: the taxpayer number is asked for")
    city.maker.run("answer", edition, str(question["row"]), *why)
    everybody_lands(city, "2019-02")
    expect_rows(city.banks, RECORDS + ADDED)
    print(f"✓ {ADDED} records travelled, and every bank holds {RECORDS + ADDED:,}: the root over all of them is sealed")
    return edition


def tell_march(city: City, firms: list[tuple[str, ...]], february: str) -> None:
    story, work = city.story, city.story.work
    never, misnamed = firms[NEVER_A], firms[MISNAMED]
    story.chapter("March: a firm objects, one was never A: a correction calls both back, from a suspended bank as well")
    filed = ("--number", "2019-1", "--filed-on", days.today().isoformat())
    city.maker.run("objection", "file", "--product", "grade-a", "--subject", misnamed[0], *filed)
    suspended = (f"{CITY}/{city.banks[2].party}", "--reason", "audit of its branches", "--home", city.gateway)
    story.run("xinyi-gateway", "partner", "suspend", *suspended)
    source = work / "march.csv"
    right = [(*never[:3], "B级", never[4]), (misnamed[0], "示例更名环保科技0012号有限公司", *misnamed[2:])]
    write(source, generate.HEADINGS, right)
    dated = ("--product", "grade-a", "--period", "2019-03")
    what = ("--of", february, "--reason", "entered under the code of another firm")
    made = city.maker.run("correct", source, "--profile", "city-grades", *what, *dated, "--json", quiet=True)
    correction = str(json.loads(made)["manifest"])[:12]
    city.approver.run("approve", correction, "--yes", quiet=True)
    everybody_lands(city, "2019-03")
    city.approver.run("objection", "decide", "2019-1", "--outcome", "upheld", "--correction", correction)
    for bank in city.banks:
        bank.run("recalls")
    city.maker.run("recall", correction)
    recalls = json.loads(city.maker.run("recall", correction, "--json", quiet=True))
    confirmed = [one["recipient"] for one in recalls["recipients"] if one["state"] == "confirmed"]
    expect("banks that confirmed the recall", len(confirmed), len(city.banks))
    expect_rows(city.banks, RECORDS + ADDED - 1)
    print("✓ three banks took the wrong record back and signed for it; why it left, or to which grade, nobody was told")


def tell_known(city: City, firms: list[tuple[str, ...]], folder: str, grade: str | None) -> None:
    """What bank 2 knows by the end of today, proven; asked again after the correction it is another answer."""
    story, work = city.story, city.story.work
    story.chapter(f"What bank 2 knows now of one firm, and what is held true: {folder}")
    policy = ("--policy", work / "policy.toml")
    subject = ("--product", "grade-a", "--subject", firms[NEVER_A][0], "--purpose", "dispute over a loan", *policy)
    asked = ("--bank", f"{CITY}/bank-2", "--day", days.today().isoformat(), "--true", *subject)
    city.auditor.run("as-of", *asked, "-o", work / folder)
    [feed] = json.loads(city.auditor.run("as-of", *asked, "--json", quiet=True, shown=False))["answers"]
    for view in ("known", "true"):
        record = feed[view]["record"]
        expect(f"the grade that is {view}", record and record["grade"], grade)
    story.run("xinyi-audit", "verify-known", work / folder, *policy)


def tell_report(city: City, firms: list[tuple[str, ...]]) -> None:
    story, work = city.story, city.story.work
    policy = ("--policy", work / "policy.toml")
    story.chapter("Everything disclosed about that firm; three months of the log verified offline")
    # What it knew in February stays proven, whatever was corrected since.
    story.run("xinyi-audit", "verify-known", work / "known-in-february", *policy)
    page = work / "subject-report.html"
    asked = ("subject-report", firms[NEVER_A][0], "--purpose", "asked by the firm", *policy)
    city.auditor.run(*asked, "--format", "html", "-o", page)
    city.auditor.run(*asked, "--lang", "en")
    city.auditor.run("export", work / "export-3", "--records", "--purpose", "quarterly review")
    story.run("xinyi-audit", "verify", work / "export-3", *policy)
    print("✓ the bank knew A in February, and knows it no more: each with proof that holds without the gateway")


def everybody_lands(city: City, period: str) -> None:
    """By push, by pull, by folder."""
    story, banks = city.story, city.banks
    until(lambda: arrived(banks[0], period), "the push")
    banks[0].run("land")
    banks[0].run("confirm", quiet=True)
    banks[1].run("catch-up")
    banks[1].run("confirm", quiet=True)
    until(lambda: in_folder(city.folder, period), "the folder")
    banks[2].run("catch-up", "--folder", city.folder)
    banks[2].run("confirm", "--folder", city.folder, quiet=True)
    until(lambda: all_applied(city, period), "the receipts")
    wait_for(story, banks[1].home / "evidence")


def until(holds: Any, what: str, patience_s: float = 60) -> None:
    ends = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > ends:
            raise SystemExit(f"{what} did not come within {patience_s:.0f} s")
        time.sleep(0.2)


def arrived(bank: Party, period: str) -> bool:
    return any(period in _period(path) for path in (bank.home / "spool/ready").glob("*/manifest.dsse"))


def in_folder(folder: Path, period: str) -> bool:
    return any(
        period in _period(mark.with_suffix("") / "manifest.dsse") for mark in (folder / "outgoing").glob("*.complete")
    )


def all_applied(city: City, period: str) -> bool:
    statuses = json.loads(city.maker.run("status", "--json", quiet=True, shown=False))
    return all(
        delivery["state"] == "APPLIED"
        for edition in statuses
        if edition["period"] == period
        for delivery in edition["deliveries"]
    )


def _period(manifest: Path) -> str:
    from audit.envelope import parse_strict
    from xinyi.v1 import edition_pb2, envelope_pb2

    try:
        sealed = envelope_pb2.Envelope.FromString(manifest.read_bytes())
    except FileNotFoundError:  # moved on meanwhile
        return ""
    period = parse_strict(sealed.payload, edition_pb2.Manifest).period
    return f"{period.year}-{period.month:02d}"


def write(path: Path, headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    generate.write_rows(path, tuple(headings), [tuple(row) for row in rows])  # type: ignore[misc]


def expect_rows(banks: list[Party], rows: int) -> None:
    for bank in banks:
        with closing(sqlite3.connect(bank.home / "bank.db")) as database:
            landed = database.execute("SELECT count(*) FROM grade_a").fetchone()[0]
        expect(f"rows landed at {bank.party}", landed, rows)
