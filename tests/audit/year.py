"""A year by hand: editions that change, what two banks took of them, an objection, a correction and its recall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from audit import envelope
from audit.keys import FileSigner
from tests.audit.lending import Lending, quarter
from tests.audit.story import BANK, BANK_2, NOW_MS, Cast, Edition, Story, approve, mark_of, record_of
from tests.chain import Chain
from tests.world import SealedEdition, made_up_uscc
from xinyi import checks
from xinyi.v1 import exchange_pb2, party_pb2


@dataclass(frozen=True)
class Desk:
    """What a Chain takes of a bureau's home, with one key in it."""

    key: FileSigner

    @property
    def party(self) -> str:
        return self.key.key.party

    @property
    def settings(self) -> Desk:
        return self

    @property
    def holder(self) -> str:
        return self.key.key.holder

    def signer(self) -> FileSigner:
        return self.key


@dataclass
class Year:
    """A chain of editions and what two banks and the bureau make of it, told step by step."""

    story: Story
    chain: Chain
    editions: dict[str, Edition] = field(default_factory=dict)

    @classmethod
    def begin(cls, cast: Cast) -> Year:
        """The keys, and the year's FULL of six taxpayers, landed at both banks."""
        story = Story(cast)
        story.register(cast.gateway, kind=party_pb2.PARTY_KIND_GATEWAY)
        for person in (cast.maker, cast.approver):
            story.register(person, kind=party_pb2.PARTY_KIND_TAX_BUREAU)
        for bank in (cast.bank, cast.bank_2, cast.teller):
            story.register(bank, kind=party_pb2.PARTY_KIND_BANK)
        story.register(cast.auditor, kind=party_pb2.PARTY_KIND_AUDITOR)
        year = cls(story, Chain(Desk(cast.maker)))
        year.next("january", year.chain.full(map(record_of, range(6))))
        story.bring_out(year["january"])
        for bank in (cast.bank, cast.bank_2):
            story.apply(year["january"], bank)
        return year

    def __getitem__(self, name: str) -> Edition:
        return self.editions[name]

    def next(self, name: str, sealed: SealedEdition) -> Edition:
        self.editions[name] = Edition.of(sealed)
        return self.editions[name]

    def february(self) -> Edition:
        """A DELTA: one new, one with another name, one gone."""
        renamed = record_of(1)
        renamed.names[0] = "示例新名称有限公司"
        self.chain.month = 2
        return self.next("february", self.chain.delta([record_of(7), renamed], [made_up_uscc(2)]))

    def march(self, told: Iterable[int] = (), gone: Iterable[int] = (4,)) -> Edition:
        """A CORRECTION of January: who was never an A."""
        self.chain.month = 3
        changed = [record_of(number) for number in told]
        for record in changed:
            record.names[0] += "（更正）"
        taken_back = [made_up_uscc(number) for number in gone]
        return self.next("march", self.chain.correction(self["january"].digest, changed, taken_back))


def year(cast: Cast) -> Story:
    """A FULL, a DELTA with an objection open, a CORRECTION that recalls, which bank-2 has not confirmed yet; and what
    banks report of a quarter."""
    told = Year.begin(cast)
    story = told.story
    story.answer_rows(told["january"], 1, 3)
    objection = story.object(told["january"], made_up_uscc(4))
    story.bring_out(told.february())
    story.apply(told["february"], cast.bank, disputes=[mark_of(objection)])
    story.bring_out(told.march(), recalled=(BANK, BANK_2))
    story.decide(objection, "UPHELD", told["march"].digest)
    story.apply(told["march"], cast.bank)
    again_offered = story.offer(told["march"], offered_at_ms=NOW_MS + 3, expires_at_ms=NOW_MS + 9)
    again = {"stage": exchange_pb2.RECEIPT_STAGE_APPLIED, "signed_at_ms": NOW_MS + 5}
    story.receive(told["march"], again_offered, kind="receipt.repeated", **again)
    story.offer(told["march"], BANK_2, ground=exchange_pb2.DELIVERY_GROUND_RECALL)
    story.decide(story.object(told["february"], made_up_uscc(5), "2018-2"), "DENIED")
    story.announce("contract-2")
    story.announce("contract-3", replaces="contract-2")
    quarter(Lending(cast, story))
    story.refuse(approve(told["march"], cast.maker), cast.maker.key.holder)
    query = exchange_pb2.SubjectQuery(
        asked_by=cast.auditor.key.holder,
        purpose="a complaint",
        subject_commitment=checks.subject_commitment(bytes(32), made_up_uscc(4)),
        requested_at_ms=NOW_MS,
        nonce=bytes(16),
    )
    story.log("subject.queried", [envelope.seal(query, cast.auditor)], actor=query.asked_by, detail=query.purpose)
    return story
