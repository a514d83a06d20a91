"""Single loans with consent: a batch of them made beforehand, and how long it takes until the receipt is there.

    python -m bench.consented terms PLACE
    python -m bench.consented prepare PLACE ROWS TAXPAYERS CHUNKS
    python -m bench.consented send PLACE CHUNKS

`prepare` publishes an edition and seals a batch of bank 1 whose rows rely on it; loans have one to four events. `send`
prints the seconds from the first call to the receipt.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import merkle, outcomes, records
from audit.envelope import digest as document_digest
from audit.envelope import parse_strict
from bench.floors import read_chunks
from bench.founding import APPROVER, MAKER, bank, home_name
from bench.publishing import Sealed, now_ms, publish
from bench.years import Feed
from gateway.app import open_gateway
from gateway.config import Settings
from gateway.office.agreements import agreement_id
from gateway.office.reporting import set_terms
from gateway.rules.reporting import terms_row
from xinyi.days import day_of
from xinyi.v1 import envelope_pb2, lending_pb2, lending_service_pb2, records_pb2
from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

_TERMS = {
    "version": 1, "dimensions": ["grade", "guarantee", "size/GXB300"], "small_micro": True, "currency": "CNY",
    "months": 3, "due_days": 15, "least_plausible": 1_000_000, "most_plausible": 100_000_000_000, "outcomes": True,
    "outcomes_to_bureau": False, "city_totals": False,
}  # fmt: skip
#: What becomes of a loan.
_LIVES = (
    (lending_pb2.STAGE_DISBURSED,),
    (lending_pb2.STAGE_REJECTED,),
    (lending_pb2.STAGE_DISBURSED, lending_pb2.STAGE_REPAID),
    (lending_pb2.STAGE_CREDIT_APPROVED, lending_pb2.STAGE_DISBURSED, lending_pb2.STAGE_REPAID),
    (
        lending_pb2.STAGE_APPLIED, lending_pb2.STAGE_CREDIT_APPROVED, lending_pb2.STAGE_DISBURSED,
        lending_pb2.STAGE_OVERDUE,
    ),
)  # fmt: skip


def terms(place: Path) -> None:
    with open_gateway(Settings.load(place / "gateway")) as gateway:
        row = terms_row(agreement_id(Home.open(place / home_name(bank(1))).party, "bench"), _TERMS)
        gateway.door.run_sync(lambda x: set_terms(x, row, gateway.holder))


def prepare(place: Path, rows: str, taxpayers: str, chunks: Path) -> None:
    maker, approver = (GatewayClient(Home.open(place / home_name(who))) for who in (MAKER, APPROVER))
    feed = Feed(maker.home, int(taxpayers))
    edition = feed.full(2018)
    digest = publish(maker, approver, edition)
    home = Home.open(place / home_name(bank(1)))
    told = list(_reliances(edition, digest))
    roots, count = [], 0
    with chunks.open("wb") as file:
        for data, root, size in _chunks(int(rows), told):
            file.write(struct.pack(">I", len(data)) + data)
            roots.append(root)
            count += size
    batch = lending_pb2.OutcomeBatch(
        bank=home.party,
        number="bench",
        agreement_id=agreement_id(home.party, "bench"),
        count=count,
        root=merkle.root(roots),
        chunk_roots=roots,
        issued_by=home.settings.holder,
        issued_at_ms=now_ms(),
    )
    with GatewayClient(home) as client:
        chunks.with_suffix(".batch").write_bytes(client.call(batch).document.SerializeToString())


def _reliances(edition: Sealed, digest: bytes) -> Iterator[tuple[str, lending_pb2.Reliance]]:
    blind = records.blinder(edition.blinding_key)
    for data in edition.chunks:
        for salted in records_pb2.Chunk.FromString(data).records:
            record = records_pb2.GradeRecord.FromString(salted.record)
            yield record.taxpayer_id, lending_pb2.Reliance(
                manifest_digest=digest,
                blinded_key=blind(record.taxpayer_id.encode()),
                commitment=records.commitment(salted.salt, salted.record),
                grade=record.grade,
                evaluation_year=record.evaluation_year,
            )


def _chunks(rows: int, told: list[tuple[str, lending_pb2.Reliance]]) -> Iterator[tuple[bytes, bytes, int]]:
    """(serialised chunk, its root, rows)"""
    chance, today = random.Random(1), day_of(now_ms())
    made: list[bytes] = []
    for number, row in enumerate(_rows(rows, told, chance, today)):
        row.outcome_id = f"O{number:09d}"
        made.append(row.SerializeToString(deterministic=True))
        if len(made) == records.CHUNK_RECORDS or number == rows - 1:
            salts = [os.urandom(32) for _ in made]
            sealed = [outcomes.commitment(salt, record) for salt, record in zip(salts, made, strict=True)]
            data = records.chunk_bytes(zip(salts, made, strict=True))
            yield data, merkle.root(outcomes.leaf_hashes(sealed)), len(made)
            made = []


def _rows(
    rows: int, told: list[tuple[str, lending_pb2.Reliance]], chance: random.Random, today: date
) -> Iterator[lending_pb2.LendingOutcome]:
    left, loan = rows, 0
    while left:
        loan += 1
        taxpayer, reliance = chance.choice(told)
        amount = chance.randrange(100, 100_000) * 1_000_000
        reference = f"L{loan:08d}-{chance.randrange(1000):03d}"
        # On one day: before it the edition was not there, behind it nothing has happened yet. Stages tell the order.
        for stage in chance.choice(_LIVES)[:left]:
            left -= 1
            yield lending_pb2.LendingOutcome(
                taxpayer_id=taxpayer,
                identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
                loan=lending_pb2.Loan(
                    reference=reference,
                    product="tax-loan",
                    guarantee=chance.randrange(1, 6),  # type: ignore[arg-type]
                    sizes=[lending_pb2.SizeClass(definition="GXB300", size="small")],
                    industry=chance.choice("CFGI"),
                    district="990100",
                    annual_rate_bp=chance.randrange(300, 800),
                    term_months=12,
                    currency="CNY",
                    reliance=reliance,
                ),
                stage=stage,
                event_date=today.isoformat(),
                amount=amount if stage in (lending_pb2.STAGE_DISBURSED, lending_pb2.STAGE_REPAID) else 0,
                authorisation=lending_pb2.Authorisation(
                    digest=chance.randbytes(32),
                    scope="lending-outcomes",
                    valid_from="2018-01-01",
                    valid_to="2099-12-31",
                ),
            )


def send(place: Path, chunks: Path) -> None:
    sealed = parse_strict(chunks.with_suffix(".batch").read_bytes(), envelope_pb2.Envelope)
    started = time.perf_counter()
    with GatewayClient(Home.open(place / home_name(bank(1)))) as client:
        stub, call = LendingServiceStub(client.channel), client.wrap(sealed)
        stub.BeginOutcomes(lending_service_pb2.BeginOutcomesRequest(call=call))
        digest = document_digest(sealed)
        stub.PutOutcomes(
            lending_service_pb2.PutOutcomesRequest(batch=digest, number=number, data=data)
            for number, data in enumerate(read_chunks(str(chunks)))
        )
        staged = time.perf_counter() - started
        response = stub.CommitOutcomes(lending_service_pb2.CommitOutcomesRequest(call=call))
    seconds = time.perf_counter() - started
    receipt = lending_pb2.OutcomeReceipt.FromString(response.receipt.payload)
    batch = lending_pb2.OutcomeBatch.FromString(sealed.payload)
    if receipt.counted != batch.count:
        raise ValueError(f"{receipt.counted} of {batch.count} rows count: {receipt.findings[:3]}")
    print(f"staged {staged:.2f}", flush=True)
    print(seconds)


if __name__ == "__main__":
    command, place, *rest = sys.argv[1:]
    {"terms": terms, "prepare": prepare, "send": send}[command](
        Path(place), *rest[:-1], *(Path(last) for last in rest[-1:])
    )
