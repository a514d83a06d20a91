"""A table's tree: its cells are those of the rows, and every enterprise proves that it is counted, alone."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest

from audit.lending_tree import LendingTree, SealedTable, commitment, opened_firm, verify_firm
from audit.sum_tree import Lanes
from proto.vectors.make import uscc
from xinyi.errors import Invalid, VerificationError
from xinyi.lending import check_lending_table, find_shortfalls
from xinyi.margins import ADDITIVE, Layout, amounts, value_of
from xinyi.v1 import lending_pb2, records_pb2

DIMENSIONS = ("total", "grade", "guarantee", "rate/300-400-500", "size/GXB300")
Firm = tuple[bytes, bytes, lending_pb2.FirmLending]


def made(number: int, chance: random.Random) -> lending_pb2.FirmLending:
    rows = []
    for place in range(chance.choice((1, 1, 2, 3))):
        loan = lending_pb2.Loan(
            reference=f"L{number}-{place}", product="tax-loan", guarantee=chance.randrange(3), currency="CNY",
            sizes=[lending_pb2.SizeClass(definition="GXB300", size=chance.choice(("small", "micro", "large")))],
            annual_rate_bp=chance.randrange(200, 700),
        )  # fmt: skip
        if chance.random() < 0.8:
            loan.reliance.CopyFrom(
                lending_pb2.Reliance(
                    manifest_digest=b"\1" * 32, blinded_key=b"\2" * 32, commitment=b"\3" * 32,
                    grade=records_pb2.GRADE_A, evaluation_year=2018,
                )
            )  # fmt: skip
        row = lending_pb2.LoanRow(loan=loan)
        if chance.random() < 0.1:
            row.refused = True
        else:
            row.newly_granted, row.granted = True, chance.randrange(1, 10**10)
            row.balance, row.loan_class = chance.randrange(10**10), chance.randrange(1, 6)
        rows.append(row)
    return lending_pb2.FirmLending(
        taxpayer_id=uscc(number), identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, rows=rows
    )


def table_of(
    firms: list[lending_pb2.FirmLending], opened: range
) -> tuple[lending_pb2.LendingTable, list[Firm], LendingTree]:
    chance = random.Random(7)
    leaves = []
    for firm in firms:
        salt = chance.randbytes(32)
        leaves.append((commitment(salt, firm.SerializeToString(deterministic=True)), salt, firm))
    leaves.sort(key=lambda leaf: leaf[0])
    cells = [
        (dimension, value)
        for dimension in DIMENSIONS
        for value in sorted(
            {value_of(dimension)(row) for firm in firms for row in firm.rows if any(amounts(row))}
        )
    ]
    layout = Layout(cells)
    tree = LendingTree(layout, opened)
    for made_, _, firm in leaves:
        tree.add(made_, layout.sums(firm))
    root = tree.root()
    values = Lanes(layout.lanes).unpack(root.sums)
    table = lending_pb2.LendingTable(
        bank="demo-city/bank-1", period=lending_pb2.LendingPeriod(year=2018, month=1, months=3), currency="CNY",
        agreement_id="2018-1", rows=values[0], firms=len(firms), root=root.hash, margins=layout.margins(values),
        issued_by="xinyi://demo-city/bank-1/machine/main", issued_at_ms=1_541_030_400_000,
    )  # fmt: skip
    return table, leaves, tree


def shown(index: int, leaf: Firm, tree: LendingTree) -> lending_pb2.OpenedFirm:
    record = leaf[2].SerializeToString(deterministic=True)
    return opened_firm(index, leaf[1], record, tree.proofs()[index], tree.lanes)


@pytest.fixture(params=[1, 15, 16, 17, 100])
def sealed(request: pytest.FixtureRequest) -> tuple[lending_pb2.LendingTable, list[Firm], LendingTree]:
    chance = random.Random(request.param)
    return table_of([made(number, chance) for number in range(1, request.param + 1)], range(request.param))


def test_a_table_s_cells_are_those_of_its_rows(
    sealed: tuple[lending_pb2.LendingTable, list[Firm], LendingTree],
) -> None:
    table, leaves, _ = sealed
    check_lending_table(table)
    assert find_shortfalls(table) == []
    rows = [row for _, _, firm in leaves for row in firm.rows]
    assert table.rows == len(rows)
    for margin in table.margins:
        for cell in margin.cells:
            inside = [row for row in rows if value_of(margin.dimension)(row) == cell.value]
            wanted = [sum(column) for column in zip(*map(amounts, inside), strict=True)]
            assert [getattr(cell.sums, name) for name in ADDITIVE] == wanted
            firms = sum(
                any(row.newly_granted and value_of(margin.dimension)(row) == cell.value for row in firm.rows)
                for _, _, firm in leaves
            )
            assert cell.sums.firms == firms


def test_every_enterprise_proves_that_it_is_counted_and_where(
    sealed: tuple[lending_pb2.LendingTable, list[Firm], LendingTree],
) -> None:
    table, leaves, tree = sealed
    sealed_table = SealedTable.of(table)
    running = list(accumulate(len(firm.rows) for _, _, firm in leaves))
    for index, leaf in enumerate(leaves):
        verified = verify_firm(sealed_table, shown(index, leaf, tree))
        assert verified.firm == leaf[2]
        assert verified.before[0] == running[index] - len(leaf[2].rows)


def test_whatever_is_changed_is_found(
    sealed: tuple[lending_pb2.LendingTable, list[Firm], LendingTree],
) -> None:
    table, leaves, tree = sealed
    index = len(leaves) // 2
    whole = shown(index, leaves[index], tree)

    def refused(table: lending_pb2.LendingTable, firm: lending_pb2.OpenedFirm) -> None:
        with pytest.raises((VerificationError, Invalid)):
            verify_firm(SealedTable.of(table), firm)

    changed = lending_pb2.OpenedFirm.FromString(whole.SerializeToString())
    record = lending_pb2.FirmLending.FromString(changed.record)
    record.rows[0].loan.branch = "other"
    changed.record = record.SerializeToString(deterministic=True)
    refused(table, changed)
    for cell in range(len(table.margins[0].cells)):
        other = lending_pb2.LendingTable.FromString(table.SerializeToString())
        other.margins[0].cells[cell].sums.granted += 1
        refused(other, whole)
    for place, entry in enumerate(whole.page):
        for lane in range(len(entry.lanes)):
            changed = lending_pb2.OpenedFirm.FromString(whole.SerializeToString())
            changed.page[place].lanes[lane].value += 1
            refused(table, changed)
    for node in range(len(whole.path)):
        changed = lending_pb2.OpenedFirm.FromString(whole.SerializeToString())
        del changed.path[node]
        refused(table, changed)
    for number in {0, index + 1, len(leaves), index + 16} - {index}:
        changed = lending_pb2.OpenedFirm.FromString(whole.SerializeToString())
        changed.index = number
        refused(table, changed)
