from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NoticeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NOTICE_KIND_UNSPECIFIED: _ClassVar[NoticeKind]
    NOTICE_KIND_CONTRACT: _ClassVar[NoticeKind]
    NOTICE_KIND_CERTIFICATE: _ClassVar[NoticeKind]
    NOTICE_KIND_KEY: _ClassVar[NoticeKind]
    NOTICE_KIND_PRODUCT: _ClassVar[NoticeKind]
    NOTICE_KIND_MAINTENANCE: _ClassVar[NoticeKind]
NOTICE_KIND_UNSPECIFIED: NoticeKind
NOTICE_KIND_CONTRACT: NoticeKind
NOTICE_KIND_CERTIFICATE: NoticeKind
NOTICE_KIND_KEY: NoticeKind
NOTICE_KIND_PRODUCT: NoticeKind
NOTICE_KIND_MAINTENANCE: NoticeKind

class ChangeNotice(_message.Message):
    __slots__ = ("number", "kind", "effective_on", "text_zh", "text_en", "fingerprint", "replaces", "urgent", "announced_at_ms")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_ON_FIELD_NUMBER: _ClassVar[int]
    TEXT_ZH_FIELD_NUMBER: _ClassVar[int]
    TEXT_EN_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    REPLACES_FIELD_NUMBER: _ClassVar[int]
    URGENT_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    number: str
    kind: NoticeKind
    effective_on: str
    text_zh: str
    text_en: str
    fingerprint: bytes
    replaces: str
    urgent: str
    announced_at_ms: int
    def __init__(self, number: _Optional[str] = ..., kind: _Optional[_Union[NoticeKind, str]] = ..., effective_on: _Optional[str] = ..., text_zh: _Optional[str] = ..., text_en: _Optional[str] = ..., fingerprint: _Optional[bytes] = ..., replaces: _Optional[str] = ..., urgent: _Optional[str] = ..., announced_at_ms: _Optional[int] = ...) -> None: ...
