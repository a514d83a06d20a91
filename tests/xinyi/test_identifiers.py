"""Identifiers against public vectors, python-stdnum, and each other's shortcuts."""

from __future__ import annotations

import csv
import datetime
import random
from pathlib import Path

import pytest
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError
from stdnum.iso7064 import mod_11_10

from xinyi import identifiers
from xinyi.identifiers import Reading

VECTORS = Path(__file__).parents[1] / "data/uscc_test_vectors.csv"
#: Real, public codes.
BAIDU = "91110000600037341L"


def vectors() -> list[dict[str, str]]:
    with VECTORS.open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def made_up(chance: random.Random, first: str = "91") -> str:
    organisation = f"{chance.randrange(10**8):08d}"
    head = f"{first}990100{organisation}{identifiers.organisation_check_character(organisation)}"
    return head + identifiers.uscc_check_character(head)


@pytest.mark.parametrize("vector", vectors(), ids=lambda v: f"{v['input']}-{v['note']}")
def test_public_vectors(vector: dict[str, str]) -> None:
    """Verdicts of GB 32100 on every vector that other libraries' suites hold."""
    mended = identifiers.normalise(vector["input"].replace("-", ""))
    assert identifiers.is_uscc(mended) == (vector["gb32100_verdict_any_first_letter"] == "ok")


def test_agrees_with_stdnum_on_codes_of_digits() -> None:
    """20,000 codes, half of them with one character changed: the same verdict as python-stdnum."""
    chance = random.Random(1)
    for _ in range(20_000):
        code = made_up(chance)
        if chance.random() < 0.5:
            place = chance.randrange(18)
            code = code[:place] + chance.choice(identifiers.ALPHABET + "IOSVZ") + code[place + 1 :]
        try:
            uscc.validate(code)
            expected = True
        except ValidationError:
            expected = False
        # stdnum wants digits in the first eight places; the standard has letters there.
        if code[0] in "123456789" and code[1].isdigit():
            assert identifiers.is_uscc(code) == expected, code


@pytest.mark.parametrize("department", "ANY")
def test_letters_of_departments_are_legal(department: str) -> None:
    """Military, agriculture and other departments: stdnum refuses them, GB 32100 with its amendment does not."""
    code = made_up(random.Random(2), department + "1")
    assert identifiers.is_uscc(code)
    with pytest.raises(ValidationError):
        uscc.validate(code)


def test_no_other_department() -> None:
    """0 and the letters without a department begin no code, whatever their check character."""
    for letter in set(identifiers.ALPHABET) - set("123456789ANY"):
        assert not identifiers.is_uscc(made_up(random.Random(3), letter + "1"))


@pytest.mark.parametrize(
    ("raw", "normalised"),
    [
        (BAIDU, BAIDU),
        (BAIDU.lower(), BAIDU),
        ("９１１１００００６０００３７３４１Ｌ", BAIDU),
        (" 911100 00600037341L\u3000", BAIDU),
        ("911100006000373\u00a041L", BAIDU),
        ("", ""),
    ],
)
def test_normalise(raw: str, normalised: str) -> None:
    """Width, blanks and case are mended; whether anything was can be seen by comparing."""
    assert identifiers.normalise(raw) == normalised
    assert identifiers.normalise(normalised) == normalised


def test_registration_numbers_agree_with_stdnum() -> None:
    """ISO 7064 mod 11,10 on 20,000 numbers."""
    chance = random.Random(4)
    for _ in range(20_000):
        number = f"{chance.randrange(10**15):015d}"
        assert identifiers.is_registration_number(number) == mod_11_10.is_valid(number)


def test_organisation_codes() -> None:
    """GB 11714: known codes hold (check X among them), and no other check character does."""
    for code in ("600037341", "D2143569X", "MA3CG0PE9"):
        assert identifiers.is_organisation_code(code) == (
            code[8] == identifiers.organisation_check_character(code[:8])
        )
        right = identifiers.organisation_check_character(code[:8])
        for other in set("0123456789X") - {right}:
            assert not identifiers.is_organisation_code(code[:8] + other)
    assert identifiers.is_organisation_code("600037341")
    assert identifiers.is_organisation_code("D2143569X")
    assert identifiers.organisation_code(BAIDU) == "600037341"


def test_fifteen_digits_can_be_two_things() -> None:
    """About one number in eleven of one kind passes the test of the other: both readings are told."""
    chance, both, total = random.Random(5), 0, 20_000
    for _ in range(total):
        organisation = f"{chance.randrange(10**8):08d}"
        number = f"990100{organisation}{identifiers.organisation_check_character(organisation)}"
        found = identifiers.readings(number)
        assert Reading.OLD_TAXPAYER_NUMBER in found
        both += Reading.REGISTRATION_NUMBER in found
    assert 0.07 < both / total < 0.11


def test_resident_numbers_are_recognised() -> None:
    """What python-stdnum takes for a resident's number, also where it passes as a USCC; with a suffix too."""
    chance, as_uscc = random.Random(6), 0
    for _ in range(20_000):
        born = datetime.date(1950, 1, 1) + datetime.timedelta(days=chance.randrange(18_000))
        body = f"110101{born:%Y%m%d}{chance.randrange(1000):03d}"
        number = body + ric.calc_check_digit(body + "0")
        assert ric.is_valid(number)
        as_uscc += identifiers.is_uscc(number)
        assert identifiers.is_resident_like(number), number
        assert identifiers.is_resident_like(number + "01")
    assert as_uscc > 300, "the trap is real: one in 31 passes as a USCC"


@pytest.mark.parametrize(
    ("identifier", "like"),
    [
        ("110101900101123", True),
        ("11010190010112301", True),
        ("110101901301123", False),
        ("110101199001011234", True),
        ("910101199001011234", False),
        (BAIDU, False),
        ("360206550875725", False),
        ("", False),
        ("张三", False),
    ],
)
def test_resident_like(identifier: str, like: bool) -> None:
    """Old numbers of 15 digits and mistyped ones count too; organisations and words do not."""
    assert identifiers.is_resident_like(identifier) is like


def test_an_old_taxpayer_number_is_no_person() -> None:
    """What passes the taxpayer-number check is taken for one, even where it holds something like a date."""
    organisation = "90010112"
    number = f"110101{organisation}{identifiers.organisation_check_character(organisation)}"
    assert identifiers.readings(number) & Reading.OLD_TAXPAYER_NUMBER
    assert not identifiers.is_resident_like(number)


@pytest.mark.parametrize("text", ["3.60206556023E+14", "3.6e14", "３.6E+14", "1E15"])
def test_spreadsheet_numbers(text: str) -> None:
    """Digits that a spreadsheet rounded are recognised in any of its notations."""
    assert identifiers.is_spreadsheet_number(text)
    assert not identifiers.is_spreadsheet_number(BAIDU)


def test_columns_give_the_verdict_of_single_codes() -> None:
    """The arithmetic on whole columns and the one on single codes never differ, on 300 mixed columns."""
    chance = random.Random(7)
    strangers = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ?中é"
    for _ in range(300):
        column = [made_up(chance, chance.choice("1569ANY") + "1") for _ in range(chance.randrange(60))]
        for i in range(len(column)):
            if chance.random() < 0.3:
                place = chance.randrange(18)
                column[i] = column[i][:place] + chance.choice(strangers) + column[i][place + 1 :]
            if chance.random() < 0.05:
                column[i] = column[i][: chance.randrange(19)]
        assert identifiers.find_wrong_usccs(column) == {
            i for i, code in enumerate(column) if not identifiers.is_uscc(code)
        }
        formed = [code for code in column if identifiers.has_uscc_form(code)]
        assert identifiers.find_wrong_organisations(formed) == {
            i for i, code in enumerate(formed) if not identifiers.is_organisation_code(code[8:17])
        }


@pytest.mark.parametrize(
    ("identifier", "why"),
    [
        (BAIDU, ""),
        ("", "empty"),
        ("HELLO", "5 characters"),
        (BAIDU[:-1] + "M", "last character is not the check character"),
        (BAIDU[:-1] + "I", "form of a USCC"),
        ("110108000000001", "as a taxpayer number or registration number"),
    ],
)
def test_a_wrong_identifier_is_told_which_rule_it_breaks(identifier: str, why: str) -> None:
    found = identifiers.broken_rule(identifier)
    assert (why in found) if why else not found
