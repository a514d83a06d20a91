"""Rows of one taxpayer: one record that keeps every name and office, or a case for a person. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from xinyi import checks
from xinyi.v1 import records_pb2


def merge(rows: Sequence[bytes]) -> tuple[bytes, str]:
    """(the record, "") or (b"", the rule under which all these rows are quarantined).

    Args:
        rows: serialised GradeRecords of one identifier, at least two.
    """
    if len(set(rows)) == 1:
        return rows[0], ""
    records = [records_pb2.GradeRecord.FromString(row) for row in rows]
    names = sorted({name for record in records for name in record.names})
    offices = sorted({office for record in records for office in record.tax_offices})
    if len({record.grade for record in records}) > 1:
        return b"", "record.grades_differ"
    for record in records:
        del record.names[:]
        del record.tax_offices[:]
    if any(record != records[0] for record in records):
        return b"", "record.decisions_differ"
    if len(names) > checks.MAX_NAMES or len(offices) > checks.MAX_TAX_OFFICES:
        return b"", "record.too_many"
    merged = records[0]
    merged.names.extend(names)
    merged.tax_offices.extend(offices)
    return merged.SerializeToString(deterministic=True), ""
