"""What becomes of every row: the 2018 list to the last figure, each rule once, and the shortcut for clean rows."""

from __future__ import annotations

import csv
import random
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from adapters.bureau import inspection, sources
from adapters.bureau.assessment import Assessor
from adapters.bureau.building import FULL, describe
from adapters.bureau.persons import is_personal_name, mask
from adapters.bureau.rows import Rows
from adapters.bureau.rules import RULES
from adapters.bureau.runs import read_parts, together, write_run
from adapters.tables.profile import Profile
from adapters.tables.reading import open_table
from adapters.tables.rules import WITHHELD
from audit import records
from examples import generate
from proto.vectors.make import old_number, uscc
from tests.flows.parties import open_source
from xinyi import checks
from xinyi.errors import Invalid, UsageInvalid
from xinyi.identifiers import organisation_check_character, uscc_check_character
from xinyi.processes import Processes
from xinyi.v1 import records_pb2

JIANGXI = Path(__file__).parents[2] / "examples/data/jiangxi_2018_A.csv"
BLIND = records.blinder(b"b" * 32)
HEADINGS = [
    "taxpayer_id",
    "name",
    "tax_office",
    "evaluation_year",
    "grade",
    "decided_on",
    "valid_from",
    "valid_to",
]
GOOD = [uscc(), "示例一有限公司", "示例市税务局", "2018", "A", "", "", ""]


def profile(**changes: Any) -> Profile:
    return Profile.model_validate(
        {
            "name": "test",
            "product": "grade-a",
            "columns": {heading: heading for heading in HEADINGS},
            "identifiers": {"taxpayer_id": "taxpayer_number"},
            "date_formats": ["%Y年%m月%d日"],
        }
        | changes
    )


def assessor(**changes: Any) -> Assessor:
    return Assessor(profile(**changes), HEADINGS, BLIND, year=2019)


def row(**cells: str) -> list[str]:
    return [cells.get(heading, good) for heading, good in zip(HEADINGS, GOOD, strict=True)]


def inspected(tmp_path: Path, lines: list[list[str]]) -> Rows:
    file = tmp_path / "table.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([HEADINGS, *lines])
    table = open_table(file, profile(encoding="utf-8"))
    return inspection.inspect(table, lambda n: None, mend=tmp_path / "mend.csv")


def test_the_2018_list_is_classified_to_the_last_row(tmp_path: Path) -> None:
    """The acceptance figures of the bundled list, and what became of each group."""
    table = open_source(JIANGXI, "jiangxi-2018")
    report = describe(inspection.inspect(table, lambda n: None, mend=tmp_path / "mend.csv"))
    groups = {
        g["group"]: (g["rows"], {o: n for o, n in g["outcomes"].items() if n}) for g in report["identifiers"]
    }
    assert groups == {
        "uscc": (3941, {"accepted": 3940, "warned": 1}),
        "uscc_check": (4, {"rejected": 4}),
        "old": (896, {"warned": 896}),
        "both": (82, {"warned": 82}),
        "neither": (7, {"rejected": 7}),
        "other": (5, {"rejected": 5}),
    }
    assert (
        sum(groups[group][0] for group in ("old", "both", "neither", "registration") if group in groups)
        == 985
    )
    assert report["repeated"] == {
        "identifiers": 48,
        "rows": 100,
        "all_identical": 14,
        "some_identical": 16,
        "became_one_record": 48,
        "quarantined": 0,
    }
    assert report["rows"] == 4935
    assert report["outcomes"] == {
        "accepted": 3940,
        "warned": 979,
        "quarantined": 0,
        "rejected": 16,
        "withheld": 0,
    }
    assert (report["merged"], report["records"], report["grades"]) == (52, 4867, {"A": 4867})
    assert len(report["organisations"]) == 35
    assert report["source"]["encoding"] == "gb18030"
    with (tmp_path / "mend.csv").open(encoding="utf-8-sig", newline="") as file:
        told = Counter(line["outcome"] for line in csv.DictReader(file))
    assert told == {"warned": 979, "rejected": 16}


@pytest.mark.parametrize(
    ("cells", "rules"),
    [
        ({}, []),
        ({"taxpayer_id": uscc(2, "N1")}, []),
        ({"taxpayer_id": f" {uscc().lower()} "}, ["id.normalised"]),
        ({"taxpayer_id": ""}, ["id.missing"]),
        ({"taxpayer_id": "9.1990100E+17"}, ["id.spreadsheet_number"]),
        ({"taxpayer_id": "O" + uscc()[1:]}, ["id.uscc_form"]),
        ({"taxpayer_id": "910000000000000000"}, ["id.uscc_check"]),
        ({"taxpayer_id": old_number(3)}, ["id.old_number"]),
        ({"taxpayer_id": "990100123456781"}, ["id.fifteen_check"]),
        ({"taxpayer_id": "12345"}, ["id.length"]),
        ({"taxpayer_id": "11010119900101123X"}, ["person.identifier"]),
        ({"name": ""}, ["name.missing"]),
        ({"name": "王小明"}, ["person.name"]),
        ({"name": "某" * 201}, ["name.form"]),
        ({"name": "示例\t公司"}, ["name.form"]),
        ({"name": " 示例一有限公司\u3000"}, []),
        ({"tax_office": "局" * 201}, ["office.form"]),
        ({"tax_office": ""}, []),
        ({"evaluation_year": "2018年度"}, []),
        ({"evaluation_year": "2013"}, ["year.form"]),
        ({"evaluation_year": "18"}, ["year.form"]),
        ({"evaluation_year": "2019"}, []),
        ({"evaluation_year": "2020"}, ["year.later"]),
        ({"grade": "E"}, ["grade.unknown"]),
        ({"grade": ""}, ["grade.unknown"]),
        ({"grade": "UNSPECIFIED"}, ["grade.unknown"]),
        ({"decided_on": "2019年04月20日"}, []),
        ({"decided_on": "2019-02-30"}, ["date.form"]),
        ({"valid_from": "2019-04-20", "valid_to": "2019-04-19"}, ["date.form"]),
        ({"taxpayer_id": "12345", "grade": "E"}, ["id.length", "grade.unknown"]),
    ],
)
def test_each_rule(cells: dict[str, str], rules: list[str]) -> None:
    """One cell at a time: the rules it breaks, and a valid record wherever none forbids one."""
    ended = assessor().row(7, row(**cells))
    assert list(ended.rules) == rules
    if ended.draft is not None:
        checks.check_grade_record(records_pb2.GradeRecord.FromString(ended.draft[4]))
    assert (ended.draft is not None) == all(
        RULES[rule].outcome <= RULES["id.normalised"].outcome for rule in rules
    )


def test_rows_of_another_width_are_rejected() -> None:
    """A shifted row would put one firm's grade under another's name."""
    drafts, others, _ = assessor().block(2, [GOOD, GOOD[:-1], [], [*GOOD, "x"], [""] * 8])
    assert [draft[1] for draft in drafts] == [2]
    assert [(o.number, o.rules) for o in others] == [(3, ("row.columns",)), (5, ("row.columns",))]


@pytest.mark.parametrize(
    ("declared", "rule"),
    [
        ("taxpayer_number", "id.two_readings"),
        ("registration_number", "id.two_readings"),
        ("undeclared", "id.ambiguous"),
    ],
)
def test_the_column_decides_what_two_readings_mean(declared: str, rule: str) -> None:
    """A number that passes both checks is what its column is declared as; undeclared it is nobody's guess."""
    both = next(n for n in map(old_number, range(1000)) if is_both(n))
    ended = assessor(identifiers={"taxpayer_id": declared}).row(2, row(taxpayer_id=both))
    assert ended.rules == (rule,)
    assert (ended.draft is None) == (declared == "undeclared")
    if ended.draft is not None:
        kind = records_pb2.GradeRecord.FromString(ended.draft[4]).identifier_kind
        assert kind == (2 if declared == "taxpayer_number" else 3)


def is_both(number: str) -> bool:
    from xinyi.identifiers import is_old_taxpayer_number, is_registration_number

    return is_old_taxpayer_number(number) and is_registration_number(number)


def test_of_a_person_nothing_is_kept_but_a_mask(tmp_path: Path) -> None:
    """Neither the report nor the CSV of rows to mend holds a withheld person's number or name."""
    number = "11010119900101123X"
    rows = inspected(
        tmp_path, [row(), row(taxpayer_id=number, name="王小明"), row(taxpayer_id=uscc(2), name="欧阳修")]
    )
    assert rows.tally.outcomes[WITHHELD] == 2
    told = (tmp_path / "mend.csv").read_text(encoding="utf-8-sig") + str(describe(rows))
    assert mask(number) in told
    for secret in (number, number[4:], "王小明", "欧阳修", uscc(2)):
        assert secret not in told


@pytest.mark.parametrize(
    ("name", "personal"),
    [
        ("王小明", True), ("李娜", True), ("欧阳修", True), ("司马相如", True), ("阿不都·热合曼", True),
        ("江西日报社", False), ("上饶影城", False), ("新法制报社", False), ("王府饭店", False), ("张记铺", False),
        ("示例一有限公司", False), ("华联超市", False), ("王氏集团", False), ("A公司", False), ("", False),
    ],
)  # fmt: skip
def test_personal_names(name: str, personal: bool) -> None:
    """Short names led by a family name, unless they end like an organisation."""
    assert is_personal_name(name) is personal


def test_rows_of_one_taxpayer_become_one_record_that_keeps_all(tmp_path: Path) -> None:
    """Names and offices are collected in order; identical rows add nothing."""
    lines = [row(), row(tax_office="另一税务局"), row(), row(name="改名一有限公司"), row(taxpayer_id=uscc(2))]
    rows = inspected(tmp_path, lines)
    assert (rows.tally.rows, rows.tally.merged, rows.tally.records) == (5, 3, 2)
    assert rows.grades == {records_pb2.GRADE_A: 2}
    assert rows.tally.repeated["some_identical"] == 1
    assert rows.tally.repeated["all_identical"] == 0
    [merged] = [r for r in built(tmp_path, lines) if r.taxpayer_id == uscc()]
    assert list(merged.names) == ["改名一有限公司", "示例一有限公司"]
    assert list(merged.tax_offices) == ["另一税务局", "示例市税务局"]
    checks.check_grade_record(merged)


def built(tmp_path: Path, lines: list[list[str]]) -> list[records_pb2.GradeRecord]:
    file = tmp_path / "again.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([HEADINGS, *lines])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    rows = Rows(open_table(file, profile(encoding="utf-8")), b"b" * 32, scratch)
    rows.read(lambda n: None)
    chunk = b"".join(entry for part in rows.parts(FULL) for entry in part.entries)
    return [records_pb2.GradeRecord.FromString(record) for record in records.split_chunk(chunk)[1]]


@pytest.mark.parametrize(
    ("other", "rule"),
    [
        ({"grade": "B"}, "record.grades_differ"),
        ({"evaluation_year": "2017"}, "record.decisions_differ"),
        ({"decided_on": "2019-04-20"}, "record.decisions_differ"),
    ],
)
def test_rows_that_contradict_each_other_are_both_quarantined(
    tmp_path: Path, other: dict[str, str], rule: str
) -> None:
    """Nobody picks one of two grades; every count moves with the rows."""
    rows = inspected(tmp_path, [row(taxpayer_id=old_number()), row(taxpayer_id=old_number(), **other), row()])
    quality = rows.tally.sealed()
    assert (quality.quarantined, quality.warned, quality.accepted, quality.merged) == (2, 0, 1, 0)
    assert (rows.tally.records, sum(rows.grades.values())) == (1, 1)
    assert rows.tally.rules[rule] == 2
    report = describe(rows)
    assert {g["group"]: g["outcomes"]["quarantined"] for g in report["identifiers"]} == {"uscc": 0, "old": 2}
    assert rule in (tmp_path / "mend.csv").read_text(encoding="utf-8-sig")


def test_more_names_than_a_record_holds_are_a_case_for_a_person(tmp_path: Path) -> None:
    """17 names of one identifier are no taxpayer but a mistake."""
    rows = inspected(tmp_path, [row(name=f"示例第{n:02d}有限公司") for n in range(17)])
    assert rows.tally.rules["record.too_many"] == 17


def test_one_organisation_under_two_identifiers_is_reported_and_not_merged(tmp_path: Path) -> None:
    """An old number and a USCC with the same organisation code stay two records."""
    rows = inspected(
        tmp_path, [row(taxpayer_id=old_number(5)), row(taxpayer_id=uscc(5)), row(taxpayer_id=uscc(6))]
    )
    assert rows.organisations.found() == [sorted([old_number(5), uscc(5)])]
    assert rows.tally.records == 3


def test_the_shortcut_never_differs_from_the_single_row(tmp_path: Path) -> None:
    """3,000 random rows, clean and spoilt in every cell: drafts and endings by block are those by row."""
    chance = random.Random(1)
    spoilt = {
        "taxpayer_id": [
            "",
            " ",
            "O" * 18,
            old_number(8),
            uscc(9).lower(),
            "11010119900101123X",
            "１" * 18,
            "9" * 18,
        ],
        "name": [
            "",
            "王小明",
            "示例",
            " 示例一有限公司",
            "某" * 50,
            "某" * 201,
            "示例\n公司",
            "示例·某某公司",
            "\ue000示例公司",
        ],
        "tax_office": ["", "局 ", "局" * 300],
        "evaluation_year": ["2018年", "x", "2101"],
        "grade": ["B", "M", "Z", ""],
        "decided_on": ["2019-04-20", "2019年04月20日", "never"],
    }
    lines: list[list[str]] = []
    for n in range(3000):
        cells = {"taxpayer_id": uscc(n, chance.choice(("91", "N1", "12")))}
        for field, values in spoilt.items():
            if chance.random() < 0.06:
                cells[field] = chance.choice(values)
        lines.append(row(**cells))
        if chance.random() < 0.02:
            lines[-1] = lines[-1][: chance.randrange(8)]
    together, alone = assessor(), assessor()
    drafts, others, grades = together.block(2, lines)
    assert grades == Counter(records_pb2.GradeRecord.FromString(d[4]).grade for d in drafts) + Counter(
        records_pb2.GradeRecord.FromString(o.draft[4]).grade for o in others if o.draft
    )
    endings = [alone.row(number, line) for number, line in enumerate(lines, 2) if any(line)]
    assert len(drafts) > 1500
    assert sorted(drafts + [o.draft for o in others if o.draft]) == sorted(
        e.draft for e in endings if e.draft
    )
    clean = {draft[1] for draft in drafts}
    assert [e for e in endings if e.number not in clean] == others
    assert all(not e.rules for e in endings if e.number in clean)


def test_lost_digits_of_a_workbook_are_rejected_by_cell(tmp_path: Path) -> None:
    """A number cell never becomes an identifier; its cell stands in the CSV of rows to mend."""
    book = openpyxl.Workbook()
    book.active.append(HEADINGS)
    book.active.append([int(old_number(9)[:14] + "0"), *GOOD[1:]])
    book.active.append(["3.60206556023E+14", *GOOD[1:]])
    book.active.append(GOOD)
    book.save(tmp_path / "table.xlsx")
    table = open_table(tmp_path / "table.xlsx", profile())
    rows = inspection.inspect(table, lambda n: None, mend=tmp_path / "mend.csv")
    assert (rows.tally.rules["id.spreadsheet_number"], rows.tally.records) == (2, 1)
    assert "a number in cell A2" in (tmp_path / "mend.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": {"taxpayer_id": "taxpayer_id", "name": "name"}},
        {"columns": {h: h for h in HEADINGS} | {"points": "grade"}},
        {"columns": {h: h for h in HEADINGS if h != "name"}, "fixed": {"name": "x"}},
    ],
)
def test_a_profile_that_does_not_fit_the_record_is_refused(changes: dict[str, Any]) -> None:
    """Unknown fields and missing ones are found before the first row."""
    with pytest.raises(Invalid):
        assessor(**changes)


def test_fixed_values_and_words(tmp_path: Path) -> None:
    """What the profile says for all rows, and what the source's words mean."""
    columns = {h: h for h in HEADINGS if h not in ("grade", "valid_from", "valid_to")}
    made = assessor(
        columns=columns | {"decision_kind": "valid_to"},
        fixed={"grade": "A"},
        words={"decision_kind": {"年度评价": "ANNUAL"}},
    )
    ended = made.row(2, row(valid_to="年度评价"))
    assert ended.draft is not None
    record = records_pb2.GradeRecord.FromString(ended.draft[4])
    assert (record.grade, record.decision_kind) == (records_pb2.GRADE_A, records_pb2.DECISION_KIND_ANNUAL)
    assert made.row(2, row(valid_to="别的")).rules == ("decision.unknown",)


def test_generated_cities_hold_clean_rows_alone(tmp_path: Path) -> None:
    """Check characters and organisation codes are right, nobody comes twice, the same seed gives the same bytes."""
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    generate.write(one, 12_000, 3)
    generate.write(two, 12_000, 3)
    assert one.read_bytes() == two.read_bytes()
    rows = inspection.inspect(open_source(one, "city-grades"), lambda n: None)
    assert (rows.tally.rows, rows.tally.records, dict(rows.tally.rules)) == (12_000, 12_000, {})
    assert rows.organisations.found() == []


def test_runs_give_every_item_back_in_its_part(tmp_path: Path) -> None:
    """Every item once, in ascending order, equal keys together, however many runs they came in or parts are read."""
    chance = random.Random(1)
    items = [(chance.randbytes(32), n, "x") for n in range(5000)]
    items += [(items[n][0], -n, "y") for n in range(0, 5000, 7)]
    for run, start in enumerate(range(0, len(items), 900)):
        write_run(tmp_path, run, items[start : start + 900])
    for most, calls in ((1, 256), (100, 64), (3000, 2), (10_000, 1)):
        parts = [read_parts(tmp_path, numbers) for numbers in together(len(items), most)]
        assert len(parts) == calls
        assert [item for part in parts for item in part] == sorted(items)


def test_other_processes_come_to_the_same(tmp_path: Path) -> None:
    """A large table with every kind of row: what several processes make of it is what one makes of it."""
    file = tmp_path / "large.csv"
    chance, lines = random.Random(3), [HEADINGS]
    for n in range(60_000):
        line = row(taxpayer_id=generated(n), name=f"示例企业{n % 9000}有限公司")
        if chance.random() < 0.02:
            line = chance.choice(
                [row(taxpayer_id=old_number()), row(taxpayer_id="12"), line[:-1], row(grade="B"), row(name="")]
            )
        lines.append(line)
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(lines)
    table = open_table(file, profile(encoding="utf-8"))
    assert table.size_bytes > 4 << 20
    told = []
    for crew in (None, Processes(2)):
        mend = tmp_path / f"mend-{len(told)}.csv"
        rows = inspection.inspect(table, lambda n: None, mend=mend, crew=crew)
        told.append((describe(rows), mend.read_bytes()))
        if crew is not None:
            crew.close()
    assert told[0] == told[1]
    assert told[0][0]["repeated"]["identifiers"] > 0


def generated(number: int) -> str:
    organisation = f"{number:08d}"
    code = "91990101" + organisation + organisation_check_character(organisation)
    return code + uscc_check_character(code)


def test_contradicting_rows_show_their_cells_as_they_stand(tmp_path: Path) -> None:
    """Once each, in the table's order and under its headings, whether they were clean or warned at first."""
    lines = [row(name="第一有限公司"), row(taxpayer_id="12"), row(grade="B", name=" 第一有限公司 ")]
    inspected(tmp_path, lines)
    with (tmp_path / "mend.csv").open(encoding="utf-8-sig", newline="") as file:
        head, *mend = list(csv.reader(file))
    assert head[4:] == HEADINGS
    assert [(m[0], m[1], m[2]) for m in mend] == [
        ("2", "quarantined", "record.grades_differ"),
        ("3", "rejected", "id.length"),
        ("4", "quarantined", "record.grades_differ"),
    ]
    assert [m[4:] for m in mend] == lines


@pytest.mark.parametrize(
    "cells",
    [
        [*row(taxpayer_id="11010519491231002X"), "too many"],
        ["张伟", *GOOD],
        [*GOOD[:3], "11010519491231002x"],
        row(taxpayer_id="1.10105194912310E+17"),
    ],
)
def test_a_broken_row_keeps_nothing_of_a_person(tmp_path: Path, cells: list[str]) -> None:
    """A cell too many, or digits that a spreadsheet rounded: number, name and date of birth stay out."""
    rows = inspected(tmp_path, [cells, row()])
    assert rows.tally.outcomes[WITHHELD] == 1
    told = (tmp_path / "mend.csv").read_text(encoding="utf-8-sig") + str(describe(rows))
    assert not any(word in told for word in ("19491231", "张伟", "11010519"))


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2014-01", True),
        ("2018-06", True),
        ("2018-07", False),
        ("2019-01", False),
        ("2013-12", False),
        ("1999-01", False),
        ("2018-13", False),
        ("2018", False),
    ],
)
def test_a_period_is_no_month_that_cannot_be(text: str, taken: bool) -> None:
    """From 2014 to the month after this one."""
    if taken:
        assert f"{sources.parse_period(text, date(2018, 5, 31)).year}" == text[:4]
        return
    with pytest.raises(UsageInvalid) as refused:
        sources.parse_period(text, date(2018, 5, 31))
    assert text in refused.value.explanation


def test_december_is_followed_by_january() -> None:
    """The month after this one may be the next year's."""
    assert sources.parse_period("2019-01", date(2018, 12, 1)).year == 2019
