"""Any order of arrival, repetition and interleaving of tables, corrections and answers counts the same."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from pathlib import Path

from adapters.party.home import Home
from audit import envelope
from audit.envelope import digest
from audit.verification.findings import Verdict
from tests.flows.test_administrator import Audit
from tests.flows.test_reports import counted, reporting_bank
from tests.flows.test_statistics import make
from tests.lending import YUAN, answer_of, firms_of, list_reports, send_answer, send_table, table_of
from tests.world import World, city
from xinyi.days import end_of
from xinyi.errors import Conflict, Unknown
from xinyi.lending import last_day
from xinyi.v1 import envelope_pb2, lending_pb2

TABLE = envelope.payload_type(lending_pb2.LendingTable)

#: A table that counts; one that is held until a person confirms it; one that is held and given up.
GOOD, CONFIRMED, ABANDONED = "good", "confirmed", "abandoned"
KINDS = (GOOD, GOOD, CONFIRMED, ABANDONED)
#: A quarter for each story, from 2018 on.
STORIES = 16
#: Stories behind which the auditor carries the log away.
VERIFIED = (3, 9, 15)


@dataclass
class Story:
    """What a bank says of one period, in the order in which it says it, and which table counts in the end."""

    bank: Home
    person: Home
    period: lending_pb2.LendingPeriod
    documents: list[envelope_pb2.Envelope] = field(default_factory=list)
    counts: tuple[bytes, int] | None = None
    #: The last one without a question: what is given up never speaks of one that somebody may yet confirm.
    good: bytes = b""

    def tell(self, kind: str, number: int, yuan: int) -> None:
        """Args: yuan — of a plausible loan; the others are in 万元 in a field of yuan."""
        last = self.counts[0] if self.counts is not None else b""
        amount = yuan * YUAN if kind == GOOD else yuan * YUAN // 10_000
        corrects = self.good if kind == ABANDONED else last
        table = table_of(
            self.bank,
            firms_of([amount, amount + 1]),
            seed=number,
            period=self.period,
            issued_at_ms=end_of(last_day(self.period)) + 1,
            corrects=corrects,
            reason="a branch was missing" if corrects else "",
        )
        sealed = envelope.seal(table, self.bank.signer())
        self.documents.append(sealed)
        if kind == CONFIRMED:
            answer = answer_of(self.person, digest(sealed))
            self.documents.append(envelope.seal(answer, self.person.signer()))
        if kind != ABANDONED:
            self.counts = digest(sealed), 2 * amount + 1
        if kind == GOOD:
            self.good = digest(sealed)


class Office:
    """Sends what a story has, in whatever order, until nothing new is taken."""

    def __init__(self, world: World, story: Story, chance: random.Random) -> None:
        self._world, self._story, self._chance = world, story, chance
        self._answers: dict[bytes, bytes] = {}

    async def send(self, document: envelope_pb2.Envelope) -> None:
        """What is refused came too early, or too late. What was taken once is answered the same for ever."""
        before = digest(document) in self._answers
        try:
            if document.payload_type == TABLE:
                sent = await send_table(self._world, self._story.bank, document)
                told = sent.acknowledgement.SerializeToString() + sent.sealed.SerializeToString()
            else:
                told = (await send_answer(self._story.person, document)).envelope.SerializeToString()
        except (Conflict, Unknown):
            assert not before
        else:
            assert self._answers.setdefault(digest(document), told) == told

    async def send_all(self, at_once: int) -> None:
        """In a new order each time, some of it twice, so many at once: what came too early comes again."""
        taken = -1
        while len(self._answers) > taken:
            taken = len(self._answers)
            turns = [*self._story.documents, *self._chance.choices(self._story.documents, k=3)]
            self._chance.shuffle(turns)
            for start in range(0, len(turns), at_once):
                await asyncio.gather(*map(self.send, turns[start : start + at_once]))


def test_the_order_of_arrival_changes_nothing(tmp_path: Path, database_url: str) -> None:
    """One table counts of each bank and period, the last one said; no fen is lost or doubled. The audit agrees."""
    told: dict[tuple[str, int, int], tuple[bytes, int]] = {}

    async def live(world: World, banks: list[tuple[Home, Home]], number: int) -> None:
        chance = random.Random(number)
        period = lending_pb2.LendingPeriod(year=2018 + number // 4, month=1 + 3 * (number % 4), months=3)
        stories = [Story(bank, person, period) for bank, person in banks]
        for story in stories:
            for place in range(chance.randrange(1, 7)):
                story.tell(chance.choice(KINDS), place, chance.randrange(10_000, 10_000_000))
            if story.counts is not None:
                told[story.bank.party, period.year, period.month] = story.counts
        offices = [Office(world, story, chance) for story in stories]
        await asyncio.gather(*(office.send_all(chance.randrange(1, 5)) for office in offices))
        assert counted(world) == told, f"story {number}"
        if any((story.bank.party, period.year, period.month) in told for story in stories):
            await make(world, period)

    async def live_all() -> None:
        async with city(tmp_path, database_url=database_url) as world:
            audit = await Audit.of(world)
            world.gateway.reception.refusals.a_day = 1_000_000
            banks = [await reporting_bank(world, f"bank-{n}") for n in (1, 2)]
            for number in range(STORIES):
                await live(world, banks, number)
                if number in VERIFIED:
                    report = await audit.report()
                    assert report.verdict == Verdict.HOLDS, (number, report.findings)
            for bank, _ in banks:
                shown = {table for table, state in await list_reports(bank) if state == "COUNTED"}
                assert shown == {table for (party, _, _), (table, _) in told.items() if party == bank.party}

    asyncio.run(live_all())
