"""What can become of a row, by rule. The names stand in sealed manifests: a rule never changes its meaning.

ACCEPTED and WARNED rows become records. QUARANTINED: may be right, somebody has to decide. REJECTED: cannot
be right as it stands. WITHHELD: about a natural person; nothing but row, rule and a mask is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.tables.rules import ACCEPTED, QUARANTINED, READING_RULES, REJECTED, WARNED, WITHHELD, Rule
from xinyi.v1 import edition_pb2

RULE_SET = "grade-rules/3"

#: Of the first row about a taxpayer that stood before, where no row about it decides anything.
KEPT, LOST = "record.kept", "record.lost"

RULES = {
    **READING_RULES,
    "person.identifier": Rule(WITHHELD, "the identifier is, or may be, a natural person's"),
    "person.name": Rule(WITHHELD, "the name is, or may be, a natural person's"),
    "name.missing": Rule(REJECTED, "no name"),
    "name.form": Rule(REJECTED, "the name is longer than 200 characters or has control characters"),
    "office.form": Rule(REJECTED, "the tax office is longer than 200 characters or has control characters"),
    "year.form": Rule(REJECTED, "no evaluation year from 2014 on"),
    "year.later": Rule(QUARANTINED, "the evaluation year comes after the year of the edition"),
    "grade.unknown": Rule(REJECTED, "the grade is missing, or no word for it stands in the profile"),
    "decision.unknown": Rule(REJECTED, "no word for this kind of decision stands in the profile"),
    "date.form": Rule(REJECTED, "a date fits no format of the profile, or a validity ends before it begins"),
    "record.grades_differ": Rule(
        QUARANTINED, "the rows of this identifier carry different grades, or some say gone and some do not"
    ),
    "record.decisions_differ": Rule(QUARANTINED, "the rows of this identifier differ in year, kind or dates"),
    "record.too_many": Rule(QUARANTINED, "this identifier has more names or tax offices than a record holds"),
    "change.unknown": Rule(REJECTED, "no word for this kind of change stands in the profile"),
    "change.not_new": Rule(WARNED, "said to be new, but the taxpayer stood already: taken as a change"),
    "change.not_there": Rule(WARNED, "said to be changed, but the taxpayer did not stand: taken as new"),
    "change.gone_unknown": Rule(REJECTED, "said to be gone, but the taxpayer did not stand"),
    "correction.subject": Rule(
        REJECTED, "the taxpayer did not stand in the corrected edition: nobody was told anything to take back"
    ),
    "correction.left": Rule(
        QUARANTINED, "the taxpayer has left since: say gone to have the record taken back, or new to list it again"
    ),
    KEPT: Rule(QUARANTINED, "the row decides nothing, so the taxpayer's record stands as it was"),
    LOST: Rule(QUARANTINED, "the row decides nothing, so the taxpayer's record is not among these"),
}
#: Rules that what stood before decides on, not the table alone.
OF_STATE = frozenset(name for name in RULES if name.startswith(("change.", "correction.")) and name != "change.unknown")
OF_STATE |= {KEPT, LOST}


def outcome_of(rules: Iterable[str]) -> edition_pb2.RowOutcome:
    """The gravest outcome of the rules a row broke; the numbers of RowOutcome ascend with gravity."""
    return max((RULES[rule].outcome for rule in rules), default=ACCEPTED)
