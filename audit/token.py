"""Signing with a key that never leaves a PKCS#11 token (an HSM, a card, SoftHSM).

Decides how a token's answers become signatures of the contract. Which token, which key and where the PIN
comes from is decided in `audit.custody`. Needs the extra `hsm`; nothing else here imports it.
Sources: PKCS #11 v3.0 §2.3.6 (ECDSA gives r ‖ s), §2.3.14 (EdDSA); RFC 5480, RFC 8410 (public keys).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from audit import keys
from audit.keys import ED25519
from xinyi.errors import Invalid, Unavailable
from xinyi.v1 import party_pb2

if TYPE_CHECKING:
    from pkcs11 import Session

T = TypeVar("T")

#: One call at a time in this process: python-pkcs11 starts the vendor's library without locking of its own.
_LOCK = threading.Lock()


class Token:
    """One token, logged in when it is first needed and again after it failed. Threads share it.

    Args:
        module: the vendor's PKCS#11 library.
        label: of the token; blanks at its end do not count.
        pin: read at each login, so that a changed PIN needs no new start.
    """

    def __init__(self, module: Path, label: str, pin: Callable[[], str]) -> None:
        self.module = module
        self.label = label
        self._pin = pin
        self._session: Session | None = None
        #: The session's handles of private keys, by label.
        self._private: dict[str, Any] = {}
        #: Tokens lock after a few wrong PINs: one that was refused is never tried again.
        self._refused_pin = ""

    def __str__(self) -> str:
        return f"token {self.label!r}"

    def public_key(self, label: str) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
        """Reads the public key of a pair. Raises Invalid (no such token, key or PIN), Unavailable."""
        return self._use(lambda session: self._find_public(session, label))

    def sign(self, label: str, message: bytes, *, algorithm: party_pb2.KeyAlgorithm) -> bytes:
        """Ed25519: 64 bytes; ECDSA with SHA-256: DER. Raises as `public_key` does."""
        mechanism = _library().Mechanism

        def with_ed25519(session: Session) -> bytes:
            return bytes(self._find_private(session, label).sign(message, mechanism=mechanism.EDDSA))

        def with_ecdsa(session: Session) -> bytes:
            # Hashed here: CKM_ECDSA is in every token, CKM_ECDSA_SHA256 is not.
            digest = hashlib.sha256(message).digest()
            raw = bytes(self._find_private(session, label).sign(digest, mechanism=mechanism.ECDSA))
            half = len(raw) // 2
            return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))

        return self._use(with_ed25519 if algorithm == ED25519 else with_ecdsa)

    def close(self) -> None:
        """Logs out; the next use logs in again."""
        with _LOCK:
            self._drop()

    def _use(self, work: Callable[[Session], T]) -> T:
        """Twice where the token fails: it may have been pulled out and put back, or restarted."""
        errors = _library().PKCS11Error
        with _LOCK:
            if self._session is not None:
                try:
                    return work(self._session)
                except (errors, Invalid):  # after a logout by others of this process no private key is seen
                    self._drop()
            try:
                self._session = self._log_in()
                return work(self._session)
            except errors as error:
                self._drop()
                raise Unavailable(f"{self} does not work ({_name(error)})", basis="signing.token") from error

    def _drop(self) -> None:
        session, self._session = self._session, None
        self._private.clear()
        if session is not None:
            try:
                session.close()
            except _library().PKCS11Error:
                return  # it is gone already, which is why it is dropped

    def _log_in(self) -> Session:
        pkcs11 = _library()
        library = self._load()
        try:
            token = library.get_token(token_label=self.label)
        except pkcs11.NoSuchToken as error:
            present = ", ".join(sorted({repr(t.label) for t in library.get_tokens() if t.label}))
            raise Invalid(
                f"there is no {self} in {self.module}; there: {present or 'none'}: mend signing.token.label, "
                "or plug it in",
                basis="signing.token",
            ) from error
        except pkcs11.MultipleTokensReturned as error:
            raise Invalid(f"several tokens are labelled {self.label!r}", basis="signing.token") from error
        pin = self._pin()
        if pin == self._refused_pin:
            raise self._pin_refused()
        try:
            return self._open(token, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return self._open(token)  # another user of this process: the login is the process's
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinInvalid) as error:
            self._refused_pin = pin
            raise self._pin_refused() from error
        except (pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.UserPinNotInitialized) as error:
            raise Invalid(
                f"{self}: {_name(error)}: its security officer sets a new PIN", basis="signing.pin"
            ) from error

    def _open(self, token: Any, **login: str) -> Session:
        session: Session = token.open(**login)
        return session

    def _load(self) -> Any:
        pkcs11 = _library()
        try:
            return pkcs11.lib(str(self.module))
        except pkcs11.PKCS11Error as error:
            if type(error) is not pkcs11.PKCS11Error:  # a code of the library itself
                raise
            raise Invalid(
                f"{self.module} is no PKCS#11 library: signing.token.module names the vendor's .so",
                basis="signing.module",
            ) from error

    def _pin_refused(self) -> Invalid:
        return Invalid(
            f"{self} refuses the PIN, and a wrong one is not tried twice lest the token lock: correct "
            "signing.token.pin_file or XINYI_SIGNING__TOKEN__PIN",
            basis="signing.pin",
        )

    def _find_private(self, session: Session, label: str) -> Any:
        if label not in self._private:
            self._private[label] = self._find(session, "PRIVATE_KEY", label)
        return self._private[label]

    def _find(self, session: Session, kind: str, label: str) -> Any:
        pkcs11 = _library()
        wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass[kind], pkcs11.Attribute.LABEL: label}
        # All of them: a search that is left unfinished keeps the session busy.
        found = list(session.get_objects(wanted))
        if len(found) != 1:
            raise Invalid(
                f"{self} holds {len(found)} objects {kind} labelled {label!r}, not one: make the pair in the "
                "token, or mend the key's name",
                basis="signing.key",
            )
        return found[0]

    def _find_public(
        self, session: Session, label: str
    ) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
        pkcs11 = _library()
        self._find_private(session, label)
        found = self._find(session, "PUBLIC_KEY", label)
        if found.key_type not in (pkcs11.KeyType.EC, pkcs11.KeyType.EC_EDWARDS):
            raise self._not_ours(label)
        point = bytes(found[pkcs11.Attribute.EC_POINT])
        # A DER OCTET STRING (of 32 or 65 bytes); some tokens give the bare point.
        point = point[2:] if len(point) in (34, 67) else point
        try:
            if found.key_type == pkcs11.KeyType.EC_EDWARDS:
                return ed25519.Ed25519PublicKey.from_public_bytes(point)
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise self._not_ours(label) from error

    def _not_ours(self, label: str) -> Invalid:
        return Invalid(
            f"key {label!r} of {self} is neither an Ed25519 nor a P-256 key", basis="keys.algorithm"
        )


class TokenSigner:
    """A key pair in a token. Raises Invalid where the token, the PIN or the key is not as told."""

    def __init__(self, token: Token, label: str, *, holder: str, purpose: party_pb2.KeyPurpose) -> None:
        self._token = token
        self._label = label
        self.key = keys.public_key(token.public_key(label), str(token), holder=holder, purpose=purpose)

    def sign(self, message: bytes) -> bytes:
        try:
            signature = self._token.sign(self._label, message, algorithm=self.key.algorithm)
        except Invalid as error:  # it was right when it was opened
            raise Unavailable(error.explanation, basis=error.basis) from error
        return keys.check_own(self.key, signature, message, str(self._token))


def _name(error: Exception) -> str:
    return type(error).__name__


def _library() -> Any:
    try:
        import pkcs11
    except ModuleNotFoundError as error:
        raise Invalid(
            "keys in a token need the extra `hsm`: pip install 'xinyi-gateway[hsm]'", basis="signing.extra"
        ) from error
    return pkcs11
