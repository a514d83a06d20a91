from xinyi.v1 import edition_pb2 as _edition_pb2
from xinyi.v1 import envelope_pb2 as _envelope_pb2
from xinyi.v1 import records_pb2 as _records_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_APPLIED: _ClassVar[Stage]
    STAGE_PRE_CREDIT: _ClassVar[Stage]
    STAGE_CREDIT_APPROVED: _ClassVar[Stage]
    STAGE_REJECTED: _ClassVar[Stage]
    STAGE_CONTRACTED: _ClassVar[Stage]
    STAGE_DISBURSED: _ClassVar[Stage]
    STAGE_REPAID: _ClassVar[Stage]
    STAGE_OVERDUE: _ClassVar[Stage]
    STAGE_NPL: _ClassVar[Stage]
    STAGE_WRITTEN_OFF: _ClassVar[Stage]
    STAGE_CANCELLED: _ClassVar[Stage]

class Guarantee(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GUARANTEE_UNSPECIFIED: _ClassVar[Guarantee]
    GUARANTEE_CREDIT: _ClassVar[Guarantee]
    GUARANTEE_GUARANTOR: _ClassVar[Guarantee]
    GUARANTEE_MORTGAGE: _ClassVar[Guarantee]
    GUARANTEE_PLEDGE: _ClassVar[Guarantee]
    GUARANTEE_COMBINED: _ClassVar[Guarantee]

class LoanClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOAN_CLASS_UNSPECIFIED: _ClassVar[LoanClass]
    LOAN_CLASS_NORMAL: _ClassVar[LoanClass]
    LOAN_CLASS_SPECIAL_MENTION: _ClassVar[LoanClass]
    LOAN_CLASS_SUBSTANDARD: _ClassVar[LoanClass]
    LOAN_CLASS_DOUBTFUL: _ClassVar[LoanClass]
    LOAN_CLASS_LOSS: _ClassVar[LoanClass]

class FirstTime(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FIRST_TIME_UNSPECIFIED: _ClassVar[FirstTime]
    FIRST_TIME_YES: _ClassVar[FirstTime]
    FIRST_TIME_NO: _ClassVar[FirstTime]

class ReportState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPORT_STATE_UNSPECIFIED: _ClassVar[ReportState]
    REPORT_STATE_COUNTED: _ClassVar[ReportState]
    REPORT_STATE_HELD: _ClassVar[ReportState]
    REPORT_STATE_REPEATED: _ClassVar[ReportState]
    REPORT_STATE_CONFLICT: _ClassVar[ReportState]
    REPORT_STATE_REFUSED: _ClassVar[ReportState]
    REPORT_STATE_CORRECTED: _ClassVar[ReportState]

class SampleUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SAMPLE_UNIT_UNSPECIFIED: _ClassVar[SampleUnit]
    SAMPLE_UNIT_ROWS: _ClassVar[SampleUnit]
    SAMPLE_UNIT_GRANTED: _ClassVar[SampleUnit]
    SAMPLE_UNIT_BALANCE: _ClassVar[SampleUnit]

class Audience(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIENCE_UNSPECIFIED: _ClassVar[Audience]
    AUDIENCE_BUREAU: _ClassVar[Audience]
    AUDIENCE_BANKS: _ClassVar[Audience]

class SumGroup(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUM_GROUP_UNSPECIFIED: _ClassVar[SumGroup]
    SUM_GROUP_GRANTED: _ClassVar[SumGroup]
    SUM_GROUP_OUTSTANDING: _ClassVar[SumGroup]
    SUM_GROUP_BAD: _ClassVar[SumGroup]
    SUM_GROUP_REFUSED: _ClassVar[SumGroup]
STAGE_UNSPECIFIED: Stage
STAGE_APPLIED: Stage
STAGE_PRE_CREDIT: Stage
STAGE_CREDIT_APPROVED: Stage
STAGE_REJECTED: Stage
STAGE_CONTRACTED: Stage
STAGE_DISBURSED: Stage
STAGE_REPAID: Stage
STAGE_OVERDUE: Stage
STAGE_NPL: Stage
STAGE_WRITTEN_OFF: Stage
STAGE_CANCELLED: Stage
GUARANTEE_UNSPECIFIED: Guarantee
GUARANTEE_CREDIT: Guarantee
GUARANTEE_GUARANTOR: Guarantee
GUARANTEE_MORTGAGE: Guarantee
GUARANTEE_PLEDGE: Guarantee
GUARANTEE_COMBINED: Guarantee
LOAN_CLASS_UNSPECIFIED: LoanClass
LOAN_CLASS_NORMAL: LoanClass
LOAN_CLASS_SPECIAL_MENTION: LoanClass
LOAN_CLASS_SUBSTANDARD: LoanClass
LOAN_CLASS_DOUBTFUL: LoanClass
LOAN_CLASS_LOSS: LoanClass
FIRST_TIME_UNSPECIFIED: FirstTime
FIRST_TIME_YES: FirstTime
FIRST_TIME_NO: FirstTime
REPORT_STATE_UNSPECIFIED: ReportState
REPORT_STATE_COUNTED: ReportState
REPORT_STATE_HELD: ReportState
REPORT_STATE_REPEATED: ReportState
REPORT_STATE_CONFLICT: ReportState
REPORT_STATE_REFUSED: ReportState
REPORT_STATE_CORRECTED: ReportState
SAMPLE_UNIT_UNSPECIFIED: SampleUnit
SAMPLE_UNIT_ROWS: SampleUnit
SAMPLE_UNIT_GRANTED: SampleUnit
SAMPLE_UNIT_BALANCE: SampleUnit
AUDIENCE_UNSPECIFIED: Audience
AUDIENCE_BUREAU: Audience
AUDIENCE_BANKS: Audience
SUM_GROUP_UNSPECIFIED: SumGroup
SUM_GROUP_GRANTED: SumGroup
SUM_GROUP_OUTSTANDING: SumGroup
SUM_GROUP_BAD: SumGroup
SUM_GROUP_REFUSED: SumGroup

class LendingPeriod(_message.Message):
    __slots__ = ("year", "month", "months")
    YEAR_FIELD_NUMBER: _ClassVar[int]
    MONTH_FIELD_NUMBER: _ClassVar[int]
    MONTHS_FIELD_NUMBER: _ClassVar[int]
    year: int
    month: int
    months: int
    def __init__(self, year: _Optional[int] = ..., month: _Optional[int] = ..., months: _Optional[int] = ...) -> None: ...

class SizeClass(_message.Message):
    __slots__ = ("definition", "size")
    DEFINITION_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    definition: str
    size: str
    def __init__(self, definition: _Optional[str] = ..., size: _Optional[str] = ...) -> None: ...

class Reliance(_message.Message):
    __slots__ = ("manifest_digest", "blinded_key", "commitment", "grade", "evaluation_year")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    BLINDED_KEY_FIELD_NUMBER: _ClassVar[int]
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    GRADE_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_YEAR_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    blinded_key: bytes
    commitment: bytes
    grade: _records_pb2.Grade
    evaluation_year: int
    def __init__(self, manifest_digest: _Optional[bytes] = ..., blinded_key: _Optional[bytes] = ..., commitment: _Optional[bytes] = ..., grade: _Optional[_Union[_records_pb2.Grade, str]] = ..., evaluation_year: _Optional[int] = ...) -> None: ...

class Loan(_message.Message):
    __slots__ = ("reference", "product", "guarantee", "sizes", "industry", "district", "first_time", "annual_rate_bp", "term_months", "currency", "reliance", "branch")
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    GUARANTEE_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    INDUSTRY_FIELD_NUMBER: _ClassVar[int]
    DISTRICT_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    ANNUAL_RATE_BP_FIELD_NUMBER: _ClassVar[int]
    TERM_MONTHS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    RELIANCE_FIELD_NUMBER: _ClassVar[int]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    reference: str
    product: str
    guarantee: Guarantee
    sizes: _containers.RepeatedCompositeFieldContainer[SizeClass]
    industry: str
    district: str
    first_time: FirstTime
    annual_rate_bp: int
    term_months: int
    currency: str
    reliance: Reliance
    branch: str
    def __init__(self, reference: _Optional[str] = ..., product: _Optional[str] = ..., guarantee: _Optional[_Union[Guarantee, str]] = ..., sizes: _Optional[_Iterable[_Union[SizeClass, _Mapping]]] = ..., industry: _Optional[str] = ..., district: _Optional[str] = ..., first_time: _Optional[_Union[FirstTime, str]] = ..., annual_rate_bp: _Optional[int] = ..., term_months: _Optional[int] = ..., currency: _Optional[str] = ..., reliance: _Optional[_Union[Reliance, _Mapping]] = ..., branch: _Optional[str] = ...) -> None: ...

class LoanRow(_message.Message):
    __slots__ = ("loan", "newly_granted", "granted", "balance", "loan_class", "refused", "recalled", "true_grade")
    LOAN_FIELD_NUMBER: _ClassVar[int]
    NEWLY_GRANTED_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    LOAN_CLASS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    RECALLED_FIELD_NUMBER: _ClassVar[int]
    TRUE_GRADE_FIELD_NUMBER: _ClassVar[int]
    loan: Loan
    newly_granted: bool
    granted: int
    balance: int
    loan_class: LoanClass
    refused: bool
    recalled: bool
    true_grade: _records_pb2.Grade
    def __init__(self, loan: _Optional[_Union[Loan, _Mapping]] = ..., newly_granted: _Optional[bool] = ..., granted: _Optional[int] = ..., balance: _Optional[int] = ..., loan_class: _Optional[_Union[LoanClass, str]] = ..., refused: _Optional[bool] = ..., recalled: _Optional[bool] = ..., true_grade: _Optional[_Union[_records_pb2.Grade, str]] = ...) -> None: ...

class FirmLending(_message.Message):
    __slots__ = ("taxpayer_id", "identifier_kind", "rows")
    TAXPAYER_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_KIND_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    taxpayer_id: str
    identifier_kind: _records_pb2.IdentifierKind
    rows: _containers.RepeatedCompositeFieldContainer[LoanRow]
    def __init__(self, taxpayer_id: _Optional[str] = ..., identifier_kind: _Optional[_Union[_records_pb2.IdentifierKind, str]] = ..., rows: _Optional[_Iterable[_Union[LoanRow, _Mapping]]] = ...) -> None: ...

class LendingSums(_message.Message):
    __slots__ = ("loans", "firms", "granted", "outstanding_loans", "outstanding_firms", "balance", "bad_loans", "bad_firms", "bad_balance", "refused", "refused_firms")
    LOANS_FIELD_NUMBER: _ClassVar[int]
    FIRMS_FIELD_NUMBER: _ClassVar[int]
    GRANTED_FIELD_NUMBER: _ClassVar[int]
    OUTSTANDING_LOANS_FIELD_NUMBER: _ClassVar[int]
    OUTSTANDING_FIRMS_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    BAD_LOANS_FIELD_NUMBER: _ClassVar[int]
    BAD_FIRMS_FIELD_NUMBER: _ClassVar[int]
    BAD_BALANCE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIRMS_FIELD_NUMBER: _ClassVar[int]
    loans: int
    firms: int
    granted: int
    outstanding_loans: int
    outstanding_firms: int
    balance: int
    bad_loans: int
    bad_firms: int
    bad_balance: int
    refused: int
    refused_firms: int
    def __init__(self, loans: _Optional[int] = ..., firms: _Optional[int] = ..., granted: _Optional[int] = ..., outstanding_loans: _Optional[int] = ..., outstanding_firms: _Optional[int] = ..., balance: _Optional[int] = ..., bad_loans: _Optional[int] = ..., bad_firms: _Optional[int] = ..., bad_balance: _Optional[int] = ..., refused: _Optional[int] = ..., refused_firms: _Optional[int] = ...) -> None: ...

class Cell(_message.Message):
    __slots__ = ("value", "sums")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    value: str
    sums: LendingSums
    def __init__(self, value: _Optional[str] = ..., sums: _Optional[_Union[LendingSums, _Mapping]] = ...) -> None: ...

class Margin(_message.Message):
    __slots__ = ("dimension", "cells")
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    dimension: str
    cells: _containers.RepeatedCompositeFieldContainer[Cell]
    def __init__(self, dimension: _Optional[str] = ..., cells: _Optional[_Iterable[_Union[Cell, _Mapping]]] = ...) -> None: ...

class LendingTable(_message.Message):
    __slots__ = ("bank", "period", "currency", "agreement_id", "rows", "firms", "root", "margins", "corrects", "reason", "source", "rules", "issued_by", "issued_at_ms")
    BANK_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FIRMS_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    MARGINS_FIELD_NUMBER: _ClassVar[int]
    CORRECTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    ISSUED_BY_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    bank: str
    period: LendingPeriod
    currency: str
    agreement_id: str
    rows: int
    firms: int
    root: bytes
    margins: _containers.RepeatedCompositeFieldContainer[Margin]
    corrects: bytes
    reason: str
    source: _edition_pb2.SourceFile
    rules: _containers.RepeatedCompositeFieldContainer[_edition_pb2.RuleCount]
    issued_by: str
    issued_at_ms: int
    def __init__(self, bank: _Optional[str] = ..., period: _Optional[_Union[LendingPeriod, _Mapping]] = ..., currency: _Optional[str] = ..., agreement_id: _Optional[str] = ..., rows: _Optional[int] = ..., firms: _Optional[int] = ..., root: _Optional[bytes] = ..., margins: _Optional[_Iterable[_Union[Margin, _Mapping]]] = ..., corrects: _Optional[bytes] = ..., reason: _Optional[str] = ..., source: _Optional[_Union[_edition_pb2.SourceFile, _Mapping]] = ..., rules: _Optional[_Iterable[_Union[_edition_pb2.RuleCount, _Mapping]]] = ..., issued_by: _Optional[str] = ..., issued_at_ms: _Optional[int] = ...) -> None: ...

class Authorisation(_message.Message):
    __slots__ = ("digest", "scope", "valid_from", "valid_to")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    VALID_FROM_FIELD_NUMBER: _ClassVar[int]
    VALID_TO_FIELD_NUMBER: _ClassVar[int]
    digest: bytes
    scope: str
    valid_from: str
    valid_to: str
    def __init__(self, digest: _Optional[bytes] = ..., scope: _Optional[str] = ..., valid_from: _Optional[str] = ..., valid_to: _Optional[str] = ...) -> None: ...

class LendingOutcome(_message.Message):
    __slots__ = ("outcome_id", "taxpayer_id", "identifier_kind", "loan", "stage", "event_date", "amount", "credit_line", "balance", "loan_class", "days_overdue", "reason_code", "authorisation", "corrects", "voids")
    OUTCOME_ID_FIELD_NUMBER: _ClassVar[int]
    TAXPAYER_ID_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_KIND_FIELD_NUMBER: _ClassVar[int]
    LOAN_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    EVENT_DATE_FIELD_NUMBER: _ClassVar[int]
    AMOUNT_FIELD_NUMBER: _ClassVar[int]
    CREDIT_LINE_FIELD_NUMBER: _ClassVar[int]
    BALANCE_FIELD_NUMBER: _ClassVar[int]
    LOAN_CLASS_FIELD_NUMBER: _ClassVar[int]
    DAYS_OVERDUE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    AUTHORISATION_FIELD_NUMBER: _ClassVar[int]
    CORRECTS_FIELD_NUMBER: _ClassVar[int]
    VOIDS_FIELD_NUMBER: _ClassVar[int]
    outcome_id: str
    taxpayer_id: str
    identifier_kind: _records_pb2.IdentifierKind
    loan: Loan
    stage: Stage
    event_date: str
    amount: int
    credit_line: int
    balance: int
    loan_class: LoanClass
    days_overdue: int
    reason_code: str
    authorisation: Authorisation
    corrects: str
    voids: bool
    def __init__(self, outcome_id: _Optional[str] = ..., taxpayer_id: _Optional[str] = ..., identifier_kind: _Optional[_Union[_records_pb2.IdentifierKind, str]] = ..., loan: _Optional[_Union[Loan, _Mapping]] = ..., stage: _Optional[_Union[Stage, str]] = ..., event_date: _Optional[str] = ..., amount: _Optional[int] = ..., credit_line: _Optional[int] = ..., balance: _Optional[int] = ..., loan_class: _Optional[_Union[LoanClass, str]] = ..., days_overdue: _Optional[int] = ..., reason_code: _Optional[str] = ..., authorisation: _Optional[_Union[Authorisation, _Mapping]] = ..., corrects: _Optional[str] = ..., voids: _Optional[bool] = ...) -> None: ...

class OutcomeChunk(_message.Message):
    __slots__ = ("records",)
    RECORDS_FIELD_NUMBER: _ClassVar[int]
    records: _containers.RepeatedCompositeFieldContainer[SaltedOutcome]
    def __init__(self, records: _Optional[_Iterable[_Union[SaltedOutcome, _Mapping]]] = ...) -> None: ...

class SaltedOutcome(_message.Message):
    __slots__ = ("salt", "record")
    SALT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    salt: bytes
    record: LendingOutcome
    def __init__(self, salt: _Optional[bytes] = ..., record: _Optional[_Union[LendingOutcome, _Mapping]] = ...) -> None: ...

class OutcomeBatch(_message.Message):
    __slots__ = ("bank", "number", "agreement_id", "count", "root", "chunk_roots", "source", "issued_by", "issued_at_ms")
    BANK_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    CHUNK_ROOTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ISSUED_BY_FIELD_NUMBER: _ClassVar[int]
    ISSUED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    bank: str
    number: str
    agreement_id: str
    count: int
    root: bytes
    chunk_roots: _containers.RepeatedScalarFieldContainer[bytes]
    source: _edition_pb2.SourceFile
    issued_by: str
    issued_at_ms: int
    def __init__(self, bank: _Optional[str] = ..., number: _Optional[str] = ..., agreement_id: _Optional[str] = ..., count: _Optional[int] = ..., root: _Optional[bytes] = ..., chunk_roots: _Optional[_Iterable[bytes]] = ..., source: _Optional[_Union[_edition_pb2.SourceFile, _Mapping]] = ..., issued_by: _Optional[str] = ..., issued_at_ms: _Optional[int] = ...) -> None: ...

class Question(_message.Message):
    __slots__ = ("rule", "basis", "text", "dimension", "value", "may_be_confirmed")
    RULE_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    MAY_BE_CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    rule: str
    basis: str
    text: str
    dimension: str
    value: str
    may_be_confirmed: bool
    def __init__(self, rule: _Optional[str] = ..., basis: _Optional[str] = ..., text: _Optional[str] = ..., dimension: _Optional[str] = ..., value: _Optional[str] = ..., may_be_confirmed: _Optional[bool] = ...) -> None: ...

class TableReceipt(_message.Message):
    __slots__ = ("table", "state", "questions", "recorded_at_ms")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUESTIONS_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    table: bytes
    state: ReportState
    questions: _containers.RepeatedCompositeFieldContainer[Question]
    recorded_at_ms: int
    def __init__(self, table: _Optional[bytes] = ..., state: _Optional[_Union[ReportState, str]] = ..., questions: _Optional[_Iterable[_Union[Question, _Mapping]]] = ..., recorded_at_ms: _Optional[int] = ...) -> None: ...

class OutcomeFinding(_message.Message):
    __slots__ = ("outcome_id", "state", "question", "first")
    OUTCOME_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    outcome_id: str
    state: ReportState
    question: Question
    first: bytes
    def __init__(self, outcome_id: _Optional[str] = ..., state: _Optional[_Union[ReportState, str]] = ..., question: _Optional[_Union[Question, _Mapping]] = ..., first: _Optional[bytes] = ...) -> None: ...

class OutcomeReceipt(_message.Message):
    __slots__ = ("batch", "counted", "held", "repeated", "conflicts", "refused", "findings", "recorded_at_ms")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    CONFLICTS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    batch: bytes
    counted: int
    held: int
    repeated: int
    conflicts: int
    refused: int
    findings: _containers.RepeatedCompositeFieldContainer[OutcomeFinding]
    recorded_at_ms: int
    def __init__(self, batch: _Optional[bytes] = ..., counted: _Optional[int] = ..., held: _Optional[int] = ..., repeated: _Optional[int] = ..., conflicts: _Optional[int] = ..., refused: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[OutcomeFinding, _Mapping]]] = ..., recorded_at_ms: _Optional[int] = ...) -> None: ...

class LendingAnswer(_message.Message):
    __slots__ = ("document", "outcome_ids", "reason", "answered_by", "answered_at_ms")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_IDS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    document: bytes
    outcome_ids: _containers.RepeatedScalarFieldContainer[str]
    reason: str
    answered_by: str
    answered_at_ms: int
    def __init__(self, document: _Optional[bytes] = ..., outcome_ids: _Optional[_Iterable[str]] = ..., reason: _Optional[str] = ..., answered_by: _Optional[str] = ..., answered_at_ms: _Optional[int] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("table", "bank", "unit", "size", "checkpoint", "due_on", "asked_by", "purpose", "asked_at_ms")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    BANK_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    DUE_ON_FIELD_NUMBER: _ClassVar[int]
    ASKED_BY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    ASKED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    table: bytes
    bank: str
    unit: SampleUnit
    size: int
    checkpoint: bytes
    due_on: str
    asked_by: str
    purpose: str
    asked_at_ms: int
    def __init__(self, table: _Optional[bytes] = ..., bank: _Optional[str] = ..., unit: _Optional[_Union[SampleUnit, str]] = ..., size: _Optional[int] = ..., checkpoint: _Optional[bytes] = ..., due_on: _Optional[str] = ..., asked_by: _Optional[str] = ..., purpose: _Optional[str] = ..., asked_at_ms: _Optional[int] = ...) -> None: ...

class ChallengeAnswer(_message.Message):
    __slots__ = ("challenge", "opening", "rows", "answered_by", "answered_at_ms")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    OPENING_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_BY_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    challenge: bytes
    opening: bytes
    rows: int
    answered_by: str
    answered_at_ms: int
    def __init__(self, challenge: _Optional[bytes] = ..., opening: _Optional[bytes] = ..., rows: _Optional[int] = ..., answered_by: _Optional[str] = ..., answered_at_ms: _Optional[int] = ...) -> None: ...

class Opening(_message.Message):
    __slots__ = ("challenge", "table", "firms", "editions")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    FIRMS_FIELD_NUMBER: _ClassVar[int]
    EDITIONS_FIELD_NUMBER: _ClassVar[int]
    challenge: bytes
    table: bytes
    firms: _containers.RepeatedCompositeFieldContainer[OpenedFirm]
    editions: _containers.RepeatedCompositeFieldContainer[OpenedEdition]
    def __init__(self, challenge: _Optional[bytes] = ..., table: _Optional[bytes] = ..., firms: _Optional[_Iterable[_Union[OpenedFirm, _Mapping]]] = ..., editions: _Optional[_Iterable[_Union[OpenedEdition, _Mapping]]] = ...) -> None: ...

class OpenedFirm(_message.Message):
    __slots__ = ("index", "salt", "record", "page", "path", "reliances")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    RELIANCES_FIELD_NUMBER: _ClassVar[int]
    index: int
    salt: bytes
    record: bytes
    page: _containers.RepeatedCompositeFieldContainer[PageEntry]
    path: _containers.RepeatedCompositeFieldContainer[PathNode]
    reliances: _containers.RepeatedCompositeFieldContainer[OpenedReliance]
    def __init__(self, index: _Optional[int] = ..., salt: _Optional[bytes] = ..., record: _Optional[bytes] = ..., page: _Optional[_Iterable[_Union[PageEntry, _Mapping]]] = ..., path: _Optional[_Iterable[_Union[PathNode, _Mapping]]] = ..., reliances: _Optional[_Iterable[_Union[OpenedReliance, _Mapping]]] = ...) -> None: ...

class PageEntry(_message.Message):
    __slots__ = ("commitment", "lanes")
    COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    commitment: bytes
    lanes: _containers.RepeatedCompositeFieldContainer[Lane]
    def __init__(self, commitment: _Optional[bytes] = ..., lanes: _Optional[_Iterable[_Union[Lane, _Mapping]]] = ...) -> None: ...

class Lane(_message.Message):
    __slots__ = ("lane", "value")
    LANE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    lane: int
    value: int
    def __init__(self, lane: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...

class PathNode(_message.Message):
    __slots__ = ("hash", "sums")
    HASH_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    sums: bytes
    def __init__(self, hash: _Optional[bytes] = ..., sums: _Optional[bytes] = ...) -> None: ...

class OpenedEdition(_message.Message):
    __slots__ = ("manifest", "approval")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    manifest: _envelope_pb2.Envelope
    approval: _envelope_pb2.Envelope
    def __init__(self, manifest: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., approval: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ...) -> None: ...

class OpenedReliance(_message.Message):
    __slots__ = ("manifest_digest", "salt", "record", "index", "path")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    salt: bytes
    record: bytes
    index: int
    path: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, manifest_digest: _Optional[bytes] = ..., salt: _Optional[bytes] = ..., record: _Optional[bytes] = ..., index: _Optional[int] = ..., path: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PublishedCell(_message.Message):
    __slots__ = ("value", "sums", "suppressed")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SUMS_FIELD_NUMBER: _ClassVar[int]
    SUPPRESSED_FIELD_NUMBER: _ClassVar[int]
    value: str
    sums: LendingSums
    suppressed: _containers.RepeatedScalarFieldContainer[SumGroup]
    def __init__(self, value: _Optional[str] = ..., sums: _Optional[_Union[LendingSums, _Mapping]] = ..., suppressed: _Optional[_Iterable[_Union[SumGroup, str]]] = ...) -> None: ...

class PublishedMargin(_message.Message):
    __slots__ = ("dimension", "cells")
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    dimension: str
    cells: _containers.RepeatedCompositeFieldContainer[PublishedCell]
    def __init__(self, dimension: _Optional[str] = ..., cells: _Optional[_Iterable[_Union[PublishedCell, _Mapping]]] = ...) -> None: ...

class CountedTable(_message.Message):
    __slots__ = ("bank", "table", "recorded_at_ms")
    BANK_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    bank: str
    table: bytes
    recorded_at_ms: int
    def __init__(self, bank: _Optional[str] = ..., table: _Optional[bytes] = ..., recorded_at_ms: _Optional[int] = ...) -> None: ...

class Statistics(_message.Message):
    __slots__ = ("period", "currency", "audience", "version", "counted_until_ms", "definitions", "tables", "missing", "banks", "margins", "predecessor", "restatement")
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    AUDIENCE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COUNTED_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    DEFINITIONS_FIELD_NUMBER: _ClassVar[int]
    TABLES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    BANKS_FIELD_NUMBER: _ClassVar[int]
    MARGINS_FIELD_NUMBER: _ClassVar[int]
    PREDECESSOR_FIELD_NUMBER: _ClassVar[int]
    RESTATEMENT_FIELD_NUMBER: _ClassVar[int]
    period: LendingPeriod
    currency: str
    audience: Audience
    version: int
    counted_until_ms: int
    definitions: str
    tables: _containers.RepeatedCompositeFieldContainer[CountedTable]
    missing: _containers.RepeatedScalarFieldContainer[str]
    banks: int
    margins: _containers.RepeatedCompositeFieldContainer[PublishedMargin]
    predecessor: bytes
    restatement: str
    def __init__(self, period: _Optional[_Union[LendingPeriod, _Mapping]] = ..., currency: _Optional[str] = ..., audience: _Optional[_Union[Audience, str]] = ..., version: _Optional[int] = ..., counted_until_ms: _Optional[int] = ..., definitions: _Optional[str] = ..., tables: _Optional[_Iterable[_Union[CountedTable, _Mapping]]] = ..., missing: _Optional[_Iterable[str]] = ..., banks: _Optional[int] = ..., margins: _Optional[_Iterable[_Union[PublishedMargin, _Mapping]]] = ..., predecessor: _Optional[bytes] = ..., restatement: _Optional[str] = ...) -> None: ...

class StatisticsReceipt(_message.Message):
    __slots__ = ("statistics", "signed_by", "signed_at_ms")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    SIGNED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    statistics: bytes
    signed_by: str
    signed_at_ms: int
    def __init__(self, statistics: _Optional[bytes] = ..., signed_by: _Optional[str] = ..., signed_at_ms: _Optional[int] = ...) -> None: ...
