"""A version in all its forms: the same figures in each, suppressed ones in none, and a page that prints on A4."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from python_calamine import CalamineWorkbook

from adapters.figures import page, rows, text, workbook
from adapters.figures.content import describe
from adapters.figures.fetching import Fetched
from adapters.figures.sheet import COLUMNS, Gap, dimension_words, sheet_of, value_words
from tests.figures.made_up import HOSTILE, golden
from xinyi import figures
from xinyi.figures import GROUPS, Lent, quotient, share
from xinyi.v1 import lending_pb2

TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "section",
        "h1",
        "h2",
        "h3",
        "p",
        "dl",
        "dt",
        "dd",
    ),
    *("ul", "li", "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "svg", "rect", "text"),
}
LANGUAGES = ("zh", "en")


def hidden_amounts(fetched: Fetched) -> dict[tuple[str, str], tuple[str, ...]]:
    """Dimension and value → names of the sums that are suppressed."""
    return {
        (margin.dimension, cell.value): tuple(name for group in cell.suppressed for name in GROUPS[group])
        for margin in fetched.statistics.margins
        for cell in margin.cells
        if cell.suppressed
    }


def test_figures_are_exact_and_rounded_half_up_once() -> None:
    """No binary fraction stands between the fen and the two decimals."""
    assert quotient(1, 8, 2) == Decimal("0.13")
    assert quotient(1245, 1000) == Decimal("1.25"), "half to even would say 1.24"
    assert quotient(10**40 + 5, 10**3, 2) == Decimal(10**37 * 100 + 1).scaleb(-2)
    assert quotient(7, 0) is None
    assert share(782, 1160) == Decimal("67.41")
    assert share(291_700_000_000, 1_262_300_000_000) == Decimal("23.11")
    assert Lent(1160, 1_262_300_000_000).mean == Decimal("1088.19")
    assert Lent(782, 291_700_000_000).mean == Decimal("373.02")
    assert Lent(0, 0).mean is None
    assert (figures.in_yi(970_600_000_000), figures.in_wan(1_499_999)) == (Decimal("97.06"), Decimal("1.50"))


def test_each_form_tells_the_same_and_nothing_that_is_suppressed() -> None:
    """A suppressed sum is a mark for people, null or an empty cell with its group marked for programs."""
    fetched = golden()
    hidden = hidden_amounts(fetched)
    assert ("bank", "test-city/bank-13") in hidden, "the sample hides something"
    sheet = sheet_of(fetched)
    places = {column.key: place for place, column in enumerate(COLUMNS)}
    told = describe(fetched)
    assert json.loads(json.dumps(told)) == told
    lines = {
        (line["维度"], line["取值"]): line
        for line in csv.DictReader(io.StringIO(rows.as_csv(fetched, sheet, "zh").decode("utf-8-sig")))
    }
    assert len(lines) == sum(len(margin.cells) for margin in fetched.statistics.margins)
    for margin in sheet.margins:
        for line in margin.lines:
            key = (margin.dimension, line.value)
            row, cell = lines[key], told["margins"][margin.dimension][line.value]
            for name in hidden.get(key, ()):
                assert cell[name] is None
                if name in places and not margin.dimension.startswith("consented/"):
                    assert line.figures[places[name]] is Gap.SUPPRESSED
                    assert list(row.values())[6 + places[name]] == ""
            assert [int(row[f"已抑制：{word}"]) for word in ("发放", "余额", "不良", "拒绝")] == [
                int(word in line.suppressed) for word in ("GRANTED", "OUTSTANDING", "BAD", "REFUSED")
            ]
            if not line.suppressed:
                assert Decimal(row["发放金额 (元)"]) * 100 == cell["granted"]
                assert int(row["户数"]) == cell["firms"]
    shown = text.render(sheet, "zh").decode()
    assert "783 笔，29.18 亿元，笔均 372.67 万元；笔数占比 67.44 %，金额占比 23.11 %" in shown
    assert "迟报 late: test-city/bank-12" in shown
    english = text.render(sheet, "en").decode()
    assert "Grade relied on" in english
    assert "fewer than three firms" in english


@pytest.mark.parametrize("language", LANGUAGES)
def test_spreadsheets_open_the_workbook(tmp_path: Path, language: str) -> None:
    """Two readers that share nothing find the same numbers, as numbers; the same version gives the same bytes."""
    fetched = golden()
    sheet = sheet_of(fetched)
    data = workbook.as_xlsx(fetched, sheet, language)
    assert data == workbook.as_xlsx(fetched, sheet, language)
    file = tmp_path / "city.xlsx"
    file.write_bytes(data)
    wanted = [rows.heads(language, fetched.statistics.currency), *rows.rows(fetched, sheet, language)]

    book = openpyxl.load_workbook(file)
    about, table = book.worksheets
    assert about["A1"].value == sheet.title.show(language)
    assert table.freeze_panes == "A2"
    assert table.auto_filter.ref == table.dimensions
    found = [[cell.value for cell in row] for row in table.iter_rows()]
    assert [[None if v is None else _same(v) for v in row] for row in found] == [
        [None if v is None else _same(v) for v in row] for row in wanted
    ]
    money = table.cell(2, 7 + [column.key for column in COLUMNS].index("granted"))
    assert money.number_format == "#,##0.00"
    other = CalamineWorkbook.from_path(file)
    assert other.sheet_names == [sheet.title for sheet in book.worksheets]
    assert len(other.get_sheet_by_index(1).to_python()) == len(wanted)


def _same(value: Any) -> str:
    """Excel keeps numbers as binary fractions: they agree to the fen."""
    return value if isinstance(value, str) else f"{value:.2f}"


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_holds_text_and_drawings_alone(language: str) -> None:
    """Whatever a name or a restatement holds; nothing is fetched, nothing runs."""
    fetched = golden()
    fetched.statistics.restatement = HOSTILE
    fetched.statistics.missing[:] = [HOSTILE]
    seen = Seen()
    html = page.render(fetched, sheet_of(fetched), language).decode()
    seen.feed(html)
    assert seen.tags == TAGS
    assert not {name for name in seen.attributes if name.startswith("on")} | (
        seen.attributes & {"href", "src"}
    )
    assert "".join(seen.text).count(HOSTILE) == 3
    assert "default-src 'none'" in html
    for fact in ("2018-Q1", fetched.digest.hex(), "lending-statistics/1", "2018-04-18 05:20:00.000"):
        assert fact in html
    assert ("fewer than three firms" if language == "en" else "不足三户") in html
    assert ("leaf 17 of 42" if language == "en" else "第 17 条（共 42 条）") in html


def test_banks_see_no_bank() -> None:
    fetched = golden(lending_pb2.AUDIENCE_BANKS)
    fetched.statistics.restatement = "迟报 late: 1"
    for language in LANGUAGES:
        assert b"test-city/bank" not in page.render(fetched, sheet_of(fetched), language)


def test_every_dimension_and_value_has_words_in_both_languages() -> None:
    for dimension, value, zh, en in (
        ("size/INCLUSIVE", "inclusive", "普惠型小微", "inclusive"),
        ("rate/435-600", "00435-00600", "4.35 % – < 6.00 %", "4.35 % – < 6.00 %"),
        ("rate/435-600", "00600-up", "≥ 6.00 %", "≥ 6.00 %"),
        ("industry", "C", "C 制造业", "C manufacturing"),
        ("product", "credit", "credit", "credit"),
        ("guarantee", "credit", "信用", "credit"),
        ("consented/disbursed/grade-pair", "A>withdrawn", "A > 级别已撤回", "A > grade taken back"),
    ):
        assert (value_words(dimension, value).zh, value_words(dimension, value).en) == (zh, en)
    assert dimension_words("consented/npl/true-grade").zh == "经企业授权的明细，不良：真实信用级别"
    assert dimension_words("size/GXB300").en == "Size (definition GXB300)"


def test_more_banks_than_fit_are_said_to_be_left_out() -> None:
    fetched = golden()
    margin = next(margin for margin in fetched.statistics.margins if margin.dimension == "bank")
    for number in range(500):
        sums = lending_pb2.LendingSums(loans=5, firms=5, granted=10**9 + number)
        margin.cells.add(value=f"test-city/small-{number:03d}", sums=sums)
    html = page.render(fetched, sheet_of(fetched), "en").decode()
    assert "(the 30 largest of 513)" in html


def chromium(*arguments: str) -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here: the page was looked at by no browser (.ci/run installs one)")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    done = subprocess.run(
        [program, *flags, *arguments], capture_output=True, text=True, timeout=180, check=True
    )
    return done.stdout


@pytest.mark.processes
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_browser_shows_and_prints_it(tmp_path: Path, language: str) -> None:
    """A real browser finds tables and drawings and runs nothing; printed, every page is A4."""
    fetched = golden()
    fetched.statistics.restatement = HOSTILE
    file = tmp_path / "statistics.html"
    file.write_bytes(page.render(fetched, sheet_of(fetched), language))
    own = f"--user-data-dir={tmp_path / 'profile'}"
    shown = chromium(own, "--dump-dom", file.as_uri())
    assert f"<title>{sheet_of(fetched).title.show(language)}" in shown, "no text of the page ran as a script"
    assert shown.count("<table>") == len(fetched.statistics.margins)
    assert shown.count("<svg ") == 4
    assert "<script" not in shown
    assert "<img" not in shown

    printed = tmp_path / "statistics.pdf"
    chromium(own, "--no-pdf-header-footer", f"--print-to-pdf={printed}", file.as_uri())
    data = printed.read_bytes()
    boxes = re.findall(rb"/MediaBox ?\[ ?0 0 ([0-9.]+) ([0-9.]+) ?\]", data)
    assert 2 <= len(boxes) <= 8
    assert {(round(float(width)), round(float(height))) for width, height in boxes} == {(842, 595)}
    assert b"/ToUnicode" in data, "the text can be searched and copied"


def test_figures_say_their_currency() -> None:
    """亿元 of dollars would be read as yuan."""
    fetched = golden()
    fetched.statistics.currency = "USD"
    sheet = sheet_of(fetched)
    chinese, english = (text.render(sheet, language).decode() for language in LANGUAGES)
    assert "783 笔，29.18 亿 USD，笔均 372.67 万 USD" in chinese
    assert "元" not in chinese
    assert "100 million USD" in english
    assert "发放金额 (USD)" in rows.heads("zh", "USD")
