"""A version as one flat table: a row for each cell, exact amounts in units, and which groups are suppressed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import Decimal

from adapters.figures import words
from adapters.figures.fetching import Fetched
from adapters.figures.sheet import COLUMNS, Gap, Sheet
from xinyi.lending import period_name

#: What a spreadsheet takes for UTF-8.
_BOM = "\ufeff"

Value = str | int | Decimal | None


def heads(language: str, currency: str) -> list[str]:
    """Amounts and means say their unit."""
    units = {"amount": words.unit("one", currency), "mean": words.unit("wan", currency)}
    facts = [words.FACTS[name].show(language) for name in ("period", "currency", "version")]
    names = [words.COLUMNS[name].show(language) for name in ("dimension", "value", "label")]
    shown = [
        f"{words.COLUMNS[column.key].show(language)} ({units[column.kind].show(language)})"
        if column.kind in units
        else words.COLUMNS[column.key].show(language)
        for column in COLUMNS
    ]
    return [*facts, *names, *shown, *(group.show(language) for group in words.GROUP_COLUMNS.values())]


def rows(fetched: Fetched, sheet: Sheet, language: str) -> Iterator[list[Value]]:
    """None where a figure is suppressed, and where there is none; 1 in the column of a group that is suppressed."""
    told = fetched.statistics
    for margin in sheet.margins:
        places = {column.key: place for place, column in enumerate(margin.columns)}
        for line in margin.lines:
            shown: list[Value] = []
            for column in COLUMNS:
                figure = line.figures[places[column.key]] if column.key in places else Gap.NO_FIGURE
                if isinstance(figure, Gap):
                    shown.append(None)
                else:
                    shown.append(Decimal(figure).scaleb(-2) if column.kind == "amount" else figure)
            hidden = [int(group in line.suppressed) for group in words.GROUP_COLUMNS]
            facts: list[Value] = [period_name(told.period), told.currency, told.version]
            yield [*facts, margin.dimension, line.value, line.label.show(language), *shown, *hidden]


def as_csv(fetched: Fetched, sheet: Sheet, language: str) -> bytes:
    """UTF-8 with a byte order mark, lines ended as RFC 4180 has them."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(heads(language, fetched.statistics.currency))
    for row in rows(fetched, sheet, language):
        writer.writerow(["" if value is None else str(value) for value in row])
    return (_BOM + file.getvalue()).encode()
