"""What a bank holds: the table that it shows, the state behind it, its spool. And a copy of it all, to die in.

Two banks that went through the same editions hold the same, whichever of them died on the way.
"""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect, text

from adapters.bank.settings import BankSettings
from adapters.bank.targets import open_target
from adapters.party.home import Home
from audit.envelope import parse_strict
from tests.crash.founding import PRODUCT
from tests.postgres import Server
from tests.tables.test_loads import loaded
from xinyi.v1 import envelope_pb2, exchange_pb2

#: Kind of target → its URL in a home; of PostgreSQL every home has a database of its own.
TARGETS = {
    "sqlite": "sqlite:///bank.db",
    "postgresql": "",
    "csv": "csv:///grade_a.csv",
    "oracle": "oracle-files:///loads",
    "parquet": "parquet:///loads",
}
SPOOL = ("incoming", "ready", "landed", "refused", "outbox", "sent", "held", "state")


@dataclass(frozen=True)
class Holding:
    #: Of the rows that are shown: identifier → its columns, and since when it is under objection.
    rows: dict[str, dict[str, Any]]
    #: The edition that they are said to be.
    landed: dict[str, Any]
    recalled: set[tuple[str, str, str]]
    #: Manifest digest, and bucket → entries and identifiers.
    state: tuple[bytes, dict[int, tuple[bytes, str]]]
    spool: dict[str, list[str]]
    held: str
    #: Delivery and stage → the receipt, but for its time.
    receipts: dict[str, exchange_pb2.DeliveryReceipt]


def holding(path: Path) -> Holding:
    settings = BankSettings.of(Home.open(path))
    url = settings.target(PRODUCT)
    target = open_target(url, settings.table(PRODUCT))
    landed = target.landed(PRODUCT)
    recalled = {(row.taxpayer_id, row.correction, row.what) for row in target.recalled(PRODUCT)}
    target.close()
    spool = settings.spool
    with closing(sqlite3.connect(spool / f"state/{PRODUCT}.db")) as conn:
        [digest] = conn.execute("SELECT manifest_digest FROM edition").fetchone()
        buckets = {row[0]: row[1:] for row in conn.execute("SELECT * FROM buckets") if row[1]}
    receipts = {}
    for name, sealed in signed(path).items():
        message = parse_strict(envelope_pb2.Envelope.FromString(sealed).payload, exchange_pb2.DeliveryReceipt)
        message.ClearField("signed_at_ms")
        receipts[name] = message
    lines = _shown(url, path)
    rows = {line["taxpayer_id"]: line for line in lines}
    assert len(rows) == len(lines), "a record is shown twice"
    said = {} if landed is None else vars(landed) | {"landed_at_ms": 0}
    lying = {state: _visible(spool / state) for state in SPOOL}
    held = json.loads((spool / f"held/{PRODUCT}.json").read_text())["manifest_digest"]
    return Holding(rows, said, recalled, (digest, buckets), lying, held, receipts)


def _shown(url: str, home: Path) -> list[dict[str, Any]]:
    """The rows as a reader of the target finds them, each with its objection.

    Of what was staged at most one edition lies beside them, until the next landing. A death behind a load folder tells
    the same once more in the next one: how many there are is no matter.
    """
    scheme = url.partition(":")[0]
    if scheme == "csv":
        return _marked(_read(home / "grade_a.csv"), _read(home / "grade_a.csv.disputes.csv"))
    if scheme in ("parquet", "oracle-files"):
        place = home / "loads/grade_a"
        assert not (place / ".part").exists()
        rows, marks, _ = loaded(place, "parquet" if scheme == "parquet" else "oracle")
        return [row | {"disputed_since": marks.get(name)} for name, row in rows.items()]
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as conn:
        lines = [dict(row) for row in conn.execute(text("SELECT * FROM grade_a")).mappings()]
        staged = {
            name.removesuffix("_shared") for name in inspect(conn).get_table_names() if "grade_a__0" in name
        }
    engine.dispose()
    assert len(staged) <= 2
    return lines


def _read(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _marked(lines: list[dict[str, Any]], disputes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    since = {row["taxpayer_id"]: row["disputed_since"] for row in disputes}
    return [line | {"disputed_since": since.get(line["taxpayer_id"])} for line in lines]


def signed(home: Path) -> dict[str, bytes]:
    """Delivery and stage → the receipt, which is one wherever it lies."""
    found: dict[str, bytes] = {}
    spool = home / "spool"
    paths = [
        *spool.glob("*/*/receipts/[!.]*.dsse"),
        *spool.glob("outbox/[!.]*.dsse"),
        *spool.glob("sent/[!.]*.dsse"),
    ]
    for path in paths:
        delivery = path.parents[1].name.removesuffix(".part")
        name = f"{delivery}.{path.name}" if path.parent.name == "receipts" else path.name
        assert found.setdefault(name, path.read_bytes()) == path.read_bytes(), f"{name} was signed twice"
    return found


def _visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def lands_in(home: Path, target: str, server: Server | None) -> None:
    """From here on this home lands there."""
    url = TARGETS[target]
    if not url:
        assert server is not None
        url = server.create()
    toml = home / "party.toml"
    toml.write_text(f'{toml.read_text()}\n[bank]\ndatabase = "{url}"\n')


def copied(home: Path, to: Path, server: Server | None = None) -> Path:
    """The same home once more, its database, too."""
    shutil.copytree(home, to)
    url = BankSettings.of(Home.open(home)).target(PRODUCT)
    if url.startswith("postgresql:"):
        assert server is not None
        toml = to / "party.toml"
        toml.write_text(toml.read_text().replace(url, server.create(template=url)))
    return to
