"""A whole city in one process: a serving gateway, a bureau of two persons, banks, an auditor; settable clock.

Everything is real: mTLS gRPC on loopback, real databases, real homes on disk. Only the clock is ours.
Use: `async with city(tmp_path, database_url=...) as world:`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from adapters.party import admission as onboarding
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import buckets, envelope, merkle, records
from gateway.app import Gateway, Service
from gateway.authority import Authority
from gateway.config import Settings
from gateway.exchange import wall_clock
from gateway.office import admission, agreements, partners, reporting
from gateway.office.founding import Plan, found
from gateway.rules.reporting import terms_row
from xinyi import identifiers
from xinyi.channel import errors_restored
from xinyi.v1 import (
    edition_pb2,
    envelope_pb2,
    exchange_pb2,
    feed_service_pb2,
    party_pb2,
    publication_service_pb2,
    records_pb2,
)
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

CITY = "test-city"
GATEWAY = f"{CITY}/gateway"
OPERATOR = f"xinyi://{GATEWAY}/person/operator"
BUREAU = f"{CITY}/tax-bureau"
MAKER = f"xinyi://{BUREAU}/person/li-wei"
APPROVER = f"xinyi://{BUREAU}/person/wang-fang"
AUDITOR = f"xinyi://{CITY}/auditor/person/zhao-min"


#: Quarters in yuan, of 10,000 yuan to 10 亿元.
TERMS: dict[str, Any] = {
    "version": 1,
    "dimensions": ["grade", "guarantee", "size/GXB300"],
    "small_micro": True,
    "currency": "CNY",
    "months": 3,
    "due_days": 15,
    "least_plausible": 1_000_000,
    "most_plausible": 100_000_000_000,
    "outcomes": True,
    "outcomes_to_bureau": False,
    "city_totals": True,
}


class Clock:
    """Milliseconds since 1970; runs by itself until it is set."""

    def __init__(self) -> None:
        self.offset_ms = 0

    def __call__(self) -> int:
        return wall_clock() + self.offset_ms

    def advance(self, *, days: float) -> None:
        self.offset_ms += int(days * 86_400_000)


@dataclass
class SealedEdition:
    manifest: envelope_pb2.Envelope
    blinding_key: bytes
    chunks: list[bytes]

    @property
    def digest(self) -> bytes:
        return envelope.digest(self.manifest)


@dataclass
class World:
    path: Path
    gateway: Gateway
    service: Service
    clock: Clock
    homes: dict[str, Home] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.service.port}"

    async def restart(self) -> None:
        """The gateway ends as a process does, and another one serves its home at the same address."""
        await self.stop()
        await self.start()

    async def stop(self, grace_s: float = 0) -> None:
        await self.service.stop(grace_s)
        await asyncio.to_thread(self.gateway.close)

    async def start(self) -> None:
        """Behind `stop`: whatever lies in the home now is served, at the same address."""
        settings = self.gateway.settings.model_copy(update={"listen": self.address})
        self.gateway = await asyncio.to_thread(Gateway, settings, self.clock)
        self.service = Service(self.gateway)
        await self.service.start()

    # ── the operator's acts ────────────────────────────────────────────────────────────────────────────

    async def admit(self, holder: str, kind: str, *, activate: bool = True, signing: str = "") -> Home:
        """A party's home with keys, certificate and pins, as after onboarding.

        Args:
            signing: TOML of [signing], written into party.toml before the request.
        """
        home = Home.create(
            self.path / holder.removeprefix("xinyi://").replace("/", "_"), holder, self.address, GATEWAY
        )
        if signing:
            with (home.path / "party.toml").open("a") as settings:
                settings.write(f"\n{signing}")
            home = Home.open(home.path)
        request = onboarding.request(home, party_pb2.PartyKind.Value(f"PARTY_KIND_{kind}"), holder)
        authority = Authority(self.path / "gateway" / "authority")
        certifier = admission.Certifier(
            certify=authority.issue,
            ca=authority.pem.decode(),
            gateway_address=self.address,
            log_verifier_key=str(self.gateway.log.key),
        )
        known = home.party in {h.party for h in self.homes.values()}
        sealed = await self.gateway.door.run(
            lambda x: admission.admit(
                x, admission.read_request(request), kind, certifier, self.gateway.signer, OPERATOR
            )
        )
        if activate and not known:
            await self.gateway.door.run(
                lambda x: partners.decide(x, home.party, "activate", "onboarded", OPERATOR)
            )
        self.pin(home, self.gateway.signer.key)
        onboarding.install(home, sealed.SerializeToString(deterministic=True))
        home.pin_log_key(str(self.gateway.log.key))
        self.homes[holder] = home
        return home

    def pin(self, home: Home, key: party_pb2.PublicKey) -> None:
        home.pin(key, hashlib.sha256(key.spki).hexdigest())

    async def bank(
        self,
        name: str,
        channel: exchange_pb2.Channel = exchange_pb2.CHANNEL_PULL,
        target: str = "",
        *,
        first: date = date(2018, 1, 1),
        last: date = date(2099, 12, 31),
        product: str = "grade-a",
        signing: str = "",
        permits: exchange_pb2.DisclosureClass = exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
    ) -> Home:
        """An active bank with an agreement and an entitlement, which trusts the bureau's two persons."""
        home = await self.admit(f"xinyi://{CITY}/{name}/machine/main", "BANK", signing=signing)
        for person in (MAKER, APPROVER):
            self.pin(home, self.homes[person].signer().key)
        identity = await self.gateway.door.run(
            lambda x: agreements.add(x, home.party, "1", first, last, permits, OPERATOR)
        )
        await self.gateway.door.run(
            lambda x: agreements.entitle(x, home.party, product, identity, channel, target, OPERATOR)
        )
        return home

    async def report_terms(self, home: Home, number: str = "1", **changes: Any) -> str:
        """What the agreement of `bank` wants reported: TERMS. Returns its id.

        Args:
            changes: other keys of the terms file.
        """
        identity = agreements.agreement_id(home.party, number)
        row = terms_row(identity, TERMS | changes)
        await self.gateway.door.run(lambda x: reporting.set_terms(x, row, OPERATOR))
        return identity

    async def bureau(self, *, approver_signing: str = "") -> tuple[Home, Home]:
        maker = await self.admit(MAKER, "TAX_BUREAU")
        approver = await self.admit(APPROVER, "TAX_BUREAU", signing=approver_signing)
        for home in (maker, approver):
            for other in (maker, approver):
                self.pin(home, other.signer().key)
        return maker, approver

    # ── editions ───────────────────────────────────────────────────────────────────────────────────────

    def seal(
        self,
        count: int = 3000,
        *,
        month: int = 1,
        sequence: int = 1,
        predecessor: bytes = b"",
        product: str = "grade-a",
        rejected: int = 0,
        grade: records_pb2.Grade = records_pb2.GRADE_A,
    ) -> SealedEdition:
        return seal_edition(
            self.homes[MAKER],
            made_up_records(count, grade),
            month=month,
            sequence=sequence,
            predecessor=predecessor,
            product=product,
            rejected=rejected,
        )

    async def submit(self, edition: SealedEdition, holder: str = MAKER) -> Any:
        """Uploads and commits; returns the opened acknowledgement."""

        def run() -> Any:
            with GatewayClient(self.homes[holder]) as client, errors_restored():
                stub = PublicationServiceStub(client.channel)
                call = client.wrap(edition.manifest)
                begun = stub.BeginEdition(
                    publication_service_pb2.BeginEditionRequest(call=call, blinding_key=edition.blinding_key)
                )
                if begun.HasField("answer"):
                    return client.accept(begun.answer, edition.manifest)
                if begun.next_chunk < len(edition.chunks):
                    stub.PutChunks(
                        publication_service_pb2.PutChunksRequest(
                            manifest_digest=edition.digest, number=n, data=edition.chunks[n]
                        )
                        for n in range(begun.next_chunk, len(edition.chunks))
                    )
                answer = stub.CommitEdition(
                    publication_service_pb2.CommitEditionRequest(call=client.wrap(edition.manifest))
                ).answer
                return client.accept(answer, edition.manifest)

        return await asyncio.to_thread(run)

    async def decide(self, decision: Any, holder: str = APPROVER) -> Any:
        """Sends an Approval, HoldRelease, Cancellation or Stop."""

        def run() -> Any:
            with GatewayClient(self.homes[holder]) as client, errors_restored():
                call = client.call(decision)
                stub = PublicationServiceStub(client.channel)
                answer = stub.DecideEdition(publication_service_pb2.DecideEditionRequest(call=call)).answer
                return client.accept(answer, call.document)

        return await asyncio.to_thread(run)

    async def approve(self, edition: SealedEdition, holder: str = APPROVER) -> Any:
        return await self.decide(approval(edition, holder, self.clock()), holder)

    async def publish(self, edition: SealedEdition) -> None:
        """What is held, most likely for its loss, is released: whoever wrote the test means it."""
        if (await self.submit(edition)).message.outcome == "edition.held":
            release = edition_pb2.HoldRelease(
                manifest_digest=edition.digest, released_by=APPROVER, reason="meant", released_at_ms=self.clock()
            )
            await self.decide(release)
        await self.approve(edition)

    # ── a bank's calls, without the bank's own programs ────────────────────────────────────────────────

    async def pull(self, home: Home, last_held: bytes = b"", product: str = "grade-a") -> Any:
        def run() -> Any:
            with GatewayClient(home) as client, errors_restored():
                call = client.call(
                    exchange_pb2.PullRequest(
                        recipient=home.party,
                        product=product,
                        last_held=last_held,
                        requested_at_ms=self.clock(),
                        nonce=os.urandom(16),
                    )
                )
                response = FeedServiceStub(client.channel).Pull(feed_service_pb2.PullCall(call=call))
                client.advance(response.evidence, call.document)
                return response

        return await asyncio.to_thread(run)

    async def fetch(self, home: Home, delivery_id: str, start: int = 0) -> list[bytes]:
        def run() -> list[bytes]:
            with GatewayClient(home) as client, errors_restored():
                request = feed_service_pb2.FetchChunksRequest(delivery_id=delivery_id, from_chunk=start)
                return [r.data for r in FeedServiceStub(client.channel).FetchChunks(request)]

        return await asyncio.to_thread(run)

    async def confirm(self, home: Home, receipt: exchange_pb2.DeliveryReceipt) -> Any:
        def run() -> Any:
            with GatewayClient(home) as client, errors_restored():
                call = client.call(receipt)
                stub = FeedServiceStub(client.channel)
                answer = stub.SubmitReceipt(feed_service_pb2.SubmitReceiptRequest(call=call)).answer
                return client.accept(answer, call.document)

        return await asyncio.to_thread(run)


def approval(edition: SealedEdition, holder: str, now_ms: int) -> edition_pb2.Approval:
    return edition_pb2.Approval(
        manifest_digest=edition.digest, origin=BUREAU, approved_by=holder, approved_at_ms=now_ms
    )


def receipt_for(
    package: exchange_pb2.DeliveryPackage, home: Home, stage: exchange_pb2.ReceiptStage, now_ms: int
) -> exchange_pb2.DeliveryReceipt:
    manifest = edition_pb2.Manifest.FromString(package.manifest.payload)
    delivery = exchange_pb2.Delivery.FromString(package.delivery.payload)
    return exchange_pb2.DeliveryReceipt(
        delivery_id=delivery.delivery_id,
        delivery_digest=envelope.digest(package.delivery),
        manifest_digest=envelope.digest(package.manifest),
        stage=stage,
        root=manifest.root,
        accepted=manifest.record_count,
        signed_by=home.settings.holder,
        signed_at_ms=now_ms,
    )


def made_up_records(
    count: int, grade: records_pb2.Grade = records_pb2.GRADE_A
) -> list[records_pb2.GradeRecord]:
    """Fictitious taxpayers under area code 999999, which does not exist."""
    return [
        records_pb2.GradeRecord(
            taxpayer_id=made_up_uscc(n),
            identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
            names=[f"示例企业{n}有限公司"],
            tax_offices=["示例税务局"],
            evaluation_year=2018,
            grade=grade,
        )
        for n in range(count)
    ]


def made_up_uscc(number: int) -> str:
    """A USCC with right check characters in an area that does not exist."""
    organisation = f"{number:08d}"
    code = f"91999999{organisation}{identifiers.organisation_check_character(organisation)}"
    return code + identifiers.uscc_check_character(code)


def seal_edition(
    home: Home,
    subjects: Sequence[records_pb2.GradeRecord],
    *,
    month: int = 1,
    sequence: int = 1,
    predecessor: bytes = b"",
    product: str = "grade-a",
    rejected: int = 0,
) -> SealedEdition:
    blinding_key = os.urandom(32)
    blind = records.blinder(blinding_key)
    rows = sorted(
        (blind(r.taxpayer_id.encode()), os.urandom(32), r.SerializeToString(deterministic=True))
        for r in subjects
    )
    entries = [key + records.commitment(salt, data) for key, salt, data in rows]
    hashes = records.leaf_hashes(entries)
    size = records.CHUNK_RECORDS
    chunks = [
        records.chunk_bytes((salt, data) for _, salt, data in rows[i : i + size])
        for i in range(0, len(rows), size)
    ]
    manifest = edition_pb2.Manifest(
        origin=home.party,
        issued_by=home.settings.holder,
        product=product,
        period=edition_pb2.Period(year=2018, month=month),
        kind=edition_pb2.EDITION_KIND_FULL,
        sequence=sequence,
        predecessor=predecessor,
        record_schema="xinyi.v1.GradeRecord",
        record_count=len(rows),
        root=merkle.root(hashes),
        chunk_roots=[merkle.root(hashes[i : i + size]) for i in range(0, len(hashes), size)],
        blinding_key_commitment=records.blinding_key_commitment(blinding_key),
        source=edition_pb2.SourceFile(
            sha256=b"\1" * 32, size_bytes=1, encoding="gb18030", profile_sha256=b"\2" * 32,
            coverage=edition_pb2.SOURCE_COVERAGE_WHOLE,
        ),
        quality=edition_pb2.Quality(
            rows=len(rows) + rejected, accepted=len(rows), rejected=rejected, rule_set="grade-rules/1"
        ),
        grade_counts=_grade_counts(subjects),
        issued_at_ms=wall_clock(),
        state_root=buckets.state_of(entries).root(),
        state_count=len(entries),
    )
    return SealedEdition(envelope.seal(manifest, home.signer()), blinding_key, chunks)


def _grade_counts(subjects: Iterable[records_pb2.GradeRecord]) -> list[edition_pb2.GradeCount]:
    counts: dict[records_pb2.Grade, int] = {}
    for subject in subjects:
        counts[subject.grade] = counts.get(subject.grade, 0) + 1
    return [edition_pb2.GradeCount(grade=g, records=n) for g, n in sorted(counts.items())]


@asynccontextmanager
async def city(
    path: Path, *, database_url: str = "", bureau: bool = True, signing: str = "", **delivery: float
) -> AsyncIterator[World]:
    """A founded and serving gateway; with its bureau of two persons unless told otherwise.

    Args:
        signing: further tables of gateway.toml, for instance [signing].
        delivery: settings of its [delivery] table.
    """
    plan = Plan(
        party=GATEWAY,
        mode="demo",
        listen="127.0.0.1:0",
        address="127.0.0.1:1",
        **({"database": database_url} if database_url and not database_url.startswith("sqlite") else {}),
    )
    settings = await asyncio.to_thread(found, path / "gateway", plan, signing)
    if delivery:
        text = (path / "gateway/gateway.toml").read_text()
        for name, value in delivery.items():
            text = re.sub(rf"(?m)^{name} = .*$", f"{name} = {value}", text)
        (path / "gateway/gateway.toml").write_text(text)
        settings = Settings.load(path / "gateway")
    clock = Clock()
    gateway = await asyncio.to_thread(Gateway, settings, clock)
    service = Service(gateway)
    await service.start()
    world = World(path, gateway, service, clock)
    try:
        if bureau:
            await world.bureau()
        yield world
    finally:
        await world.stop(grace_s=0.2)
