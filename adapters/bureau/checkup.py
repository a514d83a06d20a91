"""What keeps a bureau's home from working, beyond what every party needs."""

from __future__ import annotations

from adapters.bureau.editions import Editions
from adapters.party.home import Home
from audit.keys import is_person
from xinyi.errors import ExchangeError


def bureau_problems(home: Home) -> list[str]:
    """Each with what to do about it."""
    found = []
    holder = home.settings.holder
    if not is_person(holder):
        found.append(f"{holder} is a machine: decisions take a home of a person")
    try:
        others = {k.holder for k in home.keyring() if k.party == home.party and k.holder != holder}
    except ExchangeError as error:
        return [*found, error.explanation]
    if not others:
        found.append(
            f"no key of another person of {home.party} is pinned: `trust` the publisher's or approver's key, "
            "or their manifests cannot be verified here"
        )
    for edition in Editions(home.state).all():
        try:
            pending = edition.acknowledgement is None
            number = edition.manifest.sequence
        except ExchangeError as error:
            found.append(error.explanation)
            continue
        if pending:
            found.append(
                f"edition {edition.path.name[:16]} (number {number}) was sealed and has not arrived at the "
                "gateway: publish its file again, or `cancel` it"
            )
    return found
