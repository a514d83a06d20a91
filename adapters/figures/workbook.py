"""A version as an Excel workbook (ECMA-376), written without a library: docs/decisions/0025 says why.

Two sheets: what it is, and the flat table. The same version gives the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from decimal import Decimal
from xml.etree.ElementTree import Element, SubElement, tostring

from adapters.figures import words
from adapters.figures.fetching import Fetched
from adapters.figures.rows import Value, heads, rows
from adapters.figures.sheet import COLUMNS, Sheet

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_EARLIEST = (1980, 1, 1, 0, 0, 0)
#: Places in the list of cell formats below.
_PLAIN, _BOLD, _COUNT, _EXACT = range(4)
#: Facts and names in front of the figures of a row.
_NAMES = 6
_WIDTHS = {3: 24, 4: 18, 5: 28}


def as_xlsx(fetched: Fetched, sheet: Sheet, language: str) -> bytes:
    about: list[list[Value]] = [[sheet.title.show(language)]]
    for facts in (sheet.facts, sheet.headlines):
        about.append([])
        about += [[name.show(language), value.show(language)] for name, value in facts]
    about.append([])
    about += [[note.show(language)] for note in sheet.notes]
    figures: list[list[Value]] = [[*heads(language, fetched.statistics.currency)], *rows(fetched, sheet, language)]
    names = [words.SECTIONS[name].show(language) for name in ("about", "headlines")]
    parts = {
        "[Content_Types].xml": _content_types(),
        "_rels/.rels": _relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": _workbook(names),
        "xl/_rels/workbook.xml.rels": _relations(
            {
                "rId1": ("worksheet", "worksheets/sheet1.xml"),
                "rId2": ("worksheet", "worksheets/sheet2.xml"),
                "rId3": ("styles", "styles.xml"),
            }
        ),
        "xl/styles.xml": _styles(),
        "xl/worksheets/sheet1.xml": _worksheet(about, widths={0: 34, 1: 90}),
        "xl/worksheets/sheet2.xml": _worksheet(figures, widths=_WIDTHS, table=True),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, part in parts.items():
            place = zipfile.ZipInfo(name, _EARLIEST)
            place.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(place, tostring(part, encoding="UTF-8", xml_declaration=True))
    return file.getvalue()


def _worksheet(lines: Iterable[Sequence[Value]], *, widths: dict[int, int], table: bool = False) -> Element:
    """Args: table — the first line holds the columns' names: it stays in sight, and filters."""
    root = Element("worksheet", xmlns=_MAIN)
    if table:
        view = SubElement(SubElement(root, "sheetViews"), "sheetView", workbookViewId="0")
        SubElement(view, "pane", ySplit="1", topLeftCell="A2", activePane="bottomLeft", state="frozen")
    columns = SubElement(root, "cols")
    for column in range(_NAMES + len(COLUMNS) + len(words.GROUP_COLUMNS) if table else 2):
        place = str(column + 1)
        width = str(widths.get(column, 16))
        SubElement(columns, "col", min=place, max=place, width=width, customWidth="1")
    data = SubElement(root, "sheetData")
    last = "A1"
    for number, line in enumerate(lines, 1):
        row = SubElement(data, "row", r=str(number))
        for column, value in enumerate(line):
            last = f"{_letters(column)}{number}"
            _cell(row, last, value, bold=number == 1)
    if table:
        SubElement(root, "autoFilter", ref=f"A1:{last}")
    return root


def _cell(row: Element, place: str, value: Value, *, bold: bool) -> None:
    if value is None:
        return
    if isinstance(value, str):
        # Inline: no text can be read as a formula, and no list of shared strings is needed.
        style = str(_BOLD if bold else _PLAIN)
        cell = SubElement(row, "c", r=place, t="inlineStr", s=style)
        text = SubElement(SubElement(cell, "is"), "t")
        text.text = value
        return
    style = str(_EXACT if isinstance(value, Decimal) else _COUNT)
    SubElement(SubElement(row, "c", r=place, s=style), "v").text = str(value)


def _letters(column: int) -> str:
    """0 → A, 26 → AA."""
    more, rest = divmod(column, 26)
    return (_letters(more - 1) if more else "") + chr(ord("A") + rest)


def _workbook(names: Sequence[str]) -> Element:
    root = Element("workbook", {"xmlns": _MAIN, "xmlns:r": _RELATIONS})
    sheets = SubElement(root, "sheets")
    for number, name in enumerate(names, 1):
        SubElement(sheets, "sheet", {"name": name, "sheetId": str(number), "r:id": f"rId{number}"})
    return root


def _styles() -> Element:
    """Text, bold text, whole numbers with thousands apart, the same with two decimals."""
    root = Element("styleSheet", xmlns=_MAIN)
    fonts = SubElement(root, "fonts", count="2")
    for bold in (False, True):
        font = SubElement(fonts, "font")
        if bold:
            SubElement(font, "b")
        SubElement(font, "sz", val="11")
        SubElement(font, "name", val="Calibri")
    fills = SubElement(root, "fills", count="2")
    for pattern in ("none", "gray125"):
        SubElement(SubElement(fills, "fill"), "patternFill", patternType=pattern)
    border = SubElement(SubElement(root, "borders", count="1"), "border")
    for side in ("left", "right", "top", "bottom", "diagonal"):
        SubElement(border, side)
    styles = SubElement(root, "cellStyleXfs", count="1")
    SubElement(styles, "xf", numFmtId="0", fontId="0", fillId="0", borderId="0")
    formats = SubElement(root, "cellXfs", count="4")
    for number, font_id in (("0", "0"), ("0", "1"), ("3", "0"), ("4", "0")):
        SubElement(
            formats, "xf", numFmtId=number, fontId=font_id, fillId="0", borderId="0", xfId="0",
            applyNumberFormat="1", applyFont="1",
        )  # fmt: skip
    named = SubElement(root, "cellStyles", count="1")
    SubElement(named, "cellStyle", name="Normal", xfId="0", builtinId="0")
    return root


def _content_types() -> Element:
    root = Element("Types", xmlns=f"{_PACKAGE}/content-types")
    SubElement(
        root,
        "Default",
        Extension="rels",
        ContentType="application/vnd.openxmlformats-package.relationships+xml",
    )
    SubElement(root, "Default", Extension="xml", ContentType="application/xml")
    for name, kind in (
        ("/xl/workbook.xml", "sheet.main"),
        ("/xl/worksheets/sheet1.xml", "worksheet"),
        ("/xl/worksheets/sheet2.xml", "worksheet"),
        ("/xl/styles.xml", "styles"),
    ):
        SubElement(root, "Override", PartName=name, ContentType=f"{_OFFICE}.{kind}+xml")
    return root


def _relations(targets: dict[str, tuple[str, str]]) -> Element:
    root = Element("Relationships", xmlns=f"{_PACKAGE}/relationships")
    for identity, (kind, target) in targets.items():
        SubElement(root, "Relationship", Id=identity, Type=f"{_RELATIONS}/{kind}", Target=target)
    return root
