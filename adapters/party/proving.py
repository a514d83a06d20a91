"""Where an entry stands in the gateway's log, proven under a head that extends the party's own."""

from __future__ import annotations

import time

from adapters.party.gateway import GatewayClient
from audit.checkpoint import Checkpoint, TlogProof
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import HeadConflict
from xinyi.v1 import exchange_pb2, log_pb2, log_service_pb2
from xinyi.v1.log_service_pb2_grpc import LogServiceStub

_POLL_S = 0.2


def prove(client: GatewayClient, leaf: bytes, *, wait_s: float) -> TlogProof | None:
    """Inclusion of a log leaf in a head that extends ours; None where it is not published in time.

    Raises VerificationError, HeadConflict among it, and Unavailable.
    """
    stub = LogServiceStub(client.channel)  # type: ignore[no-untyped-call]
    until = time.monotonic() + wait_s
    while True:
        with errors_restored():
            response = stub.ProveInclusion(
                log_service_pb2.ProveInclusionRequest(leaf=leaf), timeout=UNARY_DEADLINE_S
            )
        if response.state == log_pb2.ENTRY_STATE_PUBLISHED:
            proof = TlogProof(response.index, tuple(response.proof), response.checkpoint)
            if _extends_ours(client, stub, proof.verify(leaf, client.home.log_key())):
                return proof
        if time.monotonic() >= until:
            return None
        time.sleep(_POLL_S)


def _extends_ours(client: GatewayClient, stub: LogServiceStub, shown: Checkpoint) -> bool:
    """A proof under a head of its own proves nothing: it must be our head, or ours must grow to it.

    False where the log went on in between, so that a newer proof has to be asked for.
    """
    held = client.home.head()
    if held is None or held.size != shown.size:
        note = held.note if held else b""
        size = held.size if held else 0
        with errors_restored():
            response = stub.ProveConsistency(
                log_service_pb2.ProveConsistencyRequest(from_size=size), timeout=UNARY_DEADLINE_S
            )
        evidence = exchange_pb2.LogEvidence(
            checkpoint=response.checkpoint, from_size=size, consistency=response.proof
        )
        held = client.home.advance_head(evidence, shown=note)
    if held.size != shown.size:
        return False
    if held.root != shown.root:
        raise HeadConflict(f"the log shows two different roots for {shown.size} leaves")
    return True
