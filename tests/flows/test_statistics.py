"""A quarter's statistics: the city's own figures, late and corrected tables, who gets what, and what the log says."""

from __future__ import annotations

import asyncio
import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from adapters.figures import fetching
from adapters.figures.fetching import Fetched
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope, records
from gateway import statistics
from gateway.office import agreements, partners
from gateway.store import tables
from tests.chain import Chain
from tests.flows.test_rights import check_signed, entries
from tests.lending import Q1, Q2, WAN, corrected, firms_of, send_table, table_of
from tests.outcomes import outcome, send_outcomes
from tests.programs import ok, run
from tests.quarter import BANKS, DIMENSIONS, GRANTED, LOANS, SMALL_GRANTED, SMALL_LOANS, quarter
from tests.world import AUDITOR, MAKER, OPERATOR, World, city, made_up_records
from xinyi.channel import errors_restored
from xinyi.days import day_of
from xinyi.errors import Conflict, DigestMismatch, Invalid, NotEntitled, Unknown
from xinyi.figures import in_yi, margins_of, shown, small_micro
from xinyi.margins import ALL, TOTAL
from xinyi.suppression import Sums
from xinyi.v1 import envelope_pb2, lending_pb2, records_pb2, statistics_service_pb2
from xinyi.v1.statistics_service_pb2_grpc import StatisticsServiceStub


async def make(world: World, period: Any = Q1, until_ms: int | None = None) -> statistics.Run:
    return await statistics.run(world.gateway.reception, period, "CNY", until_ms)


async def versions(home: Home, period: Any = Q1) -> list[statistics_service_pb2.StatisticsVersion]:
    def ask() -> list[statistics_service_pb2.StatisticsVersion]:
        with GatewayClient(home) as client:
            return fetching.list_versions(client, period)

    return await asyncio.to_thread(ask)


async def fetch(home: Home, version: int = 0, period: Any = Q1) -> Fetched:
    """The newest, or the one that is named."""

    def work() -> Fetched:
        with GatewayClient(home) as client:
            found = fetching.list_versions(client, period)
            return fetching.fetch(client, found[version - 1] if version else found[-1])

    return await asyncio.to_thread(work)


def cells(fetched: Fetched, dimension: str) -> Any:
    return margins_of(fetched.statistics)[dimension]


def rerun(world: World, document: bytes) -> lending_pb2.Statistics:
    with world.gateway.database.reading() as conn:
        return statistics.rerun(conn, document)


async def reporting(world: World, name: str, **terms: Any) -> Home:
    bank = await world.bank(name)
    await world.report_terms(bank, **terms)
    return bank


async def three(world: World) -> list[Home]:
    """So many must have reported before banks are told anything."""
    return [await reporting(world, f"bank-{number}") for number in (1, 2, 3)]


async def send_tables(world: World, banks: list[Home], **about: Any) -> None:
    for bank in banks:
        await send_table(world, bank, table_of(bank, firms_of([300 * WAN] * 5), **about))


async def test_the_citys_first_quarter_of_2018(tmp_path: Path, database_url: str) -> None:
    """Twelve banks, the last one late: 1,160 loans, 126.23 亿元, and nothing rounded on the way; version 1 stays."""
    rows = quarter()
    async with city(tmp_path, database_url=database_url) as world:
        bureau, late = world.homes[MAKER], BANKS[-1]
        with pytest.raises(Unknown):
            await make(world)
        banks = {name: await reporting(world, name, dimensions=DIMENSIONS) for name in BANKS}
        for name, bank in banks.items():
            if name != late:
                sent = await send_table(world, bank, table_of(bank, rows[name], dimensions=DIMENSIONS))
                assert sent.state == "COUNTED"
        first = await make(world)
        assert [(made.audience, made.version) for made in first.made] == [(1, 1), (2, 1)]
        assert list(first.made[0].missing) == [banks[late].party]
        assert not (await make(world)).made, "nothing is new"

        await send_table(world, banks[late], table_of(banks[late], rows[late], dimensions=DIMENSIONS))
        second = await make(world)
        assert [(made.audience, made.version) for made in second.made] == [(1, 2)]
        assert second.waits_with == 1, "to banks, version 2 less version 1 would be the late bank's table"
        told = await fetch(bureau)
        assert told.statistics.version == 2
        assert told.statistics.restatement == f"迟报 late: {banks[late].party}"
        assert not told.statistics.missing
        total = cells(told, TOTAL)[ALL]
        assert (shown(total, "loans"), shown(total, "granted")) == (LOANS, GRANTED)
        assert in_yi(GRANTED) == Decimal("126.23")
        (size,) = small_micro(told.statistics)
        assert size.small is not None and size.others is not None and size.whole is not None  # noqa: PT018
        assert (size.small.loans, size.small.granted) == (SMALL_LOANS, SMALL_GRANTED)
        assert in_yi(SMALL_GRANTED) == Decimal("29.17")
        assert (size.share_of_loans, size.share_of_amount) == (Decimal("67.41"), Decimal("23.11"))
        assert (size.whole.mean, size.small.mean) == (Decimal("1088.19"), Decimal("373.02"))
        assert (size.others.loans, in_yi(size.others.granted)) == (378, Decimal("97.06"))
        assert {*margins_of(told.statistics)} == {TOTAL, "bank", *DIMENSIONS}
        for cells_ in margins_of(told.statistics).values():
            assert sum(shown(cell, "granted") or 0 for cell in cells_.values()) == GRANTED

        # The late bank's table was not there then, and the version says the same for ever.
        before = await fetch(bureau, 1)
        without = sum(
            row.granted for name in BANKS if name != late for firm in rows[name] for row in firm.rows
        )
        assert shown(cells(before, TOTAL)[ALL], "granted") == without
        assert before.digest == told.statistics.predecessor
        for fetched in (before, told):
            again = rerun(world, fetched.digest)
            assert again.SerializeToString(deterministic=True) == fetched.statistics.SerializeToString(
                deterministic=True
            )

        # Others correct theirs. Banks' second version waits for the third of them; they are told how many, not which.
        with pytest.raises(Conflict):
            await make(world, until_ms=told.statistics.counted_until_ms - 1)
        for name, waits_with in (("bank-03", 2), ("bank-04", None)):
            wrong = next(t.table for t in told.statistics.tables if t.bank == banks[name].party)
            mended = corrected(banks[name], wrong, rows[name][:-1], dimensions=DIMENSIONS)
            await send_table(world, banks[name], mended)
            assert (await make(world)).waits_with == waits_with
            assert (await fetch(bureau)).statistics.restatement == f"更正 corrected: {banks[name].party}"
        theirs = await fetch(banks["bank-05"])
        assert theirs.statistics.restatement == "迟报 late: 1; 更正 corrected: 2"
        assert (theirs.statistics.banks, len(theirs.statistics.tables)) == (12, 0)
        assert "bank" not in margins_of(theirs.statistics)
        assert b"bank-0" not in theirs.statistics.SerializeToString()
        await _programs_show_it(world, tmp_path, bureau, banks["bank-05"], told)


async def _programs_show_it(world: World, tmp_path: Path, bureau: Home, bank: Home, told: Fetched) -> None:
    gateway = tmp_path / "gateway"
    nothing = await run("xinyi-gateway", "statistics", "run", "--period", "2018-Q1", "--home", gateway)
    assert (nothing.code, "nothing new" in nothing.out) == (7, True)
    listed = (await ok("xinyi-gateway", "statistics", "list", "--json", "--home", gateway)).json
    assert [(one["audience"], one["version"]) for one in listed] == [
        *(("bureau", version) for version in (1, 2, 3, 4)), ("banks", 1), ("banks", 2),
    ]  # fmt: skip
    # The bank's list offered it all versions; it took one.
    assert [(one["given"], one["confirmed"]) for one in listed[4:]] == [(1, 0), (1, 1)]
    same = await ok("xinyi-gateway", "statistics", "rerun", told.digest.hex()[:12], "--json", "--home", gateway)
    assert same.json["same"] is True

    options = ("--period", "2018-Q1", "--version", 2, "--home", bureau.path)
    text = (await ok("xinyi-bureau", "statistics", *options)).out
    for figure in ("1,160 笔，126.23 亿元，笔均 1,088.19 万元", "782 笔，29.17 亿元，笔均 373.02 万元",
                   "67.41 %", "23.11 %", "378 笔，97.06 亿元", "迟报 late: test-city/bank-12"):  # fmt: skip
        assert figure in text
    others = await run("xinyi-bureau", "statistics", "--currency", "EUR", "--home", bureau.path)
    assert (others.code, "in CNY" in others.err) == (7, True)
    figures = (await ok("xinyi-bureau", "statistics", *options, "--json")).json
    assert figures["small_micro"]["GXB300"]["small"]["mean_wan"] == "373.02"
    assert figures["margins"]["total"]["all"]["granted"] == GRANTED

    file = tmp_path / "city.csv"
    english = ("--format", "csv", "--language", "en", "-o", file, "--home", bank.path)
    await ok("xinyi-bank", "statistics", *english)
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))
    assert lines[0]["By"] == "total"
    assert {line["By"] for line in lines} == {"total", *DIMENSIONS}
    nowhere = await run("xinyi-bank", "statistics", "--format", "xlsx", "--home", bank.path)
    assert nowhere.code == 2
    assert (await run("xinyi-bank", "statistics", "--period", "2017-Q4", "--home", bank.path)).code == 7
    assert (await run("xinyi-bank", "statistics", "--version", 9, "--home", bank.path)).code == 3


async def test_every_version_is_given_once_and_logged_before_it_leaves(
    tmp_path: Path, database_url: str
) -> None:
    """run, offered and received, each once for a version and a recipient, with the document named."""
    async with city(tmp_path, database_url=database_url) as world:
        (bank, *others), bureau = await three(world), world.homes[MAKER]
        await send_table(world, bank, table_of(bank, firms_of([300 * WAN, 500 * WAN, 700 * WAN])))
        await send_tables(world, others)
        made = await make(world)
        runs = entries(world, "statistics.run")
        assert [entry.detail for entry in runs] == ["bureau version 1", "banks version 1"]
        for _ in range(2):
            for home in (bureau, bank):
                await fetch(home)
        offered, received = entries(world, "statistics.offered"), entries(world, "statistics.received")
        assert (
            [e.counterparty for e in offered]
            == [e.counterparty for e in received]
            == [bureau.party, bank.party]
        )
        assert [list(e.documents) for e in offered] == [list(e.documents) for e in runs]
        assert {(e.period.year, e.period.month) for e in (*runs, *offered, *received)} == {(2018, 3)}
        assert all(statistics_.counted_until_ms < runs[0].recorded_at_ms for statistics_ in made.made)

        taken = await fetch(bank)
        place = fetching.evidence_place(bank, taken.digest)
        assert {path.name for path in place.iterdir()} == {
            *("statistics.dsse", "receipt.dsse", "acknowledgement.dsse", "offered.tlog-proof")
        }
        assert list(received[1].documents) == [
            envelope.digest(envelope_pb2.Envelope.FromString((place / "receipt.dsse").read_bytes()))
        ]


async def test_who_gets_what(tmp_path: Path) -> None:
    """City totals by agreement alone; never another audience's; refusals are signed and logged."""
    async with city(tmp_path) as world:
        bank, *others = await three(world)
        without = await reporting(world, "bank-4", city_totals=False)
        auditor = await world.admit(AUDITOR, "AUDITOR")
        await send_tables(world, [bank, *others])
        made = await make(world)
        bureaus = (await versions(world.homes[MAKER]))[0].statistics
        for home, basis in ((without, "statistics.city_totals"), (auditor, "partner.kind")):
            for call in (versions(home), fetch(home)):
                with pytest.raises(NotEntitled) as refused:
                    await call
                assert refused.value.basis == basis
                check_signed(world, refused.value)
        with pytest.raises(Unknown):
            await _get(bank, bureaus)
        await fetch(bank)
        with pytest.raises(Unknown) as unknown:
            await _confirm(bank, bureaus)
        check_signed(world, unknown.value)
        assert [e.counterparty for e in entries(world, "statistics.offered")] == [
            world.homes[MAKER].party, bank.party,
        ]  # fmt: skip

        identity = agreements.agreement_id(bank.party, "1")
        await world.gateway.door.run(
            lambda x: agreements.change_state(x, identity, "suspend", "test", OPERATOR)
        )
        with pytest.raises(NotEntitled) as ended:
            await fetch(bank)
        assert ended.value.basis == "statistics.city_totals"
        await world.gateway.door.run(
            lambda x: agreements.change_state(x, identity, "resume", "test", OPERATOR)
        )
        await world.gateway.door.run(lambda x: partners.decide(x, bank.party, "suspend", "test", OPERATOR))
        with pytest.raises(NotEntitled) as suspended:
            await fetch(bank)
        assert suspended.value.basis == "partner.suspended"
        with pytest.raises(Invalid):
            await make(world, until_ms=world.clock() + 60_000)
        with pytest.raises(Unknown):
            await make(world, Q2)
        assert len(made.made) == 2


async def _get(home: Home, document: bytes) -> Any:
    def ask() -> Any:
        with GatewayClient(home) as client, errors_restored():
            stub = StatisticsServiceStub(client.channel)
            return stub.GetStatistics(statistics_service_pb2.GetStatisticsRequest(statistics=document))

    return await asyncio.to_thread(ask)


async def _confirm(home: Home, document: bytes) -> Any:
    def send() -> Any:
        receipt = lending_pb2.StatisticsReceipt(
            statistics=document, signed_by=home.settings.holder, signed_at_ms=1_541_030_400_000
        )
        with GatewayClient(home) as client, errors_restored():
            request = statistics_service_pb2.ConfirmStatisticsRequest(call=client.call(receipt))
            return StatisticsServiceStub(client.channel).ConfirmStatistics(request)

    return await asyncio.to_thread(send)


async def test_banks_are_told_nothing_before_three_have_reported(tmp_path: Path) -> None:
    """Of one table banks would get that one, of two the other's. One without loans is no third; the bureau has both."""
    async with city(tmp_path) as world:
        banks, gateway = [*await three(world), await reporting(world, "bank-4")], tmp_path / "gateway"
        await send_table(world, banks[3], table_of(banks[3], []))
        for number, bank in enumerate(banks[:3]):
            made = await make(world)
            assert made.waits_with == number
            assert {version.audience for version in made.made} <= {lending_pb2.AUDIENCE_BUREAU}
            assert not await versions(banks[0])
            await send_tables(world, [bank])
            if number == 1:
                options = ("--period", "2018-Q1", "--home", gateway)
                waiting = await ok("xinyi-gateway", "statistics", "run", *options, "--json")
                assert (waiting.json["banks_wait_with"], "of 2 of the at least 3" in waiting.err) == (2, True)
                assert [one["audience"] for one in waiting.json["made"]] == ["bureau"]
                waiting = await run("xinyi-gateway", "statistics", "run", *options)
                assert (waiting.code, "nothing new" in waiting.out) == (7, True)
        assert [version.audience for version in (await make(world)).made] == [1, 2]
        assert [(told.version, told.predecessor) for told in await _told(banks[0])] == [(1, b"")]


async def _told(home: Home) -> list[lending_pb2.Statistics]:
    return [(await fetch(home, number)).statistics for number in range(1, len(await versions(home)) + 1)]


async def test_a_dimension_that_not_every_table_has_is_left_out(tmp_path: Path) -> None:
    """Its cells would come to something else than the total; a bank without rows, or with zeros, hinders none."""
    async with city(tmp_path) as world:
        one = await reporting(world, "bank-1")
        other = await reporting(world, "bank-2", dimensions=["grade", "size/GXB300"])
        empty = await reporting(world, "bank-3", dimensions=["grade"], small_micro=False)
        await send_table(world, one, table_of(one, firms_of([300 * WAN] * 4)))
        await send_table(
            world, other, table_of(other, firms_of([200 * WAN] * 4), dimensions=["grade", "size/GXB300"])
        )
        await send_table(world, empty, table_of(empty, []))
        zero = await reporting(world, "bank-4")
        paid_back = firms_of([0] * 3, newly_granted=False, loan_class=0)
        await send_table(world, zero, table_of(zero, paid_back, dimensions=[]))
        made = await make(world)
        assert made.left_out == {"guarantee": 1}
        told = await fetch(world.homes[MAKER])
        assert {*margins_of(told.statistics)} == {TOTAL, "bank", "grade", "size/GXB300"}
        assert told.statistics.banks == 4
        assert shown(cells(told, "bank")[empty.party], "granted") == 0


async def test_what_was_changed_behind_the_gateways_back_is_found(tmp_path: Path, database_url: str) -> None:
    """A cell in the database was edited: computed again the version comes to other bytes, and says where."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await reporting(world, "bank-1")
        await send_table(world, bank, table_of(bank, firms_of([300 * WAN] * 5)))
        await make(world)
        told = await fetch(world.homes[MAKER])
        rerun(world, told.digest)
        c = tables.lending_cells.c
        with world.gateway.database.writing() as conn:
            conn.execute(
                update(tables.lending_cells).where(c.dimension == "grade").values(granted=c.granted + 1)
            )
        with pytest.raises(DigestMismatch, match="other bytes: grade "):
            rerun(world, told.digest)
        done = await run(
            "xinyi-gateway", "statistics", "rerun", told.digest.hex(), "--home", tmp_path / "gateway"
        )
        assert done.code == 4


async def test_rows_with_consent_by_the_grade_relied_on_and_the_true_one(
    tmp_path: Path, database_url: str
) -> None:
    """Nine of thirty loans relied on an A that a CORRECTION took back: each version tells what was known then."""
    async with city(tmp_path, database_url=database_url) as world:
        (bank, *others), bureau = await three(world), world.homes[MAKER]
        chain, subjects = Chain(bureau), made_up_records(40)
        edition = chain.full(subjects)
        salts = dict(chain.salts)
        await world.publish(edition)
        day = day_of(world.clock())
        period = lending_pb2.LendingPeriod(year=day.year, month=(day.month - 1) // 3 * 3 + 1, months=3)
        world.clock.advance(days=100)
        reliances = [reliance_on(edition, subject, salts) for subject in subjects]
        firms = firms_of([500 * WAN] * 50)
        for firm, reliance in zip(firms, reliances, strict=False):
            firm.rows[0].loan.reliance.CopyFrom(reliance)
        await send_table(world, bank, table_of(bank, firms, period=period, issued_at_ms=world.clock()))
        await send_tables(world, others, period=period, issued_at_ms=world.clock())
        rows = [
            outcome(n, day=day.isoformat(), reliance=reliances[n], taxpayer_id=subjects[n].taxpayer_id)
            for n in range(30)
        ]
        for row in rows:
            row.authorisation.valid_to = "2099-12-31"
        sent = await send_outcomes(world, bank, rows, issued_at_ms=world.clock())
        assert sent.counts == (30, 0, 0, 0, 0), sent.findings
        await make(world, period)
        first = await fetch(bureau, period=period)
        prefix = "consented/disbursed"
        assert shown(cells(first, f"{prefix}/grade")["A"], "loans") == 30
        assert shown(cells(first, f"{prefix}/grade-pair")["A>A"], "granted") == 30 * 500 * WAN

        await world.publish(chain.correction(edition.digest, gone=[one.taxpayer_id for one in subjects[:9]]))
        # A row that is voided counts no more from here on.
        void = outcome(29, outcome_id="V1", day=day.isoformat(), corrects="O000029", voids=True)
        void.authorisation.valid_to = "2099-12-31"
        await send_outcomes(world, bank, [void], "2", issued_at_ms=world.clock())
        made = await make(world, period)
        assert [version.restatement for version in made.made] == ["经授权明细有变 rows with consent changed"]
        assert made.waits_with == 0, "of no bank is the table another"
        second = await fetch(bureau, period=period)
        pairs = {value: shown(cell, "loans") for value, cell in cells(second, f"{prefix}/grade-pair").items()}
        assert pairs == {"A>A": 20, "A>withdrawn": 9}
        assert shown(cells(second, f"{prefix}/true-grade")["withdrawn"], "firms") == 9
        assert shown(cells(second, f"{prefix}/grade")["A"], "loans") == 29
        for fetched in (first, second):
            rerun(world, fetched.digest)

        # Three enterprises that authorised two banks are six customers of theirs, as in the city's tables.
        for other in others:
            rows = [outcome(n, day=day.isoformat(), taxpayer_id=subjects[n].taxpayer_id) for n in range(3)]
            for row in rows:
                row.authorisation.valid_to = "2099-12-31"
            sent = await send_outcomes(world, other, rows, issued_at_ms=world.clock())
            assert sent.counts == (3, 0, 0, 0, 0), sent.findings
        with world.gateway.database.reading() as conn:
            figures = statistics.count(conn, period, "CNY", world.clock()).figures
        for kind, value in (("grade", "none"), ("true-grade", "none"), ("grade-pair", "none>none")):
            told = [families["disbursed"][kind][value] for families in (figures.consented, figures.customers)]
            assert [(sums.loans, sums.firms) for sums in told] == [(6, 3), (6, 6)]
        moved = [families["disbursed"]["true-grade"] for families in (figures.consented, figures.customers)]
        assert moved[0]["withdrawn"] == moved[1]["withdrawn"] == Sums(loans=9, firms=9, granted=9 * 500 * WAN)


def reliance_on(
    edition: Any, subject: records_pb2.GradeRecord, salts: dict[str, bytes]
) -> lending_pb2.Reliance:
    identifier = subject.taxpayer_id
    return lending_pb2.Reliance(
        manifest_digest=edition.digest,
        blinded_key=records.blinder(edition.blinding_key)(identifier.encode()),
        commitment=records.commitment(salts[identifier], subject.SerializeToString(deterministic=True)),
        grade=subject.grade,
        evaluation_year=subject.evaluation_year,
    )
