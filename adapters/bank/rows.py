"""Records of an edition as the rows that land: the columns of GradeRecord, from its descriptor.

Made where a chunk is examined, perhaps in another process: rows travel as a few long strings.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from adapters.bank.rules import BankRules
from adapters.tables.columns import Projection, Value
from adapters.tables.target import GONE, Columns, Row, Shown
from audit.records import CHUNK_RECORDS, ExaminedChunk, VerifiedChunk, examine, verify_chunk
from xinyi.grade_columns import Decision, GradeColumns
from xinyi.v1 import records_pb2

#: Whoever is gone has no row.
_PROJECTION = Projection(records_pb2.GradeRecord, without=("gone",))
#: Columns of identifier, kind and names: each record's own. Those of its decision stand in thousands of rows.
_OWN = 4
COLUMNS = Columns(_PROJECTION.columns[:_OWN], _PROJECTION.columns[_OWN:])

_, _USCC, _, _ONE_NAME = _PROJECTION.rows(
    [records_pb2.GradeRecord(identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, names=["one"])]
)[0][:_OWN]


@dataclass(frozen=True)
class ChunkRows:
    """Rows of the records of one chunk."""

    size: int
    #: Identifiers and names of the plain records, one a line; and which of `decisions` is theirs, 32 bits each.
    identifiers: str
    names: str
    decided: bytes
    decisions: tuple[tuple[Value, ...], ...]
    #: Every other record's row, by place.
    others: dict[int, Shown]

    def rows(self) -> list[Shown]:
        """In the order of the records."""
        decisions = map(self.decisions.__getitem__, array("I", self.decided))
        columns = self.identifiers.split("\n"), self.names.split("\n")
        plain: Iterator[Shown] = (
            (identifier, _USCC, name, _ONE_NAME, decision)
            for identifier, name, decision in zip(*columns, decisions, strict=False)
        )
        if not self.others:
            return list(plain)
        return [self.others[place] if place in self.others else next(plain) for place in range(self.size)]

    @classmethod
    def of(cls, records: GradeColumns) -> ChunkRows:
        """Of records that keep the field rules: no name holds a line's end."""
        numbers: dict[Decision, int] = {}
        decided = array("I", [numbers.setdefault(d, len(numbers)) for d in records.decisions])
        others = _PROJECTION.rows(list(records.others.values()))
        return cls(
            records.size,
            "\n".join(records.identifiers),
            "\n".join(records.names),
            decided.tobytes(),
            tuple(map(_shared, numbers)),
            {place: (*row[:_OWN], row[_OWN:]) for place, row in zip(records.others, others, strict=True)},
        )


@lru_cache(maxsize=65_536)
def _shared(decision: Decision) -> tuple[Value, ...]:
    return _PROJECTION.rows([decision.record])[0][_OWN:]


@dataclass(frozen=True)
class ExaminedRows(ExaminedChunk):
    """An examined chunk with its rows, and those that the bank's own rules refuse."""

    rows: ChunkRows
    #: place → (rule, blinded key)
    refused: dict[int, tuple[str, bytes]]
    #: Places of taxpayers that are gone.
    gone: frozenset[int]
    #: As of VerifiedChunk.
    entries: bytes

    def landed(self, number: int) -> list[Row]:
        """Args: number — of the chunk."""
        first = number * CHUNK_RECORDS
        hidden = {place: rule for place, (rule, _) in self.refused.items()} | dict.fromkeys(self.gone, GONE)
        return [(first + place, hidden.get(place), row) for place, row in enumerate(self.rows.rows())]


def examine_rows(data: bytes, blinding_key: bytes, root: bytes, rules: BankRules) -> ExaminedRows:
    """As examine_chunk, with the rows of its records and the verdicts of the bank's own rules."""
    chunk: VerifiedChunk = verify_chunk(data, blinding_key, root)
    seen = examine(chunk)
    refused = {
        place: (rule, chunk.blinded_keys[place])
        for place, rule in enumerate(rules.verdicts(chunk.records))
        if rule is not None
    }
    return ExaminedRows(
        **vars(seen),
        rows=ChunkRows.of(chunk.records),
        refused=refused,
        gone=frozenset(place for place, record in chunk.records.others.items() if record.gone),
        entries=chunk.entries,
    )
