from xinyi.v1 import envelope_pb2 as _envelope_pb2
from xinyi.v1 import exchange_pb2 as _exchange_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FileObjectionRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class FileObjectionResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...

class DecideObjectionRequest(_message.Message):
    __slots__ = ("call",)
    CALL_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ...) -> None: ...

class DecideObjectionResponse(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: _exchange_pb2.Answer
    def __init__(self, answer: _Optional[_Union[_exchange_pb2.Answer, _Mapping]] = ...) -> None: ...

class ListObjectionsRequest(_message.Message):
    __slots__ = ("product",)
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    product: str
    def __init__(self, product: _Optional[str] = ...) -> None: ...

class ListObjectionsResponse(_message.Message):
    __slots__ = ("objections",)
    OBJECTIONS_FIELD_NUMBER: _ClassVar[int]
    objections: _containers.RepeatedCompositeFieldContainer[ObjectionStatus]
    def __init__(self, objections: _Optional[_Iterable[_Union[ObjectionStatus, _Mapping]]] = ...) -> None: ...

class ObjectionStatus(_message.Message):
    __slots__ = ("objection", "decision")
    OBJECTION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    objection: _envelope_pb2.Envelope
    decision: _envelope_pb2.Envelope
    def __init__(self, objection: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., decision: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ...) -> None: ...
