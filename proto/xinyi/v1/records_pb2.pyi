from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Grade(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GRADE_UNSPECIFIED: _ClassVar[Grade]
    GRADE_A: _ClassVar[Grade]
    GRADE_B: _ClassVar[Grade]
    GRADE_M: _ClassVar[Grade]
    GRADE_C: _ClassVar[Grade]
    GRADE_D: _ClassVar[Grade]
    GRADE_UNRATED: _ClassVar[Grade]
    GRADE_CANCELLED: _ClassVar[Grade]

class IdentifierKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IDENTIFIER_KIND_UNSPECIFIED: _ClassVar[IdentifierKind]
    IDENTIFIER_KIND_USCC: _ClassVar[IdentifierKind]
    IDENTIFIER_KIND_OLD_TAXPAYER_NUMBER: _ClassVar[IdentifierKind]
    IDENTIFIER_KIND_REGISTRATION_NUMBER: _ClassVar[IdentifierKind]

class DecisionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_KIND_UNSPECIFIED: _ClassVar[DecisionKind]
    DECISION_KIND_ANNUAL: _ClassVar[DecisionKind]
    DECISION_KIND_SUPPLEMENT: _ClassVar[DecisionKind]
    DECISION_KIND_REVIEW: _ClassVar[DecisionKind]
    DECISION_KIND_DYNAMIC: _ClassVar[DecisionKind]
    DECISION_KIND_REPAIR: _ClassVar[DecisionKind]
    DECISION_KIND_CORRECTION: _ClassVar[DecisionKind]
    DECISION_KIND_CANCEL: _ClassVar[DecisionKind]
GRADE_UNSPECIFIED: Grade
GRADE_A: Grade
GRADE_B: Grade
GRADE_M: Grade
GRADE_C: Grade
GRADE_D: Grade
GRADE_UNRATED: Grade
GRADE_CANCELLED: Grade
IDENTIFIER_KIND_UNSPECIFIED: IdentifierKind
IDENTIFIER_KIND_USCC: IdentifierKind
IDENTIFIER_KIND_OLD_TAXPAYER_NUMBER: IdentifierKind
IDENTIFIER_KIND_REGISTRATION_NUMBER: IdentifierKind
DECISION_KIND_UNSPECIFIED: DecisionKind
DECISION_KIND_ANNUAL: DecisionKind
DECISION_KIND_SUPPLEMENT: DecisionKind
DECISION_KIND_REVIEW: DecisionKind
DECISION_KIND_DYNAMIC: DecisionKind
DECISION_KIND_REPAIR: DecisionKind
DECISION_KIND_CORRECTION: DecisionKind
DECISION_KIND_CANCEL: DecisionKind

class GradeRecord(_message.Message):
    __slots__ = ("taxpayer_id", "identifier_kind", "names", "tax_offices", "evaluation_year", "grade", "decision_kind", "decided_on", "valid_from", "valid_to", "gone")
    TAXPAYER_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_KIND_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    TAX_OFFICES_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_YEAR_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    DECISION_KIND_FIELD_NUMBER: _ClassVar[int]
    DECIDED_ON_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    taxpayer_id: str
    identifier_kind: IdentifierKind
    names: _containers.RepeatedScalarFieldContainer[str]
    tax_offices: _containers.RepeatedScalarFieldContainer[str]
    evaluation_year: int
    grade: Grade
    decision_kind: DecisionKind
    decided_on: str
    valid_from: str
    valid_to: str
    gone: bool
    def __init__(self, taxpayer_id: _Optional[str] = ..., identifier_kind: _Optional[_Union[IdentifierKind, str]] = ..., names: _Optional[_Iterable[str]] = ..., tax_offices: _Optional[_Iterable[str]] = ..., evaluation_year: _Optional[int] = ..., grade: _Optional[_Union[Grade, str]] = ..., decision_kind: _Optional[_Union[DecisionKind, str]] = ..., decided_on: _Optional[str] = ..., valid_from: _Optional[str] = ..., valid_to: _Optional[str] = ..., gone: _Optional[bool] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[SaltedRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[SaltedRecord, _Mapping]]] = ...) -> None: ...

class SaltedRecord(_message.Message):
    __slots__ = ("salt", "record")
    SALT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    salt: bytes
    record: bytes
    def __init__(self, salt: _Optional[bytes] = ..., record: _Optional[bytes] = ...) -> None: ...

class GradeChunk(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[SaltedGradeRecord]
    def __init__(self, records: _Optional[_Iterable[_Union[SaltedGradeRecord, _Mapping]]] = ...) -> None: ...

class SaltedGradeRecord(_message.Message):
    __slots__ = ("salt", "record")
    SALT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    salt: bytes
    record: GradeRecord
    def __init__(self, salt: _Optional[bytes] = ..., record: _Optional[_Union[GradeRecord, _Mapping]] = ...) -> None: ...
