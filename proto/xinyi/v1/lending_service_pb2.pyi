from xinyi.v1 import envelope_pb2 as _envelope_pb2
from xinyi.v1 import exchange_pb2 as _exchange_pb2
from xinyi.v1 import lending_pb2 as _lending_pb2
from xinyi.v1 import records_pb2 as _records_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetReportingTermsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetReportingTermsResponse(_message.Message):
    __slots__ = ("terms",)
    TERMS_FIELD_NUMBER: _ClassVar[int]
    terms: _containers.RepeatedCompositeFieldContainer[ReportingTerms]
    def __init__(self, terms: _Optional[_Iterable[_Union[ReportingTerms, _Mapping]]] = ...) -> None: ...

class ReportingTerms(_message.Message):
    __slots__ = ("agreement_id", "version", "dimensions", "currency", "months", "due_days", "least_plausible", "most_plausible", "outcomes", "outcomes_to_bureau", "city_totals")
    AGREEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DIMENSIONS_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    MONTHS_FIELD_NUMBER: _ClassVar[int]
    DUE_DAYS_FIELD_NUMBER: _ClassVar[int]
    LEAST_PLAUSIBLE_FIELD_NUMBER: _ClassVar[int]
    MOST_PLAUSIBLE_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_TO_BUREAU_FIELD_NUMBER: _ClassVar[int]
    CITY_TOTALS_FIELD_NUMBER: _ClassVar[int]
    agreement_id: str
    version: int
    dimensions: _containers.RepeatedScalarFieldContainer[str]
    currency: str
    months: int
    due_days: int
    least_plausible: int
    most_plausible: int
    outcomes: bool
    outcomes_to_bureau: bool
    city_totals: bool
    def __init__(self, agreement_id: _Optional[str] = ..., version: _Optional[int] = ..., dimensions: _Optional[_Iterable[str]] = ..., currency: _Optional[str] = ..., months: _Optional[int] = ..., due_days: _Optional[int] = ..., least_plausible: _Optional[int] = ..., most_plausible: _Optional[int] = ..., outcomes: _Optional[bool] = ..., outcomes_to_bureau: _Optional[bool] = ..., city_totals: _Optional[bool] = ...) -> None: ...

class SubmitTableRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class SubmitTableResponse(_message.Message):
    __slots__ = ("answer", "receipt")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    receipt: _envelope_pb2.Envelope
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ..., receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ...) -> None: ...

class BeginOutcomesRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class BeginOutcomesResponse(_message.Message):
    __slots__ = ("next_chunk", "answer", "receipt")
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    next_chunk: int
    answer: _exchange_pb2.Answer
    receipt: _envelope_pb2.Envelope
    def __init__(self, next_chunk: _Optional[int] = ..., answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ..., receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ...) -> None: ...

class PutOutcomesRequest(_message.Message):
    __slots__ = ("batch", "number", "data")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    batch: bytes
    number: int
    data: bytes
    def __init__(self, batch: _Optional[bytes] = ..., number: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class PutOutcomesResponse(_message.Message):
    __slots__ = ("next_chunk",)
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    next_chunk: int
    def __init__(self, next_chunk: _Optional[int] = ...) -> None: ...

class CommitOutcomesRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class CommitOutcomesResponse(_message.Message):
    __slots__ = ("answer", "receipt")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    receipt: _envelope_pb2.Envelope
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ..., receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ...) -> None: ...

class AnswerQuestionsRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class AnswerQuestionsResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...

class ListReportsRequest(_message.Message):
    __slots__ = ("period", "as_of", "document")
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    period: _lending_pb2.LendingPeriod
    as_of: str
    document: bytes
    def __init__(self, period: _Optional[_Union[_lending_pb2.LendingPeriod, _Mapping]] = ..., as_of: _Optional[str] = ..., document: _Optional[bytes] = ...) -> None: ...

class ListReportsResponse(_message.Message):
    __slots__ = ("tables", "batches", "left_out")
    TABLES_FIELD_NUMBER: _ClassVar[int]
    BATCHES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[TableStatus]
    batches: _containers.RepeatedCompositeFieldContainer[BatchStatus]
    left_out: int
    def __init__(self, tables: _Optional[_Iterable[_Union[TableStatus, _Mapping]]] = ..., batches: _Optional[_Iterable[_Union[BatchStatus, _Mapping]]] = ..., left_out: _Optional[int] = ...) -> None: ...

class TableStatus(_message.Message):
    __slots__ = ("table", "receipt", "state", "recorded_at_ms", "replaced_by")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    REPLACED_BY_FIELD_NUMBER: _ClassVar[int]
    table: _envelope_pb2.Envelope
    receipt: _envelope_pb2.Envelope
    state: _lending_pb2.ReportState
    recorded_at_ms: int
    replaced_by: bytes
    def __init__(self, table: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., state: _Optional[_Union[_lending_pb2.ReportState, str]] = ..., recorded_at_ms: _Optional[int] = ..., replaced_by: _Optional[bytes] = ...) -> None: ...

class BatchStatus(_message.Message):
    __slots__ = ("batch", "receipt", "recorded_at_ms", "counted", "held", "corrected")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    COUNTED_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FIELD_NUMBER: _ClassVar[int]
    batch: _envelope_pb2.Envelope
    receipt: _envelope_pb2.Envelope
    recorded_at_ms: int
    counted: int
    held: int
    corrected: int
    def __init__(self, batch: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., recorded_at_ms: _Optional[int] = ..., counted: _Optional[int] = ..., held: _Optional[int] = ..., corrected: _Optional[int] = ...) -> None: ...

class ListOutcomesRequest(_message.Message):
    __slots__ = ("bank", "batch", "state", "as_of")
    BANK_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_FIELD_NUMBER: _ClassVar[int]
    bank: str
    batch: bytes
    state: _lending_pb2.ReportState
    as_of: str
    def __init__(self, bank: _Optional[str] = ..., batch: _Optional[bytes] = ..., state: _Optional[_Union[_lending_pb2.ReportState, str]] = ..., as_of: _Optional[str] = ...) -> None: ...

class ListOutcomesResponse(_message.Message):
    __slots__ = ("outcomes", "batch", "receipt")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[OutcomeStatus]
    batch: _envelope_pb2.Envelope
    receipt: _envelope_pb2.Envelope
    def __init__(self, outcomes: _Optional[_Iterable[_Union[OutcomeStatus, _Mapping]]] = ..., batch: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ...) -> None: ...

class OutcomeStatus(_message.Message):
    __slots__ = ("outcome", "batch", "state", "question", "true_grade", "recalled", "refused_id")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    TRUE_GRADE_FIELD_NUMBER: _ClassVar[int]
    RECALLED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_ID_FIELD_NUMBER: _ClassVar[int]
    outcome: _records_pb2.SaltedRecord
    batch: bytes
    state: _lending_pb2.ReportState
    question: _lending_pb2.Question
    true_grade: _records_pb2.Grade
    recalled: bool
    refused_id: str
    def __init__(self, outcome: _Optional[_Union[_records_pb2.SaltedRecord, _Mapping]] = ..., batch: _Optional[bytes] = ..., state: _Optional[_Union[_lending_pb2.ReportState, str]] = ..., question: _Optional[_Union[_lending_pb2.Question, _Mapping]] = ..., true_grade: _Optional[_Union[_records_pb2.Grade, str]] = ..., recalled: _Optional[bool] = ..., refused_id: _Optional[str] = ...) -> None: ...
