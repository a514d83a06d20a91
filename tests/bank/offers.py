"""A bureau of two persons, a gateway and banks as homes on disk, and what the gateway would offer. No network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.bank.fetch import Fetched, Receiver
from adapters.party import admission
from adapters.party.home import Home
from audit import envelope
from audit.checkpoint import VerifierKey
from audit.keys import Signer, keyid
from gateway.authority import Authority
from gateway.exchange import wall_clock
from tests.world import SealedEdition, made_up_records, seal_edition
from xinyi.checks import delivery_id
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, party_pb2, records_pb2

CITY = "test-city"
GATEWAY = f"{CITY}/gateway"
DAY_MS = 86_400_000


@dataclass
class Offers:
    path: Path
    homes: dict[str, Home] = field(default_factory=dict)
    #: Newest edition per product, so that the next one names its predecessor.
    _last: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("gateway/machine/main", "tax-bureau/person/li-wei", "tax-bureau/person/wang-fang"):
            self.home(name)
        self.bank = self.open_bank("bank-1")

    @property
    def maker(self) -> Home:
        return self.homes["tax-bureau/person/li-wei"]

    @property
    def approver(self) -> Home:
        return self.homes["tax-bureau/person/wang-fang"]

    @property
    def gateway(self) -> Home:
        return self.homes["gateway/machine/main"]

    def home(self, name: str) -> Home:
        """A home with keys and nobody's trust."""
        if name not in self.homes:
            place = self.path / "homes" / name.replace("/", "_")
            self.homes[name] = Home.create(place, f"xinyi://{CITY}/{name}", "127.0.0.1:1", GATEWAY)
        return self.homes[name]

    def open_bank(self, name: str) -> Home:
        """A bank's home that trusts the gateway and the bureau's two persons."""
        bank = self.home(f"{name}/machine/main")
        for other in (self.gateway, self.maker, self.approver):
            self.pin(bank, other.signer().key)
        bank.pin_log_key(str(VerifierKey.of(f"{GATEWAY}/log", self.gateway.signer())))
        return bank

    def pin(self, home: Home, key: party_pb2.PublicKey) -> None:
        home.pin(key, keyid(key))

    def certify(self, *homes: Home) -> None:
        """TLS certificates of one demonstration CA."""
        place = self.path / "authority"
        authority = Authority(place) if place.exists() else Authority.create(place, CITY)
        for home in homes:
            request = envelope_pb2.Envelope.FromString(admission.request(home, party_pb2.PARTY_KIND_BANK))
            asked = party_pb2.KeyRegistration.FromString(request.payload).certificate_request
            (home.keys / "tls.crt").write_text(authority.issue(asked, home.settings.holder))
            (home.keys / "ca.crt").write_bytes(authority.pem)

    def settings(self, text: str, home: Home | None = None) -> Home:
        """Adds to a bank's party.toml and opens it anew."""
        home = home or self.bank
        file = home.path / "party.toml"
        file.write_text(file.read_text() + text)
        return Home.open(home.path)

    # ── editions and what is said about them ───────────────────────────────────────────────────────────

    def edition(
        self,
        count: int = 2500,
        *,
        subjects: Sequence[records_pb2.GradeRecord] | None = None,
        product: str = "grade-a",
        follow: bool = True,
    ) -> SealedEdition:
        """The next edition of a product; with `follow` False a first one beside it."""
        sequence, predecessor = self._last.get(product, (0, b"")) if follow else (0, b"")
        edition = seal_edition(
            self.maker,
            made_up_records(count) if subjects is None else subjects,
            month=sequence + 1,
            sequence=sequence + 1,
            predecessor=predecessor,
            product=product,
        )
        if follow:
            self._last[product] = sequence + 1, edition.digest
        return edition

    def manifest(self, edition: SealedEdition) -> edition_pb2.Manifest:
        return edition_pb2.Manifest.FromString(edition.manifest.payload)

    def reseal(self, edition: SealedEdition, signer: Signer | None = None, **changes: Any) -> SealedEdition:
        """The same edition under a changed manifest."""
        manifest = self.manifest(edition)
        manifest.MergeFrom(edition_pb2.Manifest(**changes))
        sealed = envelope.seal(manifest, signer or self.maker.signer())
        return SealedEdition(sealed, edition.blinding_key, edition.chunks)

    def approval(
        self, edition: SealedEdition, by: Home | None = None, **changes: Any
    ) -> envelope_pb2.Envelope:
        by = by or self.approver
        approval = edition_pb2.Approval(
            manifest_digest=edition.digest,
            origin=by.party,
            approved_by=by.settings.holder,
            approved_at_ms=wall_clock(),
        )
        approval.MergeFrom(edition_pb2.Approval(**changes))
        return envelope.seal(approval, by.signer())

    def package(
        self,
        edition: SealedEdition,
        *,
        recipient: str = "",
        approval: envelope_pb2.Envelope | None = None,
        signer: Signer | None = None,
        **changes: Any,
    ) -> exchange_pb2.DeliveryPackage:
        """What the gateway offers; `changes` go into the Delivery before it is sealed."""
        manifest = self.manifest(edition)
        recipient = recipient or self.bank.party
        approval = approval or self.approval(edition)
        delivery = exchange_pb2.Delivery(
            delivery_id=delivery_id(edition.digest, recipient),
            recipient=recipient,
            manifest_digest=edition.digest,
            approval_digest=envelope.digest(approval),
            product=manifest.product,
            period=manifest.period,
            agreement_id="agreement-1",
            disclosure_class=exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
            offered_at_ms=wall_clock(),
            expires_at_ms=wall_clock() + 30 * DAY_MS,
            ground=exchange_pb2.DELIVERY_GROUND_AGREEMENT,
        )
        delivery.MergeFrom(exchange_pb2.Delivery(**changes))
        return exchange_pb2.DeliveryPackage(
            delivery=envelope.seal(delivery, signer or self.gateway.signer()),
            manifest=edition.manifest,
            approval=approval,
            blinding_key=edition.blinding_key,
        )

    def receive(self, edition: SealedEdition, home: Home | None = None) -> Fetched:
        """The edition into a bank's spool, as `fetch` does it."""
        home = home or self.bank
        package = self.package(edition, recipient=home.party)
        chunks = edition.chunks
        return Receiver(home).receive(package, lambda _, start: list(enumerate(chunks))[start:])


def reason(home: Home, delivery: str) -> dict[str, str]:
    """Why a delivery was put aside."""
    found: dict[str, str] = json.loads((home.path / "spool/refused" / delivery / "reason.json").read_text())
    return found


def flipped(data: bytes, place: int) -> bytes:
    """The bytes with one bit changed."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
