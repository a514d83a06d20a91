"""Challenges in the log: what an entry about one says, and that those without an answer stand there by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.exchange import Exchange
from gateway.reception import Reception
from gateway.store import challenges as store
from gateway.store import lending, tables
from xinyi.days import day_of
from xinyi.v1 import edition_pb2


def log_challenge(
    x: Exchange, kind: str, actor: str, table: dict[str, Any], documents: Sequence[bytes], **told: Any
) -> bytes:
    """Args: table — the row of the table that is challenged. Returns the leaf."""
    return x.log(
        kind,
        actor=actor,
        counterparty=table["bank"],
        agreement_id=table["agreement_id"],
        period=edition_pb2.Period(year=table["year"], month=table["month"] + table["months"] - 1),
        documents=documents,
        **told,
    )


async def log_unanswered(reception: Reception) -> None:
    """Once for each challenge, on the day after its due date, whether anybody asks or not.

    A crash in between leaves some OPEN; the next call finds them. Of several gateways that find the same, the second
    does nothing.
    """
    today = day_of(reception.door.now()).isoformat()
    for challenge in await reception.database.read(lambda conn: store.overdue(conn, today)):
        await reception.door.run(lambda x, challenge=challenge: _expire(x, challenge, reception.holder))  # type: ignore[misc]


def _expire(x: Exchange, challenge: bytes, actor: str) -> None:
    row = store.find_challenge(x.conn, challenge)
    assert row is not None  # rows of this table stay
    if row["state"] != "OPEN":
        return
    table = lending.find_table(x.conn, row["lending_table"])
    assert table is not None  # foreign key
    x.replace(tables.challenges, row | {"state": "UNANSWERED", "changed_at_ms": x.now_ms})
    log_challenge(x, "challenge.unanswered", actor, table, [challenge], detail=f"due on {row['due_on']}")
