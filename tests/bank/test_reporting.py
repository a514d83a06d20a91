"""A bank's report: from its rows to a sealed table whose cells and root are those of the rows, sent and receipted."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from adapters.bank.client import BankClient
from adapters.bank.lending.client import COUNTED, HELD, LendingClient, open_receipt
from adapters.bank.lending.kept import KeptTable, KeptTables
from adapters.bank.lending.reading import LoanLine
from adapters.bank.lending.reporting import Order, check_over, choose_terms, make, prove, send
from adapters.party.home import Home
from audit.envelope import seal
from audit.keys import Keyring
from audit.lending_tree import LendingTree, commitment
from tests.bank.reports import Given, loan_lines
from tests.world import city
from xinyi.errors import (
    Conflict,
    DigestMismatch,
    EncodingInvalid,
    Invalid,
    NotEntitled,
    SignatureInvalid,
    Unavailable,
    Unknown,
    UsageInvalid,
)
from xinyi.lending import MAX_CELLS, find_shortfalls, parse_period
from xinyi.margins import ADDITIVE, Layout, amounts, value_of
from xinyi.v1 import lending_pb2
from xinyi.v1.lending_service_pb2 import ReportingTerms

Q1 = parse_period("2018-Q1")
TERMS = ReportingTerms(
    agreement_id="2018-1", version=1, currency="CNY", months=3,
    dimensions=[
        "district", "first-time", "grade", "guarantee", "industry", "rate/435-600", "size/GXB300", "true-grade",
    ],
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Home:
    holder = "xinyi://test-city/bank-1/machine/main"
    return Home.create(tmp_path / "bank-1", holder, "127.0.0.1:1", "test-city/gateway")


def sealed(home: Home, order: Order, rows: Given) -> KeptTable:
    tables = KeptTables(home)
    with tables.lock(), tables.making() as place:
        return tables.keep(place, make(place, home, order, rows), home.signer())


def leaves(kept: KeptTable) -> list[tuple[int, bytes, bytes, bytes]]:
    with closing(sqlite3.connect(kept.path / "rows.db")) as db:
        return db.execute("SELECT number, commitment, salt, record FROM leaves ORDER BY number").fetchall()


def counted(rows: Sequence[LoanLine], dimension: str) -> dict[str, list[int]]:
    """value → additive sums, the plain way."""
    cells: dict[str, list[int]] = {}
    for line in rows:
        if any(amounts(line.row)):
            cell = cells.setdefault(value_of(dimension)(line.row), [0] * len(ADDITIVE))
            cell[:] = [a + b for a, b in zip(cell, amounts(line.row), strict=True)]
    return cells


def test_the_cells_are_those_of_the_rows(home: Home) -> None:
    rows = loan_lines(2_000)
    table = sealed(home, Order(TERMS, Q1), Given(rows)).message
    assert table.rows == 2_000
    assert table.firms == len({line.taxpayer_id for line in rows})
    assert [margin.dimension for margin in table.margins] == ["total", *TERMS.dimensions]
    assert find_shortfalls(table) == []
    for margin in table.margins:
        told = {cell.value: [getattr(cell.sums, name) for name in ADDITIVE] for cell in margin.cells}
        assert told == counted(rows, margin.dimension)
        for cell in margin.cells:
            value = value_of(margin.dimension)
            granted = {
                line.taxpayer_id for line in rows if line.row.newly_granted and value(line.row) == cell.value
            }
            assert cell.sums.firms == len(granted)


@pytest.mark.parametrize("count", [1, 700, pytest.param(15_000, id="on all cores")])
def test_what_is_kept_makes_the_sealed_root_again(home: Home, count: int) -> None:
    """The leaves of rows.db, in their order, are what an auditor's challenge opens."""
    kept = sealed(home, Order(TERMS, Q1), Given(loan_lines(count, firms=count * 2)))
    layout = Layout.of(kept.message)
    tree = LendingTree(layout)
    found = leaves(kept)
    assert [number for number, *_ in found] == list(range(kept.message.firms))
    assert [made for _, made, _, _ in found] == sorted(made for _, made, _, _ in found)
    assert len({salt for _, _, salt, _ in found}) == len(found)
    for _, made, salt, record in found:
        assert made == commitment(salt, record)
        firm = lending_pb2.FirmLending.FromString(record)
        assert firm.SerializeToString(deterministic=True) == record
        tree.add(made, layout.sums(firm))
    assert tree.root().hash == kept.message.root
    assert not (kept.path / "staging.db").exists()
    assert not (kept.path.parent / ".making").exists()
    assert kept.path.stat().st_mode & 0o077 == 0


def test_a_loan_counts_once(home: Home) -> None:
    """The same row again is left out; where two rows of a loan differ none is right; another currency is no part."""
    rows = loan_lines(40)
    again = dataclasses.replace(rows[3], line=100)
    differing = lending_pb2.LoanRow.FromString(rows[7].row.SerializeToString())
    differing.loan.industry = "A"
    other = dataclasses.replace(rows[7], line=101, row=differing)
    taken = dataclasses.replace(rows[11], line=102, taxpayer_id=rows[12].taxpayer_id)
    foreign = lending_pb2.LoanRow.FromString(rows[20].row.SerializeToString())
    foreign.loan.currency, foreign.loan.reference = "USD", "U-1"
    given = Given([*rows, again, other, taken, dataclasses.replace(rows[20], line=103, row=foreign)])
    assert rows[11].taxpayer_id != rows[12].taxpayer_id
    table = sealed(home, Order(TERMS, Q1), given).message
    repeated = [(line, "row.repeated") for line in sorted([rows[7].line, rows[11].line, 100, 101, 102])]
    assert given.left_out == [*repeated, (103, "row.currency")]
    assert table.rows == 38
    left = [line for line in rows if line not in (rows[7], rows[11])]
    assert counted(left, "total")["all"] == [getattr(table.margins[0].cells[0].sums, name) for name in ADDITIVE]
    assert {count.rule: count.rows for count in table.rules} == {"row.currency": 1, "row.repeated": 5}


def test_the_order_of_the_rows_is_no_matter(home: Home) -> None:
    rows = loan_lines(300)
    shuffled = list(rows)
    random.Random(3).shuffle(shuffled)
    one = sealed(home, Order(TERMS, Q1), Given(rows)).message
    other = sealed(home, Order(TERMS, Q1), Given(shuffled)).message
    assert list(one.margins) == list(other.margins)
    assert one.root != other.root, "salts are drawn anew"


def test_nothing_lent_is_a_table_and_rows_that_tell_nothing_are_none(home: Home) -> None:
    table = sealed(home, Order(TERMS, Q1), Given([])).message
    assert (table.rows, table.firms, table.root, list(table.margins)) == (0, 0, b"", [])
    row = lending_pb2.LoanRow(loan=loan_lines(1)[0].row.loan)
    with pytest.raises(Invalid, match="is the profile the right one"):
        sealed(home, Order(TERMS, Q1), Given([dataclasses.replace(loan_lines(1)[0], row=row)]))


def test_more_values_than_a_table_has_cells_are_told_by_what_is_wrong(home: Home) -> None:
    """Before a row is put in order: a column of names was mapped to a field that has few values."""
    lines = loan_lines(MAX_CELLS)
    for number, line in enumerate(lines):
        line.row.loan.product = f"p-{number}"
    order = Order(ReportingTerms(dimensions=["product"], currency="CNY", months=3, agreement_id="1"), Q1)
    with pytest.raises(Invalid, match="column of names"):
        sealed(home, order, Given(lines))


def test_what_is_asked_for_is_checked_before_a_row_is_read() -> None:
    other = ReportingTerms(agreement_id="2018-2", months=3)
    assert choose_terms([TERMS], Q1) == TERMS
    assert choose_terms([TERMS, other], Q1, "2018-2") == other
    with pytest.raises(UsageInvalid, match="2018-1, 2018-2"):
        choose_terms([TERMS, other], Q1)
    with pytest.raises(UsageInvalid, match="another length"):
        choose_terms([TERMS], parse_period("2018-03"))
    with pytest.raises(NotEntitled):
        choose_terms([], Q1)
    with pytest.raises(Invalid, match="not over"):
        check_over(parse_period("2099"))


def test_a_receipt_is_the_gateway_s_about_this_table_and_says_what_became_of_it(home: Home, tmp_path: Path) -> None:
    holder = "xinyi://test-city/gateway/machine/main"
    gateway = Home.create(tmp_path / "gateway", holder, "127.0.0.1:1", "test-city/gateway")
    trusted, table = Keyring([gateway.signer().key]), b"\7" * 32

    def receipt(
        *questions: lending_pb2.Question, about: bytes = table, state: int = COUNTED, by: Home = gateway
    ) -> bytes:
        told = lending_pb2.TableReceipt(table=about, state=state, questions=questions)  # type: ignore[arg-type]
        return open_receipt(seal(told, by.signer()), table, trusted).digest

    question = lending_pb2.Question(rule="lending.sums")
    assert receipt() != receipt(question, state=HELD)
    with pytest.raises(SignatureInvalid):
        receipt(by=home)
    with pytest.raises(DigestMismatch):
        receipt(about=b"\6" * 32)
    for state, questions in ((HELD, ()), (COUNTED, (question,)), (lending_pb2.REPORT_STATE_REFUSED, ())):
        with pytest.raises(EncodingInvalid):
            receipt(*questions, state=state)


def test_one_report_at_a_time(home: Home) -> None:
    with KeptTables(home).lock(), pytest.raises(Unavailable), KeptTables(home).lock():
        pass


async def test_a_table_is_receipted_once(tmp_path: Path, database_url: str) -> None:
    """Sent again after its answer was lost: the same answer. Another one of the period is refused, and not sent again;
    one that corrects takes its place."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        tables, rows = KeptTables(bank), Given(loan_lines(200))

        def report() -> None:
            with BankClient(bank) as client:
                way = LendingClient(client)
                order = Order(choose_terms(way.terms(), Q1), Q1)
                assert list(order.terms.dimensions) == ["grade", "guarantee", "size/GXB300"]
                kept = sealed(bank, order, rows)
                way.submit_table(kept.sealed)  # the answer is lost
                found = tables.find(order.draft(bank), rows.source())
                assert found is not None
                assert (found.digest, found.receipt) == (kept.digest, None)
                receipt = send(found, way)
                assert receipt is not None
                assert receipt.state == lending_pb2.REPORT_STATE_COUNTED
                assert found.receipt == receipt
                assert prove(found, way, wait_s=20) == found.log_index is not None
                assert tables.unproven() == []

                other = Given(loan_lines(200, seed=2), "late.csv")
                second = sealed(bank, order, other)
                with pytest.raises(Conflict, match=kept.path.name):
                    send(second, way)
                assert tables.find(order.draft(bank), other.source()) is None
                assert not (second.path / "rows.db").exists()

                # What it corrects is not here yet: it waits, with its rows.
                early = sealed(bank, Order(order.terms, Q1, b"\7" * 32, "sent too early"), other)
                with pytest.raises(Unknown, match="send that one first"):
                    send(early, way)
                assert (early.refused, (early.path / "rows.db").exists()) == (False, True)

                correcting = Order(order.terms, Q1, kept.digest, "a branch was missing")
                third = sealed(bank, correcting, other)
                assert send(third, way) is not None
                stands = {status.table.payload: status.state for status in way.reports(Q1, "").tables}
                assert stands == {
                    kept.sealed.payload: lending_pb2.REPORT_STATE_CORRECTED,
                    third.sealed.payload: lending_pb2.REPORT_STATE_COUNTED,
                }

        await asyncio.to_thread(report)
