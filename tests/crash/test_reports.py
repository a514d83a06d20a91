"""The gateway dies at any durable step of a report: the bank sends it again, and there is one receipt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from adapters.party.home import Home
from audit import envelope
from gateway.app import open_gateway
from gateway.config import Settings
from gateway.office import reporting
from gateway.office.agreements import agreement_id
from gateway.store import tables
from tests.crash.accounts import check_audit
from tests.crash.banks import plan
from tests.crash.city import City
from tests.crash.founding import PULL, home_of
from tests.crash.programs import COUNTING, PATIENCE_S, Point, points, steps_noted
from tests.lending import WAN, Sent, firms_of, submit_table, table_of
from xinyi.days import end_of
from xinyi.errors import Unavailable
from xinyi.lending import last_day
from xinyi.v1 import envelope_pb2, lending_pb2

TERMS = Path(reporting.__file__).with_name("reporting-terms.toml")
AMOUNTS = [300 * WAN, 500 * WAN]


def _owing(city: City) -> Home:
    """The city's bank, whose agreement wants what the shipped example wants."""
    home = Home.open(home_of(city.place, f"xinyi://test-city/{city.banks[0].name}/machine/main"))
    with open_gateway(Settings.load(city.place / "gateway")) as gateway:
        row = reporting.read_terms(TERMS, agreement_id(home.party, "1"))
        gateway.door.run_sync(lambda x: reporting.set_terms(x, row, gateway.holder))
    return home


def _until_answered(bank: Home, sealed: envelope_pb2.Envelope) -> Sent:
    """As a job scheduler does."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return submit_table(bank, sealed, bank.gateway_keyring())
        except Unavailable:
            assert time.monotonic() < deadline, "it was never answered"
            time.sleep(0.2)


def _live(city: City, samples: int) -> None:
    bank = _owing(city)
    dimensions = reporting.values_of(reporting.read_terms(TERMS, "any"))["dimensions"]
    numbers = iter(range(24))

    def report(point: Point) -> tuple[bytes, Sent]:
        number = next(numbers)
        period = lending_pb2.LendingPeriod(year=2018 + number // 4, month=1 + 3 * (number % 4), months=3)
        issued = end_of(last_day(period)) + 1
        table = table_of(bank, firms_of(AMOUNTS), period=period, issued_at_ms=issued, dimensions=dimensions)
        sealed = envelope.seal(table, bank.signer())
        city.account.wait_for_log()
        city.gateway.arm(point)
        sent = _until_answered(bank, sealed)
        assert sent.state == "COUNTED"
        again = _until_answered(bank, sealed)
        assert (again.acknowledgement, again.sealed) == (sent.acknowledgement, sent.sealed)
        return envelope.digest(sealed), sent

    with city:
        told = [report(COUNTING)]
        city.account.wait_for_log()
        where = points(len(steps_noted(city.gateway.notes)), samples)
        told += [report(point) for point in where]
        city.account.wait_for_log()
        assert city.gateway.deaths >= len(where) - 1, "most of these points were never reached"
        expected = [[digest, envelope.digest(sent.sealed)] for digest, sent in told]
        entries = [list(e.documents) for e in city.account.entries() if e.kind == "lending.counted"]
        assert sorted(entries) == sorted(expected)
        with city.account.reading() as conn:
            rows = conn.execute(select(tables.lending_tables.c.document, tables.lending_tables.c.state)).all()
            total = tables.lending_cells.c.dimension == "total"
            granted = conn.scalar(select(func.sum(tables.lending_cells.c.granted)).where(total))
        assert sorted(rows) == sorted((digest, "COUNTED") for digest, _ in told)
        assert granted == sum(AMOUNTS) * len(told)
        check_audit(city.place, deliveries=0)


@pytest.mark.sqlite
def test_the_gateway_may_die_anywhere_in_a_report(tmp_path: Path) -> None:
    """One row, one entry, one receipt, whose bytes are the same before and after."""
    _live(City(tmp_path, [plan("bank-1", PULL, tmp_path)]), samples=8)
