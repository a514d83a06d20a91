"""A bank's loan file: every row ends under a rule, every amount is exact, everything interpreted is named."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.bank.lending.lines import LoanLines
from adapters.bank.lending.profile import PROFILES
from adapters.bank.lending.reading import LoanLine, Relied, open_loans
from adapters.bank.lending.rules import RULES
from adapters.tables.rules import outcome_word
from proto.vectors.make import old_number, uscc
from tests.bank.lending.loan_files import loan, write_csv, write_sqlite, write_xlsx
from xinyi.errors import Invalid, UsageInvalid
from xinyi.lending import check_loan_row, parse_period
from xinyi.v1 import lending_pb2, records_pb2

Q1 = parse_period("2018-Q1")


class NoEditions:
    """A bank that holds none."""

    def find(self, asked: Sequence[tuple[str, str]]) -> list[Relied]:
        return [Relied("reliance.none")] * len(asked)


def read(source: str, profile: str = "loans", kept: Path | None = None, **how: str) -> tuple[list[LoanLine], dict]:
    with open_loans(source, profile, kept=kept, **how) as file:
        lines = list(LoanLines(file, Q1, NoEditions()))
        return lines, file.tally.report()


def rules_of(report: dict) -> dict[str, int]:
    return {rule["rule"]: rule["rows"] for rule in report["rules"]}


def test_the_same_loans_from_every_kind_of_source(tmp_path: Path) -> None:
    """UTF-8, GB18030, a workbook and a database table give the same rows, every field as it should be."""
    rows = [loan(n) for n in range(1, 40)]
    sources = [
        (str(write_csv(tmp_path / "utf8.csv", rows)), {}),
        (str(write_csv(tmp_path / "gb.csv", rows, "gb18030")), {"encoding": "gb18030"}),
        (str(write_xlsx(tmp_path / "book.xlsx", rows)), {}),
        (write_sqlite(tmp_path / "bank.db", rows), {"table": "loans"}),
    ]
    found = []
    for source, how in sources:
        lines, report = read(source, **how)
        assert report["outcomes"]["accepted"] == report["rows"] == 39
        found.append({line.row.loan.reference: (line.taxpayer_id, line.identifier_kind, line.row) for line in lines})
    assert found[0] == found[1] == found[2] == found[3]
    _, report = read(sources[1][0])
    assert {(one["field"], one["rows"]) for one in report["readings"]} >= {("file", 39)}, "an encoding that is guessed"
    identifier, kind, row = found[0]["L-000007"]
    assert (identifier, kind) == (uscc(7), records_pb2.IDENTIFIER_KIND_USCC)
    check_loan_row(row)
    assert row == lending_pb2.LoanRow(
        loan=lending_pb2.Loan(
            reference="L-000007", product="tax-credit-loan", guarantee=lending_pb2.GUARANTEE_CREDIT,
            sizes=[
                lending_pb2.SizeClass(definition="GXB300", size="small"),
                lending_pb2.SizeClass(definition="INCLUSIVE", size="inclusive"),
            ],
            industry="C", district="990102", first_time=lending_pb2.FIRST_TIME_YES, annual_rate_bp=435,
            term_months=12, currency="CNY", branch="0101",
        ),
        newly_granted=True, granted=100_000_000, balance=90_000_050, loan_class=lending_pb2.LOAN_CLASS_NORMAL,
    )  # fmt: skip


REFUSED = {"放款日期": "", "放款金额": "", "贷款余额": "", "五级分类": ""}
#: What is wrong with a row → the rule it ends under, and the outcome.
BROKEN = [
    ({"放款金额": "12.345"}, "amount.parts", "rejected"),
    ({"放款金额": "一百万"}, "amount.form", "rejected"),
    ({"放款金额": "-5"}, "amount.form", "rejected"),
    ({"放款金额": ""}, "amount.missing", "rejected"),
    ({"放款金额": "1e6"}, "amount.form", "rejected"),
    ({"统一社会信用代码": uscc(1)[:-1] + "0"}, "id.uscc_check", "rejected"),
    ({"统一社会信用代码": "9.9E+17"}, "id.spreadsheet_number", "rejected"),
    ({"统一社会信用代码": "110101199003077396"}, "person.identifier", "withheld"),
    ({"统一社会信用代码": old_number(5)}, "id.old_number", "warned"),
    ({"统一社会信用代码": f" {uscc(3).lower()}"}, "id.normalised", "warned"),
    ({"借据编号": uscc(4)}, "loan.reference", "rejected"),
    ({"产品": "别的"}, "loan.product", "rejected"),
    ({"担保方式": "别的"}, "loan.guarantee", "rejected"),
    ({"企业规模": "巨型"}, "loan.sizes", "rejected"),
    ({"行业门类": "Z"}, "loan.industry", "rejected"),
    ({"年利率": "4.355"}, "loan.rate", "rejected"),
    ({"期限": "1.5"}, "loan.term", "rejected"),
    ({"放款日期": "2018-02-30"}, "date.form", "rejected"),
    ({"五级分类": ""}, "row.loan_class", "rejected"),
    ({"拒贷日期": "2018-03-01"}, "row.refused", "rejected"),
    ({"放款金额": "0"}, "row.granted", "rejected"),
    ({"放款日期": "2017-02-03", "贷款余额": "0"}, "row.nothing", "warned"),
    ({"放款日期": "2018-04-01"}, "row.after_period", "rejected"),
    ({**REFUSED, "拒贷日期": "2018-04-01"}, "row.after_period", "rejected"),
    ({**REFUSED, "拒贷日期": "2017-12-31"}, "row.nothing", "warned"),
    ({"放款日期": ""}, "row.granted_on", "rejected"),
    ({"放款日期": "", "放款金额": "0"}, "row.granted_on", "rejected"),
    ({"放款日期": "", "贷款余额": "0", "拒贷日期": "2017-12-31"}, "row.granted_on", "rejected"),
    ({"纳税信用级别": "A级"}, "grade.unproven", "warned"),
]  # fmt: skip


def test_every_row_ends_under_its_rule(tmp_path: Path) -> None:
    """Each broken row under the one rule it breaks; what is not reported is kept with its cells, but of a person a
    mask alone."""
    rows = [loan(n, **cells) for n, (cells, _, _) in enumerate(BROKEN, 1)]
    source = write_csv(tmp_path / "loans.csv", rows)
    with source.open("a", newline="") as file:
        file.write("one cell too few\r\n\r\n")
    kept = tmp_path / "lending" / "kept.csv"
    lines, report = read(str(source), kept=kept)
    found = rules_of(report)
    # Without editions every row whose cells hold relies on none: that is counted, and no fault.
    across = {"amount.missing", "row.loan_class", "row.refused", "row.granted", "row.granted_on"}
    looked_for = sum(out == "warned" or rule in across for _, rule, out in BROKEN)
    assert found.pop("reliance.none") + found.pop("reliance.day") == looked_for
    assert found == Counter([rule for _, rule, _ in BROKEN] + ["row.columns"])
    assert all(outcome_word(RULES[rule].outcome) == outcome for _, rule, outcome in BROKEN)
    outcomes = [outcome for _, _, outcome in BROKEN]
    assert report["rows"] == len(BROKEN) + 1 == sum(report["outcomes"].values())
    assert report["outcomes"] == {
        "accepted": 0, "warned": outcomes.count("warned"), "quarantined": 0,
        "rejected": outcomes.count("rejected") + 1, "withheld": 1,
    }  # fmt: skip
    # Those in which nothing happened are left out.
    assert len(lines) == outcomes.count("warned") - found["row.nothing"]
    assert kept.stat().st_mode & 0o077 == 0
    with kept.open(encoding="utf-8-sig", newline="") as file:
        left = list(csv.reader(file))[1:]
    assert len(left) == outcomes.count("rejected") + 2
    person = next(row for row in left if row[1] == "withheld")
    assert person[4:] == ["11…"]
    parts = next(row for row in left if row[2].startswith("amount.parts"))
    assert "12.345" in parts


def test_no_taxpayer_becomes_a_product(tmp_path: Path) -> None:
    """A profile that names the wrong column: products are cells, which others read."""
    text = (PROFILES / "loans.toml").read_text()
    profile = tmp_path / "own.toml"
    profile.write_text(text.replace('product = "产品"', 'product = "统一社会信用代码"'))
    digits = [loan(n) for n in range(1, 60) if uscc(n).isdecimal()]
    lines, report = read(str(write_csv(tmp_path / "loans.csv", digits)), str(profile))
    assert (lines, rules_of(report)) == ([], {"loan.product": len(digits)})
    (broken,) = report["rules"]
    assert "identifier" in broken["says"]


def test_a_file_of_which_no_row_has_all_its_cells(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "loans.csv", [loan(1)])
    source.write_text(source.read_text().splitlines()[0] + "\nL-000001,9111")
    lines, report = read(str(source))
    assert (lines, rules_of(report)) == ([], {"row.columns": 1})


def test_flags_and_amounts_come_from_dates_against_the_period(tmp_path: Path) -> None:
    """An old loan counts with its balance alone, a refusal without any amount; the report says how each was read."""
    rows = [
        loan(1),
        loan(2, 放款日期="2017/12/31"),
        loan(3, 放款日期="", 拒贷日期="2018年3月31日", 放款金额="", 贷款余额="", 五级分类=""),
    ]
    lines, report = read(str(write_csv(tmp_path / "loans.csv", rows)))
    told = [
        (line.row.newly_granted, line.row.granted, line.row.balance, line.row.refused) for line in lines
    ]
    assert told == [(True, 100_000_000, 90_000_050, False), (False, 0, 90_000_050, False), (False, 0, 0, True)]
    readings = {(reading["field"], reading["how"]): reading["rows"] for reading in report["readings"]}
    assert readings["granted", "in yuan: times 100 in hundredths of the currency's unit"] == 2
    assert readings["granted", "0: granted_on is not in the period"] == 1
    assert readings["newly_granted", "yes: granted_on lies in the period"] == 1
    assert readings["refused", "yes: refused_on lies in the period"] == 1
    assert readings["granted_on", "in a format of the profile"] == 1
    assert readings["currency", "'CNY' for every row"] == 3
    assert readings["guarantee", "'信用' is credit"] == 3


@pytest.mark.parametrize(
    ("unit", "cell", "fen"),
    [("fen", "123", 123), ("yuan", "1,234.50", 123_450), ("wan", "0.0001", 100), ("wan", "126.23", 126_230_000)],
)
def test_money_is_exact_in_every_unit(tmp_path: Path, unit: str, cell: str, fen: int) -> None:
    text = (PROFILES / "loans.toml").read_text().replace('granted = "yuan"', f'granted = "{unit}"')
    profile = tmp_path / "own.toml"
    profile.write_text(text)
    lines, _ = read(str(write_csv(tmp_path / "loans.csv", [loan(1, 放款金额=cell)])), str(profile))
    assert lines[0].row.granted == fen


def test_numeric_identifiers_of_a_workbook_are_refused(tmp_path: Path) -> None:
    """What a spreadsheet took for a number has lost its digits, in identifiers and in long numbers of loans."""
    rows: list[dict[str, object]] = [dict(loan(1)), dict(loan(2))]
    rows[0]["统一社会信用代码"] = 990100000000012
    rows[1]["借据编号"] = 12345678901234567890
    _, report = read(str(write_xlsx(tmp_path / "book.xlsx", rows)))
    assert rules_of(report)["id.spreadsheet_number"] == rules_of(report)["loan.reference"] == 1


@pytest.mark.parametrize(
    ("old", "new", "basis", "says"),
    [
        ('granted = "yuan"\n', "", "profile.keys", "unit"),
        ('reference = "借据编号"\n', "", "profile.keys", "reference"),
        ('industry = "行业门类"', 'industries = "行业门类"', "profile.keys", "industries"),
        ('newly_granted = "granted_on"\n', "", "profile.table", "newly_granted"),
        ('currency = "CNY"', 'currency = "yuan"', "profile.fixed", "currency"),
    ],
)
def test_a_profile_that_does_not_say_enough_is_refused(
    tmp_path: Path, old: str, new: str, basis: str, says: str
) -> None:
    text = (PROFILES / "loans.toml").read_text()
    assert old in text
    profile = tmp_path / "own.toml"
    profile.write_text(text.replace(old, new, 1))
    with pytest.raises((Invalid, UsageInvalid)) as refused:
        read(str(write_csv(tmp_path / "loans.csv", [loan(1)])), str(profile))
    assert refused.value.basis == basis
    assert says in refused.value.explanation
