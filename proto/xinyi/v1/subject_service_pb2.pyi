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

class FindSubjectRequest(_message.Message):
    __slots__ = ("call", "identifier", "salt", "recipient")
    CALL_FIELD_NUMBER: _ClassVar[int]
    IDENTIFIER_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    call: _exchange_pb2.Call
    identifier: str
    salt: bytes
    recipient: str
    def __init__(self, call: _Optional[_Union[_exchange_pb2.Call, _Mapping]] = ..., identifier: _Optional[str] = ..., salt: _Optional[bytes] = ..., recipient: _Optional[str] = ...) -> None: ...

class FindSubjectResponse(_message.Message):
    __slots__ = ("edition", "delivery", "objection", "evidence", "outcomes")
    EDITION_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    OBJECTION_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    edition: SubjectEdition
    delivery: SubjectDelivery
    objection: SubjectObjection
    evidence: _exchange_pb2.LogEvidence
    outcomes: SubjectOutcomes
    def __init__(self, edition: _Optional[_Union[SubjectEdition, _Mapping]] = ..., delivery: _Optional[_Union[SubjectDelivery, _Mapping]] = ..., objection: _Optional[_Union[SubjectObjection, _Mapping]] = ..., evidence: _Optional[_Union[_exchange_pb2.LogEvidence, _Mapping]] = ..., outcomes: _Optional[_Union[SubjectOutcomes, _Mapping]] = ...) -> None: ...

class ProvenEntry(_message.Message):
    __slots__ = ("index", "salt", "opening", "proof")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    OPENING_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    index: int
    salt: bytes
    opening: bytes
    proof: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, index: _Optional[int] = ..., salt: _Optional[bytes] = ..., opening: _Optional[bytes] = ..., proof: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SubjectEdition(_message.Message):
    __slots__ = ("manifest", "approval", "blinding_key", "bucket", "bucket_path", "record", "entries")
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    BLINDING_KEY_FIELD_NUMBER: _ClassVar[int]
    BUCKET_FIELD_NUMBER: _ClassVar[int]
    BUCKET_PATH_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    manifest: _envelope_pb2.Envelope
    approval: _envelope_pb2.Envelope
    blinding_key: bytes
    bucket: bytes
    bucket_path: _containers.RepeatedScalarFieldContainer[bytes]
    record: _records_pb2.SaltedRecord
    entries: _containers.RepeatedCompositeFieldContainer[ProvenEntry]
    def __init__(self, manifest: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., approval: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., blinding_key: _Optional[bytes] = ..., bucket: _Optional[bytes] = ..., bucket_path: _Optional[_Iterable[bytes]] = ..., record: _Optional[_Union[_records_pb2.SaltedRecord, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[ProvenEntry, _Mapping]]] = ...) -> None: ...

class SubjectDelivery(_message.Message):
    __slots__ = ("delivery", "receipts", "entries")
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    delivery: _envelope_pb2.Envelope
    receipts: _containers.RepeatedCompositeFieldContainer[_envelope_pb2.Envelope]
    entries: _containers.RepeatedCompositeFieldContainer[ProvenEntry]
    def __init__(self, delivery: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., receipts: _Optional[_Iterable[_Union[_envelope_pb2.Envelope, _Mapping]]] = ..., entries: _Optional[_Iterable[_Union[ProvenEntry, _Mapping]]] = ...) -> None: ...

class SubjectObjection(_message.Message):
    __slots__ = ("objection", "decision", "entries")
    OBJECTION_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    objection: _envelope_pb2.Envelope
    decision: _envelope_pb2.Envelope
    entries: _containers.RepeatedCompositeFieldContainer[ProvenEntry]
    def __init__(self, objection: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., decision: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., entries: _Optional[_Iterable[_Union[ProvenEntry, _Mapping]]] = ...) -> None: ...

class SubjectOutcomes(_message.Message):
    __slots__ = ("batch", "outcomes", "entries")
    BATCH_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    batch: _envelope_pb2.Envelope
    outcomes: _containers.RepeatedCompositeFieldContainer[ProvenOutcome]
    entries: _containers.RepeatedCompositeFieldContainer[ProvenEntry]
    def __init__(self, batch: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., outcomes: _Optional[_Iterable[_Union[ProvenOutcome, _Mapping]]] = ..., entries: _Optional[_Iterable[_Union[ProvenEntry, _Mapping]]] = ...) -> None: ...

class ProvenOutcome(_message.Message):
    __slots__ = ("outcome", "index", "path", "finding")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    FINDING_FIELD_NUMBER: _ClassVar[int]
    outcome: _records_pb2.SaltedRecord
    index: int
    path: _containers.RepeatedScalarFieldContainer[bytes]
    finding: _lending_pb2.OutcomeFinding
    def __init__(self, outcome: _Optional[_Union[_records_pb2.SaltedRecord, _Mapping]] = ..., index: _Optional[int] = ..., path: _Optional[_Iterable[bytes]] = ..., finding: _Optional[_Union[_lending_pb2.OutcomeFinding, _Mapping]] = ...) -> None: ...
