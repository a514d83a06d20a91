"""The two ways a table takes to the gateway: the network, or the exchange folder.

    incoming/<digest>.1-table.dsse       to the gateway, renamed into place
    answers/<digest>.1-table.answer      the acknowledgement; or .refusal
    answers/<digest>.1-table.receipt     the sealed TableReceipt, there before the answer
    answers/<leaf in hex>.tlog-proof     once the log has published it
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from adapters.bank.client import BankClient
from adapters.bank.folder import FolderReceipts
from adapters.bank.lending.client import Answered, LendingClient, Way, open_receipt
from adapters.bank.settings import BankSettings
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit.checkpoint import TlogProof
from audit.envelope import digest
from xinyi.errors import UsageInvalid
from xinyi.v1 import envelope_pb2
from xinyi.v1.lending_service_pb2 import ReportingTerms


class WayWithTerms(Way, Protocol):
    def terms(self) -> Sequence[ReportingTerms]:
        """What the agreements want reported."""
        ...


@contextmanager
def open_way(home: Home, folder: Path | None) -> Iterator[WayWithTerms]:
    """Args: folder — the exchange folder; None for the network."""
    if folder is not None:
        yield FolderTables(folder, GatewayClient(home))
        return
    with BankClient(home) as client:
        yield LendingClient(client)


class FolderTables:
    """Hands tables in through the folder, and reads the gateway's answers."""

    def __init__(self, path: Path, gateway: GatewayClient) -> None:
        self._folder = FolderReceipts(path, gateway)
        self._home = gateway.home

    def terms(self) -> list[ReportingTerms]:
        """As the bank's settings say: the gateway refuses a table that its agreement does not want. Raises
        UsageInvalid where they say nothing."""
        told = BankSettings.of(self._home).reporting
        if not told:
            raise UsageInvalid(
                "by folder nobody tells what the agreement wants: write [bank.reporting.<agreement>] with dimensions, "
                "currency and months into party.toml, as on the agreement's annex",
                basis="report.terms",
            )
        return [
            ReportingTerms(
                agreement_id=agreement,
                dimensions=sorted(wanted.dimensions),
                currency=wanted.currency,
                months=wanted.months,
            )
            for agreement, wanted in told.items()
        ]

    def submit_table(self, sealed: envelope_pb2.Envelope) -> Answered | None:
        document = digest(sealed)
        name = f"{document.hex()}.1-table"
        acknowledgement, receipt = self._folder.hand_in(name, sealed), self._folder.receipt_of(name)
        if acknowledgement is None or receipt is None:
            return None
        return Answered(acknowledgement, open_receipt(receipt, document, self._home.gateway_keyring()))

    def prove(self, leaf: bytes, *, wait_s: float) -> TlogProof | None:
        return self._folder.prove(leaf, wait_s=wait_s)
