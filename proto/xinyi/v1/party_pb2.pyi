from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class KeyAlgorithm(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_ALGORITHM_UNSPECIFIED: _ClassVar[KeyAlgorithm]
    KEY_ALGORITHM_ED25519: _ClassVar[KeyAlgorithm]
    KEY_ALGORITHM_ECDSA_P256_SHA256: _ClassVar[KeyAlgorithm]
    KEY_ALGORITHM_SM2_SM3: _ClassVar[KeyAlgorithm]

class KeyPurpose(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KEY_PURPOSE_UNSPECIFIED: _ClassVar[KeyPurpose]
    KEY_PURPOSE_DOCUMENT: _ClassVar[KeyPurpose]
    KEY_PURPOSE_LOG: _ClassVar[KeyPurpose]
    KEY_PURPOSE_WITNESS: _ClassVar[KeyPurpose]

class PartyKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PARTY_KIND_UNSPECIFIED: _ClassVar[PartyKind]
    PARTY_KIND_TAX_BUREAU: _ClassVar[PartyKind]
    PARTY_KIND_BANK: _ClassVar[PartyKind]
    PARTY_KIND_CITY: _ClassVar[PartyKind]
    PARTY_KIND_AUDITOR: _ClassVar[PartyKind]
    PARTY_KIND_GATEWAY: _ClassVar[PartyKind]
KEY_ALGORITHM_UNSPECIFIED: KeyAlgorithm
KEY_ALGORITHM_ED25519: KeyAlgorithm
KEY_ALGORITHM_ECDSA_P256_SHA256: KeyAlgorithm
KEY_ALGORITHM_SM2_SM3: KeyAlgorithm
KEY_PURPOSE_UNSPECIFIED: KeyPurpose
KEY_PURPOSE_DOCUMENT: KeyPurpose
KEY_PURPOSE_LOG: KeyPurpose
KEY_PURPOSE_WITNESS: KeyPurpose
PARTY_KIND_UNSPECIFIED: PartyKind
PARTY_KIND_TAX_BUREAU: PartyKind
PARTY_KIND_BANK: PartyKind
PARTY_KIND_CITY: PartyKind
PARTY_KIND_AUDITOR: PartyKind
PARTY_KIND_GATEWAY: PartyKind

class PublicKey(_message.Message):
    __slots__ = ("algorithm", "purpose", "spki", "party", "holder")
    ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    SPKI_FIELD_NUMBER: _ClassVar[int]
    PARTY_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    algorithm: KeyAlgorithm
    purpose: KeyPurpose
    spki: bytes
    party: str
    holder: str
    def __init__(self, algorithm: _Optional[_Union[KeyAlgorithm, str]] = ..., purpose: _Optional[_Union[KeyPurpose, str]] = ..., spki: _Optional[bytes] = ..., party: _Optional[str] = ..., holder: _Optional[str] = ...) -> None: ...

class KeyRegistration(_message.Message):
    __slots__ = ("key", "party_kind", "certificate_request", "requested_at_ms", "display_name")
    KEY_FIELD_NUMBER: _ClassVar[int]
    PARTY_KIND_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_REQUEST_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    key: PublicKey
    party_kind: PartyKind
    certificate_request: str
    requested_at_ms: int
    display_name: str
    def __init__(self, key: _Optional[_Union[PublicKey, _Mapping]] = ..., party_kind: _Optional[_Union[PartyKind, str]] = ..., certificate_request: _Optional[str] = ..., requested_at_ms: _Optional[int] = ..., display_name: _Optional[str] = ...) -> None: ...

class Admission(_message.Message):
    __slots__ = ("party", "holder", "registration_digest", "certificate_chain", "ca_certificate", "gateway_address", "log_verifier_key", "admitted_at_ms")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    REGISTRATION_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_CHAIN_FIELD_NUMBER: _ClassVar[int]
    CA_CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    GATEWAY_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LOG_VERIFIER_KEY_FIELD_NUMBER: _ClassVar[int]
    ADMITTED_AT_MS_FIELD_NUMBER: _ClassVar[int]
    party: str
    holder: str
    registration_digest: bytes
    certificate_chain: str
    ca_certificate: str
    gateway_address: str
    log_verifier_key: str
    admitted_at_ms: int
    def __init__(self, party: _Optional[str] = ..., holder: _Optional[str] = ..., registration_digest: _Optional[bytes] = ..., certificate_chain: _Optional[str] = ..., ca_certificate: _Optional[str] = ..., gateway_address: _Optional[str] = ..., log_verifier_key: _Optional[str] = ..., admitted_at_ms: _Optional[int] = ...) -> None: ...

class AgreementAnnex(_message.Message):
    __slots__ = ("agreement_id", "keys", "log_verifier_key", "verification_method")
    AGREEMENT_ID_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    LOG_VERIFIER_KEY_FIELD_NUMBER: _ClassVar[int]
    VERIFICATION_METHOD_FIELD_NUMBER: _ClassVar[int]
    agreement_id: str
    keys: _containers.RepeatedCompositeFieldContainer[PublicKey]
    log_verifier_key: str
    verification_method: str
    def __init__(self, agreement_id: _Optional[str] = ..., keys: _Optional[_Iterable[_Union[PublicKey, _Mapping]]] = ..., log_verifier_key: _Optional[str] = ..., verification_method: _Optional[str] = ...) -> None: ...
