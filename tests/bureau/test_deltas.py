"""Editions over time as the bureau builds them: what they tell, the state they come to, what nobody decided on."""

from __future__ import annotations

import csv
import random
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.bureau.building import CORRECTION, DELTA, FULL, Place, build
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.states import States
from adapters.party.home import Home
from adapters.tables.profile import Profile
from adapters.tables.reading import Table, open_table
from audit import buckets, records
from audit.chunk_stream import ChunkStream, SealedChunk
from audit.records import ExaminedChunk, examine_chunk
from examples import generate
from tests.chain import serialised
from tests.world import GATEWAY, MAKER, made_up_uscc
from xinyi import checks
from xinyi.errors import Conflict, DigestMismatch, Invalid
from xinyi.processes import Processes
from xinyi.v1 import edition_pb2, records_pb2

COLUMNS = ("change", "taxpayer_id", "name", "tax_office", "evaluation_year", "grade")
#: identifier → (name, office, grade)
Truth = dict[str, tuple[str, str, str]]


def profile(path: Path, *, changes: bool) -> Profile:
    columns = [name for name in COLUMNS if changes or name != "change"]
    file = path / f"profile-{changes}.toml"
    file.write_text(
        'name = "test"\nproduct = "grade-a"\nencoding = "utf-8"\n'
         "[columns]\n"
        + "".join(f'{name} = "{name}"\n' for name in columns)
        + '[identifiers]\ntaxpayer_id = "taxpayer_number"\n'
        + '[words.change]\nin = "new"\nother = "changed"\nout = "gone"\n[grades]\ngrade-a = ["A"]\n'
    )
    return Profile.load(file)


def taxpayer(number: int) -> tuple[str, tuple[str, str, str]]:
    return made_up_uscc(number), (f"示例企业{number}有限公司", "示例税务局", "A")


def record(identifier: str, cells: tuple[str, str, str]) -> records_pb2.GradeRecord:
    name, office, grade = cells
    return records_pb2.GradeRecord(
        taxpayer_id=identifier,
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=[name],
        tax_offices=[office],
        evaluation_year=2018,
        grade=f"GRADE_{grade}",
    )


@dataclass
class Bureau:
    """One home that builds one edition behind the other, without a gateway, and what it has told so far."""

    path: Path
    product: str = "grade-a"
    truth: Truth = field(default_factory=dict)
    last: Edition | None = None

    def __post_init__(self) -> None:
        self.home = Home.create(self.path / "home", MAKER, "127.0.0.1:1", GATEWAY)
        self.editions = Editions(self.home.state)

    def full(self, truth: Truth, *, year: int = 2019, spoil: Mapping[str, str] | None = None, **more: Any) -> Edition:
        """Args: spoil — identifier → an evaluation year that cannot be read, in its row."""
        self.truth = {identifier: truth[identifier] for identifier in truth if identifier not in (spoil or {})}
        return self.whole(truth, FULL, year=year, spoil=spoil, **more)

    def whole(
        self,
        truth: Truth,
        kind: edition_pb2.EditionKind,
        *,
        year: int = 2019,
        spoil: Mapping[str, str] | None = None,
        crew: Processes | None = None,
    ) -> Edition:
        rows = [
            ["", identifier, name, office, (spoil or {}).get(identifier, "2018"), grade]
            for identifier, (name, office, grade) in truth.items()
        ]
        return self._build([row[1:] for row in rows], profile(self.path, changes=False), kind, year=year, crew=crew)

    def changes(
        self,
        rows: Iterable[tuple[str, str, tuple[str, str, str]]],
        kind: edition_pb2.EditionKind = DELTA,
        *,
        corrects: Edition | None = None,
    ) -> Edition:
        """Args: rows — (word, identifier, cells)."""
        cells = [[word, who, name, office, "2018", grade] for word, who, (name, office, grade) in rows]
        return self._build(cells, profile(self.path, changes=True), kind, corrects=corrects)

    def _build(
        self,
        rows: list[list[str]],
        mapped: Profile,
        kind: edition_pb2.EditionKind,
        *,
        year: int = 2019,
        corrects: Edition | None = None,
        crew: Processes | None = None,
    ) -> Edition:
        file = self.path / "table.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([list(mapped.columns), *rows])
        place = Place(
            self.product,
            edition_pb2.Period(year=year, month=1),
            kind,
            sequence=self.last.manifest.sequence + 1 if self.last else 1,
            predecessor=self.last.digest if self.last else b"",
            previous=self.last,
            corrects=corrects,
            reason="wrong rule set" if corrects else "",
        )
        table: Table = open_table(file, mapped)
        self.last = build(self.editions, table, place, self.home.signers(), crew=crew)
        return self.last

    def standing(self, edition: Edition | None = None) -> dict[str, records_pb2.GradeRecord]:
        """What stands by the index, looked up under the keys of everybody who ever was in the truth."""
        edition = edition or self.last
        assert edition is not None
        state = States(self.editions).after(edition)
        own = [bucket.entries for bucket in state.read_buckets(set(range(buckets.COUNT))).values()]
        keys = [entries[i : i + 32] for entries in own for i in range(0, len(entries), 64)]
        found = [records_pb2.GradeRecord.FromString(s.record) for s in state.find(keys).values()]
        state.close()
        assert edition.manifest.state_count == len(keys) == len(found)
        return {record.taxpayer_id: record for record in found}

    def check(self) -> None:
        """The last edition is valid, and what stands is the truth."""
        assert self.last is not None
        verify(self.last)
        assert self.standing() == {who: record(who, cells) for who, cells in self.truth.items()}


def verify(edition: Edition) -> dict[str, records_pb2.GradeRecord]:
    """As any receiver does; the records that it tells, in the order of the tree."""
    checks.check_manifest(edition.manifest)
    told: dict[str, records_pb2.GradeRecord] = {}

    def take(chunk: SealedChunk[ExaminedChunk]) -> None:
        for raw in records.split_chunk(chunk.data)[1]:
            parsed = records_pb2.GradeRecord.FromString(raw)
            told[parsed.taxpayer_id] = parsed

    stream = ChunkStream(edition.manifest, edition.blinding_key, examine_chunk, take)
    for number, data in edition.chunks():
        stream.put(number, data)
    stream.drain()
    assert stream.complete
    assert len(told) == edition.manifest.record_count
    return told


def mend(edition: Edition) -> list[dict[str, str]]:
    with (edition.path / "mend.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def bureau(tmp_path: Path) -> Bureau:
    return Bureau(tmp_path)


def test_random_months_come_to_the_truth_and_a_full_to_the_same_root(bureau: Bureau) -> None:
    """However a year's editions came about, the state is the truth, and FULL = FULL + DELTAs by its root."""
    chance = random.Random(7)
    bureau.full(dict(map(taxpayer, range(3000))))
    bureau.check()
    following = 3000
    for month in range(6):
        gone = chance.sample(sorted(bureau.truth), 20)
        other = chance.sample(sorted(bureau.truth.keys() - set(gone)), 30)
        new = [taxpayer(following + n) for n in range(25)]
        following += 25
        after = {who: cells for who, cells in bureau.truth.items() if who not in gone}
        after |= {who: (cells[0], f"第{month}税务所", "A") for who, cells in after.items() if who in other}
        after |= dict(new)
        if month % 2:
            edition = bureau.whole(after, DELTA)
        else:
            rows = [("out", who, ("", "", "")) for who in gone] + [("in", *one) for one in new]
            edition = bureau.changes([*rows, *(("other", who, after[who]) for who in other)])
        bureau.truth = after
        bureau.check()
        told = verify(edition)
        assert {who for who, told_record in told.items() if told_record.gone} == set(gone)
        assert told.keys() - set(gone) == {*other, *(who for who, _ in new)}
        assert edition.manifest.comparison == edition_pb2.Comparison(
            added=25, gone=20, changed=30, unchanged=len(after) - 55
        )
    before = bureau.last
    assert before is not None
    full = bureau.full(bureau.truth)
    bureau.check()
    assert full.manifest.state_root == before.manifest.state_root
    assert full.report["state"]["same_as_before"]
    following_year = bureau.full(bureau.truth, year=2020)
    bureau.check()
    assert following_year.manifest.state_root != full.manifest.state_root
    assert following_year.manifest.comparison.unchanged == len(bureau.truth)


def test_large_tables_give_the_same_edition_whoever_works_on_them(tmp_path: Path) -> None:
    """A DELTA from a whole file of more than a block, made by other processes, comes to the truth as well."""
    bureau = Bureau(tmp_path)
    with Processes(2) as crew:
        bureau.full(dict(map(taxpayer, range(60_000))), crew=crew)
        bureau.truth = dict(map(taxpayer, range(500, 60_400)))
        edition = bureau.whole(bureau.truth, DELTA, crew=crew)
    assert (edition.manifest.record_count, edition.manifest.gone_count) == (900, 500)
    bureau.check()


def test_nothing_changed_is_a_statement(bureau: Bureau) -> None:
    """A DELTA may hold no record; the state stays."""
    first = bureau.full(dict(map(taxpayer, range(50))))
    for edition in (bureau.changes([]), bureau.whole(bureau.truth, DELTA)):
        assert edition.manifest.record_count == 0
        assert edition.manifest.state_root == first.manifest.state_root
        bureau.check()


def test_rows_that_say_what_stands_already_are_no_change(bureau: Bureau) -> None:
    """They are counted as unchanged, and an unchanged record keeps its salt."""
    bureau.full(dict(map(taxpayer, range(50))))
    same = [("other", *taxpayer(n)) for n in range(10)]
    edition = bureau.changes([*same, ("other", made_up_uscc(10), ("另一名有限公司", "示例税务局", "A"))])
    bureau.truth[made_up_uscc(10)] = ("另一名有限公司", "示例税务局", "A")
    assert (edition.manifest.quality.unchanged, edition.manifest.record_count) == (10, 1)
    assert edition.manifest.comparison.renamed == 1
    bureau.check()


def test_another_grade_takes_a_taxpayer_out_of_the_public_list_without_saying_why(bureau: Bureau) -> None:
    """In grade-a whoever is B now is gone; whoever was not there and is B is nobody's business."""
    bureau.full(dict(map(taxpayer, range(50))))
    who, (name, office, _) = taxpayer(3)
    edition = bureau.changes([("other", who, (name, office, "B")), ("other", made_up_uscc(99), (name, office, "B"))])
    del bureau.truth[who]
    [told] = verify(edition).values()
    assert told == records_pb2.GradeRecord(taxpayer_id=who, identifier_kind="IDENTIFIER_KIND_USCC", gone=True)
    assert edition.manifest.quality.unchanged == 1
    bureau.check()


def test_no_decision_is_no_change(bureau: Bureau) -> None:
    """In a DELTA from a whole file whoever has a row that decides nothing keeps the record, and is asked about."""
    truth = dict(map(taxpayer, range(50)))
    bureau.full(truth)
    (broken, _), (twice, cells) = taxpayer(4), taxpayer(5)
    spoilt = bureau.whole(truth, DELTA, spoil={broken: "soon", made_up_uscc(99): "soon"})
    assert (spoilt.manifest.quality.kept, spoilt.manifest.record_count) == (1, 0)
    assert [(row["taxpayer_id"], row["rules"]) for row in mend(spoilt)] == [(broken, "year.form record.kept")]
    bureau.check()
    rows = [[who, *cells[:2], "2018", cells[2]] for who, cells in truth.items()]
    rows.append([twice, *cells[:2], "2018", "B"])
    contradicting = bureau._build(rows, profile(bureau.path, changes=False), DELTA)
    assert (contradicting.manifest.quality.kept, contradicting.manifest.quality.quarantined) == (1, 2)
    assert {row["rules"] for row in mend(contradicting)} == {
        "record.grades_differ",
        "record.grades_differ record.kept",
    }
    bureau.check()


def test_whoever_lost_a_record_for_want_of_a_decision_is_counted_in_the_seal(bureau: Bureau) -> None:
    """A FULL holds nothing but what its file says: those who are out because of a bad row are lost, and listed."""
    truth = dict(map(taxpayer, range(50)))
    bureau.full(truth)
    lost = [taxpayer(4)[0], taxpayer(7)[0]]
    left = {who: cells for who, cells in truth.items() if who != taxpayer(9)[0]}
    edition = bureau.full(left, spoil=dict.fromkeys([*lost, made_up_uscc(99)], "soon"))
    assert edition.report["lost"] == 2
    assert edition.manifest.comparison.gone == 3
    assert {rule.rule: rule.rows for rule in edition.manifest.quality.rules}["record.lost"] == 2
    told = [line.split(",")[:2] for line in (edition.path / "comparison.csv").read_text("utf-8-sig").splitlines()[1:]]
    assert sorted(told) == sorted([["gone", taxpayer(9)[0]], *(["lost", who] for who in lost)])
    bureau.check()


@pytest.mark.parametrize(
    ("row", "rule", "outcome", "told"),
    [
        (("out", made_up_uscc(99), ("", "", "")), "change.gone_unknown", "rejected", 0),
        (("in", made_up_uscc(3), ("另一名有限公司", "某局", "A")), "change.not_new", "warned", 1),
        (("other", made_up_uscc(99), ("另一名有限公司", "某局", "A")), "change.not_there", "warned", 1),
        (("perhaps", made_up_uscc(3), ("另一名有限公司", "某局", "A")), "change.unknown", "rejected", 0),
        (("out", made_up_uscc(3)[:-1], ("", "", "")), "id.length", "rejected", 0),
    ],
)
def test_a_change_that_does_not_agree_with_what_stands(
    bureau: Bureau, row: tuple[str, str, tuple[str, str, str]], rule: str, outcome: str, told: int
) -> None:
    """What cannot be so is rejected; what can is taken with a warning. Both are listed."""
    bureau.full(dict(map(taxpayer, range(50))))
    edition = bureau.changes([row])
    verify(edition)
    assert edition.manifest.record_count == told
    assert [(r["outcome"], r["rules"]) for r in mend(edition)] == [(outcome, rule)]


def test_a_correction_speaks_of_those_alone_who_stood_in_the_corrected_edition(bureau: Bureau) -> None:
    """Nobody learns by a correction of a taxpayer that was never told to anybody."""
    wrong = bureau.full(dict(map(taxpayer, range(50))))
    bureau.changes([("in", *taxpayer(60)), ("out", taxpayer(1)[0], ("", "", ""))])
    name, office, _ = taxpayer(0)[1]
    edition = bureau.changes(
        [
            ("other", made_up_uscc(0), (name, office, "B")),
            ("other", made_up_uscc(1), (name, office, "B")),
            ("other", made_up_uscc(60), (name, office, "B")),
            ("other", made_up_uscc(99), (name, office, "B")),
            ("out", made_up_uscc(2), ("", "", "")),
        ],
        CORRECTION,
        corrects=wrong,
    )
    manifest = edition.manifest
    assert (manifest.corrects, manifest.reason) == (wrong.digest, "wrong rule set")
    # Number 1 has left before: those who hold the corrected edition still have to take it back.
    assert {who: told.gone for who, told in verify(edition).items()} == {made_up_uscc(n): True for n in range(3)}
    assert (manifest.gone_count, manifest.comparison.gone, manifest.state_count) == (3, 2, 48)
    assert [(row["taxpayer_id"], row["rules"]) for row in mend(edition)] == [
        (made_up_uscc(60), "correction.subject"),
        (made_up_uscc(99), "correction.subject"),
    ]
    with pytest.raises(Invalid) as refused:
        bureau.changes([("other", made_up_uscc(99), (name, office, "B"))], CORRECTION, corrects=wrong)
    assert "correction.subject: rows 2" in refused.value.explanation
    assert made_up_uscc(99) not in refused.value.explanation
    bureau.truth = dict(map(taxpayer, range(3, 50))) | dict([taxpayer(60)])
    bureau.check()


def test_a_correction_of_an_edition_of_the_year_before(bureau: Bureau) -> None:
    """Whether a taxpayer stood in it is looked up under the corrected edition's own blinding key."""
    wrong = bureau.full(dict(map(taxpayer, range(50))))
    bureau.full(dict(map(taxpayer, range(40, 60))), year=2020)
    cells = taxpayer(45)[1]
    rows = [("other", made_up_uscc(n), (*cells[:2], "B")) for n in (45, 55)]
    table = [[word, who, *told[:2], "2018", told[2]] for word, who, told in rows]
    edition = bureau._build(table, profile(bureau.path, changes=True), CORRECTION, year=2020, corrects=wrong)
    assert verify(edition).keys() == {made_up_uscc(45)}
    bureau.truth = {who: c for who, c in map(taxpayer, range(40, 60)) if who != made_up_uscc(45)}
    bureau.check()


def test_a_correction_in_the_product_of_all_grades(tmp_path: Path) -> None:
    """There the right grade is told; whoever has left since is a question, for it would be listed again."""
    bureau = Bureau(tmp_path, "grade-all")
    wrong = bureau.full(dict(map(taxpayer, range(50))))
    bureau.changes([("out", taxpayer(1)[0], ("", "", ""))])
    name, office, _ = taxpayer(0)[1]
    rows = [("other", made_up_uscc(n), (name, office, "B")) for n in (0, 1)]
    edition = bureau.changes(rows, CORRECTION, corrects=wrong)
    assert [told.grade for told in verify(edition).values()] == [records_pb2.GRADE_B]
    assert [row["rules"] for row in mend(edition)] == ["correction.left"]
    with pytest.raises(Invalid):
        bureau.changes(rows[:1], CORRECTION, corrects=wrong)


def test_the_index_is_made_again_from_the_folders(bureau: Bureau) -> None:
    """Missing, damaged or of another history: it says what the folders say, or nothing."""
    first = bureau.full(dict(map(taxpayer, range(300))))
    bureau.changes([("out", taxpayer(1)[0], ("", "", ""))])
    cancelled, bureau.last = bureau.last, first
    assert cancelled is not None
    kept = bureau.standing(cancelled)
    bureau.changes([("out", taxpayer(2)[0], ("", "", ""))])
    bureau.truth.pop(taxpayer(2)[0])
    bureau.check()
    assert bureau.standing(cancelled) == kept
    [index] = States(bureau.editions).path.glob("*.db")
    spoils: list[Callable[[], object]] = [
        lambda: index.unlink(),
        lambda: index.write_bytes(b"no database"),
        lambda: index.write_bytes(b""),
        lambda: delete_behind_a_crash(index),
    ]
    for spoil in spoils:
        spoil()
        bureau.check()
        assert bureau.standing(first).keys() == dict(map(taxpayer, range(300))).keys()


def delete_behind_a_crash(index: Path) -> None:
    """What a program killed in a transaction leaves beside the file that is then deleted."""
    journal = index.with_name(f"{index.name}-journal")
    with closing(sqlite3.connect(index, isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = OFF; BEGIN; DELETE FROM buckets;")
        left = journal.read_bytes()
    index.unlink()
    journal.write_bytes(left)


def test_an_index_that_lies_is_found_out(bureau: Bureau) -> None:
    """Digests come to the sealed root, buckets to their digests, records to their commitments."""
    edition = bureau.full(dict(map(taxpayer, range(300))))
    [index] = States(bureau.editions).path.glob("*.db")
    with sqlite3.connect(index) as connection:
        connection.execute("UPDATE buckets SET entries = zeroblob(64) WHERE entries <> x'' AND number < 9000")
    connection.close()
    with pytest.raises(Conflict) as refused:
        bureau.standing()
    assert refused.value.basis == "state.index"
    index.unlink()
    bureau.check()
    chunks = edition.path / "chunks"
    data = bytearray(chunks.read_bytes())
    data[-1] ^= 1
    chunks.write_bytes(data)
    with pytest.raises(Conflict):
        bureau.standing()
    index.unlink()
    with pytest.raises(DigestMismatch):
        bureau.standing()


def test_a_missing_folder_is_named(bureau: Bureau) -> None:
    """What an edition builds on has to be there."""
    import shutil

    bureau.full(dict(map(taxpayer, range(30))))
    middle = bureau.changes([])
    bureau.changes([])
    shutil.rmtree(middle.path)
    with pytest.raises(Conflict) as refused:
        bureau.standing()
    assert refused.value.basis == "edition.predecessor"
    assert middle.path.name[:16] in refused.value.explanation


def test_the_generated_months_are_the_month_before_and_its_changes() -> None:
    """Whole files and files of changes of one city agree, month after month; the first month is the list itself."""
    before = {row[0]: row for row in generate.month(500, 3, 1, 0.1)}
    assert list(before.values()) == list(generate.rows(500, 3))
    for number in (2, 3, 4):
        told = list(generate.changes(500, 3, number, 0.1))
        assert {row[0] for row in told} == {generate.NEW, generate.CHANGED, generate.GONE}
        for change, *row in told:
            assert (change == generate.NEW) == (row[0] not in before)
            if change == generate.GONE:
                assert before.pop(row[0]) == tuple(row)
            else:
                before[row[0]] = tuple(row)
        assert before == {row[0]: row for row in generate.month(500, 3, number, 0.1)}


def test_the_state_root_is_that_of_the_plain_truth(bureau: Bureau) -> None:
    """Computed here from records and salts as they lie in the chunks, without the index."""
    bureau.full(dict(map(taxpayer, range(200))))
    edition = bureau.changes([("out", taxpayer(1)[0], ("", "", "")), ("in", *taxpayer(777))])
    blind, told = records.blinder(edition.blinding_key), {}
    for one in bureau.editions.all():
        for _, data in one.chunks():
            for salt, raw in zip(*records.split_chunk(data), strict=True):
                parsed = records_pb2.GradeRecord.FromString(raw)
                assert serialised(parsed) == raw
                told[parsed.taxpayer_id] = None if parsed.gone else records.commitment(salt, raw)
    entries = sorted(blind(who.encode()) + sealed for who, sealed in told.items() if sealed)
    assert buckets.state_of(entries).root() == edition.manifest.state_root
