"""What a bank may stop keeping, and what it always keeps."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from adapters.bank.handover import hand_over
from adapters.bank.landing import Landing
from adapters.bank.proving import prove_record
from adapters.bank.purging import purge
from adapters.bank.rows import COLUMNS
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.tables.landing import SqlTarget
from tests.bank.offers import Offers
from tests.world import made_up_uscc
from xinyi.errors import Unknown


def aged(path: Path, days: float) -> None:
    then = time.time() - days * 86_400
    for file in (path, *path.rglob("*")):
        os.utime(file, (then, then))


def test_records_go_once_a_newer_edition_has_followed(offers: Offers, sqlite_url: str) -> None:
    """The newest is always kept and provable; of an older one the documents and receipts stay."""
    editions = [offers.edition(1100 + n) for n in range(3)]
    fetched = []
    for edition in editions:
        fetched.append(offers.receive(edition))
        Landing(offers.bank, lambda _: SqlTarget(sqlite_url, "grade_a", COLUMNS)).land_all()
    landed = [offers.bank.path / "spool/landed" / one.delivery_id for one in fetched]
    assert purge(offers.bank, days=30).editions == 0
    for path, days in zip(landed, (90, 10, 1), strict=True):
        aged(path, days)
    done = purge(offers.bank, days=30)
    assert (done.editions, done.bytes > 100_000) == (1, True)
    assert [(path / "chunks").exists() for path in landed] == [False, True, True]
    assert {path.name for path in (landed[0] / "receipts").iterdir()} == {
        "received.dsse",
        "accepted.dsse",
        "applied.dsse",
    }
    assert (offers.bank.path / "evidence" / fetched[0].delivery_id / "manifest.dsse").exists()
    aged(landed[2], 900)
    assert purge(offers.bank, days=30).editions == 0
    assert prove_record(offers.bank, "grade-a", made_up_uscc(1)).proof.index >= 0
    digests = [edition.digest.hex() for edition in editions]
    assert prove_record(offers.bank, "grade-a", made_up_uscc(1), edition=digests[1]).proof.index >= 0
    with pytest.raises(Unknown) as refused:
        prove_record(offers.bank, "grade-a", made_up_uscc(1), edition=digests[0])
    assert refused.value.basis == "edition.purged"
    spool = Spool(BankSettings.of(offers.bank).spool)
    assert spool.find(fetched[0].delivery_id) is not None, "a purged edition is still known"


def test_what_was_handed_over_and_what_broke_off(offers: Offers, tmp_path: Path) -> None:
    """On the machine that fetches, ready editions go after their hand-over; an old broken transfer goes."""
    first, second = (offers.receive(offers.edition(5)) for _ in range(2))
    ready = offers.bank.path / "spool/ready"
    broken = offers.bank.path / "spool/incoming" / ("ab" * 32 + ".part")
    broken.mkdir()
    (broken / "delivery.dsse").write_bytes(b"x")
    for one in (first, second):
        aged(ready / one.delivery_id, 60)
    assert purge(offers.bank, days=30).editions == 0, "nothing was handed over"
    assert hand_over(offers.bank, tmp_path / "tray")
    aged(ready, 60)
    aged(broken, 60)
    done = purge(offers.bank, days=30)
    assert (done.editions, done.transfers) == (1, 1)
    assert not broken.exists()
    assert [(ready / one.delivery_id / "chunks").exists() for one in (first, second)] == [False, True]
    assert hand_over(offers.bank, tmp_path / "tray") == []
