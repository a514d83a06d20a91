"""Where an auditor's policy comes from: a file, or a home's pins and the word which parties are bureaus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.party.home import Home
from adapters.party.settings import Settings
from audit.verification.policy import Policy
from xinyi.errors import Invalid
from xinyi.settings import SettingsInvalid


class AuditorSettings(Settings):
    """The [auditor] table of party.toml."""

    #: "<city>/<party>" whose editions count, as the policy file names them.
    bureaus: tuple[str, ...] = ()


def policy_of(home: Home, bureaus: Sequence[str] = ()) -> Policy:
    """Every key this home has pinned. Raises SettingsInvalid where one is missing that is needed.

    Args:
        bureaus: those of [auditor] in party.toml where none is named.
    """
    named = tuple(bureaus) or home.section("auditor", AuditorSettings).bureaus
    if not named:
        raise SettingsInvalid(
            "which parties are bureaus? Bring a policy (--policy FILE), or name them in party.toml: "
            '[auditor] bureaus = ["<city>/<party>"]',
            basis="settings.bureaus",
        )
    try:
        return Policy(
            log_key=home.log_key(),
            gateway=home.settings.gateway.party,
            bureaus=frozenset(named),
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
