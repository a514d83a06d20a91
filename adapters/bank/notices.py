"""What the gateway announces, and in how many days it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from adapters.bank.client import BankClient
from xinyi import days
from xinyi.v1 import notice_pb2

#: `check` warns of what begins within so many days.
SOON_DAYS = 30


@dataclass(frozen=True)
class Announced:
    number: str
    #: "contract", "certificate", "key", "product" or "maintenance".
    kind: str
    effective_on: str
    #: Days from today in China; negative where it holds already.
    days: int
    text_zh: str
    text_en: str
    #: In hex; empty for kinds that have none.
    fingerprint: str
    urgent: str

    @property
    def when(self) -> str:
        if self.days < 0:
            return "in force"
        return f"in {self.days} days" if self.days else "today"

    @property
    def soon(self) -> bool:
        return 0 <= self.days <= SOON_DAYS


def announced(client: BankClient) -> list[Announced]:
    """By date. Raises as `BankClient.notices`."""
    today = days.today()
    return [
        Announced(
            number=notice.number,
            kind=notice_pb2.NoticeKind.Name(notice.kind).removeprefix("NOTICE_KIND_").lower(),
            effective_on=notice.effective_on,
            days=(date.fromisoformat(notice.effective_on) - today).days,
            text_zh=notice.text_zh,
            text_en=notice.text_en,
            fingerprint=notice.fingerprint.hex(),
            urgent=notice.urgent,
        )
        for notice in (opened.message for opened in client.notices())
    ]
