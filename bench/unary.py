"""Receipts by the thousand: prepares deliveries of one-record editions, then submits their signed receipts.

    python -m bench.unary prepare PLACE BANKS EDITIONS FILE
    python -m bench.unary submit PLACE FILE CONCURRENCY

What is timed is what a bank's `confirm` sends: a sealed receipt over mutual TLS, answered by a sealed
acknowledgement with log evidence, whose seal is verified here as well.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import buckets, envelope, records
from bench.founding import APPROVER, MAKER, PRODUCT, bank, home_name
from bench.publishing import Sealed, now_ms, publish
from xinyi import identifiers
from xinyi.channel import dial, server_name
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, feed_service_pb2, records_pb2
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub

STAGES = (
    exchange_pb2.RECEIPT_STAGE_RECEIVED,
    exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    exchange_pb2.RECEIPT_STAGE_APPLIED,
)


def _record() -> records_pb2.GradeRecord:
    code = "91999999" + "00000001" + identifiers.organisation_check_character("00000001")
    return records_pb2.GradeRecord(
        taxpayer_id=code + identifiers.uscc_check_character(code),
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=["示例企业有限公司"],
        evaluation_year=2018,
        grade=records_pb2.GRADE_A,
    )


def _seal(home: Home, sequence: int, predecessor: bytes) -> Sealed:
    """An edition with one record."""
    record, salt, key = _record(), os.urandom(32), os.urandom(32)
    data = record.SerializeToString(deterministic=True)
    entry = records.blinder(key)(record.taxpayer_id.encode()) + records.commitment(salt, data)
    [root] = records.leaf_hashes([entry])
    manifest = edition_pb2.Manifest(
        origin=home.party,
        issued_by=home.settings.holder,
        product=PRODUCT,
        period=edition_pb2.Period(year=2018, month=4),
        kind=edition_pb2.EDITION_KIND_FULL,
        sequence=sequence,
        predecessor=predecessor,
        record_schema="xinyi.v1.GradeRecord",
        record_count=1,
        root=root,
        chunk_roots=[root],
        blinding_key_commitment=records.blinding_key_commitment(key),
        source=edition_pb2.SourceFile(
            sha256=hashlib.sha256(data).digest(), size_bytes=1, encoding="utf-8", profile_sha256=b"\2" * 32,
            coverage=edition_pb2.SOURCE_COVERAGE_WHOLE,
        ),
        quality=edition_pb2.Quality(rows=1, accepted=1, rule_set="grade-rules/1"),
        grade_counts=[edition_pb2.GradeCount(grade=records_pb2.GRADE_A, records=1)],
        issued_at_ms=now_ms(),
        state_root=buckets.state_of([entry]).root(),
        state_count=1,
    )
    return Sealed(envelope.seal(manifest, home.signer()), key, [records.chunk_bytes([(salt, data)])])


def _pull(client: GatewayClient) -> exchange_pb2.DeliveryPackage:
    request = exchange_pb2.PullRequest(
        recipient=client.home.party, product=PRODUCT, requested_at_ms=now_ms(), nonce=os.urandom(16)
    )
    call = client.call(request)
    response = FeedServiceStub(client.channel).Pull(feed_service_pb2.PullCall(call=call))
    client.advance(response.evidence, call.document)
    return response.package


def _receipts(home: Home, package: exchange_pb2.DeliveryPackage) -> Iterator[str]:
    manifest = edition_pb2.Manifest.FromString(package.manifest.payload)
    delivery = exchange_pb2.Delivery.FromString(package.delivery.payload)
    signer = home.signer()
    for stage in STAGES:
        receipt = exchange_pb2.DeliveryReceipt(
            delivery_id=delivery.delivery_id,
            delivery_digest=envelope.digest(package.delivery),
            manifest_digest=envelope.digest(package.manifest),
            stage=stage,
            root=manifest.root,
            accepted=manifest.record_count,
            signed_by=home.settings.holder,
            signed_at_ms=now_ms(),
        )
        yield base64.b64encode(envelope.seal(receipt, signer).SerializeToString()).decode()


def prepare(place: Path, banks: str, editions: str, file: Path) -> None:
    """Publishes editions, pulls each for every bank, and signs all their receipts."""
    homes = [Home.open(place / home_name(bank(number))) for number in range(1, int(banks) + 1)]
    clients = [GatewayClient(home) for home in homes]
    maker, approver = (GatewayClient(Home.open(place / home_name(who))) for who in (MAKER, APPROVER))
    digest = b""
    with file.open("w") as out:
        for sequence in range(1, int(editions) + 1):
            digest = publish(maker, approver, _seal(maker.home, sequence, digest))
            for number, client in enumerate(clients, 1):
                receipts = list(_receipts(client.home, _pull(client)))
                out.write(json.dumps({"bank": number, "receipts": receipts}) + "\n")


def submit(place: Path, file: Path, concurrency: str) -> None:
    """Submits receipts, each delivery's in order: a tenth by a lone caller, the rest by many at once.

    Prints the lone caller's median latency and the calls per second of the many.
    """
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    banks = {line["bank"] for line in lines}
    homes = {number: Home.open(place / home_name(bank(number))) for number in banks}
    keys = homes[1].gateway_keyring()
    alone, together = lines[: len(lines) // 10], iter(lines[len(lines) // 10 :])
    taken: list[float] = []

    async def confirm(stub: FeedServiceStub, head: bytes, receipts: list[str]) -> None:
        for text in receipts:
            sealed = envelope_pb2.Envelope.FromString(base64.b64decode(text))
            started = time.perf_counter()
            call = exchange_pb2.Call(document=sealed, head=head)
            response = await stub.SubmitReceipt(feed_service_pb2.SubmitReceiptRequest(call=call))
            answer = response.answer.acknowledgement
            opened = envelope.open_sealed(answer, exchange_pb2.Acknowledgement, keys)
            if opened.message.document_digest != envelope.digest(sealed):
                raise ValueError("another receipt was acknowledged")
            taken.append(time.perf_counter() - started)

    async def main() -> None:
        channels, parties = [], {}
        for number, home in homes.items():
            gateway = home.settings.gateway
            channel = dial(gateway.address, home.tls(), name=server_name(gateway.party))
            await channel.channel_ready()
            channels.append(channel)
            head = home.head()
            parties[number] = (FeedServiceStub(channel), head.note if head else b"")

        async def work(lines: Iterable[dict[str, Any]]) -> None:
            for line in lines:
                await confirm(*parties[line["bank"]], line["receipts"])

        await work(alone)
        median_ms = statistics.median(taken) * 1000
        taken.clear()
        started = time.perf_counter()
        await asyncio.gather(*(work(together) for _ in range(int(concurrency))))
        print(json.dumps({"rate": len(taken) / (time.perf_counter() - started), "median_ms": median_ms}))
        for channel in channels:
            await channel.close()

    asyncio.run(main())


if __name__ == "__main__":
    command, place, *rest = sys.argv[1:]
    if command == "prepare":
        prepare(Path(place), rest[0], rest[1], Path(rest[2]))
    else:
        submit(Path(place), Path(rest[0]), rest[1])
