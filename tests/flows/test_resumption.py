"""A transfer cut behind any chunk goes on there and leads to the same root: at the bank, its inbox, the gateway."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver
from adapters.bank.package import VerifiedPackage
from adapters.bank.receipts import RECEIVED
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import merkle
from audit.records import ChunkVerifier
from gateway.store import editions
from tests.flows.test_delivery import inbox
from tests.world import BUREAU, GATEWAY, MAKER, SealedEdition, World, city
from xinyi.channel import dial_sync, errors_restored, server_name
from xinyi.errors import Unavailable
from xinyi.v1 import edition_pb2, exchange_pb2, inbox_service_pb2
from xinyi.v1 import publication_service_pb2 as publication
from xinyi.v1.inbox_service_pb2_grpc import InboxServiceStub
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

#: Five chunks, the last one short; a cut behind each, before the first and behind the last.
RECORDS, CHUNKS = 4 * 1024 + 200, 5
CUTS = range(CHUNKS + 1)


def root_of(manifest: edition_pb2.Manifest, blinding_key: bytes, chunks: list[bytes]) -> bytes:
    """The root of every leaf, computed anew from what was stored."""
    verifier = ChunkVerifier(manifest, blinding_key)
    leaves = [h for n, data in enumerate(chunks) for h in verifier.take(n, data).leaf_hashes]
    return merkle.root(leaves)


def check_whole(bank: Home, edition: SealedEdition, delivery_id: str) -> None:
    """The bank holds the edition once, with one receipt for the root that it can compute from its own files."""
    manifest = edition_pb2.Manifest.FromString(edition.manifest.payload)
    spool = Spool(BankSettings.of(bank).spool)
    (ready,) = spool.editions("ready")
    chunks = [ready.chunk(number) for number in range(CHUNKS)]
    assert chunks == edition.chunks
    assert root_of(manifest, edition.blinding_key, chunks) == manifest.root
    receipt = Receiver(bank).receipts.find(SpooledEdition(ready.path), RECEIVED)
    assert receipt is not None
    message = exchange_pb2.DeliveryReceipt.FromString(receipt.payload)
    assert (message.delivery_id, message.root) == (delivery_id, manifest.root)
    assert list((spool.path / "incoming").iterdir()) == []


def waiting(bank: Home, delivery_id: str) -> int:
    """Chunks that an interrupted transfer left in the spool."""
    part = BankSettings.of(bank).spool / "incoming" / f"{delivery_id}.part"
    return len(list(part.glob("chunks/*.chunk")))


@asynccontextmanager
async def published(path: Path) -> AsyncIterator[tuple[World, SealedEdition, list[Home]]]:
    """A city with one edition, and a bank for every cut."""
    async with city(path) as world:
        banks = [await world.bank(f"bank-{cut}") for cut in CUTS]
        edition = world.seal(RECORDS)
        await world.publish(edition)
        yield world, edition, banks


async def test_a_fetch_cut_behind_any_chunk_goes_on_there(tmp_path: Path) -> None:
    """The bank's line breaks behind chunk k; the next fetch asks from k on and ends at the same root."""
    async with published(tmp_path) as (_, edition, banks):

        def fetch(bank: Home, cut: int) -> list[int]:
            """Where each of the two transfers began."""
            begun = []
            with BankClient(bank) as client:
                package = client.pull("grade-a", b"")
                assert package is not None

                def cut_off(verified: VerifiedPackage, start: int) -> Iterator[tuple[int, bytes]]:
                    begun.append(start)
                    for number, data in client.chunks(verified, start):
                        if number == cut:
                            break
                        yield number, data
                    if cut < CHUNKS or len(begun) == 1:
                        raise Unavailable("the line broke")

                def whole(verified: VerifiedPackage, start: int) -> Iterator[tuple[int, bytes]]:
                    begun.append(start)
                    yield from client.chunks(verified, start)

                with pytest.raises(Unavailable):
                    Receiver(bank).receive(package, cut_off)
                fetched = Receiver(bank).receive(package, whole)
                assert fetched.records == RECORDS
                check_whole(bank, edition, fetched.delivery_id)
            return begun

        for cut, bank in zip(CUTS, banks, strict=True):
            assert await asyncio.to_thread(fetch, bank, cut) == [0, cut]


async def test_a_push_cut_behind_any_chunk_goes_on_there(tmp_path: Path, free_port: int) -> None:
    """The gateway's stream to an inbox breaks once k chunks lie in the spool; the next offer says k."""
    async with published(tmp_path) as (world, edition, banks):

        def push(bank: Home, cut: int) -> int:
            """Where the second transfer began."""
            tls = world.gateway.settings.tls()
            with dial_sync(f"127.0.0.1:{free_port}", tls, name=server_name(bank.party)) as channel:
                stub = InboxServiceStub(channel)
                offer = inbox_service_pb2.OfferRequest(package=package)
                assert stub.Offer(offer).next_chunk == 0
                broken = threading.Event()

                def chunks(start: int, end: int) -> Iterator[inbox_service_pb2.InboxServicePutChunksRequest]:
                    for number in range(start, end):
                        yield inbox_service_pb2.InboxServicePutChunksRequest(
                            delivery_id=delivery_id, number=number, data=edition.chunks[number]
                        )
                    if start == 0:
                        broken.wait(30)

                call = stub.PutChunks.future(chunks(0, min(cut, CHUNKS)))
                deadline = time.monotonic() + 30
                while waiting(bank, delivery_id) < cut:
                    assert time.monotonic() < deadline, "the inbox does not take these chunks"
                    broken.wait(0.01)
                call.cancel()
                broken.set()
                for _ in range(100):  # the inbox lets go of the delivery a moment later
                    with suppress(Unavailable), errors_restored():
                        offered = stub.Offer(offer)
                        break
                    threading.Event().wait(0.05)
                if offered.receipt.payload:  # it had taken the last chunk, and the end of the stream for one
                    assert cut == CHUNKS
                    return cut
                rest = chunks(offered.next_chunk, CHUNKS) if cut < CHUNKS else iter([_ask(delivery_id)])
                assert stub.PutChunks(rest).receipt.payload
            return offered.next_chunk

        for cut, bank in zip(CUTS, banks, strict=True):
            package = (await world.pull(bank)).package
            delivery_id = exchange_pb2.Delivery.FromString(package.delivery.payload).delivery_id
            async with inbox(bank, free_port):
                assert await asyncio.to_thread(push, bank, cut) == cut
            check_whole(bank, edition, delivery_id)


def _ask(delivery_id: str) -> inbox_service_pb2.InboxServicePutChunksRequest:
    return inbox_service_pb2.InboxServicePutChunksRequest(delivery_id=delivery_id, number=CHUNKS)


class Line:
    """A TCP line to the gateway that breaks once a number of bytes has gone up."""

    def __init__(self, port: int, breaks_after: int) -> None:
        self._left = breaks_after
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        near, _ = self._listener.accept()
        self._listener.close()
        with near, socket.create_connection(("127.0.0.1", self._port)) as far:
            threading.Thread(target=self._down, args=(far, near), daemon=True).start()
            while self._left > 0 and (data := near.recv(min(65536, self._left))):
                self._left -= len(data)
                far.sendall(data)
            threading.Event().wait(0.5)  # what went up arrives; what did not, never does
            for end in (near, far):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _down(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)


@pytest.mark.parametrize("cut", CUTS)
async def test_an_upload_cut_behind_any_chunk_goes_on_there(tmp_path: Path, cut: int) -> None:
    """The bureau's line breaks behind chunk k; what the gateway verified by then is not sent again."""
    async with city(tmp_path) as world:
        edition = world.seal(RECORDS)
        maker = world.homes[MAKER]

        def begin(client: GatewayClient) -> int:
            request = publication.BeginEditionRequest(
                call=client.wrap(edition.manifest), blinding_key=edition.blinding_key
            )
            return PublicationServiceStub(client.channel).BeginEdition(request).next_chunk

        def upload() -> None:
            with GatewayClient(maker) as client:
                assert begin(client) == 0
            size = sum(map(len, edition.chunks[:cut])) + 6000  # the TLS handshake and the calls' headers
            line = Line(world.service.port, size)
            with dial_sync(f"127.0.0.1:{line.port}", maker.tls(), name=server_name(GATEWAY)) as channel:
                stub = PublicationServiceStub(channel)
                with pytest.raises(Unavailable), errors_restored():
                    stub.PutChunks(
                        iter(
                            [
                                publication.PutChunksRequest(
                                    manifest_digest=edition.digest, number=n, data=data
                                )
                                for n, data in [*enumerate(edition.chunks), (CHUNKS, b"never arrives" * 9999)]
                            ]
                        )
                    )

        await asyncio.to_thread(upload)

        def staged() -> int:
            with world.gateway.database.reading() as conn:
                return editions.staged(conn, edition.digest)[0]

        for _ in range(100):
            if staged() >= cut:
                break
            await asyncio.sleep(0.05)
        assert staged() == cut
        whole = list(edition.chunks)
        edition.chunks[:cut] = [b"not sent again"] * cut
        assert (await world.submit(edition)).message.outcome == "edition.ready"
        with world.gateway.database.reading() as conn:
            chunks = [data for _, data in editions.read_chunks(conn, edition.digest, 0, CHUNKS + 1)]
            row = editions.find_edition(conn, edition.digest)
        manifest = edition_pb2.Manifest.FromString(edition.manifest.payload)
        assert chunks == whole
        assert row is not None
        assert row["root"] == root_of(manifest, edition.blinding_key, chunks) == manifest.root
        assert row["origin"] == BUREAU


async def test_two_uploads_of_one_edition_at_once_are_one(tmp_path: Path, database_url: str) -> None:
    """A bureau that takes its own slow upload for dead and begins another: both end with the same answer."""
    async with city(tmp_path, database_url=database_url) as world:
        edition = world.seal(RECORDS)
        answers = await asyncio.gather(*(world.submit(edition) for _ in range(3)))
        assert len({answer.envelope.SerializeToString() for answer in answers}) == 1
        with world.gateway.database.reading() as conn:
            assert [d for _, d in editions.read_chunks(conn, edition.digest, 0, 9)] == edition.chunks


async def test_an_upload_that_another_one_overtook_is_no_lie(tmp_path: Path) -> None:
    """It was told to begin at 0, and meanwhile all is here, or real: it ends well, and nobody is alarmed."""
    async with city(tmp_path) as world:
        edition = world.seal(RECORDS)

        def upload() -> list[int]:
            with GatewayClient(world.homes[MAKER]) as client, errors_restored():
                stub = PublicationServiceStub(client.channel)
                call = client.wrap(edition.manifest)
                stub.BeginEdition(
                    publication.BeginEditionRequest(call=call, blinding_key=edition.blinding_key)
                )

                def put(count: int) -> int:
                    requests = (
                        publication.PutChunksRequest(manifest_digest=edition.digest, number=n, data=data)
                        for n, data in enumerate(edition.chunks[:count])
                    )
                    return stub.PutChunks(requests).next_chunk

                before = [put(3), put(CHUNKS), put(1)]
                stub.CommitEdition(publication.CommitEditionRequest(call=call))
                return [*before, put(2)]

        with capture_logs() as logs:
            assert await asyncio.to_thread(upload) == [3, CHUNKS, CHUNKS, CHUNKS]
            assert (await world.submit(edition)).message.outcome == "edition.ready"
        assert [line["event"] for line in logs if line["event"].startswith("alarm.")] == []
