"""A month in which no signing key is a file of ours: a bank's token, an approver's signature server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from adapters.party import admission as onboarding
from adapters.party.home import Home
from audit import envelope
from audit.keys import ECDSA_P256, ED25519, keyid
from audit.log import log_entries
from gateway.app import Gateway
from gateway.office import admission, keys
from gateway.store import parties
from tests.signing_desk import signing_desk
from tests.softhsm import PIN, SoftToken, soft_token
from tests.world import APPROVER, CITY, World, city, receipt_for
from xinyi.errors import NotAuthenticated, SignatureInvalid, Unavailable
from xinyi.v1 import edition_pb2, exchange_pb2, party_pb2

STAGES = (
    (exchange_pb2.RECEIPT_STAGE_RECEIVED, "receipt.received"),
    (exchange_pb2.RECEIPT_STAGE_ACCEPTED, "receipt.accepted"),
    (exchange_pb2.RECEIPT_STAGE_APPLIED, "receipt.applied"),
)


@pytest.fixture
def hsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    with soft_token(tmp_path / "hsm", monkeypatch) as token:
        token.make("document", "EC:prime256v1")
        yield token


async def receive(world: World, bank: Home) -> exchange_pb2.DeliveryPackage:
    """Pulls the newest edition and signs for it three times."""
    package = (await world.pull(bank)).package
    for stage, outcome in STAGES:
        answer = await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))
        assert answer.message.outcome == outcome
    return package


async def test_a_token_and_a_signature_server_carry_a_month(
    tmp_path: Path, hsm: SoftToken, database_url: str
) -> None:
    """publish → approve by server → pull and receipts by token; while the server is away nothing is approved."""
    with signing_desk(tmp_path / "desk", "document") as desk:
        async with city(tmp_path, database_url=database_url, bureau=False) as world:
            await world.bureau(approver_signing=desk.toml("server:document"))
            bank = await world.bank("bank-1", signing=hsm.toml("token:document"))
            assert not {key.algorithm for key in (bank.signer().key,)} - {ECDSA_P256}
            edition = world.seal(100)
            await world.submit(edition)

            desk.answer = 503, b""
            with pytest.raises(Unavailable, match="answers 503"):
                await world.approve(edition)
            assert (await world.pull(bank)).unchanged
            desk.answer = None
            assert (await world.approve(edition)).message.outcome == "edition.published"
            assert desk.asked[-1].startswith(b"DSSEv1 ")
            hsm.restart()
            package = await receive(world, bank)

            approval = envelope.open_sealed(package.approval, edition_pb2.Approval, bank.keyring())
            assert [key.holder for key in approval.signers] == [APPROVER]
            assert approval.signers[0].algorithm == ED25519
            assert keyid(approval.signers[0]) == keyid(desk.signers["document"].key)
            assert package.approval.signatures[0].keyid == keyid(world.homes[APPROVER].signer().key)


async def test_a_gateway_seals_nothing_with_a_key_that_was_retired(tmp_path: Path) -> None:
    """Retired before the gateway was started again: it refuses to work rather than make its log false."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.publish(world.seal(10))
        served, settings = world.gateway, world.gateway.settings
        old = keyid(served.signer.key)

        def rotate() -> None:
            keys.rotate_own(served.door, settings.custody, settings.signing.document)
            served.door.run_sync(lambda x: keys.retire(x, old, "too early", served.holder))

        await asyncio.to_thread(rotate)
        before = await asyncio.to_thread(entries, served)
        for refused in (world.pull(bank), world.submit(world.seal(10, month=5, sequence=2))):
            with pytest.raises(Unavailable, match="cannot sign at the moment"):
                await refused
        assert await asyncio.to_thread(entries, served) == before


def entries(gateway: Gateway) -> int:
    with gateway.database.reading() as conn:
        return conn.execute(select(func.count()).select_from(log_entries)).scalar_one()


async def admit_further(world: World, home: Home, key: str) -> None:
    request = onboarding.request(home, party_pb2.PARTY_KIND_BANK, key=key)
    certifier = admission.Certifier(lambda *_: "", "", world.address, str(world.gateway.log.key))
    answer = await world.gateway.door.run(
        lambda x: admission.admit(
            x, admission.read_request(request), "BANK", certifier, world.gateway.signer, APPROVER
        )
    )
    onboarding.install(home, answer.SerializeToString(deterministic=True))


def signed_with(home: Home, toml: str) -> Home:
    """The same home with other keys."""
    path = home.path / "party.toml"
    path.write_text(path.read_text().partition("[signing]")[0] + toml)
    return Home.open(home.path)


async def test_from_a_file_to_a_token_with_both_in_between(tmp_path: Path, hsm: SoftToken) -> None:
    """The token's key is registered under the file's; then documents carry both; then the token's alone."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        file, tls = bank.signer(), (bank.keys / "tls.crt").read_bytes()
        both = signed_with(bank, hsm.toml("file:document", "token:document"))
        # Not registered yet: the gateway passes over a signature it does not know.
        await world.publish(world.seal(10))
        await world.pull(both)

        await admit_further(world, both, "token:document")
        assert (both.keys / "tls.crt").read_bytes() == tls
        rows = await world.gateway.database.read(lambda conn: parties.list_keys(conn, bank.party))
        token = both.signer("token:document")
        assert {row["keyid"] for row in rows if row["state"] == "ACTIVE"} == {
            keyid(file.key),
            keyid(token.key),
        }
        package = await receive(world, both)
        delivery = exchange_pb2.Delivery.FromString(package.delivery.payload)
        assert delivery.recipient == f"{CITY}/bank-1"

        # Known now: it must hold, whatever the other one does.
        receipt = receipt_for(package, both, exchange_pb2.RECEIPT_STAGE_APPLIED, world.clock())
        sealed = envelope.seal(receipt, *both.signers())
        keyring = await world.gateway.reception.keyring(fresh=True)
        opened = envelope.open_sealed(sealed, exchange_pb2.DeliveryReceipt, keyring)
        assert [keyid(key) for key in opened.signers] == [keyid(file.key), keyid(token.key)]
        sealed.signatures[1].sig = sealed.signatures[0].sig
        with pytest.raises(SignatureInvalid):
            envelope.open_sealed(sealed, exchange_pb2.DeliveryReceipt, keyring)

        only = signed_with(both, hsm.toml("token:document"))
        (only.keys / "document.pem").unlink()
        assert (await world.pull(Home.open(only.path))).package.manifest == package.manifest


async def test_a_token_key_nobody_registered_gets_nowhere(tmp_path: Path, hsm: SoftToken) -> None:
    """Settings alone admit no key."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        stranger = signed_with(bank, hsm.toml("token:document"))
        with pytest.raises((SignatureInvalid, NotAuthenticated)):
            await world.pull(stranger)


async def test_while_the_gateway_s_token_is_away_callers_try_again(tmp_path: Path, hsm: SoftToken) -> None:
    """Nothing is half done: the same document is answered once the token is back."""
    hsm.make("log", "EC:edwards25519")
    signing = f'[signing]\ndocument = "token:document"\nlog = "token:log"\n\n{hsm.place_toml()}'
    async with city(tmp_path, signing=signing) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(10)
        await world.submit(edition)
        hsm.pin_file.write_text("000000")
        hsm.restart()
        with pytest.raises(Unavailable, match="cannot sign at the moment") as away:
            await world.approve(edition)
        assert "PIN" not in str(away.value), "how the gateway keeps its keys is not its partners' business"
        hsm.pin_file.write_text(PIN)
        assert (await world.approve(edition)).message.outcome == "edition.published"
        await receive(world, bank)
