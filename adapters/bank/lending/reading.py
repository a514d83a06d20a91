"""Rows of a bank's source, as they are read."""

from __future__ import annotations

from dataclasses import dataclass

from xinyi.v1 import lending_pb2


@dataclass(frozen=True, slots=True)
class LoanLine:
    """One row of the source that holds. Args: line — where it stands in the source, for people."""

    line: int
    taxpayer_id: str
    identifier_kind: int
    row: lending_pb2.LoanRow
