"""SQL past the door: no change of any business or log row leaves an export that holds."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import pytest
from sqlalchemy import Table
from structlog.testing import capture_logs

from adapters.auditor.client import LogClient
from adapters.auditor.folders import write_export
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import log
from audit.verification.findings import Report, Verdict
from audit.verification.policy import Policy
from audit.verification.procedure import verify
from gateway.exchange import Exchange
from gateway.store import tables
from tests.chain import Chain
from tests.flows.reported import a_quarter
from tests.flows.tampering import Administrator
from tests.flows.test_audit import a_month, auditor
from tests.flows.test_notices import announce
from tests.flows.test_objections import objection, send
from tests.flows.test_recalls import take
from tests.flows.test_rights import entries
from tests.flows.test_row_answers import answer
from tests.world import CITY, MAKER, OPERATOR, World, city, made_up_records, made_up_uscc
from xinyi.errors import Invalid, ProofInvalid, SignatureInvalid
from xinyi.v1 import exchange_pb2

BANK = f"{CITY}/bank-1"
#: Not evidence: an intake under way, which processes live, and what follows from the chunks and is held against the
#: sealed state root whenever it is used.
OUTSIDE = {tables.intakes, tables.workers, tables.buckets, tables.states}
#: Finds entries that are proven by themselves; that it shows all of them is what an export alone proves.
OUTSIDE.add(tables.entries_by_name)
#: Where a change shows as soon as it counts, not in an export: tests of their own below.
DERIVED = {log.log_tiles, log.log_checkpoints}
#: What statistics are added up from: an edit shows in the next version (test_verified_quarter).
DERIVED.add(tables.lending_cells)
#: Judgements on single rows, which follow from the chunks and the order of the bank's acts; a batch under way. What
#: comes of them is the receipt's word: no export shows an edit.
OUTSIDE |= {tables.outcomes, tables.outcome_changes, tables.outcome_sums, tables.outcome_intakes}
#: Columns that nothing reads once their row is complete; what is evidence of them stands elsewhere.
EXEMPT = {
    ("chunks", "last_key"): "where a cut upload resumes; follows from `data`",
    ("chunks", "run"): "what the state is gathered from while an upload arrives; follows from `data`",
    ("chunks", "grades"): "counted while an upload arrives; follows from `data`",
    ("log_entries", "id"): "order of pending entries; afterwards `position` is the order",
}
#: Checks that find a change of a table where one at a time is made.
FOUND_BY = {
    "keys": {"rows", "keys"},  # where the gateway reads its keyring meanwhile, it takes no call
    "answers": {"answers"},
    "refusals": {"answers"},
    "documents": {"documents", "seals", "answers"},  # an answer is named by no entry, but has one
    "chunks": {"records"},
    "outcome_chunks": {"records"},
    "log_entries": {"tree", "openings"},
}
Change = Callable[[], AbstractContextManager[None]]


@dataclass
class Audit:
    """An auditor who exports over the network and verifies offline."""

    home: Home
    policy: Policy
    folder: Path

    @classmethod
    async def of(cls, world: World) -> Audit:
        home = await auditor(world)
        return cls(home, Policy.load(world.path / "policy.toml"), world.path / "export")

    async def failures(self) -> set[str]:
        """Checks that do not hold; or the family of rules by which the gateway itself stopped the export."""
        try:
            return failed(await self.report())
        except Invalid as error:
            return {error.basis.partition(".")[0]}

    async def report(self) -> Report:
        def run() -> Report:
            query = exchange_pb2.LogQuery(purpose="audit", export=True, with_records=True)
            with GatewayClient(self.home) as client:
                for _ in write_export(self.folder, LogClient(client).export(query)):
                    pass
            report = verify(self.folder, self.policy)
            shutil.rmtree(self.folder)
            return report

        return await asyncio.to_thread(run)


async def a_correction(world: World, bank: Home) -> None:
    """Behind the month's editions: what gives every other table of the log a row."""
    chain = Chain(world.homes[MAKER], month=2, sequence=1, last=entries(world, "edition.published")[-1].manifest_digest)
    first = chain.full(made_up_records(20), anew=True)
    await world.publish(first)
    await take(world, bank)
    await send(world, objection(world, first), MAKER)
    await world.decide(answer(world, first.digest, 1), MAKER)
    await announce(world, "contract-2", "2098-01-01")
    await world.publish(chain.correction(first.digest, gone=[made_up_uscc(7)]))


def failed(report: Report) -> set[str]:
    return {name for name, check in report.checks.items() if check.verdict != Verdict.HOLDS}


def changes(admin: Administrator, table: Table) -> Iterator[tuple[str, Change]]:
    """Every column of a row changed, the row deleted, another one forged."""
    row = admin.row(table, BANK)
    for column in table.columns:
        if column is log.log_entries.c.position:
            yield str(column), lambda c=column: admin.swapped(table, c)
        elif (table.name, column.name) not in EXEMPT:
            yield str(column), lambda c=column: admin.changed(table, row, c)
    yield f"{table} deleted", lambda: admin.deleted(table, row)
    if table is not log.log_entries:  # an entry more is an entry logged: it gets its place and shows
        yield f"{table} forged", lambda: admin.forged(table, row)


async def test_every_change_of_a_row_is_found(tmp_path: Path, database_url: str) -> None:
    """By the check that is made for it, and where the log knows the row, under the row's own name."""
    async with city(tmp_path, database_url=database_url) as world:
        audit = await Audit.of(world)
        await a_month(world, 30)
        await a_correction(world, world.homes[f"xinyi://{BANK}/machine/main"])
        await a_quarter(world, audit.home)
        admin = Administrator(world.gateway.settings.database_url)
        assert failed(await audit.report()) == set()
        tried = set()
        # One change in each table at a time: each must be found beside the others.
        logged = [table for table in tables.LOGGED if table.name not in FOUND_BY]
        for together in zip_longest(*(list(changes(admin, table)) for table in logged)):
            with ExitStack() as stack:
                made = [change for change in together if change is not None]
                for _, change in made:
                    stack.enter_context(change())
                report = await audit.report()
            for name, _ in made:
                table = name.replace(".", " ").split()[0]
                assert [f for f in report.findings if f.subject.startswith(f"{table} ")], name
                tried.add(table)
        for table in tables.metadata.sorted_tables:
            if table in OUTSIDE or table in DERIVED or table in logged:
                continue
            for name, change in changes(admin, table):
                with change():
                    assert await audit.failures() & FOUND_BY[table.name], name
            tried.add(table.name)
        assert failed(await audit.report()) == set(), "every change was undone"
        admin.close()
    assert tried == {t.name for t in tables.metadata.sorted_tables} - {t.name for t in OUTSIDE | DERIVED}


@pytest.mark.parametrize("answer", [False, True])
async def test_a_document_that_cannot_be_read_holds_no_export_up(tmp_path: Path, answer: bool) -> None:
    """Whoever makes evidence unreadable is found by it, not spared the audit.

    A document is told by its own name, an answer by the name of what it answers.
    """
    async with city(tmp_path) as world:
        audit = await Audit.of(world)
        await a_month(world, 10)
        admin = Administrator(world.gateway.settings.database_url)
        edition = entries(world, "edition.published")[-1].manifest_digest
        lost = admin.find(tables.answers, document=edition)["answer"] if answer else edition
        row = admin.find(tables.documents, digest=lost)
        with admin.changed(tables.documents, row, tables.documents.c.envelope, b"\0" * 10):
            report = await audit.report()
        admin.close()
        assert {"documents"} < failed(report)
        told = [finding.subject + finding.reason for finding in report.findings]
        assert any(edition.hex()[:16] in place for place in told), told


async def fill(world: World) -> None:
    """Entries enough for a tile that is full, in one exchange."""

    def work(x: Exchange) -> None:
        for _ in range(300):
            x.log("partner.noted", actor=OPERATOR)

    await world.gateway.door.run(work)


async def test_a_changed_tile_is_found(tmp_path: Path, database_url: str) -> None:
    """Behind the right edge nobody signs over it again: the export shows it, and no proof is made from it."""
    async with city(tmp_path, database_url=database_url) as world:
        audit = await Audit.of(world)
        await fill(world)
        assert failed(await audit.report()) == set()
        admin = Administrator(world.gateway.settings.database_url)
        full = admin.find(log.log_tiles, level=0, number=0)
        with admin.changed(log.log_tiles, full, log.log_tiles.c.hashes):
            assert failed(await audit.report()) == {"tree"}
            with world.gateway.database.reading() as conn:
                *_, (_, leaf, _, _) = world.gateway.log.openings(conn, 254, 255)
                with pytest.raises(ProofInvalid):
                    world.gateway.log.prove(conn, leaf)
        assert failed(await audit.report()) == set()
        admin.close()


@pytest.mark.parametrize("change", ["hashes changed", "row deleted"])
async def test_a_log_whose_right_edge_was_changed_is_never_signed_again(tmp_path: Path, change: str) -> None:
    """The gateway proves its own growth before it signs, and stops with an alarm."""

    stopped: list[BaseException | None] = []
    with capture_logs() as logs, suppress(ProofInvalid):  # as it closes it tries to sign once more
        async with city(tmp_path) as world:
            await fill(world)
            world.gateway.log.sequence()
            admin = Administrator(world.gateway.settings.database_url)
            edge = admin.find(log.log_tiles, level=0, number=1)
            put = {
                "hashes changed": lambda: admin.changed(log.log_tiles, edge, log.log_tiles.c.hashes),
                "row deleted": lambda: admin.deleted(log.log_tiles, edge),
            }[change]
            with put():
                await fill(world)
                done, _ = await asyncio.wait([world.service.failed], timeout=10)
                stopped += [future.exception() for future in done]
            admin.close()
    assert [type(error) for error in stopped] == [ProofInvalid]
    assert "alarm.log_conflict" in [line["event"] for line in logs]


async def test_a_head_that_the_log_did_not_sign_is_refused(tmp_path: Path, database_url: str) -> None:
    """A checkpoint slipped in, or the newest one edited: nothing is shown or proven under it."""
    async with city(tmp_path, database_url=database_url) as world:
        audit = await Audit.of(world)
        assert failed(await audit.report()) == set()
        admin = Administrator(world.gateway.settings.database_url)
        with world.gateway.database.reading() as conn:
            head = world.gateway.log.head(conn)
        assert head is not None
        newest = admin.find(log.log_checkpoints, size=head.size)
        longer = newest | {"note": head.note.replace(b"\n", b"\n1", 1)}
        with admin.forged(log.log_checkpoints, longer), pytest.raises(SignatureInvalid):
            await audit.report()
        assert failed(await audit.report()) == set()
        admin.close()
