"""What must be true when everything is over, however often anybody died: at the gateway, at a bank, offline.

"Once" is said of effects: attempts (`delivery.transferred`, `delivery.failed`) may stand in the log repeatedly.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, func, select

from adapters.party.home import Home
from audit.checkpoint import TlogProof
from audit.envelope import parse_strict
from audit.log import log_checkpoints, log_entries
from examples.generate import HEADINGS, month, write_rows
from gateway.config import Settings
from gateway.store import editions, tables
from gateway.store.db import open_engine
from tests.crash.founding import AUDITOR, BUREAU, CITY, PRODUCT, home_of
from tests.crash.programs import AGAIN, PATIENCE_S
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, log_pb2

#: Of the taxpayers whose row is another one a month later: a twentieth of all is gone, too few for a list to be held.
_SHARE = 0.2
STAGES = ("received", "accepted", "applied")


@dataclass(frozen=True)
class List:
    """One month's list of made-up taxpayers."""

    path: Path
    #: Identifier → name of everybody who has a record now.
    stands: dict[str, str]

    @classmethod
    def make(cls, folder: Path, count: int, number: int) -> List:
        """Args: count — taxpayers of the first month; number — of the month."""
        path, listed = folder / f"list-{number}.csv", list(month(count, 1, number, _SHARE))
        write_rows(path, HEADINGS, listed)
        return cls(path, {row[0]: row[1] for row in listed})

    @property
    def count(self) -> int:
        return len(self.stands)


@dataclass(frozen=True)
class Told:
    """What an edition tells that builds on others: its file, and what stands behind it."""

    path: Path
    #: Identifier → name, None of who is gone: the records of the edition.
    told: dict[str, str | None]
    #: As of a List.
    stands: dict[str, str]

    @property
    def count(self) -> int:
        return len(self.told)


@dataclass(frozen=True)
class Account:
    """The gateway's databases as they are now; the gateway may run."""

    place: Path

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        engine = open_engine(Settings.load(self.place / "gateway").database_url)
        try:
            with engine.execution_options(reading=True).connect() as conn:
                yield conn
        finally:
            engine.dispose()

    def entries(self) -> list[log_pb2.LogEntry]:
        with self.reading() as conn:
            found = conn.execute(select(log_entries.c.opening).order_by(log_entries.c.id)).scalars()
            return [log_pb2.LogEntry.FromString(opening) for opening in found]

    def wait_for_log(self) -> None:
        """Until every entry stands under a published checkpoint: the log of an idle gateway commits no more."""

        def published() -> bool:
            with self.reading() as conn:
                count = conn.scalar(select(func.count()).select_from(log_entries))
                return conn.scalar(select(func.max(log_checkpoints.c.size))) == count

        _wait(published, "the log is not published")

    def deliveries(self) -> list[dict[str, Any]]:
        with self.reading() as conn:
            return [dict(row) for row in conn.execute(select(tables.deliveries)).mappings()]

    def states(self, digest: bytes) -> dict[str, str]:
        return {
            row["recipient"].removeprefix(f"{CITY}/"): row["state"]
            for row in self.deliveries()
            if row["manifest_digest"] == digest
        }

    def delivery(self, digest: bytes, bank: str) -> str:
        """Id of the delivery of an edition to a bank."""
        [found] = (
            row["delivery_id"]
            for row in self.deliveries()
            if (row["manifest_digest"], row["recipient"]) == (digest, f"{CITY}/{bank}")
        )
        return str(found)

    def check_recalls(self, corrections: list[bytes], banks: list[str]) -> None:
        """Each of these banks confirmed each of these corrections."""
        with self.reading() as conn:
            t = tables.recalls
            found = conn.execute(select(t.c.correction, t.c.recipient, t.c.state)).all()
        assert sorted(map(tuple, found)) == sorted(
            (correction, f"{CITY}/{bank}", "CONFIRMED") for correction in corrections for bank in banks
        )

    def wait_for(self, digest: bytes, bank: str, state: str) -> None:
        """Until the delivery has come so far."""
        _wait(lambda: self.states(digest).get(bank) == state, f"the delivery to {bank} is not {state}")

    def wait_for_transfer(self, digest: bytes, bank: str) -> None:
        """Until all its files lie in the bank's folder."""
        where = ("delivery.transferred", digest, f"{CITY}/{bank}")
        _wait(
            lambda: where in ((e.kind, e.manifest_digest, e.counterparty) for e in self.entries()),
            f"nothing was carried to {bank}",
        )

    def check_editions(self, digests: list[bytes], counts: list[int]) -> None:
        """Exactly these, each following the one before, all its records here, every effect logged once."""
        with self.reading() as conn:
            found = editions.list_editions(conn, BUREAU)
            assert [row["manifest_digest"] for row in found] == digests
            assert [row["sequence"] for row in found] == list(range(1, len(digests) + 1))
            assert [row["state"] for row in found[:-1]] == ["SUPERSEDED"] * (len(digests) - 1)
            assert found[-1]["state"] == "PUBLISHED"
            assert [row["record_count"] for row in found] == counts
            for row in found:
                sealed = editions.get_document(conn, row["manifest_digest"])
                manifest = parse_strict(sealed.payload, edition_pb2.Manifest)
                assert row["root"] == manifest.root
                assert editions.staged(conn, row["manifest_digest"])[0] == len(manifest.chunk_roots)
            assert not conn.execute(select(tables.intakes)).all(), "an edition is still arriving"
        effects = [(e.kind, e.manifest_digest) for e in self.entries() if e.kind.startswith("edition.")]
        once = [(kind, d) for d in digests for kind in ("edition.ready", "edition.published")]
        assert Counter(effects) == Counter(once)

    def check_deliveries(self, digest: bytes, banks: list[str]) -> None:
        """One of this edition to each of these banks, applied, every effect logged once."""
        assert self.states(digest) == dict.fromkeys(banks, "APPLIED")
        kinds = ["delivery.offered", *(f"receipt.{stage}" for stage in STAGES)]
        effects = [
            (e.kind, e.counterparty)
            for e in self.entries()
            if e.manifest_digest == digest
            and e.delivery_id
            and not e.kind.endswith((".transferred", ".failed"))
        ]
        assert Counter(effects) == Counter((kind, f"{CITY}/{bank}") for bank in banks for kind in kinds)


def _wait(come: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if come():
            return
        time.sleep(0.1)
    raise AssertionError(otherwise)


def check_bank(home: Path, digest: bytes, published: List | Told) -> None:
    """Every record that stands landed once, nothing left over in the spool, the evidence complete."""
    check_table(home, digest, published.stands)
    held = json.loads((home / f"spool/held/{PRODUCT}.json").read_text())
    assert held["manifest_digest"] == digest.hex()
    check_taken(home, held["delivery_id"])


def check_table(home: Path, digest: bytes, stands: dict[str, str], *, rejected: int = 0) -> None:
    """The table shows these taxpayers, once each, as what this edition became.

    Args: rejected — of its state, how many are not shown.
    """
    with sqlite3.connect(home / "bank.db") as conn:
        landed = conn.execute("SELECT taxpayer_id, names FROM grade_a ORDER BY taxpayer_id").fetchall()
        shown = conn.execute("SELECT manifest_digest, accepted, rejected FROM xinyi_landings").fetchall()
        relations = conn.execute(
            "SELECT count(*) FROM sqlite_master WHERE name GLOB 'grade_a__*[0-9]'"
        ).fetchone()
    conn.close()
    assert landed == sorted(stands.items())
    assert shown == [(digest.hex(), len(stands), rejected)]
    assert relations[0] <= 2, "at most the edition before lies beside the one shown, until the next landing"


def check_taken(home: Path, delivery: str) -> None:
    """This delivery was taken, landed and receipted once, and nothing waits."""
    spool = home / "spool"
    for empty in ("incoming", "ready", "refused", "outbox"):
        assert _visible(spool / empty) == [], f"left over in {home.name}/spool/{empty}"
    assert delivery in _visible(spool / "landed")
    kept = spool / "landed" / delivery / "receipts"
    assert _visible(kept) == sorted(f"{stage}.dsse" for stage in STAGES)
    for stage in STAGES:
        signed = {
            (kept / f"{stage}.dsse").read_bytes(),
            (spool / "sent" / f"{delivery}.{stage}.dsse").read_bytes(),
            (home / "evidence" / delivery / f"{stage}.dsse").read_bytes(),
        }
        assert len(signed) == 1, f"{home.name} signed {stage} twice"
    _check_evidence(home, delivery)


def _check_evidence(path: Path, delivery_id: str) -> None:
    home = Home.open(path)
    evidence = path / "evidence" / delivery_id
    expected = {f"{name}.dsse" for name in ("manifest", "approval", "delivery")}
    expected |= {f"{stage}{ending}" for stage in STAGES for ending in (".dsse", ".acknowledgement.dsse")}
    expected |= {f"{stage}.tlog-proof" for stage in STAGES}
    assert set(_visible(evidence)) == expected, set(_visible(evidence)) ^ expected
    for stage in STAGES:
        sealed = envelope_pb2.Envelope.FromString((evidence / f"{stage}.acknowledgement.dsse").read_bytes())
        leaf = exchange_pb2.Acknowledgement.FromString(sealed.payload).leaf
        TlogProof.decode((evidence / f"{stage}.tlog-proof").read_bytes()).verify(leaf, home.log_key())


def _visible(folder: Path) -> list[str]:
    """Names that any program reads: what a killed one had half written begins with a dot."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def check_audit(place: Path, *, deliveries: int) -> None:
    """The auditor's own export of the whole log holds offline."""
    home = home_of(place, AUDITOR)
    policy, export = place / "policy.toml", place / "export"
    _audit("policy", "--bureau", BUREAU, "-o", policy, "--home", home)
    _audit("export", export, "--records", "--purpose", "crash", "--home", home)
    verdict = json.loads(_audit("verify", export, "--policy", policy, "--json"))
    assert verdict["verdict"] == "holds", verdict
    examined = {check["check"]: check["examined"] for check in verdict["checks"]}
    assert examined["deliveries"] == deliveries
    assert examined["receipts"] == len(STAGES) * deliveries


def _audit(*words: object) -> str:
    program = [sys.executable, "-c", "from adapters.auditor.cli import main; main()"]
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = subprocess.run([*program, *map(str, words)], capture_output=True, text=True, check=False)
        # The last planned death may come only now: an auditor tries again later, too.
        if done.returncode != AGAIN or time.monotonic() > deadline:
            break
        time.sleep(0.3)
    assert done.returncode == 0, f"{words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout
