"""Identifiers of taxpayers: normalise, classify, check. Pure; standard library only.

    USCC                 GB 32100-2015 with its amendment: 18 characters, weights 3^i mod 31
    old taxpayer number  15 characters: division code (6 digits) and organisation code (9, GB 11714)
    registration number  15 digits, GS 15-2006: ISO 7064 mod 11,10
    resident number      18 characters, GB 11643: ISO 7064 mod 11-2. Recognised only to be kept out.

The division code is never a reason to refuse: it is that of the registration, for life.
"""

from __future__ import annotations

import datetime
import re
import sys
import unicodedata
from array import array
from collections.abc import Sequence
from enum import Flag
from operator import mul

#: Alphabet of GB 32100: no I, O, S, V, Z.
ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

_USCC = re.compile(f"[1-9ANY][{ALPHABET}][0-9]{{6}}[{ALPHABET}]{{10}}")
_OLD_TAXPAYER_NUMBER = re.compile(r"[0-9]{6}[0-9A-Z]{8}[0-9X]")
_ORGANISATION = re.compile(r"[0-9A-Z]{8}[0-9X]")
_REGISTRATION = re.compile(r"[0-9]{15}")
_RESIDENT = re.compile(r"[1-8][0-9]{16}[0-9X]")
_SCIENTIFIC = re.compile(r"[0-9]+(?:\.[0-9]+)?E\+?[0-9]+")
_CUT_OFF = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,20}))?(?:E\+?([0-9]{1,2}))?(?![0-9])")
_BLANKS = re.compile(r"\s+")

#: Stands for every character that the alphabet lacks.
_FOREIGN = len(ALPHABET)
_VALUES = bytes(ALPHABET.find(chr(c)) % (_FOREIGN + 1) for c in range(256))
#: The check character counts with weight 1: the whole sum is a multiple of 31.
_USCC_WEIGHTS = (*(pow(3, i, 31) for i in range(17)), 1)
_BASE36 = bytes(int(chr(c), 36) if chr(c).isalnum() and c < 91 else 0 for c in range(256))
#: With the check character (X = 10) at weight 1 the whole sum is a multiple of 11.
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2, 1)
_CHECK_VALUES = bytes(b"0123456789X".find(c) % 256 for c in range(256))
_RESIDENT_WEIGHTS = tuple(pow(2, 17 - i, 11) for i in range(18))

_DEPARTMENTS = bytes(ALPHABET.index(c) for c in "123456789ANY")
_DIGITS = bytes(range(10))
_MULTIPLES_OF_31 = frozenset(range(0, 65536, 31))
_MULTIPLES_OF_11 = frozenset(range(0, 65536, 11))


class Reading(Flag):
    """As what an identifier can be read. A 15-digit number can be two things: about one in ten is."""

    NONE = 0
    USCC = 1
    OLD_TAXPAYER_NUMBER = 2
    REGISTRATION_NUMBER = 4


def normalise(raw: str) -> str:
    """NFKC, no blanks, upper case. The result differs from `raw` exactly where something was mended."""
    return _BLANKS.sub("", unicodedata.normalize("NFKC", raw)).upper()


def readings(identifier: str) -> Reading:
    """Everything a normalised identifier can be, judged by form and check characters."""
    if len(identifier) == 18:
        return Reading.USCC if is_uscc(identifier) else Reading.NONE
    found = Reading.NONE
    if is_old_taxpayer_number(identifier):
        found |= Reading.OLD_TAXPAYER_NUMBER
    if is_registration_number(identifier):
        found |= Reading.REGISTRATION_NUMBER
    return found


def broken_rule(identifier: str) -> str:
    """Why a normalised identifier is none of an enterprise, as a clause; empty where it can be read as one."""
    if readings(identifier):
        return ""
    if not identifier:
        return "it is empty"
    if is_spreadsheet_number(identifier):
        return "a spreadsheet has made a number of it and cut it off"
    if len(identifier) == 15:
        return "as a taxpayer number or registration number its check character is wrong"
    if len(identifier) != 18:
        return f"it has {len(identifier)} characters; a USCC has 18, a taxpayer or registration number 15"
    if has_uscc_form(identifier):
        return "its last character is not the check character of the USCC before it"
    return "it does not have the form of a USCC (a digit, A, N or Y first, six digits at 3 to 8, no I, O, S, V, Z)"


def has_uscc_form(identifier: str) -> bool:
    """Length, alphabet, department; the check character may still be wrong."""
    return _USCC.fullmatch(identifier) is not None


def is_uscc(identifier: str) -> bool:
    if not has_uscc_form(identifier):
        return False
    total: int = sum(map(mul, identifier.encode().translate(_VALUES), _USCC_WEIGHTS))
    return total % 31 == 0


def uscc_check_character(first_seventeen: str) -> str:
    """The character that completes a USCC."""
    values = first_seventeen.encode().translate(_VALUES)
    return ALPHABET[-sum(map(mul, values, _USCC_WEIGHTS)) % 31]


def is_organisation_code(code: str) -> bool:
    """GB 11714: 8 characters and a check character."""
    if not _ORGANISATION.fullmatch(code):
        return False
    return _organisation_sum(code) % 11 == 0


def organisation_check_character(first_eight: str) -> str:
    return "0123456789X"[-_organisation_sum(first_eight) % 11]


def organisation_code(identifier: str) -> str:
    """The organisation code inside a USCC or an old taxpayer number."""
    return identifier[8:17] if len(identifier) == 18 else identifier[6:15]


def is_old_taxpayer_number(identifier: str) -> bool:
    return _OLD_TAXPAYER_NUMBER.fullmatch(identifier) is not None and is_organisation_code(identifier[6:])


def is_registration_number(identifier: str) -> bool:
    if not _REGISTRATION.fullmatch(identifier):
        return False
    state = 10
    for digit in identifier[:14]:
        state = ((state + int(digit)) % 10 or 10) * 2 % 11
    return (state + int(identifier[14])) % 10 == 1


def is_spreadsheet_number(text: str) -> bool:
    """Such as 3.60206556023E+14: a spreadsheet took digits for a number, and the last ones are gone."""
    return _SCIENTIFIC.fullmatch(normalise(text)) is not None


def is_resident_like(identifier: str) -> bool:
    """Whether a normalised identifier may be a natural person's, alone or with a sole trader's suffix.

    18 characters with the right check are taken for a person's even where they pass as a USCC as well
    (one resident number in 31 does), with a wrong check where they do not. The old 15 digits carry no
    check: they count where they are no taxpayer number.
    """
    number = identifier[:18]
    if _RESIDENT.fullmatch(number) and _is_birth_date(number[6:14]):
        values = [10 if c == "X" else int(c) for c in number]
        if sum(map(mul, values, _RESIDENT_WEIGHTS)) % 11 == 1 or not is_uscc(identifier):
            return True
    old = identifier[:15]
    return (
        15 <= len(identifier) <= 17
        and _REGISTRATION.fullmatch(old) is not None
        and old[0] in "12345678"
        and _is_birth_date("19" + old[6:12])
        and readings(old) == Reading.NONE
    )


def may_have_been_resident(text: str) -> bool:
    """Whether a number that a spreadsheet cut off or wrote as 3.70102198001E+17 may be a resident number.

    The last digits are gone, the division and the date of birth are not.
    """
    found = _CUT_OFF.match(text)
    if found is None:
        return False
    whole, digits, exponent = found.groups(default="")
    digits = whole + digits
    length = int(exponent) + len(whole) if exponent else len(digits)
    return (
        length == 18 and len(digits) >= 14 and digits[0] in "12345678" and _is_birth_date(digits[6:14])
    )


def find_wrong_usccs(identifiers: Sequence[str]) -> set[int]:
    """Positions that hold no valid USCC, for thousands at once: a tenth of the time of one after the other.

    Whole columns of characters are multiplied as one big integer with a 16-bit lane per identifier.
    """
    if set(map(len, identifiers)) - {18}:
        right = [i for i, identifier in enumerate(identifiers) if len(identifier) == 18]
        wrong = find_wrong_usccs([identifiers[i] for i in right])
        return set(range(len(identifiers))).difference(right) | {right[i] for i in wrong}
    values = "".join(identifiers).encode("ascii", "replace").translate(_VALUES)
    columns = [values[i::18] for i in range(18)]
    wrong = set()
    at = values.find(_FOREIGN)
    while at >= 0:
        wrong.add(at // 18)
        at = values.find(_FOREIGN, at - at % 18 + 18)
    # Deleting the permitted values must leave nothing.
    for permitted, places in ((_DEPARTMENTS, columns[:1]), (_DIGITS, columns[2:8])):
        for column in places:
            if column.translate(None, permitted):
                wrong.update(i for i, value in enumerate(column) if value not in permitted)
    sums = _weighted_sums(columns, _USCC_WEIGHTS)
    if not _MULTIPLES_OF_31.issuperset(sums):
        wrong.update(i for i, total in enumerate(sums) if total % 31)
    return wrong


def find_wrong_organisations(usccs: Sequence[str]) -> set[int]:
    """Positions of USCCs whose inner organisation code fails GB 11714. All must have 18 ASCII characters."""
    text = "".join(usccs).encode()
    values = text.translate(_BASE36)
    # X stands for 10 in the check place only, for 33 before it.
    checks = text[16::18].translate(_CHECK_VALUES)
    sums = _weighted_sums([*(values[i::18] for i in range(8, 16)), checks], _ORGANISATION_WEIGHTS)
    wrong = {i for i, value in enumerate(checks) if value == 255} if 255 in checks else set()
    if not _MULTIPLES_OF_11.issuperset(sums):
        wrong.update(i for i, total in enumerate(sums) if total % 11)
    return wrong


def _weighted_sums(columns: Sequence[bytes], weights: Sequence[int]) -> Sequence[int]:
    """Σ weight · column, element by element. No lane overflows: 18·30·31 and 48·35 + 255 fit 16 bits."""
    size = len(columns[0])
    total = 0
    for column, weight in zip(columns, weights, strict=True):
        lanes = bytearray(2 * size)
        lanes[::2] = column
        total += int.from_bytes(lanes, "little") * weight
    sums = array("H", total.to_bytes(2 * size, "little"))
    if sys.byteorder == "big":
        sums.byteswap()
    return sums


def _organisation_sum(code: str) -> int:
    values = [*code[:8].encode().translate(_BASE36)]
    if len(code) == 9:
        values.append(10 if code[8] == "X" else int(code[8]))
    return sum(map(mul, values, _ORGANISATION_WEIGHTS))


def _is_birth_date(digits: str) -> bool:
    try:
        born = datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return 1900 <= born.year <= 2100
