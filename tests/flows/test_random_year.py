"""Random months: whatever comes in whatever order, tables, roots, answers and recalls are what a dictionary says.

RANDOM_YEARS=500 runs so many years, each of up to 24 steps and audited at its end; a few short ones otherwise. A
failure prints the steps that lead to it, and a line with which they are run again.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Callable, Coroutine
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from adapters.auditor.settings import policy_of
from adapters.auditor.subject import SubjectClient
from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver
from adapters.bank.receipts import read_envelope
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.bureau import objections
from adapters.bureau.building import CORRECTION, DELTA, FULL
from adapters.bureau.objections import Objection
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import buckets, records
from audit.disclosure.account import Question
from audit.disclosure.answer import as_of
from audit.disclosure.history import History
from gateway import delivery, states
from gateway.folder import Collector, prepare
from gateway.office import catalogue, partners
from gateway.office.inspection import read
from gateway.store import deliveries as store
from gateway.store import tables
from tests import postgres
from tests.chain import serialised
from tests.flows.days import Days
from tests.flows.parties import NOTHING, Bureau, Cells, Change, Truth, record_of
from tests.flows.test_administrator import Audit, failed
from tests.flows.test_delivery import until
from tests.flows.year import Ending, Member, Published, Year
from tests.world import OPERATOR, World, city, made_up_uscc
from xinyi import checks
from xinyi.days import day_of
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

YEARS = int(os.environ.get("RANDOM_YEARS") or 0)
POOL = 16
#: Of the first of them there is always a record: no list is empty.
STAYS = 1
BANKS = ("network-1", "network-2", "by-folder")
T = TypeVar("T")

#: Subject → what is decided of it: a grade, another name, or that it is listed no more.
decided = st.dictionaries(st.integers(0, POOL - 1), st.sampled_from("AABMC=-"), max_size=5)
numbers = st.integers(0, 1 << 16)
who_calls = st.sampled_from(range(len(BANKS)))
wrongly = st.lists(st.tuples(numbers, st.sampled_from("ABC=-")), min_size=1, max_size=3)


class Town:
    """A city with its bureau and three banks before anything is published; every year begins with the same one.

    Args:
        make_database: gives the URL of a fresh database for a city, which is then founded for each year; None for
            SQLite, whose files are copied back with all others.
    """

    def __init__(self, path: Path, product: str, make_database: Callable[[], str] | None) -> None:
        self.path, self.product, self._make_database = path, product, make_database
        self._runner = asyncio.Runner()
        self._founded = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def begin(self) -> None:
        if not self._founded:
            self._found()
        else:
            shutil.rmtree(self.path / "city")
            shutil.copytree(self.path / "kept", self.path / "city")
            self.run(self.world.start())
        self.banks = [
            Member(Home.open(home.path), self.product, folder=self._folder(name))
            for name, home in zip(BANKS, self._homes, strict=True)
        ]

    def _found(self) -> None:
        url = self._make_database() if self._make_database else ""
        self._city = city(self.path / "city", database_url=url, backoff_s=0.2)
        self.world: World = self.run(self._city.__aenter__())
        self._founded = True
        self.run(self._settle())
        if not self._make_database:
            self.run(self.world.stop())
            shutil.copytree(self.path / "city", self.path / "kept")
            self.run(self.world.start())

    def end(self) -> None:
        if self._make_database:
            self._leave()
        else:
            self.run(self.world.stop())

    def close(self) -> None:
        if self._founded:
            self.run(self.world.start())
            self._leave()
        self._runner.close()

    def _leave(self) -> None:
        self.run(self._city.__aexit__(None, None, None))
        shutil.rmtree(self.path / "city")
        self._founded = False

    async def _settle(self) -> None:
        world = self.world
        if self.product != "grade-a":
            await world.gateway.door.run(lambda x: catalogue.switch(x, self.product, True, OPERATOR))
        self.bureau = Bureau(world, self.product)
        permits = exchange_pb2.DISCLOSURE_CLASS_AGREEMENT
        self._homes = []
        for name in BANKS:
            folder = self._folder(name)
            if folder is not None:
                prepare(folder)
            way = (exchange_pb2.CHANNEL_FOLDER, str(folder)) if folder else (exchange_pb2.CHANNEL_PULL, "")
            self._homes.append(await world.bank(name, *way, product=self.product, permits=permits))
        self.audit = await Audit.of(world)
        for home in list(world.homes.values()):
            world.pin(self.audit.home, home.signer().key)
            world.pin(self.bureau.maker, home.signer().key)
        self.policy = policy_of(self.audit.home, [self.bureau.maker.party])

    def _folder(self, name: str) -> Path | None:
        return self.path / "city/folder" if name == "by-folder" else None


class RandomYear(RuleBasedStateMachine):
    """One city, its bureau, three banks, and what a plain dictionary says of them."""

    def __init__(self, towns: dict[str, Town]) -> None:
        super().__init__()
        self.towns = towns
        self.patch = pytest.MonkeyPatch()
        self.days = Days(self.patch)
        self.days.on(date(2018, 10, 9))
        self.ending = Ending(self.patch)
        self.town: Town | None = None
        self.year = Year()
        self.truth: Truth = {}
        self.period = (2018, 10)
        self.count = 0
        #: Number, subject, edition and time of what is not decided.
        self.open: list[tuple[str, str, Published, int]] = []
        #: Subject, day and time it was filed on, time it was decided.
        self.marked: list[tuple[str, str, int, int]] = []
        self.entries: dict[str, tuple[bytes, bytes]] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        assert self.town is not None
        return self.town.run(work)

    def now(self, work: Callable[..., T], *args: Any) -> T:
        """A program of a party, while the gateway serves."""
        return self.run(asyncio.to_thread(work, *args))

    @initialize(product=st.sampled_from(["grade-all", "grade-all", "grade-a"]), first=decided, seed=numbers)
    def found(self, product: str, first: dict[int, str], seed: int) -> None:
        self.product, self.random = product, random.Random(seed)
        self.town = self.towns[product]
        self.town.begin()
        self.world, self.bureau, self.banks = self.town.world, self.town.bureau, self.town.banks
        self.publish_month(dict.fromkeys(range(POOL // 2), "A") | first | {0: "A"}, FULL, 9)

    def teardown(self) -> None:
        try:
            if self.year:
                self.end_well()
        finally:
            if self.town is not None:
                self.town.end()
            self.ending.close()
            self.patch.undo()

    def end_well(self) -> None:
        """Everybody is let in, and level after one more FULL; the log holds, offline."""
        for bank in self.banks:
            if bank.suspended:
                self.decide_on(bank, "activate")
        self.let_go()
        self.month({}, "full", 20, restart=False)
        for bank in self.banks:
            self.call(bank)
            assert bank.standing()[0] == self.newest.sequence
        self.check_all()
        assert {row["state"] for row in self.recalls()} <= {"CONFIRMED"}
        if YEARS:
            assert failed(self.run(self.town.audit.report())) == set()

    @property
    def newest(self) -> Published:
        return self.year[max(self.year)]

    def listed(self, truth: Truth) -> Truth:
        """Of all that is decided, what this product tells."""
        return {who: c for who, c in truth.items() if self.product != "grade-a" or c[1] == "A"}

    # ── the bureau ─────────────────────────────────────────────────────────────────────────────────────

    @rule(what=decided, kind=st.sampled_from(["changes", "changes", "changes", "list", "full"]), day=st.integers(3, 26),
          restart=st.sampled_from([False, False, False, True]))  # fmt: skip
    def month(self, what: dict[int, str], kind: str, day: int, restart: bool) -> None:
        """A DELTA from a file of changes or a whole list, or a FULL; the gateway may end before it is approved."""
        year, month = self.period
        self.period = (year + month // 12, month % 12 + 1)
        first = self.period[0] != self.newest.edition.manifest.period.year
        whole = first or kind == "full"
        self.publish_month(what, FULL if whole else DELTA, day, listed=kind == "list", restart=restart)

    def publish_month(
        self, what: dict[int, str], kind: edition_pb2.EditionKind, day: int, *,
        listed: bool = False, restart: bool = False,
    ) -> None:  # fmt: skip
        """Args: listed — a DELTA comes from the whole list."""
        today = date(*self.period, day)
        if today > self.days.today:
            self.days.on(today)
        changes = [self.change(who, word, self.truth, "DYNAMIC") for who, word in self.sensible(what)]
        truth = dict(self.truth)
        for word, who, cells in changes:
            if word == "gone":
                del truth[who]
            else:
                truth[who] = cells
        name = f"{self.count}.csv"
        if kind == DELTA and not listed:
            self.publish(self.bureau.changes(name, changes), {"kind": kind}, truth, restart=restart)
        else:
            of_kind = {"kind": kind, "whole": True} if kind == DELTA else {}
            self.publish(self.bureau.whole(name, self.listed(truth)), of_kind, truth, restart=restart)

    def sensible(self, what: dict[int, str]) -> list[tuple[str, str]]:
        found = []
        for number, word in what.items():
            who = made_up_uscc(number)
            if number < STAYS and word != "A":
                word = "="
            if who in self.truth or word in "AMBC":
                found.append((who, word))
        return found

    def change(self, who: str, word: str, before: Truth, decision: str) -> Change:
        """The line of a file of changes. Each has a name of its own, so that no two files are the same."""
        self.count += 1
        # Who has left a product already cannot be said to leave it once more.
        if word == "-" and who in self.listed(before):
            return "gone", who, NOTHING
        grade = word if word in "AMBC" else before[who][1]
        cells: Cells = (f"示例企业第{self.count}号有限公司", grade, decision, self.days.today.isoformat())
        return "changed" if who in before else "new", who, cells

    def publish(
        self, file: Path, of_kind: dict[str, Any], truth: Truth, *, restart: bool = False,
        named: dict[str, tuple[str, str] | None] | None = None,
    ) -> None:  # fmt: skip
        period = f"{self.period[0]}-{self.period[1]:02d}"
        self.count += 1
        done = self.run(self.bureau.submit(file, period, **of_kind))
        assert done.outcome in ("edition.ready", "edition.held")  # a small list soon loses more than a fifth
        if restart:
            self.run(self.world.restart())
        takers = self.takers(of_kind["corrects"]) if "corrects" in of_kind else frozenset()
        self.run(self.bureau.approve(done.edition))
        self.truth = truth
        told = Published(done.edition, file, period, of_kind, self.listed(truth), named or {}, takers)
        self.year[told.sequence] = told
        self.check_edition(told)

    @rule(wrong=numbers, what=wrongly)
    def correct(self, wrong: int, what: list[tuple[int, str]]) -> None:
        """Some of those who stood in an earlier edition were told wrongly. Who has left is gone."""
        corrected = list(self.year.values())[wrong % len(self.year)]
        stood = [who for who in sorted(corrected.records) if who != made_up_uscc(0)]
        if not stood:
            return
        chosen = {stood[number % len(stood)]: word for number, word in what}
        changes: list[Change] = []
        truth, named = dict(self.truth), dict[str, tuple[str, str] | None]()
        for who, word in chosen.items():
            if word == "-" or who not in self.listed(truth):
                changes.append(("gone", who, NOTHING))
                if who in self.listed(truth):
                    del truth[who]
            else:
                changes.append(self.change(who, word, truth, "CORRECTION"))
                truth[who] = changes[-1][2]
            told = self.listed(truth).get(who)
            named[who] = told[:2] if told else None
        of_kind = {"kind": CORRECTION, "corrects": corrected.edition.digest, "reason": "system error"}
        self.publish(self.bureau.changes(f"{self.count}.csv", changes), of_kind, truth, named=named)

    def takers(self, corrects: bytes, beyond: int = 1 << 30) -> frozenset[str]:
        """Who gave a receipt for an edition from the corrected one on, as the rows say."""
        r, d, e = tables.receipts.c, tables.deliveries.c, tables.editions.c
        query = (
            select(d.recipient, e.sequence, r.stage)
            .select_from(tables.receipts.join(tables.deliveries).join(tables.editions))
        )  # fmt: skip
        begin = next(n for n, told in self.year.items() if told.edition.digest == corrects)
        with self.world.gateway.database.reading() as conn:
            return frozenset(row.recipient for row in conn.execute(query) if begin <= row.sequence < beyond)

    def appliers(self, sequence: int) -> frozenset[str]:
        with self.world.gateway.database.reading() as conn:
            rows = store.deliveries_of_edition(conn, self.year[sequence].edition.digest)
        return frozenset(row["recipient"] for row in rows if row["state"] == "APPLIED")

    @rule(which=numbers)
    def resend(self, which: int) -> None:
        """A file of any month once more, and the approval: nothing becomes of it."""
        told = list(self.year.values())[which % len(self.year)]
        again = self.run(self.bureau.submit(told.file, told.period, **told.of_kind))
        assert (again.outcome, again.edition.digest) == ("already", told.edition.digest)

    @rule(subject=numbers, edition=numbers)
    def object(self, subject: int, edition: int) -> None:
        told = list(self.year.values())[-1 - edition % min(3, len(self.year))]
        who = sorted(told.records)[subject % len(told.records)]
        number = f"2018-{self.count}"
        self.count += 1

        def file(client: GatewayClient) -> Any:
            return objections.file(client, self.product, who, number, self.days.today, told.edition)

        # Nothing is sealed while it is filed: then nobody could tell which was first.
        self.run(self.carried(self.banks[-1]))
        outcome, _ = self.run(self.bureau.ask(self.bureau.maker, file))
        assert outcome == "objection.filed"
        self.open.append((number, who, told, self.moment()))

    @precondition(lambda self: self.open)
    @rule(which=numbers)
    def decide_objection(self, which: int) -> None:
        """Upheld by a correction that speaks of the subject, where there is one; else denied."""
        number, who, told, filed_ms = self.open.pop(which % len(self.open))
        upheld = [c for c in self.year.values() if c.corrects and c.sequence > told.sequence and who in c.named]

        def decide(client: GatewayClient) -> str:
            shown: Objection = objections.find(objections.list_all(client, self.product), number)
            correction = upheld[-1].edition.digest if upheld else b""
            return objections.decide(client, shown, "upheld" if upheld else "denied", correction)

        self.run(self.carried(self.banks[-1]))
        outcome = "objection.upheld" if upheld else "objection.denied"
        assert self.run(self.bureau.ask(self.bureau.approver, decide)) == outcome
        filed = day_of(filed_ms).isoformat()
        self.marked.append((who, filed, filed_ms, self.moment()))

    def moment(self) -> int:
        self.days.advance(hours=0.01)
        now = self.world.clock()
        self.days.advance(hours=0.01)
        return now

    # ── the banks ──────────────────────────────────────────────────────────────────────────────────────

    @rule(bank=who_calls)
    def call_in(self, bank: int) -> None:
        self.days.advance(hours=1)
        self.call(self.banks[bank])

    @rule()
    def all_call(self) -> None:
        self.days.advance(hours=1)
        for bank in self.banks:
            self.call(bank)

    @rule(bank=who_calls, what=decided, wrong=numbers, whom=wrongly)
    def correct_for_suspended(self, bank: int, what: dict[int, str], wrong: int, whom: list[tuple[int, str]]) -> None:
        """A bank that has no right to the month is told of the correction behind it, and of that alone."""
        member = self.banks[bank]
        if member.suspended:
            self.decide_on(member, "activate")
        self.call(member)
        self.decide_on(member, "suspend")
        self.month(what, "changes", 20, restart=False)
        self.correct(wrong, whom)
        self.call(member)
        for who in self.newest.named:
            self.check_known(member, who)

    @rule(bank=who_calls, step=st.integers(1, 60))
    def end_and_call_again(self, bank: int, step: int) -> None:
        """The bank's program ends in the middle, and is run again."""
        self.days.advance(hours=1)
        member = self.banks[bank]
        self.run(self.carried(member))
        ended = self.now(self.ending.run, lambda: (member.catch_up_now(), member.send_now()), step)
        note(f"ended: {ended}")
        self.check_table(member)
        self.call(member)

    @rule(bank=who_calls)
    def fetch(self, bank: int) -> None:
        self.days.advance(hours=1)
        member = self.banks[bank]
        self.run(self.carried(member))
        self.now(member.fetch_now)

    @rule(bank=who_calls)
    def land(self, bank: int) -> None:
        """Lands what there is, and sends nothing."""
        self.days.advance(hours=1)
        member = self.banks[bank]
        self.run(self.carried(member))
        self.now(member.catch_up_now)
        member.note(self.year)

    def call(self, bank: Member) -> None:
        self.run(self.carried(bank))
        bank.saw = {path.stem for path in bank.folder.glob("outgoing/*.complete")} if bank.folder else set()
        self.now(bank.catch_up_now)
        bank.note(self.year)
        self.run(self.answered(bank))
        if self.told_late(bank):
            self.run(self.carried(bank))
            self.now(bank.catch_up_now)
            bank.note(self.year)
            self.run(self.answered(bank))
        bank.confirmed(max(self.year))

    def told_late(self, bank: Member) -> bool:
        """Whether its receipts of this call opened a recall: it calls once more."""
        return any(row["recipient"] == bank.party and row["state"] == "OPEN" for row in self.recalls())

    async def carried(self, bank: Member) -> None:
        """What the gateway has to write into the bank's folder lies there."""
        if bank.folder is None:
            return

        async def written() -> bool:
            with self.world.gateway.database.reading() as conn:
                due = delivery.due(conn, self.world.clock(), 200)
                waiting = store.carried_deliveries(conn, ("QUEUED",))
            return not due and not waiting

        await until(written, 120)

    async def answered(self, bank: Member) -> None:
        """Every receipt of the bank is answered."""
        collector = Collector(self.world.gateway.reception)
        for _ in range(8):
            if not await asyncio.to_thread(bank.send_now):
                return
            await collector.collect()
        raise AssertionError("receipts are not answered")

    @rule(bank=who_calls)
    def suspend_or_activate(self, bank: int) -> None:
        member = self.banks[bank]
        self.decide_on(member, "activate" if member.suspended else "suspend")

    def decide_on(self, bank: Member, word: str) -> None:
        door = self.world.gateway.door
        self.run(door.run(lambda x: partners.decide(x, bank.party, word, "test", OPERATOR)))
        bank.suspended = word == "suspend"

    @rule(bank=who_calls, which=numbers)
    def acknowledge_again(self, bank: int, which: int) -> None:
        """A receipt that was answered goes once more: it gets the same answer."""
        member = self.banks[bank]
        sent = sorted((BankSettings.of(member.home).spool / "sent").glob("*.dsse"))
        if not sent:
            return
        receipt = read_envelope(sent[which % len(sent)])

        def submit() -> Any:
            with BankClient(member.home) as client:
                return client.submit(receipt)

        before = self.receipts()
        assert self.now(submit) is not None
        assert self.receipts() == before

    def receipts(self) -> int:
        with self.world.gateway.database.reading() as conn:
            return len(list(conn.execute(select(tables.receipts.c.document))))

    @rule(bank=who_calls, which=numbers)
    def arrive_again(self, bank: int, which: int) -> None:
        """A delivery that came before comes again, in whatever order."""
        self.days.advance(hours=1)
        member = self.banks[bank]
        spool = Spool(BankSettings.of(member.home).spool)
        there = [edition for state in ("landed", "ready") for edition in spool.editions(state)]
        if there:
            package = there[which % len(there)].package()

            def receive() -> bool:
                with BankClient(member.home) as client:
                    return Receiver(member.home).receive(package, client.chunks).new

            assert not self.now(receive)

    @precondition(lambda self: len(self.year) > 1)
    @rule(which=numbers)
    def hold_up(self, which: int) -> None:
        """A delivery is late on its way to the folder: those behind it arrive before."""
        member = self.banks[-1]
        assert member.folder is not None
        self.run(self.carried(member))
        lists = sorted((member.folder / "outgoing").glob("*.complete"))
        if lists:
            lists[which % len(lists)].rename(member.folder / f"late-{lists[which % len(lists)].name}")

    @rule()
    def let_go(self) -> None:
        folder = self.banks[-1].folder
        assert folder is not None
        for late in folder.glob("late-*"):
            place = folder / "outgoing" / late.name.removeprefix("late-")
            if place.with_suffix("").exists() and not place.exists():
                late.rename(place)
            else:  # written anew meanwhile, or taken away
                late.unlink()

    @rule(bank=who_calls)
    def back_up(self, bank: int) -> None:
        member = self.banks[bank]
        self.now(member.save, self.world.path / f"backup-{self.count}-{bank}-{len(member.backups)}")

    @precondition(lambda self: any(bank.backups for bank in self.banks))
    @rule(which=numbers, what=st.sampled_from(["home", "home", "spool", "database"]))
    def restore(self, which: int, what: str) -> None:
        """A bank goes on from an older copy of its home, of its spool or of its database."""
        every = [(bank, backup) for bank in self.banks for backup in bank.backups]
        bank, backup = every[which % len(every)]
        self.now(bank.recover, backup, what)

    # ── the gateway ────────────────────────────────────────────────────────────────────────────────────

    @rule()
    def restart(self) -> None:
        self.run(self.world.restart())

    # ── what holds after every step ────────────────────────────────────────────────────────────────────

    def check_edition(self, told: Published) -> None:
        """The sealed state is what a dictionary comes to; unchanged records keep their salts within the year."""
        manifest = told.edition.manifest
        full, old = manifest.kind == FULL, self.entries
        entries = {} if full else dict(old)
        key = told.edition.blinding_key
        for _, data in told.edition.chunks():
            for salt, raw in zip(*records.split_chunk(data), strict=True):
                record = records_pb2.GradeRecord.FromString(raw)
                if record.gone:
                    entries.pop(record.taxpayer_id, None)
                else:
                    entries[record.taxpayer_id] = (salt, raw)
        assert {who: raw for who, (_, raw) in entries.items()} == {
            who: serialised(record_of(who, cells)) for who, cells in told.records.items()
        }
        before = self.year.get(told.sequence - 1)
        same_year = before is not None and before.edition.manifest.period.year == manifest.period.year
        assert (before is not None and before.edition.blinding_key == key) == same_year
        for who, (salt, raw) in entries.items():
            kept = same_year and who in old and old[who][1] == raw
            assert (who in old and old[who][0] == salt) == kept
        blind = records.blinder(key)
        plain = sorted(blind(who.encode()) + records.commitment(salt, raw) for who, (salt, raw) in entries.items())
        assert buckets.state_of(plain).root() == manifest.state_root
        self.entries = entries

    @invariant()
    def check_all(self) -> None:
        if not self.year:
            return
        self.check_roots()
        for bank in self.banks:
            self.check_table(bank)
        self.check_recalls()
        self.check_known()

    def check_roots(self) -> None:
        told = self.random.choice(list(self.year.values()))
        with self.world.gateway.database.reading() as conn:
            assert states.digests(conn, told.edition.digest).root() == told.edition.manifest.state_root

    def check_table(self, bank: Member) -> None:
        """Every row of every table, whatever edition it shows; what was taken back stands once, and whole."""
        if not bank.has_landed:
            return
        level, recalled = bank.standing()
        early = [sequence for sequence in recalled if sequence > level]
        assert bank.shown() == self.year.shown(level, early)
        for sequence, rows in recalled.items():
            # A later correction may have come before: then this one finds what that one made of a row.
            told = [self.year[n] for n in recalled if n >= sequence]
            assert rows.keys() == self.year[sequence].named.keys()
            for who, what in rows.items():
                assert what in {"gone" if c.named[who] is None else "changed" for c in told if who in c.named}
        if level and not early:
            self.check_marks(bank, self.year[level])

    def check_marks(self, bank: Member, told: Published) -> None:
        """Those under objection when the delivery that is shown was sealed."""
        spool = Spool(BankSettings.of(bank.home).spool)
        given = [
            exchange_pb2.Delivery.FromString(edition.package().delivery.payload) for edition in spool.editions("landed")
        ]
        for sealed in given:
            if sealed.manifest_digest == told.edition.digest and sealed.ground != exchange_pb2.DELIVERY_GROUND_RECALL:
                assert bank.marks() == self.marks_at(sealed.offered_at_ms, told)

    def marks_at(self, moment_ms: int, told: Published) -> dict[str, str]:
        every = [*self.marked, *((who, day_of(ms).isoformat(), ms, 1 << 62) for _, who, _, ms in self.open)]
        marks: dict[str, str] = {}
        for who, filed_on, filed_ms, until_ms in sorted(every, key=lambda mark: mark[2]):
            if filed_ms < moment_ms < until_ms and who in told.records:
                marks.setdefault(who, filed_on)
        return marks

    def recalls(self) -> list[Any]:
        return list(read(self.world.gateway.settings.home, store.list_recalls))

    def check_recalls(self) -> None:
        """Everybody who took what was wrong, also who said so behind the correction, but for who had applied that
        before; open only for those who have not called since."""
        found: dict[int, dict[str, str]] = {}
        for row in self.recalls():
            found.setdefault(row["sequence"], {})[row["recipient"]] = row["state"]
        for sequence, told in self.year.items():
            if told.corrects:
                own = found.pop(sequence, {})
                took = self.takers(told.of_kind["corrects"], sequence)
                assert told.takers <= own.keys() <= took
                assert took <= own.keys() | self.appliers(sequence)
                found[sequence] = own
        for sequence, own in found.items():
            for bank in self.banks:
                if own.get(bank.party) == "OPEN":
                    assert bank.called < sequence or not self.lay_there(bank, self.year[sequence])
                elif bank.party in own and not bank.restored:
                    assert sequence in bank.standing()[1]

    def lay_there(self, bank: Member, told: Published) -> bool:
        """Whether a bank had but to take it: what is late on its way to a folder, or was given up, it cannot."""
        return bank.folder is None or checks.delivery_id(told.edition.digest, bank.party) in bank.saw

    def check_known(self, bank: Member | None = None, who: str = "") -> None:
        """What a bank knew of a subject at the end of a day, and what is true, by proofs."""
        bank = bank or self.random.choice(self.banks)
        days = [day_of(known.at_ms) for known in bank.knew] or [self.days.today]
        day = self.days.today if who else self.random.choice([*days, days[-1], date(2018, 10, 8), self.days.today])
        who = who or made_up_uscc(self.random.randrange(POOL))
        answer = self.now(self.ask, bank, day, who)
        known = [one for one in bank.knew if day_of(one.at_ms) <= day]
        assert _cells(answer["true"]["record"]) == self.newest.shown.get(who)
        if not known:
            assert answer["known"] is None
        elif answer["known"]["uncertain"]:
            # Who has left by an edition that the bank lacks: whether its correction names them, only its records tell.
            assert any(who not in self.year[n].shown for n in known[-1].early)
        elif who in known[-1].table or not known[-1].early:
            assert _cells(answer["known"]["record"]) == known[-1].table.get(who)
        else:
            # A correction names one whom the bank was not told of: it shows nothing, and knows what was corrected.
            told = [self.year[n].named.get(who) for n in known[-1].early]
            assert _cells(answer["known"]["record"]) in (None, *told)

    def ask(self, bank: Member, day: date, who: str) -> dict[str, Any]:
        with GatewayClient(self.town.audit.home) as gateway:
            question = Question(who, self.product, bank.party)
            history: History = SubjectClient(gateway).find(question, "a year", self.town.policy)[1]
        (answer,) = as_of(history, bank.party, day, truth=True)["answers"]
        return dict(answer)


def _cells(record: dict[str, Any] | None) -> tuple[str, str] | None:
    return (record["names"][0], record["grade"].removeprefix("GRADE_")) if record else None


def run_years(path: Path, years: int, make_database: Callable[[], str] | None = None) -> None:
    towns = {name: Town(path / name, name, make_database) for name in ("grade-all", "grade-a")}

    def one_year() -> RandomYear:
        return RandomYear(towns)

    try:
        run_state_machine_as_test(
            one_year,
            settings=settings(
                max_examples=YEARS or years,
                stateful_step_count=24 if YEARS else 12,
                deadline=None,
                # The suite lives through the same years each time: what is new is looked for on purpose.
                derandomize=not YEARS,
                print_blob=True,
                report_multiple_bugs=False,
                # A year takes seconds: to find the shortest one would take hours.
                phases=[Phase.explicit, Phase.reuse, Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        for town in towns.values():
            town.close()


@pytest.mark.sqlite
def test_a_random_year(tmp_path: Path) -> None:
    run_years(tmp_path, 10)


@pytest.mark.postgresql
def test_a_random_year_on_postgresql(tmp_path: Path, postgresql_server: postgres.Server) -> None:
    run_years(tmp_path, 2, postgresql_server.create)
