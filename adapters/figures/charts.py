"""Bars as inline SVG: one colour and a pattern, so that they print on a black-and-white printer as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from xml.etree.ElementTree import Element, SubElement

from adapters.figures import text, words
from adapters.figures.sheet import Gap, Margin, Sheet
from adapters.figures.words import Words
from xinyi import figures
from xinyi.v1 import lending_pb2

#: In the user units of the drawing.
_LINE, _NAME, _BAR, _FIGURE, _TOP = 24, 190, 330, 170, 6
WIDTH = _NAME + _BAR + _FIGURE
#: More do not fit on a page.
_MOST_BARS = 30


@dataclass(frozen=True)
class Bar:
    name: Words
    #: None where it is suppressed.
    length: int | Decimal | None
    figure: Words


@dataclass(frozen=True)
class Chart:
    title: Words
    bars: tuple[Bar, ...]
    #: What the whole width stands for; the longest bar without it.
    whole: int | None = None


def charts_of(sheet: Sheet, told: lending_pb2.Statistics) -> list[Chart]:
    """Those whose margins were published."""
    found = []
    for dimension in ("grade", "guarantee", "bank"):
        margin = sheet.margin(dimension)
        if margin is not None:
            found.append(_amounts(margin, words.CHARTS[dimension]))
    return [*_shares(told), *found]


def _amounts(margin: Margin, title: Words) -> Chart:
    at = next(place for place, column in enumerate(margin.columns) if column.key == "granted")
    unit = margin.unit
    bars = []
    for line in margin.lines:
        figure = line.figures[at]
        shown = text.number(figure, "amount")
        if isinstance(figure, Gap):
            bars.append(Bar(line.label, None, shown))
        else:
            bars.append(Bar(line.label, figure, Words(f"{shown.zh} {unit.zh}", f"{shown.en} × {unit.en}")))
    if len(bars) > _MOST_BARS:
        bars = sorted((bar for bar in bars if bar.length is not None), key=_length, reverse=True)[:_MOST_BARS]
        most = words.LARGEST
        title = Words(
            title.zh + most.zh.format(_MOST_BARS, len(margin.lines)),
            title.en + most.en.format(_MOST_BARS, len(margin.lines)),
        )
    return Chart(title, tuple(bars))


def _length(bar: Bar) -> int | Decimal:
    return bar.length or 0


def _shares(told: lending_pb2.Statistics) -> list[Chart]:
    found = []
    for size in figures.small_micro(told):
        title = words.CHARTS["small"]
        bars = [
            _share(words.HEADLINES["of_loans"], size.share_of_loans),
            _share(words.HEADLINES["of_amount"], size.share_of_amount),
        ]
        named = Words(title.zh.format(size.definition), title.en.format(size.definition))
        found.append(Chart(named, tuple(bars), whole=100))
    return found


def _share(name: Words, share: Decimal | None) -> Bar:
    return Bar(name, share, words.SUPPRESSED if share is None else words.plain(f"{share} %"))


def draw(place: Element, chart: Chart, language: str) -> None:
    """Adds the drawing, with a text alternative, to an HTML element."""
    height = 2 * _TOP + _LINE * len(chart.bars)
    said = "; ".join(f"{bar.name.show(language)} {bar.figure.show(language)}" for bar in chart.bars)
    svg = SubElement(
        place,
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {height}",
            "role": "img",
            "aria-label": f"{chart.title.show(language)}: {said}",
        },
    )
    whole = chart.whole or _longest(chart.bars)
    for number, bar in enumerate(chart.bars):
        _draw_bar(svg, bar, _TOP + number * _LINE, whole, language, track=chart.whole is not None)


def _longest(bars: Sequence[Bar]) -> int | Decimal:
    return max((bar.length for bar in bars if bar.length is not None), default=0) or 1


def _draw_bar(svg: Element, bar: Bar, top: int, whole: int | Decimal, language: str, *, track: bool) -> None:
    """Args: track — the whole is drawn around it: shares are seen against it."""
    middle = str(top + _LINE // 2)
    name = SubElement(svg, "text", {"x": str(_NAME - 8), "y": middle, "text-anchor": "end", "class": "name"})
    name.text = _short(bar.name.show(language))
    if bar.length is None:
        box = {"width": str(_LINE), "class": "suppressed"}
        after = _NAME + _LINE
    else:
        # A drawing is as exact as a screen: a tenth of a unit.
        tenths = int(bar.length * _BAR * 10 // whole)
        box = {"width": f"{tenths // 10}.{tenths % 10}", "class": "bar"}
        after = _NAME + tenths // 10
        if track:
            SubElement(
                svg,
                "rect",
                {
                    "x": str(_NAME),
                    "y": str(top + 4),
                    "width": str(_BAR),
                    "height": str(_LINE - 8),
                    "class": "track",
                },
            )
            after = _NAME + _BAR
    SubElement(svg, "rect", {"x": str(_NAME), "y": str(top + 4), "height": str(_LINE - 8), **box})
    figure = SubElement(svg, "text", {"x": str(after + 8), "y": middle, "class": "figure"})
    figure.text = bar.figure.show(language)


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
