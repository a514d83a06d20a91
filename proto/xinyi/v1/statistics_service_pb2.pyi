from xinyi.v1 import envelope_pb2 as _envelope_pb2
from xinyi.v1 import exchange_pb2 as _exchange_pb2
from xinyi.v1 import lending_pb2 as _lending_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListStatisticsRequest(_message.Message):
    __slots__ = ("period",)
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    period: _lending_pb2.LendingPeriod
    def __init__(self, period: _Optional[_Union[_lending_pb2.LendingPeriod, _Mapping]] = ...) -> None: ...

class ListStatisticsResponse(_message.Message):
    __slots__ = ("versions",)
    VERSIONS_FIELD_NUMBER: _ClassVar[int]
    versions: _containers.RepeatedCompositeFieldContainer[StatisticsVersion]
    def __init__(self, versions: _Optional[_Iterable[_Union[StatisticsVersion, _Mapping]]] = ...) -> None: ...

class StatisticsVersion(_message.Message):
    __slots__ = ("statistics", "period", "currency", "version", "counted_until_ms", "restatement")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    CURRENCY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COUNTED_UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    RESTATEMENT_FIELD_NUMBER: _ClassVar[int]
    statistics: bytes
    period: _lending_pb2.LendingPeriod
    currency: str
    version: int
    counted_until_ms: int
    restatement: str
    def __init__(self, statistics: _Optional[bytes] = ..., period: _Optional[_Union[_lending_pb2.LendingPeriod, _Mapping]] = ..., currency: _Optional[str] = ..., version: _Optional[int] = ..., counted_until_ms: _Optional[int] = ..., restatement: _Optional[str] = ...) -> None: ...

class GetStatisticsRequest(_message.Message):
    __slots__ = ("statistics", "period")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    statistics: bytes
    period: _lending_pb2.LendingPeriod
    def __init__(self, statistics: _Optional[bytes] = ..., period: _Optional[_Union[_lending_pb2.LendingPeriod, _Mapping]] = ...) -> None: ...

class GetStatisticsResponse(_message.Message):
    __slots__ = ("statistics", "evidence", "leaf")
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    statistics: _envelope_pb2.Envelope
    evidence: _exchange_pb2.LogEvidence
    leaf: bytes
    def __init__(self, statistics: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., evidence: _Optional[_Union[_exchange_pb2.LogEvidence, _Mapping]] = ..., leaf: _Optional[bytes] = ...) -> None: ...

class ConfirmStatisticsRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class ConfirmStatisticsResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...
