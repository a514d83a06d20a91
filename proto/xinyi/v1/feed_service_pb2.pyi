from xinyi.v1 import exchange_pb2 as _exchange_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PullCall(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class PullResponse(_message.Message):
    __slots__ = ("package", "unchanged", "retry_after_s", "evidence")
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    package: _exchange_pb2.DeliveryPackage
    unchanged: bool
    retry_after_s: int
    evidence: _exchange_pb2.LogEvidence
    def __init__(self, package: _Optional[_Union[_exchange_pb2.DeliveryPackage, _Mapping]] = ..., unchanged: _Optional[bool] = ..., retry_after_s: _Optional[int] = ..., evidence: _Optional[_Union[_exchange_pb2.LogEvidence, _Mapping]] = ...) -> None: ...

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
