"""Serialised GradeRecords as columns, read strictly and without an object for each.

The records of an edition differ in identifier and name; the same few decisions, which are all other fields,
stand in thousands of them. So a record is cut into identifier, name and decision, and each distinct decision is
parsed once. What is accepted here is byte for byte what `SerializeToString(deterministic=True)` would write:
the cut-off head has one form alone, and every decision is compared with its own serialisation.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import compress

from google.protobuf.message import DecodeError

from xinyi.errors import EncodingInvalid
from xinyi.v1 import records_pb2

#: GradeRecord{taxpayer_id of 18 bytes, identifier_kind USCC, names[0] …} begins with the first, and has the second
#: in bytes 20 to 22; byte 23 is the name's length, where that is below 128.
_IDENTIFIER, _KIND_AND_NAME, _NAME_AT = b"\x0a\x12", b"\x10\x01\x1a", 24
_NO_DECISION = (b"", b"\x1a")


class Decision:
    """All fields of a GradeRecord but identifier, its kind and names; one object for equal bytes."""

    __slots__ = ("record",)

    def __init__(self, record: records_pb2.GradeRecord) -> None:
        #: A GradeRecord that holds the decision's fields alone.
        self.record = record


class GradeColumns:
    """Records of one chunk, in order.

    Plain records (a USCC, one short name) stand in `identifiers`, `names` and `decisions`, place by place;
    every other record is parsed and stands in `others` under its place. A place is in one of the two.

    Raises EncodingInvalid where a record is not in the one expected encoding.
    """

    def __init__(self, records: Sequence[bytes]) -> None:
        self.size = len(records)
        places = [
            place
            for place, record in enumerate(records)
            if record[20:23] == _KIND_AND_NAME
            and record[:2] == _IDENTIFIER
            and len(record) > _NAME_AT
            and record[23] < 0x80
        ]
        cut = [
            (record[2:20], record[_NAME_AT : (end := _NAME_AT + record[23])], record[end:])
            for record in map(records.__getitem__, places)
        ]
        # Nothing, or another name, behind the first name: no plain record after all.
        unfit = {tail for _, _, tail in cut if tail[:1] in _NO_DECISION}
        if unfit:
            fit = [tail not in unfit for _, _, tail in cut]
            places, cut = list(compress(places, fit)), list(compress(cut, fit))
        #: Places of the plain records, ascending.
        self.places = places
        self.others = (
            {place: _parse(records[place]) for place in sorted(set(range(self.size)).difference(places))}
            if len(places) < self.size
            else {}
        )
        identifiers, names, tails = zip(*cut, strict=True) if cut else ((), (), ())
        try:
            self.identifiers = list(map(bytes.decode, identifiers))
            self.names = list(map(bytes.decode, names))
        except UnicodeDecodeError as error:
            raise EncodingInvalid("GradeRecord: a text is not UTF-8") from error
        self.decisions = list(map(_decision, tails))

    def record(self, place: int) -> records_pb2.GradeRecord:
        """One record, parsed."""
        if place in self.others:
            return self.others[place]
        at = bisect_left(self.places, place)
        record = records_pb2.GradeRecord(
            taxpayer_id=self.identifiers[at],
            identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
            names=[self.names[at]],
        )
        record.MergeFrom(self.decisions[at].record)
        return record

    def keys(self) -> list[bytes]:
        """The identifier of every record, in order, in UTF-8."""
        plain = list(map(str.encode, self.identifiers))
        if not self.others:
            return plain
        keys = {place: record.taxpayer_id.encode() for place, record in self.others.items()}
        keys.update(zip(self.places, plain, strict=True))
        return [keys[place] for place in range(self.size)]

    def fields(self) -> frozenset[str]:
        """Names of the fields that any record has."""
        found = {"taxpayer_id", "identifier_kind", "names"} if self.places else set()
        held = [*self.others.values(), *(decision.record for decision in set(self.decisions))]
        return frozenset(found.union(field.name for record in held for field, _ in record.ListFields()))

    def grades(self) -> Counter[int]:
        """Records by grade number."""
        counts: Counter[int] = Counter(record.grade for record in self.others.values())
        for decision, times in Counter(self.decisions).items():
            counts[decision.record.grade] += times
        return counts


def _parse(record: bytes) -> records_pb2.GradeRecord:
    message = records_pb2.GradeRecord()
    try:
        message.ParseFromString(record)
    except DecodeError as error:
        raise EncodingInvalid("GradeRecord: bytes cannot be parsed") from error
    message.DiscardUnknownFields()
    if message.SerializeToString(deterministic=True) != record:
        raise EncodingInvalid("GradeRecord: not in the one expected encoding")
    return message


@lru_cache(maxsize=65_536)
def _decision(tail: bytes) -> Decision:
    record = _parse(tail)
    if record.taxpayer_id or record.identifier_kind or record.names:
        # Fields that ascend come once: these belong before the decision.
        raise EncodingInvalid("GradeRecord: not in the one expected encoding")
    return Decision(record)
