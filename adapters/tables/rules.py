"""What can become of a row of a table, and the rules by which its identifier is read (identity.py) for bureau and bank.

The names stand in sealed documents: a rule never changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

from xinyi.v1 import edition_pb2

ACCEPTED = edition_pb2.ROW_OUTCOME_ACCEPTED
WARNED = edition_pb2.ROW_OUTCOME_WARNED
QUARANTINED = edition_pb2.ROW_OUTCOME_QUARANTINED
REJECTED = edition_pb2.ROW_OUTCOME_REJECTED
WITHHELD = edition_pb2.ROW_OUTCOME_WITHHELD
OUTCOMES = (ACCEPTED, WARNED, QUARANTINED, REJECTED, WITHHELD)


@dataclass(frozen=True)
class Rule:
    outcome: edition_pb2.RowOutcome
    #: What is wrong, and what to do about it, for the operator.
    says: str
    #: Article it rests on, where it is one of law.
    basis: str = ""


READING_RULES = {
    "row.columns": Rule(REJECTED, "the row has another number of cells than the heading"),
    "id.missing": Rule(REJECTED, "no identifier"),
    "id.spreadsheet_number": Rule(REJECTED, "a spreadsheet made a number of the identifier: format as text"),
    "id.normalised": Rule(WARNED, "full-width characters, blanks or lower case in the identifier were mended"),
    "id.uscc_form": Rule(REJECTED, "18 characters, but not the form of a USCC"),
    "id.uscc_check": Rule(REJECTED, "the check character of the USCC is wrong"),
    "id.uscc_organisation": Rule(WARNED, "the USCC holds, the organisation code inside it does not"),
    "id.old_number": Rule(WARNED, "old 15-character taxpayer number"),
    "id.two_readings": Rule(WARNED, "old taxpayer number that could also be read as a registration number"),
    "id.ambiguous": Rule(QUARANTINED, "taxpayer number or registration number: the column does not say"),
    "id.registration_number": Rule(QUARANTINED, "a registration number in a column of taxpayer numbers"),
    "id.taxpayer_number": Rule(QUARANTINED, "a taxpayer number in a column of registration numbers"),
    "id.fifteen_check": Rule(REJECTED, "15 characters that are no taxpayer and no registration number"),
    "id.length": Rule(REJECTED, "neither 15 nor 18 characters"),
}


def outcome_word(outcome: edition_pb2.RowOutcome) -> str:
    """ "accepted", "warned", …"""
    return edition_pb2.RowOutcome.Name(outcome).removeprefix("ROW_OUTCOME_").lower()
