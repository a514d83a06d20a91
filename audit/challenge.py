"""An auditor's sample of a bank's table: what a challenge draws, and what an opening of it proves. Pure.

    seed   SHA-256("xinyi-sample-seed-v1" NUL ‖ document digest of the table ‖ root hash of the checkpoint)
    units  audit.sampling.draw of that seed: rows of the table, or single fen of what it says was granted or is owed

Units are numbered from 0 in the order of the tree's leaves; a unit lies in the leaf whose running sum covers it, so
that a loan of a hundred times the amount is a hundred times as likely to be drawn (monetary-unit sampling). A leaf is
opened whole: all rows of its enterprise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit import merkle
from audit.envelope import digest, parse_strict
from audit.lending_tree import SealedTable, VerifiedFirm, verify_firm
from audit.record_proof import check_approved
from audit.records import commitment, leaf
from audit.sampling import draw, fewest_found
from audit.verification.findings import EvidenceMissing
from xinyi.days import day_of
from xinyi.errors import DigestMismatch, Invalid, ProofInvalid
from xinyi.lending import check_challenge, check_lending_table, last_day
from xinyi.margins import SUMS
from xinyi.v1 import edition_pb2, envelope_pb2, lending_pb2, records_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.checkpoint import Checkpoint
    from audit.verification.policy import Policy

#: An opening is a file, not a message: larger than any other document.
MAX_OPENING_BYTES = 512 << 20
CONFIDENCES = (0.90, 0.95, 0.99)
_SEED = b"xinyi-sample-seed-v1\0"
#: Lane of the sum tree that counts the units: the rows, or a sum of the total, whose one cell comes first.
LANES: dict[int, int] = {
    lending_pb2.SAMPLE_UNIT_ROWS: 0,
    lending_pb2.SAMPLE_UNIT_GRANTED: 1 + SUMS.index("granted"),
    lending_pb2.SAMPLE_UNIT_BALANCE: 1 + SUMS.index("balance"),
}


def units_in(firm: lending_pb2.FirmLending, unit: int) -> int:
    """How many units a leaf holds."""
    if unit == lending_pb2.SAMPLE_UNIT_ROWS:
        return len(firm.rows)
    granted = unit == lending_pb2.SAMPLE_UNIT_GRANTED
    return sum(row.granted if granted else row.balance for row in firm.rows)


def seed(table: bytes, root: bytes) -> bytes:
    """Args: table — document digest; root — of the log's tree at the challenge's checkpoint."""
    return hashlib.sha256(_SEED + table + root).digest()


def population(table: lending_pb2.LendingTable, unit: int) -> int:
    """How many units a table has. Raises Invalid where there are none."""
    total = table.margins[0].cells[0].sums if table.margins else lending_pb2.LendingSums()
    lane = LANES[unit]
    size: int = getattr(total, SUMS[lane - 1]) if lane else table.rows
    if not size:
        raise Invalid("the table has none of what is to be drawn", basis="challenge.unit")
    return size


@dataclass(frozen=True)
class Drawn:
    """A table and what a challenge draws of it. Whoever makes it from envelopes has checked their seals."""

    table: lending_pb2.LendingTable
    table_digest: bytes
    challenge: lending_pb2.Challenge
    challenge_digest: bytes
    #: Ascending.
    units: list[int]
    #: Of how many.
    population: int

    @classmethod
    def of(cls, table: envelope_pb2.Envelope, challenge: envelope_pb2.Envelope, head: Checkpoint) -> Drawn:
        """Args: head — the challenge's checkpoint, verified under the log's key.

        Raises Invalid, EncodingInvalid, or DigestMismatch where the challenge is to another table.
        """
        sealed = parse_strict(table.payload, lending_pb2.LendingTable)
        check_lending_table(sealed)
        asked = parse_strict(challenge.payload, lending_pb2.Challenge)
        check_challenge(asked)
        named = digest(table)
        if (asked.table, asked.bank, asked.checkpoint) != (named, sealed.bank, head.note):
            raise DigestMismatch("the challenge is to another table, of another bank, or names another head")
        size = population(sealed, asked.unit)
        units = draw(seed(named, head.root), asked.size, size)
        return cls(sealed, named, asked, digest(challenge), units, size)

    @property
    def lane(self) -> int:
        return LANES[self.challenge.unit]

    def fewest_found(self, confidence: float) -> int:
        """The smallest number of wrong units of which at least one would have been drawn with this confidence."""
        return fewest_found(confidence, len(self.units), self.population)


def opened_leaves(held: Iterable[int], units: Sequence[int]) -> Iterator[bool]:
    """Leaf by leaf, whether a drawn unit lies in it. Args: held — units of each leaf; units — drawn ones, ascending."""
    running, place = 0, 0
    for added in held:
        running += added
        before = place
        while place < len(units) and units[place] < running:
            place += 1
        yield place > before


@dataclass(frozen=True)
class Verified:
    """What an opening proved: everything that was drawn, and nothing else."""

    firms: list[VerifiedFirm]
    #: Rows whose grade was proven from the edition they relied on.
    relied: int
    #: Of these the rows whose edition was approved after the table's period had ended, before the table was sealed.
    approved_after_period: int

    @property
    def rows(self) -> list[lending_pb2.LoanRow]:
        return [row for firm in self.firms for row in firm.firm.rows]


def verify_opening(drawn: Drawn, opening: lending_pb2.Opening, policy: Policy) -> Verified:
    """
    1. it is for this challenge, 2. every leaf in it is the table's, counted as it says, 3. they are those in which a
    drawn unit lies, all of them, and no others, 4. no enterprise has two leaves among them, 5. every row that relied
    on a grade shows the record that told it, in an edition which two persons of a bureau of the policy sealed before
    the table was, and no other record is shown.

    Args: opening — whose seal was checked.

    Raises VerificationError; EvidenceMissing where an edition is of a bureau that the policy does not name.
    """
    # 1
    if (opening.challenge, opening.table) != (drawn.challenge_digest, drawn.table_digest):
        raise DigestMismatch("the opening is for another challenge or table")
    # 2
    with _nothing_else():
        table = SealedTable.of(drawn.table)
        firms = [verify_firm(table, firm) for firm in opening.firms]
    # 3
    _check_drawn(drawn, firms)
    # 4
    if len({firm.firm.taxpayer_id for firm in firms}) < len(firms):
        raise ProofInvalid("an enterprise stands in two leaves, and is counted twice", basis="opening.enterprises")
    # 5
    editions = _Editions(opening.editions, policy)
    late = [editions.check(drawn.table, firm, shown) for firm, shown in zip(firms, opening.firms, strict=True)]
    editions.check_used()
    relied = sum(row.loan.HasField("reliance") for firm in firms for row in firm.firm.rows)
    return Verified(firms, relied, sum(late))


def _check_drawn(drawn: Drawn, firms: Sequence[VerifiedFirm]) -> None:
    place, last = 0, -1
    for firm in firms:
        if firm.index <= last:
            raise ProofInvalid("the leaves are not in ascending order", basis="opening.firms")
        begin, before, last = firm.before[drawn.lane], place, firm.index
        end = begin + firm.sums.get(drawn.lane, 0)
        while place < len(drawn.units) and drawn.units[place] < end:
            if drawn.units[place] < begin:
                raise _missing(drawn.units[place])
            place += 1
        if place == before:
            raise ProofInvalid(f"leaf {firm.index} was opened, and nothing in it was drawn", basis="opening.drawn")
    if place < len(drawn.units):
        raise _missing(drawn.units[place])


def _missing(unit: int) -> ProofInvalid:
    return ProofInvalid(f"unit {unit} was drawn, and the leaf it lies in was not opened", basis="opening.drawn")


class _Editions:
    """The editions an opening brings, each verified once."""

    def __init__(self, opened: Iterable[lending_pb2.OpenedEdition], policy: Policy) -> None:
        self._known: dict[bytes, tuple[edition_pb2.Manifest, edition_pb2.Approval]] = {}
        self._used: set[bytes] = set()
        for edition in opened:
            told = parse_strict(edition.manifest.payload, edition_pb2.Manifest)
            if told.origin not in policy.bureaus:
                raise EvidenceMissing(f"an edition is of {told.origin}, which is no bureau of the policy")
            with _nothing_else():
                manifest, approval = check_approved(edition.manifest, edition.approval, policy)
            if manifest.digest in self._known:
                raise ProofInvalid("an edition stands twice in the opening", basis="opening.editions")
            self._known[manifest.digest] = manifest.message, approval.message

    def check(
        self, table: lending_pb2.LendingTable, firm: VerifiedFirm, opened: lending_pb2.OpenedFirm
    ) -> int:
        """Every row of an enterprise beside the record it relied on. Returns how many editions came after the period.

        Raises DigestMismatch or ProofInvalid.
        """
        shown: dict[tuple[bytes, bytes], lending_pb2.OpenedReliance] = {}
        for reliance in opened.reliances:
            shown[reliance.manifest_digest, commitment(reliance.salt, reliance.record)] = reliance
        wanted: set[tuple[bytes, bytes]] = set()
        late = 0
        for row in firm.firm.rows:
            if not row.loan.HasField("reliance"):
                continue
            named = row.loan.reliance.manifest_digest, row.loan.reliance.commitment
            if named not in shown:
                raise ProofInvalid(f"the record that loan {row.loan.reference} relied on is not shown", basis=_RELIANCE)
            wanted.add(named)
            late += self._check_row(table, firm.firm, row, shown[named])
        if len(opened.reliances) != len(wanted):
            raise ProofInvalid("a record is shown on which no opened row relied", basis=_RELIANCE)
        return late

    def _check_row(
        self,
        table: lending_pb2.LendingTable,
        firm: lending_pb2.FirmLending,
        row: lending_pb2.LoanRow,
        shown: lending_pb2.OpenedReliance,
    ) -> bool:
        told, loan = row.loan.reliance, f"loan {row.loan.reference}"
        if told.manifest_digest not in self._known:
            raise ProofInvalid(f"the edition that {loan} relied on is not shown", basis=_RELIANCE)
        manifest, approval = self._known[told.manifest_digest]
        self._used.add(told.manifest_digest)
        record = parse_strict(shown.record, records_pb2.GradeRecord)
        hashed = merkle.leaf_hash(leaf(told.blinded_key, told.commitment))
        merkle.check_inclusion(hashed, shown.index, manifest.record_count, shown.path, manifest.root)
        if (record.taxpayer_id, record.identifier_kind) != (firm.taxpayer_id, firm.identifier_kind):
            raise DigestMismatch(f"the record that {loan} relied on is another taxpayer's")
        if record.gone or (record.grade, record.evaluation_year) != (told.grade, told.evaluation_year):
            raise DigestMismatch(f"the record that {loan} relied on tells another grade or year")
        if approval.approved_at_ms > table.issued_at_ms:
            raise ProofInvalid(f"the edition that {loan} relied on came after the table", basis=_RELIANCE)
        return day_of(approval.approved_at_ms) > last_day(table.period)

    def check_used(self) -> None:
        if self._known.keys() != self._used:
            raise ProofInvalid("an edition is shown on which no opened row relied", basis="opening.editions")


_RELIANCE = "opening.reliance"


@contextmanager
def _nothing_else() -> Iterator[None]:
    """What breaks a rule under a bank's seal is a false statement here, not somebody's slip."""
    try:
        yield
    except Invalid as error:
        raise ProofInvalid(error.explanation, basis=error.basis) from error
