"""What a bank refuses before it touches an edition, each by its name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.bank.package import (
    Held,
    Trust,
    check_not_expired,
    check_succession,
    check_takeable,
    verify_package,
)
from tests.bank.offers import DAY_MS, GATEWAY, Offers, flipped
from tests.chain import Chain
from tests.world import SealedEdition, made_up_records, made_up_uscc
from xinyi.errors import Conflict, DigestMismatch, ExchangeError, SignatureInvalid, VerificationError
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2

Package = exchange_pb2.DeliveryPackage


@pytest.fixture
def trust(offers: Offers) -> Trust:
    return Trust.of(offers.bank.keyring(), recipient=offers.bank.party, gateway=GATEWAY)


@pytest.fixture
def edition(offers: Offers) -> SealedEdition:
    return offers.edition(10)


def refusal(package: Package, trust: Trust) -> ExchangeError:
    with pytest.raises(ExchangeError) as refused:
        verify_package(package, trust)
    return refused.value


def test_an_honest_package_holds(offers: Offers, edition: SealedEdition, trust: Trust) -> None:
    """Three documents of three parties that name each other."""
    verified = verify_package(offers.package(edition), trust)
    assert verified.manifest.digest == edition.digest
    assert verified.product == "grade-a"
    check_succession(verified, None)


@pytest.mark.parametrize("name", ["delivery", "manifest", "approval"])
@pytest.mark.parametrize("part", ["payload", "sig", "keyid"])
def test_a_changed_byte_in_any_document_is_named(
    offers: Offers, edition: SealedEdition, trust: Trust, name: str, part: str
) -> None:
    """Wherever the byte stands, the refusal says which document it was."""
    honest = offers.package(edition)
    for place in (0, 1, -1, 20):
        package = Package()
        package.CopyFrom(honest)
        sealed: envelope_pb2.Envelope = getattr(package, name)
        signature = sealed.signatures[0]
        if part == "payload":
            sealed.payload = flipped(sealed.payload, place % len(sealed.payload))
        elif part == "sig":
            signature.sig = flipped(signature.sig, place % len(signature.sig))
        else:
            signature.keyid = flipped(signature.keyid.encode(), place % 64).decode()
        refused = refusal(package, trust)
        assert isinstance(refused, SignatureInvalid)
        assert refused.basis == f"{name}.seal"


@pytest.mark.parametrize("name", ["delivery", "manifest", "approval"])
def test_a_missing_document_is_named(offers: Offers, edition: SealedEdition, trust: Trust, name: str) -> None:
    """An edition that nobody approved has no approval."""
    package = offers.package(edition)
    package.ClearField(name)  # type: ignore[arg-type]
    assert refusal(package, trust).basis == f"{name}.seal"


def test_documents_in_each_others_place_are_refused(
    offers: Offers, edition: SealedEdition, trust: Trust
) -> None:
    """A seal is over the document's type as well."""
    package = offers.package(edition)
    package.approval.CopyFrom(package.manifest)
    assert refusal(package, trust).basis == "approval.seal"


Offer = Callable[[Offers, SealedEdition], Package]

UNTRUE: dict[str, Offer] = {
    "approval.same_person": lambda o, e: o.package(e, approval=o.approval(e, o.maker)),
    "approval.manifest": lambda o, e: o.package(e, approval=o.approval(o.edition(10, follow=False))),
    "approval.approved_by": lambda o, e: o.package(e, approval=_approved_by_machine(o, e)),
    "approval.signer": lambda o, e: o.package(
        e, approval=o.approval(e, o.maker, approved_by=o.approver.settings.holder)
    ),
    "approval.origin": lambda o, e: o.package(e, approval=_approved_elsewhere(o, e)),
    "approval.seal": lambda o, e: o.package(e, approval=o.approval(e, o.gateway)),
    "manifest.seal": lambda o, e: o.package(o.reseal(e, o.gateway.signer())),
    "manifest.signer": lambda o, e: o.package(o.reseal(e, o.approver.signer())),
    "delivery.seal": lambda o, e: o.package(e, signer=o.maker.signer()),
    "delivery.recipient": lambda o, e: o.package(e, recipient="test-city/bank-2"),
    "delivery.manifest": lambda o, e: o.package(e, manifest_digest=b"\7" * 32),
    "delivery.approval": lambda o, e: o.package(e, approval_digest=b"\7" * 32),
    "delivery.delivery_id": lambda o, e: o.package(e, delivery_id="7" * 64),
    "delivery.product": lambda o, e: o.package(e, product="grade-all"),
    "delivery.period": lambda o, e: o.package(e, period=edition_pb2.Period(year=2019, month=1)),
    "manifest.root": lambda o, e: o.package(o.reseal(e, root=b"")) if False else _no_root(o, e),
}


def _approved_by_machine(offers: Offers, edition: SealedEdition) -> envelope_pb2.Envelope:
    machine = offers.home("tax-bureau/machine/robot")
    offers.pin(offers.bank, machine.signer().key)
    return offers.approval(edition, machine)


def _approved_elsewhere(offers: Offers, edition: SealedEdition) -> envelope_pb2.Envelope:
    other = offers.home("other-bureau/person/zhang")
    offers.pin(offers.bank, other.signer().key)
    return offers.approval(edition, other)


def _no_root(offers: Offers, edition: SealedEdition) -> Package:
    manifest = offers.manifest(edition)
    manifest.root = b"\7" * 31
    from audit import envelope

    return offers.package(
        SealedEdition(envelope.seal(manifest, offers.maker.signer()), edition.blinding_key, edition.chunks)
    )


@pytest.mark.parametrize("basis", UNTRUE)
def test_what_does_not_hold_together_is_named(offers: Offers, basis: str) -> None:
    """Every relation between the three documents, broken one at a time, all seals good."""
    package = UNTRUE[basis](offers, offers.edition(10))
    trust = Trust.of(offers.bank.keyring(), recipient=offers.bank.party, gateway=GATEWAY)
    assert refusal(package, trust).basis == basis


def test_the_gateway_cannot_mint_an_edition(offers: Offers, trust: Trust) -> None:
    """All three documents sealed by the gateway, whose key the bank has pinned: refused."""
    edition = offers.edition(10)
    manifest = offers.manifest(edition)
    manifest.origin, manifest.issued_by = GATEWAY, offers.gateway.settings.holder
    minted = offers.reseal(
        SealedEdition(edition.manifest, edition.blinding_key, edition.chunks),
        offers.gateway.signer(),
        origin=GATEWAY,
        issued_by=offers.gateway.settings.holder,
    )
    package = offers.package(minted, approval=offers.approval(minted, offers.gateway))
    assert refusal(package, trust).basis == "manifest.seal"


def test_a_bureau_that_is_not_named_is_not_taken(offers: Offers, edition: SealedEdition) -> None:
    """With origins in the settings, a pinned key of another party counts for nothing."""
    trust = Trust.of(
        offers.bank.keyring(),
        recipient=offers.bank.party,
        gateway=GATEWAY,
        origins=["test-city/other-bureau"],
    )
    assert refusal(offers.package(edition), trust).basis == "manifest.seal"


def test_a_changed_root_or_blinding_key_is_refused(
    offers: Offers, edition: SealedEdition, trust: Trust
) -> None:
    """The manifest's root must follow from its chunk roots, and the key be the one it commits to."""
    with pytest.raises(VerificationError, match="root does not follow"):
        verify_package(offers.package(offers.reseal(edition, root=b"\7" * 32)), trust)
    package = offers.package(edition)
    package.blinding_key = b"\7" * 32
    with pytest.raises(DigestMismatch, match="blinding key"):
        verify_package(package, trust)


def test_an_expired_delivery_is_not_taken(offers: Offers, edition: SealedEdition, trust: Trust) -> None:
    """After its expiry a delivery is no longer an offer."""
    verified = verify_package(offers.package(edition), trust)
    expires = verified.delivery.message.expires_at_ms
    check_not_expired(verified, expires)
    with pytest.raises(Conflict) as refused:
        check_not_expired(verified, expires + DAY_MS)
    assert refused.value.basis == "delivery.expired"


@pytest.mark.parametrize(
    ("held_sequence", "held_digest", "origin", "basis"),
    [
        (2, "same", "tax-bureau", "edition.replayed"),
        (3, "other", "tax-bureau", "edition.replayed"),
        (2, "other", "tax-bureau", "edition.predecessor"),
        (1, "other", "tax-bureau", "edition.predecessor"),
        (1, "first", "other-bureau", "edition.origin"),
        (1, "first", "tax-bureau", ""),
    ],
)
def test_only_the_next_edition_follows(
    offers: Offers, trust: Trust, held_sequence: int, held_digest: str, origin: str, basis: str
) -> None:
    """Replays, forks and other origins are refused against what the bank holds."""
    first = offers.edition(5)
    second = offers.edition(5)
    digests = {"same": second.digest, "first": first.digest, "other": b"\7" * 32}
    held = Held(f"test-city/{origin}", held_sequence, digests[held_digest])
    verified = verify_package(offers.package(second), trust)
    if not basis:
        check_succession(verified, held)
        return
    with pytest.raises(ExchangeError) as refused:
        check_succession(verified, held)
    assert refused.value.basis == basis


def test_a_full_may_skip_and_what_changes_it_follows_exactly(offers: Offers, trust: Trust) -> None:
    """A gap is no lie: it names the remedy. Another history is one."""
    chain = Chain(offers.maker)
    made = made_up_records(6)
    first, second = chain.full(made[:4]), chain.delta(made[4:5])
    third = chain.delta(made[5:])
    skipping = chain.full(made)
    held = Held(offers.maker.party, 1, first.digest)
    check_succession(verify_package(offers.package(skipping), trust), held)
    check_succession(verify_package(offers.package(second), trust), held)
    for since in (None, held):
        with pytest.raises(Conflict, match="xinyi-bank catch-up") as refused:
            check_succession(verify_package(offers.package(third), trust), since)
        assert refused.value.basis == "edition.gap"
    for sequence, digest in ((2, b"\7" * 32), (1, b"\7" * 32)):
        with pytest.raises(VerificationError) as lied:
            check_succession(
                verify_package(offers.package(second), trust), Held(offers.maker.party, sequence, digest)
            )
        assert lied.value.basis == "edition.predecessor"


def test_a_correction_is_taken_whatever_is_held(offers: Offers, trust: Trust) -> None:
    """It recalls; a delta before its turn is not taken, and another history is a lie for both."""
    chain = Chain(offers.maker)
    made = made_up_records(4)
    first, delta = chain.full(made[:3]), chain.delta(made[3:])
    correction = chain.correction(first.digest, gone=[made[0].taxpayer_id])
    recall = verify_package(offers.package(correction), trust)
    for held in (None, Held(offers.maker.party, 1, first.digest), Held(offers.maker.party, 9, b"\7" * 32)):
        check_takeable(recall, held)
    with pytest.raises(Conflict):
        check_takeable(verify_package(offers.package(delta), trust), None)
    with pytest.raises(VerificationError):
        check_takeable(recall, Held(offers.maker.party, 2, b"\7" * 32))


def test_only_a_correction_is_a_recall(offers: Offers, trust: Trust) -> None:
    """What goes to a bank without a right rests on that alone."""
    chain = Chain(offers.maker)
    full = chain.full(made_up_records(3))
    correction = chain.correction(full.digest, gone=[made_up_uscc(1)])
    verify_package(offers.package(correction, ground=exchange_pb2.DELIVERY_GROUND_RECALL), trust)
    package = offers.package(full, ground=exchange_pb2.DELIVERY_GROUND_RECALL)
    assert refusal(package, trust).basis == "delivery.ground"
