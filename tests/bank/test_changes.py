"""DELTAs and CORRECTIONs in their turn: landed in place, compared, and checked against the sealed state."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from adapters.bank.fetch import Receiver
from adapters.bank.landing import Landing
from adapters.bank.outcome import Result
from adapters.bank.receipts import Receipts
from adapters.bank.rows import COLUMNS
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.bank.targets import open_target
from adapters.party.home import Home
from adapters.tables.csv_file import CsvTarget
from adapters.tables.landing import SqlTarget
from adapters.tables.target import Landed, Target
from audit import records
from tests.bank.offers import Offers, reason
from tests.chain import Chain
from tests.world import SealedEdition, made_up_records, made_up_uscc
from xinyi.errors import DigestMismatch, ProofInvalid, VerificationError
from xinyi.terminal import Exit, exit_code
from xinyi.v1 import exchange_pb2, records_pb2

GRADES = {records_pb2.GRADE_A: "A", records_pb2.GRADE_B: "B"}


class Cut(BaseException):
    """The process ends here."""


def land(home: Home, url: str, kind: type[SqlTarget] = SqlTarget) -> list[Result]:
    return Landing(home, lambda product: kind(url, product.replace("-", "_"), COLUMNS)).land_all()


def rows(url: str, query: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as conn:
        found = [tuple(row) for row in conn.execute(text(query))]
    engine.dispose()
    return found


def shown(url: str) -> dict[str, tuple[str, str]]:
    """identifier → name and grade, as readers see them."""
    return {row[0]: (row[1], row[2]) for row in rows(url, "SELECT taxpayer_id, names, grade FROM grade_a")}


def told(chain: Chain) -> dict[str, tuple[str, str]]:
    return {
        name: ("；".join(record.names), GRADES[record.grade]) for name, record in chain.truth.items()
    }


def renamed(number: int, name: str, grade: records_pb2.Grade = records_pb2.GRADE_A) -> records_pb2.GradeRecord:
    record = made_up_records(number + 1, grade)[number]
    record.names[:] = [name]
    return record


def stages(home: Home) -> list[tuple[str, str]]:
    spool = BankSettings.of(home).spool
    return [tuple(path.name.split(".")[:2]) for path in Receipts(spool, ()).waiting()]  # type: ignore[misc]


def test_a_year_of_changes_lands_in_place(offers: Offers, database_url: str) -> None:
    """New, renamed, another grade, gone, back again, nothing at all, corrected: after each the table is the truth."""
    chain = Chain(offers.maker, product="grade-a")
    first = chain.full(made_up_records(2500))
    offers.receive(first)
    (landed,) = land(offers.bank, database_url)
    assert (landed.kind, landed.accepted) == ("full", 2500)
    steps: list[tuple[str, SealedEdition]] = [
        ("delta", chain.delta(made_up_records(2600)[2500:], gone=[made_up_uscc(n) for n in range(40)])),
        ("delta", chain.delta([renamed(50, "新名称"), renamed(51, "乙公司", records_pb2.GRADE_B)])),
        ("delta", chain.delta()),
        ("delta", chain.delta(made_up_records(3), gone=[made_up_uscc(60)])),
        ("correction", chain.correction(first.digest, [renamed(52, "更正")], gone=[made_up_uscc(61)])),
        ("delta", chain.delta([renamed(52, "又一名称")])),
    ]
    relation = rows(database_url, "SELECT relation FROM xinyi_landings")
    truth = None
    for number, (kind, edition) in enumerate(steps, 2):
        fetched = offers.receive(edition)
        (landed,) = land(offers.bank, database_url)
        assert (landed.sequence, landed.kind, landed.stage) == (number, kind, "accepted")
        assert landed.root == offers.manifest(edition).root
        wanted = {
            name: ("；".join(record.names), GRADES[record.grade])
            for name, record in chain.history[edition.digest].items()
        }
        assert shown(database_url) == wanted
        assert truth != wanted or not edition.chunks
        truth = wanted
        counts = rows(database_url, "SELECT sequence, accepted, rejected, manifest_digest FROM xinyi_landings")
        assert counts == [(number, len(wanted), 0, edition.digest.hex())]
        assert {stage for delivery, stage in stages(offers.bank) if delivery == fetched.delivery_id} == {
            "received", "accepted", "applied",
        }  # fmt: skip
    assert rows(database_url, "SELECT relation FROM xinyi_landings") == relation, "changed in place"
    assert shown(database_url) == told(chain)
    assert rows(database_url, "SELECT taxpayer_id, what FROM xinyi_recalls ORDER BY what") == [
        (made_up_uscc(52), "changed"),
        (made_up_uscc(61), "gone"),
    ]
    assert land(offers.bank, database_url) == []


def test_a_chain_lands_in_one_run_and_the_next_full_begins_anew(offers: Offers, database_url: str) -> None:
    """Fetched together, landed one behind the other; the new year's FULL has other keys."""
    chain = Chain(offers.maker)
    for edition in (
        chain.full(made_up_records(1500)),
        chain.delta(made_up_records(1600)[1500:]),
        chain.delta(gone=[made_up_uscc(3)]),
        chain.full(made_up_records(1700)[100:], anew=True),
        chain.delta([renamed(200, "乙公司")]),
    ):
        offers.receive(edition)
    assert [result.sequence for result in land(offers.bank, database_url)] == [1, 2, 3, 4, 5]
    assert shown(database_url) == told(chain)


def test_a_delta_whose_predecessor_is_missing_waits(offers: Offers, database_url: str) -> None:
    """It is no lie and no failure: nothing is shown, nothing is put aside, and the run says that one waits."""
    chain = Chain(offers.maker)
    first, second, third = chain.full(made_up_records(5)), chain.delta(gone=[made_up_uscc(0)]), chain.delta()
    offers.receive(first)
    land(offers.bank, database_url)
    offers.receive(second)
    offers.receive(third)
    spool = Spool(BankSettings.of(offers.bank).spool)
    (delta,) = [e for e in spool.editions("ready") if e.package().manifest == second.manifest]
    aside = offers.bank.path / "aside"
    delta.path.rename(aside)
    landing = Landing(offers.bank, lambda _: SqlTarget(database_url, "grade_a", COLUMNS))
    assert (landing.land_all(), landing.waiting) == ([], 1)
    assert len(shown(database_url)) == 5
    aside.rename(delta.path)
    assert [result.sequence for result in land(offers.bank, database_url)] == [2, 3]


@pytest.mark.parametrize("lie", ["state.root", "state.gone"])
def test_a_delta_that_does_not_come_to_its_state_is_put_aside(
    offers: Offers, database_url: str, lie: str
) -> None:
    """What is shown stays, no receipt but RECEIVED is signed, and the edition before is held again."""
    chain = Chain(offers.maker)
    offers.receive(chain.full(made_up_records(1100)))
    land(offers.bank, database_url)
    if lie == "state.gone":
        chain.truth[made_up_uscc(5000)] = made_up_records(5001)[5000]
        edition = chain.delta(gone=[made_up_uscc(5000)])
    else:
        edition = offers.reseal(chain.delta([renamed(1, "乙公司")]), state_root=b"\7" * 32)
    fetched = offers.receive(edition)
    with pytest.raises(ProofInvalid) as refused:
        land(offers.bank, database_url)
    assert refused.value.basis == lie
    assert reason(offers.bank, fetched.delivery_id)["basis"] == lie
    assert shown(database_url) == {r.taxpayer_id: (r.names[0], "A") for r in made_up_records(1100)}
    assert {stage for delivery, stage in stages(offers.bank) if delivery == fetched.delivery_id} == {"received"}
    held = Spool(BankSettings.of(offers.bank).spool).held("grade-a")
    assert held is not None
    assert held.sequence == 1


@pytest.mark.parametrize("damage", ["missing", "torn", "stale"])
def test_a_state_that_is_lost_or_damaged_is_made_anew(offers: Offers, database_url: str, damage: str) -> None:
    """From the chunks in the spool: a file of ours makes nobody a liar."""
    chain = Chain(offers.maker)
    offers.receive(chain.full(made_up_records(2100)))
    offers.receive(chain.delta(gone=[made_up_uscc(7)]))
    land(offers.bank, database_url)
    file = offers.bank.path / "spool/state/grade-a.db"
    if damage == "missing":
        file.unlink()
    elif damage == "torn":
        file.write_bytes(b"no database" * 1000)
    else:
        with sqlite3.connect(file) as state:
            state.execute("UPDATE buckets SET entries = x'', identifiers = ''")
    offers.receive(chain.delta([renamed(n, "乙公司") for n in range(20, 60)], gone=[made_up_uscc(8)]))
    (result,) = land(offers.bank, database_url)
    assert result.sequence == 3
    assert shown(database_url) == told(chain)


def test_what_the_bank_s_rules_refuse_of_a_delta_is_kept_and_not_shown(
    offers: Offers, database_url: str
) -> None:
    """A record that is refused now is not shown as it was before either; the share is one of all records."""
    home = offers.settings("\n[bank.rules]\nmax_name_length = 20\nmax_refused_percent = 30\n")
    chain = Chain(offers.maker)
    offers.receive(chain.full(made_up_records(10)), home)
    land(home, database_url)
    edition = chain.delta([renamed(1, "很" * 30), renamed(2, "短")], gone=[made_up_uscc(3)])
    offers.receive(edition, home)
    (result,) = land(home, database_url)
    assert (result.stage, result.accepted, result.rejected) == ("partial", 2, 1)
    assert rows(database_url, "SELECT accepted, rejected FROM xinyi_landings") == [(8, 1)]
    assert shown(database_url).keys() == chain.truth.keys() - {made_up_uscc(1)}
    refused = "SELECT taxpayer_id, refused FROM grade_a__000001 WHERE refused IS NOT NULL"
    assert rows(database_url, refused) == [(made_up_uscc(1), "bank.name_length")]
    many = offers.receive(chain.delta([renamed(n, "长" * 30) for n in range(4, 9)]), home)
    (result,) = land(home, database_url)
    assert (result.stage, result.accepted, result.rejected) == ("rejected", 0, 5)
    assert reason(home, many.delivery_id)["basis"] == "bank.rules"
    assert len(shown(database_url)) == 8


@pytest.mark.parametrize("moment", ["staged", "merged", "publishing", "published", "discarding"])
def test_a_crash_while_a_delta_lands_is_made_good(offers: Offers, database_url: str, moment: str) -> None:
    """Readers see the edition before or the edition after, and the next run signs once."""
    chain = Chain(offers.maker)
    offers.receive(chain.full(made_up_records(1200)))
    land(offers.bank, database_url)
    before = shown(database_url)

    class Crashing(SqlTarget):
        def written(self) -> None:
            super().written()
            self.at("staged")

        def merge(self, base: Landed) -> int:
            removed = super().merge(base)
            self.at("merged")
            return removed

        def publish(self, landed: Landed, disputes: Mapping[str, str] | None) -> None:
            self.at("publishing")
            super().publish(landed, disputes)
            self.at("published")

        def discard(self) -> None:
            self.at("discarding")
            super().discard()

        def at(self, place: str) -> None:
            if place == moment:
                raise Cut

    offers.receive(chain.delta([renamed(1, "乙公司")], gone=[made_up_uscc(2)]))
    with pytest.raises(Cut):
        land(offers.bank, database_url, Crashing)
    swapped = moment in ("published", "discarding")
    assert shown(database_url) == (told(chain) if swapped else before)
    land(offers.bank, database_url)
    assert shown(database_url) == told(chain)
    assert rows(database_url, "SELECT accepted, rejected FROM xinyi_landings") == [(1199, 0)]
    assert sorted(stage for _, stage in stages(offers.bank)) == sorted(2 * ["received", "accepted", "applied"])
    offers.receive(chain.delta([renamed(3, "丙公司")]))
    assert [result.sequence for result in land(offers.bank, database_url)] == [3]
    assert shown(database_url) == told(chain)


def test_a_row_that_a_database_changes_is_found_before_it_is_shown(offers: Offers, database_url: str) -> None:
    """Read back in the same transaction: a changed row undoes all of it."""
    chain = Chain(offers.maker)
    offers.receive(chain.full(made_up_records(1100)))
    land(offers.bank, database_url)
    before = shown(database_url)

    class Changing(SqlTarget):
        def merge(self, base: Landed) -> int:
            removed = super().merge(base)
            with self._transaction() as conn:
                conn.execute(text(f"UPDATE {base.relation} SET names = 'x' WHERE taxpayer_id = :one"), {
                    "one": made_up_uscc(4)
                })
            return removed

    offers.receive(chain.delta([renamed(4, "乙公司")]))
    with pytest.raises(DigestMismatch) as refused:
        land(offers.bank, database_url, Changing)
    assert refused.value.basis == "landing.rows"
    assert shown(database_url) == before
    land(offers.bank, database_url)
    assert shown(database_url) == told(chain)


def test_marks_of_objections_come_and_go_with_the_deliveries(offers: Offers, database_url: str) -> None:
    """A column of the view says since when; a later delivery without the mark takes it away."""
    chain = Chain(offers.maker)
    receive_marked(offers, chain, chain.full(made_up_records(1500)), {3: "2018-02-01", 1400: "2018-02-03"})
    land(offers.bank, database_url)
    assert disputed(database_url) == [(made_up_uscc(3), "2018-02-01"), (made_up_uscc(1400), "2018-02-03")]
    receive_marked(offers, chain, chain.delta(gone=[made_up_uscc(1400)]), {7: "2018-03-01", 9999: "2018-03-01"})
    land(offers.bank, database_url)
    assert disputed(database_url) == [(made_up_uscc(7), "2018-03-01")], "of nobody who is not there"
    offers.receive(chain.delta())
    land(offers.bank, database_url)
    assert disputed(database_url) == []


def disputed(url: str) -> list[Any]:
    return rows(
        url,
        "SELECT taxpayer_id, disputed_since FROM grade_a WHERE disputed_since IS NOT NULL ORDER BY taxpayer_id",
    )


def receive_marked(offers: Offers, chain: Chain, edition: SealedEdition, marks: Mapping[int, str]) -> None:
    """Args: marks — number of the taxpayer → since when."""
    blind = records.blinder(chain.blinding_key)
    disputes = [
        exchange_pb2.DisputeMark(blinded_key=key, objection=b"\1" * 32, filed_on=since, due_on="2018-12-31")
        for key, since in sorted((blind(made_up_uscc(n).encode()), since) for n, since in marks.items())
    ]
    package = offers.package(edition, disputes=disputes)
    Receiver(offers.bank).receive(package, lambda _, start: list(enumerate(edition.chunks))[start:])


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_changes_land_in_a_file(offers: Offers, tmp_path: Path, encoding: str) -> None:
    """The file is written anew beside, and renamed; disputes and recalls stand beside it."""
    file = tmp_path / "grade-a.csv"

    def target(_: str) -> Target:
        return CsvTarget(file, encoding, COLUMNS)

    def names() -> dict[str, str]:
        lines = file.read_text(encoding=encoding).splitlines()[1:]
        return {line.split(",")[0]: line.split(",")[2] for line in lines}

    chain = Chain(offers.maker)
    first = chain.full(made_up_records(1100))
    receive_marked(offers, chain, first, {5: "2018-02-01"})
    Landing(offers.bank, target).land_all()
    assert "2018-02-01" in file.with_name("grade-a.csv.disputes.csv").read_text(encoding=encoding)
    offers.receive(chain.delta([renamed(1, "乙公司")], gone=[made_up_uscc(2)]))
    offers.receive(chain.correction(first.digest, [renamed(4, "丙公司")], gone=[made_up_uscc(3)]))
    results = [(r.sequence, r.recall) for r in Landing(offers.bank, target).land_all()]
    assert results == [(3, True), (2, False), (3, False)]
    assert names() == {name: record.names[0] for name, record in chain.truth.items()}
    recalled = {(row.taxpayer_id, row.what) for row in target("").recalled("grade-a")}
    assert recalled == {(made_up_uscc(4), "changed"), (made_up_uscc(3), "gone")}
    assert "2018-02-01" not in file.with_name("grade-a.csv.disputes.csv").read_text(encoding=encoding)
    assert not list(tmp_path.glob("*.part"))


def test_a_file_ahead_of_its_state_is_counted_as_it_stands(offers: Offers, tmp_path: Path) -> None:
    """A crash behind the file's rename: the edition lands again, and what is said of it is what the file holds."""
    file = tmp_path / "grade-a.csv"

    class Dying(CsvTarget):
        def _keep(self, *_: object) -> None:
            raise Cut

    chain = Chain(offers.maker)
    offers.receive(chain.full(made_up_records(1100)))
    Landing(offers.bank, lambda _: CsvTarget(file, "utf-8", COLUMNS)).land_all()
    offers.receive(chain.delta(made_up_records(1105)[1100:], gone=[made_up_uscc(2)]))
    with pytest.raises(Cut):
        Landing(offers.bank, lambda _: Dying(file, "utf-8", COLUMNS)).land_all()
    target = CsvTarget(file, "utf-8", COLUMNS)
    Landing(offers.bank, lambda _: target).land_all()
    landed = target.landed("grade-a")
    assert landed is not None
    assert (landed.sequence, landed.accepted, landed.rejected) == (2, 1104, 0)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1 + 1104


@pytest.mark.parametrize("url", ["csv:///{}/a.csv", "oracle-files:///{}/loads", "parquet:///{}/loads"])
@pytest.mark.parametrize("kind", ["full", "delta"])
def test_a_full_disk_names_the_file_and_leaves_no_rows(
    offers: Offers, tmp_path: Path, url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Try again later; what is shown stays, and the next run lands the edition."""
    place = tmp_path / "target"
    place.mkdir()
    chain = Chain(offers.maker)
    offers.receive(chain.full(made_up_records(30)))
    landing = Landing(offers.bank, lambda _: open_target(url.format(place), "grade_a"))
    if kind == "delta":
        landing.land_all()
        offers.receive(chain.delta([renamed(3, "乙公司")]))
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    real = os.fsync

    def full(descriptor: int) -> None:
        if ".part" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError) as error:
            landing.land_all()
    assert (exit_code(error.value), error.value.errno) == (Exit.UNAVAILABLE, errno.ENOSPC)
    assert str(place) in str(error.value.filename)
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before
    assert [r.sequence for r in landing.land_all()] == [1 if kind == "full" else 2]


def test_a_lie_in_the_middle_of_a_chain_keeps_what_came_before(offers: Offers, sqlite_url: str) -> None:
    """Those behind it wait; once the edition is there as it was sealed, they follow."""
    chain = Chain(offers.maker)
    editions = [chain.full(made_up_records(1100)), chain.delta([renamed(1, "乙")]), chain.delta([renamed(2, "丙")])]
    packages = [offers.package(edition) for edition in editions]

    def receive(number: int) -> str:
        chunks = list(enumerate(editions[number].chunks))
        return Receiver(offers.bank).receive(packages[number], lambda _, start: chunks[start:]).delivery_id

    _, damaged, _ = map(receive, range(3))
    chunk = offers.bank.path / "spool/ready" / damaged / "chunks/000000.chunk"
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(VerificationError):
        land(offers.bank, sqlite_url)
    assert rows(sqlite_url, "SELECT sequence FROM xinyi_landings") == [(1,)]
    spool = Spool(BankSettings.of(offers.bank).spool)
    held = spool.held("grade-a")
    assert held is not None
    assert held.sequence == 1
    aside = spool.find(damaged, "refused")
    assert aside is not None
    aside.path.rename(offers.bank.path / "aside")
    receive(1)
    receive(2)
    assert [result.sequence for result in land(offers.bank, sqlite_url)] == [2, 3]
    assert shown(sqlite_url) == told(chain)
