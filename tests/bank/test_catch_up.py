"""catch-up: level in one go, after missed months and after restored backups, without double effects."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from adapters.bank.catch_up import Caught, catch_up
from adapters.bank.chain import Chain as SpoolChain
from adapters.bank.fetch import Receiver, fetch_from_folder
from adapters.bank.folder import Folder
from adapters.bank.landing import Landing
from adapters.bank.proving import prove_record
from adapters.bank.purging import purge
from adapters.bank.receipts import Receipts
from adapters.bank.rows import COLUMNS
from adapters.bank.settings import BankSettings
from adapters.bank.targets import lost_rows, open_target
from adapters.tables.landing import SqlTarget
from gateway import folder as gateways
from tests.bank.offers import Offers
from tests.bank.test_changes import land, renamed, rows, shown, told
from tests.bank.test_purging import aged
from tests.chain import Chain
from tests.world import SealedEdition, made_up_records, made_up_uscc
from xinyi.checks import delivery_id
from xinyi.errors import Unknown
from xinyi.v1 import exchange_pb2


class Bank:
    """A bank by the folder channel: what the gateway wrote lies in a folder."""

    def __init__(self, offers: Offers, place: Path) -> None:
        self.offers = offers
        self.url = f"sqlite:///{place}/bank.db"
        self.database = place / "bank.db"
        self.spool = BankSettings.of(offers.bank).spool
        self.folder = place / "folder"
        self.folder.mkdir()
        gateways.prepare(self.folder)

    def offer(self, *editions: SealedEdition) -> None:
        for edition in editions:
            gateways.write_outgoing(
                str(self.folder),
                delivery_id(edition.digest, self.offers.bank.party),
                self.offers.package(edition),
                exchange_pb2.LogEvidence(),
                enumerate(edition.chunks),
            )

    def catch_up(self) -> Caught:
        receiver = Receiver(self.offers.bank)
        landing = Landing(self.offers.bank, lambda _: SqlTarget(self.url, "grade_a", COLUMNS))

        def fetch() -> object:
            return fetch_from_folder(receiver, Folder(self.folder), self.offers.bank)

        (caught,), _ = catch_up(receiver.spool, landing, fetch, ["grade-a"])
        assert landing.waiting == 0
        return caught

    def back_up(self, name: str) -> None:
        place = self.folder.parent / name
        shutil.copytree(self.spool, place / "spool")
        shutil.copy(self.database, place / "bank.db")

    def restore(self, name: str, *, spool: bool = False, database: bool = False) -> None:
        place = self.folder.parent / name
        if spool:
            shutil.rmtree(self.spool)
            shutil.copytree(place / "spool", self.spool)
        if database:
            shutil.copy(place / "bank.db", self.database)

    def receipts(self) -> dict[str, set[str]]:
        """Of each delivery the stages that wait or were sent."""
        found: dict[str, set[str]] = {}
        for path in Receipts(self.spool, ()).waiting():
            delivery, stage, _ = path.name.split(".")
            found.setdefault(delivery, set()).add(stage)
        return found


@pytest.fixture
def bank(offers: Offers, tmp_path: Path) -> Bank:
    return Bank(offers, tmp_path)


def year(offers: Offers) -> tuple[Chain, list[SealedEdition]]:
    """Five editions of a year, one of them a correction."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(1300))
    return chain, [
        first,
        chain.delta(made_up_records(1400)[1300:], gone=[made_up_uscc(1)]),
        chain.delta([renamed(5, "乙公司")]),
        chain.correction(first.digest, [renamed(6, "更正")], gone=[made_up_uscc(7)]),
        chain.delta([renamed(6, "又一"), *made_up_records(2)[1:]]),
    ]


DONE = {"received", "accepted", "applied"}


def test_missed_months_are_made_good_in_one_go(offers: Offers, bank: Bank) -> None:
    """From nothing to the first, from the first to the fifth; then level."""
    chain, editions = year(offers)
    bank.offer(editions[0])
    caught = bank.catch_up()
    assert (caught.database, caught.level, caught.editions, caught.records) == (0, 1, 1, 1300)
    bank.offer(*editions[1:])
    caught = bank.catch_up()
    assert (caught.database, caught.spool, caught.level, caught.editions) == (1, 1, 5, 4)
    assert caught.records == sum(offers.manifest(edition).record_count for edition in editions[1:])
    assert shown(bank.url) == told(chain)
    assert not bank.catch_up().moved
    assert list(bank.receipts().values()) == [DONE] * 5


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_database_of_last_month_gets_again_what_it_lost(offers: Offers, bank: Bank, at: int) -> None:
    """Out of the spool: nothing is asked for, nothing is signed twice."""
    chain, editions = year(offers)
    bank.offer(*editions[:at])
    bank.catch_up()
    bank.back_up("backup")
    bank.offer(*editions[at:])
    bank.catch_up()
    before = {path: path.read_bytes() for path in (bank.spool / "outbox").iterdir()}
    bank.restore("backup", database=True)
    shutil.rmtree(bank.folder / "outgoing")
    (bank.folder / "outgoing").mkdir()
    caught = bank.catch_up()
    assert (caught.database, caught.spool, caught.level) == (at, 5, 5)
    assert shown(bank.url) == told(chain)
    assert rows(bank.url, "SELECT count(*) FROM xinyi_recalls") == [(2,)]
    assert {path: path.read_bytes() for path in (bank.spool / "outbox").iterdir()} == before
    assert not bank.catch_up().moved


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_spool_of_last_month_finds_what_the_database_has(offers: Offers, bank: Bank, at: int) -> None:
    """What comes again is verified and signed for, and changes no row."""
    chain, editions = year(offers)
    bank.offer(*editions[:at])
    bank.catch_up()
    bank.back_up("backup")
    bank.offer(*editions[at:])
    bank.catch_up()
    written = rows(bank.url, "SELECT sequence, accepted, relation FROM xinyi_landings")
    bank.restore("backup", spool=True)
    caught = bank.catch_up()
    assert (caught.database, caught.spool, caught.level) == (5, at, 5)
    assert shown(bank.url) == told(chain)
    assert rows(bank.url, "SELECT sequence, accepted, relation FROM xinyi_landings") == written
    assert rows(bank.url, "SELECT count(*) FROM xinyi_recalls") == [(2,)]
    assert list(bank.receipts().values()) == [DONE] * 5
    assert not bank.catch_up().moved


def test_a_bank_restored_whole_and_a_spool_that_is_lost(offers: Offers, bank: Bank) -> None:
    """Both from last month's backup; then the whole spool gone: level again, the same rows."""
    chain, editions = year(offers)
    bank.offer(*editions[:2])
    bank.catch_up()
    bank.back_up("backup")
    bank.offer(*editions[2:])
    bank.catch_up()
    bank.restore("backup", spool=True, database=True)
    caught = bank.catch_up()
    assert (caught.database, caught.spool, caught.level, caught.editions) == (2, 2, 5, 3)
    assert shown(bank.url) == told(chain)
    shutil.rmtree(bank.spool)
    caught = bank.catch_up()
    assert (caught.database, caught.spool, caught.level) == (5, 0, 5)
    assert shown(bank.url) == told(chain)
    assert list(bank.receipts().values()) == [DONE] * 5
    after = chain.delta(gone=[made_up_uscc(50)])
    bank.offer(after)
    assert bank.catch_up().level == 6
    assert shown(bank.url) == told(chain)


def test_what_lies_between_and_is_lost_is_asked_for_again(offers: Offers, bank: Bank) -> None:
    """The database is behind, and the spool has lost an edition between: it goes back and asks for that."""
    chain, editions = year(offers)
    bank.offer(*editions[:2])
    bank.catch_up()
    bank.back_up("backup")
    bank.offer(*editions[2:])
    bank.catch_up()
    bank.restore("backup", database=True)
    shutil.rmtree(bank.spool / "landed" / delivery_id(editions[2].digest, offers.bank.party))
    assert bank.catch_up().level == 5
    assert shown(bank.url) == told(chain)


@pytest.mark.parametrize(
    "lost", [["DROP VIEW grade_a", "DROP TABLE grade_a__000001"], ["DROP VIEW grade_a"]], ids=["table", "view"]
)
@pytest.mark.parametrize("more", [False, True])
def test_a_table_that_somebody_dropped_lands_again(
    offers: Offers, database_url: str, lost: list[str], more: bool
) -> None:
    """The row in xinyi_landings is still there; with the next edition, or without one."""
    chain, editions = year(offers)
    for edition in editions:
        offers.receive(edition)
    land(offers.bank, database_url)
    target = SqlTarget(database_url, "grade_a", COLUMNS)
    assert target.lost("grade-a") == ""
    engine = create_engine(database_url)
    with engine.begin() as conn:
        for statement in lost:
            conn.execute(text(statement))
    engine.dispose()
    assert target.lost("grade-a") == lost[-1].split()[-1]
    target.close()
    if more:
        offers.receive(chain.delta([renamed(8, "丙公司")]))
    landing = Landing(offers.bank, lambda _: SqlTarget(database_url, "grade_a", COLUMNS))
    assert [r.sequence for r in landing.land_all(["grade-a"])] == [1, 2, 3, 4, 5, 6][: 5 + more]
    assert shown(database_url) == told(chain)
    assert landing.land_all(["grade-a"]) == []


@pytest.mark.parametrize("target", ["sqlite", "csv", "oracle-files"])
def test_check_names_what_somebody_took_away(offers: Offers, target: str) -> None:
    url = {"sqlite": "sqlite:///bank.db", "csv": "csv:///a.csv"}.get(target, "oracle-files:///loads")
    home = offers.settings(f"\n[bank]\ndatabase = '{url}'\n")
    settings = BankSettings.of(home)
    assert lost_rows(settings) == []
    offers.receive(offers.edition(20), home)
    Landing(home, lambda product: open_target(settings.target(product), settings.table(product))).land_all()
    assert lost_rows(settings) == []
    if target == "sqlite":
        with closing(sqlite3.connect(home.path / "bank.db")) as conn:
            conn.executescript("DROP VIEW grade_a; DROP TABLE grade_a__000001_shared;")
    else:
        (home.path / {"csv": "a.csv"}.get(target, "loads/grade_a/000001-full/grade_a.dat")).unlink()
    (problem,) = lost_rows(settings)
    missing = {"sqlite": "grade_a__000001_shared", "csv": "a.csv", "oracle-files": "000001-full"}[target]
    assert f"{missing} is missing" in problem
    assert "catch-up" in problem
    landing = Landing(home, lambda product: open_target(settings.target(product), settings.table(product)))
    assert [r.sequence for r in landing.land_all(["grade-a"])] == [1]
    assert lost_rows(settings) == []


def test_a_record_is_proven_by_the_newest_edition_that_says_it(offers: Offers, bank: Bank) -> None:
    """And the editions behind it left it as it is; of who is gone there is nothing to prove but that."""
    _, editions = year(offers)
    bank.offer(*editions)
    bank.catch_up()

    def proven(number: int) -> tuple[int, tuple[int, ...]]:
        found = prove_record(offers.bank, "grade-a", made_up_uscc(number))
        return found.sequence, found.unchanged_by

    assert proven(900) == (1, (2, 3, 4, 5))
    assert proven(1350) == (2, (3, 4, 5))
    assert proven(5) == (3, (4, 5))
    assert proven(6) == (5, ())
    assert proven(1) == (5, ())
    with pytest.raises(Unknown) as gone:
        proven(7)
    assert gone.value.basis == "record.gone"
    assert prove_record(offers.bank, "grade-a", made_up_uscc(7), edition=editions[3].digest.hex()).sequence == 4
    with pytest.raises(Unknown) as unknown:
        proven(5000)
    assert unknown.value.basis == "record.unknown"


def test_purging_keeps_what_the_newest_state_is_made_of(offers: Offers, bank: Bank) -> None:
    """A FULL and its changes stay together until a newer FULL has landed."""
    chain, editions = year(offers)
    bank.offer(*editions)
    bank.catch_up()
    aged(bank.spool / "landed", 400)
    assert purge(offers.bank, days=30).editions == 0
    bank.offer(chain.full(made_up_records(1300), anew=True), chain.delta(gone=[made_up_uscc(0)]))
    bank.catch_up()
    aged(bank.spool / "landed", 400)
    assert purge(offers.bank, days=30).editions == 5
    kept = [link.manifest.sequence for link in SpoolChain(Receiver(offers.bank).spool, "grade-a") if link.whole]
    assert kept == [6, 7]
    assert prove_record(offers.bank, "grade-a", made_up_uscc(9)).sequence == 6
