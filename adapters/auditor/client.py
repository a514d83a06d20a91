"""What an auditor asks a gateway's log. Everything that comes back is verified before it is shown."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from adapters.party.gateway import GatewayClient
from audit import entries
from audit.checkpoint import Checkpoint, TlogProof
from audit.envelope import digest, parse_strict
from xinyi import checks
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import DigestMismatch, Unavailable, Unknown
from xinyi.v1 import envelope_pb2, exchange_pb2, log_pb2
from xinyi.v1 import log_service_pb2 as pb
from xinyi.v1.log_service_pb2_grpc import LogServiceStub

#: A stream of entries or of an export may take this long.
STREAM_DEADLINE_S = 6 * 3600.0


@dataclass(frozen=True)
class ShownEntry:
    """An entry as the gateway opened it; `leaf` follows from salt and opening."""

    index: int
    salt: bytes
    opening: bytes
    entry: log_pb2.LogEntry
    documents: list[envelope_pb2.Envelope]

    @property
    def leaf(self) -> bytes:
        return entries.leaf(self.salt, self.opening)


class LogClient:
    """Use within the GatewayClient it is made from."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway
        self._home = gateway.home

    @cached_property
    def _stub(self) -> LogServiceStub:
        return LogServiceStub(self._gateway.channel)  # type: ignore[no-untyped-call]

    def checkpoint(self) -> Checkpoint:
        """The newest head, verified to extend the last one this home saw, and kept as such."""
        seen = self._home.head()
        from_size = seen.size if seen is not None else 0
        with errors_restored():
            answer: pb.ProveConsistencyResponse = self._stub.ProveConsistency(
                pb.ProveConsistencyRequest(from_size=from_size), timeout=UNARY_DEADLINE_S
            )
        if not answer.checkpoint:
            raise Unavailable("the log has published nothing yet")
        return self._home.advance_head(
            exchange_pb2.LogEvidence(
                checkpoint=answer.checkpoint, from_size=from_size, consistency=answer.proof
            ),
            shown=seen.note if seen is not None else b"",
        )

    def sealed(self, query: exchange_pb2.LogQuery) -> exchange_pb2.Call:
        """The query in this person's own name; the gateway logs it before it answers."""
        asked = exchange_pb2.LogQuery(
            asked_by=self._home.settings.holder,
            requested_at_ms=time.time_ns() // 1_000_000,
            nonce=os.urandom(16),
        )
        asked.MergeFrom(query)
        # Before it is sealed: a purpose that names a taxpayer does not leave this machine.
        checks.check_log_query(asked)
        return self._gateway.call(asked)

    def entries(self, query: exchange_pb2.LogQuery) -> Iterator[ShownEntry]:
        """Matching entries in log order. Raises DigestMismatch where a document is not the one named."""
        return self.answered(self.sealed(query))

    def answered(self, call: exchange_pb2.Call) -> Iterator[ShownEntry]:
        """The same for a query that was sealed before."""
        with errors_restored():
            for answer in self._stub.QueryEntries(
                pb.QueryEntriesRequest(call=call), timeout=STREAM_DEADLINE_S
            ):
                entry = parse_strict(answer.opening, log_pb2.LogEntry)
                documents = list(answer.documents)
                if [digest(document) for document in documents] != list(entry.documents):
                    raise DigestMismatch(f"entry {answer.index} came with other documents than it names")
                yield ShownEntry(answer.index, answer.salt, answer.opening, entry, documents)

    def find(self, query: exchange_pb2.LogQuery, index: int) -> ShownEntry:
        """Raises Unknown where no matching entry has this index."""
        for found in self.entries(query):
            if found.index == index:
                return found
            if found.index > index:
                break
        raise Unknown(f"no entry {index} matches", basis="entry.unknown")

    def prove(self, leaf: bytes) -> TlogProof:
        """Inclusion of a leaf under a head that extends the last one seen. Raises Unavailable."""
        self.checkpoint()
        with errors_restored():
            answer: pb.ProveInclusionResponse = self._stub.ProveInclusion(
                pb.ProveInclusionRequest(leaf=leaf), timeout=UNARY_DEADLINE_S
            )
        if answer.state != log_pb2.ENTRY_STATE_PUBLISHED:
            raise Unavailable("the entry is not covered by a published checkpoint yet: try again")
        proof = TlogProof(answer.index, tuple(answer.proof), answer.checkpoint)
        proof.verify(leaf, self._home.log_key())
        return proof

    def export(self, query: exchange_pb2.LogQuery) -> Iterator[tuple[str, bytes]]:
        """(path, next part of the file) as they come; unverified: that is what `verify` does, offline."""
        request = pb.ExportRequest(call=self.sealed(query))
        with errors_restored():
            for piece in self._stub.Export(request, timeout=STREAM_DEADLINE_S):
                yield piece.path, piece.data
