"""A party's way to its gateway: one channel, sealed calls with the last head, answers that are verified.

Decides nothing about the meaning of a document. Use it for the length of a command, or of a service.
"""

from __future__ import annotations

import threading
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError, Message

from adapters.party.home import Home
from audit import envelope
from audit.envelope import Opened, digest, open_sealed, payload_type, seal
from audit.keys import Keyring
from xinyi.channel import dial_sync, server_name
from xinyi.errors import BY_CODE, DigestMismatch, EncodingInvalid, ExchangeError, Refused
from xinyi.v1 import envelope_pb2, exchange_pb2

if TYPE_CHECKING:
    import grpc

M = TypeVar("M", bound=Message)


class GatewayClient:
    """Use as a context manager. Safe to share between threads."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._signers = home.signers()
        self._gateway_keys: Keyring = home.gateway_keyring()
        #: Document digest → the head that went out with it, until its answer came.
        self._shown: dict[bytes, bytes] = {}
        self._lock = threading.Lock()
        self._dialled = False

    @cached_property
    def channel(self) -> grpc.Channel:
        gateway = self.home.settings.gateway
        self._dialled = True
        return dial_sync(
            gateway.address, self.home.tls(), name=gateway.server_name or server_name(gateway.party)
        )

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._dialled:
            self.channel.close()

    def call(self, document: Message) -> exchange_pb2.Call:
        """Seals the document with this party's keys and shows the last head."""
        return self.wrap(seal(document, *self._signers))

    def wrap(self, sealed: envelope_pb2.Envelope) -> exchange_pb2.Call:
        """The same for a document that was sealed before, perhaps on another machine."""
        head = self.home.head()
        note = head.note if head else b""
        with self._lock:
            self._shown[digest(sealed)] = note
        return exchange_pb2.Call(document=sealed, head=note)

    def accept(
        self, answer: exchange_pb2.Answer, sent: envelope_pb2.Envelope
    ) -> Opened[exchange_pb2.Acknowledgement]:
        """The gateway's sealed acknowledgement of exactly this document; advances the head.

        A document that went another way than `call` and `wrap` (a folder) showed no head.

        Raises the gateway's own refusal, or VerificationError where the answer does not hold.
        """
        with self._lock:
            shown = self._shown.pop(digest(sent), b"")
        if answer.acknowledgement.payload_type == payload_type(exchange_pb2.Refusal):
            refusal = self._open(answer.acknowledgement, exchange_pb2.Refusal)
            self._check_digest(refusal.message.document_digest, sent)
            self.home.advance_head(answer.evidence, shown=shown)
            raise refusal_error(refusal)
        acknowledgement = self._open(answer.acknowledgement, exchange_pb2.Acknowledgement)
        self._check_digest(acknowledgement.message.document_digest, sent)
        self.home.advance_head(answer.evidence, shown=shown)
        return acknowledgement

    def advance(self, evidence: exchange_pb2.LogEvidence, sent: envelope_pb2.Envelope) -> None:
        """For answers that carry evidence without an acknowledgement (a poll)."""
        with self._lock:
            shown = self._shown.pop(digest(sent), b"")
        self.home.advance_head(evidence, shown=shown)

    def refusal(self, error: ExchangeError) -> Opened[exchange_pb2.Refusal] | None:
        """The signed refusal that came with an error; None where the gateway gave none.

        Raises SignatureInvalid or EncodingInvalid where it is not the gateway's.
        """
        return self._open_refusal(error.sealed) if error.sealed else None

    def refused(self, sealed: bytes) -> ExchangeError:
        """The error that a signed refusal in a file stands for. Raises like `refusal`."""
        return refusal_error(self._open_refusal(sealed))

    def _open_refusal(self, data: bytes) -> Opened[exchange_pb2.Refusal]:
        sealed = envelope_pb2.Envelope()
        try:
            sealed.ParseFromString(data)
        except DecodeError as broken:
            raise EncodingInvalid("the refusal's envelope cannot be parsed") from broken
        return self._open(sealed, exchange_pb2.Refusal)

    def _open(self, sealed: envelope_pb2.Envelope, kind: type[M]) -> Opened[M]:
        return open_sealed(sealed, kind, self._gateway_keys)

    def _check_digest(self, named: bytes, sent: envelope_pb2.Envelope) -> None:
        if named != envelope.digest(sent):
            raise DigestMismatch("the gateway answered another document than the one sent")


def refusal_error(refusal: Opened[exchange_pb2.Refusal]) -> ExchangeError:
    """The error a signed refusal stands for."""
    message = refusal.message
    error = BY_CODE.get(message.code, Refused)(message.explanation, basis=message.basis)
    error.sealed = refusal.envelope.SerializeToString(deterministic=True)
    return error
