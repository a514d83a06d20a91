from xinyi.v1 import envelope_pb2 as _envelope_pb2
from xinyi.v1 import exchange_pb2 as _exchange_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OfferRequest(_message.Message):
    __slots__ = ("package", "evidence")
    PACKAGE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    package: _exchange_pb2.DeliveryPackage
    evidence: _exchange_pb2.LogEvidence
    def __init__(self, package: _Optional[_Union[_exchange_pb2.DeliveryPackage, _Mapping]] = ..., evidence: _Optional[_Union[_exchange_pb2.LogEvidence, _Mapping]] = ...) -> None: ...

class OfferResponse(_message.Message):
    __slots__ = ("next_chunk", "receipt", "head")
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    next_chunk: int
    receipt: _envelope_pb2.Envelope
    head: bytes
    def __init__(self, next_chunk: _Optional[int] = ..., receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., head: _Optional[bytes] = ...) -> None: ...

class InboxServicePutChunksRequest(_message.Message):
    __slots__ = ("delivery_id", "number", "data")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    number: int
    data: bytes
    def __init__(self, delivery_id: _Optional[str] = ..., number: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class InboxServicePutChunksResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: _envelope_pb2.Envelope
    def __init__(self, receipt: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ...) -> None: ...
