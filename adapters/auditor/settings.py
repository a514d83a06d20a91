"""Where an auditor's policy comes from: a file, or a home's pins and the word which parties are bureaus."""

from __future__ import annotations

from pathlib import Path

from adapters.party.home import Home
from audit.verification.policy import Policy
from xinyi.errors import Invalid
from xinyi.settings import SettingsInvalid


def policy_of(home: Home, bureaus: list[str]) -> Policy:
    """Every key this home has pinned. Raises SettingsInvalid where one is missing that is needed."""
    try:
        return Policy(
            log_key=home.log_key(),
            gateway=home.settings.gateway.party,
            bureaus=frozenset(bureaus),
            keys=tuple(home.keyring()),
        )
    except Invalid as error:
        raise SettingsInvalid(error.explanation, basis=error.basis) from error


def load_policy(path: Path) -> Policy:
    """Raises SettingsInvalid: a policy that cannot be read decides nothing about the evidence."""
    try:
        return Policy.load(path)
    except Invalid as error:
        raise SettingsInvalid(error.explanation, basis=error.basis) from error
