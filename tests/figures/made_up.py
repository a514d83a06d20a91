"""A version as a bureau gets it: the golden quarter, and one in which little is left to tell."""

from __future__ import annotations

from collections.abc import Iterable

from adapters.figures.fetching import Fetched
from gateway.rules.statistics import BANK, GRADE, GRADE_PAIR, TRUE_GRADE, Figures, Sums, pair, publish
from tests.lending import WAN, firms_of
from tests.quarter import DIMENSIONS, quarter
from xinyi.margins import ALL, TOTAL, Layout, amounts, value_of
from xinyi.v1 import lending_pb2

HOSTILE = "<script>document.title='taken'</script>\"'&amp;<img src=x onerror=alert(1)>"


def sums_of(
    firms: Iterable[lending_pb2.FirmLending], dimensions: Iterable[str]
) -> dict[str, dict[str, Sums]]:
    firms = list(firms)
    cells = [
        (dimension, value)
        for dimension in (TOTAL, *dimensions)
        for value in sorted({value_of(dimension)(r) for f in firms for r in f.rows if any(amounts(r))})
    ]
    layout = Layout(cells)
    lanes = [0] * layout.lanes
    for firm in firms:
        for lane, value in layout.sums(firm).items():
            lanes[lane] += value
    found: dict[str, dict[str, Sums]] = {}
    for margin in layout.margins(lanes):
        found[margin.dimension] = {cell.value: cell.sums for cell in margin.cells}
    return found


def golden(audience: lending_pb2.Audience = lending_pb2.AUDIENCE_BUREAU) -> Fetched:
    """The first quarter of 2018, version 2; rows with consent of which one relied on a grade that was taken back."""
    banks = quarter()
    # One that lent to one enterprise.
    banks["bank-13"] = firms_of([100 * WAN])
    everyone = [firm for firms in banks.values() for firm in firms]
    # The rows of the golden quarter rely on no grade: here some do, so that there is something to see.
    for number, firm in enumerate(everyone):
        if number % 3:
            for row in firm.rows:
                row.loan.reliance.grade = (1, 1, 1, 2, 3)[number % 5]  # type: ignore[assignment]
    by_bank = {f"test-city/{name}": sums_of(firms, ())[TOTAL][ALL] for name, firms in banks.items()}
    whole = sums_of(everyone, DIMENSIONS)
    consented = {
        "disbursed": {
            GRADE: {"A": Sums(loans=40, firms=38, granted=9_000_000_000)},
            TRUE_GRADE: {
                "A": Sums(loans=31, firms=29, granted=7_000_000_000),
                "withdrawn": Sums(loans=9, firms=9, granted=2_000_000_000),
            },
            GRADE_PAIR: {
                pair("A", "A"): Sums(loans=31, firms=29, granted=7_000_000_000),
                pair("A", "withdrawn"): Sums(loans=9, firms=9, granted=2_000_000_000),
            },
        }
    }
    bureau = audience == lending_pb2.AUDIENCE_BUREAU
    statistics = lending_pb2.Statistics(
        period=lending_pb2.LendingPeriod(year=2018, month=1, months=3),
        currency="CNY",
        audience=audience,
        version=2,
        counted_until_ms=1_524_000_000_000,
        definitions="lending-statistics/1",
        tables=[lending_pb2.CountedTable(bank=name, table=b"\7" * 32, recorded_at_ms=1) for name in by_bank]
        if bureau
        else [],
        missing=["test-city/bank-14"] if bureau else [],
        banks=len(by_bank),
        margins=publish(Figures(whole, by_bank, consented), audience),
        predecessor=b"\3" * 32,
        restatement="迟报 late: test-city/bank-12",
    )
    assert (BANK in {margin.dimension for margin in statistics.margins}) is bureau
    return Fetched(statistics, b"\5" * 32, 17, 42)
