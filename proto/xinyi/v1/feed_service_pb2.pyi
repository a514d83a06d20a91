from xinyi.v1 import exchange_pb2 as _exchange_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PullCall(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class PullResponse(_message.Message):
    __slots__ = ("package", "unchanged", "retry_after_s", "evidence", "remaining")
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    package: _exchange_pb2.DeliveryPackage
    unchanged: bool
    retry_after_s: int
    evidence: _exchange_pb2.LogEvidence
    remaining: int
    def __init__(self, package: _Optional[_Union[_exchange_pb2.DeliveryPackage, _Mapping]] = ..., unchanged: _Optional[bool] = ..., retry_after_s: _Optional[int] = ..., evidence: _Optional[_Union[_exchange_pb2.LogEvidence, _Mapping]] = ..., remaining: _Optional[int] = ...) -> None: ...

class WatchCall(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("due", "next_within_s", "newest_notice")
    DUE_FIELD_NUMBER: _ClassVar[int]
    NEXT_WITHIN_S_FIELD_NUMBER: _ClassVar[int]
    NEWEST_NOTICE_FIELD_NUMBER: _ClassVar[int]
    due: _containers.RepeatedScalarFieldContainer[str]
    next_within_s: int
    newest_notice: bytes
    def __init__(self, due: _Optional[_Iterable[str]] = ..., next_within_s: _Optional[int] = ..., newest_notice: _Optional[bytes] = ...) -> None: ...

class FetchChunksRequest(_message.Message):
    __slots__ = ("delivery_id", "from_chunk")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_CHUNK_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    from_chunk: int
    def __init__(self, delivery_id: _Optional[str] = ..., from_chunk: _Optional[int] = ...) -> None: ...

class FetchChunksResponse(_message.Message):
    __slots__ = ("number", "data")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    number: int
    data: bytes
    def __init__(self, number: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class SubmitReceiptRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class SubmitReceiptResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...
