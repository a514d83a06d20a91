"""A CORRECTION reaches everybody who took what was wrong, whatever became of them; what was lost comes again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from gateway import catchup, delivery
from gateway.office import agreements, partners
from gateway.office.inspection import read
from gateway.store import deliveries, editions
from tests.chain import Chain
from tests.flows.parties import Bank
from tests.flows.test_attempts import until_state
from tests.flows.test_delivery import states, until
from tests.flows.test_editions_over_time import SUBJECTS, chain_of, named
from tests.flows.test_rights import entries
from tests.flows.test_stop import stop
from tests.programs import ok
from tests.world import MAKER, OPERATOR, SealedEdition, World, city, receipt_for
from xinyi import checks
from xinyi.channel import errors_restored
from xinyi.errors import Contradiction, NotEntitled
from xinyi.server import serve
from xinyi.v1 import edition_pb2, exchange_pb2, inbox_service_pb2, inbox_service_pb2_grpc
from xinyi.v1 import publication_service_pb2 as publication
from xinyi.v1.inbox_service_pb2_grpc import InboxServiceServicer
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

PULL, FOLDER, PUSH = exchange_pb2.CHANNEL_PULL, exchange_pb2.CHANNEL_FOLDER, exchange_pb2.CHANNEL_PUSH
RECEIVED, ACCEPTED, APPLIED = (
    exchange_pb2.RECEIPT_STAGE_RECEIVED,
    exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    exchange_pb2.RECEIPT_STAGE_APPLIED,
)
RECALL, AGREEMENT = exchange_pb2.DELIVERY_GROUND_RECALL, exchange_pb2.DELIVERY_GROUND_AGREEMENT


async def take(world: World, bank: Home, held: bytes = b"") -> exchange_pb2.DeliveryPackage:
    """Pulls what is next, fetches it, and gives every receipt."""
    package: exchange_pb2.DeliveryPackage = (await world.pull(bank, held)).package
    given = exchange_pb2.Delivery.FromString(package.delivery.payload)
    await world.fetch(bank, given.delivery_id)
    await confirm(world, bank, package)
    return package


async def confirm(world: World, bank: Home, package: exchange_pb2.DeliveryPackage) -> list[str]:
    return [
        (await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))).message.outcome
        for stage in (RECEIVED, ACCEPTED, APPLIED)
    ]


async def decide(world: World, bank: Home, decision: str) -> None:
    await world.gateway.door.run(lambda x: partners.decide(x, bank.party, decision, "test", OPERATOR))


def ground(package: exchange_pb2.DeliveryPackage) -> exchange_pb2.DeliveryGround:
    return exchange_pb2.Delivery.FromString(package.delivery.payload).ground


def recalls(world: World) -> dict[str, str]:
    rows = read(world.gateway.settings.home, deliveries.list_recalls)
    return {row["recipient"].rpartition("/")[2]: row["state"] for row in rows}


async def wrong_then_corrected(world: World, chain: Chain) -> SealedEdition:
    """A delta, and the correction of the FULL before it."""
    first = chain.last
    chain.month = 2
    await world.publish(chain.delta(SUBJECTS[20:22]))
    chain.month = 3
    correction = chain.correction(first, [named(SUBJECTS[0], "更正")], [SUBJECTS[1].taxpayer_id])
    await world.publish(correction)
    return correction


async def test_a_correction_reaches_suspended_terminated_and_former_banks_by_pull(
    tmp_path: Path, database_url: str
) -> None:
    """Each gets the correction and nothing else, on the ground of the recall, and closes it by its APPLIED receipt.
    A bank that never had the edition gets it as everything else, or not at all."""
    async with city(tmp_path, database_url=database_url) as world:
        names = ("active", "suspended", "terminated", "former", "late", "stranger")
        banks = {name: await world.bank(name) for name in names}
        chain = chain_of(world)
        await world.publish(chain.full(SUBJECTS[:20]))
        first = chain.last
        for name in names[:4]:
            await take(world, banks[name])
        await decide(world, banks["suspended"], "suspend")
        await decide(world, banks["terminated"], "terminate")
        await decide(world, banks["stranger"], "suspend")
        await world.gateway.door.run(
            lambda x: agreements.end_entitlement(x, banks["former"].party, "grade-a", "test", OPERATOR)
        )
        with pytest.raises(NotEntitled):
            await world.pull(banks["suspended"], first)
        correction = await wrong_then_corrected(world, chain)
        assert recalls(world) == dict.fromkeys(names[:4], "OPEN")

        for name, basis in (
            ("suspended", "partner.suspended"),
            ("terminated", "partner.terminated"),
            ("former", "entitlement.ended"),
        ):
            package = await take(world, banks[name], first)
            assert (package.manifest, ground(package)) == (correction.manifest, RECALL)
            with pytest.raises(NotEntitled) as refused:
                await world.pull(banks[name], first)
            assert refused.value.basis == basis
            with pytest.raises(NotEntitled):
                await world.fetch(banks[name], checks.delivery_id(correction.digest, banks[name].party))
        with pytest.raises(NotEntitled):
            await world.pull(banks["stranger"])
        assert recalls(world) == {"active": "OPEN"} | dict.fromkeys(names[1:4], "CONFIRMED")

        # Who is entitled gets it in its place of the chain.
        answer = await world.pull(banks["active"], first)
        assert answer.remaining == 1
        second = await take(world, banks["active"], first)
        package = await take(world, banks["active"], envelope.digest(second.manifest))
        assert (package.manifest, ground(package)) == (correction.manifest, AGREEMENT)
        assert recalls(world) == dict.fromkeys(names[:4], "CONFIRMED")
        offers = {e.counterparty.rpartition("/")[2] for e in entries(world, "delivery.offered")}
        assert offers == {*names[:4]}
        assert (await world.pull(banks["late"])).remaining == 2


async def test_a_suspended_and_a_terminated_bank_are_recalled_by_folder(
    tmp_path: Path, database_url: str
) -> None:
    """The gateway writes the correction into the folder they last had, and nothing besides."""
    async with city(tmp_path, database_url=database_url, backoff_s=0.1) as world:
        banks = [await world.bank(f"bank-{n}", FOLDER, str(tmp_path / f"node-{n}")) for n in (1, 2)]
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        for bank, decision in zip(banks, ("suspend", "terminate"), strict=True):
            await until_written(world, first.digest, bank)
            await confirm(world, bank, package_of(world, first.digest, bank))
            await decide(world, bank, decision)
        correction = await wrong_then_corrected(world, chain)
        for n, bank in enumerate(banks, 1):
            identity = checks.delivery_id(correction.digest, bank.party)
            complete = tmp_path / f"node-{n}/outgoing/{identity}.complete"

            async def there(path: Path = complete) -> bool:
                return await asyncio.to_thread(path.exists)

            await until(there)
            package = package_of(world, correction.digest, bank)
            assert ground(package) == RECALL
            await confirm(world, bank, package)
        lying = {path.stem for n in (1, 2) for path in (tmp_path / f"node-{n}/outgoing").glob("*.complete")}
        expected = {checks.delivery_id(d, b.party) for d in (first.digest, correction.digest) for b in banks}
        assert lying == expected
        assert recalls(world) == {"bank-1": "CONFIRMED", "bank-2": "CONFIRMED"}


class Trusting(InboxServiceServicer):
    """An inbox that takes what comes, counts the chunks and gives every receipt's first: RECEIVED."""

    def __init__(self, bank: Home, world: World) -> None:
        self._bank, self._world = bank, world
        self.offers: list[exchange_pb2.DeliveryPackage] = []
        self.chunks: list[bytes] = []

    async def Offer(self, request: inbox_service_pb2.OfferRequest, context: Any) -> Any:  # noqa: N802
        self.offers.append(request.package)
        return inbox_service_pb2.OfferResponse()

    async def PutChunks(self, requests: Any, context: Any) -> Any:  # noqa: N802
        async for request in requests:
            self.chunks.append(request.data)
        receipt = receipt_for(self.offers[-1], self._bank, RECEIVED, self._world.clock())
        return inbox_service_pb2.InboxServicePutChunksResponse(receipt=envelope.seal(receipt, self._bank.signer()))


@pytest.mark.parametrize("decision", ["suspend", "terminate"])
async def test_a_suspended_or_terminated_bank_is_recalled_by_push(
    tmp_path: Path, database_url: str, free_port: int, decision: str
) -> None:
    """Its inbox is dialled with the correction; the delta between is not offered to it."""
    async with city(tmp_path, database_url=database_url, backoff_s=0.1) as world:
        bank = await world.bank("bank-1", PUSH, f"127.0.0.1:{free_port}")
        chain, inbox = chain_of(world), Trusting(bank, world)
        register = inbox_service_pb2_grpc.add_InboxServiceServicer_to_server
        server, _ = await serve(f"127.0.0.1:{free_port}", bank.tls(), [(register, inbox)])
        try:
            await world.publish(first := chain.full(SUBJECTS[:20]))
            await until_state(world, first.digest, bank, "RECEIVED")
            await decide(world, bank, decision)
            correction = await wrong_then_corrected(world, chain)
            await until_state(world, correction.digest, bank, "RECEIVED")
        finally:
            await server.stop(0)
        assert [package.manifest for package in inbox.offers] == [first.manifest, correction.manifest]
        assert inbox.chunks == first.chunks + correction.chunks
        assert [ground(package) for package in inbox.offers] == [AGREEMENT, RECALL]
        assert recalls(world) == {"bank-1": "OPEN"}
        for stage in (ACCEPTED, APPLIED):
            await world.confirm(bank, receipt_for(inbox.offers[-1], bank, stage, world.clock()))
        assert recalls(world) == {"bank-1": "CONFIRMED"}


def package_of(world: World, digest: bytes, bank: Home) -> exchange_pb2.DeliveryPackage:
    with world.gateway.database.reading() as conn:
        return delivery.package(conn, checks.delivery_id(digest, bank.party))


async def until_written(world: World, digest: bytes, bank: Home) -> None:
    async def written() -> bool:
        with world.gateway.database.reading() as conn:
            row = deliveries.find_delivery(conn, checks.delivery_id(digest, bank.party))
        return row is not None and row["state"] == "OFFERED" and row["attempts"] > 0

    await until(written)


async def test_what_a_push_or_folder_bank_lacks_is_queued_behind_the_new_edition(
    tmp_path: Path, database_url: str
) -> None:
    """A bank that was admitted late, and one that was suspended meanwhile, get the whole way, in order."""
    async with city(tmp_path, database_url=database_url, backoff_s=0.1) as world:
        early = await world.bank("early", FOLDER, str(tmp_path / "early"))
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await until_written(world, first.digest, early)
        await confirm(world, early, package_of(world, first.digest, early))
        await decide(world, early, "suspend")
        await world.publish(second := chain.delta(SUBJECTS[20:22]))
        await until_state(world, second.digest, early, "DEAD")
        await decide(world, early, "activate")
        late = await world.bank("late", FOLDER, str(tmp_path / "late"))
        await world.publish(third := chain.delta(SUBJECTS[22:24]))
        for bank, wanted in ((early, [second, third]), (late, [first, second, third])):
            for edition in wanted:
                await until_written(world, edition.digest, bank)
                await confirm(world, bank, package_of(world, edition.digest, bank))
        offers = [
            (e.counterparty, e.manifest_digest) for e in entries(world, "delivery.offered")
        ]
        assert [d for who, d in offers if who == late.party] == [e.digest for e in (first, second, third)]
        with world.gateway.database.reading() as conn:
            assert catchup.held_by(conn, late.party, "grade-a") == third.digest
        assert await states(world, second.digest) == {early.party: "APPLIED", late.party: "APPLIED"}


async def test_a_correction_is_carried_before_other_editions(tmp_path: Path) -> None:
    """What stands before it in its own chain goes first; other products and banks without one wait."""
    async with city(tmp_path) as world:
        first = await world.bank("bank-1", PUSH, "127.0.0.1:1")
        second = await world.bank("bank-2", PUSH, "127.0.0.1:1")
        await decide(world, first, "suspend")
        chain = chain_of(world)
        await world.publish(full := chain.full(SUBJECTS[:20]))
        await until_state(world, full.digest, first, "DEAD")
        rows = {}
        with world.gateway.database.reading() as conn:
            for bank in (first, second):
                rows[bank.party] = deliveries.find_delivery(conn, checks.delivery_id(full.digest, bank.party))
        correction = chain.correction(full.digest, [named(SUBJECTS[0], "更正")])
        await world.submit(correction)
        delta = dict(rows[second.party] or {})

        def queue(x: Any) -> None:
            edition = editions.find_edition(x.conn, correction.digest)
            x.add(delivery.tables.deliveries, delivery.new_row(x, edition, {
                "party": second.party, "agreement_id": delta["agreement_id"], "channel": PUSH, "target": "127.0.0.1:1",
            }))
            row = dict(rows[first.party] or {}) | {"state": "QUEUED", "attempts": 0}
            x.replace(delivery.tables.deliveries, row)
            x.log("partner.noted", actor=OPERATOR)

        await world.gateway.door.run(queue)
        with world.gateway.database.reading() as conn:
            due = delivery.due(conn, world.clock() + 3_600_000, 1)
        assert [(party, urgent) for _, party, urgent in due] == [(second.party, True), (first.party, False)]
        assert due[0][0].startswith(checks.delivery_id(full.digest, second.party))


@pytest.mark.parametrize("channel", [PULL, FOLDER])
@pytest.mark.parametrize("meanwhile", ["ended", "suspended", "entitled"])
async def test_whose_receipt_comes_behind_a_correction_is_recalled(
    tmp_path: Path, database_url: str, channel: exchange_pb2.Channel, meanwhile: str
) -> None:
    """It had the editions and had not said so. Its first receipt opens the recall, and brings the correction to it."""
    async with city(tmp_path, database_url=database_url, backoff_s=0.1) as world:
        bank = await world.bank("bank-1", channel, str(tmp_path / "node-1") if channel == FOLDER else "")
        chain, packages = chain_of(world), []
        await world.publish(first := chain.full(SUBJECTS[:20]))
        chain.month = 2
        await world.publish(second := chain.delta(SUBJECTS[20:22]))
        held = b""
        for edition in (first, second):
            if channel == PULL:
                packages.append((await world.pull(bank, held)).package)
                await world.fetch(bank, checks.delivery_id(edition.digest, bank.party))
                held = edition.digest
        if channel == FOLDER:
            await until_written(world, first.digest, bank)
            packages = [package_of(world, first.digest, bank)]
        if meanwhile == "ended":
            await world.gateway.door.run(
                lambda x: agreements.end_entitlement(x, bank.party, "grade-a", "test", OPERATOR)
            )
        if meanwhile == "suspended":
            await decide(world, bank, "suspend")
        chain.month = 3
        await world.publish(correction := chain.correction(first.digest, [named(SUBJECTS[0], "更正")]))
        await world.publish(stopped := chain.correction(first.digest, [named(SUBJECTS[1], "更正")]))
        await stop(world, stopped)
        if channel == FOLDER and meanwhile == "suspended":
            await until_state(world, correction.digest, bank, "DEAD")
        assert recalls(world) == {}

        for package in packages:
            assert await confirm(world, bank, package) == ["receipt.received", "receipt.accepted", "receipt.applied"]
        assert recalls(world) == {"bank-1": "OPEN"}
        (opening,) = [e for e in entries(world, "receipt.received") if any(c.table == "recalls" for c in e.changes)]
        assert opening.manifest_digest == first.digest
        if channel == FOLDER and meanwhile != "entitled":
            await until_written(world, correction.digest, bank)
            package = package_of(world, correction.digest, bank)
            await confirm(world, bank, package)
        elif channel == PULL:
            package = await take(world, bank, held)
        else:
            return  # in its place of the chain, as everything else
        assert package.manifest == correction.manifest
        assert ground(package) == (AGREEMENT if meanwhile == "entitled" else RECALL)
        assert recalls(world) == {"bank-1": "CONFIRMED"}


async def test_a_bank_restored_from_a_backup_is_given_again_what_it_lost(
    tmp_path: Path, database_url: str
) -> None:
    """A new Delivery under the same id, once; receipts that say the same change nothing, another is an alarm."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await take(world, bank)
        await world.publish(second := chain.delta(SUBJECTS[20:22]))
        before = await take(world, bank, first.digest)
        identity = checks.delivery_id(second.digest, bank.party)
        with world.gateway.database.reading() as conn:
            known = {row["stage"]: row["document"] for row in receipt_rows(conn, identity)}
        world.clock.advance(days=40)

        again = (await world.pull(bank, first.digest)).package
        assert again.manifest == before.manifest
        old, new = (exchange_pb2.Delivery.FromString(p.delivery.payload) for p in (before, again))
        assert (new.delivery_id, new.offered_at_ms > old.expires_at_ms) == (old.delivery_id, True)
        assert (await world.pull(bank, first.digest)).package.delivery == again.delivery
        assert await world.fetch(bank, identity) == second.chunks
        assert await confirm(world, bank, again) == ["receipt.repeated"] * 3
        assert await confirm(world, bank, again) == ["receipt.repeated"] * 3
        other = receipt_for(again, bank, ACCEPTED, world.clock())
        other.stage, other.accepted, other.rejected = exchange_pb2.RECEIPT_STAGE_RECEIVED, 1, 1
        with pytest.raises(Contradiction) as refused:
            await world.confirm(bank, other)
        assert refused.value.basis == "receipt.conflict"
        with world.gateway.database.reading() as conn:
            assert {row["stage"]: row["document"] for row in receipt_rows(conn, identity)} == known
            row = deliveries.find_delivery(conn, identity)
        assert row is not None
        assert (row["state"], row["generation"]) == ("APPLIED", 1)
        repeated = entries(world, "receipt.repeated")
        assert {(e.delivery_id, e.manifest_digest, len(e.changes)) for e in repeated} == {(identity, second.digest, 0)}
        assert len(repeated) == 6


def receipt_rows(conn: Any, identity: str) -> list[Any]:
    receipts = delivery.tables.receipts
    return list(conn.execute(receipts.select().where(receipts.c.delivery_id == identity)).mappings())


async def test_a_bureau_sees_kind_and_ground_and_the_operator_who_is_recalled(tmp_path: Path) -> None:
    """What was sent to whom, on which ground."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await take(world, bank)
        await decide(world, bank, "suspend")
        correction = await wrong_then_corrected(world, chain)
        await take(world, bank, first.digest)

        def listed() -> publication.ListEditionsResponse:
            with GatewayClient(world.homes[MAKER]) as client, errors_restored():
                stub = PublicationServiceStub(client.channel)
                answer: publication.ListEditionsResponse = stub.ListEditions(publication.ListEditionsRequest())
                return answer

        found = {e.manifest_digest: e for e in (await asyncio.to_thread(listed)).editions}
        assert found[correction.digest].kind == edition_pb2.EDITION_KIND_CORRECTION
        assert [d.ground for d in found[correction.digest].deliveries] == [RECALL]
        assert [d.ground for d in found[first.digest].deliveries] == [AGREEMENT]

        (row,) = (await ok("xinyi-gateway", "recall", "list", "--home", tmp_path / "gateway", "--json")).json
        assert (row["correction"], row["recipient"]) == (correction.digest.hex(), bank.party)
        assert (row["state"], row["delivery_state"], row["period"]) == ("CONFIRMED", "APPLIED", "2018-03")
        shown = (await ok("xinyi-gateway", "recall", "list", "--home", tmp_path / "gateway")).out
        assert bank.party in shown
        assert "CONFIRMED" in shown


async def test_a_recall_off_the_way_keeps_nobody_from_what_is_new(tmp_path: Path) -> None:
    """A FULL stands before the correction: one call brings both, although the receipts go last."""
    async with city(tmp_path) as world:
        bank = Bank(await world.bank("bank-1"))
        chain = chain_of(world)
        await world.publish(chain.full(SUBJECTS[:20]))
        await bank.call()
        correction = await wrong_then_corrected(world, chain)
        await world.publish(last := chain.full(SUBJECTS[:30]))
        caught = await bank.call()
        assert (caught.database, caught.level, caught.recalls, caught.editions) == (1, 4, 1, 1)
        assert recalls(world) == {"bank-1": "CONFIRMED"}
        offers = [e.manifest_digest for e in entries(world, "delivery.offered")]
        assert offers[1:] == [correction.digest, last.digest], "the correction first"


async def test_a_suspended_bank_takes_two_recalls_in_one_call(tmp_path: Path) -> None:
    """The first stands open until it has landed; it does not stand before the second."""
    async with city(tmp_path) as world:
        bank = Bank(await world.bank("bank-1"))
        chain = chain_of(world)
        await world.publish(first := chain.full(SUBJECTS[:20]))
        await bank.call()
        await decide(world, bank.home, "suspend")
        await wrong_then_corrected(world, chain)
        await world.publish(chain.correction(first.digest, [named(SUBJECTS[5], "再更正")]))
        assert (await bank.call()).recalls == 2
        rows = read(world.gateway.settings.home, deliveries.list_recalls)
        assert [row["state"] for row in rows] == ["CONFIRMED", "CONFIRMED"]
