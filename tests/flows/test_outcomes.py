"""Single loans with consent: what is counted, held, a copy or refused, and what was on a day."""

from __future__ import annotations

from pathlib import Path

from tests.outcomes import outcome, send_outcomes, standing
from tests.world import city


async def test_first(tmp_path: Path, database_url: str) -> None:
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-c")
        await world.report_terms(bank)
        sent = await send_outcomes(world, bank, [outcome(n) for n in range(1500)])
        assert sent.counts == (1500, 0, 0, 0, 0)
        again = await send_outcomes(world, bank, [outcome(n) for n in range(1500)])
        assert again.sealed == sent.sealed
        replayed = [outcome(n) for n in range(39)] + [outcome(39, amount=600_000_000)]
        third = await send_outcomes(world, bank, replayed, "2")
        assert third.counts == (0, 0, 39, 1, 0)
        assert all(f.first == sent.digest for f in third.receipt.findings)
        assert len(await standing(bank)) == 1500
