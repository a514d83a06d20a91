"""Whom a CORRECTION recalls, how far that is, and which loans relied on what it takes back.

Everything rests on the banks' own receipts, verified under pinned keys: a bank knows an edition from the signed time of
its APPLIED receipt on. What the gateway says beside that is shown as its word.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from adapters.bureau.editions import Edition, Editions
from adapters.bureau.serialised import identifier_of, is_gone
from adapters.bureau.states import State, States, entries_of
from audit import records
from xinyi import days, identifiers
from xinyi.errors import Invalid
from xinyi.v1 import records_pb2

_COLUMNS = ("bank", "loan", "taxpayer_id", "granted_on")


@dataclass(frozen=True)
class Recipient:
    """One bank that was given what the correction takes back."""

    recipient: str
    #: When it signed for the first wrong edition.
    received_at_ms: int
    #: "agreement", "recall"; empty where the gateway shows no delivery of the correction yet.
    ground: str
    #: "confirmed": landed, by its own receipt. "told": it has signed for the bytes. "open": neither. "stopped": not
    #: confirmed, and not asked any more, because the correction was stopped.
    state: str
    confirmed_at_ms: int
    #: What keeps its receipts from being verified here.
    why: str


def recipients(editions: Sequence[Mapping[str, Any]], correction: str) -> list[Recipient]:
    """Args:
    editions: of the product, as `standing.describe` tells them.
    correction: its digest in hex.

    Raises Invalid where it is no CORRECTION, or the edition it corrects is not among them.
    """
    wrong, told = _concerned(editions, correction)
    received: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for edition in wrong:
        for delivery in edition["deliveries"]:
            received[delivery["recipient"]] += [r for r in delivery["receipts"] if r["stage"] != "REJECTED"]
    deliveries = {delivery["recipient"]: delivery for delivery in told["deliveries"]}
    return [
        _recipient(name, receipts, deliveries.get(name), stopped=told["state"] == "STOPPED")
        for name, receipts in sorted(received.items())
        if receipts
    ]


def _recipient(
    name: str, received: Sequence[Mapping[str, Any]], delivery: Mapping[str, Any] | None, *, stopped: bool
) -> Recipient:
    receipts = delivery["receipts"] if delivery is not None else []
    doubtful = [r["why"] for r in (*received, *receipts) if r["verdict"] != "true"]
    own = {r["stage"]: r["signed_at_ms"] for r in receipts if r["verdict"] == "true" and r["stage"] != "REJECTED"}
    return Recipient(
        recipient=name,
        received_at_ms=min(r["signed_at_ms"] for r in received),
        ground=delivery["ground"] if delivery is not None else "",
        state="confirmed" if "APPLIED" in own else "stopped" if stopped else "told" if own else "open",
        confirmed_at_ms=own.get("APPLIED", 0),
        why=doubtful[0] if doubtful else "",
    )


def _concerned(
    editions: Sequence[Mapping[str, Any]], correction: str
) -> tuple[list[Mapping[str, Any]], Mapping[str, Any]]:
    """(the editions that it corrects, the correction)."""
    by_digest = {edition["manifest"]: edition for edition in editions}
    told = by_digest[correction]
    first = by_digest.get(told["corrects"])
    if first is None:
        raise Invalid(f"edition {correction[:16]} is a {told['kind']}, it corrects nothing here", basis="recall.kind")
    wrong = [e for e in editions if first["sequence"] <= e["sequence"] < told["sequence"] and e["state"] != "CANCELLED"]
    return wrong, told


class Loan(NamedTuple):
    bank: str
    loan: str
    taxpayer_id: str
    granted_on: date


@dataclass(frozen=True)
class Relied:
    """A loan that relied on a record that was never right."""

    bank: str
    loan: str
    taxpayer_id: str
    granted_on: str
    #: Edition that the bank knew, by its digest, and the grade in it.
    edition: str
    grade: str
    #: What is right; "not in the product" where the correction tells no more.
    true_grade: str


@dataclass
class LoanFile:
    """A CSV in UTF-8 with the columns bank (whole party, or its name in this city), loan, taxpayer_id, granted_on
    (ISO date).

    Args: banks — the whole parties that were given anything of the product, as the gateway shows them.
    """

    path: Path
    banks: Collection[str]
    city: str
    #: Loans read so far.
    read: int = 0

    def __iter__(self) -> Iterator[Loan]:
        """Raises Invalid naming file, row and field: a row passed over would read as a loan that relied on nothing."""
        for loan in _loans(self.path, self.banks, self.city):
            self.read += 1
            yield loan


def _loans(path: Path, banks: Collection[str], city: str) -> Iterator[Loan]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        if missing := set(_COLUMNS) - set(rows.fieldnames or ()):
            raise Invalid(f"{path.name}: columns {', '.join(sorted(missing))} are missing", basis="loans.columns")
        try:
            for row in rows:
                if any(not row[column] for column in _COLUMNS):
                    raise Invalid(f"{path.name}, row {rows.line_num}: a field is empty", basis="loans.field")
                try:
                    granted = date.fromisoformat(row["granted_on"])
                except ValueError:
                    raise Invalid(
                        f"{path.name}, row {rows.line_num}: granted_on is no date like 2018-04-25", basis="loans.field"
                    ) from None
                bank = row["bank"] if "/" in row["bank"] else f"{city}/{row['bank']}"
                if bank not in banks:
                    raise Invalid(
                        f"{path.name}, row {rows.line_num}: bank {row['bank']} was given nothing of this product: "
                        "write <city>/<party>, or the party's name in this city, or take the row out",
                        basis="loans.bank",
                    )
                taxpayer = identifiers.normalise(row["taxpayer_id"])
                if why := identifiers.broken_rule(taxpayer):
                    raise Invalid(
                        f"{path.name}, row {rows.line_num}: taxpayer_id is no identifier, {why}: mend it",
                        basis="loans.taxpayer_id",
                    )
                yield Loan(bank, row["loan"], taxpayer, granted)
        except (csv.Error, UnicodeDecodeError) as error:
            raise Invalid(f"{path.name}, row {rows.line_num}: {error}", basis="loans.file") from error


def relied(
    editions: Editions, shown: Sequence[Mapping[str, Any]], correction: str, loans: Iterable[Loan]
) -> Iterator[Relied]:
    """Loans granted on a record that the correction takes back, as the bank knew it that day.

    Where a bank learned of several editions that day, each counts: the hour of a loan is not known here.

    Args:
        shown: as in `recipients`.

    Raises Conflict where this home has no copy of an edition that a bank knew.
    """
    wrong, told = _concerned(shown, correction)
    known = _known(shown)
    copies = {e["manifest"]: editions.resolve(e["manifest"]) for e in wrong}
    right = {identifier_of(e.record): e.record for e in entries_of(editions.resolve(told["manifest"]))}
    with ExitStack() as stack:
        opened = lru_cache(None)(lambda digest: _Known.of(States(editions), copies[digest], stack))
        for loan in loans:
            identifier = loan.taxpayer_id.encode()
            if identifier not in right:
                continue
            for digest in _held(known.get(loan.bank, []), loan.granted_on):
                record = opened(digest).find(identifier) if digest in copies else None
                if record is not None and record != right[identifier]:
                    yield Relied(
                        *(loan.bank, loan.loan, loan.taxpayer_id, loan.granted_on.isoformat(), digest),
                        *(_grade(record), _grade(right[identifier])),
                    )
                    break


def banks_of(editions: Sequence[Mapping[str, Any]]) -> set[str]:
    """Whole parties that were offered any of these editions."""
    return {delivery["recipient"] for edition in editions for delivery in edition["deliveries"]}


def _known(editions: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[int, int, str]]]:
    """Bank → (signed time of APPLIED, sequence, edition), ascending: what it knew from when on."""
    found: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for edition in editions:
        for delivery in edition["deliveries"]:
            found[delivery["recipient"]] += [
                (receipt["signed_at_ms"], edition["sequence"], edition["manifest"])
                for receipt in delivery["receipts"]
                if (receipt["stage"], receipt["verdict"]) == ("APPLIED", "true")
            ]
    return {bank: sorted(times) for bank, times in found.items()}


def _held(known: Sequence[tuple[int, int, str]], day: date) -> list[str]:
    """Editions that a bank knew at some time of a day: the newest one when it began, and those it learned that day."""
    begin, end = days.begin_of(day), days.end_of(day)
    before = [(sequence, digest) for at, sequence, digest in known if at < begin]
    during = [digest for at, _, digest in known if begin <= at <= end]
    return ([max(before)[1]] if before else []) + during


@dataclass(frozen=True)
class _Known:
    """What stood after one edition, by identifier."""

    state: State
    blind: Callable[[bytes], bytes]

    @classmethod
    def of(cls, states: States, edition: Edition, stack: ExitStack) -> _Known:
        state = stack.enter_context(closing(states.after(edition)))
        return cls(state, records.blinder(edition.blinding_key))

    def find(self, identifier: bytes) -> bytes | None:
        key = self.blind(identifier)
        found = self.state.find([key]).get(key)
        return found.record if found is not None else None


def _grade(record: bytes) -> str:
    if is_gone(record):
        return "not in the product"
    return records_pb2.Grade.Name(records_pb2.GradeRecord.FromString(record).grade).removeprefix("GRADE_")
