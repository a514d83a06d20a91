"""A bank's report of single loans dies at any durable step, and is started again: one batch, one receipt, every loan
counted once and to the fen."""

from __future__ import annotations

import asyncio
from pathlib import Path

from adapters.bank.lending.batch import KeptBatches
from tests.bank.lending.loan_files import event, write_csv
from tests.crash.programs import Job, points
from tests.outcomes import list_outcomes, word
from tests.world import city
from xinyi.v1 import lending_pb2

#: Events in each file: three chunks.
ROWS = 2100
SAMPLES = 8


async def test_a_report_of_loans_may_die_anywhere(tmp_path: Path) -> None:
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)

        def job(number: int) -> Job:
            """Of a file of its own."""
            first = number * ROWS
            file = write_csv(tmp_path / f"{number}.csv", [event(n) for n in range(first, first + ROWS)])
            order = (file, "--profile", "loan-events", "--number", f"run-{number}", "--yes")
            return Job(bank.path, "xinyi-bank", "report-loans", order)

        steps = await asyncio.to_thread(job(0).count)
        places = points(steps, SAMPLES)
        deaths = 0
        for number, point in enumerate(places, 1):
            run = job(number)
            deaths += await asyncio.to_thread(run.die, point)
            await asyncio.to_thread(run.finish)
        assert deaths > len(places) / 2, "most of these points were never reached"

        kept = KeptBatches(bank).all()
        assert sorted(batch.message.number for batch in kept) == sorted(f"run-{n}" for n in range(len(places) + 1))
        for batch in kept:
            receipt = batch.receipt
            assert receipt is not None
            assert (receipt.counted, batch.message.count) == (ROWS, ROWS)
        told = [
            (lending_pb2.LendingOutcome.FromString(status.outcome.record), word(status.state))
            for status in await list_outcomes(bank)
        ]
        assert len(told) == len({outcome.outcome_id for outcome, _ in told}) == ROWS * (len(places) + 1)
        assert {state for _, state in told} == {"COUNTED"}
        assert sum(outcome.amount for outcome, _ in told) == len(told) * 50_000_000
