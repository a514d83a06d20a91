"""A bank dies at any durable step of fetch, land, confirm or inbox, and is started again.

A city with several banks of one channel. In the first month nobody dies, which tells how many steps each
program has; in each later one every bank dies once in each program, every time at another point.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count, takewhile
from pathlib import Path

import pytest

from tests.crash.banks import Bank, plan
from tests.crash.city import City
from tests.crash.founding import FOLDER, PULL, PUSH
from tests.crash.programs import COUNTING, points

BANKS = 4
#: Banks at work at one time.
TOGETHER = 3
#: Points tried in each program.
SAMPLES = 8


@pytest.mark.parametrize("channel", [PULL, FOLDER, PUSH], ids=["pull", "folder", "push"])
def test_a_bank_may_die_anywhere(tmp_path: Path, channel: int) -> None:
    """Every edition is landed once and receipted once, whichever program died where."""
    plans = [plan(f"bank-{n}", channel, tmp_path) for n in range(1, BANKS + 1)]
    with City(tmp_path, plans) as city, ExitStack() as stack:
        banks = [Bank(city, plan) for plan in plans]
        for bank in banks:
            if bank.inbox is not None:
                stack.enter_context(bank.inbox)
            bank.arm(COUNTING)
        workers = stack.enter_context(ThreadPoolExecutor(TOGETHER))
        edition = city.publish()
        for bank in banks:
            bank.wait_for(edition)
        steps = next(iter(workers.map(Bank.count, banks)))
        places = [points(number, SAMPLES) for number in steps]
        planned = deaths = 0
        for month in takewhile(lambda m: m * BANKS < max(map(len, places)), count()):
            rota = [[p[(month * BANKS + n) % len(p)] for p in places] for n in range(BANKS)]
            for bank, where in zip(banks, rota, strict=True):
                bank.arm(where[0])
            edition = city.publish()
            for bank in banks:
                bank.wait_for(edition)
            deaths += sum(workers.map(Bank.die, banks, [where[-len(banks[0].jobs) :] for where in rota]))
            planned += BANKS * len(banks[0].jobs)
            for bank in banks:
                bank.check(edition)
        assert deaths > planned / 2, "most of these points were never reached"
        assert all(bank.inbox.deaths for bank in banks if bank.inbox is not None)
        city.check(delivered=city.editions)
