"""A head of this log that it does not have: shown in a call or by an inbox, it ends all signing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.party.home import Home
from audit import checkpoint, envelope, merkle
from audit.checkpoint import Checkpoint
from audit.keys import Keyring
from gateway.app import Gateway
from tests.flows.test_delivery import inbox
from tests.flows.test_health import until
from tests.world import World, city
from xinyi.errors import ExchangeError, HeadConflict, Unavailable
from xinyi.v1 import envelope_pb2, exchange_pb2


def ahead(world: World) -> Checkpoint:
    """A head that was signed before the database and its head store were brought back together."""
    newest = world.gateway.log.sequence()
    assert newest is not None
    return checkpoint.sign(newest.origin, newest.size + 5, bytes(32), world.gateway.settings.log_signer())


def overtaken(world: World) -> Checkpoint:
    """The same, once the restored copy has signed past it."""
    newest = world.gateway.log.sequence()
    assert newest is not None
    return checkpoint.sign(newest.origin, newest.size - 1, bytes(32), world.gateway.settings.log_signer())


def hold(home: Home, head: Checkpoint) -> None:
    """The party verified this head the day before."""
    (home.state / "head").write_bytes(head.note)


async def failure(world: World) -> BaseException:
    with pytest.raises(HeadConflict) as failed:
        await asyncio.wait_for(asyncio.shield(world.service.failed), 30)
    return failed.value


@pytest.mark.parametrize("lost", [ahead, overtaken])
async def test_a_bank_that_holds_a_lost_head_stops_the_gateway(
    tmp_path: Path, lost: Callable[[World], Checkpoint]
) -> None:
    """The bank gets it in writing, both notes are kept, nothing is signed, and no start goes on."""
    async with city(tmp_path) as world:
        bank, other = await world.bank("bank-1"), await world.bank("bank-2")
        shown = lost(world)
        held = world.gateway.log.newest
        hold(bank, shown)
        with capture_logs() as said, pytest.raises(HeadConflict) as refused:
            await world.pull(bank)
        alarm = next(event for event in said if event["event"] == "alarm.head_conflict")
        assert (alarm["shown"].encode(), alarm["held"].encode()) == (shown.note, held and held.note)
        refusal = envelope.open_sealed(
            envelope_pb2.Envelope.FromString(refused.value.sealed),
            exchange_pb2.Refusal,
            Keyring([world.gateway.signer.key]),
        ).message
        assert (refusal.code, refusal.leaf) == ("verification.head", b"")
        await failure(world)
        with pytest.raises(Unavailable):
            await world.pull(other)
        assert world.gateway.log.newest == held
        await until(world, "NOT_SERVING")
        with pytest.raises(HeadConflict):
            Gateway(world.gateway.settings)


async def test_an_inbox_that_holds_a_lost_head_stops_the_gateway(tmp_path: Path, free_port: int) -> None:
    """Pushing is no way around: the bank's head comes back with its answer to the offer."""
    async with city(tmp_path, backoff_s=0.1) as world:
        bank = await world.bank("bank-1", exchange_pb2.CHANNEL_PUSH, f"127.0.0.1:{free_port}")
        await world.publish(world.seal(10))
        hold(bank, ahead(world))
        async with inbox(bank, free_port):
            await failure(world)


async def test_a_proof_that_fails_after_the_commit_refuses_nothing(tmp_path: Path) -> None:
    """Edited tiles: the document was taken, so the answer is "ask again", and no signed refusal stands beside it."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        assert (await world.pull(bank)).unchanged
        shown = bank.head()
        assert shown is not None
        world.gateway.log.sequence()

        def fail(*_: object) -> list[bytes]:
            raise merkle.ProofInvalid("made up")

        world.gateway.reception._prove_consistency = fail  # type: ignore[assignment]
        await world.bank("bank-2")
        world.gateway.log.sequence()
        with pytest.raises(ExchangeError) as failed:
            await world.pull(bank)
        assert isinstance(failed.value, Unavailable)
        assert not failed.value.sealed
