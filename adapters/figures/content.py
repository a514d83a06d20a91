"""A version for machines: amounts in the hundredth part of the currency's unit, what is suppressed is null."""

from __future__ import annotations

from typing import Any

from adapters.figures.fetching import Fetched
from adapters.figures.sheet import group_word
from xinyi.figures import Lent, shown, small_micro
from xinyi.lending import period_name
from xinyi.margins import SUMS
from xinyi.v1 import lending_pb2


def describe(fetched: Fetched) -> dict[str, Any]:
    told = fetched.statistics
    return {
        "statistics": fetched.digest.hex(),
        "period": period_name(told.period),
        "currency": told.currency,
        "audience": lending_pb2.Audience.Name(told.audience).removeprefix("AUDIENCE_").lower(),
        "version": told.version,
        "counted_until_ms": told.counted_until_ms,
        "definitions": told.definitions,
        "banks": told.banks,
        "tables": {table.bank: table.table.hex() for table in told.tables},
        "missing": list(told.missing),
        "predecessor": told.predecessor.hex(),
        "restatement": told.restatement,
        "leaf": fetched.position,
        "log_size": fetched.log_size,
        "margins": {margin.dimension: {c.value: _cell(c) for c in margin.cells} for margin in told.margins},
        "small_micro": {
            size.definition: {
                "whole": _lent(size.whole),
                "small": _lent(size.small),
                "others": _lent(size.others),
                "unknown": _lent(size.unknown),
                "share_of_loans": _text(size.share_of_loans),
                "share_of_amount": _text(size.share_of_amount),
            }
            for size in small_micro(told)
        },
    }


def _cell(cell: lending_pb2.PublishedCell) -> dict[str, Any]:
    sums = {name: shown(cell, name) for name in SUMS}
    return sums | {"suppressed": [group_word(group).lower() for group in cell.suppressed]}


def _lent(lent: Lent | None) -> dict[str, Any] | None:
    if lent is None:
        return None
    return {"loans": lent.loans, "granted": lent.granted, "mean_wan": _text(lent.mean)}


def _text(figure: object) -> str | None:
    """Decimals as text: a binary fraction would not be exact."""
    return None if figure is None else str(figure)
