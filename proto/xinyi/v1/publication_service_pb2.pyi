from xinyi.v1 import edition_pb2 as _edition_pb2
from xinyi.v1 import envelope_pb2 as _envelope_pb2
from xinyi.v1 import exchange_pb2 as _exchange_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BeginEditionRequest(_message.Message):
    __slots__ = ("call", "blinding_key")
    CALL_FIELD_NUMBER: _ClassVar[int]
    BLINDING_KEY_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    blinding_key: bytes
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ..., blinding_key: _Optional[bytes] = ...) -> None: ...

class BeginEditionResponse(_message.Message):
    __slots__ = ("next_chunk", "answer")
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    next_chunk: int
    answer: _exchange_pb2.Answer
    def __init__(self, next_chunk: _Optional[int] = ..., answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...

class PutChunksRequest(_message.Message):
    __slots__ = ("manifest_digest", "number", "data")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    number: int
    data: bytes
    def __init__(self, manifest_digest: _Optional[bytes] = ..., number: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class PutChunksResponse(_message.Message):
    __slots__ = ("next_chunk",)
    NEXT_CHUNK_FIELD_NUMBER: _ClassVar[int]
    next_chunk: int
    def __init__(self, next_chunk: _Optional[int] = ...) -> None: ...

class CommitEditionRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class CommitEditionResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...

class DecideEditionRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class DecideEditionResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...

class ListEditionsRequest(_message.Message):
    __slots__ = ("product", "manifest_digest")
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    product: str
    manifest_digest: bytes
    def __init__(self, product: _Optional[str] = ..., manifest_digest: _Optional[bytes] = ...) -> None: ...

class ListEditionsResponse(_message.Message):
    __slots__ = ("editions",)
    EDITIONS_FIELD_NUMBER: _ClassVar[int]
    editions: _containers.RepeatedCompositeFieldContainer[EditionStatus]
    def __init__(self, editions: _Optional[_Iterable[_Union[EditionStatus, _Mapping]]] = ...) -> None: ...

class EditionStatus(_message.Message):
    __slots__ = ("manifest_digest", "product", "period", "sequence", "state", "record_count", "manifest", "deliveries", "kind", "row_answers")
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROW_ANSWERS_FIELD_NUMBER: _ClassVar[int]
    manifest_digest: bytes
    product: str
    period: _edition_pb2.Period
    sequence: int
    state: str
    record_count: int
    manifest: _envelope_pb2.Envelope
    deliveries: _containers.RepeatedCompositeFieldContainer[DeliveryStatus]
    kind: _edition_pb2.EditionKind
    row_answers: _containers.RepeatedCompositeFieldContainer[_envelope_pb2.Envelope]
    def __init__(self, manifest_digest: _Optional[bytes] = ..., product: _Optional[str] = ..., period: _Optional[_Union[_edition_pb2.Period, _Mapping]] = ..., sequence: _Optional[int] = ..., state: _Optional[str] = ..., record_count: _Optional[int] = ..., manifest: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., deliveries: _Optional[_Iterable[_Union[DeliveryStatus, _Mapping]]] = ..., kind: _Optional[_Union[_edition_pb2.EditionKind, str]] = ..., row_answers: _Optional[_Iterable[_Union[_envelope_pb2.Envelope, _Mapping]]] = ...) -> None: ...

class DeliveryStatus(_message.Message):
    __slots__ = ("delivery_id", "recipient", "state", "channel", "attempts", "receipts", "last_error", "ground")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    GROUND_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    recipient: str
    state: str
    channel: _exchange_pb2.Channel
    attempts: int
    receipts: _containers.RepeatedCompositeFieldContainer[_envelope_pb2.Envelope]
    last_error: str
    ground: _exchange_pb2.DeliveryGround
    def __init__(self, delivery_id: _Optional[str] = ..., recipient: _Optional[str] = ..., state: _Optional[str] = ..., channel: _Optional[_Union[_exchange_pb2.Channel, str]] = ..., attempts: _Optional[int] = ..., receipts: _Optional[_Iterable[_Union[_envelope_pb2.Envelope, _Mapping]]] = ..., last_error: _Optional[str] = ..., ground: _Optional[_Union[_exchange_pb2.DeliveryGround, str]] = ...) -> None: ...
