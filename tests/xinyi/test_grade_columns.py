"""Records cut into columns are the records that protobuf reads, and only canonical ones are taken."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.envelope import parse_strict
from proto.vectors import make
from xinyi.errors import EncodingInvalid
from xinyi.grade_columns import GradeColumns
from xinyi.v1 import records_pb2

LONG = "示例" * 40


def records(count: int) -> list[records_pb2.GradeRecord]:
    """Of every shape: plain ones, other kinds of number, several names, long ones, none, without decision."""
    chance, made = random.Random(7), []
    for _ in range(count):
        record = make.grade_record()
        match chance.randrange(8):
            case 0:
                record.taxpayer_id, record.identifier_kind = "360200787252585", 2
            case 1:
                record.names[:] = ["示例一", "示例二"]
            case 2:
                record.names[:] = [LONG]
            case 3:
                record.names[:] = []
            case 4:
                record = records_pb2.GradeRecord(
                    taxpayer_id=record.taxpayer_id, identifier_kind=1, names=["示例"]
                )
            case 5:
                record.names[:] = [""]
        made.append(record)
    return made


def test_columns_hold_every_record_in_its_place() -> None:
    """Whatever the mixture of shapes, place by place the record, its identifier and its grade come back."""
    for count in (1, 2, 30, 200):
        made = records(count)
        columns = GradeColumns([record.SerializeToString(deterministic=True) for record in made])
        assert [columns.record(place) for place in range(columns.size)] == made
        assert columns.keys() == [record.taxpayer_id.encode() for record in made]
        assert sum(columns.grades().values()) == count
        assert columns.fields() == {field.name for record in made for field, _ in record.ListFields()}
        assert columns.grades()[records_pb2.GRADE_A] == sum(r.grade == records_pb2.GRADE_A for r in made)


def verdicts(data: bytes) -> tuple[bool, bool]:
    """Whether columns take these bytes, and whether the strict check of the whole message does."""
    taken = []
    for read in (lambda: GradeColumns([data]), lambda: parse_strict(data, records_pb2.GradeRecord)):
        try:
            read()
        except EncodingInvalid:
            taken.append(False)
        else:
            taken.append(True)
    return taken[0], taken[1]


def test_every_changed_byte_gets_the_verdict_of_the_whole_message() -> None:
    """Each byte of a record set to each value, and each truncation: never taken where the parser differs."""
    honest = make.grade_record().SerializeToString(deterministic=True)
    assert verdicts(honest) == (True, True)
    refused = 0
    for place in range(len(honest)):
        assert len(set(verdicts(honest[:place]))) == 1, place
        for value in range(256):
            changed = honest[:place] + bytes([value]) + honest[place + 1 :]
            columns, whole = verdicts(changed)
            assert columns == whole, (place, value)
            refused += not columns
    assert refused > 1000


@pytest.mark.parametrize(
    "field", [b"\x0a\x01A", b"\x10\x02", b"\x1a\x01B", b"\x30\x02", b"\x9a\x3e\x01x", b"\x30\x81\x00"]
)
def test_repeated_late_and_unknown_fields_are_refused(field: bytes) -> None:
    """A second identifier, kind or grade behind the first, an unknown field, a number that is not minimal."""
    honest = make.grade_record().SerializeToString(deterministic=True)
    assert verdicts(honest + field) == (False, False)


@given(st.binary(max_size=120))
@settings(max_examples=600, deadline=None)
def test_any_tail_gets_the_verdict_of_the_whole_message(tail: bytes) -> None:
    """Random bytes behind a plain record's head."""
    columns, whole = verdicts(b"\x0a\x1291990101482791123H\x10\x01\x1a\x06" + "示例".encode() + tail)
    assert columns == whole
