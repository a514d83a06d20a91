"""What a bank's agreement wants reported, and until when. Pure.

The terms are data of the agreement, in versions: which dimensions a table has, its currency and length, what is
plausible, and what the bank gets. A period is judged by the terms in force on the day its table arrives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from audit.entries import canonical_json
from gateway.rules.entitlement import check_in_force
from xinyi.errors import Conflict, Invalid, NotEntitled
from xinyi.lending import CURRENCIES, MAX_SUM, first_day, last_day
from xinyi.margins import TOTAL, check_dimension
from xinyi.v1 import lending_pb2, lending_service_pb2

Row = Mapping[str, Any]

MOST_DUE_DAYS = 366
#: So many sums would every node of a table's tree have; each dimension adds its cells.
MOST_DIMENSIONS = 16
_FLAGS = ("small_micro", "outcomes", "outcomes_to_bureau", "city_totals")
_TERMS = ("currency", "dimensions", "due_days", "least_plausible", "months", "most_plausible", *_FLAGS)
_KEYS = {"version", *_TERMS}


def terms_row(agreement_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the reporting_terms table that a terms file describes. Raises Invalid, naming the key that is wrong.

    Args:
        values: the file's keys, amounts in the hundredth part of the currency's unit:
            version, dimensions ("total" not among them), currency, months (1, 3 or 12), due_days (after the period's
            end), least_plausible and most_plausible (of a mean loan, or a single one), outcomes (single loans with
            consent are taken), outcomes_to_bureau (the bureau may see them), city_totals (the bank gets the city's
            totals), small_micro (figures of small and micro enterprises are wanted: a size class must be among the
            dimensions).
    """
    _require(set(values) == _KEYS, "keys", f"missing or unknown: {', '.join(sorted(set(values) ^ _KEYS))}")
    _require(_is_number(values["version"], 1, 1 << 31), "version", "a number from 1 on")
    for flag in _FLAGS:
        _require(isinstance(values[flag], bool), flag, "true or false")
    _check_dimensions(values["dimensions"], small_micro=values["small_micro"])
    currency = values["currency"]
    known = isinstance(currency, str) and currency in CURRENCIES
    _require(known, "currency", f"an ISO 4217 code, one of {', '.join(sorted(CURRENCIES))}")
    _require(values["months"] in (1, 3, 12) and type(values["months"]) is int, "months", "1, 3 or 12")
    _require(_is_number(values["due_days"], 1, MOST_DUE_DAYS), "due_days", f"1 to {MOST_DUE_DAYS}")
    least, most = values["least_plausible"], values["most_plausible"]
    amounts = _is_number(least, 1, MAX_SUM) and _is_number(most, 1, MAX_SUM) and least < most
    _require(amounts, "least_plausible", "from 1 on, and less than most_plausible: both in hundredths, fen for CNY")
    given = values["outcomes"] or not values["outcomes_to_bureau"]
    _require(given, "outcomes_to_bureau", "single loans that are not taken cannot be shown to the bureau")
    terms = {key: values[key] for key in _TERMS} | {"dimensions": sorted(values["dimensions"])}
    return {"agreement_id": agreement_id, "version": values["version"], "terms": canonical_json(terms)}


def _check_dimensions(dimensions: Any, *, small_micro: bool) -> None:
    words = isinstance(dimensions, list) and all(isinstance(name, str) for name in dimensions)
    _require(words and dimensions, "dimensions", 'a list of names, such as "grade" or "size/GXB300"')
    once = len(set(dimensions)) == len(dimensions) and TOTAL not in dimensions
    _require(once, "dimensions", 'each once; "total" is in every table and not named')
    _require(len(dimensions) <= MOST_DIMENSIONS, "dimensions", f"at most {MOST_DIMENSIONS}")
    for name in dimensions:
        try:
            check_dimension(name)
        except Invalid as error:
            raise Invalid(f"dimensions: {name!r:.60} is none", basis="reporting.terms") from error
    rates = sum(name.startswith("rate/") for name in dimensions)
    _require(rates <= 1, "dimensions", "one by rate: bands of another within them would tell a single enterprise")
    sized = any(name.startswith("size/") for name in dimensions)
    _require(
        sized or not small_micro,
        "dimensions",
        "figures of small and micro enterprises need a size class with the code of its definition, such as size/GXB300",
    )


def _is_number(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _require(holds: object, key: str, explanation: str) -> None:
    if not holds:
        raise Invalid(f"{key}: {explanation}", basis="reporting.terms")


def check_next(row: Row, known: Row | None) -> None:
    """Raises Conflict unless the terms have the next version: two changes at once are told apart."""
    version = known["version"] if known is not None else 0
    if row["version"] != version + 1:
        raise Conflict(
            f"version {version} is in force: the next is {version + 1}, not {row['version']}"
            if version
            else f"the agreement has no terms yet: they begin with version 1, not {row['version']}",
            basis="reporting.version",
        )


def terms_of(row: Row) -> lending_service_pb2.ReportingTerms:
    values = json.loads(row["terms"])
    del values["small_micro"]
    return lending_service_pb2.ReportingTerms(
        agreement_id=row["agreement_id"], version=row["version"], **values
    )


def check_covers(agreement: Row | None, party: str, period: lending_pb2.LendingPeriod, day: date) -> None:
    """What was lent while an agreement was in force may be reported, and is owed, when its last day has passed: so it
    must have been in force on some day of the period, or be on the day of the report. One that a person suspended
    or ended takes nothing: end it when its last table is in.

    Args:
        day: of the report, in China.

    Raises NotEntitled, as `gateway.rules.entitlement.check_in_force`.
    """
    check_in_force(agreement, party, _begin_of_cover(agreement, period) or day)


def wants(agreement: Row, terms: lending_service_pb2.ReportingTerms, period: lending_pb2.LendingPeriod) -> bool:
    """Whether a table of this period is owed under the agreement."""
    covered = _begin_of_cover(agreement, period) is not None
    return bool(agreement["state"] == "IN_FORCE") and terms.months == period.months and covered


def in_force(agreement: Row, day: date) -> bool:
    """Whether the agreement is in force on a day, in China."""
    try:
        check_in_force(agreement, agreement["party"], day)
    except NotEntitled:
        return False
    return True


def reportable(told: Sequence[tuple[Row, Row]], day: date) -> list[Row]:
    """Terms under which a bank may report on a day: of its agreements in force; where none is, of those whose last day
    has passed, since their last table comes behind it.

    Args: told — agreements of one bank, with their terms.
    """
    now = [terms for agreement, terms in told if in_force(agreement, day)]
    return now or [
        terms
        for agreement, terms in told
        if agreement["state"] == "IN_FORCE" and date.fromisoformat(agreement["valid_until"]) < day
    ]


def _begin_of_cover(agreement: Row | None, period: lending_pb2.LendingPeriod) -> date | None:
    """The first day of the period on which the agreement is in force by its dates."""
    if agreement is None:
        return None
    begin = max(date.fromisoformat(agreement["valid_from"]), first_day(period))
    end = min(date.fromisoformat(agreement["valid_until"]), last_day(period))
    return begin if begin <= end else None


def due_on(terms: lending_service_pb2.ReportingTerms, period: lending_pb2.LendingPeriod) -> date:
    """The last day on which a table is in time."""
    return last_day(period) + timedelta(days=terms.due_days)
