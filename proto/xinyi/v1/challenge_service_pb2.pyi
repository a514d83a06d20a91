from xinyi.v1 import envelope_pb2 as _envelope_pb2
from xinyi.v1 import exchange_pb2 as _exchange_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListTablesRequest(_message.Message):
    __slots__ = ("bank", "call")
    BANK_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    bank: str
    call: _exchange_pb2.Call
    def __init__(self, bank: _Optional[str] = ..., call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class ListTablesResponse(_message.Message):
    __slots__ = ("tables",)
    TABLES_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[RecordedTable]
    def __init__(self, tables: _Optional[_Iterable[_Union[RecordedTable, _Mapping]]] = ...) -> None: ...

class RecordedTable(_message.Message):
    __slots__ = ("table", "index", "state")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    table: _envelope_pb2.Envelope
    index: int
    state: str
    def __init__(self, table: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., index: _Optional[int] = ..., state: _Optional[str] = ...) -> None: ...

class ChallengeRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class ChallengeResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...

class ListChallengesRequest(_message.Message):
    __slots__ = ("challenge",)
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    challenge: bytes
    def __init__(self, challenge: _Optional[bytes] = ...) -> None: ...

class ListChallengesResponse(_message.Message):
    __slots__ = ("challenges", "left_out")
    CHALLENGES_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    challenges: _containers.RepeatedCompositeFieldContainer[ChallengeStatus]
    left_out: int
    def __init__(self, challenges: _Optional[_Iterable[_Union[ChallengeStatus, _Mapping]]] = ..., left_out: _Optional[int] = ...) -> None: ...

class ChallengeStatus(_message.Message):
    __slots__ = ("challenge", "table", "answer", "state")
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    TABLE_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    challenge: _envelope_pb2.Envelope
    table: _envelope_pb2.Envelope
    answer: _envelope_pb2.Envelope
    state: str
    def __init__(self, challenge: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., table: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., answer: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., state: _Optional[str] = ...) -> None: ...

class AnswerChallengeRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class AnswerChallengeResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...
