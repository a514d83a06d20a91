"""What becomes of a bank's table of a period. Pure.

    refused   not what the agreement wants, or its place is taken and it does not name who has it
    HELD      its cells do not add up, or its amounts are not plausible: a question has to be answered first
    COUNTED   one of a bank, period and currency at a time

What counts is named by what takes its place (`corrects`); what is held stands in nobody's way. A table that is counted
takes the place of what counted, and of all that was held: they are CORRECTED. One that is held leaves what counts as
it is, and takes the place of a held one that it names. So which table counts in the end does not depend on how often,
or beside what, anything was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from gateway.rules.reporting import terms_of
from xinyi.errors import Conflict, Invalid, NotEntitled, Unknown
from xinyi.lending import find_shortfalls, last_day, period_name
from xinyi.margins import is_empty
from xinyi.v1 import lending_pb2
from xinyi.v1.lending_service_pb2 import ReportingTerms

Row = Mapping[str, Any]

COUNTED, HELD, CORRECTED = "COUNTED", "HELD", "CORRECTED"
#: Version of the rules below.
RULES = "lending-intake/1"
#: How many times too small, or too large, an amount is in the wrong unit, and which mistake it looks like.
_SMALLER = {10_000: "万元 in a 元 field", 100: "元 in a field of fen", 1_000_000: "万元 in a field of fen"}
_LARGER = {10_000: "元 in a 万元 field", 100: "fen in a 元 field", 1_000_000: "fen in a 万元 field"}


def check_terms(table: lending_pb2.LendingTable, row: Row | None, day: date) -> ReportingTerms:
    """The agreement's reporting terms.

    Args:
        row: of these terms; None where it has none.
        day: of intake, in China.

    Raises Invalid unless the table is such as the agreement wants; NotEntitled where it wants none.
    """
    if row is None:
        raise NotEntitled(
            "nothing is to be reported under this agreement: its reporting terms are not set", basis="lending.terms"
        )
    terms = terms_of(row)
    if table.period.months != terms.months or day <= last_day(table.period):
        raise Invalid(
            f"{period_name(table.period)} is no period of {terms.months} months that is over", basis="lending.period"
        )
    if table.currency != terms.currency:
        raise Invalid(f"the agreement wants {terms.currency}, not {table.currency}", basis="lending.currency")
    told = {margin.dimension for margin in table.margins[1:]}
    # Where nothing was granted, owed or refused there is no cell of any other dimension.
    empty = not table.margins or is_empty(table.margins[0].cells[0].sums)
    wanted = set() if empty else set(terms.dimensions)
    if told != wanted:
        missing, foreign = sorted(wanted - told), sorted(told - wanted)
        raise Invalid(
            f"the dimensions are not those of the agreement (terms version {terms.version}): "
            f"missing {', '.join(missing) or 'none'}; not wanted {', '.join(foreign) or 'none'}",
            basis="lending.dimensions",
        )
    return terms


def check_place(table: lending_pb2.LendingTable, named: Row | None, standing: Iterable[Row]) -> None:
    """Whether the table may take its place.

    Args:
        named: the table that it corrects, if it is here.
        standing: COUNTED and HELD tables of the same bank, period and currency.

    Raises Unknown, Invalid; Conflict, naming the table that counts.
    """
    if table.corrects and (named is None or named["bank"] != table.bank):
        raise Unknown(
            f"the table that it corrects is not here: {table.corrects.hex()}; send that one first, then this again",
            basis="lending.corrects",
        )
    place = (table.period.year, table.period.month, table.period.months, table.currency)
    if named is not None and place != tuple(named[name] for name in ("year", "month", "months", "currency")):
        raise Invalid("it corrects a table of another period or currency", basis="lending.corrects")
    for row in standing:
        if row["state"] == COUNTED and row["document"] != table.corrects:
            raise Conflict(
                f"another table of {period_name(table.period)} in {table.currency} counts and is not named in "
                f"corrects: {row['document'].hex()}. It stands until a table that names it takes its place",
                basis="lending.conflict",
            )


def find_questions(table: lending_pb2.LendingTable, terms: ReportingTerms) -> list[lending_pb2.Question]:
    """Why a table is held; none where it counts."""
    return [*_ask_sums(table), *_ask_amounts(table, terms)]


def _ask_sums(table: lending_pb2.LendingTable) -> list[lending_pb2.Question]:
    missed: dict[str, list[str]] = {}
    for dimension, name in find_shortfalls(table):
        missed.setdefault(dimension, []).append(name)
    return [
        lending_pb2.Question(
            rule="lending.sums",
            basis=RULES,
            text=f"the cells of {dimension} do not come to the total: {', '.join(names)}. Only a corrected table "
            "settles it",
            dimension=dimension,
        )
        for dimension, names in missed.items()
    ]


def _ask_amounts(table: lending_pb2.LendingTable, terms: ReportingTerms) -> list[lending_pb2.Question]:
    """Of the whole; of single cells where the whole is plausible, since one cause makes one question.

    What was granted is judged by the mean loan, or by itself where no loan is new; of balances the mean of the whole.
    """
    if not table.margins:
        return []
    total = table.margins[0].cells[0].sums
    asked = _ask_mean("total", "all", "loan granted", total.granted, total.loans, terms)
    asked += _ask_mean("total", "all", "balance of a loan", total.balance, total.outstanding_loans, terms)
    if asked:
        return asked
    return [
        question
        for margin in table.margins[1:]
        for cell in margin.cells
        for question in _ask_mean(
            margin.dimension, cell.value, "loan granted", cell.sums.granted, cell.sums.loans, terms
        )
    ]


def _ask_mean(
    dimension: str, value: str, what: str, amount: int, loans: int, terms: ReportingTerms
) -> list[lending_pb2.Question]:
    """Compared without rounding: amount < least × loans."""
    loans = loans or int(amount > 0)
    if terms.least_plausible * loans <= amount <= terms.most_plausible * loans:
        return []
    mean, currency = amount // loans, terms.currency
    text = (
        f"the mean {what} in {dimension} {value} is {_amount(mean, currency)}; the agreement has "
        f"{_amount(terms.least_plausible, currency)} to {_amount(terms.most_plausible, currency)} as plausible"
    )
    if mistake := _mistake(amount, loans, terms):
        text += f". It looks like {mistake}"
    return [
        lending_pb2.Question(
            rule="lending.plausible_amount",
            basis=f"{RULES}; reporting terms of agreement {terms.agreement_id}, version {terms.version}",
            text=f"{text}. Send a corrected table, or a person of the bank confirms that it is right",
            dimension=dimension,
            value=value,
            may_be_confirmed=True,
        )
    ]


def _mistake(amount: int, loans: int, terms: ReportingTerms) -> str:
    """Which wrong unit would make it plausible; "" for none."""
    least, most = terms.least_plausible * loans, terms.most_plausible * loans
    for factor, mistake in _SMALLER.items():
        if amount < least <= amount * factor <= most:
            return f"{mistake}, {factor:,} times too small"
    for factor, mistake in _LARGER.items():
        if amount > most and least * factor <= amount <= most * factor:
            return f"{mistake}, {factor:,} times too large"
    return ""


def _amount(hundredths: int, currency: str) -> str:
    return f"{hundredths // 100:,}.{hundredths % 100:02d} {currency}"


def check_answer(
    answer: lending_pb2.LendingAnswer, row: Row, questions: Iterable[lending_pb2.Question]
) -> None:
    """Whether what is held may be made to count by a person's word. Raises Invalid, Conflict."""
    if answer.outcome_ids:
        raise Invalid("of a table no outcomes are named", basis="lending_answer.outcomes")
    if row["state"] != HELD:
        raise Conflict(f"the table is {row['state']}: no question is open", basis="lending.answered")
    firm = sorted({question.rule for question in questions if not question.may_be_confirmed})
    if firm:
        raise Conflict(
            f"{', '.join(firm)} is settled by a corrected table only: send one that names this", basis=firm[0]
        )


def state_at(row: Row, moment_ms: int) -> str:
    """How a table that was recorded until then stood at a moment, in milliseconds since 1970 UTC."""
    if row["replaced_at_ms"] is not None and row["replaced_at_ms"] <= moment_ms:
        return CORRECTED
    counted = row["counted_at_ms"] is not None and row["counted_at_ms"] <= moment_ms
    return COUNTED if counted else HELD
