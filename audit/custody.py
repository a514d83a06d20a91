"""Where a party's signing keys lie, as its settings say, and the signers that sign with them.

Decides what a key's name means and how secrets are read. A key is named by its place:

    file:NAME     keys/NAME.pem of the home
    token:LABEL   the pair of that label in the PKCS#11 token of [signing.token]
    server:NAME   the key of that name at the signature server of [signing.server]
"""

from __future__ import annotations

import base64
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import Field, SecretStr, StringConstraints

from audit import envelope, keys
from audit.keys import FileSigner, Keyring, Signer, keyid
from audit.signature_server import Pins, ServerSigner, SignatureServer
from audit.token import Token, TokenSigner
from xinyi.settings import Section, SettingsInvalid
from xinyi.v1 import party_pb2

_FILE = "file:"
#: A name becomes part of a path: no slash, no dot in front.
KeyName = Annotated[
    str, StringConstraints(pattern=r"^(file:[A-Za-z0-9][A-Za-z0-9._-]*|server:[A-Za-z0-9._-]+|token:.+)$")
]


class TokenSettings(Section):
    #: The vendor's PKCS#11 library.
    module: Path
    #: The token's own label.
    label: str
    #: A file of mode 0600; or XINYI_SIGNING__TOKEN__PIN in the environment.
    pin_file: Path | None = None
    #: From the environment alone: a settings file with a PIN is refused.
    pin: SecretStr = SecretStr("")


class ServerSettings(Section):
    #: https://…, or http:// on loopback.
    url: str
    #: Key's name → its public key: base64 of the DER SubjectPublicKeyInfo (a PEM file's inner lines).
    public_keys: dict[str, str]
    #: PEM files for https: the server's CA, and our certificate and its key.
    ca: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    timeout_s: float = Field(default=5.0, gt=0)


class CustodySettings(Section):
    """What [signing] says of places; which keys sign is said beside it, by each program's own settings."""

    token: TokenSettings | None = None
    server: ServerSettings | None = None


class Custody:
    """The keys of one home. Paths in its settings are absolute or begin at the home."""

    def __init__(self, home: Path, settings: CustodySettings, holder: str) -> None:
        self._home = home
        self._settings = settings
        self._holder = holder
        #: Signers of tokens, which keep a session; files are read anew, for they may have been replaced.
        self._opened: dict[tuple[str, int], Signer] = {}

    def signer(self, name: str, purpose: party_pb2.KeyPurpose = party_pb2.KEY_PURPOSE_DOCUMENT) -> Signer:
        """The signer of a key by its name.

        Raises Invalid where the key, its token, its PIN or its server's settings are not right, saying what to
        do; Unavailable where a token fails. A signature server is not asked before something is signed.
        """
        place, _, label = name.partition(":")
        if place == "file":
            return self._file(self.path(name), purpose)
        if (name, purpose) not in self._opened:
            self._opened[name, purpose] = (
                TokenSigner(self._token, label, holder=self._holder, purpose=purpose)
                if place == "token"
                else ServerSigner(self._public_key(label, purpose), self._server, label)
            )
        return self._opened[name, purpose]

    def path(self, name: str) -> Path:
        """Of a key in a file."""
        return self._home / "keys" / f"{name.removeprefix(_FILE)}.pem"

    def _file(self, path: Path, purpose: party_pb2.KeyPurpose) -> FileSigner:
        if not path.exists():
            raise SettingsInvalid(f"{path} is missing: restore it or make a new home", basis="home.key")
        return FileSigner.load(path, holder=self._holder, purpose=purpose)

    @cached_property
    def _token(self) -> Token:
        settings = self._settings.token
        if settings is None:
            raise SettingsInvalid(
                "a key lies in a token, but [signing.token] is missing", basis="signing.token"
            )
        return Token(settings.module, settings.label, lambda: self._pin(settings))

    def _pin(self, settings: TokenSettings) -> str:
        pin = settings.pin.get_secret_value()
        if not pin and settings.pin_file is not None:
            path = self._home / settings.pin_file
            if not path.exists():
                raise SettingsInvalid(
                    f"{path} is missing: signing.token.pin_file names it", basis="signing.pin"
                )
            pin = keys.read_private(path).decode().rstrip("\r\n")
        if not pin:
            raise SettingsInvalid(
                "the token's PIN is not given: signing.token.pin_file, or XINYI_SIGNING__TOKEN__PIN",
                basis="signing.pin",
            )
        return pin

    @cached_property
    def _server(self) -> SignatureServer:
        settings = self._server_settings
        pins = None
        if settings.ca and settings.certificate and settings.private_key:
            pins = Pins(
                self._home / settings.ca, self._home / settings.certificate, self._home / settings.private_key
            )
        return SignatureServer(settings.url, settings.timeout_s, pins)

    @property
    def _server_settings(self) -> ServerSettings:
        if self._settings.server is None:
            raise SettingsInvalid(
                "a key lies at a server, but [signing.server] is missing", basis="signing.server"
            )
        return self._settings.server

    def _public_key(self, label: str, purpose: party_pb2.KeyPurpose) -> party_pb2.PublicKey:
        place = f"signing.server.public_keys.{label}"
        encoded = self._server_settings.public_keys.get(label)
        if encoded is None:
            raise SettingsInvalid(
                f"{place} is missing: what the server signs must be verifiable", basis="signing.key"
            )
        try:
            public = load_der_public_key(base64.b64decode(encoded, validate=True))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SettingsInvalid(
                f"{place} is not base64 of a DER SubjectPublicKeyInfo", basis="signing.key"
            ) from error
        return keys.public_key(public, place, holder=self._holder, purpose=purpose)


def is_file(name: str) -> bool:
    return name.startswith(_FILE)


def probe(signer: Signer) -> None:
    """Signs a document of no kind and verifies it, as `check` does. Raises Unavailable, SignatureInvalid."""
    message = envelope.pre_encoding("application/vnd.xinyi.probe", os.urandom(32))
    Keyring([signer.key]).verify(keyid(signer.key), signer.sign(message), message)
