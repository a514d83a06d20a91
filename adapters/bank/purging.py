"""`purge`: records that the bank need not keep any more. Documents, receipts and evidence stay.

Goes: the chunks of an edition that was landed (or handed over) so many days ago, once a newer FULL of its product
was, too; and transfers that broke off and were not taken up again for as long. What goes can no longer be proven
record by record from here; whatever the newest edition of a product consists of always can: its FULL, and every
DELTA and CORRECTION behind that.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from adapters.bank.chain import read_link
from adapters.bank.handover import MARK
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.party.home import Home
from xinyi import files

log = structlog.get_logger()

DAY_S = 86_400


@dataclass(frozen=True)
class Purged:
    editions: int
    transfers: int
    bytes: int


def purge(home: Home, *, days: float) -> Purged:
    """A crash in between: run it again."""
    spool = Spool(BankSettings.of(home).spool)
    before = time.time() - days * DAY_S
    old = [edition for edition in _superseded(spool) if _done_at(edition) < before]
    broken = [part for part in (spool.path / "incoming").glob("*.part") if _touched_at(part) < before]
    size = 0
    for edition in old:
        with spool.lock(edition.delivery_id):
            size += _drop(edition.path / "chunks")
    for part in broken:
        with spool.lock(part.name.removesuffix(".part")):
            size += _drop(part)
    log.info("spool.purged", editions=len(old), transfers=len(broken), bytes=size)
    return Purged(len(old), len(broken), size)


def _superseded(spool: Spool) -> Iterator[SpooledEdition]:
    """Editions with chunks that have left this machine's hands after which a newer FULL has, too."""
    done = [*spool.editions("landed"), *(e for e in spool.editions("ready") if (e.path / MARK).exists())]
    newest: dict[str, int] = {}
    links = [read_link(edition) for edition in done]
    for link in links:
        if link.full:
            product = link.manifest.product
            newest[product] = max(link.manifest.sequence, newest.get(product, 0))
    for link in links:
        superseded = link.manifest.sequence < newest.get(link.manifest.product, 0)
        if superseded and (link.edition.path / "chunks").exists():
            yield link.edition


def _done_at(edition: SpooledEdition) -> float:
    """When its last receipt was signed, or it was handed over."""
    marks = [*edition.receipts.glob("*.dsse"), *edition.path.glob(MARK)]
    return max((mark.stat().st_mtime for mark in marks), default=time.time())


def _touched_at(part: Path) -> float:
    return max(path.stat().st_mtime for path in (part, *part.rglob("*")))


def _drop(directory: Path) -> int:
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    shutil.rmtree(directory)
    files.sync(directory.parent)
    return size
