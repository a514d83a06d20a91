"""S4: twelve banks report the first quarter of 2018 from their own files, and things go wrong as they do.

Bank C's job runs twice and one of its loans differs, bank D's amounts are in 万元, bank E comes late. The
figures of the city are those that were published, to the fen.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.figures import fetching
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from examples import lending
from gateway import statistics
from tests.flows.test_rights import entries
from tests.lending import Q1, WAN
from tests.outcomes import list_outcomes, outcome, send_outcomes, word
from tests.programs import ok
from tests.world import MAKER, World, city
from xinyi.figures import Lent, in_yi, margins_of, shown, small_micro
from xinyi.margins import ALL, TOTAL
from xinyi.v1 import lending_pb2

pytestmark = pytest.mark.processes

C, D, E = 3, 4, 5
#: Of each loan with consent: together they stay within what their bank's table says by guarantee.
LOAN = 100 * WAN
DIMENSIONS = [
    "district", "first-time", "grade", "guarantee", "industry", "product", "rate/435-600", "size/GXB300", "true-grade",
]  # fmt: skip


async def report(bank: Home, file: Path, *more: object) -> tuple[str, str]:
    """Document and state of a bank's table."""
    command = (
        "report",
        file,
        "--period",
        "2018-Q1",
        "--profile",
        "loans",
        "--yes",
        "--json",
        "--home",
        bank.path,
    )
    sent = (await ok("xinyi-bank", *command, *more)).json
    return sent["document"], sent["state"]


async def figures(world: World, version: int) -> lending_pb2.Statistics:
    """As the bureau fetches them."""

    def work() -> lending_pb2.Statistics:
        with GatewayClient(world.homes[MAKER]) as client:
            return fetching.fetch(client, fetching.list_versions(client, Q1)[version - 1]).statistics

    return await asyncio.to_thread(work)


async def test_the_quarter_as_it_was_published(tmp_path: Path) -> None:
    async with city(tmp_path) as world:
        banks = {n: await world.bank(f"bank-{n:02d}") for n in range(1, lending.BANKS + 1)}
        files = {n: tmp_path / f"loans-{n:02d}.csv" for n in banks}
        for n, bank in banks.items():
            await world.report_terms(bank, dimensions=DIMENSIONS)
            lending.write(files[n], lending.loans(n, Q1))
            if n not in (D, E):
                assert (await report(bank, files[n]))[1] == "counted"

        # D: ten thousand times too small is asked about, and the right table takes its place.
        mixed = tmp_path / "loans-wan.csv"
        lending.write(mixed, [row.in_wan() for row in lending.loans(D, Q1)])
        held, state = await report(banks[D], mixed)
        assert state == "held"
        assert (await report(banks[D], files[D], "--corrects", held, "--reason", "amounts were in 万元"))[
            1
        ] == "counted"
        (asked,) = entries(world, "lending.held")
        assert "lending.plausible_amount" in asked.detail

        # C: 40 single loans with consent again, one of them with another amount.
        loans = [outcome(n, amount=LOAN) for n in range(1, 41)]
        first = await send_outcomes(world, banks[C], loans)
        assert first.counts == (40, 0, 0, 0, 0)
        again = await send_outcomes(
            world, banks[C], [*loans[:39], outcome(40, amount=LOAN - WAN)], "2", seed=8
        )
        assert again.counts == (0, 0, 39, 1, 0)
        assert {finding.first for finding in again.receipt.findings} == {first.digest}
        assert [word(f.state) for f in again.receipt.findings].count("CONFLICT") == 1
        assert await amounts(banks[C]) == [row.amount for row in loans], "the old value stands"
        mended = outcome(40, outcome_id="O000040-2", amount=LOAN - WAN, corrects="O000040")
        assert (await send_outcomes(world, banks[C], [mended], "3")).counts == (1, 0, 0, 0, 0)
        assert sum(await amounts(banks[C])) == sum(row.amount for row in loans) - WAN

        # Version 1 is without E; version 2 says why, and version 1 comes to the same bytes for ever.
        made = (await statistics.run(world.gateway.reception, Q1, "CNY", None)).made
        assert list(made[0].missing) == [banks[E].party]
        before = await figures(world, 1)
        assert (await report(banks[E], files[E]))[1] == "counted"
        await statistics.run(world.gateway.reception, Q1, "CNY", None)
        assert await figures(world, 1) == before
        with world.gateway.database.reading() as conn:
            kept = entries(world, "statistics.run")[0].documents[0]
            assert statistics.rerun(conn, kept) == before
        told = await figures(world, 2)
        assert told.restatement == f"迟报 late: {banks[E].party}"
        rows = [row for n in banks if n != E for row in lending.loans(n, Q1) if row.counts(Q1)]
        assert granted(before) == sum(row.granted for row in rows)
        check_published(told)


def check_published(told: lending_pb2.Statistics) -> None:
    """The city's first quarter of 2018, and no cell with fewer than three enterprises."""
    total = margins_of(told)[TOTAL][ALL]
    assert (shown(total, "loans"), in_yi(granted(told))) == (1160, Decimal("126.23"))
    (size,) = small_micro(told)
    whole, small, others = size.whole, size.small, size.others
    assert isinstance(whole, Lent)
    assert isinstance(small, Lent)
    assert isinstance(others, Lent)
    assert (small.loans, in_yi(small.granted)) == (782, Decimal("29.17"))
    assert (size.share_of_loans, size.share_of_amount) == (Decimal("67.41"), Decimal("23.11"))
    assert (whole.mean, small.mean) == (Decimal("1088.19"), Decimal("373.02"))
    assert (others.loans, in_yi(others.granted)) == (378, Decimal("97.06"))
    suppressed = 0
    for margin in told.margins:
        for cell in margin.cells:
            hidden = set(cell.suppressed)
            suppressed += len(hidden)
            assert lending_pb2.SUM_GROUP_BAD in hidden or cell.sums.bad_firms not in (1, 2)
            assert lending_pb2.SUM_GROUP_REFUSED in hidden or cell.sums.refused_firms not in (1, 2)
            assert lending_pb2.SUM_GROUP_GRANTED in hidden or cell.sums.firms not in (1, 2)
    assert suppressed, "these figures have small cells"


def granted(told: lending_pb2.Statistics) -> int:
    found = shown(margins_of(told)[TOTAL][ALL], "granted")
    assert found is not None
    return found


async def amounts(bank: Home) -> list[int]:
    """Of the outcomes that count."""
    counted = await list_outcomes(bank, state=lending_pb2.REPORT_STATE_COUNTED)
    return [lending_pb2.LendingOutcome.FromString(one.outcome.record).amount for one in counted]
