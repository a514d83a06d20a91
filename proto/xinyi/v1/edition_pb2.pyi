from xinyi.v1 import records_pb2 as _records_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EditionKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EDITION_KIND_UNSPECIFIED: _ClassVar[EditionKind]
    EDITION_KIND_FULL: _ClassVar[EditionKind]
    EDITION_KIND_DELTA: _ClassVar[EditionKind]
    EDITION_KIND_CORRECTION: _ClassVar[EditionKind]

class SourceCoverage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SOURCE_COVERAGE_UNSPECIFIED: _ClassVar[SourceCoverage]
    SOURCE_COVERAGE_WHOLE: _ClassVar[SourceCoverage]
    SOURCE_COVERAGE_CHANGES: _ClassVar[SourceCoverage]

class RowOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROW_OUTCOME_UNSPECIFIED: _ClassVar[RowOutcome]
    ROW_OUTCOME_ACCEPTED: _ClassVar[RowOutcome]
    ROW_OUTCOME_WARNED: _ClassVar[RowOutcome]
    ROW_OUTCOME_QUARANTINED: _ClassVar[RowOutcome]
    ROW_OUTCOME_REJECTED: _ClassVar[RowOutcome]
    ROW_OUTCOME_WITHHELD: _ClassVar[RowOutcome]

class RowAnswerOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ROW_ANSWER_OUTCOME_UNSPECIFIED: _ClassVar[RowAnswerOutcome]
    ROW_ANSWER_OUTCOME_MENDED: _ClassVar[RowAnswerOutcome]
    ROW_ANSWER_OUTCOME_EXCLUDED: _ClassVar[RowAnswerOutcome]
    ROW_ANSWER_OUTCOME_SUPERSEDED: _ClassVar[RowAnswerOutcome]
EDITION_KIND_UNSPECIFIED: EditionKind
EDITION_KIND_FULL: EditionKind
EDITION_KIND_DELTA: EditionKind
EDITION_KIND_CORRECTION: EditionKind
SOURCE_COVERAGE_UNSPECIFIED: SourceCoverage
SOURCE_COVERAGE_WHOLE: SourceCoverage
SOURCE_COVERAGE_CHANGES: SourceCoverage
ROW_OUTCOME_UNSPECIFIED: RowOutcome
ROW_OUTCOME_ACCEPTED: RowOutcome
ROW_OUTCOME_WARNED: RowOutcome
ROW_OUTCOME_QUARANTINED: RowOutcome
ROW_OUTCOME_REJECTED: RowOutcome
ROW_OUTCOME_WITHHELD: RowOutcome
ROW_ANSWER_OUTCOME_UNSPECIFIED: RowAnswerOutcome
ROW_ANSWER_OUTCOME_MENDED: RowAnswerOutcome
ROW_ANSWER_OUTCOME_EXCLUDED: RowAnswerOutcome
ROW_ANSWER_OUTCOME_SUPERSEDED: RowAnswerOutcome

class Period(_message.Message):
    __slots__ = ("year", "month")
    YEAR_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    year: int
    month: int
    def __init__(self, year: _Optional[int] = ..., month: _Optional[int] = ...) -> None: ...

class RuleCount(_message.Message):
    __slots__ = ("rule", "outcome", "rows")
    RULE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    rule: str
    outcome: RowOutcome
    rows: int
    def __init__(self, rule: _Optional[str] = ..., outcome: _Optional[_Union[RowOutcome, str]] = ..., rows: _Optional[int] = ...) -> None: ...

class GradeCount(_message.Message):
    __slots__ = ("grade", "records")
    GRADE_FIELD_NUMBER: _ClassVar[int]
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    grade: _records_pb2.Grade
    records: int
    def __init__(self, grade: _Optional[_Union[_records_pb2.Grade, str]] = ..., records: _Optional[int] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("rows", "accepted", "warned", "quarantined", "rejected", "withheld", "merged", "rules", "rule_set", "unchanged", "kept")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    WARNED_FIELD_NUMBER: _ClassVar[int]
    QUARANTINED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    MERGED_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    RULE_SET_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    rows: int
    accepted: int
    warned: int
    quarantined: int
    rejected: int
    withheld: int
    merged: int
    rules: _containers.RepeatedCompositeFieldContainer[RuleCount]
    rule_set: str
    unchanged: int
    kept: int
    def __init__(self, rows: _Optional[int] = ..., accepted: _Optional[int] = ..., warned: _Optional[int] = ..., quarantined: _Optional[int] = ..., rejected: _Optional[int] = ..., withheld: _Optional[int] = ..., merged: _Optional[int] = ..., rules: _Optional[_Iterable[_Union[RuleCount, _Mapping]]] = ..., rule_set: _Optional[str] = ..., unchanged: _Optional[int] = ..., kept: _Optional[int] = ...) -> None: ...

class SourceFile(_message.Message):
    __slots__ = ("sha256", "size_bytes", "encoding", "profile_sha256", "coverage")
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    PROFILE_SHA256_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    size_bytes: int
    encoding: str
    profile_sha256: bytes
    coverage: SourceCoverage
    def __init__(self, sha256: _Optional[bytes] = ..., size_bytes: _Optional[int] = ..., encoding: _Optional[str] = ..., profile_sha256: _Optional[bytes] = ..., coverage: _Optional[_Union[SourceCoverage, str]] = ...) -> None: ...

class Comparison(_message.Message):
    __slots__ = ("added", "gone", "renamed", "changed", "unchanged")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    RENAMED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    added: int
    gone: int
    renamed: int
    changed: int
    unchanged: int
    def __init__(self, added: _Optional[int] = ..., gone: _Optional[int] = ..., renamed: _Optional[int] = ..., changed: _Optional[int] = ..., unchanged: _Optional[int] = ...) -> None: ...

class Manifest(_message.Message):
    __slots__ = ("origin", "issued_by", "product", "period", "kind", "sequence", "predecessor", "record_schema", "record_count", "root", "chunk_roots", "blinding_key_commitment", "source", "quality", "grade_counts", "issued_at_ms", "comparison", "state_root", "state_count", "gone_count", "corrects", "reason")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    ISSUED_BY_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PREDECESSOR_FIELD_NUMBER: _ClassVar[int]
    RECORD_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ROOTS_FIELD_NUMBER: _ClassVar[int]
    BLINDING_KEY_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    GRADE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    COMPARISON_FIELD_NUMBER: _ClassVar[int]
    STATE_ROOT_FIELD_NUMBER: _ClassVar[int]
    STATE_COUNT_FIELD_NUMBER: _ClassVar[int]
    GONE_COUNT_FIELD_NUMBER: _ClassVar[int]
    CORRECTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    origin: str
    issued_by: str
    product: str
    period: Period
    kind: EditionKind
    sequence: int
    predecessor: bytes
    record_schema: str
    record_count: int
    root: bytes
    chunk_roots: _containers.RepeatedScalarFieldContainer[bytes]
    blinding_key_commitment: bytes
    source: SourceFile
    quality: Quality
    grade_counts: _containers.RepeatedCompositeFieldContainer[GradeCount]
    issued_at_ms: int
    comparison: Comparison
    state_root: bytes
    state_count: int
    gone_count: int
    corrects: bytes
    reason: str
    def __init__(self, origin: _Optional[str] = ..., issued_by: _Optional[str] = ..., product: _Optional[str] = ..., period: _Optional[_Union[Period, _Mapping]] = ..., kind: _Optional[_Union[EditionKind, str]] = ..., sequence: _Optional[int] = ..., predecessor: _Optional[bytes] = ..., record_schema: _Optional[str] = ..., record_count: _Optional[int] = ..., root: _Optional[bytes] = ..., chunk_roots: _Optional[_Iterable[bytes]] = ..., blinding_key_commitment: _Optional[bytes] = ..., source: _Optional[_Union[SourceFile, _Mapping]] = ..., quality: _Optional[_Union[Quality, _Mapping]] = ..., grade_counts: _Optional[_Iterable[_Union[GradeCount, _Mapping]]] = ..., issued_at_ms: _Optional[int] = ..., comparison: _Optional[_Union[Comparison, _Mapping]] = ..., state_root: _Optional[bytes] = ..., state_count: _Optional[int] = ..., gone_count: _Optional[int] = ..., corrects: _Optional[bytes] = ..., reason: _Optional[str] = ...) -> None: ...

class RowAnswer(_message.Message):
    __slots__ = ("manifest_digest", "rows", "outcome", "reason", "answered_by", "answered_at_ms")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    rows: _containers.RepeatedScalarFieldContainer[int]
    outcome: RowAnswerOutcome
    reason: str
    answered_by: str
    answered_at_ms: int
    def __init__(self, manifest_digest: _Optional[bytes] = ..., rows: _Optional[_Iterable[int]] = ..., outcome: _Optional[_Union[RowAnswerOutcome, str]] = ..., reason: _Optional[str] = ..., answered_by: _Optional[str] = ..., answered_at_ms: _Optional[int] = ...) -> None: ...

class Approval(_message.Message):
    __slots__ = ("manifest_digest", "origin", "approved_by", "approved_at_ms")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    APPROVED_BY_FIELD_NUMBER: _ClassVar[int]
    APPROVED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    origin: str
    approved_by: str
    approved_at_ms: int
    def __init__(self, manifest_digest: _Optional[bytes] = ..., origin: _Optional[str] = ..., approved_by: _Optional[str] = ..., approved_at_ms: _Optional[int] = ...) -> None: ...

class HoldRelease(_message.Message):
    __slots__ = ("manifest_digest", "released_by", "reason", "released_at_ms")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RELEASED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RELEASED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    released_by: str
    reason: str
    released_at_ms: int
    def __init__(self, manifest_digest: _Optional[bytes] = ..., released_by: _Optional[str] = ..., reason: _Optional[str] = ..., released_at_ms: _Optional[int] = ...) -> None: ...

class Cancellation(_message.Message):
    __slots__ = ("manifest_digest", "cancelled_by", "reason", "cancelled_at_ms")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    cancelled_by: str
    reason: str
    cancelled_at_ms: int
    def __init__(self, manifest_digest: _Optional[bytes] = ..., cancelled_by: _Optional[str] = ..., reason: _Optional[str] = ..., cancelled_at_ms: _Optional[int] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("manifest_digest", "stopped_by", "reason", "stopped_at_ms")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STOPPED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STOPPED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    stopped_by: str
    reason: str
    stopped_at_ms: int
    def __init__(self, manifest_digest: _Optional[bytes] = ..., stopped_by: _Optional[str] = ..., reason: _Optional[str] = ..., stopped_at_ms: _Optional[int] = ...) -> None: ...
