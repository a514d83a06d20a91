"""What an identifier in somebody's table is taken for, and the rules it breaks. Never a guess: what the column does not
say is for a person to decide.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapters.tables.reading import NumberCell
from xinyi import identifiers
from xinyi.identifiers import Reading
from xinyi.v1 import records_pb2

KINDS = {
    Reading.USCC: records_pb2.IDENTIFIER_KIND_USCC,
    Reading.OLD_TAXPAYER_NUMBER: records_pb2.IDENTIFIER_KIND_OLD_TAXPAYER_NUMBER,
    Reading.REGISTRATION_NUMBER: records_pb2.IDENTIFIER_KIND_REGISTRATION_NUMBER,
}
_OLD, _REGISTRATION = Reading.OLD_TAXPAYER_NUMBER, Reading.REGISTRATION_NUMBER
_BOTH = _OLD | _REGISTRATION
#: (what the column is declared as, what the number can be) → (taken as, rule).
_FIFTEEN = {
    ("taxpayer_number", _OLD): (_OLD, "id.old_number"),
    ("taxpayer_number", _BOTH): (_OLD, "id.two_readings"),
    ("taxpayer_number", _REGISTRATION): (_REGISTRATION, "id.registration_number"),
    ("registration_number", _OLD): (_OLD, "id.taxpayer_number"),
    ("registration_number", _BOTH): (_REGISTRATION, "id.two_readings"),
    ("registration_number", _REGISTRATION): (_REGISTRATION, ""),
    ("undeclared", _OLD): (_OLD, "id.old_number"),
    ("undeclared", _BOTH): (_OLD, "id.ambiguous"),
    ("undeclared", _REGISTRATION): (_REGISTRATION, ""),
}
_FIFTEEN_GROUPS = {_OLD: "old", _BOTH: "both", _REGISTRATION: "registration", Reading.NONE: "neither"}


def identify(raw: str, identifier: str, declared: str) -> tuple[Reading, list[str], str]:
    """(as what it is taken, rules, group).

    Args: raw — the cell; identifier — normalised; declared — as what the profile declares the column.
    """
    if isinstance(raw, NumberCell) or identifiers.is_spreadsheet_number(identifier):
        person = ["person.identifier"] if identifiers.may_have_been_resident(identifier) else []
        return Reading.NONE, [*person, "id.spreadsheet_number"], "person" if person else "number"
    if not identifier:
        return Reading.NONE, ["id.missing"], "none"
    if identifiers.is_resident_like(identifier):
        return Reading.NONE, ["person.identifier"], "person"
    found = identifiers.readings(identifier)
    if len(identifier) == 18:
        rule, group = _uscc_rule(identifier, found)
    elif len(identifier) == 15:
        group = _FIFTEEN_GROUPS[found]
        found, rule = _FIFTEEN.get((declared, found), (found, "id.fifteen_check"))
    else:
        rule, group = "id.length", "other"
    rules = ["id.normalised"] if raw != identifier else []
    return found, [*rules, rule] if rule else rules, group


def _uscc_rule(identifier: str, found: Reading) -> tuple[str, str]:
    if found:
        holds = identifiers.is_organisation_code(identifiers.organisation_code(identifier))
        return "" if holds else "id.uscc_organisation", "uscc"
    if identifiers.has_uscc_form(identifier):
        return "id.uscc_check", "uscc_check"
    return "id.uscc_form", "uscc_form"


def find_doubtful(ids: Sequence[str]) -> set[int]:
    """Positions of all that are not surely USCCs of organisations, with the right code inside."""
    doubtful = identifiers.find_wrong_usccs(ids)
    valid = list(ids)
    for i in doubtful:
        valid[i] = _SOME_USCC
    doubtful |= identifiers.find_wrong_organisations(valid)
    # A resident number begins with 1 to 8 and has a century where the USCC ends its division code.
    doubtful.update(
        i
        for i, identifier in enumerate(valid)
        if identifier[0] < "9" and identifier[6:8] in _CENTURIES and identifiers.is_resident_like(identifier)
    )
    return doubtful


#: Stands where a column must hold valid ones alone.
_SOME_USCC = "91000000000000000" + identifiers.uscc_check_character("91000000000000000")
_CENTURIES = ("19", "20", "21")
