"""A bank's table of a period: what counts, what is held with a question, what is refused, and what was when."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import select

from audit import envelope
from gateway.store import tables
from tests.flows.test_rights import entries
from tests.lending import (
    WAN,
    firms_of,
    list_reports,
    reporting_terms,
    send_table,
    table_of,
)
from tests.world import World, city

#: Mean loan 500 万元.
AMOUNTS = [300 * WAN, 500 * WAN, 700 * WAN]


def rows_of(world: World, table: Any) -> list[dict[str, Any]]:
    with world.gateway.database.reading() as conn:
        return [dict(row) for row in conn.execute(select(table)).mappings()]


async def test_a_table_counts_once_however_often_it_comes(tmp_path: Path, database_url: str) -> None:
    """Signed receipt, log entry with both documents, cells to be added up; the same again: the same bytes."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        identity = await world.report_terms(bank)
        (terms,) = await reporting_terms(bank)
        assert (terms.agreement_id, terms.version, terms.months) == (identity, 1, 3)
        assert list(terms.dimensions) == ["grade", "guarantee", "size/GXB300"]

        sealed = envelope.seal(table_of(bank, firms_of(AMOUNTS)), bank.signer())
        first = await send_table(world, bank, sealed)
        assert (first.state, first.rules) == ("COUNTED", [])
        again = await asyncio.gather(*(send_table(world, bank, sealed) for _ in range(3)))
        assert all(sent.acknowledgement == first.acknowledgement for sent in again)
        assert all(sent.sealed == first.sealed for sent in again)

        (entry,) = entries(world, "lending.counted")
        assert list(entry.documents) == [first.digest, envelope.digest(first.sealed)]
        assert (entry.period.year, entry.period.month, entry.record_count) == (2018, 3, 3)
        assert (entry.actor, entry.counterparty) == (bank.settings.holder, bank.party)
        assert [change.table for change in entry.changes] == ["lending_tables"]
        cells = {(row["dimension"], row["value"]): row for row in rows_of(world, tables.lending_cells)}
        total = cells["total", "all"]
        assert (total["loans"], total["firms"], total["granted"]) == (3, 3, sum(AMOUNTS))
        assert cells["size/GXB300", "small"]["balance"] == sum(AMOUNTS)
        assert await list_reports(bank) == [(first.digest, "COUNTED")]
