"""What every call goes through: who calls, is the document theirs, was it answered before, and how the
gateway answers or refuses, signed and logged. Shared by the services; knows no service's subject.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog
from google.protobuf.message import Message

from audit import envelope
from audit.checkpoint import Checkpoint
from audit.envelope import Opened
from audit.keys import Keyring, Signer
from audit.log import Log
from gateway.exchange import Door, Exchange
from gateway.refusals import Refusals, Request
from gateway.store import editions as documents
from gateway.store import parties
from gateway.store.db import Database
from xinyi.errors import NotAuthenticated, Refused, SignatureInvalid, Unavailable, VerificationError
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2, party_pb2

M = TypeVar("M", bound=Message)

#: A key or partner change by another process counts here after at most this long.
DIRECTORY_AGE_S = 1.0
#: Consistency proofs that are kept, each under 2 KiB.
REMEMBERED_PROOFS = 1024

logger = structlog.get_logger()


@dataclass(frozen=True)
class Received(Opened[M]):
    """A caller's document: its seal holds and it belongs to the caller's party."""

    caller: Caller
    head: Checkpoint | None


@dataclass(frozen=True)
class _Discreet:
    """The gateway's signer before partners: what is wrong with its token or server is for the operator."""

    signer: Signer

    @property
    def key(self) -> party_pb2.PublicKey:
        return self.signer.key

    def sign(self, message: bytes) -> bytes:
        try:
            return self.signer.sign(message)
        except Unavailable as error:
            logger.error("document.signer_away", explanation=error.explanation)
            raise Unavailable("the gateway cannot sign at the moment: try again", basis="signing") from error


class Reception:
    """Opens calls, answers them, signs refusals."""

    def __init__(self, database: Database, door: Door, log: Log, signer: Signer, holder: str) -> None:
        self.database = database
        self.door = door
        self.log = log
        self.signer: Signer = _Discreet(signer)
        #: The gateway's own name, as the actor of what it does itself.
        self.holder = holder
        self.refusals = Refusals(door, self.signer, holder)
        self._keyring: tuple[float, Keyring] | None = None
        #: Consistency by the sizes asked for: many answers are given between two heads.
        self._proofs: dict[tuple[int, int], asyncio.Future[tuple[bytes, list[bytes]]]] = {}

    # ── receiving ──────────────────────────────────────────────────────────────────────────────────────

    async def keyring(self, *, fresh: bool = False) -> Keyring:
        now = time.monotonic()
        if fresh or self._keyring is None or now - self._keyring[0] > DIRECTORY_AGE_S:
            self._keyring = (now, await self.database.read(parties.keyring))
        return self._keyring[1]

    async def open(self, call: exchange_pb2.Call, kind: type[M], caller: Caller) -> Received[M]:
        """The caller's document.

        1. its seal holds under a registered key, 2. that key is of the party that TLS names, and of the very
        person where a person calls, 3. the head the caller shows lies on our log's tree.

        Raises NotAuthenticated, SignatureInvalid, EncodingInvalid; HeadConflict: this log is not signed any
        more; Unavailable: it was found so before.
        """
        if self.log.conflict is not None:
            raise Unavailable("the gateway is stopping: a person has to look at its log first")
        # 1
        try:
            opened = envelope.open_sealed(call.document, kind, await self.keyring())
        except SignatureInvalid:  # perhaps by a key that was registered a moment ago
            opened = envelope.open_sealed(call.document, kind, await self.keyring(fresh=True))
        # 2
        if not any(key.party == caller.party for key in opened.signers):
            raise NotAuthenticated("the document is not of the party that calls", basis="document.party")
        if caller.is_person and not any(key.holder == caller.holder for key in opened.signers):
            raise NotAuthenticated(
                "the document is not sealed by the person who calls", basis="document.person"
            )
        # 3
        head = await self.check_head(call.head)
        return Received(opened.message, opened.digest, opened.signers, opened.envelope, caller, head)

    async def check_head(self, note: bytes) -> Checkpoint | None:
        """The head in a note, found on our log's tree; None without one. Raises as `open`'s third step."""
        if not note:
            return None
        known = self.log.agreed(note)
        return known or await self.database.in_thread(lambda: self.log.compare(note))

    # ── answering ──────────────────────────────────────────────────────────────────────────────────────

    async def find_answer(self, document: bytes) -> envelope_pb2.Envelope | None:
        return await self.database.read(lambda conn: documents.find_answer(conn, document))

    def acknowledge(self, x: Exchange, document: bytes, outcome: str, leaf: bytes) -> envelope_pb2.Envelope:
        """Seals and keeps the acknowledgement; part of the exchange it acknowledges."""
        acknowledgement = exchange_pb2.Acknowledgement(
            document_digest=document, outcome=outcome, leaf=leaf, recorded_at_ms=x.now_ms
        )
        sealed = x.seal(acknowledgement, self.signer)
        x.answer(document, sealed)
        return sealed

    async def answer(self, sealed: envelope_pb2.Envelope, head: Checkpoint | None) -> exchange_pb2.Answer:
        """The stored acknowledgement with fresh log evidence beside it."""
        return exchange_pb2.Answer(acknowledgement=sealed, evidence=await self.evidence(head))

    async def evidence(self, head: Checkpoint | None) -> exchange_pb2.LogEvidence:
        """The newest published checkpoint and its consistency with the head the caller showed.

        Comes after what it is given beside was committed: what fails here refuses nothing. Raises Unavailable.
        """
        newest = self.log.newest
        if newest is None or (head is not None and head.size > newest.size):
            newest = await self.database.read(self.log.head)
        if newest is None:
            return exchange_pb2.LogEvidence()
        from_size = head.size if head is not None else 0
        if from_size in (0, newest.size):
            return exchange_pb2.LogEvidence(checkpoint=newest.note, from_size=from_size)
        with self.proving():
            note, proof = await self._consistency(from_size, newest.size)
        return exchange_pb2.LogEvidence(checkpoint=note, from_size=from_size, consistency=proof)

    async def _consistency(self, from_size: int, to_size: int) -> tuple[bytes, list[bytes]]:
        """Proven once for all who show the same head, those who ask meanwhile included; failures are not kept."""
        sizes = (from_size, to_size)
        if (proof := self._proofs.get(sizes)) is None:
            proof = asyncio.ensure_future(self.database.in_thread(lambda: self._prove_consistency(from_size)))
            self._proofs[sizes] = proof
            proof.add_done_callback(lambda done: done.exception() and self._proofs.pop(sizes, None))
            while len(self._proofs) > REMEMBERED_PROOFS:
                del self._proofs[next(iter(self._proofs))]
        return await asyncio.shield(proof)

    @contextmanager
    def proving(self) -> Iterator[None]:
        """A log that does not prove its own head is this gateway's trouble, and nobody else's fault.

        Raises Unavailable.
        """
        try:
            yield
        except (Refused, VerificationError) as error:
            logger.critical("alarm.log_unprovable", code=error.code, explanation=error.explanation)
            raise Unavailable(
                "what was sent is recorded; the log cannot prove its head now: ask again with the same document"
            ) from error

    def _prove_consistency(self, from_size: int) -> tuple[bytes, list[bytes]]:
        with self.database.reading() as conn:
            head, proof = self.log.consistency(conn, from_size)
        assert head is not None  # from_size > 0 was verified under our key
        return head.note, proof

    # ── refusing ───────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def refusals_signed(
        self, caller: Caller, method: str, document: envelope_pb2.Envelope | None = None, subject: str = ""
    ) -> AsyncIterator[Request]:
        """Whatever is refused inside is signed, logged and sent along with the error (gateway/refusals.py).

        Yields what is known of the request: a document that is read inside is put there.
        """
        request = Request(caller, method, document, subject)
        try:
            yield request
        except (Refused, VerificationError) as error:
            error.sealed = await self.refusals.sign(request, error)
            raise
