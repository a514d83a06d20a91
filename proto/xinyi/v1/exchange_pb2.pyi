from xinyi.v1 import edition_pb2 as _edition_pb2
from xinyi.v1 import envelope_pb2 as _envelope_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Channel(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANNEL_UNSPECIFIED: _ClassVar[Channel]
    CHANNEL_PUSH: _ClassVar[Channel]
    CHANNEL_PULL: _ClassVar[Channel]
    CHANNEL_FOLDER: _ClassVar[Channel]

class DisclosureClass(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DISCLOSURE_CLASS_UNSPECIFIED: _ClassVar[DisclosureClass]
    DISCLOSURE_CLASS_PUBLIC: _ClassVar[DisclosureClass]
    DISCLOSURE_CLASS_AGREEMENT: _ClassVar[DisclosureClass]
    DISCLOSURE_CLASS_AUTHORISED: _ClassVar[DisclosureClass]
    DISCLOSURE_CLASS_AUTHORITY: _ClassVar[DisclosureClass]

class DeliveryGround(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_GROUND_UNSPECIFIED: _ClassVar[DeliveryGround]
    DELIVERY_GROUND_AGREEMENT: _ClassVar[DeliveryGround]
    DELIVERY_GROUND_RECALL: _ClassVar[DeliveryGround]

class ReceiptStage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RECEIPT_STAGE_UNSPECIFIED: _ClassVar[ReceiptStage]
    RECEIPT_STAGE_RECEIVED: _ClassVar[ReceiptStage]
    RECEIPT_STAGE_ACCEPTED: _ClassVar[ReceiptStage]
    RECEIPT_STAGE_PARTIAL: _ClassVar[ReceiptStage]
    RECEIPT_STAGE_REJECTED: _ClassVar[ReceiptStage]
    RECEIPT_STAGE_APPLIED: _ClassVar[ReceiptStage]
CHANNEL_UNSPECIFIED: Channel
CHANNEL_PUSH: Channel
CHANNEL_PULL: Channel
CHANNEL_FOLDER: Channel
DISCLOSURE_CLASS_UNSPECIFIED: DisclosureClass
DISCLOSURE_CLASS_PUBLIC: DisclosureClass
DISCLOSURE_CLASS_AGREEMENT: DisclosureClass
DISCLOSURE_CLASS_AUTHORISED: DisclosureClass
DISCLOSURE_CLASS_AUTHORITY: DisclosureClass
DELIVERY_GROUND_UNSPECIFIED: DeliveryGround
DELIVERY_GROUND_AGREEMENT: DeliveryGround
DELIVERY_GROUND_RECALL: DeliveryGround
RECEIPT_STAGE_UNSPECIFIED: ReceiptStage
RECEIPT_STAGE_RECEIVED: ReceiptStage
RECEIPT_STAGE_ACCEPTED: ReceiptStage
RECEIPT_STAGE_PARTIAL: ReceiptStage
RECEIPT_STAGE_REJECTED: ReceiptStage
RECEIPT_STAGE_APPLIED: ReceiptStage

class Call(_message.Message):
    __slots__ = ("document", "head")
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    document: _envelope_pb2.Envelope
    head: bytes
    def __init__(self, document: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., head: _Optional[bytes] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("acknowledgement", "evidence")
    ACKNOWLEDGEMENT_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    acknowledgement: _envelope_pb2.Envelope
    evidence: LogEvidence
    def __init__(self, acknowledgement: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., evidence: _Optional[_Union[LogEvidence, _Mapping]] = ...) -> None: ...

class LogEvidence(_message.Message):
    __slots__ = ("checkpoint", "from_size", "consistency")
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    FROM_SIZE_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    checkpoint: bytes
    from_size: int
    consistency: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, checkpoint: _Optional[bytes] = ..., from_size: _Optional[int] = ..., consistency: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Acknowledgement(_message.Message):
    __slots__ = ("document_digest", "outcome", "leaf", "recorded_at_ms")
    DOCUMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    document_digest: bytes
    outcome: str
    leaf: bytes
    recorded_at_ms: int
    def __init__(self, document_digest: _Optional[bytes] = ..., outcome: _Optional[str] = ..., leaf: _Optional[bytes] = ..., recorded_at_ms: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("document_digest", "code", "basis", "explanation", "leaf", "recorded_at_ms")
    DOCUMENT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    RECORDED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    document_digest: bytes
    code: str
    basis: str
    explanation: str
    leaf: bytes
    recorded_at_ms: int
    def __init__(self, document_digest: _Optional[bytes] = ..., code: _Optional[str] = ..., basis: _Optional[str] = ..., explanation: _Optional[str] = ..., leaf: _Optional[bytes] = ..., recorded_at_ms: _Optional[int] = ...) -> None: ...

class DisputeMark(_message.Message):
    __slots__ = ("blinded_key", "objection", "filed_on", "due_on")
    BLINDED_KEY_FIELD_NUMBER: _ClassVar[int]
    OBJECTION_FIELD_NUMBER: _ClassVar[int]
    FILED_ON_FIELD_NUMBER: _ClassVar[int]
    DUE_ON_FIELD_NUMBER: _ClassVar[int]
    blinded_key: bytes
    objection: bytes
    filed_on: str
    due_on: str
    def __init__(self, blinded_key: _Optional[bytes] = ..., objection: _Optional[bytes] = ..., filed_on: _Optional[str] = ..., due_on: _Optional[str] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("delivery_id", "recipient", "manifest_digest", "approval_digest", "product", "period", "agreement_id", "disclosure_class", "offered_at_ms", "expires_at_ms", "ground", "disputes")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    DISCLOSURE_CLASS_FIELD_NUMBER: _ClassVar[int]
    OFFERED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_MS_FIELD_NUMBER: _ClassVar[int]
    GROUND_FIELD_NUMBER: _ClassVar[int]
    DISPUTES_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    recipient: str
    manifest_digest: bytes
    approval_digest: bytes
    product: str
    period: _edition_pb2.Period
    agreement_id: str
    disclosure_class: DisclosureClass
    offered_at_ms: int
    expires_at_ms: int
    ground: DeliveryGround
    disputes: _containers.RepeatedCompositeFieldContainer[DisputeMark]
    def __init__(self, delivery_id: _Optional[str] = ..., recipient: _Optional[str] = ..., manifest_digest: _Optional[bytes] = ..., approval_digest: _Optional[bytes] = ..., product: _Optional[str] = ..., period: _Optional[_Union[_edition_pb2.Period, _Mapping]] = ..., agreement_id: _Optional[str] = ..., disclosure_class: _Optional[_Union[DisclosureClass, str]] = ..., offered_at_ms: _Optional[int] = ..., expires_at_ms: _Optional[int] = ..., ground: _Optional[_Union[DeliveryGround, str]] = ..., disputes: _Optional[_Iterable[_Union[DisputeMark, _Mapping]]] = ...) -> None: ...

class DeliveryPackage(_message.Message):
    __slots__ = ("delivery", "manifest", "approval", "blinding_key")
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    APPROVAL_FIELD_NUMBER: _ClassVar[int]
    BLINDING_KEY_FIELD_NUMBER: _ClassVar[int]
    delivery: _envelope_pb2.Envelope
    manifest: _envelope_pb2.Envelope
    approval: _envelope_pb2.Envelope
    blinding_key: bytes
    def __init__(self, delivery: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., manifest: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., approval: _Optional[_Union[_envelope_pb2.Envelope, _Mapping]] = ..., blinding_key: _Optional[bytes] = ...) -> None: ...

class RecordIssue(_message.Message):
    __slots__ = ("blinded_key", "rule")
    BLINDED_KEY_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    blinded_key: bytes
    rule: str
    def __init__(self, blinded_key: _Optional[bytes] = ..., rule: _Optional[str] = ...) -> None: ...

class DeliveryReceipt(_message.Message):
    __slots__ = ("delivery_id", "delivery_digest", "manifest_digest", "stage", "root", "accepted", "rejected", "issues", "rules", "signed_by", "signed_at_ms")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    ROOT_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    ISSUES_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    SIGNED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    delivery_digest: bytes
    manifest_digest: bytes
    stage: ReceiptStage
    root: bytes
    accepted: int
    rejected: int
    issues: _containers.RepeatedCompositeFieldContainer[RecordIssue]
    rules: _containers.RepeatedCompositeFieldContainer[_edition_pb2.RuleCount]
    signed_by: str
    signed_at_ms: int
    def __init__(self, delivery_id: _Optional[str] = ..., delivery_digest: _Optional[bytes] = ..., manifest_digest: _Optional[bytes] = ..., stage: _Optional[_Union[ReceiptStage, str]] = ..., root: _Optional[bytes] = ..., accepted: _Optional[int] = ..., rejected: _Optional[int] = ..., issues: _Optional[_Iterable[_Union[RecordIssue, _Mapping]]] = ..., rules: _Optional[_Iterable[_Union[_edition_pb2.RuleCount, _Mapping]]] = ..., signed_by: _Optional[str] = ..., signed_at_ms: _Optional[int] = ...) -> None: ...

class DeliveryFailure(_message.Message):
    __slots__ = ("delivery_id", "recipient", "manifest_digest", "attempts", "code", "failed_at_ms")
    DELIVERY_ID_FIELD_NUMBER: _ClassVar[int]
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DIGEST_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    FAILED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    delivery_id: str
    recipient: str
    manifest_digest: bytes
    attempts: int
    code: str
    failed_at_ms: int
    def __init__(self, delivery_id: _Optional[str] = ..., recipient: _Optional[str] = ..., manifest_digest: _Optional[bytes] = ..., attempts: _Optional[int] = ..., code: _Optional[str] = ..., failed_at_ms: _Optional[int] = ...) -> None: ...

class PullRequest(_message.Message):
    __slots__ = ("recipient", "product", "last_held", "requested_at_ms", "nonce")
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    LAST_HELD_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    recipient: str
    product: str
    last_held: bytes
    requested_at_ms: int
    nonce: bytes
    def __init__(self, recipient: _Optional[str] = ..., product: _Optional[str] = ..., last_held: _Optional[bytes] = ..., requested_at_ms: _Optional[int] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class LogQuery(_message.Message):
    __slots__ = ("asked_by", "purpose", "party", "kind", "product", "period", "from_ms", "until_ms", "requested_at_ms", "nonce", "export", "with_records")
    ASKED_BY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    PARTY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    FROM_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    EXPORT_FIELD_NUMBER: _ClassVar[int]
    WITH_RECORDS_FIELD_NUMBER: _ClassVar[int]
    asked_by: str
    purpose: str
    party: str
    kind: str
    product: str
    period: _edition_pb2.Period
    from_ms: int
    until_ms: int
    requested_at_ms: int
    nonce: bytes
    export: bool
    with_records: bool
    def __init__(self, asked_by: _Optional[str] = ..., purpose: _Optional[str] = ..., party: _Optional[str] = ..., kind: _Optional[str] = ..., product: _Optional[str] = ..., period: _Optional[_Union[_edition_pb2.Period, _Mapping]] = ..., from_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., requested_at_ms: _Optional[int] = ..., nonce: _Optional[bytes] = ..., export: _Optional[bool] = ..., with_records: _Optional[bool] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("recipient", "products", "requested_at_ms", "nonce")
    RECIPIENT_FIELD_NUMBER: _ClassVar[int]
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    recipient: str
    products: _containers.RepeatedScalarFieldContainer[str]
    requested_at_ms: int
    nonce: bytes
    def __init__(self, recipient: _Optional[str] = ..., products: _Optional[_Iterable[str]] = ..., requested_at_ms: _Optional[int] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class SubjectQuery(_message.Message):
    __slots__ = ("asked_by", "purpose", "subject_commitment", "product", "requested_at_ms", "nonce")
    ASKED_BY_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_COMMITMENT_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    asked_by: str
    purpose: str
    subject_commitment: bytes
    product: str
    requested_at_ms: int
    nonce: bytes
    def __init__(self, asked_by: _Optional[str] = ..., purpose: _Optional[str] = ..., subject_commitment: _Optional[bytes] = ..., product: _Optional[str] = ..., requested_at_ms: _Optional[int] = ..., nonce: _Optional[bytes] = ...) -> None: ...
