"""The log's head beside another process, and when nothing can be signed any more."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

from sqlalchemy import delete, insert
from structlog.testing import capture_logs

from audit.log import HeadStore, Log, log_checkpoints
from gateway.app import Gateway, open_gateway
from gateway.office.founding import Plan, found
from gateway.store.db import open_engine
from tests.world import GATEWAY, OPERATOR, city


def beside(gateway: Gateway) -> Log:
    """The same log as another process has it."""
    settings = gateway.settings
    heads = HeadStore(open_engine(settings.head_store_url), settings.log_origin, settings.log_key())
    return Log(open_engine(settings.database_url), heads, settings.log_origin, settings.log_signer())


def test_two_processes_may_publish_one_head_at_once(tmp_path: Path, database_url: str) -> None:
    """The first to commit publishes it, and the second is content."""
    plan = Plan(GATEWAY, "demo", "127.0.0.1:7443", "")
    if database_url.startswith("postgresql"):
        plan = Plan(GATEWAY, "demo", "127.0.0.1:7443", "", database=database_url)
    with open_gateway(found(tmp_path / "gateway", plan)) as gateway:
        head = gateway.log.sequence()
        assert head is not None
        other, heads = beside(gateway), []
        row = {"size": head.size, "note": head.note}
        with gateway.database.writing() as conn:
            conn.execute(delete(log_checkpoints))  # signed, and published by nobody yet
        publishing = threading.Thread(target=lambda: heads.append(other.sequence()))
        with gateway.database.writing() as conn:
            conn.execute(insert(log_checkpoints).values(row))
            publishing.start()
            publishing.join(0.5)
        publishing.join(10)
        assert heads == [head]


async def test_a_sequencer_that_cannot_go_on_stops_the_gateway(tmp_path: Path) -> None:
    """Whatever the reason: a log that nobody signs must not go on taking exchanges unnoticed."""
    with capture_logs() as logs:
        async with city(tmp_path, bureau=False) as world:
            with sqlite3.connect(tmp_path / "gateway" / "gateway.db") as conn:
                conn.execute(
                    "CREATE TRIGGER full BEFORE INSERT ON log_checkpoints BEGIN SELECT RAISE(ABORT, 'x'); END"
                )
            await world.gateway.door.run(lambda x: x.log("partner.noted", actor=OPERATOR))
            done, _ = await asyncio.wait([world.service.failed], timeout=10)
            assert [type(future.exception()).__name__ for future in done] == ["IntegrityError"]
            with sqlite3.connect(tmp_path / "gateway" / "gateway.db") as conn:
                conn.execute("DROP TRIGGER full")
    assert "alarm.log_stopped" in [line["event"] for line in logs]
