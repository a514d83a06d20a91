"""Other people's tables: encodings stated or reported, cells as they stand, digits that a spreadsheet lost."""

from __future__ import annotations

import datetime
from pathlib import Path

import openpyxl
import pytest

from adapters.tables.encoding import find_encoding
from adapters.tables.profile import Profile
from adapters.tables.reading import NumberCell, Table, open_table
from xinyi.errors import Conflict, Invalid

PROFILE = """
name = "test"
product = "grade-a"
{extra}
[columns]
taxpayer_id = "编号"
name = "名称"
[identifiers]
taxpayer_id = "taxpayer_number"
"""
TEXT = '编号,名称\r\n911,示例一\r\n912,"示例,二"\r\n'


def profile(path: Path, extra: str = "", text: str = PROFILE) -> Profile:
    file = path / "profile.toml"
    file.write_text(text.format(extra=extra), encoding="utf-8")
    return Profile.load(file)


def opened(path: Path, data: bytes, *, stated: str = "", extra: str = "") -> Table:
    file = path / "table.csv"
    file.write_bytes(data)
    return open_table(file, profile(path, extra), encoding=stated)


def rows(table: Table) -> list[list[str]]:
    return [row for _, block in table.blocks() for row in block]


@pytest.mark.parametrize(
    ("data", "stated", "name", "how"),
    [
        (TEXT.encode(), "", "utf-8", "verified"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "", "utf-8", "marked"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "UTF-8", "utf-8", "stated"),
        (TEXT.encode("gb18030"), "", "gb18030", "found"),
        (TEXT.encode("gb18030"), "GBK", "gb18030", "stated"),
        (TEXT.encode("gb18030"), "gb2312", "gb18030", "stated"),
    ],
)
def test_encodings(tmp_path: Path, data: bytes, stated: str, name: str, how: str) -> None:
    """Each way to know an encoding is told apart, and all give the same rows."""
    table = opened(tmp_path, data, stated=stated)
    assert (table.encoding, table.how, table.certain) == (name, how, how != "found")
    assert rows(table) == [["编号", "名称"], ["911", "示例一"], ["912", "示例,二"]]


@pytest.mark.parametrize(
    ("data", "stated"),
    [
        (b"\xef\xbb\xbf" + TEXT.encode(), "gb18030"),
        (TEXT.encode("utf-16"), ""),
        (b"\xff\xff\xff,\n", ""),
        (TEXT.encode(), "latin-1"),
        (b"", ""),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ""),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, data: bytes, stated: str) -> None:
    """A statement against the mark, UTF-16, no text at all, an encoding not read here, emptiness, old XLS."""
    with pytest.raises(Invalid):
        rows(opened(tmp_path, data, stated=stated))


def test_utf_16_is_to_be_saved_as_what_will_be_read(tmp_path: Path) -> None:
    """Under a profile for GB18030 a file that was saved in UTF-8 would be refused next."""
    for stated, wanted in (("", "UTF-8"), ("gb18030", "gb18030")):
        with pytest.raises(Invalid, match=f"save it as CSV in {wanted}"):
            rows(opened(tmp_path, TEXT.encode("utf-16"), stated=stated))


def test_a_false_statement_is_found_while_reading(tmp_path: Path) -> None:
    """The place in the file is named, nothing is replaced."""
    table = opened(tmp_path, TEXT.encode("gb18030"), stated="utf-8")
    with pytest.raises(Invalid, match="byte 0 cannot be read"):
        rows(table)


def test_the_profile_may_state_the_encoding_and_the_operator_wins(tmp_path: Path) -> None:
    """The command line is nearer to the file than the profile is."""
    assert opened(tmp_path, TEXT.encode("gb18030"), extra='encoding = "gb18030"').how == "stated"
    assert opened(tmp_path, TEXT.encode(), stated="utf-8", extra='encoding = "gb18030"').encoding == "utf-8"


def test_every_block_size_gives_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cuts may fall anywhere: inside characters, line ends and quoted line breaks."""
    text = "编号,名称\r\n" + "".join(f'{n},"示例\n{n}"\r\n' for n in range(40))
    for encoding in ("utf-8", "gb18030"):
        table = opened(tmp_path, text.encode(encoding), stated=encoding)
        whole = rows(table)
        assert len(whole) == 41
        for size in range(1, 60):
            monkeypatch.setattr("adapters.tables.reading._BYTES_PER_BLOCK", size)
            assert rows(table) == whole


def test_an_unclosed_quote_is_refused(tmp_path: Path) -> None:
    """The rest of the file must not vanish into one cell."""
    with pytest.raises(Invalid, match="line"):
        rows(opened(tmp_path, '编号,名称\n911,"示例\n912,x\n'.encode()))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """What is sealed as the raw file's digest is what was read."""
    table = opened(tmp_path, TEXT.encode())
    table.path.write_bytes(TEXT.encode() + "913,新\n".encode())
    with pytest.raises(Conflict):
        rows(table)


def test_row_numbers_count_empty_rows(tmp_path: Path) -> None:
    """The operator finds the row in a spreadsheet."""
    table = opened(tmp_path, "编号,名称\n911,一\n\n\n912,二\n".encode())
    blocks = list(table.blocks())
    assert blocks[0] == (1, [["编号", "名称"]])
    first, block = blocks[1]
    assert {first + i: row for i, row in enumerate(block) if row} == {2: ["911", "一"], 5: ["912", "二"]}


def workbook(path: Path, cells: dict[str, object], *, sheet: str = "") -> Path:
    book = openpyxl.Workbook()
    page = book.active
    if sheet:
        page = book.create_sheet(sheet)
    for place, value in cells.items():
        page[place] = value
    file = path / "table.xlsx"
    book.save(file)
    return file


def test_numbers_in_identifier_columns_are_refused_by_cell(tmp_path: Path) -> None:
    """Excel keeps 15 digits of a number: the cell is named, and no digits are passed on as an identifier."""
    file = workbook(
        tmp_path,
        {
            "C2": "编号", "D2": "名称", "C3": 360206556023435, "D3": "示例一", "C4": "360206556023435",
            "D4": 2018, "C5": datetime.date(2019, 4, 1), "D5": 1.5, "C6": "912", "D6": datetime.datetime(2019, 4, 1),  # noqa: DTZ001
        },
    )  # fmt: skip
    table = open_table(file, profile(tmp_path, "header_row = 2"))
    assert table.encoding == "xlsx"
    [_, (first, block)] = table.blocks()
    assert first == 3
    assert isinstance(block[0][0], NumberCell)
    assert block[0][0].cell == "C3"
    assert "cell C3" in block[0][0]
    assert isinstance(block[2][0], NumberCell)
    assert block[1] == ["360206556023435", "2018"]
    assert not isinstance(block[1][0], NumberCell)
    assert [row[1] for row in block[2:]] == ["1.5", "2019-04-01"]


def test_a_workbook_with_several_sheets_needs_one_named(tmp_path: Path) -> None:
    """No sheet is picked by chance."""
    file = workbook(tmp_path, {"A1": "编号", "B1": "名称", "A2": "911", "B2": "一"}, sheet="名单")
    with pytest.raises(Invalid, match="名单"):
        rows(open_table(file, profile(tmp_path)))
    assert len(rows(open_table(file, profile(tmp_path, 'sheet = "名单"')))) == 2


def test_a_broken_workbook_is_refused(tmp_path: Path) -> None:
    """A cut download is a finding, not a crash."""
    file = tmp_path / "table.xlsx"
    file.write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(Invalid):
        rows(open_table(file, profile(tmp_path)))


@pytest.mark.parametrize(
    "text",
    [
        PROFILE + 'nme = "x"',
        PROFILE.replace('name = "名称"', "name = 7"),
        PROFILE + '[fixed]\nname = "x"',
        PROFILE.replace('taxpayer_id = "taxpayer_number"', 'other = "taxpayer_number"'),
        PROFILE.replace('"taxpayer_number"', '"tax number"'),
        "not toml",
    ],
)
def test_profiles_with_unknown_or_contradictory_keys_are_refused(tmp_path: Path, text: str) -> None:
    """A typing error in a profile must not change what is published."""
    with pytest.raises(Invalid):
        profile(tmp_path, text=text)


def test_a_heading_must_stand_once(tmp_path: Path) -> None:
    """A missing or doubled column stops everything before the first row."""
    mapping = profile(tmp_path)
    assert mapping.positions(["名称", "x", "编号"]) == {"taxpayer_id": 2, "name": 0}
    for headings in (["名称"], ["名称", "编号", "编号"]):
        with pytest.raises(Invalid):
            mapping.positions(headings)


def test_dates(tmp_path: Path) -> None:
    """ISO dates always, other forms where the profile lists them."""
    mapping = profile(tmp_path, 'date_formats = ["%Y年%m月%d日"]')
    assert mapping.date("2019-04-20") == mapping.date("2019年04月20日") == "2019-04-20"
    assert mapping.date("2019-04-20 00:00:00") == "2019-04-20"
    for wrong in ("20/04/2019", "2019-02-30", "2019-04-20 12:00:00"):
        with pytest.raises(ValueError):
            mapping.date(wrong)


def test_encoding_of_a_long_file_is_found_in_its_last_byte(tmp_path: Path) -> None:
    """The whole file is looked at, not its beginning."""
    file = tmp_path / "long.csv"
    file.write_bytes(b"x" * (3 << 20) + "中".encode("gb18030"))
    assert find_encoding(file).name == "gb18030"
