"""All rows of one table: what becomes of each, and the records in the order of the tree.

Pieces of the table are assessed, and parts of what came of them merged, by whoever is there to do it. Reads the
table once (twice where rows contradict each other); memory does not grow with it. Used alike by `inspect` and by
`publish`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from secrets import token_hex

from adapters.bureau.editions import Edition
from adapters.bureau.mending import MendFile
from adapters.bureau.organisations import Organisations
from adapters.bureau.parts import MergedPart, Workplace, assess_piece, merge_parts, write_previous
from adapters.bureau.quality import Tally
from adapters.bureau.runs import together
from adapters.bureau.states import State
from adapters.tables.reading import Table
from xinyi import files
from xinyi.fields import LAST_YEAR
from xinyi.processes import Crew, Inline, in_order
from xinyi.v1 import edition_pb2

#: Called with the number of rows read so far.
Progress = Callable[[int], None]

#: Chunks of a predecessor that one call takes: some 3 MB.
_PREVIOUS_CHUNKS = 16
#: Rows, or records that they are compared with, that one call merges where the parts are smaller. What a file of
#: changes names may lie in as many buckets, which are held together.
_TOGETHER = 512
#: Bytes of a table below which other processes would begin too late to help.
_SMALL = 4 << 20


class Rows:
    """Args:
    blinding_key: only order and equality of what it blinds matter here.
    path: private directory for what memory should not hold.
    crew: who works on large tables; this process where None.
    product: of a file of changes; a grade that it does not hold says that the taxpayer is gone.
    year: of the edition; no evaluation comes after it. Any may where it is not known.
    """

    def __init__(
        self,
        table: Table,
        blinding_key: bytes,
        path: Path,
        crew: Crew | None = None,
        *,
        product: str = "",
        year: int = LAST_YEAR,
    ) -> None:
        self.table = table
        self.tally = Tally()
        self.organisations = Organisations()
        self.headings: list[str] = []
        # A name of its own: what calls share is known by its path for as long as a process lives.
        path = path / token_hex(8)
        self._place = Workplace(path, table.profile, [], blinding_key, product=product, year=year)
        for directory in (path, self._place.drafts, self._place.doubts, self._place.previous):
            files.make_directory(directory)
        self._crew: Crew = crew if crew is not None and table.size_bytes >= _SMALL else Inline()
        #: Records that the rows are compared with one by one.
        self._before = 0
        self._mend = MendFile(path / "mend")
        self._later: dict[int, list[str]] = {}
        self._grades: Counter[int] = Counter()

    def read(self, progress: Progress) -> None:
        """Assesses every row. Raises Invalid where the table as a whole cannot be read."""
        pieces = self.table.pieces()
        _, head = next(pieces)
        [self.headings] = head.rows()
        self._place = replace(self._place, headings=self.headings)
        shared = self._place.save("assessing")
        calls = ((shared, run, first, piece) for run, (first, piece) in enumerate(pieces))
        for piece in in_order(self._crew, assess_piece, calls):
            self.tally.add(piece.tally)
            self._grades.update(piece.grades)
            self._mend.add(piece.others)
            self.organisations.look(piece.marks)
            progress(self.tally.rows)

    def compare_with(self, chain: Sequence[Edition], *, keeps_salts: bool) -> None:
        """Compares a whole file with what stands when the parts are made.

        Args:
            chain: editions from a FULL on whose records come to it.
            keeps_salts: records that are unchanged keep theirs.
        """
        self._place = replace(self._place, compared=True, keeps_salts=keeps_salts)
        self._before = sum(edition.manifest.record_count for edition in chain)
        calls = (
            (str(self._place.previous), run, sequence, self._place.blinding_key, group)
            for run, (sequence, group) in enumerate(_groups(chain))
        )
        for _ in in_order(self._crew, write_previous, calls):
            pass

    def change(self, state: State, corrected: tuple[State, bytes] | None = None) -> None:
        """Takes the table as a file of changes.

        Args:
            state: what stands.
            corrected: what stood after the edition that is corrected, and its blinding key.
        """
        self._place = replace(self._place, state=state, corrected=corrected)

    def parts(self, kind: edition_pb2.EditionKind | None) -> Iterator[MergedPart]:
        """All records, in parts that ascend from the first to the last.

        Args:
            kind: of the edition; None where neither salts nor leaves are wanted.
        """
        place = replace(self._place, kind=kind)
        self.organisations.save(place.suspects)
        shared = place.save("merging")
        calls = ((shared, numbers) for numbers in together(max(self.tally.rows, self._before), _TOGETHER))
        for part in in_order(self._crew, merge_parts, calls):
            self.tally.add(part.tally)
            self._grades.subtract(part.fewer)
            self._later.update(part.later)
            self.organisations.keep(part.sharing)
            yield part

    def write_mend(self, path: Path) -> None:
        """The CSV of rows to mend; after `parts` was exhausted. It names taxpayers."""
        self._mend.write(path, self.table, self.headings, self._later)

    @property
    def grades(self) -> dict[int, int]:
        """Grade number → records, in ascending order; whole after `parts` was exhausted."""
        return {grade: count for grade, count in sorted(self._grades.items()) if count}


def _groups(chain: Sequence[Edition]) -> Iterator[tuple[int, list[bytes]]]:
    """(sequence, chunks that one call takes)."""
    for edition in chain:
        chunks = (data for _, data in edition.chunks())
        while group := list(islice(chunks, _PREVIOUS_CHUNKS)):
            yield edition.manifest.sequence, group
