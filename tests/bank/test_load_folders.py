"""A bank whose target is a folder of loads, by the same editions and recalls; and which target a setting means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.bank.landing import Landing
from adapters.bank.outcome import Result
from adapters.bank.rows import COLUMNS
from adapters.bank.settings import BankSettings
from adapters.bank.targets import open_target, target_problems
from adapters.party.home import Home
from adapters.party.settings import SettingsInvalid
from adapters.tables.csv_file import CsvTarget
from adapters.tables.landing import SqlTarget
from adapters.tables.load_folder import LoadFolder
from adapters.tables.parquet import ParquetFiles
from tests.bank.offers import Offers
from tests.bank.test_changes import renamed, told
from tests.chain import Chain
from tests.programs import ok, run
from tests.tables.test_loads import loaded
from tests.world import city, made_up_records, made_up_uscc
from xinyi.errors import Invalid
from xinyi.v1 import records_pb2

SCHEMES = {"oracle": "oracle-files", "parquet": "parquet"}


@pytest.fixture(params=list(SCHEMES))
def form(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def land(home: Home, path: Path, form: str) -> list[Result]:
    return Landing(home, lambda _: open_target(f"{SCHEMES[form]}:///{path}", "grade_a")).land_all()


def shown(path: Path, form: str) -> dict[str, tuple[object, object]]:
    rows, _, _ = loaded(path / "grade_a", form)
    return {name: (row["names"], row["grade"]) for name, row in rows.items()}


def test_a_year_lands_in_folders(offers: Offers, tmp_path: Path, form: str) -> None:
    """After each edition a loader that takes all folders has the records as published, and nothing is left to land."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(2500))
    editions = [
        first,
        chain.delta(made_up_records(2600)[2500:], gone=[made_up_uscc(n) for n in range(40)]),
        chain.delta([renamed(50, "新名称"), renamed(51, "乙公司", records_pb2.GRADE_B)]),
        chain.delta(),
        chain.correction(first.digest, [renamed(52, "更正")], gone=[made_up_uscc(61)]),
        chain.full(made_up_records(2000), anew=True),
        chain.delta(gone=[made_up_uscc(5)]),
    ]
    for edition in editions:
        offers.receive(edition)
        (result,) = land(offers.bank, tmp_path, form)
        truth = chain.history[edition.digest]
        assert (result.stage, result.root) == ("accepted", offers.manifest(edition).root)
        assert {name: names for name, (names, _) in shown(tmp_path, form).items()} == {
            name: "；".join(record.names) for name, record in truth.items()
        }
        landed = open_target(f"{SCHEMES[form]}:///{tmp_path}", "grade_a").landed("grade-a")
        assert landed is not None
        assert (landed.manifest_digest, landed.accepted) == (edition.digest.hex(), len(truth))
    assert shown(tmp_path, form) == told(chain)
    taken = {(row["taxpayer_id"], row["what"]) for row in loaded(tmp_path / "grade_a", form)[2]}
    assert taken == {(made_up_uscc(52), "changed"), (made_up_uscc(61), "gone")}
    assert land(offers.bank, tmp_path, form) == []
    assert len(list((tmp_path / "grade_a").glob("*.done"))) == 2, "what the last FULL replaced is cleared away"


def test_a_correction_before_its_turn_takes_back(offers: Offers, tmp_path: Path, form: str) -> None:
    """Whatever edition the folder shows; and it lands in its turn once more."""
    chain = Chain(offers.maker)
    first = chain.full(made_up_records(1200))
    offers.receive(first)
    land(offers.bank, tmp_path, form)
    missed = chain.delta([renamed(10, "旧")], gone=[made_up_uscc(20)])
    correction = chain.correction(first.digest, [renamed(10, "新")], gone=[made_up_uscc(11), made_up_uscc(20)])
    offers.receive(correction)
    (result,) = land(offers.bank, tmp_path, form)
    assert (result.recall, result.sequence) == (True, 3)
    assert shown(tmp_path, form)[made_up_uscc(10)][0] == "新"
    assert len(shown(tmp_path, form)) == 1198
    offers.receive(missed)
    assert [r.sequence for r in land(offers.bank, tmp_path, form)] == [2, 3]
    assert shown(tmp_path, form) == told(chain)
    assert len(loaded(tmp_path / "grade_a", form)[2]) == 3


def test_records_that_break_the_bank_s_rules_are_in_no_file(offers: Offers, tmp_path: Path, form: str) -> None:
    """A record that was shown and is refused now is deleted by the change."""
    home = offers.settings("\n[bank.rules]\nmax_name_length = 12\nmax_refused_percent = 50\n")
    chain = Chain(offers.maker)
    subjects = [renamed(0, "甲公司"), renamed(1, "很长很长很长很长的公司名称"), renamed(2, "丙公司")]
    offers.receive(chain.full(subjects), home)
    (result,) = land(home, tmp_path, form)
    assert (result.accepted, result.rejected) == (2, 1)
    offers.receive(chain.delta([renamed(2, "很长很长很长很长的公司名称"), renamed(1, "乙公司")]), home)
    (result,) = land(home, tmp_path, form)
    assert {name for name, _ in shown(tmp_path, form).values()} == {"甲公司", "乙公司"}


def test_folders_taken_away_are_landed_again(offers: Offers, tmp_path: Path, form: str) -> None:
    """As a table that was lost: `land` makes what is shown anew from the spool."""
    chain = Chain(offers.maker)
    for edition in (chain.full(made_up_records(30)), chain.delta([renamed(3, "新")])):
        offers.receive(edition)
    land(offers.bank, tmp_path, form)
    (tmp_path / "grade_a").rename(tmp_path / "elsewhere")
    landing = Landing(offers.bank, lambda _: open_target(f"{SCHEMES[form]}:///{tmp_path}", "grade_a"))
    assert [r.sequence for r in landing.land_all(["grade-a"])] == [1, 2]
    assert shown(tmp_path, form) == told(chain)


# Which target


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("sqlite:///x.db", SqlTarget),
        ("postgresql://bank@db.example/credit", SqlTarget),
        ("csv:///x.csv", CsvTarget),
        ("csv:////srv/x.csv?encoding=gb18030", CsvTarget),
        ("oracle-files:////srv/loads", LoadFolder),
        ("parquet:///loads", LoadFolder),
    ],
)
def test_a_url_means_a_target(url: str, kind: type) -> None:
    """Nothing is touched before an edition lands."""
    target = open_target(url, "grade_a")
    assert type(target) is kind
    target.close()


@pytest.mark.parametrize(
    ("url", "table", "explanation"),
    [
        ("mysql://db/x", "grade_a", "not mysql"),
        ("postgres", "grade_a", "no URL"),
        ("csv:///", "grade_a", "csv:///FILE"),
        ("csv:///x.csv?enc=gb18030", "grade_a", "csv:///FILE"),
        ("csv:///x.csv?encoding=latin-1", "grade_a", "utf-8"),
        ("parquet:///", "grade_a", "names a folder"),
        ("oracle-files:///x", "a_name_that_is_too_long", "under \\[bank.tables\\]"),
        ("sqlite:///x.db", "Grade A", "name of a landed table"),
    ],
)
def test_what_is_no_target_is_refused(url: str, table: str, explanation: str) -> None:
    """With the form it should have."""
    with pytest.raises(Invalid, match=explanation):
        open_target(url, table)


def test_a_missing_extra_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence can be typed."""
    monkeypatch.setattr("adapters.tables.parquet.pq", None)
    with pytest.raises(Invalid, match=r"pip install 'xinyi-gateway\[bank,parquet\]'"):
        ParquetFiles(COLUMNS)


def test_settings_name_a_target_per_product(offers: Offers) -> None:
    """Relative paths begin at the home; what is no URL is refused by its key."""
    home = offers.settings(
        '\n[bank]\ndatabase = "csv:///a.csv"\n[bank.targets]\ngrade-all = "parquet:///loads"\n'
        'other = "oracle-files:////srv/loads"\n'
    )
    settings = BankSettings.of(home)
    assert settings.target("grade-a") == f"csv:///{home.path.resolve()}/a.csv"
    assert settings.target("grade-all") == f"parquet:///{home.path.resolve()}/loads"
    assert settings.target("other") == "oracle-files:////srv/loads"


@pytest.mark.parametrize("url", ["parquet:loads", "parquet://loads", "loads", "sqlite:///"])
def test_a_setting_that_is_no_url_is_named(offers: Offers, url: str) -> None:
    """The key, and never more."""
    home = offers.settings(f'\n[bank.targets]\ngrade-a = "{url}"\n')
    with pytest.raises((Invalid, SettingsInvalid), match=r"bank\.targets\.grade-a"):
        BankSettings.of(home)


def test_check_tells_what_keeps_editions_from_landing(offers: Offers) -> None:
    """Every target, without a connection; each with what to do."""
    checks: list[tuple[str, Callable[[str], bool]]] = [
        ('database = "sqlite:////nowhere/at/all.db"', lambda said: "/nowhere/at is no folder" in said),
        ('database = "parquet:////nowhere/loads"', lambda said: "/nowhere is no folder" in said),
        ('database = "csv:///a.csv?encoding=big5"', lambda said: "gb18030" in said),
        ('database = "oracle-files:///x"\ntables = { grade-a = "9" }', lambda said: "[bank.tables]" in said),
        ('database = "csv:///a.csv"\nproducts = ["grade-a", "grade-all"]', lambda said: "one product" in said),
    ]
    party = offers.bank.path / "party.toml"
    before = party.read_text()
    assert target_problems(BankSettings.of(offers.bank)) == []
    for text, holds in checks:
        party.write_text(f"{before}\n[bank]\n{text}\n")
        (problem,) = target_problems(BankSettings.of(Home.open(offers.bank.path)))
        assert holds(problem), problem
        assert problem.startswith("grade-a")


@pytest.mark.processes
async def test_by_command(tmp_path: Path) -> None:
    """`check` names a wrong target, `land` and `land --to` write the folders."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        home = ("--home", bank.path)
        party = bank.path / "party.toml"
        before = party.read_text()
        party.write_text(before + '\n[bank]\ndatabase = "parquet:////nowhere/loads"\n')
        wrong = await run("xinyi-bank", "check", *home)
        assert wrong.code != 0
        assert "/nowhere is no folder" in wrong.out + wrong.err
        party.write_text(before + '\n[bank]\ndatabase = "parquet:///loads"\n')
        await ok("xinyi-bank", "check", *home)
        await world.publish(world.seal(20))
        await ok("xinyi-bank", "fetch", *home)
        (landed,) = (await ok("xinyi-bank", "land", *home, "--json")).json
        assert landed["accepted"] == 20
        assert len(loaded(bank.path / "loads/grade_a", "parquet")[0]) == 20
