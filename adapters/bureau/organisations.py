"""One organisation under two identifiers: reported, never merged.

An old taxpayer number and a USCC of one organisation hold the same organisation code. Memory stays flat: a
first look at all codes marks those that may stand twice, a second one keeps the marked ones alone.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from zlib import crc32

from xinyi import files
from xinyi.v1 import records_pb2

#: 16 MiB of marks: one code in 400 is marked wrongly among 320,000, one in 40 among 3,200,000.
_MARKS = 1 << 27
#: A serialised GradeRecord begins with its identifier (tag, length, characters), then its kind.
_REGISTRATION = records_pb2.IDENTIFIER_KIND_REGISTRATION_NUMBER


def _code(record: bytes) -> bytes:
    """The organisation code inside a USCC or an old taxpayer number; a registration number has none."""
    if record[1] == 18:
        return record[10:19]
    return b"" if record[18] == _REGISTRATION else record[8:17]


def marks_of(records: Iterable[bytes]) -> bytes:
    """Marks of the organisation codes in serialised GradeRecords, 32 bits each."""
    return array("I", [crc32(code) & (_MARKS - 1) for record in records if (code := _code(record))]).tobytes()


def sharing(suspects: str, records: Iterable[bytes]) -> list[tuple[bytes, str]]:
    """(code, identifier) of the records whose code is suspected in this file."""
    marks = _suspects(suspects)
    if not marks:
        return []
    found = []
    for record in records:
        code = _code(record)
        if code and crc32(code) & (_MARKS - 1) in marks:
            found.append((code, record[2 : 2 + record[1]].decode()))
    return found


@lru_cache(maxsize=2)
def _suspects(file: str) -> frozenset[int]:
    return frozenset(array("I", Path(file).read_bytes()))


class Organisations:
    """Every record's mark goes to `look`; then what `sharing` found goes to `keep`."""

    def __init__(self) -> None:
        self._marks = bytearray(_MARKS >> 3)
        self._suspects: set[int] = set()
        self._identifiers: defaultdict[bytes, set[str]] = defaultdict(set)

    def look(self, marks: bytes) -> None:
        """Args: marks — as `marks_of` gives them."""
        seen = self._marks
        for mark in array("I", marks):
            bit = 1 << (mark & 7)
            if seen[mark >> 3] & bit:
                self._suspects.add(mark)
            else:
                seen[mark >> 3] |= bit

    def save(self, file: Path) -> None:
        """Writes the suspects for `sharing`; everything was looked at."""
        files.create(file, array("I", sorted(self._suspects)).tobytes())
        self._marks.clear()

    def keep(self, shared: Iterable[tuple[bytes, str]]) -> None:
        for code, identifier in shared:
            self._identifiers[code].add(identifier)

    def found(self) -> list[list[str]]:
        """Identifiers that share an organisation code, sorted."""
        return sorted(sorted(own) for own in self._identifiers.values() if len(own) > 1)
