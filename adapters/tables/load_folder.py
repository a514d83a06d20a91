"""Landing in files for another system's loader: each edition a folder of its own, to be loaded in their order.

    FOLDER/000001-full/           files of rows, and what their format has beside them
    FOLDER/000002-changes/        a DELTA or CORRECTION: every row with its operation, U or D
    FOLDER/000003-recall/         a CORRECTION of an edition that is not shown: what it takes back, no row else
    FOLDER/000001-full.done       that folder is whole. The loader looks at nothing without it
    FOLDER/recalls.csv            every row that a CORRECTION took back
    FOLDER/state.json             which edition the folders come to; written last

Every folder tells all records under objection and all that was taken back, so that none of them needs an older one
but the changes, which need those back to the last FULL. A crash leaves at most a `.part` folder, or a folder that
the next run makes again under the same number, or, where `state.json` names it already, under the next: loading it
twice changes nothing.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from adapters.tables.columns import Value
from adapters.tables.loads import (
    DELETED,
    DISPUTES,
    OPERATION,
    RECALLS,
    UPDATED,
    Format,
    Load,
    Relation,
    Values,
    Writer,
)
from adapters.tables.target import ABSENT, GONE, Columns, Landed, Recall, Recalled, Row, Shown
from xinyi import files
from xinyi.errors import Conflict


@dataclass
class _State:
    #: Number of the last folder, and of the last one that has rows of the edition.
    last: int = 0
    base: int = 0
    #: Folders that make up what is shown: a FULL, then changes.
    folders: list[str] = field(default_factory=list)
    disputes: dict[str, str] = field(default_factory=dict)
    landed: dict[str, Any] = field(default_factory=dict)


class LoadFolder:
    """Args: name — of the table that the loader fills. Holds one product.

    Of an edition of changes the identifiers are kept in memory while the rows before are counted.
    """

    def __init__(self, path: Path, name: str, columns: Columns, form: Format) -> None:
        self._path = path
        self._part = path / ".part"
        self._hidden = path / ".hidden.part"
        self._columns = columns
        self._width = len(columns.all)
        self._format = form
        self._full = Relation(name, tuple(columns.all))
        self._changes = Relation(f"{name}_changes", (OPERATION, *columns.all))
        self._disputes = Relation(f"{name}_disputes", DISPUTES)
        self._recalls = Relation(f"{name}_recalls", RECALLS)
        self._writer: Writer | None = None
        self._begun = False
        self._count = 0
        self._merged = False
        self._told_back: list[Recalled] = []
        #: Where `rows` reads.
        self._reading = self._part

    def landed(self, product: str) -> Landed | None:
        state = self._state()
        if not state.landed:
            return None
        landed = Landed(**state.landed)
        if landed.product != product:
            raise Conflict(f"{self._path} holds {landed.product}; name another folder", basis="landing.table")
        return landed if not self._lost(state) else None

    def lost(self, product: str) -> str:
        return self._lost(self._state())

    def _lost(self, state: _State) -> str:
        """A folder of what is shown, or its rows."""
        for name in state.folders:
            rows = self._full if name == state.folders[0] else self._changes
            if not any((self._path / name).glob(f"{rows.name}.{self._format.ending}")):
                return str(self._path / name)
        return ""

    def _state(self) -> _State:
        try:
            return _State(**json.loads((self._path / "state.json").read_text(encoding="utf-8")))
        except FileNotFoundError:
            return _State()
        except (ValueError, TypeError) as error:
            raise Conflict(
                f"{self._path / 'state.json'} is damaged: move the folder away, and `land` makes it anew",
                basis="landing.table",
            ) from error

    def stage(self, sequence: int) -> None:
        self.discard()
        self._begun = True
        files.make_directory(self._part)
        self._writer = self._format.create(self._part, self._full)
        self._reading, self._count, self._merged, self._told_back = self._part, 0, False, []
        files.create(self._hidden, b"")

    def write(self, rows: Sequence[Row]) -> None:
        assert self._writer is not None
        shown = [(*row[:-1], *row[-1]) for _, why, row in rows if why is None]
        with files.named(self._part):
            self._writer.write(shown)
            self._count += len(shown)
            if len(shown) < len(rows):
                with self._hidden.open("a", encoding="utf-8") as file:
                    file.writelines(f"{why} {row[0]}\n" for _, why, row in rows if why is not None)

    def written(self) -> None:
        if self._writer is not None:
            with files.named(self._part):
                self._writer.close()
            self._writer = None

    def reopen(self, landed: Landed) -> None:
        self._reading = self._path / landed.relation

    def merge(self, base: Landed) -> int:
        if self.landed(base.product) != base:
            raise Conflict("another edition has landed meanwhile; run this again", basis="landing.meanwhile")
        told = set()
        count = 0
        with files.named(self._part):
            changes = self._format.create(self._part, self._changes)
            for operation, row in self._told():
                changes.write([(operation, *row)])
                told.add(row[0])
                count += 1
            changes.close()
        for file in self._part.glob(f"{self._full.name}.*"):
            file.unlink()
        self._count, self._merged = count, True
        return len(self._shown_of(told))

    def _told(self) -> Iterator[tuple[str, Values]]:
        """What the staged edition does to the rows before."""
        for row in self._format.read(self._part, self._full, self._width):
            yield UPDATED, row
        nothing: list[Value] = [None] * (self._width - 1)
        for why, name in self._not_shown():
            if why != ABSENT:
                yield DELETED, [name, *nothing]

    def _not_shown(self) -> Iterator[tuple[str, str]]:
        with self._hidden.open(encoding="utf-8") as file:
            for line in file:
                why, _, name = line.rstrip("\n").partition(" ")
                yield why, name

    def _shown_of(self, names: set[Value]) -> set[Value]:
        """Those of the taxpayers that the folders before show."""
        full, *changed = self._state().folders
        rows = self._format.read(self._path / full, self._full, 1)
        shown = {name for (name,) in rows if name in names}
        for folder in changed:
            for operation, name in self._format.read(self._path / folder, self._changes, 2):
                if name in names:
                    (shown.add if operation == UPDATED else shown.discard)(name)
        return shown

    def rows(self) -> Iterator[Shown]:
        own = len(self._columns.own)
        if not self._merged:
            for values in self._format.read(self._reading, self._full, self._width):
                yield (*values[:own], values[own:])
            return
        for operation, *changed in self._format.read(self._reading, self._changes, self._width + 1):
            if operation == UPDATED:
                yield (*changed[:own], tuple(changed[own:]))

    def recall(self, recall: Recall) -> None:
        """Behind `merge` it waits for `publish`; else a folder of its own tells it, even where nothing is new: a
        crash may have come before that folder."""
        known = {(row.taxpayer_id, row.correction) for row in self.recalled(recall.product)}
        if self._merged:
            updated = self._format.read(self._part, self._changes, 2)
            shown = (name for operation, name in updated if operation == UPDATED)
        else:
            shown = (row[0] for row in self._format.read(self._part, self._full, 1))
        told = chain(((None, name) for name in shown), self._not_shown())
        self._told_back = [
            Recalled(
                recall.product, str(name), recall.correction, recall.corrects, recall.sequence,
                "gone" if why == GONE else "changed", recall.received_at_ms,
            )
            for why, name in told
            if (name, recall.correction) not in known
        ]  # fmt: skip
        if not self._merged:
            for file in self._part.iterdir():
                file.unlink()
            self._appear(self._state(), "recall", {}, None)

    def publish(self, landed: Landed, disputes: Mapping[str, str] | None) -> None:
        state = self._state()
        if disputes is not None:
            state.disputes = dict(disputes)
        data = self._changes if self._merged else self._full
        self._appear(state, "changes" if self._merged else "full", {data: self._count}, landed)

    def _appear(
        self,
        state: _State,
        kind: Literal["full", "changes", "recall"],
        data: dict[Relation, int],
        landed: Landed | None,
    ) -> None:
        """The part folder gets its place, its marker, then the state that names it."""
        # The folder of a recall tells of no objection: they belong to the rows that are shown.
        others = {} if landed is None else {self._disputes: list(state.disputes.items())}
        recalled = [*self._told_back, *self._recalled()]
        rows: dict[Relation, Sequence[Values]] = {**others, self._recalls: list(map(astuple, recalled))}
        with files.named(self._part):
            for relation, values in rows.items():
                writer = self._format.create(self._part, relation)
                writer.write(values)
                writer.close()
        number = state.last + 1
        after = state.base if kind == "changes" else 0
        counts = data | {relation: len(values) for relation, values in rows.items()}
        load = Load(number, kind, after, landed, counts)
        with files.named(self._part):
            self._format.finish(self._part, load)
        files.sync(self._part)
        place, mark = self._path / load.folder, self._path / f"{load.folder}.done"
        # A run that crashed here may have left this number, perhaps as another kind.
        self._remove(f"{number:06d}-*")
        self._part.rename(place)
        files.sync(self._path)
        files.create(mark, b"")
        self._keep_recalled(recalled)
        state.last = number
        if landed is not None:
            state.base = number
            state.folders = [*state.folders, load.folder] if self._merged else [load.folder]
            state.landed = vars(replace(landed, relation=landed.relation or load.folder))
        text = json.dumps(vars(state), ensure_ascii=False, indent=2)
        files.write_atomically(self._path / "state.json", text.encode() + b"\n")
        self._reading = place

    def _keep_recalled(self, rows: Sequence[Recalled]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([[f.name for f in fields(Recalled)], *map(astuple, rows)])
        files.write_atomically(self._path / "recalls.csv", text.getvalue().encode())

    def recalled(self, product: str) -> Iterator[Recalled]:
        return (row for row in self._recalled() if row.product == product)

    def _recalled(self) -> Iterator[Recalled]:
        path = self._path / "recalls.csv"
        if not path.exists():
            return
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                whole: dict[str, Any] = row | {n: int(row[n]) for n in ("sequence", "received_at_ms")}
                yield Recalled(**whole)

    def discard(self) -> None:
        """Folders before the last FULL go, too: whoever has not loaded them loads that one."""
        self.close()
        self._clear()
        first = min(self._state().folders, default="")
        for name in {path.name.removesuffix(".done") for path in self._path.glob("[0-9]*-*")}:
            if name < first:
                self._remove(f"{name}*")

    def _remove(self, pattern: str) -> None:
        """Markers first: without one nobody looks at the folder."""
        for found in sorted(self._path.glob(pattern), key=lambda path: path.suffix != ".done"):
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()

    def close(self) -> None:
        """What was staged here names taxpayers: it goes, whatever kept it from being published."""
        if self._writer is not None:
            with suppress(OSError):  # a full disk said so before
                self._writer.close()
            self._writer = None
        if self._begun:
            self._clear()

    def _clear(self) -> None:
        self._begun = False
        self._hidden.unlink(missing_ok=True)
        if self._part.exists():
            shutil.rmtree(self._part)

