"""The months of a year behind its FULL: what the bureau tells by DELTAs and CORRECTIONs, and what stands then."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Literal

from examples import generate
from tests.crash.accounts import Told
from tests.crash.city import City, Edition
from tests.crash.programs import Job

#: A whole file of which the edition tells what differs; a file of changes; a file of what was never right; a whole
#: file again.
Kind = Literal["delta", "changes", "correction", "full"]

PERIOD = "2018-02"
#: Of a DELTA more than one chunk. New ones come in none but a DELTA.
RENAMED, GONE, NEW = 1040, 3, 5
CORRECTED = 12


def recalled(first: Edition, corrections: Sequence[Edition]) -> dict[str, str]:
    """What a bank shows that got nothing but these corrections behind the FULL."""
    shown: dict[str, str | None] = dict(first.list.stands)
    for correction in corrections:
        assert isinstance(correction.list, Told)
        shown |= correction.list.told
    return {name: now for name, now in shown.items() if now is not None}


class Year:
    """Of a city that has published its FULL. Args: told — how many other names a DELTA tells."""

    def __init__(self, city: City, *, told: int = RENAMED) -> None:
        self.city = city
        [self.first] = city.editions
        self._told = told
        first = self.first.list
        self._rows = {row[0]: row for row in generate.rows(first.count, seed=1)}

    def next(self, kind: Kind) -> Told:
        """What the bureau's system exports for the next edition. The same again until that is published."""
        number = len(self.city.editions) + 1
        chance = random.Random(number)
        before = self.city.editions[-1].list.stands
        first = self.first.list.stands
        among = sorted(before.keys() & first.keys()) if kind == "correction" else sorted(before)
        most = CORRECTED if kind == "correction" else self._told
        chosen = chance.sample(among, GONE + most)
        gone, renamed = chosen[:GONE], chosen[GONE:]
        names: dict[str, str | None] = {name: f"示例更名{number}号{n}企业" for n, name in enumerate(renamed)}
        new: dict[str, generate.Row] = {}
        if kind != "correction":
            new = {row[0]: row for row in generate.rows(NEW, seed=1000 + number)}
            assert not new.keys() & self._rows.keys()
        self._rows |= new
        stands = {name: old for name, old in before.items() if name not in gone}
        told = dict.fromkeys(gone) | names | {name: row[1] for name, row in new.items()}
        stands |= {name: now for name, now in told.items() if now is not None}
        path = self.city.place / f"{kind}-{number}.csv"
        lines = {name: (name, now, *self._rows[name][2:]) for name, now in stands.items()}
        if kind in ("delta", "full"):
            generate.write_rows(path, generate.HEADINGS, lines.values())
            return Told(path, stands if kind == "full" else told, stands)
        if kind == "changes":
            rows = [
                *((generate.GONE, *self._rows[name]) for name in gone),
                *((generate.CHANGED, *lines[name]) for name in names),
                *((generate.NEW, *lines[name]) for name in new),
            ]
            generate.write_rows(path, (generate.CHANGE, *generate.HEADINGS), rows)
            return Told(path, told, stands)
        # Whoever is no A any more is gone; so is, once more, somebody who has left since.
        left = sorted(first.keys() - before.keys())[:1]
        b = [(*self._rows[name][:3], "B", self._rows[name][4]) for name in [*gone, *left]]
        generate.write_rows(path, generate.HEADINGS, [*b, *(lines[name] for name in names)])
        return Told(path, dict.fromkeys(left) | told, stands)

    def job(self, kind: Kind, told: Told) -> Job:
        maker, dated = self.city.maker, (told.path, "--period", PERIOD)
        profile = ("--profile", "city-changes" if kind == "changes" else "city-grades")
        if kind == "correction":
            of = ("--of", self.first.digest.hex(), "--reason", "wrong rule set")
            return Job(maker, "xinyi-bureau", "correct", (*dated, *profile, *of))
        how = {"full": (), "delta": ("--kind", "delta"), "changes": ("--changes",)}[kind]
        return Job(maker, "xinyi-bureau", "publish", (*dated, *profile, *how))

    def publish(self, kind: Kind) -> Edition:
        """A month in which nobody of the bureau dies."""
        told = self.next(kind)
        self.job(kind, told).finish()
        return self.approved(told)

    def approved(self, told: Told) -> Edition:
        """The second person approves what was sealed."""
        self.city.approve_job(self.city.sealed()).finish()
        return self.city.published(told)
