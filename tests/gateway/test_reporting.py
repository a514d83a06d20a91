"""Reporting terms: every key of the file, and what a bank is told of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.office import reporting
from gateway.rules.reporting import terms_of, terms_row
from xinyi.errors import Invalid

EXAMPLE = Path(reporting.__file__).with_name("reporting-terms.toml")


def values(**changes: Any) -> dict[str, Any]:
    return tomllib.loads(EXAMPLE.read_text(encoding="utf-8")) | changes


def test_the_example_is_what_the_contract_tells(tmp_path: Path) -> None:
    """Every key of a terms file, read, told to the bank, written and read again."""
    row = reporting.read_terms(EXAMPLE, "abc")
    told = terms_of(row)
    assert list(told.dimensions) == sorted(values()["dimensions"])
    assert (told.agreement_id, told.version, told.currency, told.months, told.due_days) == ("abc", 1, "CNY", 3, 15)
    assert (told.least_plausible, told.most_plausible) == (1_000_000, 50_000_000_000)
    assert (told.outcomes, told.outcomes_to_bureau, told.city_totals) == (False, False, True)
    file = tmp_path / "again.toml"
    file.write_text(reporting.to_toml(row), encoding="utf-8")
    assert reporting.read_terms(file, "abc") == row


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"interest": 1}, "keys"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"dimensions": []}, "dimensions"),
        ({"dimensions": "grade"}, "dimensions"),
        ({"dimensions": ["size/GXB300", "grade", "grade"]}, "dimensions"),
        ({"dimensions": ["size/GXB300", "total"]}, "dimensions"),
        ({"dimensions": ["size/GXB300", "weather"]}, "dimensions"),
        ({"dimensions": ["size/OWN"]}, "dimensions"),
        ({"dimensions": ["grade"]}, "dimensions"),
        ({"dimensions": ["size/GXB300", *(f"rate/{n}" for n in range(1, 17))]}, "dimensions"),
        # 20, 1 and 50 enterprises by bands: one margin shows the 20, the other the 50, which leaves 1 of the total.
        ({"dimensions": ["size/GXB300", "rate/435", "rate/435-600"]}, "dimensions"),
        ({"small_micro": 1}, "small_micro"),
        ({"currency": "yuan"}, "currency"),
        ({"currency": "RMB"}, "currency"),
        ({"currency": "JPY"}, "currency"),
        ({"months": 2}, "months"),
        ({"months": True}, "months"),
        ({"due_days": 0}, "due_days"),
        ({"due_days": 367}, "due_days"),
        ({"least_plausible": 0}, "least_plausible"),
        ({"least_plausible": 1.5}, "least_plausible"),
        ({"most_plausible": 1_000_000}, "least_plausible"),
        ({"most_plausible": 1 << 63}, "least_plausible"),
        ({"outcomes_to_bureau": True}, "outcomes_to_bureau"),
    ],
)
def test_a_key_that_is_wrong_is_named(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(Invalid, match=f"^{key}:") as error:
        terms_row("abc", values(**changes))
    assert error.value.basis == "reporting.terms"


def test_figures_without_small_and_micro_need_no_size() -> None:
    row = terms_row("abc", values(dimensions=["grade"], small_micro=False))
    assert list(terms_of(row).dimensions) == ["grade"]


def test_a_missing_key_is_named() -> None:
    told = values()
    del told["months"]
    with pytest.raises(Invalid, match="missing or unknown: months"):
        terms_row("abc", told)
