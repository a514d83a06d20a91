"""One organisation under two identifiers: reported, never merged.

An old taxpayer number and a USCC of one organisation hold the same organisation code. Memory stays flat: a
first look at all codes marks those that may stand twice, a second one keeps the marked ones alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from zlib import crc32

#: 16 MiB of marks: one code in 400 is marked wrongly among 320,000, one in 40 among 3,200,000.
_MARKS = 1 << 27


class Organisations:
    """Every record is shown once to `look`, then once to `keep`."""

    def __init__(self) -> None:
        self._marks = bytearray(_MARKS >> 3)
        self._suspects: set[bytes] = set()
        self._identifiers: defaultdict[bytes, set[str]] = defaultdict(set)

    def look(self, records: Iterable[bytes]) -> None:
        marks = self._marks
        for record in records:
            # A serialised GradeRecord begins with its identifier: tag, length, characters.
            code = record[10:19] if record[1] == 18 else record[8:17]
            mark = crc32(code) & (_MARKS - 1)
            bit = 1 << (mark & 7)
            if marks[mark >> 3] & bit:
                self._suspects.add(code)
            else:
                marks[mark >> 3] |= bit

    def keep(self, records: Iterable[bytes]) -> None:
        suspects = self._suspects
        for record in records:
            code = record[10:19] if record[1] == 18 else record[8:17]
            if code in suspects:
                self._identifiers[code].add(record[2 : 2 + record[1]].decode())

    def found(self) -> list[list[str]]:
        """Identifiers that share an organisation code, sorted."""
        return sorted(sorted(own) for own in self._identifiers.values() if len(own) > 1)
