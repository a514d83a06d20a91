"""What was taken back here, and which loans relied on it.

A loan relied on a recalled grade where it was granted from the day on which this bank first knew the edition that
was wrong, to the day on which it was told: days in China, both included.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from adapters.bank.chain import Chain, Link
from adapters.bank.receipts import APPLIED, Receipts
from adapters.bank.spool import Spool
from adapters.tables.encoding import find_encoding
from adapters.tables.target import Recalled
from audit.envelope import parse_strict
from xinyi import identifiers
from xinyi.days import day_of
from xinyi.errors import Invalid, Unknown, UsageInvalid
from xinyi.v1 import exchange_pb2

COLUMNS = ("loan", "taxpayer_id", "granted_on")


@dataclass(frozen=True)
class Relied:
    """A loan that relied on a recalled grade."""

    loan: str
    taxpayer_id: str
    granted_on: str
    #: Manifest digests in hex.
    correction: str
    corrects: str
    what: str
    known_on: str
    recalled_on: str


@dataclass
class Reliance:
    """What became of a file of loans."""

    #: Loans in the file.
    read: int = 0
    #: How many of them relied on a recalled grade.
    relied: int = 0
    #: One by correction: a loan may have relied on several grades that were wrong.
    found: list[Relied] = field(default_factory=list)


def never_landed(products: Sequence[str]) -> UsageInvalid:
    """To be raised where targets know of no edition: that is another answer than that nothing was recalled."""
    return UsageInvalid(
        f"nothing of {', '.join(products)} has landed there, so what was recalled is not known there either: name "
        "where it lands by --to or --csv",
        basis="recalls.target",
    )


def relied_on(loans: Path, recalled: Iterable[Recalled], spool: Spool, receipts: Receipts) -> Reliance:
    """
    Args:
        loans: CSV with the columns of COLUMNS, others may stand beside them.

    Raises Invalid where a line of it cannot be read, Unknown where the spool has lost when an edition was known.
    """
    reliance = Reliance()
    by_taxpayer: dict[str, list[Recalled]] = {}
    for row in recalled:
        by_taxpayer.setdefault(row.taxpayer_id, []).append(row)
    known: dict[str, date] = {}
    for loan, taxpayer, granted in _read(loans):
        reliance.read += 1
        before = len(reliance.found)
        for row in by_taxpayer.get(taxpayer, ()):
            if row.correction not in known:
                known[row.correction] = _known_on(row, spool, receipts)
            told = day_of(row.received_at_ms)
            if known[row.correction] <= granted <= told:
                reliance.found.append(
                    Relied(
                        loan, taxpayer, granted.isoformat(), row.correction, row.corrects, row.what,
                        known[row.correction].isoformat(), told.isoformat(),
                    )
                )  # fmt: skip
        reliance.relied += len(reliance.found) > before
    return reliance


def _read(path: Path) -> Iterator[tuple[str, str, date]]:
    encoding = find_encoding(path)
    name = "utf-8-sig" if encoding.mark else encoding.name
    with path.open(encoding=name, newline="") as file:
        reader = csv.DictReader(file)
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise Invalid(f"{path.name} has no column {', '.join(missing)}", basis="loans.columns")
        for line in reader:
            try:
                granted = date.fromisoformat((line["granted_on"] or "").strip())
            except ValueError as error:
                raise Invalid(
                    f"{path.name}, line {reader.line_num}: granted_on is a date like 2018-04-20; put it right",
                    basis="loans.granted_on",
                ) from error
            taxpayer = identifiers.normalise(line["taxpayer_id"] or "")
            if why := identifiers.broken_rule(taxpayer):
                # What cannot be anybody's would match nothing, and the loan would seem to be sound.
                raise Invalid(
                    f"{path.name}, line {reader.line_num}: taxpayer_id is no identifier, {why}; put it right, or "
                    "leave the loan out where its borrower is no taxpayer with a grade",
                    basis="loans.taxpayer_id",
                )
            yield line["loan"] or "", taxpayer, granted


def _known_on(row: Recalled, spool: Spool, receipts: Receipts) -> date:
    """When this bank first had one of the editions that were wrong, by its own APPLIED receipt."""
    chain = Chain(spool, row.product)
    first = chain.find(bytes.fromhex(row.corrects))
    begin = first.manifest.sequence if first is not None else _corrected_sequence(chain, row)
    applied = [
        signed
        for link in chain
        if begin <= link.manifest.sequence < row.sequence
        and (signed := _applied_at(link, receipts)) is not None
    ]
    if not applied:
        raise Unknown(
            f"the spool does not tell since when edition {row.corrects[:16]}… was known here: restore spool/landed",
            basis="recall.known",
        )
    return day_of(min(applied))


def _corrected_sequence(chain: Chain, row: Recalled) -> int:
    """Where the edition that was wrong first never came here: the first one that did, behind it."""
    for link in chain:
        if link.manifest.predecessor.hex() == row.corrects:
            return link.manifest.sequence
    return 1


def _applied_at(link: Link, receipts: Receipts) -> int | None:
    sealed = receipts.find(link.edition, APPLIED)
    return parse_strict(sealed.payload, exchange_pb2.DeliveryReceipt).signed_at_ms if sealed else None
