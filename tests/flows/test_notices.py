"""Whoever was ever admitted reads what changes, sealed by the gateway."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from gateway.office import notices, partners
from tests.flows.test_rights import check_signed, entries
from tests.world import CITY, MAKER, OPERATOR, World, city
from xinyi.channel import errors_restored
from xinyi.errors import NotEntitled
from xinyi.v1 import envelope_pb2, notice_pb2, notice_service_pb2
from xinyi.v1.notice_service_pb2_grpc import NoticeServiceStub


async def announce(world: World, number: str, day: str, replaces: str = "") -> envelope_pb2.Envelope:
    notice = notice_pb2.ChangeNotice(
        number=number,
        kind=notice_pb2.NOTICE_KIND_CONTRACT,
        effective_on=day,
        text_zh="合同版本二开始使用",
        text_en="Version 2 of the contract begins.",
        replaces=replaces,
    )
    return await world.gateway.door.run(
        lambda x: notices.announce(x, notice, 90, world.gateway.signer, OPERATOR)
    )


async def read(home: Home) -> list[notice_pb2.ChangeNotice]:
    """Every notice, opened under the gateway's pinned key."""

    def run() -> list[envelope_pb2.Envelope]:
        with GatewayClient(home) as client, errors_restored():
            return list(
                NoticeServiceStub(client.channel).ListNotices(notice_service_pb2.ListNoticesRequest()).notices
            )

    return [
        envelope.open_sealed(sealed, notice_pb2.ChangeNotice, home.gateway_keyring()).message
        for sealed in await asyncio.to_thread(run)
    ]


async def test_notices_reach_suspended_and_terminated_partners(tmp_path: Path, database_url: str) -> None:
    """By effective date; one that was replaced is not among them; a party nobody admitted reads nothing."""
    async with city(tmp_path, database_url=database_url) as world:
        banks = [await world.bank(f"bank-{n}") for n in range(3)]
        testing = await world.admit(f"xinyi://{CITY}/bank-9/machine/main", "BANK", activate=False)
        for bank, decision in zip(banks[1:], ("suspend", "terminate"), strict=True):
            await world.gateway.door.run(
                lambda x, bank=bank, decision=decision: partners.decide(  # type: ignore[misc]
                    x, bank.party, decision, "test", OPERATOR
                )
            )
        assert not await read(banks[0])
        await announce(world, "1", "2098-01-01")
        await announce(world, "2", "2097-01-01")
        sealed = await announce(world, "3", "2099-01-01", replaces="1")
        for home in (*banks, testing, world.homes[MAKER]):
            found = await read(home)
            assert [(notice.number, notice.replaces) for notice in found] == [("2", ""), ("3", "1")]
        last = entries(world, "notice.announced")[-1]
        assert list(last.documents) == [envelope.digest(sealed)]
        assert [change.key for change in last.changes] == ['{"number":"1"}', '{"number":"3"}']

        stranger = banks[0]
        with world.gateway.database.writing() as conn:
            # A certificate outlives what the database says of its party.
            conn.exec_driver_sql(f"UPDATE parties SET state = 'GONE' WHERE party = '{stranger.party}'")
        with pytest.raises(NotEntitled) as refused:
            await read(stranger)
        check_signed(world, refused.value)
