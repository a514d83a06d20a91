"""How often a bank may ask where nothing is new.

Kept in the memory of each process: of several gateways each protects itself, so a bank may ask each of them as
often, and after a restart a bank begins anew. A count that all share would take a write for every poll, and that is
what the limit is there to spare.
"""

from __future__ import annotations

from xinyi.errors import TooManyRequests

#: Polls that may come at once: a person who tries things out, a program that was started twice.
AT_ONCE = 5


class Polls:
    """Args: every_s — seconds between polls of one bank for one product that find nothing; 0 for no limit."""

    def __init__(self, every_s: float) -> None:
        self._every_ms = int(every_s * 1000)
        #: (bank, product) → when its allowance is whole again, milliseconds.
        self._whole: dict[tuple[str, str], int] = {}

    def check(self, party: str, product: str, now_ms: int) -> None:
        """Notes a poll that found nothing. Raises TooManyRequests, and then it does not count."""
        whole = max(self._whole.get((party, product), 0), now_ms) + self._every_ms
        early_ms = whole - AT_ONCE * self._every_ms - now_ms
        if early_ms > 0:
            raise TooManyRequests(
                f"nothing is new, and that was asked more than every {self._every_ms / 1000:g} s: ask again in "
                f"{-(-early_ms // 1000)} s",
                basis="poll.too_often",
            )
        self._whole[party, product] = whole
