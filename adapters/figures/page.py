"""A version as one HTML file that prints on A4: no script, nothing fetched, charts drawn inline, fonts of the system.

Built as a tree and serialised by the library: no text of anybody's is ever pasted into markup.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from adapters.figures import words
from adapters.figures.charts import charts_of, draw
from adapters.figures.fetching import Fetched
from adapters.figures.sheet import Gap, Margin, Sheet
from adapters.figures.text import number
from adapters.figures.words import Words

#: What a reader has to know before the first figure.
_ON_TOP = [words.FACTS[name] for name in ("audience", "version", "counted_until", "banks")]

_STYLE = """
@page { size: A4 landscape; margin: 12mm 12mm 16mm;
        @bottom-left { content: "DIGEST"; font: 8pt sans-serif; color: #444; }
        @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #444; } }
:root { color-scheme: light; }
body { font: 10.5pt/1.45 "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif;
       color: #111; background: #fff; margin: 1.5rem auto; max-width: 76rem; padding: 0 1rem; }
h1 { font-size: 1.5em; margin: 0 0 .6em; }
h2 { font-size: 1.1em; margin: 1.4em 0 .4em; border-bottom: 1px solid #888; break-after: avoid; }
h3 { font-size: 1em; margin: .6em 0 .2em; break-after: avoid; }
.restated { border: 1px solid #a33; padding: .4em .8em; }
.version, .note { color: #333; font-size: .9em; margin: .2em 0 .6em; }
.headlines { font-size: 1.1em; }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: .6em 2em; }
figure { margin: 0; break-inside: avoid; }
svg { width: 100%; height: auto; display: block; }
svg text { font-size: 13px; dominant-baseline: central; fill: #111; }
svg .bar { fill: #1f5a96; }
svg .track { fill: none; stroke: #999; }
svg .suppressed { fill: #fff; stroke: #555; stroke-dasharray: 3 2; }
.wide { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-size: .78em; }
th, td { border: solid #999; border-width: 0 1px 1px 0; padding: .2em .4em; text-align: right; }
th:first-child, td:first-child { border-left-width: 1px; text-align: left; overflow-wrap: anywhere; }
th { border-top-width: 1px; background: #eee; font-weight: 600; vertical-align: bottom; }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
td:first-child { white-space: normal; }
td.suppressed { background: #f2f2f2; color: #444; text-align: center; }
tr { break-inside: avoid; }
thead { display: table-header-group; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1em; margin: 0; }
dt { font-weight: 600; }
dd { margin: 0; overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 9pt; } .wide { overflow: visible; }
               svg, td, th { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""


def render(fetched: Fetched, sheet: Sheet, language: str) -> bytes:
    """UTF-8. Args: language — zh or en."""
    root = Element("html", {"lang": "en" if language == "en" else "zh-CN"})
    head = SubElement(root, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    # Nothing in this file is fetched or run, whatever it holds.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": policy})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    _say(head, "title", sheet.title, language)
    SubElement(head, "style").text = _STYLE.replace("DIGEST", fetched.digest.hex())
    main = SubElement(SubElement(root, "body"), "main")
    _say(main, "h1", sheet.title, language)
    said = [
        f"{name.show(language)}: {value.show(language)}" for name, value in sheet.facts if name in _ON_TOP
    ]
    SubElement(main, "p", {"class": "version"}).text = " · ".join(said)
    if fetched.statistics.restatement:
        why = f"{words.FACTS['restatement'].show(language)}: {fetched.statistics.restatement}"
        SubElement(main, "p", {"class": "restated"}).text = why
    _facts(_section(main, words.SECTIONS["headlines"], language), sheet.headlines, language, "headlines")
    _say(main, "p", sheet.notes[0], language).set("class", "note")
    charts = charts_of(sheet, fetched.statistics)
    if charts:
        grid = SubElement(_section(main, words.SECTIONS["charts"], language), "div", {"class": "charts"})
        for chart in charts:
            figure = SubElement(grid, "figure")
            _say(figure, "h3", chart.title, language)
            draw(figure, chart, language)
    for margin in sheet.margins:
        _table(_section(main, margin.title, language), margin, language)
    _facts(_section(main, words.SECTIONS["about"], language), sheet.facts, language, "about")
    notes = SubElement(_section(main, words.SECTIONS["notes"], language), "ul")
    for note in sheet.notes:
        _say(notes, "li", note, language)
    html: bytes = tostring(root, encoding="utf-8", method="html")
    return b"<!DOCTYPE html>\n" + html + b"\n"


def _section(main: Element, title: Words, language: str) -> Element:
    section = SubElement(main, "section")
    _say(section, "h2", title, language)
    return section


def _facts(place: Element, facts: tuple[tuple[Words, Words], ...], language: str, kind: str) -> None:
    grid = SubElement(place, "dl", {"class": kind})
    for name, value in facts:
        _say(grid, "dt", name, language)
        _say(grid, "dd", value, language)


def _table(place: Element, margin: Margin, language: str) -> None:
    unit = margin.unit.show(language)
    grid = SubElement(SubElement(place, "div", {"class": "wide"}), "table")
    heads = SubElement(SubElement(grid, "thead"), "tr")
    _say(heads, "th", words.COLUMNS["value"], language).set("scope", "col")
    for column, head in zip(margin.columns, margin.heads, strict=True):
        name = _say(heads, "th", head, language)
        name.set("scope", "col")
        if column.kind in ("amount", "mean"):
            name.text = f"{name.text} ({unit})"
    body = SubElement(grid, "tbody")
    for line in margin.lines:
        row = SubElement(body, "tr")
        _say(row, "td", line.label, language)
        for column, figure in zip(margin.columns, line.figures, strict=True):
            cell = _say(row, "td", number(figure, column.kind), language)
            if figure is Gap.SUPPRESSED:
                cell.set("class", "suppressed")


def _say(place: Element, tag: str, said: Words, language: str) -> Element:
    element = SubElement(place, tag)
    element.text = said.show(language)
    return element
