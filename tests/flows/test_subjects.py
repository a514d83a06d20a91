"""S5: a wrong grade, found late. What a bank knew on a day, what is true, and an account that cannot be bent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from adapters.auditor.settings import policy_of
from adapters.auditor.subject import SubjectClient
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit.disclosure.account import Question
from audit.disclosure.folder import KnownFolder
from audit.disclosure.history import History
from audit.verification.policy import Policy
from gateway.office import catalogue
from tests.chain import Chain
from tests.world import (
    APPROVER,
    AUDITOR,
    BUREAU,
    CITY,
    MAKER,
    OPERATOR,
    SealedEdition,
    World,
    city,
    made_up_records,
    made_up_uscc,
    receipt_for,
)
from xinyi.v1 import exchange_pb2, records_pb2

PRODUCT = "grade-all"
#: The taxpayer whose A was wrong.
WRONG = made_up_uscc(7)
STAGES = (
    exchange_pb2.RECEIPT_STAGE_RECEIVED,
    exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    exchange_pb2.RECEIPT_STAGE_APPLIED,
)


@dataclass
class Story:
    """April's FULL with a wrong A, May's DELTA, the CORRECTION of 20 May; bank-1 applied all, bank-2 the first."""

    world: World
    auditor: Home
    policy: Policy
    chain: Chain
    editions: list[SealedEdition]

    async def ask(
        self, identifier: str = WRONG, recipient: str = "", product: str = PRODUCT
    ) -> tuple[KnownFolder, History]:
        def run() -> tuple[KnownFolder, History]:
            with GatewayClient(self.auditor) as gateway:
                question = Question(identifier, product, recipient)
                return SubjectClient(gateway).find(question, "dispute 2018-44", self.policy)

        return await asyncio.to_thread(run)


async def apply(world: World, bank: Home, held: bytes = b"") -> None:
    package = (await world.pull(bank, held, PRODUCT)).package
    for stage in STAGES:
        await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))


async def tell(world: World) -> Story:
    auditor = await world.admit(AUDITOR, "AUDITOR")
    await world.gateway.door.run(lambda x: catalogue.switch(x, PRODUCT, True, OPERATOR))
    permits = exchange_pb2.DISCLOSURE_CLASS_AGREEMENT
    banks = [await world.bank(name, product=PRODUCT, permits=permits) for name in ("bank-1", "bank-2")]
    for home in (world.homes[MAKER], world.homes[APPROVER], *banks):
        world.pin(auditor, home.signer().key)
    chain = Chain(world.homes[MAKER], product=PRODUCT, month=4)
    subjects = made_up_records(1500)
    editions = [chain.full(subjects)]
    await world.publish(editions[0])
    for bank in banks:
        await apply(world, bank)
    world.clock.advance(days=13)
    chain.month = 5
    other = records_pb2.GradeRecord()
    other.CopyFrom(subjects[9])
    other.grade = records_pb2.GRADE_M
    editions.append(chain.delta([other], [made_up_uscc(20)]))
    await world.publish(editions[1])
    await apply(world, banks[0], editions[0].digest)
    world.clock.advance(days=17)
    right = records_pb2.GradeRecord()
    right.CopyFrom(subjects[7])
    right.grade = records_pb2.GRADE_B
    right.decision_kind = records_pb2.DECISION_KIND_CORRECTION
    editions.append(chain.correction(editions[0].digest, [right]))
    await world.publish(editions[2])
    await apply(world, banks[0], editions[1].digest)
    return Story(world, auditor, policy_of(auditor, [BUREAU]), chain, editions)


async def test_what_a_bank_knew_and_what_is_true(tmp_path: Path, database_url: str) -> None:
    async with city(tmp_path, database_url=database_url) as world:
        story = await tell(world)
        folder, history = await story.ask()
    feed = (BUREAU, PRODUCT)
    assert [s.sequence for s in history.statements] == [1, 2, 3]
    assert [str(s.news) for s in history.statements] == ["new", "unchanged", "changed"]
    today = history.disclosures[-1].delivery.message.offered_at_ms
    print(history.known_to(f"{CITY}/bank-1", feed, today))
