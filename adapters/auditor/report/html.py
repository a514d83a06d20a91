"""The page as one HTML file that prints on A4: no script, no outside resource, fonts of the system.

Built as a tree and serialised by the library: no text of anybody's is ever pasted into markup.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

from adapters.auditor.report.page import Page, Section, Table
from adapters.auditor.report.words import Cell

#: What no HTML document may hold, whatever it is escaped to.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufffe\uffff]")

_STYLE = """
@page { size: A4 landscape; margin: 12mm 12mm 16mm;
        @bottom-left { content: SUBJECT; font: 8pt sans-serif; color: #444; }
        @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #444; } }
:root { color-scheme: light; }
body { font: 10.5pt/1.45 "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
       color: #111; background: #fff; margin: 1.5rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.5em; margin: 0 0 .6em; }
h2 { font-size: 1.1em; margin: 1.4em 0 .4em; border-bottom: 1px solid #888; break-after: avoid; }
.wide { overflow-x: auto; }
/* Each cell draws its own lines: collapsed ones are cut in half at the sheet's edge and between sheets. */
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .82em; }
th, td { border: solid #999; border-width: 0 1px 1px 0; padding: .25em .4em; text-align: left; vertical-align: top; }
th:first-child, td:first-child { border-left-width: 1px; }
th { border-top-width: 1px; background: #eee; font-weight: 600; word-break: keep-all; }
td { overflow-wrap: anywhere; }
tr { break-inside: avoid; }
thead { display: table-header-group; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1em; margin: 0; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 9pt; } .wide { overflow: visible; } }
"""


def render(page: Page, language: str) -> bytes:
    """UTF-8. Args: language — zh, en or both."""
    root = Element("html", {"lang": "en" if language == "en" else "zh-CN"})
    head = SubElement(root, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    # Nothing in this file is fetched or run, whatever it holds.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    _say(head, "title", page.title, language)
    SubElement(head, "style").text = _STYLE.replace("SUBJECT", _css_string(page.subject))
    body = SubElement(root, "body")
    main = SubElement(body, "main")
    _say(main, "h1", page.title, language)
    for section in page.sections:
        _section(SubElement(main, "section"), section, language)
    html: bytes = tostring(root, encoding="utf-8", method="html")
    return b"<!DOCTYPE html>\n" + html + b"\n"


def _css_string(text: str) -> str:
    """What is no letter or digit of ASCII is escaped: a style sheet stands in the page as it is."""
    return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\{ord(c):x} " for c in text) + '"'


def _section(place: Element, section: Section, language: str) -> None:
    _say(place, "h2", section.title, language)
    if section.facts:
        facts = SubElement(place, "dl")
        for name, value in section.facts:
            _say(facts, "dt", name, language)
            _say(facts, "dd", value, language)
    if section.sentences:
        sentences = SubElement(place, "ul")
        for sentence in section.sentences:
            _say(sentences, "li", sentence, language)
    if section.table is not None:
        _table(SubElement(place, "div", {"class": "wide"}), section.table, language)


def _table(place: Element, table: Table, language: str) -> None:
    grid = SubElement(place, "table")
    heads = SubElement(SubElement(grid, "thead"), "tr")
    for column in table.columns:
        _say(heads, "th", column, language).set("scope", "col")
    rows = SubElement(grid, "tbody")
    for row in table.rows:
        line = SubElement(rows, "tr")
        for cell in row:
            _say(line, "td", cell, language)


def _say(place: Element, tag: str, words: Cell, language: str) -> Element:
    element = SubElement(place, tag)
    element.text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", words.show(language))
    return element
