"""A version at the terminal, or as plain text."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.figures import words
from adapters.figures.sheet import Figure, Gap, Margin, Sheet
from adapters.figures.words import Words
from xinyi.figures import in_wan

#: Where nobody has a terminal: as wide as the widest table.
WIDTH = 200
#: The page and the workbook have these as well.
_LEFT_OUT = {"outstanding_loans", "outstanding_firms", "bad_firms", "refused_firms"}


def render(sheet: Sheet, language: str, width: int = WIDTH) -> bytes:
    """UTF-8. Args: width — columns of characters."""
    console = Console(file=io.StringIO(), width=width, highlight=False, color_system=None)
    console.print(Text(sheet.title.show(language)))
    for facts in (sheet.facts, sheet.headlines):
        console.print()
        grid = Table.grid(padding=(0, 2))
        for name, value in facts:
            grid.add_row(Text(name.show(language)), Text(value.show(language)))
        console.print(grid)
    for margin in sheet.margins:
        console.print()
        console.print(Text(margin.title.show(language)))
        console.print(_table(margin, language))
    console.print()
    for note in sheet.notes:
        console.print(Text(note.show(language)))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()).encode() + b"\n"


def _table(margin: Margin, language: str) -> Table:
    unit = margin.unit.show(language)
    grid = Table(box=box.SIMPLE_HEAD)
    grid.add_column(words.COLUMNS["value"].show(language), overflow="fold")
    places = [n for n, column in enumerate(margin.columns) if column.key not in _LEFT_OUT]
    for place in places:
        head = margin.heads[place].show(language)
        grid.add_column(
            f"{head} ({unit})" if margin.columns[place].kind in ("amount", "mean") else head, justify="right"
        )
    for line in margin.lines:
        shown = [number(line.figures[place], margin.columns[place].kind).show(language) for place in places]
        grid.add_row(Text(line.label.show(language)), *map(Text, shown))
    return grid


def number(figure: Figure, kind: str) -> Words:
    """For people: amounts in 万, thousands apart."""
    if figure is Gap.SUPPRESSED:
        return words.SUPPRESSED
    if figure is Gap.NO_FIGURE:
        return words.NO_FIGURE
    assert not isinstance(figure, Gap)
    if kind == "amount":
        assert isinstance(figure, int)
        figure = in_wan(figure)
    return words.plain(f"{figure:,}")
