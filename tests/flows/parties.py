"""A bureau of two persons and a bank at work in a city: their programs' code in this process, on real files."""

from __future__ import annotations

import asyncio
import csv
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, inspect, text

from adapters.bank.catch_up import Caught, catch_up
from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver, fetch_from_gateway
from adapters.bank.landing import Landing
from adapters.bank.outcome import Result
from adapters.bank.rows import COLUMNS
from adapters.bank.sending import send_by_network
from adapters.bank.settings import BankSettings
from adapters.bureau import publishing, reviewing, sources, standing
from adapters.bureau.building import DELTA, FULL
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.submission import list_editions
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from adapters.tables.landing import SqlTarget
from adapters.tables.profile import Profile, find_profile
from adapters.tables.reading import Table, open_table
from audit import buckets, records
from tests.chain import serialised
from tests.world import APPROVER, MAKER, World
from xinyi.v1 import edition_pb2, records_pb2

#: Field → heading of the files below.
COLUMNS_OF_FILES = {
    "change": "变更类型",
    "taxpayer_id": "纳税人识别号",
    "name": "纳税人名称",
    "evaluation_year": "评价年度",
    "grade": "纳税信用级别",
    "tax_office": "主管税务机关",
    "decision_kind": "认定方式",
    "decided_on": "认定日期",
}
#: identifier → (name, grade, decision kind, decided on)
Cells = tuple[str, str, str, str]
Truth = dict[str, Cells]
#: (new, changed or gone; identifier; cells)
Change = tuple[str, str, Cells]
NOTHING: Cells = ("", "", "", "")


def open_source(file: Path, profile: str) -> Table:
    """As the bureau's commands open a file; it is closed with the test's process."""
    return open_table(file, find_profile(profile, sources.PROFILES, Profile), encoding="")


def profile(folder: Path, *, changes: bool) -> Path:
    """Of the files below: a whole list, or what changes alone."""
    path = folder / f"profile-{'changes' if changes else 'whole'}.toml"
    columns = {f: heading for f, heading in COLUMNS_OF_FILES.items() if changes or f != "change"}
    path.write_text(
        'name = "test-city"\nproduct = "grade-a"\nencoding = "utf-8"\n[columns]\n'
        + "".join(f'{field} = "{heading}"\n' for field, heading in columns.items())
        + '[identifiers]\ntaxpayer_id = "taxpayer_number"\n[grades]\ngrade-a = ["A"]\n',
        encoding="utf-8",
    )
    return path


def record_of(identifier: str, cells: Cells) -> records_pb2.GradeRecord:
    """What a row of the files below becomes."""
    name, grade, decision, decided_on = cells
    return records_pb2.GradeRecord(
        taxpayer_id=identifier,
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=[name],
        tax_offices=["示例税务局"],
        evaluation_year=2017,
        grade=f"GRADE_{grade}",
        decision_kind=f"DECISION_KIND_{decision}" if decision else None,
        decided_on=decided_on,
    )


class Bureau:
    """Publishes whole lists and files of changes, each approved by the second person."""

    def __init__(self, world: World, product: str = "grade-a") -> None:
        self.world, self.product = world, product
        self.maker, self.approver = world.homes[MAKER], world.homes[APPROVER]
        self.editions = Editions(self.maker.state)
        self.folder = world.path / "files"
        self.folder.mkdir(exist_ok=True)

    def _write(self, name: str, rows: Iterable[Sequence[str]], *, changes: bool = False) -> Path:
        """Args: rows — (identifier, *cells), before them the word where it is of changes."""
        path = self.folder / name
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(list(COLUMNS_OF_FILES.values())[0 if changes else 1 :])
            for row in rows:
                *front, identifier, name_, grade, decision, decided = row
                year, office = ("2017", "示例税务局") if grade else ("", "")
                writer.writerow([*front, identifier, name_, year, grade, office, decision, decided])
        return path

    def whole(self, name: str, truth: Mapping[str, Cells]) -> Path:
        return self._write(name, [(identifier, *cells) for identifier, cells in truth.items()])

    def changes(self, name: str, changes: Iterable[Change]) -> Path:
        return self._write(name, [(word, who, *cells) for word, who, cells in changes], changes=True)

    async def full(self, truth: Mapping[str, Cells], period: str, *, name: str = "") -> Edition:
        return await self.publish(self.whole(name or f"full-{period}.csv", truth), period)

    async def delta(self, changes: Iterable[Change], period: str, *, name: str = "") -> Edition:
        file = self.changes(name or f"delta-{period}.csv", changes)
        return await self.publish(file, period, kind=DELTA)

    async def correction(self, changes: Iterable[Change], period: str, corrects: bytes, *, name: str = "") -> Edition:
        return await self.publish(
            self.changes(name or f"correction-{period}.csv", changes),
            period,
            kind=edition_pb2.EDITION_KIND_CORRECTION,
            corrects=corrects,
            reason="system error in the evaluation of 2017",
        )

    async def publish(self, file: Path, period: str, **of_kind: Any) -> Edition:
        """Sealed by one person, approved by the other one."""
        edition = (await self.submit(file, period, **of_kind)).edition
        await self.approve(edition)
        return edition

    async def submit(
        self,
        file: Path,
        period: str,
        *,
        kind: edition_pb2.EditionKind = FULL,
        whole: bool = False,
        **of_kind: Any,
    ) -> publishing.Published:
        """Args: whole — the file of a DELTA is the whole list; otherwise only a FULL is read from one."""

        def work(client: GatewayClient) -> publishing.Published:
            told = profile(self.folder, changes=kind != FULL and not whole)
            table = open_source(file, str(told))
            month = sources.parse_period(period)
            return publishing.publish(
                self.maker, client, table, self.product, month, lambda *_: None, kind=kind, **of_kind
            )

        return await self.ask(self.maker, work)

    async def approve(self, edition: Edition) -> None:
        """Released before, where it is held: with few taxpayers a month soon loses more than a product allows."""
        (shown,) = [told for told in await self.status() if told["manifest"] == edition.path.name]
        if shown["state"] == "HELD":
            release = reviewing.DECISIONS["release"]
            await self.ask(self.approver, lambda c: release(c, self.approver, edition.digest, "few taxpayers"))
        await self.ask(self.approver, lambda c: reviewing.approve(c, self.approver, edition.digest))

    async def status(self) -> list[dict[str, Any]]:
        """All editions of the product, as this bureau can verify them."""
        return await self.ask(
            self.maker, lambda c: [standing.describe(s, self.maker) for s in list_editions(c, self.product)]
        )

    async def ask(self, home: Home, work: Callable[[GatewayClient], Any]) -> Any:
        def run() -> Any:
            with GatewayClient(home) as client:
                return work(client)

        return await asyncio.to_thread(run)


@dataclass
class Bank:
    """A bank that pulls, lands and confirms in one go; its backups."""

    home: Home
    product: str = "grade-a"
    url: str = ""

    def __post_init__(self) -> None:
        self.url = self.url or f"sqlite:///{self.home.path}/bank.db"

    @property
    def party(self) -> str:
        return self.home.party

    @property
    def table(self) -> str:
        return table_of(self.product)

    async def call(self) -> Caught:
        """catch-up, then confirm: nothing is left to send."""
        return await asyncio.to_thread(self.call_now)

    def call_now(self) -> Caught:
        with BankClient(self.home) as client:
            receiver = Receiver(self.home)
            fetch = partial(fetch_from_gateway, receiver, client, [self.product])
            (caught,), _ = catch_up(receiver.spool, self.landing(), fetch, [self.product])
            _, waiting = send_by_network(self.home, client, wait_s=0)
            assert waiting == 0
        return caught

    def target(self, product: str = "") -> SqlTarget:
        return SqlTarget(self.url, table_of(product or self.product), COLUMNS)

    def landing(self) -> Landing:
        return Landing(self.home, self.target)

    async def land_and_confirm(self) -> list[Result]:
        """What an inbox, or a folder, brought."""

        def run() -> list[Result]:
            results = self.landing().land_all()
            with BankClient(self.home) as client:
                _, waiting = send_by_network(self.home, client, wait_s=0)
            assert waiting == 0
            return results

        return await asyncio.to_thread(run)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        engine = create_engine(self.url)
        try:
            with engine.connect() as conn:
                return [tuple(row) for row in conn.execute(text(sql))]
        finally:
            engine.dispose()

    def shown(self) -> dict[str, tuple[str, str]]:
        """identifier → name and grade, as readers see them; nothing where nothing landed yet."""
        engine = create_engine(self.url)
        there = self.table in inspect(engine).get_view_names()
        engine.dispose()
        if not there:
            return {}
        rows = self.query(f"SELECT taxpayer_id, names, grade FROM {self.table}")
        assert len({row[0] for row in rows}) == len(rows)
        return {row[0]: (row[1], row[2]) for row in rows}

    def back_up(self, place: Path) -> None:
        """Of a bank whose target is SQLite: spool, evidence and database, as a nightly copy takes them."""
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(BankSettings.of(self.home).spool, place / "spool")
        if Path(self.home.path / "bank.db").exists():
            shutil.copy(self.home.path / "bank.db", place / "bank.db")

    def restore(self, place: Path, *, spool: bool = True, database: bool = True) -> None:
        own = BankSettings.of(self.home).spool
        if spool:
            shutil.rmtree(own)
            shutil.copytree(place / "spool", own)
        if database:
            (self.home.path / "bank.db").unlink(missing_ok=True)
            if (place / "bank.db").exists():
                shutil.copy(place / "bank.db", self.home.path / "bank.db")


def table_of(product: str) -> str:
    return product.replace("-", "_")


def shown_of(truth: Mapping[str, Cells]) -> dict[str, tuple[str, str]]:
    """What a table that shows these records holds."""
    return {identifier: cells[:2] for identifier, cells in truth.items()}


def plain_state(editions: Iterable[Edition]) -> tuple[bytes, dict[str, bytes]]:
    """(state root, identifier → record) of editions laid over each other, computed from their chunks alone.

    Args: editions — a FULL and what follows it.
    """
    told: dict[str, tuple[bytes, bytes]] = {}
    key = b""
    for edition in editions:
        key = edition.blinding_key
        for _, data in edition.chunks():
            for salt, raw in zip(*records.split_chunk(data), strict=True):
                parsed = records_pb2.GradeRecord.FromString(raw)
                assert serialised(parsed) == raw
                told[parsed.taxpayer_id] = salt, raw
                if parsed.gone:
                    del told[parsed.taxpayer_id]
    blind = records.blinder(key)
    entries = sorted(blind(who.encode()) + records.commitment(*record) for who, record in told.items())
    return buckets.state_of(entries).root(), {who: raw for who, (_, raw) in told.items()}
