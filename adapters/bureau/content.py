"""What an edition tells of some taxpayers, and the state that they come to.

From a whole file: a FULL tells every record, a DELTA what differs. From a file of changes: a DELTA or CORRECTION tells
what it names, where that differs. Whoever a row is about that decides nothing keeps the record in a DELTA, since no
decision is no change, and loses it in a FULL, which holds nothing but what its file says.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.bureau.assessment import CHANGED, GONE, NEW, Draft
from adapters.bureau.comparison import Compared, Standing, compare
from adapters.bureau.serialised import gone, identifier_of, is_gone
from adapters.bureau.states import State
from audit import buckets, records

#: (blinded key, salt, serialised record)
Salted = tuple[bytes, bytes, bytes]
#: (blinded key, its rows, their record) → the rule that they end under, "" for none.
Judge = Callable[[bytes, Sequence[Draft], bytes], str]


@dataclass
class Content:
    #: Ascending.
    told: list[Salted]
    #: blinded key ‖ commitment of each of them, where they are all that stands.
    entries: list[bytes]
    #: Bucket → all entries that stand in it now. From a file of changes: of those alone that it changes.
    buckets: dict[int, bytes]
    compared: Compared | None = None
    #: Keys of taxpayers about whom no row decides anything: their record is kept (DELTA) or lost (FULL).
    undecided: list[bytes] = field(default_factory=list)


def full(
    items: Sequence[tuple[bytes, bytes]],
    before: dict[bytes, Standing] | None,
    doubts: Collection[bytes],
    *,
    keep_salts: bool,
) -> Content:
    """Args:
    items: (blinded key, serialised record), ascending.
    before: what stood; None where there is nothing to compare with.
    doubts: keys of whom a row is about that decides nothing.
    """
    salts = _new_salts(len(items))
    compared, undecided = None, []
    if before is not None:
        compared, _ = compare(before, items, salts, keep_salts=keep_salts)
        undecided = [key for key in before if key in doubts]
        for key, standing in before.items():
            compared.lose(standing, "lost" if key in doubts else "gone")
    told = [(key, salt, record) for (key, record), salt in zip(items, salts, strict=True)]
    entries = _entries(told)
    # A part begins and ends with its own buckets.
    held = dict(buckets.cut([key for key, _ in items], b"".join(entries)))
    return Content(told, entries, held, compared, undecided)


def delta(
    items: Sequence[tuple[bytes, bytes]], before: dict[bytes, Standing], doubts: Collection[bytes]
) -> Content:
    """What differs in a whole file. Args: as `full`."""
    salts = _new_salts(len(items))
    compared, differing = compare(before, items, salts, keep_salts=True)
    stands = [(key, salt, record) for (key, record), salt in zip(items, salts, strict=True)]
    told = [stands[i] for i in differing]
    undecided = [key for key in before if key in doubts]
    for key in undecided:
        standing = before.pop(key)
        compared.unchanged += 1
        compared.tell("kept", standing.record, standing.record)
        stands.append((key, *standing))
    for (key, standing), salt in zip(before.items(), _new_salts(len(before)), strict=True):
        compared.lose(standing)
        told.append((key, salt, gone(standing.record)))
    stands.sort()
    told.sort()
    held = dict(buckets.cut([key for key, *_ in stands], b"".join(_entries(stands))))
    return Content(told, _entries(told), held, compared, undecided)


def changes(
    items: Sequence[tuple[bytes, bytes]], state: State, before: Mapping[bytes, Standing], *, correction: bool
) -> Content:
    """Args:
    items: (blinded key, serialised record or that the taxpayer is gone), ascending.
    state: what stands before.
    before: in it, the records of the items' keys.
    correction: also tells of taxpayers that have left meanwhile that they are gone.
    """
    compared = Compared()
    told: list[Salted] = []
    for (key, record), salt in zip(items, _new_salts(len(items)), strict=True):
        standing = before.get(key)
        if not is_gone(record):
            if not compared.look(standing, record):
                continue
        elif standing is not None:
            compared.lose(standing)
        elif correction:
            compared.tell("gone before", b"", record)
        else:
            continue
        told.append((key, salt, record))
    entries = _entries(told)
    changed = [
        (key, None if is_gone(record) else entry[32:])
        for (key, _, record), entry in zip(told, entries, strict=True)
    ]
    held = {
        number: buckets.changed(state.bucket(number)[0], own, strict=not correction)
        for number, own in buckets.by_bucket(changed).items()
    }
    return Content(told, entries, held, compared)


def judge_changes(standing: Container[bytes]) -> Judge:
    """How a DELTA's rows agree with what stands. Args: standing — keys of all that do, among those asked about."""

    def judge(key: bytes, rows: Sequence[Draft], record: bytes) -> str:
        words = {row[5] for row in rows}
        if is_gone(record):
            return "change.gone_unknown" if GONE in words and key not in standing else ""
        if key in standing:
            return "change.not_new" if NEW in words else ""
        return "change.not_there" if CHANGED in words else ""

    return judge


def judge_correction(
    standing: Container[bytes], corrected: State, blinding_key: bytes, drafts: Sequence[Draft]
) -> Judge:
    """Whether those whom a CORRECTION names stood in the corrected edition.

    Args:
        standing: as `judge_changes`.
        corrected: what stood after that edition, `blinding_key` its key.
        drafts: all that will be asked about.
    """
    blind = records.blinder(blinding_key)
    stood = corrected.find({blind(identifier_of(draft[4])) for draft in drafts}).keys()

    def judge(key: bytes, rows: Sequence[Draft], record: bytes) -> str:
        if blind(identifier_of(record)) not in stood:
            return "correction.subject"
        left = key not in standing and not is_gone(record)
        return "correction.left" if left and NEW not in {row[5] for row in rows} else ""

    return judge


def _entries(salted: Sequence[Salted]) -> list[bytes]:
    sealed = records.commitments([record for *_, record in salted], [salt for _, salt, _ in salted])
    return [key + commitment for (key, *_), commitment in zip(salted, sealed, strict=True)]


def _new_salts(count: int) -> list[bytes]:
    """Randomness of the operating system, 32 bytes each."""
    random = os.urandom(records.SALT_BYTES * count)
    return [random[i : i + records.SALT_BYTES] for i in range(0, len(random), records.SALT_BYTES)]
