"""What makes each document about lending valid, for sender and receiver alike. Pure.

Rules are named in lending.proto. Explanations quote no taxpayer data. Which cell a row belongs to, and what it adds,
stands in `xinyi.margins`.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable
from datetime import date
from functools import lru_cache
from itertools import pairwise

from xinyi import identifiers
from xinyi.days import DAY_MS, day_of
from xinyi.errors import Invalid, UsageInvalid
from xinyi.fields import (
    FIRST_YEAR,
    LAST_YEAR,
    check_date,
    check_digest,
    check_holder,
    check_name,
    check_no_identifier,
    check_party,
    check_rule,
    check_sentence,
    check_time,
    holds_identifier,
    is_text,
    require,
)
from xinyi.margins import ADDITIVE, SIZES, SUMS, TOTAL, check_dimension, check_value, is_empty
from xinyi.v1 import edition_pb2, lending_pb2, records_pb2

MAX_OUTCOMES = 16_777_216
#: What a lane of a table's tree holds, and a sum in a database.
MAX_SUM = (1 << 63) - 1
#: Most hundredths of a loan in a table, of a sum of a table, of an event of a single loan: nobody's word makes more
#: count, so that no bank brings a city's sums near MAX_SUM. A wrong unit mostly stays below, and is asked about.
MAX_LOAN, MAX_TABLE, MAX_EVENT = 10**15, 10**17, 10**13
#: Cells of a table, so that its tree and its place in a database stay small.
MAX_CELLS = 4096
MAX_SAMPLE = 10_000
MAX_NAMED = 10_000
#: Authorisations are judged by the day of a batch's issue: behind it, its upload begins, and it is recorded, so soon.
BEGUN_WITHIN_MS, RECORDED_WITHIN_MS = 3 * DAY_MS, 10 * DAY_MS
SCOPES = ("lending-outcomes", "public-record")

_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DISTRICT = re.compile(r"[0-9]{6}")
#: ISO 4217 codes that are taken: of currencies in which loans are made here, each of hundredths. Amounts are counted in
#: these, so none without them (JPY, KRW) or with thousandths (KWD) may be added.
CURRENCIES = frozenset(
    (
        "AED", "AUD", "BRL", "CAD", "CHF", "CNY", "DKK", "EUR", "GBP", "HKD", "IDR", "INR", "KZT", "MOP", "MXN", "MYR",
        "NOK", "NZD", "PHP", "PLN", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR",
    )
)  # fmt: skip
_INDUSTRY = re.compile(r"[A-T]")
_ENCODING = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,39}")
_HOLDS: dict[int, Callable[[str], bool]] = {
    records_pb2.IDENTIFIER_KIND_USCC: identifiers.is_uscc,
    records_pb2.IDENTIFIER_KIND_OLD_TAXPAYER_NUMBER: identifiers.is_old_taxpayer_number,
    records_pb2.IDENTIFIER_KIND_REGISTRATION_NUMBER: identifiers.is_registration_number,
}
_GRADES = frozenset(records_pb2.Grade.values()) - {records_pb2.GRADE_UNSPECIFIED}
_STAGES = frozenset(lending_pb2.Stage.values()) - {lending_pb2.STAGE_UNSPECIFIED}
_UNITS = frozenset(lending_pb2.SampleUnit.values()) - {lending_pb2.SAMPLE_UNIT_UNSPECIFIED}
_GUARANTEES = frozenset(lending_pb2.Guarantee.values())
_FIRST_TIMES = frozenset(lending_pb2.FirstTime.values())
_CLASSES = frozenset(lending_pb2.LoanClass.values())
_OUTCOMES = frozenset(edition_pb2.RowOutcome.values()) - {edition_pb2.ROW_OUTCOME_UNSPECIFIED}


# Periods


def check_lending_period(period: lending_pb2.LendingPeriod, basis: str) -> None:
    months = period.months
    require(months in (1, 3, 12), basis, "a period is a month, a quarter or a year")
    in_range = FIRST_YEAR <= period.year <= LAST_YEAR
    require(in_range, basis, f"a period lies in the years {FIRST_YEAR} to {LAST_YEAR}")
    begins = 1 <= period.month <= 12 and (period.month - 1) % months == 0
    require(begins, basis, "no period begins with that month")


def first_day(period: lending_pb2.LendingPeriod) -> date:
    return date(period.year, period.month, 1)


def last_day(period: lending_pb2.LendingPeriod) -> date:
    month = period.month + period.months - 1
    return date(period.year, month, calendar.monthrange(period.year, month)[1])


def period_name(period: lending_pb2.LendingPeriod) -> str:
    """ "2018-Q1", "2018-03" or "2018"."""
    if period.months == 12:
        return f"{period.year}"
    if period.months == 3:
        return f"{period.year}-Q{(period.month + 2) // 3}"
    return f"{period.year}-{period.month:02d}"


def parse_period(text: str) -> lending_pb2.LendingPeriod:
    """The inverse of `period_name`, as a person types it. Raises UsageInvalid."""
    match = re.fullmatch(r"([0-9]{4})(?:-(?:Q([1-4])|([0-9]{2})))?", text)
    if match is None:
        raise UsageInvalid(f"{text!r:.40} is no period: 2018-Q1, 2018-03 or 2018", basis="lending.period")
    year, quarter, month = match.groups()
    if quarter:
        period = lending_pb2.LendingPeriod(year=int(year), month=int(quarter) * 3 - 2, months=3)
    else:
        period = lending_pb2.LendingPeriod(year=int(year), month=int(month or 1), months=1 if month else 12)
    try:
        check_lending_period(period, "lending.period")
    except Invalid as error:
        raise UsageInvalid(f"{text!r:.40}: {error.explanation}", basis=error.basis) from error
    return period


# Loans and rows


@lru_cache(maxsize=65_536)
def check_taxpayer(identifier: str, kind: int, basis: str) -> None:
    require(
        kind in _HOLDS and _HOLDS[kind](identifier), basis, "the identifier does not hold as one of its kind"
    )


def check_reference(text: str, basis: str) -> None:
    """A pseudonymous name that the bank gave."""
    if _REFERENCE.fullmatch(text) is None:
        raise Invalid('1 to 64 letters, digits, "-", "." and "_" are needed', basis=basis)
    if holds_identifier(text):
        raise Invalid("it holds what reads as an identifier: use a number that tells nothing", basis=basis)


def check_product(product: str, basis: str) -> None:
    """A code that the bank gave: it becomes a table's cell, and so the log's and other banks'."""
    check_name(product, basis)
    if holds_identifier(product):
        raise Invalid("it holds what reads as an identifier: a product is named by a word", basis=basis)


def check_currency(currency: str, basis: str) -> None:
    require(
        currency in CURRENCIES,
        basis,
        f"no ISO 4217 code of a currency with hundredths that is known here: {', '.join(sorted(CURRENCIES))}",
    )


def check_loan(loan: lending_pb2.Loan) -> None:
    check_reference(loan.reference, "loan.reference")
    _check_terms(
        loan.product, loan.guarantee, loan.industry, loan.district, loan.first_time, loan.currency, loan.branch
    )
    _check_sizes(tuple([(size.definition, size.size) for size in loan.sizes]))
    if loan.annual_rate_bp > 10_000:
        raise Invalid("more than 100 % a year", basis="loan.rate")
    if not 1 <= loan.term_months <= 1200 and loan.HasField("term_months"):
        raise Invalid("1 to 1,200 months", basis="loan.term")
    if loan.HasField("reliance"):
        _check_reliance(loan.reliance)


@lru_cache(maxsize=8192)
def _check_terms(
    product: str, guarantee: int, industry: str, district: str, first_time: int, currency: str, branch: str
) -> None:
    """What many loans have in common: the same few are checked once."""
    check_product(product, "loan.product")
    require(guarantee in _GUARANTEES, "loan.guarantee", "an unknown guarantee")
    require(not industry or _INDUSTRY.fullmatch(industry) is not None, "loan.industry", "a letter A to T")
    require(not district or _DISTRICT.fullmatch(district) is not None, "loan.district", "six digits")
    require(first_time in _FIRST_TIMES, "loan.first_time", "an unknown value")
    check_currency(currency, "loan.currency")
    if branch:
        check_reference(branch, "loan.branch")


@lru_cache(maxsize=1024)
def _check_sizes(sizes: tuple[tuple[str, str], ...]) -> None:
    definitions = [definition for definition, _ in sizes]
    require(
        definitions == sorted(set(definitions)), "loan.sizes", "size classes are not ascending by definition"
    )
    for definition, size in sizes:
        require(size in SIZES.get(definition, ()), "loan.sizes", "no size class of that definition")


def _check_reliance(reliance: lending_pb2.Reliance) -> None:
    if not len(reliance.manifest_digest) == len(reliance.blinded_key) == len(reliance.commitment) == 32:
        raise Invalid("a digest has 32 bytes", basis="loan.reliance")
    if reliance.grade not in _GRADES or not FIRST_YEAR <= reliance.evaluation_year <= LAST_YEAR:
        raise Invalid("the grade or the year of evaluation is missing or unknown", basis="loan.reliance")


def true_grade(grade: int, evaluation_year: int, told: Iterable[tuple[int, int]]) -> int:
    """What is true of a grade that was relied on; 0 where the taxpayer is not among the records any more.

    A correction that tells another evaluation year speaks of another decision, and leaves this one as it was.

    Args:
        told: (grade, evaluation year) by each CORRECTION behind it, the oldest first; the grade is 0 where it says
            that the taxpayer is gone.
    """
    for corrected, year in told:
        if not corrected or year == evaluation_year:
            grade = corrected
    return grade


def check_firm_lending(firm: lending_pb2.FirmLending) -> None:
    check_taxpayer(firm.taxpayer_id, firm.identifier_kind, "firm.taxpayer")
    references = [row.loan.reference for row in firm.rows]
    ascending = all(before < after for before, after in pairwise(references))
    require(bool(references) and ascending, "firm.rows", "no rows, or not ascending by loan")
    for row in firm.rows:
        check_loan_row(row)


def check_loan_row(row: lending_pb2.LoanRow) -> None:
    check_loan(row.loan)
    require(max(row.granted, row.balance) <= MAX_LOAN, "row.granted", "an amount of more than 10^15")
    require(row.granted > 0 or not row.newly_granted, "row.granted", "newly granted, but nothing was disbursed")
    require(row.loan_class in _CLASSES, "row.loan_class", "an unknown class")
    require(row.loan_class != 0 or not row.balance, "row.loan_class", "a balance without a class")
    given = row.granted or row.balance or row.newly_granted
    require(not row.refused or not given, "row.refused", "refused, and yet something was granted")
    require(not row.recalled or row.loan.HasField("reliance"), "row.recalled", "no grade was relied on")
    require(row.recalled or not row.true_grade, "row.recalled", "a true grade without a recall")
    require(not row.true_grade or row.true_grade in _GRADES, "row.recalled", "an unknown grade")


# Tables


def check_lending_table(table: lending_pb2.LendingTable) -> None:
    """That the cells are those of the rows shows beside the rows only (audit.lending_tree)."""
    check_party(table.bank, "table.bank")
    check_lending_period(table.period, "table.period")
    check_currency(table.currency, "table.currency")
    require(is_text(table.agreement_id, 100), "table.agreement_id", "1 to 100 characters")
    empty = table.rows == 0
    counted = (table.firms == 0) is empty and table.firms <= table.rows <= MAX_OUTCOMES
    require(counted, "table.rows", "rows and firms differ")
    require(len(table.root) == (0 if empty else 32), "table.root", "a root has 32 bytes; none without rows")
    _check_margins(table)
    _check_source(table.source, "table.source")
    if table.corrects or table.reason:
        check_digest(table.corrects, "table.corrects")
        check_sentence(table.reason, "table.corrects")
    rules = [(count.rule, count.outcome) for count in table.rules]
    require(all(a < b for a, b in pairwise(rules)), "table.rules", "rules are not ascending")
    for count in table.rules:
        check_rule(count.rule, "table.rules")
        require(count.outcome in _OUTCOMES and count.rows >= 1, "table.rules", "no outcome, or no rows")
    check_holder(table.issued_by, "table.issued_by", party=table.bank)
    check_time(table.issued_at_ms, "table.issued_at")
    require(day_of(table.issued_at_ms) > last_day(table.period), "table.issued_at", "the period is not over")


def _check_source(source: edition_pb2.SourceFile, basis: str) -> None:
    """What is told of the rows' origin; nothing has to be."""
    digests = {len(source.sha256), len(source.profile_sha256)} <= {0, 32}
    known = not source.encoding or _ENCODING.fullmatch(source.encoding) is not None
    require(digests and known, basis, "the source is not described")


def _check_margins(table: lending_pb2.LendingTable) -> None:
    dimensions = [margin.dimension for margin in table.margins]
    if table.rows == 0:
        require(not dimensions, "table.margins", "cells without rows")
        return
    others = dimensions[1:]
    ordered = dimensions[:1] == [TOTAL] and others == sorted(set(others)) and TOTAL not in others
    require(ordered, "table.margins", '"total" comes first, the others ascending')
    require(sum(len(margin.cells) for margin in table.margins) <= MAX_CELLS, "margin.cells", "more than 4,096 cells")
    for margin in table.margins:
        check_dimension(margin.dimension)
        values = [cell.value for cell in margin.cells]
        require(bool(values) and values == sorted(set(values)), "margin.cells", "no cells, or not ascending")
        for cell in margin.cells:
            check_value(margin.dimension, cell.value)
            check_sums(cell.sums)
            require(_within(cell.sums, table), "margin.sums", "more loans or enterprises than the table has")
            told = margin.dimension == TOTAL or not is_empty(cell.sums)
            require(told, "margin.cells", "a cell in which nothing is")


def _within(sums: lending_pb2.LendingSums, table: lending_pb2.LendingTable) -> bool:
    """No row is newly granted and refused."""
    rows = max(sums.loans + sums.refused, sums.outstanding_loans + sums.refused)
    firms = max(sums.firms, sums.outstanding_firms, sums.refused_firms)
    return rows <= table.rows and firms <= table.firms


def check_sums(sums: lending_pb2.LendingSums) -> None:
    """Every enterprise has a loan, every loan an amount, and what is bad is outstanding."""
    groups = (
        (sums.firms, sums.loans), (sums.outstanding_firms, sums.outstanding_loans), (sums.bad_firms, sums.bad_loans),
        (sums.refused_firms, sums.refused), (sums.loans, sums.granted), (sums.outstanding_loans, sums.balance),
        (sums.bad_loans, sums.bad_balance), (sums.bad_loans, sums.outstanding_loans),
        (sums.bad_firms, sums.outstanding_firms), (sums.bad_balance, sums.balance),
    )  # fmt: skip
    require(all(few <= many for few, many in groups), "margin.sums", "more enterprises than loans, or the like")
    counted = (
        (sums.loans, sums.firms), (sums.outstanding_loans, sums.outstanding_firms), (sums.bad_loans, sums.bad_firms),
        (sums.refused, sums.refused_firms),
    )  # fmt: skip
    both = all(bool(loans) == bool(firms) for loans, firms in counted)
    require(both, "margin.sums", "loans without an enterprise")
    most = max(getattr(sums, field.name) for field in sums.DESCRIPTOR.fields)
    require(most <= MAX_TABLE, "margin.sums", "a sum of more than 10^17")


def find_shortfalls(table: lending_pb2.LendingTable) -> list[tuple[str, str]]:
    """(dimension, sum) where cells do not come to the total's. A question to the bank, not a broken rule.

    An enterprise is counted once in each cell that its loans are in, and in the total: so no cell has more of them
    than the total, and all together not fewer.
    """
    if not table.margins:
        return []
    total = table.margins[0].cells[0].sums
    found = []
    for margin in table.margins:
        for name in SUMS:
            cells, whole = [getattr(cell.sums, name) for cell in margin.cells], getattr(total, name)
            if sum(cells) != whole if name in ADDITIVE else not max(cells) <= whole <= sum(cells):
                found.append((margin.dimension, name))
    return found


# Single loans


def check_authorisation(authorisation: lending_pb2.Authorisation, day: date) -> None:
    """Args: day — on which the row is sent: the consent comes before."""
    check_digest(authorisation.digest, "authorisation.digest")
    _check_validity(authorisation.scope, authorisation.valid_from, authorisation.valid_to, day)


@lru_cache(maxsize=8192)
def _check_validity(scope: str, valid_from: str, valid_to: str, day: date) -> None:
    require(scope in SCOPES, "authorisation.scope", f"the scope is one of {', '.join(SCOPES)}")
    check_date(valid_from, "authorisation.validity")
    check_date(valid_to, "authorisation.validity")
    valid = valid_from <= day.isoformat() <= valid_to
    require(valid, "authorisation.validity", "the authorisation is not valid on the day of the report")


def check_outcome(outcome: lending_pb2.LendingOutcome) -> None:
    """All but its authorisation, which is a rule of law (`check_authorisation`)."""
    stage = outcome.stage
    check_reference(outcome.outcome_id, "outcome.id")
    check_taxpayer(outcome.taxpayer_id, outcome.identifier_kind, "outcome.taxpayer")
    check_loan(outcome.loan)
    if stage not in _STAGES:
        raise Invalid("the stage is missing or unknown", basis="outcome.stage")
    check_date(outcome.event_date, "outcome.event_date")
    if max(outcome.amount, outcome.credit_line, outcome.balance) > MAX_EVENT:
        raise Invalid("an amount of more than 10^13", basis="outcome.amount")
    if stage == lending_pb2.STAGE_DISBURSED and not outcome.amount:
        raise Invalid("disbursed, but no amount", basis="outcome.amount")
    if outcome.loan_class not in _CLASSES:
        raise Invalid("an unknown class", basis="outcome.loan_class")
    if outcome.reason_code:
        require(stage == lending_pb2.STAGE_REJECTED, "outcome.reason_code", "a reason without a refusal")
        check_name(outcome.reason_code, "outcome.reason_code")
    if outcome.corrects:
        check_reference(outcome.corrects, "outcome.corrects")
        require(outcome.corrects != outcome.outcome_id, "outcome.corrects", "it names itself")
    elif outcome.voids:
        raise Invalid("what it voids is not named", basis="outcome.corrects")


def check_outcome_batch(batch: lending_pb2.OutcomeBatch) -> None:
    check_party(batch.bank, "batch.bank")
    check_name(batch.number, "batch.number")
    check_no_identifier(batch.number, "batch.number")
    require(is_text(batch.agreement_id, 100), "batch.agreement_id", "1 to 100 characters")
    require(1 <= batch.count <= MAX_OUTCOMES, "batch.count", "1 to 16,777,216 outcomes")
    check_digest(batch.root, "batch.root")
    chunks = -(-batch.count // 1024)
    require(len(batch.chunk_roots) == chunks, "batch.root", "not a root for each chunk")
    for root in batch.chunk_roots:
        check_digest(root, "batch.root")
    _check_source(batch.source, "batch.source")
    check_holder(batch.issued_by, "batch.issued_by", party=batch.bank)
    check_time(batch.issued_at_ms, "batch.issued_at")


def check_issue(batch: lending_pb2.OutcomeBatch, now_ms: int, within_ms: int = RECORDED_WITHIN_MS) -> None:
    """By the clock of who takes it in; the bank's own may be ahead by a day. An old date would revive a consent."""
    ahead = batch.issued_at_ms > now_ms + DAY_MS
    require(not ahead, "batch.issued_at", "the batch is from the future: its clock is wrong")
    late = f"issued more than {within_ms // DAY_MS} days ago: seal it anew, with authorisations that are valid today"
    require(batch.issued_at_ms >= now_ms - within_ms, "batch.issued_at", late)


def check_lending_answer(answer: lending_pb2.LendingAnswer) -> None:
    check_digest(answer.document, "lending_answer.document")
    named = list(answer.outcome_ids)
    ascending = all(before < after for before, after in pairwise(named))
    require(ascending and len(named) <= MAX_NAMED, "lending_answer.outcomes", "not ascending, or too many")
    for outcome_id in named:
        check_reference(outcome_id, "lending_answer.outcomes")
    check_sentence(answer.reason, "lending_answer.reason")
    check_holder(answer.answered_by, "lending_answer.answered_by", person=True)
    check_time(answer.answered_at_ms, "lending_answer.answered_at")


# Challenges, statistics


def check_challenge(challenge: lending_pb2.Challenge) -> None:
    """That the checkpoint is the log's shows beside its key only."""
    check_digest(challenge.table, "challenge.table")
    check_party(challenge.bank, "challenge.bank")
    require(challenge.unit in _UNITS, "challenge.unit", "the unit is missing or unknown")
    require(1 <= challenge.size <= MAX_SAMPLE, "challenge.size", "1 to 10,000 units")
    require(0 < len(challenge.checkpoint) <= 4096, "challenge.checkpoint", "no checkpoint")
    check_date(challenge.due_on, "challenge.due_on")
    check_holder(challenge.asked_by, "challenge.asked_by", person=True)
    check_sentence(challenge.purpose, "challenge.purpose")
    check_time(challenge.asked_at_ms, "challenge.asked_at")


def check_challenge_answer(answer: lending_pb2.ChallengeAnswer) -> None:
    check_digest(answer.challenge, "challenge_answer.challenge")
    check_digest(answer.opening, "challenge_answer.opening")
    require(answer.rows >= 1, "challenge_answer.rows", "no rows")
    check_holder(answer.answered_by, "challenge_answer.answered_by")
    check_time(answer.answered_at_ms, "challenge_answer.answered_at")


def check_statistics_receipt(receipt: lending_pb2.StatisticsReceipt) -> None:
    check_digest(receipt.statistics, "statistics_receipt.statistics")
    check_holder(receipt.signed_by, "statistics_receipt.signed_by")
    check_time(receipt.signed_at_ms, "statistics_receipt.signed_at")
