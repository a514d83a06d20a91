"""Single loans with consent for tests: made-up rows, a sealed batch of them, and how it is sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope, merkle
from audit.keys import Keyring
from audit.outcomes import commitment, leaf_hashes
from audit.records import CHUNK_RECORDS, chunk_bytes
from gateway.exchange import wall_clock
from gateway.office.agreements import agreement_id
from proto.vectors.make import uscc
from tests.lending import WAN
from tests.world import World
from xinyi.channel import errors_restored
from xinyi.v1 import envelope_pb2, lending_pb2, lending_service_pb2, records_pb2
from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

DISBURSED = lending_pb2.STAGE_DISBURSED


def outcome(
    number: int,
    stage: lending_pb2.Stage = DISBURSED,
    day: str = "2018-03-01",
    *,
    outcome_id: str = "",
    loan: str = "",
    amount: int | None = None,
    reliance: lending_pb2.Reliance | None = None,
    consent: bool = True,
    guarantee: lending_pb2.Guarantee = lending_pb2.GUARANTEE_CREDIT,
    currency: str = "CNY",
    **changes: Any,
) -> lending_pb2.LendingOutcome:
    """An event of loan L<number> of a made-up enterprise, 500 万元 where something is disbursed."""
    row = lending_pb2.LendingOutcome(
        outcome_id=outcome_id or f"O{number:06d}",
        taxpayer_id=uscc(number % 10_000),
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        loan=lending_pb2.Loan(
            reference=loan or f"L{number}",
            product="tax-loan",
            guarantee=guarantee,
            sizes=[lending_pb2.SizeClass(definition="GXB300", size="small")],
            currency=currency,
            reliance=reliance,
        ),
        stage=stage,
        event_date=day,
        amount=amount if amount is not None else 500 * WAN if stage == DISBURSED else 0,
    )
    if consent:
        row.authorisation.CopyFrom(
            lending_pb2.Authorisation(
                digest=number.to_bytes(32, "big"),
                scope="lending-outcomes",
                valid_from="2018-01-01",
                valid_to="2099-12-31",
            )
        )
    for name, value in changes.items():
        setattr(row, name, value)
    return row


class Batch:
    """A sealed batch and its chunks."""

    def __init__(self, sealed: envelope_pb2.Envelope, chunks: Sequence[bytes]) -> None:
        self.sealed = sealed
        self.chunks = chunks

    @property
    def digest(self) -> bytes:
        return envelope.digest(self.sealed)

    @property
    def message(self) -> lending_pb2.OutcomeBatch:
        return lending_pb2.OutcomeBatch.FromString(self.sealed.payload)


def batch_of(
    home: Home,
    outcomes: Iterable[lending_pb2.LendingOutcome],
    number: str = "1",
    *,
    seed: int = 7,
    issued_at_ms: int | None = None,
    **changes: Any,
) -> Batch:
    """Args: issued_at_ms — now where it is not given; changes — further fields of the batch."""
    chance = random.Random(seed)
    rows = [
        (chance.randbytes(32), row.SerializeToString(deterministic=True))
        for row in sorted(outcomes, key=lambda row: row.outcome_id)
    ]
    hashes = leaf_hashes(commitment(salt, record) for salt, record in rows)
    starts = range(0, len(rows), CHUNK_RECORDS)
    batch = lending_pb2.OutcomeBatch(
        bank=home.party,
        number=number,
        agreement_id=agreement_id(home.party, "1"),
        count=len(rows),
        root=merkle.root(hashes),
        chunk_roots=[merkle.root(hashes[start : start + CHUNK_RECORDS]) for start in starts],
        issued_by=home.settings.holder,
        issued_at_ms=wall_clock() if issued_at_ms is None else issued_at_ms,
    )
    for name, value in changes.items():
        setattr(batch, name, value)
    chunks = [chunk_bytes(rows[start : start + CHUNK_RECORDS]) for start in starts]
    return Batch(envelope.seal(batch, home.signer()), chunks)


class SentBatch:
    """What the gateway said of a batch; its seals hold."""

    def __init__(self, batch: Batch, acknowledgement: Any, sealed: envelope_pb2.Envelope, world: World) -> None:
        self.digest = batch.digest
        self.acknowledgement = acknowledgement
        self.sealed = sealed
        ring = Keyring([world.gateway.signer.key])
        self.receipt = envelope.open_sealed(sealed, lending_pb2.OutcomeReceipt, ring).message
        assert self.receipt.batch == self.digest

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        """Counted, held, repeated, in conflict, refused."""
        r = self.receipt
        return r.counted, r.held, r.repeated, r.conflicts, r.refused

    @property
    def findings(self) -> list[tuple[str, str, str]]:
        """(outcome id, state, rule)"""
        return [(f.outcome_id, word(f.state), f.question.rule) for f in self.receipt.findings]


def word(state: int) -> str:
    return lending_pb2.ReportState.Name(state).removeprefix("REPORT_STATE_")  # type: ignore[arg-type]


async def begin_batch(home: Home, batch: Batch, chunks: int) -> int:
    """Begins a batch and sends its first chunks; where it went on from."""

    def run() -> int:
        with GatewayClient(home) as client, errors_restored():
            stub = LendingServiceStub(client.channel)
            begun = stub.BeginOutcomes(lending_service_pb2.BeginOutcomesRequest(call=client.wrap(batch.sealed)))
            stub.PutOutcomes(
                lending_service_pb2.PutOutcomesRequest(batch=batch.digest, number=n, data=batch.chunks[n])
                for n in range(begun.next_chunk, chunks)
            )
            return int(begun.next_chunk)

    return await asyncio.to_thread(run)
def hand_over(home: Home, batch: Batch) -> tuple[envelope_pb2.Envelope, envelope_pb2.Envelope]:
    """Begins, sends what is not there yet, commits; acknowledgement and receipt. Raises what the gateway raises."""
    with GatewayClient(home) as client, errors_restored():
        stub = LendingServiceStub(client.channel)
        begun = stub.BeginOutcomes(lending_service_pb2.BeginOutcomesRequest(call=client.wrap(batch.sealed)))
        if begun.HasField("answer"):
            client.accept(begun.answer, batch.sealed)
            return begun.answer.acknowledgement, begun.receipt
        if begun.next_chunk < len(batch.chunks):
            stub.PutOutcomes(
                lending_service_pb2.PutOutcomesRequest(batch=batch.digest, number=n, data=batch.chunks[n])
                for n in range(begun.next_chunk, len(batch.chunks))
            )
        request = lending_service_pb2.CommitOutcomesRequest(call=client.wrap(batch.sealed))
        response = stub.CommitOutcomes(request)
        client.accept(response.answer, batch.sealed)
        return response.answer.acknowledgement, response.receipt


async def send_batch(world: World, home: Home, batch: Batch) -> SentBatch:
    """Raises what the gateway raises."""
    acknowledgement, receipt = await asyncio.to_thread(hand_over, home, batch)
    return SentBatch(batch, acknowledgement, receipt, world)


async def send_outcomes(
    world: World, home: Home, outcomes: Iterable[lending_pb2.LendingOutcome], number: str = "1", **changes: Any
) -> SentBatch:
    """Issued now by the world's clock, unless `changes` say otherwise."""
    batch = batch_of(home, outcomes, number, **({"issued_at_ms": world.clock()} | changes))
    return await send_batch(world, home, batch)


async def list_outcomes(home: Home, **request: Any) -> list[lending_service_pb2.OutcomeStatus]:
    def run() -> list[lending_service_pb2.OutcomeStatus]:
        with GatewayClient(home) as client, errors_restored():
            stub = LendingServiceStub(client.channel)
            pages = stub.ListOutcomes(lending_service_pb2.ListOutcomesRequest(**request))
            return [outcome for page in pages for outcome in page.outcomes]

    return await asyncio.to_thread(run)


async def standing(home: Home, **request: Any) -> dict[str, tuple[str, str]]:
    """Outcome id → (state, rule) of rows whose content is kept; copies are left out."""
    return {
        lending_pb2.LendingOutcome.FromString(o.outcome.record).outcome_id: (word(o.state), o.question.rule)
        for o in await list_outcomes(home, **request)
        if o.outcome.record and word(o.state) not in ("REPEATED", "CONFLICT")
    }
