"""The publisher dies at any durable step of a DELTA, a CORRECTION or a FULL of the same year, and tells it again.

Each month another point. Now and then the index of what stands is thrown away: before, so that it is made anew by a
program that dies; or behind, its file alone, as somebody does who reads that it may be deleted at any time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from adapters.bureau.editions import Edition, Editions
from adapters.bureau.serialised import is_gone
from adapters.bureau.states import States, entries_of
from audit import buckets, records
from tests.crash.city import City
from tests.crash.programs import points
from tests.crash.year import Kind, Year
from xinyi.v1 import edition_pb2, records_pb2

KINDS: tuple[Kind, ...] = ("delta", "changes", "correction", "full")
LOST = ("", "before", "behind", "", "")
#: Points tried of each kind of edition.
SAMPLES = 4
ROWS = 1500


def test_what_changes_is_published_once_wherever_its_publisher_dies(tmp_path: Path) -> None:
    """One edition each time, on what stood; unchanged records keep their salts, and no salt is given twice."""
    with City(tmp_path, [], rows=ROWS) as city:
        city.publish()
        year = Year(city)
        places = {}
        for kind in KINDS:
            told = year.next(kind)
            _lose_index(city, "*")
            places[kind] = points(year.job(kind, told).count(), SAMPLES)
            year.approved(told)
        months = [
            (kind, place)
            for number in range(max(map(len, places.values())))
            for kind in KINDS
            for place in places[kind][number : number + 1]
        ]
        deaths = 0
        for (kind, point), lost in zip(months, cycle(LOST)):
            told = year.next(kind)
            job = year.job(kind, told)
            if lost == "before":
                _lose_index(city, "*")
            deaths += job.die(point)
            if lost == "behind":
                _lose_index(city, "*.db")
            job.finish()
            year.approved(told)
        assert deaths > len(months) / 2, "most of these points were never reached"
        city.check(delivered=[])
        _check_home(city)


def _lose_index(city: City, pattern: str) -> None:
    for path in (city.maker / "state/states").glob(pattern):
        path.unlink()


def _check_home(city: City) -> None:
    kept = Editions(city.maker / "state")
    salts: dict[bytes, bytes] = {}
    stands: dict[bytes, tuple[bytes, bytes]] = {}
    for edition, published in zip(kept.all(), city.editions, strict=True):
        assert edition.digest == published.digest
        assert edition.acknowledgement is not None
        before, stands = stands, dict(_after(edition, stands))
        for identifier, (salt, record) in stands.items():
            assert salts.setdefault(salt, record) == record, "one salt hides two records"
            old_salt, old_record = before.get(identifier, (b"", b""))
            assert (salt == old_salt) == (record == old_record), "salts follow the records within a year"
        assert {name.decode(): _name(record) for name, (_, record) in stands.items()} == published.list.stands
        assert _root(edition, stands) == edition.manifest.state_root
    state = States(kept).after(edition)
    blind = records.blinder(edition.blinding_key)
    assert {key: tuple(s) for key, s in state.find(map(blind, stands)).items()} == {
        blind(name): standing for name, standing in stands.items()
    }
    state.close()
    assert {path.name for path in kept.path.iterdir()} == {".lock", *(e.digest.hex() for e in city.editions)}
    drafts = [path for path in (city.maker / "state/states").iterdir() if path.name.endswith(".new")]
    assert len(drafts) <= 1, f"every death leaves another: {drafts}"


def _after(
    edition: Edition, before: dict[bytes, tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """What stands after an edition, by identifier: salt and record."""
    told = {entry.identifier: (entry.salt, entry.record) for entry in entries_of(edition)}
    if edition.manifest.kind != edition_pb2.EDITION_KIND_FULL:
        told = before | told
    return ((name, standing) for name, standing in told.items() if not is_gone(standing[1]))


def _name(record: bytes) -> str:
    [name] = records_pb2.GradeRecord.FromString(record).names
    return str(name)


def _root(edition: Edition, stands: dict[bytes, tuple[bytes, bytes]]) -> bytes:
    blind, digests = records.blinder(edition.blinding_key), buckets.Digests()
    entries = sorted((blind(name), records.commitment(*standing)) for name, standing in stands.items())
    held: dict[int, bytes] = {}
    for key, commitment in entries:
        number = buckets.number_of(key)
        held[number] = held.get(number, b"") + key + commitment
    digests.update({number: buckets.digest(own) for number, own in held.items()})
    return digests.root()
