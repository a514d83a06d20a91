"""Made-up parties and subjects of the vectors. All identifiers are of the division 990100, which does not exist."""

from __future__ import annotations

from typing import Any

from xinyi.identifiers import organisation_check_character, uscc_check_character

BUREAU, BANK = "demo-city/tax-bureau", "demo-city/bank-1"
LI_WEI, MACHINE = f"xinyi://{BUREAU}/person/li-wei", f"xinyi://{BANK}/machine/main"
TIME = 1_541_030_400_000

#: What a case changes in a valid message. None clears the field.
Change = dict[str, Any]


def uscc(number: int = 1, first: str = "91") -> str:
    """A code that holds, of the division 990100, which does not exist."""
    organisation = f"{number:08d}"
    head = f"{first}990100{organisation}{organisation_check_character(organisation)}"
    return head + uscc_check_character(head)


def old_number(number: int = 1) -> str:
    organisation = f"{number:08d}"
    return f"990100{organisation}{organisation_check_character(organisation)}"
