"""Banks' tables for tests of challenges: over enterprises that relied on an edition, by banks that may lie."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from audit import envelope, merkle, records
from audit.challenge import Drawn, opened_leaves, units_in
from audit.keys import Signer
from audit.lending_tree import LendingTree, commitment, opened_firm
from audit.sum_tree import Lanes, Node
from tests.world import SealedEdition
from xinyi.lending import parse_period
from xinyi.margins import Layout, amounts, value_of
from xinyi.v1 import envelope_pb2, lending_pb2, records_pb2

Q1 = parse_period("2018-Q1")
DIMENSIONS = ("total", "grade", "guarantee", "size/GXB300")
BAD = lending_pb2.LOAN_CLASS_DOUBTFUL
Sums = dict[int, int]


@dataclass(frozen=True)
class Record:
    """One record of an edition, with what proves it."""

    reliance: lending_pb2.Reliance
    shown: lending_pb2.OpenedReliance
    identifier: str


def records_of(edition: SealedEdition) -> list[Record]:
    """All of them, in the order of the leaves."""
    blind = records.blinder(edition.blinding_key)
    salted = [pair for chunk in edition.chunks for pair in zip(*records.split_chunk(chunk), strict=True)]
    told = [records_pb2.GradeRecord.FromString(data) for _, data in salted]
    keys = [blind(record.taxpayer_id.encode()) for record in told]
    sealed = [records.commitment(salt, data) for salt, data in salted]
    hashes = [merkle.leaf_hash(records.leaf(key, made)) for key, made in zip(keys, sealed, strict=True)]

    def path(index: int) -> list[bytes]:
        node = lambda level, i: merkle.root(hashes[i << level : (i + 1) << level])  # noqa: E731
        return merkle.inclusion_proof(node, index, len(hashes))

    return [
        Record(
            lending_pb2.Reliance(
                manifest_digest=edition.digest, blinded_key=keys[index], commitment=sealed[index],
                grade=record.grade, evaluation_year=record.evaluation_year,
            ),
            lending_pb2.OpenedReliance(
                manifest_digest=edition.digest, salt=salted[index][0], record=salted[index][1], index=index,
                path=path(index),
            ),
            record.taxpayer_id,
        )
        for index, record in enumerate(told)
    ]  # fmt: skip


def firms_relying(known: Sequence[Record], seed: int = 1) -> list[lending_pb2.FirmLending]:
    """One enterprise for each record, some with several loans, some of which relied on no grade; every tenth is bad."""
    chance = random.Random(seed)
    return [_firm(number, record, chance) for number, record in enumerate(known)]


def _firm(number: int, record: Record, chance: random.Random) -> lending_pb2.FirmLending:
    rows = []
    for place in range(chance.choice((1, 1, 2, 3))):
        loan = lending_pb2.Loan(
            reference=f"L{number}-{place}", product="tax-loan", guarantee=chance.randrange(3), currency="CNY",  # type: ignore[arg-type]
            sizes=[lending_pb2.SizeClass(definition="GXB300", size=chance.choice(("small", "micro", "large")))],
        )  # fmt: skip
        if chance.random() < 0.7:
            loan.reliance.CopyFrom(record.reliance)
        # 10 to 1,000 万元, in fen: within what is plausible.
        granted = chance.randrange(10_000_000, 1_000_000_000)
        class_ = BAD if number % 10 == 0 and place == 0 else lending_pb2.LOAN_CLASS_NORMAL
        rows.append(
            lending_pb2.LoanRow(loan=loan, newly_granted=True, granted=granted, balance=granted // 2, loan_class=class_)
        )
    return lending_pb2.FirmLending(
        taxpayer_id=record.identifier, identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, rows=rows
    )


@dataclass
class Table:
    """A sealed table with its leaves, every one of them proven."""

    sealed: envelope_pb2.Envelope
    message: lending_pb2.LendingTable
    #: (salt, firm) in the tree's order.
    leaves: list[tuple[bytes, lending_pb2.FirmLending]]
    shown: list[lending_pb2.OpenedFirm] = field(default_factory=list)
    #: Units of each leaf as its own sums tell them, by what is drawn.
    counted: list[lending_pb2.FirmLending] = field(default_factory=list)

    @property
    def digest(self) -> bytes:
        return envelope.digest(self.sealed)

    def opening(
        self, drawn: Drawn, known: dict[bytes, Record], editions: Iterable[lending_pb2.OpenedEdition]
    ) -> lending_pb2.Opening:
        """What a bank that follows the procedure shows. Args: known — by commitment."""
        held = (units_in(firm, drawn.challenge.unit) for firm in self.counted)
        opening = lending_pb2.Opening(challenge=drawn.challenge_digest, table=drawn.table_digest)
        relied = False
        for (_, firm), shown, hit in zip(self.leaves, self.shown, opened_leaves(held, drawn.units), strict=True):
            if not hit:
                continue
            opened = opening.firms.add()
            opened.CopyFrom(shown)
            told = [row.loan.reliance.commitment for row in firm.rows if row.loan.HasField("reliance")]
            opened.reliances.extend(known[made].shown for made in dict.fromkeys(told))
            relied = relied or bool(told)
        if relied:
            opening.editions.extend(editions)
        return opening


def seal_table(
    firms: Iterable[lending_pb2.FirmLending],
    signer: Signer,
    agreement_id: str = "2018-1",
    *,
    counts: Callable[[lending_pb2.FirmLending], lending_pb2.FirmLending] = lambda firm: firm,
    tells: Callable[[lending_pb2.LendingTable], None] = lambda table: None,
    node: Callable[[Node], Node] = lambda node: node,
    issued_at_ms: int = 1_541_030_400_000,
) -> Table:
    """
    Args:
        counts: the rows whose sums the bank puts into a leaf, instead of those it commits to.
        tells: changes the table after its tree was made.
        node: what it puts into the tree in the place of a node.
    """
    chance = random.Random(7)
    leaves = [(chance.randbytes(32), firm) for firm in firms]
    leaves.sort(key=lambda leaf: commitment(leaf[0], _bytes(leaf[1])))
    counted = [counts(firm) for _, firm in leaves]
    cells = [
        (dimension, value)
        for dimension in DIMENSIONS
        for value in sorted({value_of(dimension)(row) for firm in counted for row in firm.rows if any(amounts(row))})
    ]
    layout = Layout(cells)
    tree = LendingTree(layout, range(len(leaves)))
    tree._tree._lanes = _Lying(layout.lanes, node)
    for (salt, firm), told in zip(leaves, counted, strict=True):
        tree.add(commitment(salt, _bytes(firm)), layout.sums(told))
    root = tree.root()
    values = Lanes(layout.lanes).unpack(root.sums)
    table = lending_pb2.LendingTable(
        bank=signer.key.party, period=Q1, currency="CNY", agreement_id=agreement_id, rows=values[0],
        firms=len(leaves), root=root.hash, margins=layout.margins(values), issued_by=signer.key.holder,
        issued_at_ms=issued_at_ms,
    )  # fmt: skip
    tells(table)
    proofs = tree.proofs()
    shown = [
        opened_firm(number, salt, _bytes(firm), proofs[number], tree.lanes)
        for number, (salt, firm) in enumerate(leaves)
    ]
    return Table(envelope.seal(table, signer), table, leaves, shown, counted)


class _Lying(Lanes):
    def __init__(self, count: int, lie: Callable[[Node], Node]) -> None:
        super().__init__(count)
        self._lie = lie

    def node(self, left: Node, right: Node) -> Node:
        return self._lie(super().node(left, right))


def _bytes(firm: lending_pb2.FirmLending) -> bytes:
    return firm.SerializeToString(deterministic=True)
