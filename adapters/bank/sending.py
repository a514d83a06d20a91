"""The two ways a receipt takes: at once over the network, or by folder, where an answer may take a while."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.bank.confirm import Confirmation, Confirmed
from adapters.party.home import Home

if TYPE_CHECKING:
    from adapters.bank.client import BankClient

_POLL_S = 0.5


def send_by_network(home: Home, client: BankClient, *, wait_s: float) -> tuple[list[Confirmed], int]:
    return Confirmation(home, client).confirm_all(wait_s=wait_s)


def send_by_folder(home: Home, folder: Path, *, wait_s: float) -> tuple[list[Confirmed], int]:
    """Hands in what is signed and collects answers, then their log proofs; each next stage goes when the one
    before is answered.

    Where no gateway reads the folder while we wait, the receipts stay there and the next run collects.
    """
    from adapters.bank.folder import FolderReceipts
    from adapters.party.gateway import GatewayClient

    until = time.monotonic() + wait_s
    done: dict[tuple[str, str], Confirmed] = {}
    confirmation = Confirmation(home, FolderReceipts(folder, GatewayClient(home)))
    while True:
        answered, waiting = confirmation.confirm_all(wait_s=0)
        done |= {(one.delivery_id, one.stage): one for one in answered}
        proven = all(one.log_index is not None for one in done.values())
        if (proven and not waiting) or time.monotonic() >= until:
            return list(done.values()), waiting
        time.sleep(_POLL_S)
