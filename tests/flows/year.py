"""A random year in plain dictionaries: what was published, what each bank shows and knew, and who is to be told."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine, create_engine, event, inspect

from adapters.bank.catch_up import catch_up
from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver, fetch_from_folder, fetch_from_gateway
from adapters.bank.folder import Folder
from adapters.bank.sending import send_by_folder, send_by_network
from adapters.bank.settings import BankSettings
from adapters.bureau.building import CORRECTION
from adapters.bureau.editions import Edition
from adapters.party.home import Home
from tests.flows.parties import Bank, Truth
from xinyi.errors import Conflict, NotEntitled

#: identifier → name and grade
Shown = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Published:
    """One edition, and what it came from."""

    edition: Edition
    file: Path
    period: str
    of_kind: dict[str, Any]
    #: After it.
    records: Truth
    #: Of a CORRECTION: whom it names, None for gone.
    named: dict[str, tuple[str, str] | None]
    #: Of a CORRECTION: those who gave a receipt for what it corrects.
    takers: frozenset[str] = frozenset()

    @property
    def sequence(self) -> int:
        return self.edition.manifest.sequence

    @property
    def corrects(self) -> bool:
        return self.edition.manifest.kind == CORRECTION

    @property
    def shown(self) -> Shown:
        return {who: cells[:2] for who, cells in self.records.items()}


class Year(dict[int, Published]):
    """Sequence → edition."""

    def shown(self, level: int, early: Iterable[int]) -> Shown:
        """What a table shows that stands at an edition and has had corrections before their turn.

        Only whoever is among that edition's records gets a corrected row.
        """
        table = dict(self[level].shown) if level else {}
        among = set(table)
        for sequence in sorted(early):
            for who, cells in self[sequence].named.items():
                table.pop(who, None)
                if cells is not None and who in among:
                    table[who] = cells
        return table


class Known(NamedTuple):
    """What a bank had landed at a moment."""

    at_ms: int
    level: int
    early: frozenset[int]
    table: Shown


@dataclass
class Backup:
    place: Path
    unsent: list[Known]


@dataclass
class Member(Bank):
    """A bank of the year: its programs by network or folder, and what the year knows of it."""

    folder: Path | None = None
    suspended: bool = False
    #: Answered by the gateway; each more than the one before.
    knew: list[Known] = field(default_factory=list)
    #: Landed, and not confirmed yet.
    unsent: list[Known] = field(default_factory=list)
    #: The newest edition when it last called, took what there was and confirmed.
    called: int = 0
    #: Deliveries that lay in its folder then.
    saw: set[str] = field(default_factory=set)
    backups: list[Backup] = field(default_factory=list)
    restored: bool = False

    # What it shows

    def standing(self) -> tuple[int, dict[int, dict[str, str]]]:
        """(the edition it shows, correction → identifier → what it took back), as its database says."""
        held = self.landing().shown(self.product)
        found: dict[int, dict[str, str]] = {}
        for sequence, who, what in self.query("SELECT sequence, taxpayer_id, what FROM xinyi_recalls"):
            assert who not in found.setdefault(sequence, {}), "taken back twice"
            found[sequence][who] = what
        return held.sequence if held is not None else 0, found

    def marks(self) -> dict[str, str]:
        rows = self.query(f"SELECT taxpayer_id, disputed_since FROM {self.table} WHERE disputed_since IS NOT NULL")
        return {who: since for who, since in rows if since}

    @property
    def has_landed(self) -> bool:
        path = self.home.path / "bank.db"
        if not path.exists():
            return False
        engine = create_engine(self.url)
        try:
            return self.table in inspect(engine).get_view_names()
        finally:
            engine.dispose()

    # Its programs

    def fetch_now(self) -> None:
        """Takes what there is, and lands nothing."""
        receiver = Receiver(self.home)
        with self._refused():
            if self.folder is None:
                with BankClient(self.home) as client:
                    fetch_from_gateway(receiver, client, [self.product])
            else:
                fetch_from_folder(receiver, Folder(self.folder), self.home)

    def catch_up_now(self) -> None:
        receiver = Receiver(self.home)
        with self._refused():
            if self.folder is None:
                with BankClient(self.home) as client:
                    fetch = partial(fetch_from_gateway, receiver, client, [self.product])
                    catch_up(receiver.spool, self.landing(), fetch, [self.product])
            else:
                fetch = partial(fetch_from_folder, receiver, Folder(self.folder), self.home)
                catch_up(receiver.spool, self.landing(), fetch, [self.product])

    def send_now(self) -> int:
        """How many receipts still wait for an answer."""
        if self.folder is not None and not self.folder.exists():
            return 0  # suspended before anything was written into it: nothing came, nothing is to be sent
        if self.folder is not None:
            return send_by_folder(self.home, self.folder, wait_s=0)[1]
        with BankClient(self.home) as client:
            return send_by_network(self.home, client, wait_s=0)[1]

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """What a suspended bank is told, and one that lacks what lies before in its folder."""
        try:
            yield
        except NotEntitled:
            assert self.suspended
        except FileNotFoundError:  # suspended before anything was written into it
            assert self.folder is not None
            assert not self.folder.exists()
        except Conflict as error:
            if self.folder is None or error.basis not in ("edition.gap", "delivery.expired"):
                raise

    # What it knew

    def note(self, year: Year) -> None:
        """Behind every landing."""
        if not self.has_landed:
            return
        level, recalled = self.standing()
        early = frozenset(n for n in recalled if n > level)
        before = [*self.knew, *self.unsent]
        last = before[-1] if before else Known(0, 0, frozenset(), {})
        if level < last.level:
            # Its table was restored; what it knew it knew.
            level, early = last.level, last.early | {n for n in early if n > last.level}
        if (level, early) == (last.level, last.early):
            return
        table = year.shown(level, early)
        self.unsent.append(Known(time.time_ns() // 1_000_000, level, early, table))

    def confirmed(self, newest: int) -> None:
        self.knew += self.unsent
        self.unsent = []
        self.called = newest

    # Its backups

    def save(self, place: Path) -> None:
        shutil.copytree(self.home.path, place)
        self.backups.append(Backup(place, list(self.unsent)))

    def recover(self, backup: Backup, what: str) -> None:
        own = self.home.path
        if what == "home":
            shutil.rmtree(own)
            shutil.copytree(backup.place, own)
        elif what == "spool":
            shutil.rmtree(BankSettings.of(self.home).spool, ignore_errors=True)
            if (backup.place / "spool").exists():
                shutil.copytree(backup.place / "spool", own / "spool")
        else:
            (own / "bank.db").unlink(missing_ok=True)
            if (backup.place / "bank.db").exists():
                shutil.copy(backup.place / "bank.db", own / "bank.db")
        self.home = Home.open(own)
        if what != "database":
            self.unsent = list(backup.unsent)
        self.restored = True


class Ended(BaseException):
    """Ends a program as a kill does: nothing that it would still have written is written."""


class Ending:
    """Ends the bank's program that runs in a thread at one of its durable steps.

    No power is cut in a random year: meanwhile nobody here waits for the disk.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._thread = 0
        self._left = itertools.count()
        self._step = 0
        for name in ("rename", "replace"):
            patch.setattr(os, name, self._counted(getattr(os, name)))
        patch.setattr(os, "fsync", self._look)
        event.listen(Engine, "commit", self._look)

    def close(self) -> None:
        event.remove(Engine, "commit", self._look)

    def run(self, work: Callable[[], object], step: int) -> bool:
        """Whether the program came to that step, and ended there."""
        self._thread, self._left, self._step = threading.get_ident(), itertools.count(1), step
        try:
            work()
        except Ended:
            return True
        finally:
            self._thread = 0
        return False

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **named: Any) -> Any:
            self._look()
            return call(*args, **named)

        return counted

    def _look(self, *_: object) -> None:
        if self._thread == threading.get_ident() and next(self._left) >= self._step:
            raise Ended
