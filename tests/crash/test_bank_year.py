"""A bank dies at any durable step while DELTAs, CORRECTIONs and recalls land, in every kind of target.

What the gateway has delivered once is copied as often as there are points: each copy dies at one of them, works on
by the same command, and then holds what the copy holds in which nobody died.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import postgres
from tests.crash.city import City
from tests.crash.founding import PRODUCT, BankPlan
from tests.crash.holdings import Holding, copied, holding, lands_in, signed
from tests.crash.programs import Job, Point, points
from tests.crash.year import Year, recalled

ROWS = 1100
#: Copies at work at one time.
TOGETHER = 3
#: Points tried.
SAMPLES = 4


@dataclass(frozen=True)
class Missed:
    """Editions: FULL, DELTA, CORRECTION, DELTA. Every bank has fetched the FULL."""

    city: City
    #: Has landed nothing and may have everything.
    active: Path
    #: Has landed nothing and gets nothing but the CORRECTION, as a recall.
    suspended: Path
    #: Has landed the FULL and the recall, and may have everything again.
    back: Path


@pytest.fixture(scope="module")
def missed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Missed]:
    names = ("active", "suspended", "back")
    place = tmp_path_factory.mktemp("missed")
    with City(place, [BankPlan(name) for name in names], rows=ROWS) as city:
        city.publish()
        year = Year(city, told=60)
        homes = [place / name for name in names]
        for home in homes:
            _bank(home, "fetch")
            _bank(home, "confirm")
        for name in names[1:]:
            city.decide("suspend", name)
        [disputed, *_] = year.first.list.stands
        of = (
            "file",
            "--product",
            PRODUCT,
            "--subject",
            disputed,
            "--number",
            "2018-1",
            "--filed-on",
            "2018-02-05",
        )
        Job(city.maker, "xinyi-bureau", "objection", of).finish()
        year.publish("delta")
        year.publish("correction")
        for command in ("land", "fetch", "land"):
            _bank(place / "back", command)
        city.decide("activate", "back")
        year.publish("changes")
        yield Missed(city, *homes)


def _bank(home: Path, command: str) -> None:
    Job(home, "xinyi-bank", command).finish()


@dataclass(frozen=True)
class Trial:
    """A bank before a command; whoever runs it undisturbed holds `wanted` then."""

    base: Path
    command: str
    server: postgres.Server | None
    wanted: Holding
    steps: int

    @classmethod
    def of(cls, base: Path, command: str, server: postgres.Server | None) -> Trial:
        undisturbed = copied(base, base.parent / "undisturbed", server)
        steps = Job(undisturbed, "xinyi-bank", command).count()
        return cls(base, command, server, holding(undisturbed), steps)

    def die(self, point: Point) -> int:
        """In a copy. 1 where it did die there, 0 where it had fewer steps."""
        home = copied(self.base, self.base.parent / str(point).replace(" ", "-"), self.server)
        job = Job(home, "xinyi-bank", self.command)
        died = job.die(point)
        before = signed(home)
        job.finish()
        after = signed(home)
        assert {name: after.get(name) for name in before} == before, "what was signed stands"
        assert holding(home) == self.wanted, f"{self.command} that died {point}"
        return died

    def everywhere(self, samples: int) -> None:
        where = points(self.steps, samples)
        with ThreadPoolExecutor(TOGETHER) as workers:
            deaths = sum(workers.map(self.die, where))
        assert deaths > len(where) / 2, "most of these points were never reached"


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.sqlite),
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        "csv",
        "oracle",
        "parquet",
    ]
)
def target(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def server(request: pytest.FixtureRequest, target: str) -> postgres.Server | None:
    if target != "postgresql":
        return None
    found: postgres.Server = request.getfixturevalue("postgresql_server")
    return found


def _base(home: Path, place: Path, target: str, server: postgres.Server | None) -> Path:
    """Shows the FULL, and has fetched what there is."""
    base = copied(home, place / "base")
    lands_in(base, target, server)
    _bank(base, "land")
    _bank(base, "fetch")
    return base


def test_changes_land_once_wherever_land_dies(
    missed: Missed, tmp_path: Path, target: str, server: postgres.Server | None
) -> None:
    """DELTA, CORRECTION, DELTA in one run: the published rows, each receipt signed once."""
    base = _base(missed.active, tmp_path, target, server)
    trial = Trial.of(base, "land", server)
    newest = missed.city.editions[-1]
    assert {name: row["names"] for name, row in trial.wanted.rows.items()} == newest.list.stands
    assert (trial.wanted.landed["sequence"], trial.wanted.state[0]) == (4, newest.digest)
    assert sum(row["disputed_since"] == "2018-02-05" for row in trial.wanted.rows.values()) == 1
    trial.everywhere(SAMPLES)


def test_a_recall_takes_back_once_wherever_land_dies(
    missed: Missed, tmp_path: Path, target: str, server: postgres.Server | None
) -> None:
    """A suspended bank shows the FULL without what the CORRECTION names; each receipt is signed once."""
    base = _base(missed.suspended, tmp_path, target, server)
    trial = Trial.of(base, "land", server)
    first, correction = missed.city.editions[0], missed.city.editions[2]
    assert trial.wanted.landed["manifest_digest"] == first.digest.hex()
    assert {name for name, *_ in trial.wanted.recalled} == correction.list.told.keys()
    shown = {name: row["names"] for name, row in trial.wanted.rows.items()}
    assert shown == recalled(first, [correction])
    trial.everywhere(SAMPLES)


@pytest.mark.parametrize(("who", "command"), [("active", "receive"), ("back", "catch-up")])
def test_a_bank_is_level_once_wherever_it_dies(
    missed: Missed, tmp_path: Path, who: str, command: str
) -> None:
    """Fetched and landed by one command: all that was missed, or what came before a recall that landed long ago."""
    base = copied(getattr(missed, who), tmp_path / "base")
    trial = Trial.of(base, command, None)
    newest = missed.city.editions[-1]
    assert {name: row["names"] for name, row in trial.wanted.rows.items()} == newest.list.stands
    trial.everywhere(SAMPLES)
