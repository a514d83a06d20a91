"""Signing with a key that a party's own signature server keeps: one POST per signature.

    POST <url>/<key>   application/octet-stream: exactly the bytes to be signed, at most 4 MiB and a line
    200                application/octet-stream: the signature. Ed25519: 64 bytes; ECDSA with SHA-256: DER
    any other status   refused or broken; the body is not read

The server gets the message, not its hash: Ed25519 needs all of it, and a server that sees what it signs can
refuse what it should not (every document begins with "DSSEv1 " and its type). The caller verifies what comes
back before it uses it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

from audit import keys
from xinyi.errors import Invalid, Unavailable
from xinyi.v1 import party_pb2

#: No signature of ours is longer; more is somebody else's page.
MAX_SIGNATURE_BYTES = 256
OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class Pins:
    """Files that an HTTPS server is reached with: its CA (no other is trusted), and our certificate and key."""

    ca: Path
    certificate: Path
    private_key: Path

    def context(self) -> ssl.SSLContext:
        """Raises Invalid where a file is missing, not PEM, open to others, or not of its pair."""
        try:
            keys.read_private(self.private_key)
            context = ssl.create_default_context(cafile=str(self.ca))
            context.load_cert_chain(self.certificate, self.private_key)
        except (OSError, ssl.SSLError) as error:
            raise Invalid(
                f"the signature server's ca, our certificate or private_key cannot be used: {error}",
                basis="signing.server",
            ) from error
        return context


@dataclass(frozen=True)
class SignatureServer:
    """Where it stands. Threads share it: each signature has a connection of its own.

    Args:
        timeout_s: for each step of the network: connecting, sending, each read.
    """

    url: str
    timeout_s: float
    pins: Pins | None = None
    _context: ssl.SSLContext | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Raises Invalid: HTTPS with all three files, or plain HTTP that does not leave this machine."""
        parts = urlsplit(self.url)
        if not parts.hostname or parts.username or parts.query or parts.fragment:
            raise Invalid(f"{self.url!r} is not https://<host>[:<port>][/<path>]", basis="signing.server")
        if parts.scheme == "https" and self.pins is not None:
            object.__setattr__(self, "_context", self.pins.context())
        elif parts.scheme == "https":
            raise Invalid(
                "a signature server behind https needs signing.server.ca, certificate and private_key",
                basis="signing.server",
            )
        elif parts.scheme != "http" or not _is_loopback(parts.hostname):
            raise Invalid(
                f"{self.url!r}: plain http is for a server on this machine (127.0.0.1); use https",
                basis="signing.server",
            )

    def __str__(self) -> str:
        return f"signature server {self.url}"

    def sign(self, key: str, message: bytes) -> bytes:
        """What the server answers, not verified. Raises Unavailable."""
        parts = urlsplit(self.url)
        connection = self._connect(parts.hostname or "", parts.port)
        try:
            path = f"{parts.path.rstrip('/')}/{quote(key, safe='')}"
            connection.request("POST", path, message, {"Content-Type": OCTETS, "Accept": OCTETS})
            response = connection.getresponse()
            if response.status != 200:
                raise Unavailable(f"{self} answers {response.status} for {key}", basis="signing.server")
            signature = response.read(MAX_SIGNATURE_BYTES + 1)
        except TimeoutError as error:
            raise Unavailable(
                f"{self} has not answered within {self.timeout_s:g} s", basis="signing.server"
            ) from error
        except (OSError, HTTPException) as error:
            raise Unavailable(f"{self} cannot be reached: {_why(error)}", basis="signing.server") from error
        finally:
            connection.close()
        if not 0 < len(signature) <= MAX_SIGNATURE_BYTES:
            raise Unavailable(f"{self} answers something that is no signature", basis="signing.server")
        return signature

    def _connect(self, host: str, port: int | None) -> HTTPConnection:
        if self._context is not None:
            return HTTPSConnection(host, port, timeout=self.timeout_s, context=self._context)
        return HTTPConnection(host, port, timeout=self.timeout_s)


@dataclass(frozen=True)
class ServerSigner:
    """One key of a signature server; its public half was pinned beforehand and is never asked for."""

    key: party_pb2.PublicKey
    server: SignatureServer
    name: str

    def sign(self, message: bytes) -> bytes:
        return keys.check_own(self.key, self.server.sign(self.name, message), message, str(self.server))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not of the pinned CA, or names another host ({error.verify_message})"
    return str(error) or type(error).__name__
