"""A founded city whose gateway serves, month by month: who publishes, who approves, what was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.bureau.editions import Editions
from tests.crash.accounts import Account, List, Told, check_audit
from tests.crash.founding import APPROVER, CITY, MAKER, BankPlan, found_city, home_of
from tests.crash.programs import Job, Service, free_port


@dataclass(frozen=True)
class Edition:
    digest: bytes
    list: List | Told


class City:
    """Use as a context manager: the gateway serves as long as the block."""

    def __init__(
        self, place: Path, banks: Sequence[BankPlan], *, database: str = "", rows: int = 2500
    ) -> None:
        self.place = place
        self.banks = banks
        self.editions: list[Edition] = []
        self.account = Account(place)
        self._rows = rows
        port = free_port()
        found_city(place, port, banks, database=database)
        self.gateway = Service(place / "gateway", "xinyi-gateway", "serve", port)

    def __enter__(self) -> City:
        self.gateway.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.__exit__()

    @property
    def maker(self) -> Path:
        return home_of(self.place, MAKER)

    @property
    def approver(self) -> Path:
        return home_of(self.place, APPROVER)

    @property
    def next_period(self) -> str:
        year, month = divmod(len(self.editions), 12)
        return f"{2018 + year}-{month + 1:02d}"

    def next_list(self) -> List:
        return List.make(self.place, self._rows, number=len(self.editions) + 1)

    def publish_job(self, published: List) -> Job:
        dated = ("--profile", "city-grades", "--period", self.next_period)
        return Job(self.maker, "xinyi-bureau", "publish", (published.path, *dated))

    def approve_job(self, digest: bytes) -> Job:
        return Job(self.approver, "xinyi-bureau", "approve", (digest.hex(), "--yes"))

    def sealed(self) -> bytes:
        """Digest of the newest edition in the publisher's home, provided there is one for every month."""
        kept = Editions(self.maker / "state").all()
        assert len(kept) == len(self.editions) + 1, "one file was sealed twice, or never"
        return kept[-1].digest

    def publish(self) -> Edition:
        """A month in which nobody of the bureau dies."""
        published = self.next_list()
        self.publish_job(published).finish()
        self.approve_job(self.sealed()).finish()
        return self.published(published)

    def published(self, published: List | Told) -> Edition:
        """Notes that the month's edition is out."""
        self.editions.append(Edition(self.sealed(), published))
        return self.editions[-1]

    def decide(self, decision: str, bank: str) -> None:
        """The operator suspends a bank, or activates it again."""
        decided = (decision, f"{CITY}/{bank}", "--reason", "letter 17")
        Job(self.place / "gateway", "xinyi-gateway", "partner", decided).finish()

    def check(self, *, delivered: Sequence[Edition]) -> None:
        """Every edition once, those of `delivered` at every bank once, and the log holds offline."""
        digests = [edition.digest for edition in self.editions]
        self.account.check_editions(digests, [edition.list.count for edition in self.editions])
        for edition in delivered:
            self.account.check_deliveries(edition.digest, [bank.name for bank in self.banks])
        check_audit(self.place, deliveries=len(delivered) * len(self.banks))
