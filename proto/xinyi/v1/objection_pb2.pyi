from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TermUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TERM_UNIT_UNSPECIFIED: _ClassVar[TermUnit]
    TERM_UNIT_WORKING_DAYS: _ClassVar[TermUnit]
    TERM_UNIT_CALENDAR_DAYS: _ClassVar[TermUnit]

class TermNature(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TERM_NATURE_UNSPECIFIED: _ClassVar[TermNature]
    TERM_NATURE_STATUTORY_DUTY: _ClassVar[TermNature]
    TERM_NATURE_AGREED_TERM: _ClassVar[TermNature]
    TERM_NATURE_INTERNAL_TARGET: _ClassVar[TermNature]

class ObjectionOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OBJECTION_OUTCOME_UNSPECIFIED: _ClassVar[ObjectionOutcome]
    OBJECTION_OUTCOME_UPHELD: _ClassVar[ObjectionOutcome]
    OBJECTION_OUTCOME_PARTLY: _ClassVar[ObjectionOutcome]
    OBJECTION_OUTCOME_DENIED: _ClassVar[ObjectionOutcome]
    OBJECTION_OUTCOME_UNDECIDABLE: _ClassVar[ObjectionOutcome]
TERM_UNIT_UNSPECIFIED: TermUnit
TERM_UNIT_WORKING_DAYS: TermUnit
TERM_UNIT_CALENDAR_DAYS: TermUnit
TERM_NATURE_UNSPECIFIED: TermNature
TERM_NATURE_STATUTORY_DUTY: TermNature
TERM_NATURE_AGREED_TERM: TermNature
TERM_NATURE_INTERNAL_TARGET: TermNature
OBJECTION_OUTCOME_UNSPECIFIED: ObjectionOutcome
OBJECTION_OUTCOME_UPHELD: ObjectionOutcome
OBJECTION_OUTCOME_PARTLY: ObjectionOutcome
OBJECTION_OUTCOME_DENIED: ObjectionOutcome
OBJECTION_OUTCOME_UNDECIDABLE: ObjectionOutcome

class Term(_message.Message):
    __slots__ = ("nature", "basis", "amount", "unit", "confirmed", "calendar")
    NATURE_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    CALENDAR_FIELD_NUMBER: _ClassVar[int]
    nature: TermNature
    basis: str
    amount: int
    unit: TermUnit
    confirmed: bool
    calendar: str
    def __init__(self, nature: _Optional[_Union[TermNature, str]] = ..., basis: _Optional[str] = ..., amount: _Optional[int] = ..., unit: _Optional[_Union[TermUnit, str]] = ..., confirmed: _Optional[bool] = ..., calendar: _Optional[str] = ...) -> None: ...

class Objection(_message.Message):
    __slots__ = ("number", "origin", "product", "manifest_digest", "blinded_key", "filed_on", "due_on", "term", "received_by", "received_at_ms")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BLINDED_KEY_FIELD_NUMBER: _ClassVar[int]
    FILED_ON_FIELD_NUMBER: _ClassVar[int]
    DUE_ON_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_BY_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    number: str
    origin: str
    product: str
    manifest_digest: bytes
    blinded_key: bytes
    filed_on: str
    due_on: str
    term: Term
    received_by: str
    received_at_ms: int
    def __init__(self, number: _Optional[str] = ..., origin: _Optional[str] = ..., product: _Optional[str] = ..., manifest_digest: _Optional[bytes] = ..., blinded_key: _Optional[bytes] = ..., filed_on: _Optional[str] = ..., due_on: _Optional[str] = ..., term: _Optional[_Union[Term, _Mapping]] = ..., received_by: _Optional[str] = ..., received_at_ms: _Optional[int] = ...) -> None: ...

class ObjectionDecision(_message.Message):
    __slots__ = ("objection", "outcome", "correction", "decided_by", "decided_at_ms")
    OBJECTION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    DECIDED_BY_FIELD_NUMBER: _ClassVar[int]
    DECIDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    objection: bytes
    outcome: ObjectionOutcome
    correction: bytes
    decided_by: str
    decided_at_ms: int
    def __init__(self, objection: _Optional[bytes] = ..., outcome: _Optional[_Union[ObjectionOutcome, str]] = ..., correction: _Optional[bytes] = ..., decided_by: _Optional[str] = ..., decided_at_ms: _Optional[int] = ...) -> None: ...
