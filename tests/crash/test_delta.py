"""The gateway dies while it commits a DELTA: between the buckets it writes, and between them and the edition."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from gateway import states
from gateway.config import Settings
from gateway.exchange import wall_clock
from gateway.store.db import Database
from tests import postgres
from tests.chain import Chain
from tests.crash.city import City
from tests.crash.programs import COUNTING, PATIENCE_S, Point, points, steps_noted
from tests.flows.test_editions_over_time import named
from tests.world import APPROVER, SealedEdition, approval, made_up_records
from xinyi.channel import errors_restored
from xinyi.errors import Unavailable
from xinyi.v1 import edition_pb2
from xinyi.v1 import publication_service_pb2 as pb
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

T = TypeVar("T")

SUBJECTS = made_up_records(3000)


def call(home: Home, work: Callable[[GatewayClient, PublicationServiceStub], T]) -> T:
    """Again until it is answered, as the bureau's program does."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with GatewayClient(home) as client, errors_restored():
                return work(client, PublicationServiceStub(client.channel))
        except Unavailable:
            assert time.monotonic() < deadline, "it was never answered"
            time.sleep(0.2)


def upload(home: Home, edition: SealedEdition) -> None:
    def work(client: GatewayClient, stub: PublicationServiceStub) -> None:
        wrapped = client.wrap(edition.manifest)
        begun = stub.BeginEdition(pb.BeginEditionRequest(call=wrapped, blinding_key=edition.blinding_key))
        left = range(begun.next_chunk, len(edition.chunks))
        if left:  # else its answer was lost with the process before
            stub.PutChunks(
                pb.PutChunksRequest(manifest_digest=edition.digest, number=number, data=edition.chunks[number])
                for number in left
            )

    call(home, work)


def commit(home: Home, edition: SealedEdition) -> str:
    def work(client: GatewayClient, stub: PublicationServiceStub) -> str:
        request = pb.CommitEditionRequest(call=client.wrap(edition.manifest))
        return str(client.accept(stub.CommitEdition(request).answer, edition.manifest).message.outcome)

    return call(home, work)


def approve(home: Home, edition: SealedEdition) -> None:
    document = envelope.seal(approval(edition, APPROVER, wall_clock()), home.signer())

    def work(client: GatewayClient, stub: PublicationServiceStub) -> None:
        request = pb.DecideEditionRequest(call=client.wrap(document))
        client.accept(stub.DecideEdition(request).answer, document)

    call(home, work)


def live(city: City, samples: int) -> None:
    maker, approver = Home.open(city.maker), Home.open(city.approver)
    chain = Chain(maker)
    full = chain.full(SUBJECTS[:2500])
    upload(maker, full)
    assert commit(maker, full) == "edition.ready"
    approve(approver, full)

    state_roots: dict[bytes, bytes] = {}

    def month(number: int, point: Point) -> None:
        # Every bucket is touched, so that many transactions write them.
        told = [named(subject, f"改名企业{number}") for subject in SUBJECTS[number * 10 : 2000]]
        edition = chain.delta(told, [SUBJECTS[2100 + number].taxpayer_id])
        upload(maker, edition)
        city.gateway.arm(point)
        assert commit(maker, edition) == "edition.ready"
        approve(approver, edition)
        state_roots[edition.digest] = edition_pb2.Manifest.FromString(edition.manifest.payload).state_root

    month(1, COUNTING)
    steps = len(steps_noted(city.gateway.notes))
    where = points(steps, samples)
    for number, point in enumerate(where, 2):
        month(number, point)
    assert city.gateway.deaths >= len(where) // 2, "most of these points were never reached"
    database = Database(Settings.load(city.place / "gateway").database_url)
    with database.reading() as conn:
        assert {digest: states.digests(conn, digest).root() for digest in state_roots} == state_roots
    database.close()


@pytest.mark.sqlite
def test_a_delta_that_was_interrupted_is_committed_once_and_whole(tmp_path: Path) -> None:
    """Whatever was written before is written again; the state that follows is the sealed one each time."""
    with City(tmp_path, [], rows=10) as city:
        live(city, samples=8)


@pytest.mark.postgresql
def test_a_delta_that_was_interrupted_on_postgresql(
    tmp_path: Path, postgresql_server: postgres.Server, postgresql_url: str
) -> None:
    """The same, where a killed process leaves its connections and locks to the server."""
    with City(tmp_path, [], rows=10, database=postgresql_url) as city:
        live(city, samples=4)
