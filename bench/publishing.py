"""An edition by the gateway's own services: sealed already, sent, approved."""

from __future__ import annotations

import time
from typing import NamedTuple

from adapters.party.gateway import GatewayClient
from audit import envelope
from xinyi.v1 import edition_pb2, envelope_pb2
from xinyi.v1 import publication_service_pb2 as publication
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub


class Sealed(NamedTuple):
    manifest: envelope_pb2.Envelope
    blinding_key: bytes
    chunks: list[bytes]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def publish(maker: GatewayClient, approver: GatewayClient, edition: Sealed) -> bytes:
    """Returns the manifest's digest."""
    manifest, key, chunks = edition
    digest, stub = envelope.digest(manifest), PublicationServiceStub(maker.channel)
    stub.BeginEdition(publication.BeginEditionRequest(call=maker.wrap(manifest), blinding_key=key))
    stub.PutChunks(
        publication.PutChunksRequest(manifest_digest=digest, number=number, data=data)
        for number, data in enumerate(chunks)
    )
    stub.CommitEdition(publication.CommitEditionRequest(call=maker.wrap(manifest)))
    approval = edition_pb2.Approval(
        manifest_digest=digest,
        origin=approver.home.party,
        approved_by=approver.home.settings.holder,
        approved_at_ms=now_ms(),
    )
    decide = PublicationServiceStub(approver.channel).DecideEdition
    decide(publication.DecideEditionRequest(call=approver.call(approval)))
    return digest
