from xinyi.v1 import edition_pb2 as _edition_pb2
from xinyi.v1 import exchange_pb2 as _exchange_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EntryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENTRY_STATE_UNSPECIFIED: _ClassVar[EntryState]
    ENTRY_STATE_INTEGRATED: _ClassVar[EntryState]
    ENTRY_STATE_PUBLISHED: _ClassVar[EntryState]
    ENTRY_STATE_PENDING: _ClassVar[EntryState]
ENTRY_STATE_UNSPECIFIED: EntryState
ENTRY_STATE_INTEGRATED: EntryState
ENTRY_STATE_PUBLISHED: EntryState
ENTRY_STATE_PENDING: EntryState

class LogEntry(_message.Message):
    __slots__ = ("kind", "recorded_at_ms", "actor", "counterparty", "product", "period", "agreement_id", "manifest_digest", "delivery_id", "documents", "record_count", "channel", "code", "detail", "changes", "since_ms")
    KIND_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COUNTERPARTY_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTS_FIELD_NUMBER: _ClassVar[int]
    RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    kind: str
    recorded_at_ms: int
    actor: str
    counterparty: str
    product: str
    period: _edition_pb2.Period
    agreement_id: str
    manifest_digest: bytes
    delivery_id: str
    documents: _containers.RepeatedScalarFieldContainer[bytes]
    record_count: int
    channel: _exchange_pb2.Channel
    code: str
    detail: str
    changes: _containers.RepeatedCompositeFieldContainer[RowChange]
    since_ms: int
    def __init__(self, kind: _Optional[str] = ..., recorded_at_ms: _Optional[int] = ..., actor: _Optional[str] = ..., counterparty: _Optional[str] = ..., product: _Optional[str] = ..., period: _Optional[_Union[_edition_pb2.Period, _Mapping]] = ..., agreement_id: _Optional[str] = ..., manifest_digest: _Optional[bytes] = ..., delivery_id: _Optional[str] = ..., documents: _Optional[_Iterable[bytes]] = ..., record_count: _Optional[int] = ..., channel: _Optional[_Union[_exchange_pb2.Channel, str]] = ..., code: _Optional[str] = ..., detail: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[RowChange, _Mapping]]] = ..., since_ms: _Optional[int] = ...) -> None: ...

class RowChange(_message.Message):
    __slots__ = ("table", "key", "row_sha256")
    TABLE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    ROW_SHA256_FIELD_NUMBER: _ClassVar[int]
    table: str
    key: str
    row_sha256: bytes
    def __init__(self, table: _Optional[str] = ..., key: _Optional[str] = ..., row_sha256: _Optional[bytes] = ...) -> None: ...

class Erasure(_message.Message):
    __slots__ = ("leaves", "basis", "erased_by", "erased_at_ms")
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    ERASED_BY_FIELD_NUMBER: _ClassVar[int]
    ERASED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    leaves: _containers.RepeatedScalarFieldContainer[bytes]
    basis: str
    erased_by: str
    erased_at_ms: int
    def __init__(self, leaves: _Optional[_Iterable[bytes]] = ..., basis: _Optional[str] = ..., erased_by: _Optional[str] = ..., erased_at_ms: _Optional[int] = ...) -> None: ...
