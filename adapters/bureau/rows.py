"""All rows of one table: what becomes of each, and the records in the order of the tree.

Pieces of the table are assessed, and parts of what came of them merged, by whoever is there to do it. Reads the
table once (twice where rows contradict each other); memory does not grow with it. Used alike by `inspect` and by
`publish`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from secrets import token_hex

from adapters.bureau.editions import Edition
from adapters.bureau.mending import MendFile
from adapters.bureau.organisations import Organisations
from adapters.bureau.parts import MergedPart, Workplace, assess_piece, merge_part, write_previous
from adapters.bureau.quality import Tally
from adapters.bureau.runs import PARTS
from adapters.tables.reading import Table
from xinyi import files
from xinyi.processes import Crew, Inline, in_order

#: Called with the number of rows read so far.
Progress = Callable[[int], None]

#: Chunks of a predecessor that one call takes: some 3 MB.
_PREVIOUS_CHUNKS = 16
#: Bytes of a table below which other processes would begin too late to help.
_SMALL = 4 << 20


class Rows:
    """Args:
    blinding_key: only order and equality of what it blinds matter here.
    path: private directory for what memory should not hold.
    crew: who works on large tables; this process where None.
    """

    def __init__(self, table: Table, blinding_key: bytes, path: Path, crew: Crew | None = None) -> None:
        self.table = table
        self.tally = Tally()
        self.organisations = Organisations()
        self.headings: list[str] = []
        self._blinding_key = blinding_key
        # A name of its own: what calls share is known by its path for as long as a process lives.
        self._path = path / token_hex(8)
        files.make_directory(self._path)
        self._crew: Crew = crew if crew is not None and table.size_bytes >= _SMALL else Inline()
        self._mend = MendFile(self._path / "mend")
        self._quarantined: dict[int, str] = {}
        self._compared = False
        self._grades: Counter[int] = Counter()

    def read(self, progress: Progress) -> None:
        """Assesses every row. Raises Invalid where the table as a whole cannot be read."""
        pieces = self.table.pieces()
        _, head = next(pieces)
        [self.headings] = head.rows()
        place = self._workplace(sealed=False)
        files.make_directory(place.drafts)
        shared = place.save("assessing")
        calls = ((shared, run, first, piece) for run, (first, piece) in enumerate(pieces))
        for piece in in_order(self._crew, assess_piece, calls):
            self.tally.add(piece.tally)
            self._grades.update(piece.grades)
            self._mend.add(piece.others)
            self.organisations.look(piece.marks)
            progress(self.tally.rows)

    def set_previous(self, edition: Edition) -> None:
        """Compares with this edition when the parts are made."""
        self._compared = True
        place = self._workplace(sealed=False)
        files.make_directory(place.previous)
        chunks = (data for _, data in edition.chunks())
        groups = iter(lambda: list(islice(chunks, _PREVIOUS_CHUNKS)), [])
        calls = ((str(place.previous), run, self._blinding_key, group) for run, group in enumerate(groups))
        for _ in in_order(self._crew, write_previous, calls):
            pass

    def parts(self, *, sealed: bool, keeps_salts: bool = False) -> Iterator[MergedPart]:
        """256 parts whose records ascend from the first to the last.

        Args:
            sealed: whether salts and leaves are wanted.
            keeps_salts: records that are unchanged since the previous edition keep theirs.
        """
        place = self._workplace(sealed=sealed, keeps_salts=keeps_salts)
        self.organisations.save(place.suspects)
        shared = place.save("merging")
        for part in in_order(self._crew, merge_part, ((shared, number) for number in range(PARTS))):
            self.tally.add(part.tally)
            self._grades.subtract(part.fewer)
            self._quarantined.update(part.quarantined)
            self.organisations.keep(part.sharing)
            yield part

    def write_mend(self, path: Path) -> None:
        """The CSV of rows to mend; after `parts` was exhausted. It names taxpayers."""
        self._mend.write(path, self.table, self.headings, self._quarantined)

    def _workplace(self, *, sealed: bool, keeps_salts: bool = False) -> Workplace:
        return Workplace(
            self._path,
            self.table.profile,
            self.headings,
            self._blinding_key,
            self._compared,
            keeps_salts,
            sealed,
        )

    @property
    def grades(self) -> dict[int, int]:
        """Grade number → records, in ascending order; whole after `parts` was exhausted."""
        return {grade: count for grade, count in sorted(self._grades.items()) if count}
