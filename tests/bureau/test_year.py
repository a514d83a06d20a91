"""A bureau, its gateway and banks over a year: deltas, corrections and recalls, questions, objections, by command."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.bureau.rules import LOST
from adapters.party.home import Home
from audit import envelope
from examples import generate
from gateway.office import catalogue
from tests.programs import Outcome, ok, run
from tests.world import APPROVER, MAKER, OPERATOR, World, city, receipt_for
from xinyi.days import today
from xinyi.v1 import exchange_pb2

pytestmark = pytest.mark.processes

ROWS = 400
RECEIVED, ACCEPTED, PARTIAL, APPLIED = (
    exchange_pb2.ReceiptStage.Value(f"RECEIPT_STAGE_{stage}")
    for stage in ("RECEIVED", "ACCEPTED", "PARTIAL", "APPLIED")
)


class Bureau:
    """The two persons' commands."""

    def __init__(self, world: World, product: str = "grade-a") -> None:
        self.world = world
        self.product = product
        self.maker, self.approver = (("--home", world.homes[person].path) for person in (MAKER, APPROVER))

    async def publish(self, file: Path, period: str, *more: object, profile: str = "city-grades") -> Any:
        of = ("--profile", profile, "--product", self.product, "--period", period)
        return (await ok("xinyi-bureau", "publish", file, *of, *more, *self.maker, "--json")).json

    async def correct(self, file: Path, period: str, of: str, *, profile: str = "city-grades") -> Any:
        options = ("--profile", profile, "--product", self.product, "--period", period, "--of", of)
        reason = ("--reason", "wrong rule set")
        return (await ok("xinyi-bureau", "correct", file, *options, *reason, *self.maker, "--json")).json

    async def approve(self, edition: str, *more: object) -> Outcome:
        return await run("xinyi-bureau", "approve", edition, "--yes", *more, *self.approver, "--json")

    async def published(self, file: Path, period: str, *more: object, profile: str = "city-grades") -> Any:
        report = await self.publish(file, period, *more, profile=profile)
        await self.release(report)
        approved = await self.approve(report["manifest"])
        assert approved.code == 0, approved.err
        return report

    async def release(self, report: Any) -> None:
        if report["outcome"] == "edition.held":
            reason = ("--reason", "known")
            await ok("xinyi-bureau", "release", report["manifest"], *reason, *self.approver, "--json")

    async def status(self, *more: object) -> Any:
        return (await ok("xinyi-bureau", "status", *more, *self.maker, "--json")).json


async def take(world: World, bank: Home, *stages: exchange_pb2.ReceiptStage, last: bytes = b"", product: str) -> bytes:
    """A bank pulls the next edition after `last` and signs for it. Its manifest digest."""
    response = await world.pull(bank, last, product)
    for stage in stages:
        receipt = receipt_for(response.package, bank, stage, world.clock())
        if stage == PARTIAL:
            receipt.accepted -= 2
            receipt.rejected = 2
        await world.confirm(bank, receipt)
    return envelope.digest(response.package.manifest)


def write(path: Path, lines: Iterable[Sequence[str]]) -> Path:
    """A CSV as the city writes it."""
    with path.open("w", encoding="gb18030", newline="") as file:
        csv.writer(file).writerows(lines)
    return path


def listed(path: Path, lines: Iterable[Sequence[str]]) -> Path:
    return write(path, [generate.HEADINGS, *lines])


async def test_a_year_of_the_generated_city(tmp_path: Path, database_url: str) -> None:
    """FULL, a file of changes, a whole file as a delta; a FULL within the year comes to the same root."""
    async with city(tmp_path, database_url=database_url) as world:
        await world.bank("bank-1")
        bureau = Bureau(world)
        whole = {n: listed(tmp_path / f"{n}.csv", generate.month(ROWS, 1, n, 0.1)) for n in range(1, 5)}
        told = write(
            tmp_path / "changes.csv", [(generate.CHANGE, *generate.HEADINGS), *generate.changes(ROWS, 1, 2, 0.1)]
        )
        refused = await run(
            "xinyi-bureau", "publish", whole[1], "--kind", "delta", "--profile", "city-grades",
            "--product", "grade-a", "--period", "2019-01", *bureau.maker,
        )  # fmt: skip
        assert (refused.code, "edition.year" in refused.err) == (3, True)
        first = await bureau.published(whole[1], "2019-01")
        mistaken = await run(
            "xinyi-bureau", "publish", told, "--profile", "city-changes", "--product", "grade-a",
            "--period", "2019-02", *bureau.maker,
        )  # fmt: skip
        assert (mistaken.code, "profile.change" in mistaken.err) == (2, True)
        second = await bureau.published(told, "2019-02", "--changes", profile="city-changes")
        assert (first["kind"], second["kind"]) == ("full", "delta")
        assert second["records"] < ROWS * 0.2
        assert not second["outcomes"]["rejected"]
        again = await bureau.published(whole[2], "2019-02")
        assert (again["kind"], again["state"]["same_as_before"]) == ("full", True)
        third = await bureau.published(whole[3], "2019-03", "--kind", "delta")
        assert 0 < third["records"] < ROWS * 0.2
        late = await run(
            "xinyi-bureau", "publish", whole[4], "--kind", "delta", "--profile", "city-grades",
            "--product", "grade-a", "--period", "2020-01", *bureau.maker,
        )  # fmt: skip
        assert (late.code, "edition.year" in late.err) == (3, True)
        shown = await bureau.status()
        assert [(e["kind"], e["state"], e["problem"]) for e in shown] == [
            ("full", "SUPERSEDED", ""),
            ("delta", "SUPERSEDED", ""),
            ("full", "SUPERSEDED", ""),
            ("delta", "PUBLISHED", ""),
        ]
        assert [e["standing"] for e in shown] == [r["state"]["records"] for r in (first, second, again, third)]
        assert [e["gone"] for e in shown] == [0, second["gone"], 0, third["gone"]]
        compared = (
            await ok("xinyi-bureau", "comparison", third["manifest"], *bureau.maker[:2], "--json")
        ).json
        assert len(compared["lines"]) == third["records"]
        source = ("--source", whole[3], "--profile", "city-grades")
        reviewed = (await ok("xinyi-bureau", "review", third["manifest"], *source, *bureau.approver, "--json")).json
        assert reviewed["counted_here"]


async def test_after_a_stop_the_next_edition_is_a_full(tmp_path: Path) -> None:
    """Nothing builds on what was halted."""
    async with city(tmp_path) as world:
        bureau = Bureau(world)
        files = [listed(tmp_path / f"{n}.csv", generate.month(50, 1, n, 0.2)) for n in (1, 2)]
        first = await bureau.published(files[0], "2019-01")
        await ok("xinyi-bureau", "stop", first["manifest"], "--reason", "wrong district", *bureau.maker, "--json")
        of = ("--profile", "city-grades", "--product", "grade-a", "--period", "2019-02", *bureau.maker)
        refused = await run("xinyi-bureau", "publish", files[1], "--kind", "delta", *of)
        assert (refused.code, "edition.after_stop" in refused.err) == (3, True)
        assert (await bureau.published(files[1], "2019-02"))["kind"] == "full"


async def test_the_twelfth_bank_is_named(tmp_path: Path) -> None:
    """S1: eleven signed receipts in time, one of them PARTIAL; the report names the late bank."""
    async with city(tmp_path) as world:
        banks = [await world.bank(f"bank-{n}") for n in range(1, 13)]
        bureau = Bureau(world)
        for bank in banks:
            world.pin(world.homes[MAKER], bank.signer().key)
        await bureau.published(listed(tmp_path / "list.csv", generate.rows(50, 1)), "2018-02")
        for number, bank in enumerate(banks, 1):
            stages = (RECEIVED, PARTIAL if number == 5 else ACCEPTED) if number < 12 else (RECEIVED,)
            await take(world, bank, *stages, product="grade-a")
        [shown] = await bureau.status("--late-after", today())
        assert shown["late"] == [banks[11].party]
        [before] = await bureau.status("--late-after", "2018-02-11")
        assert len(before["late"]) == 12


async def test_who_lost_a_grade_is_accepted_by_its_number_and_answered_for(tmp_path: Path) -> None:
    """A FULL without a decision about some is approved with their very number; each row wants an answer."""
    async with city(tmp_path) as world:
        bureau = Bureau(world)
        rows = list(generate.rows(200, 1))
        await bureau.published(listed(tmp_path / "1.csv", rows), "2019-01")
        spoilt = [[*row[:2], "soon", *row[3:]] if n in (3, 7) else row for n, row in enumerate(rows)]
        bad = next(generate.rows(1, 99))
        file = listed(tmp_path / "2.csv", [*spoilt, [*bad[:3], "excellent", bad[4]]])
        report = await bureau.publish(file, "2019-02")
        await bureau.release(report)
        assert report["lost"] == 2
        edition = report["manifest"]
        for wrong in ((), ("--accept-lost", 1)):
            refused = await bureau.approve(edition, *wrong)
            assert refused.code == 3
            assert "edition.lost" in refused.err
            assert "--accept-lost 2" in refused.err
        assert (await bureau.approve(edition, "--accept-lost", 2)).code == 0

        async def questions(*more: object) -> Any:
            return (await ok("xinyi-bureau", "questions", *more, *bureau.maker, "--json")).json

        asked = await questions()
        assert [(q["row"], q["record"], LOST in q["rules"]) for q in asked] == [
            (5, "lost", True),
            (9, "lost", True),
            (202, "", False),
        ]
        assert asked[0]["cells"]["评价年度"] == "soon"
        answering = ("--as", "mended", "--reason", "year entered")
        unknown = await run("xinyi-bureau", "answer", edition, "5,6", *answering, *bureau.maker)
        assert (unknown.code, "rows 6 of" in unknown.err) == (3, True)
        answered = await ok("xinyi-bureau", "answer", edition, "9,5", *answering, *bureau.maker, "--json")
        assert answered.json["rows"] == [5, 9]
        again = await ok("xinyi-bureau", "answer", edition, "5,9", *answering, *bureau.maker, "--json")
        assert again.json == answered.json
        assert [q["row"] for q in await questions("--edition", edition[:12])] == [202]
        assert [q["answer"] for q in await questions("--all")] == ["mended", "mended", ""]
        twice = await run("xinyi-bureau", "answer", edition, "5", "--as", "excluded", "--reason", "x", *bureau.maker)
        assert (twice.code, "answer.answered" in twice.err) == (3, True)
        elsewhere = await run("xinyi-bureau", "questions", *bureau.approver)
        assert (elsewhere.code, "home that published" in elsewhere.err) == (3, True)
        # The manifest of a DELTA: the row is bad still, so its taxpayer keeps what it has, which is nothing.
        delta = await bureau.published(file, "2019-03", "--kind", "delta")
        assert (delta["kept"], delta["records"]) == (0, 0)
        # Of a cancelled edition nothing is asked.
        before = await questions()
        report = await bureau.publish(file, "2019-04")
        assert len(await questions()) > len(before)
        await ok("xinyi-bureau", "cancel", report["manifest"], "--reason", "wrong month", *bureau.maker)
        assert await questions() == before
        cancelled = await run("xinyi-bureau", "questions", "--edition", report["manifest"], *bureau.maker)
        assert (cancelled.code, "was cancelled" in cancelled.err) == (3, True)


async def test_a_wrong_grade_is_corrected_recalled_and_the_loans_on_it_found(tmp_path: Path) -> None:
    """S5: 61 firms were told as A and are B; every bank is told, and the nine loans that relied on it are listed."""
    async with city(tmp_path) as world:
        await world.gateway.door.run(lambda x: catalogue.switch(x, "grade-all", True, OPERATOR))
        bureau = Bureau(world, "grade-all")
        agreed = exchange_pb2.DISCLOSURE_CLASS_AGREEMENT
        banks = [await world.bank(f"bank-{n}", product="grade-all", permits=agreed) for n in range(1, 13)]
        for bank in banks:
            world.pin(world.homes[MAKER], bank.signer().key)
        rows = list(generate.rows(200, 1))
        wrong = await bureau.published(listed(tmp_path / "april.csv", rows), "2018-04")
        for bank in banks:
            await take(world, bank, RECEIVED, ACCEPTED, APPLIED, product="grade-all")
        granted_on = today().isoformat()
        right = [[*row[:3], "B", row[4]] for row in rows[:61]]
        stranger = next(generate.rows(1, 99))
        file = listed(tmp_path / "may.csv", [*right, [*stranger[:3], "B", stranger[4]]])
        report = await bureau.correct(file, "2018-05", wrong["manifest"][:12])
        await bureau.release(report)
        assert (report["records"], report["outcomes"]["rejected"]) == (61, 1)
        assert (await bureau.approve(report["manifest"])).code == 0
        for number, bank in enumerate(banks, 1):
            stages = (RECEIVED, ACCEPTED, APPLIED)[: 3 if number < 11 else 12 - number]
            if stages:
                last = bytes.fromhex(wrong["manifest"])
                await take(world, bank, *stages, last=last, product="grade-all")
        loans = tmp_path / "loans.csv"
        with loans.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["bank", "loan", "taxpayer_id", "granted_on"])
            # The whole party, or its name in this city.
            names = [bank.party if n % 2 else bank.party.split("/")[1] for n, bank in enumerate(banks)]
            writer.writerows([names[n % 12], f"L{n}", rows[n * 6][0], granted_on] for n in range(9))
            # Nobody's business: a firm that was right, one granted before the bank knew.
            writer.writerow([banks[0].party, "right", rows[100][0], granted_on])
            writer.writerow([banks[0].party, "before", rows[0][0], "2018-04-25"])
        told = (
            await ok("xinyi-bureau", "recall", report["manifest"], "--loans", loans, *bureau.maker, "--json")
        ).json
        states = [r["state"] for r in sorted(told["recipients"], key=lambda r: int(r["recipient"].split("-")[-1]))]
        assert states == ["confirmed"] * 10 + ["told", "open"]
        assert {r["why"] for r in told["recipients"]} == {""}
        assert [loan["loan"] for loan in told["loans"]] == [f"L{n}" for n in range(9)]
        assert {(loan["grade"], loan["true_grade"]) for loan in told["loans"]} == {("A", "B")}
        assert told["loans_read"] == 11
        # A row that cannot be looked up is no loan that relied on nothing.
        for bank, taxpayer, basis in (
            ("elsewhere/bank", rows[0][0], "loans.bank"),
            (banks[0].party, rows[0][0][:-1], "loans.taxpayer_id"),
        ):
            loans.write_text(f"bank,loan,taxpayer_id,granted_on\n{bank},L1,{taxpayer},{granted_on}\n")
            refused = await run("xinyi-bureau", "recall", report["manifest"], "--loans", loans, *bureau.maker)
            assert (refused.code, basis in refused.err, "loans.csv, row 2" in refused.err) == (3, True, True)
            assert taxpayer not in refused.err


async def test_a_correction_in_the_public_product_says_gone_and_no_more(tmp_path: Path) -> None:
    """The same file: in grade-a whoever is not A has left the list."""
    async with city(tmp_path) as world:
        bureau = Bureau(world)
        rows = list(generate.rows(50, 1))
        wrong = await bureau.published(listed(tmp_path / "april.csv", rows), "2018-04")
        right = listed(tmp_path / "may.csv", [[*row[:3], "B", row[4]] for row in rows[:6]])
        report = await bureau.correct(right, "2018-05", wrong["manifest"][:12])
        assert (report["records"], report["gone"], report["grades"]) == (6, 6, {})
        again = await run(
            "xinyi-bureau", "recall", wrong["manifest"], *bureau.maker, "--json"
        )
        assert (again.code, "recall.kind" in again.err) == (3, True)


async def test_an_objection_from_its_filing_to_the_correction(tmp_path: Path) -> None:
    """Taken in by one person with its due date, decided by another one, who names the published correction."""
    async with city(tmp_path) as world:
        bureau = Bureau(world)
        rows = list(generate.rows(50, 1))
        wrong = await bureau.published(listed(tmp_path / "april.csv", rows), "2018-04")

        async def file(number: str, subject: str) -> Outcome:
            of = ("--product", "grade-a", "--subject", subject, "--number", number, "--filed-on", "2018-02-13")
            return await run("xinyi-bureau", "objection", "file", *of, *bureau.maker, "--json")

        unknown = await file("2018-0", next(generate.rows(1, 99))[0])
        assert (unknown.code, "objection.record" in unknown.err) == (3, True)
        filed = await file("2018-1", rows[0][0])
        assert filed.code == 0, filed.err
        assert filed.json["due_on"] == "2018-03-12"
        assert "unconfirmed" in filed.json["term"]
        assert "before the edition's month, 2018-04, began" in filed.err
        assert (await file("2018-1", rows[0][0])).json == filed.json
        other = await file("2018-1", rows[1][0])
        assert (other.code, "decision.other" in other.err) == (3, True)
        assert (await file("2018-2", rows[1][0])).code == 0
        twice = await file("2018-3", rows[1][0])
        assert (twice.code, "objection 2018-2 " in twice.err) == (3, True)

        async def shown() -> Any:
            return (await ok("xinyi-bureau", "objection", "list", *bureau.approver, "--json")).json

        assert [(o["number"], o["outcome"], o["overdue"]) for o in await shown()] == [
            ("2018-1", "open", True),
            ("2018-2", "open", True),
        ]
        denied = ("xinyi-bureau", "objection", "decide", "2018-2", "--outcome", "denied")
        own = await run(*denied, *bureau.maker)
        assert (own.code, "objection.second_person" in own.err) == (3, True)
        assert (await ok(*denied, *bureau.approver, "--json")).json["outcome"] == "objection.denied"
        right = listed(tmp_path / "may.csv", [[*rows[0][:3], "B", rows[0][4]]])
        report = await bureau.correct(right, "2018-05", wrong["manifest"][:12])
        upheld = ("xinyi-bureau", "objection", "decide", "2018-1", "--outcome", "upheld", *bureau.approver)
        bare = await run(*upheld)
        assert (bare.code, "name it with --correction" in bare.err) == (3, True)
        assert (await bureau.approve(report["manifest"])).code == 0
        decided = await ok(*upheld, "--correction", report["manifest"], "--json")
        assert decided.json["correction"] == report["manifest"]
        assert [(o["number"], o["outcome"], o["correction"]) for o in await shown()] == [
            ("2018-1", "upheld", report["manifest"]),
            ("2018-2", "denied", ""),
        ]


async def test_a_publisher_who_lost_all_goes_on(tmp_path: Path, database_url: str) -> None:
    """Told what is lost and what to do; then a FULL that blinds anew, and the year goes on upon it."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        bureau = Bureau(world)
        whole = {n: listed(tmp_path / f"{n}.csv", generate.month(ROWS, 1, n, 0.1)) for n in range(1, 5)}
        await bureau.published(whole[1], "2019-01")
        second = await bureau.published(whole[2], "2019-02", "--kind", "delta")
        await ok("xinyi-bank", "catch-up", "--home", bank.path)
        editions = world.homes[MAKER].path / "state/editions"
        for folder in editions.iterdir():
            if folder.is_dir() and folder.name != second["manifest"]:
                shutil.rmtree(folder)  # what the newest one builds on
        of = ("--profile", "city-grades", "--product", "grade-a", "--period", "2019-03")
        part = await run("xinyi-bureau", "publish", whole[3], *of, *bureau.maker)
        assert (part.code, "edition.predecessor" in part.err) == (3, True)
        shutil.rmtree(editions)
        for kind in ("full", "delta"):
            lost = await run("xinyi-bureau", "publish", whole[3], "--kind", kind, *of, *bureau.maker)
            assert (lost.code, "--without-comparison" in lost.err) == (3, True)
        delta = ("--kind", "delta", "--without-comparison")
        assert (await run("xinyi-bureau", "publish", whole[3], *delta, *of, *bureau.maker)).code == 3

        anew = await bureau.published(whole[3], "2019-03", "--without-comparison")
        assert (anew["kind"], anew["comparison"]) == ("full", None)
        fourth = await bureau.published(whole[4], "2019-04", "--kind", "delta")
        assert 0 < fourth["records"] < ROWS * 0.2
        (caught,) = (await ok("xinyi-bank", "catch-up", "--home", bank.path, "--json")).json
        assert (caught["level"], caught["editions"]) == (4, 2)
        corrected = await run(
            "xinyi-bureau", "correct", whole[4], "--of", second["manifest"], "--reason", "x", *of[:4],
            "--period", "2019-04", *bureau.maker,
        )  # fmt: skip
        assert corrected.code in (2, 3)
