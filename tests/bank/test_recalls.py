"""A CORRECTION before its turn: what it names is taken back at once, whatever edition is held, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from adapters.bank.cli import app
from adapters.bank.fetch import Receiver
from adapters.bank.landing import Landing
from adapters.bank.outcome import Result
from adapters.bank.recalls import relied_on
from adapters.bank.receipts import Receipts, read_envelope
from adapters.bank.rows import COLUMNS
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.bank.targets import open_target
from adapters.party.home import Home
from adapters.tables.csv_file import CsvTarget
from adapters.tables.landing import SqlTarget
from audit.envelope import open_sealed
from audit.keys import Keyring
from tests.bank.offers import Offers
from tests.bank.test_changes import GRADES, Cut, land, renamed, rows, shown, told
from tests.chain import Chain
from tests.world import SealedEdition, made_up_records, made_up_uscc
from xinyi.days import day_of
from xinyi.errors import Invalid, UsageInvalid
from xinyi.terminal import Exit
from xinyi.v1 import exchange_pb2, records_pb2

RECALL = exchange_pb2.DELIVERY_GROUND_RECALL


def receive(offers: Offers, edition: SealedEdition, home: Home | None = None) -> str:
    """A CORRECTION under the ground of a recall; returns its delivery id."""
    package = offers.package(edition, ground=RECALL)
    chunks = list(enumerate(edition.chunks))
    return Receiver(home or offers.bank).receive(package, lambda _, start: chunks[start:]).delivery_id


def signed(home: Home, delivery: str) -> list[str]:
    """The stages that are signed for a delivery, each once."""
    own = Keyring([home.signer().key])
    found = []
    for path in Receipts(BankSettings.of(home).spool, ()).waiting():
        if path.name.startswith(delivery):
            open_sealed(read_envelope(path), exchange_pb2.DeliveryReceipt, own)
            found.append(path.name.split(".")[1])
    return found


def recalled(url: str) -> list[tuple[str, str, str]]:
    query = "SELECT taxpayer_id, what, correction FROM xinyi_recalls ORDER BY taxpayer_id, correction"
    return [(taxpayer, what, correction) for taxpayer, what, correction in rows(url, query)]


def test_a_bank_with_a_gap_takes_the_named_rows_back_at_once(offers: Offers, database_url: str) -> None:
    """It shows edition 1 still, without what was wrong; nobody it was not told of appears; then it catches up."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(1500))
    offers.receive(first)
    land(offers.bank, database_url)
    missed = [
        # Renames one who is corrected later, lets one go who is corrected later, adds one, and is wrong about one.
        chain.delta([renamed(10, "旧"), *made_up_records(1510)[1505:]], gone=[made_up_uscc(20)]),
        chain.delta([renamed(30, "丙公司")]),
    ]
    correction = chain.correction(
        first.digest,
        [renamed(10, "新", records_pb2.GRADE_B), renamed(1506, "甲公司")],
        gone=[made_up_uscc(11), made_up_uscc(20)],
    )
    delivery = receive(offers, correction)
    (result,) = land(offers.bank, database_url)
    assert (result.recall, result.sequence, result.stage) == (True, 4, "accepted")
    assert signed(offers.bank, delivery) == ["received", "accepted", "applied"]
    wanted = {r.taxpayer_id: (r.names[0], "A") for r in made_up_records(1500)}
    wanted[made_up_uscc(10)] = ("新", "B")
    for number in (11, 20):
        del wanted[made_up_uscc(number)]
    assert shown(database_url) == wanted
    assert rows(database_url, "SELECT sequence, accepted, rejected FROM xinyi_landings") == [(1, 1498, 2)]
    digest = correction.digest.hex()
    taken = [(10, "changed"), (11, "gone"), (20, "gone"), (1506, "changed")]
    assert recalled(database_url) == [(made_up_uscc(number), what, digest) for number, what in taken]

    offers.receive(missed[0])
    land(offers.bank, database_url)
    assert shown(database_url)[made_up_uscc(10)] == ("新", "B"), "what is known to be wrong does not come back"
    assert made_up_uscc(11) not in shown(database_url)
    offers.receive(missed[1])
    results = land(offers.bank, database_url)
    assert [(r.sequence, r.recall) for r in results] == [(3, False), (4, False)]
    assert shown(database_url) == told(chain)
    assert rows(database_url, "SELECT sequence, accepted, rejected FROM xinyi_landings") == [
        (4, len(chain.truth), 0)
    ]
    assert len(recalled(database_url)) == len(taken)
    assert signed(offers.bank, delivery) == ["received", "accepted", "applied"]
    after = chain.delta([renamed(10, "又一")])
    offers.receive(after)
    assert [r.sequence for r in land(offers.bank, database_url)] == [5]
    assert shown(database_url) == told(chain)


def test_a_full_between_does_not_bring_back_what_was_recalled(offers: Offers, database_url: str) -> None:
    """The FULL that the bank catches up by is older than the correction it has: its wrong rows are never seen."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(1200))
    offers.receive(first)
    land(offers.bank, database_url)
    chain.delta()
    full = chain.full(made_up_records(1250))
    correction = chain.correction(full.digest, [renamed(5, "新", records_pb2.GRADE_B)], gone=[made_up_uscc(6)])
    receive(offers, correction)
    land(offers.bank, database_url)
    offers.receive(full)

    class Watching(SqlTarget):
        def discard(self) -> None:
            seen.append(shown(database_url))
            super().discard()

    seen: list[dict[str, tuple[str, str]]] = []
    land(offers.bank, database_url, Watching)
    assert len(seen) == 2
    for table in (*seen, shown(database_url)):
        assert (table[made_up_uscc(5)], made_up_uscc(6) in table) == (("新", "B"), False)
    assert shown(database_url) == told(chain)


def test_a_bank_that_is_further_changes_no_row(offers: Offers, database_url: str) -> None:
    """It went on by a FULL behind the correction: what is shown is newer; the recall is noted and confirmed."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(30))
    offers.receive(first)
    land(offers.bank, database_url)
    correction = chain.correction(first.digest, [renamed(3, "更正")])
    offers.receive(chain.full([*made_up_records(3), renamed(3, "最新"), *made_up_records(30)[4:]]))
    land(offers.bank, database_url)
    before = shown(database_url)
    delivery = receive(offers, correction)
    (result,) = land(offers.bank, database_url)
    assert result.recall
    assert shown(database_url) == before
    assert recalled(database_url) == [(made_up_uscc(3), "changed", correction.digest.hex())]
    assert signed(offers.bank, delivery) == ["received", "accepted", "applied"]
    assert land(offers.bank, database_url) == []


def test_a_bank_that_shows_nothing_any_more_confirms_all_the_same(offers: Offers, database_url: str) -> None:
    """Terminated, its table dropped: what was recalled is written down, and signed for."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(10))
    delivery = receive(offers, chain.correction(first.digest, gone=[made_up_uscc(3)]))
    (result,) = land(offers.bank, database_url)
    assert result.recall
    assert signed(offers.bank, delivery) == ["received", "accepted", "applied"]
    assert [row[:2] for row in recalled(database_url)] == [(made_up_uscc(3), "gone")]


@pytest.mark.parametrize("moment", ["merged", "recalled", "published"])
def test_a_crash_while_a_recall_lands_is_made_good(offers: Offers, database_url: str, moment: str) -> None:
    """Rows and list change together, and the next run signs once."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(1100))
    offers.receive(first)
    land(offers.bank, database_url)
    before = shown(database_url)
    chain.delta()
    delivery = receive(offers, chain.correction(first.digest, [renamed(2, "更正")], gone=[made_up_uscc(3)]))

    class Crashing(SqlTarget):
        def merge(self, base):  # type: ignore[no-untyped-def]
            removed = super().merge(base)
            self.at("merged")
            return removed

        def recall(self, recall):  # type: ignore[no-untyped-def]
            super().recall(recall)
            self.at("recalled")

        def publish(self, landed, disputes):  # type: ignore[no-untyped-def]
            super().publish(landed, disputes)
            self.at("published")

        def at(self, place: str) -> None:
            if place == moment:
                raise Cut

    with pytest.raises(Cut):
        land(offers.bank, database_url, Crashing)
    assert (shown(database_url) == before) == (moment != "published")
    assert bool(recalled(database_url)) == (moment == "published")
    land(offers.bank, database_url)
    wanted = dict(before)
    wanted[made_up_uscc(2)] = ("更正", GRADES[records_pb2.GRADE_A])
    del wanted[made_up_uscc(3)]
    assert shown(database_url) == wanted
    assert len(recalled(database_url)) == 2
    assert signed(offers.bank, delivery) == ["received", "accepted", "applied"]


def test_a_recall_in_a_file(offers: Offers, tmp_path: Path) -> None:
    """The row goes out of the file; the list stands beside it."""
    file = tmp_path / "grade-a.csv"

    def land_file() -> list[Result]:
        return Landing(offers.bank, lambda _: CsvTarget(file, "utf-8", COLUMNS)).land_all()

    chain = Chain(offers.maker)
    first = chain.full(made_up_records(20))
    offers.receive(first)
    land_file()
    chain.delta()
    receive(offers, chain.correction(first.digest, [renamed(4, "更正")], gone=[made_up_uscc(3)]))
    assert [r.recall for r in land_file()] == [True]
    text_now = file.read_text()
    assert (made_up_uscc(3) in text_now, "更正" in text_now, len(text_now.splitlines())) == (False, True, 20)
    found = CsvTarget(file, "utf-8", COLUMNS).recalled("grade-a")
    assert {(row.taxpayer_id, row.what) for row in found} == {
        (made_up_uscc(3), "gone"),
        (made_up_uscc(4), "changed"),
    }


def test_a_repair_recalls_nothing(offers: Offers, database_url: str) -> None:
    """It is an ordinary change of a DELTA: from now on, with no word about what was before."""
    chain = Chain(offers.maker)
    offers.receive(chain.full([renamed(0, "甲公司", records_pb2.GRADE_B), renamed(1, "乙公司")]))
    land(offers.bank, database_url)
    repaired = renamed(0, "甲公司")
    repaired.decision_kind = records_pb2.DECISION_KIND_REPAIR
    offers.receive(chain.delta([repaired]))
    land(offers.bank, database_url)
    assert shown(database_url)[made_up_uscc(0)] == ("甲公司", "A")
    assert rows(database_url, "SELECT count(*) FROM xinyi_recalls") == [(0,)]


def test_loans_that_relied_on_a_recalled_grade_are_listed(offers: Offers, sqlite_url: str, tmp_path: Path) -> None:
    """Granted from the day the wrong edition was known here to the day of the recall; others are left out."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(20))
    offers.receive(first)
    land(offers.bank, sqlite_url)
    offers.receive(chain.correction(first.digest, gone=[made_up_uscc(n) for n in range(5)]))
    land(offers.bank, sqlite_url)
    today = day_of(rows(sqlite_url, "SELECT landed_at_ms FROM xinyi_landings")[0][0]).isoformat()
    file = tmp_path / "loans.csv"
    lines = [
        f"L-1,{made_up_uscc(0)},{today}",
        f"L-2,{made_up_uscc(9)},{today}",
        f"L-3,{made_up_uscc(1).lower()},{today}",
        f"L-4,{made_up_uscc(2)},2018-04-20",
        f"L-5,{made_up_uscc(3)},2099-01-01",
    ]
    file.write_text("\n".join(["loan,taxpayer_id,granted_on", *lines]), encoding="gb18030")
    spool = BankSettings.of(offers.bank).spool
    target = SqlTarget(sqlite_url, "grade_a", COLUMNS)
    reliance = relied_on(file, target.recalled("grade-a"), Spool(spool), Receipts(spool, ()))
    assert (reliance.read, reliance.relied) == (5, 2)
    assert [(one.loan, one.known_on, one.recalled_on) for one in reliance.found] == [
        ("L-1", today, today),
        ("L-3", today, today),
    ]
    file.write_text(f"loan,taxpayer_id,granted_on\nL-1,{made_up_uscc(0)},soon\n")
    with pytest.raises(Invalid, match=r"line 2: granted_on"):
        relied_on(file, target.recalled("grade-a"), Spool(spool), Receipts(spool, ()))
    for wrong, why in {
        "": "empty",
        made_up_uscc(0)[:-2]: "it has 16 characters",
        made_up_uscc(0)[:-1] + ("0" if made_up_uscc(0)[-1] != "0" else "1"): "not the check character",
        "9.1999999E+17": "spreadsheet",
    }.items():
        file.write_text(f"loan,taxpayer_id,granted_on\nL-1,{made_up_uscc(0)},{today}\nL-2,{wrong},{today}\n")
        with pytest.raises(Invalid, match=rf"loans\.csv, line 3: taxpayer_id is .*{why}"):
            relied_on(file, target.recalled("grade-a"), Spool(spool), Receipts(spool, ()))
    file.write_text("loan,granted_on\n")
    with pytest.raises(Invalid, match="taxpayer_id"):
        relied_on(file, target.recalled("grade-a"), Spool(spool), Receipts(spool, ()))
    target.close()


def test_two_corrections_of_one_taxpayer_before_their_turn(offers: Offers, database_url: str) -> None:
    """The later word stands, in whichever order they land."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(40))
    offers.receive(first)
    land(offers.bank, database_url)
    delta = chain.delta([renamed(1, "错")])
    one = chain.correction(first.digest, [renamed(1, "一")], gone=[made_up_uscc(2)])
    two = chain.correction(first.digest, [renamed(1, "二"), renamed(2, "回来")])
    receive(offers, two)
    land(offers.bank, database_url)
    receive(offers, one)
    land(offers.bank, database_url)
    now = shown(database_url)
    assert (now[made_up_uscc(1)], now[made_up_uscc(2)]) == (("二", "A"), ("回来", "A"))
    offers.receive(delta)
    land(offers.bank, database_url)
    assert shown(database_url) == told(chain)
    assert rows(database_url, "SELECT sequence FROM xinyi_landings") == [(4,)]


def test_somebody_who_drops_the_list_gets_it_again(offers: Offers, sqlite_url: str) -> None:
    """The database was restored from before the recall, the spool was not: the recall lands again."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(40))
    offers.receive(first)
    land(offers.bank, sqlite_url)
    chain.delta()
    receive(offers, chain.correction(first.digest, gone=[made_up_uscc(2)]))
    backup = Path(sqlite_url.removeprefix("sqlite:///")).read_bytes()
    land(offers.bank, sqlite_url)
    Path(sqlite_url.removeprefix("sqlite:///")).write_bytes(backup)
    assert made_up_uscc(2) in shown(sqlite_url)
    landing = Landing(offers.bank, lambda _: SqlTarget(sqlite_url, "grade_a", COLUMNS))
    assert [r.recall for r in landing.land_all(["grade-a"])] == [True]
    assert made_up_uscc(2) not in shown(sqlite_url)
    engine = create_engine(sqlite_url)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM xinyi_recalls")).scalar() == 1
    engine.dispose()


@pytest.mark.parametrize("further", [False, True])
@pytest.mark.parametrize("form", ["sqlite", "csv", "oracle-files"])
def test_a_target_made_anew_from_the_spool_tells_of_the_recall(
    offers: Offers, tmp_path: Path, further: bool, form: str
) -> None:
    """The correction came before its turn; the list comes back with the rows, once, and as it was received."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(40))
    offers.receive(first)
    land(offers.bank, f"sqlite:///{tmp_path}/lost.db")
    chain.delta()
    delivery = receive(offers, chain.correction(first.digest, [renamed(3, "更正")], gone=[made_up_uscc(2)]))
    land(offers.bank, f"sqlite:///{tmp_path}/lost.db")
    if further:
        offers.receive(chain.full(list(chain.truth.values())))
        land(offers.bank, f"sqlite:///{tmp_path}/lost.db")
    receipts = signed(offers.bank, delivery)
    url = {"sqlite": f"sqlite:///{tmp_path}/new.db", "csv": f"csv:///{tmp_path}/new.csv"}.get(
        form, f"oracle-files:///{tmp_path}/loads"
    )

    def told_back(url: str) -> set[tuple[str, str, int]]:
        target = open_target(url, "grade_a")
        try:
            return {(row.taxpayer_id, row.what, row.received_at_ms) for row in target.recalled("grade-a")}
        finally:
            target.close()

    landing = Landing(offers.bank, lambda _: open_target(url, "grade_a"))
    assert [(r.sequence, r.recall) for r in landing.land_all(["grade-a"])] == [(4 if further else 1, False), (3, True)]
    assert told_back(url) == told_back(f"sqlite:///{tmp_path}/lost.db")
    assert len(told_back(url)) == 2
    assert landing.land_all(["grade-a"]) == []
    assert signed(offers.bank, delivery) == receipts


def test_recalls_are_not_asked_of_a_target_that_nothing_landed_in(offers: Offers, tmp_path: Path) -> None:
    """"Nothing was recalled" would be a guess: the bank lands elsewhere."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(20))
    offers.receive(first)
    offers.receive(chain.correction(first.digest, gone=[made_up_uscc(3)]))
    url = f"sqlite:///{tmp_path}/own.db"
    land(offers.bank, url)
    loans = tmp_path / "loans.csv"
    loans.write_text(f"loan,taxpayer_id,granted_on\nL-1,{made_up_uscc(4)},2018-04-20\n")

    def recalls(*options: object) -> tuple[int, str, str]:
        home = ("--home", str(offers.bank.path))
        done = CliRunner().invoke(app, ["recalls", *map(str, options), *home])
        return done.exit_code, done.output, done.stderr

    assert made_up_uscc(3) in recalls("--to", url, "--json")[1]
    code, _, told = recalls("--to", url, "--loans", loans)
    assert (code, "1 loans read, 0 relied" in told) == (Exit.NOTHING, True)
    for options in ((), ("--loans", loans), ("--to", f"sqlite:///{tmp_path}/empty.db")):
        done = CliRunner().invoke(app, ["recalls", *map(str, options), "--home", str(offers.bank.path)])
        assert isinstance(done.exception, UsageInvalid)
        assert "--to" in done.exception.explanation
    assert not (offers.bank.path / "bank.db").exists()
