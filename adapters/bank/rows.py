"""Records of an edition as the rows that land: the columns of GradeRecord, from its descriptor.

Most records differ in identifier and name alone, so a decision's columns are made once for all its records.
"""

from __future__ import annotations

from functools import lru_cache

from adapters.tables.columns import Column, Projection, Value
from xinyi.grade_columns import Decision, GradeColumns
from xinyi.v1 import records_pb2

_PROJECTION = Projection(records_pb2.GradeRecord)

COLUMNS: list[Column] = _PROJECTION.columns

#: Columns of a plain record before those of its decision: identifier, kind, name, and no further names.
_HEAD = 4
_, _USCC, _, _ONE_NAME = _PROJECTION.rows(
    [records_pb2.GradeRecord(identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, names=["one"])]
)[0][:_HEAD]


def rows_of(records: GradeColumns) -> list[tuple[Value, ...]]:
    """One tuple per record, in order."""
    plain = [
        (identifier, _USCC, name, _ONE_NAME, *decision)
        for identifier, name, decision in zip(
            records.identifiers, records.names, map(_columns, records.decisions), strict=True
        )
    ]
    if not records.others:
        return plain
    rows = dict(zip(records.others, _PROJECTION.rows(list(records.others.values())), strict=True))
    rows.update(zip(records.places, plain, strict=True))
    return [rows[place] for place in range(records.size)]


@lru_cache(maxsize=65_536)
def _columns(decision: Decision) -> tuple[Value, ...]:
    return _PROJECTION.rows([decision.record])[0][_HEAD:]
