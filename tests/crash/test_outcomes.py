"""The gateway dies at any durable step of an intake of single loans: one receipt, the same counts.

Each batch corrects and repeats rows of the one before it. The first counts the gateway's steps; with each later one it
dies once, at another point. The bank sends the same sealed batch again until it has its receipt.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import select

from adapters.party.home import Home
from gateway.app import open_gateway
from gateway.config import Settings
from gateway.office.agreements import agreement_id
from gateway.office.reporting import set_terms
from gateway.rules.reporting import terms_row
from gateway.store import outcomes as store
from gateway.store import tables
from gateway.store.db import open_engine
from tests import postgres
from tests.crash.city import City
from tests.crash.founding import BankPlan
from tests.crash.programs import COUNTING, PATIENCE_S, Point, points, steps_noted
from tests.lending import WAN
from tests.outcomes import Batch, batch_of, hand_over, outcome
from tests.world import TERMS
from xinyi.errors import Unavailable
from xinyi.v1 import envelope_pb2, lending_pb2

#: Three chunks: enough to be cut between them.
ROWS = 2500


def batch_number(home: Home, number: int) -> Batch:
    """New loans; ten rows of the batch before, as they were, and ten that correct some of its rows."""
    first = number * ROWS
    rows = [outcome(n, outcome_id=f"O{n:09d}") for n in range(first, first + ROWS)]
    if number:
        rows += [outcome(n, outcome_id=f"O{n:09d}") for n in range(first - 10, first)]
        rows += [
            outcome(n, outcome_id=f"P{n:09d}", loan=f"L{n}", corrects=f"O{n:09d}", amount=600 * WAN)
            for n in range(first - 30, first - 20)
        ]
    return batch_of(home, rows, str(number), seed=number)


def persist(home: Home, batch: Batch) -> tuple[envelope_pb2.Envelope, envelope_pb2.Envelope]:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return hand_over(home, batch)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _live(place: Path, database: str, samples: int) -> None:
    city = City(place, [BankPlan("bank-1")], database=database)
    settings = Settings.load(place / "gateway")
    home = Home.open(place / "bank-1")
    with open_gateway(settings) as gateway:
        terms = terms_row(agreement_id(home.party, "1"), TERMS)
        gateway.door.run_sync(lambda x: set_terms(x, terms, gateway.holder))
    with city:
        taken: list[tuple[Batch, envelope_pb2.Envelope]] = []

        def send(point: Point) -> None:
            batch = batch_number(home, len(taken))
            city.gateway.arm(point)
            taken.append((batch, persist(home, batch)[1]))

        send(COUNTING)
        where = points(len(steps_noted(city.gateway.notes)), samples)
        for point in where:
            send(point)
        city.gateway.arm(COUNTING)
        assert city.gateway.deaths >= len(where) // 2, "most of these points were never reached"
        for batch, receipt in taken:
            assert persist(home, batch)[1] == receipt, "another receipt for the same batch"
    check(settings, home.party, taken)


def check(settings: Settings, bank: str, taken: list[tuple[Batch, envelope_pb2.Envelope]]) -> None:
    """Every batch once, as a gateway that never died would have judged it."""
    for number, (_, sealed) in enumerate(taken):
        receipt = lending_pb2.OutcomeReceipt.FromString(sealed.payload)
        told = receipt.counted, receipt.held, receipt.repeated, receipt.conflicts, receipt.refused
        assert told == (ROWS + 10 * bool(number), 0, 10 * bool(number), 0, 0)
    engine = open_engine(settings.database_url)
    with engine.connect() as conn:
        batches = store.batches_of(conn, bank, 1 << 60)
        assert [row["document"] for row in batches] == [batch.digest for batch, _ in taken]
        assert [row["sequence"] for row in batches] == list(range(1, len(taken) + 1))
        for number, row in enumerate(batches):
            last = number == len(taken) - 1
            counted = ROWS + 10 * bool(number) - 10 * (not last)
            found = store.count_states(conn, row, 1 << 60)
            assert found.get(lending_pb2.REPORT_STATE_COUNTED) == counted, (number, found)
        s, a = tables.outcome_sums.c, tables.outcome_acts.c
        query = select(s.granted).join(tables.outcome_acts, a.judgement == s.judgement)
        granted = sum(conn.execute(query).scalars())
        corrected = 10 * (len(taken) - 1)
        assert granted == (ROWS * len(taken) * 500 + corrected * 100) * WAN
        assert conn.execute(select(tables.outcome_intakes.c.document)).first() is None
    engine.dispose()


def test_the_gateway_may_die_anywhere(tmp_path: Path) -> None:
    _live(tmp_path, "", samples=10)


@pytest.mark.postgresql
def test_the_gateway_may_die_anywhere_on_postgresql(
    tmp_path: Path, postgresql_server: postgres.Server, postgresql_url: str
) -> None:
    _live(tmp_path, postgresql_url, samples=5)
