"""Serialised GradeRecords, looked at without parsing: each begins with its identifier, then the identifier's kind."""

from __future__ import annotations

from xinyi.v1 import records_pb2

#: Behind identifier and kind: GradeRecord.gone = true, and no more.
_GONE = b"\x58\x01"


def identifier_of(record: bytes) -> bytes:
    """In UTF-8: behind a tag and its length."""
    return record[2 : 2 + record[1]]


def is_gone(record: bytes) -> bool:
    """Whether it says no more than that its taxpayer is gone."""
    return len(record) == record[1] + 6 and record.endswith(_GONE)


def gone(record: bytes) -> bytes:
    """The record that says that the taxpayer of this one is gone."""
    return record[: record[1] + 4] + _GONE


def grade_of(record: bytes) -> int:
    return records_pb2.GradeRecord.FromString(record).grade
