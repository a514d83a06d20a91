"""`purge`: records that the bank need not keep any more. Documents, receipts and evidence stay.

Goes: the chunks of an edition that was landed (or handed over) so many days ago, once a newer one of its product
was, too; and transfers that broke off and were not taken up again for as long. What goes can no longer be proven
record by record from here; the newest edition of a product always can.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from adapters.bank.handover import MARK
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool, SpooledEdition
from adapters.party.home import Home
from audit.envelope import parse_strict
from xinyi import files
from xinyi.v1 import edition_pb2

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
    """Editions with chunks that have left this machine's hands after which a newer one has, too."""
    done = [*spool.editions("landed"), *(e for e in spool.editions("ready") if (e.path / MARK).exists())]
    places: dict[str, list[tuple[int, SpooledEdition]]] = {}
    for edition in done:
        manifest = parse_strict(edition.package().manifest.payload, edition_pb2.Manifest)
        places.setdefault(manifest.product, []).append((manifest.sequence, edition))
    for own in places.values():
        newest = max(sequence for sequence, _ in own)
        for sequence, edition in own:
            if sequence < newest and (edition.path / "chunks").exists():
                yield edition


def _done_at(edition: SpooledEdition) -> float:
    """When its last receipt was signed, or it was handed over."""
    marks = [*edition.receipts.glob("*.dsse"), *edition.path.glob(MARK)]
    return max((mark.stat().st_mtime for mark in marks), default=time.time())


def _touched_at(part: Path) -> float:
    return max(path.stat().st_mtime for path in (part, *part.rglob("*")))


def _drop(directory: Path) -> int:
    size = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
    shutil.rmtree(directory)
    files.sync_directory(directory.parent)
    return size
