"""What can become of a row of a loan file, by rule. The names stand in sealed tables: a rule never changes its meaning.

ACCEPTED and WARNED rows are reported. QUARANTINED: may be right, somebody has to decide. REJECTED: cannot be right as
it stands, or may not leave. WITHHELD: about a natural person; nothing but row, rule and a mask is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from adapters.tables.rules import ACCEPTED, QUARANTINED, READING_RULES, REJECTED, WARNED, WITHHELD, Rule
from xinyi.v1 import edition_pb2

RULE_SET = "loan-rules/1"

#: A single loan may leave the bank with the borrower's consent alone.
CONSENT = "outcome.authorisation"
CONSENT_BASIS = "征信业管理条例 art. 29 ¶2"

RULES = {
    **READING_RULES,
    "person.identifier": Rule(WITHHELD, "the identifier is, or may be, a natural person's: leave its loans out"),
    "loan.reference": Rule(
        REJECTED,
        "the loan's number is missing, holds what reads as an identifier, or is not 1 to 64 letters, digits, "
        '"-", "." and "_"',
    ),
    "loan.product": Rule(
        REJECTED,
        "no word for this product stands in the profile, or it holds what reads as an identifier: is the column the "
        "right one?",
    ),
    "loan.guarantee": Rule(REJECTED, "no word for this guarantee stands in the profile"),
    "loan.sizes": Rule(REJECTED, "no word for this size stands in the profile"),
    "loan.industry": Rule(REJECTED, "the industry is no letter A to T (GB/T 4754)"),
    "loan.district": Rule(REJECTED, "the district has not six digits (GB/T 2260)"),
    "loan.first_time": Rule(REJECTED, "no word for this stands in the profile: yes or no"),
    "loan.rate": Rule(
        REJECTED, "the rate is no number from 0 to 100 % with at most hundredths of a per cent: put it right"
    ),
    "loan.term": Rule(REJECTED, "the term is no whole number of months from 1 to 1,200"),
    "loan.branch": Rule(REJECTED, 'the branch is not 1 to 64 letters, digits, "-", "." and "_"'),
    "loan.currency": Rule(
        REJECTED, "no ISO 4217 code of a currency with hundredths that is known: CNY, and neither RMB nor JPY"
    ),
    "amount.missing": Rule(REJECTED, "an amount is missing: 0 is written where it is 0"),
    "amount.form": Rule(REJECTED, "an amount is no number, negative, or larger than any"),
    "amount.parts": Rule(
        REJECTED, "an amount has parts of a hundredth in its unit (12.345 yuan): nothing is rounded; put it right"
    ),
    "date.form": Rule(REJECTED, "a date fits no format of the profile"),
    "flag.word": Rule(REJECTED, "no word for this stands in the profile: yes or no"),
    "grade.unknown": Rule(REJECTED, "no word for this grade stands in the profile"),
    "row.granted": Rule(REJECTED, "newly granted, but nothing was disbursed"),
    "row.granted_on": Rule(
        REJECTED, "an amount or a balance, but no day of the grant, which says in which period it counts: put it in"
    ),
    "row.after_period": Rule(
        REJECTED,
        "granted or refused after the period's last day: the export is of another period, or the row belongs to a "
        "later one",
    ),
    "row.loan_class": Rule(REJECTED, "no word for this class stands in the profile, or a balance without a class"),
    "row.refused": Rule(REJECTED, "refused, and yet something was granted, or a balance stands"),
    "row.nothing": Rule(WARNED, "nothing granted or refused in the period, and no balance: it is left out"),
    "row.repeated": Rule(QUARANTINED, "this loan stands in the file already: one row a loan"),
    "row.currency": Rule(REJECTED, "another currency than the agreement's: a table has one"),
    "reliance.day": Rule(ACCEPTED, "no day of the grant or refusal, so no grade was relied on"),
    "reliance.none": Rule(ACCEPTED, "no edition held on that day tells of this taxpayer: no grade was relied on"),
    "reliance.gone": Rule(ACCEPTED, "the taxpayer had left the product on that day: no grade was relied on"),
    "reliance.purged": Rule(
        WARNED, "the edition held on that day was purged here before it was read for this: no grade can be shown"
    ),
    "reliance.recalled": Rule(WARNED, "the grade that was relied on was taken back by a correction since"),
    "grade.differs": Rule(WARNED, "the row tells another grade than the edition, whose word counts"),
    "grade.unproven": Rule(WARNED, "the row tells a grade, no edition held on that day does: none was relied on"),
    CONSENT: Rule(
        REJECTED,
        "no authorisation of the borrower that is valid today is cited (digest, scope, from, to): the loan does not "
        "leave the bank",
        CONSENT_BASIS,
    ),
    "outcome.id": Rule(REJECTED, "the event's id is missing or is not of the form of a loan's number"),
    "outcome.stage": Rule(REJECTED, "no word for this stage stands in the profile"),
    "outcome.event": Rule(REJECTED, "the row tells of no event: none of the profile's conditions holds"),
    "outcome.event_date": Rule(
        REJECTED, "no day of an event that the row tells of, or one after the day of the report: put it right"
    ),
    "outcome.amount": Rule(REJECTED, "disbursed, repaid or written off, but no amount"),
    "outcome.status": Rule(
        WARNED, "the row also tells of the day of an event that did not happen by its status, whose word counts"
    ),
    "outcome.reason_code": Rule(REJECTED, "no word for this reason of a refusal stands in the profile"),
    "outcome.days_overdue": Rule(REJECTED, "the days overdue are no whole number"),
    "outcome.repeated": Rule(
        QUARANTINED,
        "an event of this id stands in the file more than once: one id an event. Of the same the first is reported, of "
        "different ones none",
    ),
    "authorisation.shared": Rule(
        WARNED, "the same authorisation is cited for another borrower, too: a signed document is of one; look into it"
    ),
    "outcome.corrects": Rule(REJECTED, "what it corrects or voids is missing, no event's id, or its own"),
}  # fmt: skip

#: Field of words → the rule that a cell breaks whose word no profile knows.
OF_WORD = {
    "guarantee": "loan.guarantee", "first_time": "loan.first_time", "grade": "grade.unknown",
    "newly_granted": "flag.word", "voids": "flag.word", "refused": "flag.word", "loan_class": "row.loan_class",
    "stage": "outcome.stage",
}  # fmt: skip


def outcome_of(rules: Iterable[str]) -> edition_pb2.RowOutcome:
    """The gravest outcome of the rules a row broke; the numbers of RowOutcome ascend with gravity."""
    return _gravest(tuple(rules))


@lru_cache(maxsize=4096)
def _gravest(rules: tuple[str, ...]) -> edition_pb2.RowOutcome:
    return max((RULES[rule].outcome for rule in rules), default=ACCEPTED)
