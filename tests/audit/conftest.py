"""One cast of parties for all tests of the proof kit: their keys are slow to make and never change."""

from __future__ import annotations

import pytest

from tests.audit.story import Cast, Story, month


@pytest.fixture(scope="session")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return Cast(tmp_path_factory.mktemp("cast"))


@pytest.fixture
def story(cast: Cast) -> Story:
    """An honest month, to be told wrongly."""
    return month(cast)
