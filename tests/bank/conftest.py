"""Fixtures of the bank's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bank.offers import Offers


@pytest.fixture
def offers(tmp_path: Path) -> Offers:
    """A bank, and everybody whose word it takes."""
    return Offers(tmp_path)
