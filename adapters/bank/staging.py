"""One edition's records on their way: rows into the target, entries into the state, and what is known of both."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from adapters.bank.rows import ExaminedRows
from adapters.bank.rules import Tally
from adapters.bank.state import State
from adapters.tables.target import Row, Shown, Target
from audit.chunk_stream import SealedChunk
from xinyi.errors import DigestMismatch

#: Rows as they are shown here, out of rows as they were told; one for one.
Alter = Callable[[list[Row]], list[Row]]


class Staging:
    """
    Args:
        target: where the rows go; None where they are shown already, and later editions changed them.
        write: False where they lie in the target already.
        state: what their entries are added to; None where they are in it.
        alter: what a correction that came before its turn makes of the rows.
    """

    def __init__(
        self,
        target: Target | None,
        state: State | None,
        *,
        write: bool = True,
        alter: Alter = lambda rows: rows,
    ) -> None:
        self.tally = Tally()
        self.new = write
        self.state = state
        self._target = target
        self._alter = alter
        #: Of each chunk: rows shown, and their digest.
        self._shown: list[tuple[int, int]] = []

    @property
    def shown(self) -> int:
        """Rows that are shown."""
        return sum(count for count, _ in self._shown)

    def take(self, chunk: SealedChunk[ExaminedRows]) -> None:
        """The next chunk, which holds: nothing becomes visible before all of them do."""
        examined = chunk.examined
        told = examined.landed(chunk.number)
        self.tally.add(len(told), (examined.refused[place] for place in sorted(examined.refused)))
        if self.state is not None:
            self.state.take(examined, [row[0] for _, _, row in told])
        if self._target is None:
            return
        rows = self._alter(told)
        if self.new:
            self._target.write(rows)
        visible = [row for _, why, row in rows if why is None]
        self._shown.append((len(visible), _digest(visible)))

    def compare(self) -> None:
        """Reads the target's rows back: they are, field by field, those of the records under the sealed root.

        Raises DigestMismatch.
        """
        assert self._target is not None
        rows = self._target.rows()
        for number, (count, digest) in enumerate(self._shown):
            if _digest(list(islice(rows, count))) != digest:
                raise DigestMismatch(
                    f"rows landed from chunk {number} are not its records", basis="landing.rows"
                )
        if next(rows, None) is not None:
            raise DigestMismatch("there are more landed rows than records", basis="landing.rows")


def _digest(rows: list[Shown]) -> int:
    """Of the rows of one chunk, in this process alone. Keyed by the interpreter's secret: what is compared is
    what a database made of our own rows, and a chance of 2^-61 that it changed them unseen."""
    return hash(tuple(rows))
