"""The public file of 2,102 loans, over the wire: every repayment and charge-off arrives, equal to the cent, and the
report names everything that had to be interpreted."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.bank.cli import app
from adapters.bank.lending.profile import PROFILES
from proto.vectors.make import uscc
from tests.flows.days import Days
from tests.outcomes import list_outcomes, word
from tests.terminal import Outcome, Terminal
from tests.world import MAKER, city, made_up_records, seal_edition
from xinyi.days import today
from xinyi.lending import check_authorisation, check_outcome
from xinyi.terminal import Exit
from xinyi.v1 import lending_pb2, records_pb2

SOURCE = Path(__file__).parents[3] / "examples/data/sba_case_loans_ca.csv"
DISBURSED, REPAID, WRITTEN_OFF = (
    lending_pb2.STAGE_DISBURSED, lending_pb2.STAGE_REPAID, lending_pb2.STAGE_WRITTEN_OFF
)  # fmt: skip
SAS = date(1960, 1, 1)
PUBLISHED = date(2015, 1, 5)
#: The last day that the file tells of.
LAST = date(2014, 8, 1)


def prepared(path: Path) -> tuple[Path, list[dict[str, str]]]:
    """A copy with a made-up borrower for each loan, and its rows."""
    with SOURCE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["TaxpayerId"] = uscc(number)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path, rows


def moved_profile(path: Path, days: int) -> Path:
    text = (PROFILES / "sba-case.toml").read_text()
    path.write_text(text.replace("move_days = 4_018", f"move_days = {days}"))
    return path


async def test_every_loan_of_the_public_file_arrives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The edition comes before the first loan, the report behind the last day that the file tells of."""
    terminal = Terminal(monkeypatch, capsys)

    async def run(*words: object) -> Outcome:
        return await asyncio.to_thread(terminal, app, *words, "--home", bank.path)

    async def told(*words: object) -> Any:
        done = await run(*words)
        assert done.code == 0, done.err
        return values(done)

    async with city(tmp_path) as world:
        days = Days(monkeypatch)
        days.on(PUBLISHED)
        bank = await world.bank("bank-1", first=PUBLISHED)
        await world.report_terms(bank, currency="USD", least_plausible=100_000, most_plausible=1_000_000_000)
        subjects = made_up_records(2102)
        for number, subject in enumerate(subjects):
            subject.taxpayer_id = uscc(number)
        edition = seal_edition(world.homes[MAKER], subjects)
        await world.publish(edition)
        assert (await run("receive")).code == 0

        file, rows = prepared(tmp_path / "loans.csv")
        # The first loan was approved on the day behind that on which the edition came.
        moved = (PUBLISHED + timedelta(1) - SAS).days - min(int(row["ApprovalDate"]) for row in rows)
        profile = moved_profile(tmp_path / "moved.toml", moved)
        order = ("report-loans", file, "--profile", profile)

        # While the file's last days have not come, what they tell of did not happen.
        days.on(date(2030, 6, 1))
        early = await told(*order, "--dry-run", "--json")
        assert 0 < early["count"] < 3 * 2102
        assert "outcome.event_date" in {rule["rule"] for rule in early["quality"]["rules"]}

        days.on(LAST + timedelta(moved + 1))
        looked_at = await told(*order, "--dry-run", "--json")
        assert looked_at["count"] == 3 * 2102
        quality = looked_at["quality"]
        assert quality["rows"] == 2102 == sum(quality["outcomes"].values())
        assert (quality["outcomes"]["accepted"], quality["outcomes"]["warned"]) == (2091, 11)
        # Paid in full by their status, and yet with a day of charge-off.
        assert [(rule["rule"], rule["rows"]) for rule in quality["rules"]] == [("outcome.status", 11)]
        check_readings(quality["readings"], rows, moved)

        receipt = await told(*order, "--yes", "--json")
        assert [receipt[name] for name in ("counted", "held", "repeated", "conflicts", "refused")] == [6306, 0, 0, 0, 0]
        again = await run(*order, "--yes", "--json")
        assert (again.code, values(again)) == (Exit.NOTHING, receipt)

        listed = await list_outcomes(bank)
        assert {word(status.state) for status in listed} == {"COUNTED"}
        found = [lending_pb2.LendingOutcome.FromString(status.outcome.record) for status in listed]
        check_events(found, rows, file, edition.digest, moved)


def values(done: Outcome) -> Any:
    """The program's line, behind whatever the gateway logged in the same process."""
    return json.loads(done.out.splitlines()[-1])


def check_events(
    found: list[lending_pb2.LendingOutcome], rows: list[dict[str, str]], file: Path, edition: bytes, days: int
) -> None:
    """At the gateway: each loan's events, each amount to the cent, and their sums."""
    paid = [row for row in rows if row["MIS_Status"] == "P I F"]
    charged_off = [row for row in rows if row["MIS_Status"] == "CHGOFF"]
    expected = {
        DISBURSED: {row["LoanNr_ChkDgt"]: 100 * int(row["DisbursementGross"]) for row in rows},
        REPAID: {row["LoanNr_ChkDgt"]: 100 * int(row["DisbursementGross"]) for row in paid},
        WRITTEN_OFF: {row["LoanNr_ChkDgt"]: 100 * int(row["ChgOffPrinGr"]) for row in charged_off},
    }
    assert (len(expected[REPAID]), len(expected[WRITTEN_OFF])) == (1416, 686)
    by_stage = {
        stage: {one.loan.reference: one.amount for one in found if one.stage == stage} for stage in expected
    }
    assert by_stage == expected
    for stage, amounts in expected.items():
        assert sum(one.amount for one in found if one.stage == stage) == sum(amounts.values())
    digest = hashlib.sha256(file.read_bytes()).digest()
    taken = {row["LoanNr_ChkDgt"]: row for row in rows}
    for one in found:
        row = taken[one.loan.reference]
        check_outcome(one)
        check_authorisation(one.authorisation, today())
        assert (one.authorisation.digest, one.authorisation.scope) == (digest, "public-record")
        assert one.taxpayer_id == row["TaxpayerId"]
        reliance = one.loan.reliance
        assert (reliance.manifest_digest, reliance.grade) == (edition, records_pb2.GRADE_A)
        if one.stage == WRITTEN_OFF:
            assert date.fromisoformat(one.event_date) == SAS + timedelta(int(row["ChgOffDate"]) + days)


def check_readings(readings: list[dict[str, str | int]], rows: list[dict[str, str]], days: int) -> None:
    """The report names each interpretation, and for how many rows."""
    told = {(str(one["field"]), str(one["how"])): one["rows"] for one in readings}
    moved = f"days since 1960-01-01, moved by {days:,} days"
    for field, column in (
        ("approved_on", "ApprovalDate"), ("granted_on", "DisbursementDate"), ("ended_on", "ChgOffDate")
    ):  # fmt: skip
        assert told.pop((field, moved)) == sum(row[column] != "" for row in rows)
    for field in ("granted", "amount", "balance", "credit_line"):
        assert told.pop((field, "in dollar: times 100 in hundredths of the currency's unit")) == 2102
    for field in ("product", "currency", *(f"authorisation_{what}" for what in ("digest", "scope", "from", "to"))):
        (how,) = [how for of, how in told if of == field]
        assert how.endswith("for every row")
        assert told.pop((field, how)) == 2102
    assert told.pop(("term", "'0' means that it is not known")) == sum(row["Term"] == "0" for row in rows)
    without = sum(row["DisbursementDate"] == "" for row in rows)
    as_granted = "on the day of approved_on, as granted_on cannot be told"
    assert told.pop(("disbursed", as_granted)) == without == 3
    because = "paid in full: the amount is what was disbursed, as the file tells no payment"
    assert told.pop(("repaid", because)) == 1416
    assert told.pop(("written_off", "charged off: the amount is the principal that was charged off")) == 686
    # When it was paid the file does not say: by term, at the latest on the file's last day.
    days_of_payment = {how: n for (field, how), n in told.items() if field == "repaid"}
    assert sum(map(int, days_of_payment.values())) == 1416
    assert any(how.startswith("on 2014-08-01, moved as all days") for how in days_of_payment)
    assert "on the day of granted_on + term" in days_of_payment
    assert {field for field, _ in told} == {"repaid"}
