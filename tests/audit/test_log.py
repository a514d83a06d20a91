"""The log itself: crashes between its three steps, two sequencers, heads that cannot both be true, edited tiles."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, select, update

from audit import checkpoint, log, merkle
from audit.bulk import insert_rows
from audit.checkpoint import Checkpoint, VerifierKey
from audit.keys import FileSigner
from audit.log import HeadStore, Log
from gateway.store.db import open_engine
from tests.audit.story import ORIGIN, Cast
from xinyi.errors import HeadConflict, ProofInvalid, SignatureInvalid, Unknown


@dataclass
class Stores:
    """A log's data and its head store, each a database; `open` is a process starting on them."""

    data: Engine
    heads: Engine
    signer: FileSigner

    @property
    def key(self) -> VerifierKey:
        return VerifierKey.of(ORIGIN, self.signer)

    def head_store(self) -> HeadStore:
        return HeadStore(self.heads, ORIGIN, self.key)

    def open(self, heads: HeadStore | None = None) -> Log:
        opened = Log(self.data, heads or self.head_store(), ORIGIN, self.signer)
        opened.start()
        return opened

    def add(self, count: int) -> None:
        with self.data.begin() as conn:
            for _ in range(count):
                insert_rows(conn, log.log_entries, [log.new_entry(os.urandom(32), os.urandom(8))])

    def lose(self, size: int) -> None:
        """The database as it was when it had `size` leaves: a backup, brought back."""
        with self.data.begin() as conn:
            leaves = list(conn.execute(select(log.log_entries).order_by(log.log_entries.c.id)).mappings())
            for table in (log.log_entries, log.log_tiles, log.log_checkpoints):
                conn.execute(delete(table))
            rows = [{k: row[k] for k in ("leaf", "salt", "opening")} for row in leaves[:size]]
            insert_rows(conn, log.log_entries, rows)
            log._integrate(conn, 0, size)
            log.Tree(conn, 0).append([merkle.leaf_hash(row["leaf"]) for row in leaves[:size]])

    def published(self) -> list[int]:
        with self.data.begin() as conn:
            return list(conn.execute(select(log.log_checkpoints.c.size).order_by("size")).scalars())


@pytest.fixture
def stores(tmp_path: Path, database_url: str, cast: Cast) -> Iterator[Stores]:
    found = Stores(open_engine(database_url), open_engine(f"sqlite:///{tmp_path}/head.db"), cast.log)
    log.metadata.create_all(found.data, [log.log_entries, log.log_tiles, log.log_checkpoints])
    log.head_metadata.create_all(found.heads)
    yield found
    found.data.dispose()
    found.heads.dispose()


class Dying(HeadStore):
    """A head store in whose swap the process dies, before or after the head was stored."""

    def __init__(self, inner: HeadStore, *, stored: bool) -> None:
        super().__init__(inner._engine, inner._origin, inner._key)
        self._stored = stored

    def swap(self, old: Checkpoint | None, new: Checkpoint) -> None:
        if self._stored:
            super().swap(old, new)
        raise KeyboardInterrupt


@pytest.mark.parametrize("stored", [False, True])
def test_a_crash_between_integration_and_publication_is_made_good(stores: Stores, stored: bool) -> None:
    """Integrated entries are signed by the next run; a head that was signed is published by the next start."""
    stores.add(300)
    stores.open().sequence()
    stores.add(5)
    with pytest.raises(KeyboardInterrupt):
        stores.open(Dying(stores.head_store(), stored=stored)).sequence()
    assert stores.published() == [300]
    again = stores.open()
    assert stores.published() == ([300, 305] if stored else [300])
    head = again.sequence()
    assert head is not None
    assert (head.size, stores.published()) == (305, [300, 305])


def test_the_loser_of_a_swap_takes_the_winners_head(stores: Stores) -> None:
    """Two processes sign at once: one head counts, and the other process goes on from it."""
    first, second = stores.open(), stores.open()
    stores.add(10)
    winner = first.sequence()
    assert winner is not None
    store = stores.head_store()
    with pytest.raises(HeadConflict, match="holds a head already"):
        store.swap(None, winner)
    with pytest.raises(HeadConflict, match="another process"):
        store.swap(checkpoint.sign(ORIGIN, 9, bytes(32), stores.signer), winner)
    assert second.sequence() == winner
    stores.add(1)
    head = second.sequence()
    assert head is not None
    assert head.size == 11
    assert first.sequence() == head


def test_sequencers_side_by_side_make_one_log(stores: Stores) -> None:
    """Several processes sequence while entries come in: no error, one tree, every head on it."""
    logs = [stores.open() for _ in range(3)]
    errors: list[Exception] = []

    def run(own: Log) -> None:
        try:
            for _ in range(15):
                stores.add(7)
                own.sequence()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(own,)) for own in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    head = logs[0].sequence()
    assert head is not None
    assert head.size == 3 * 15 * 7
    with stores.data.begin() as conn:
        notes = list(conn.execute(select(log.log_checkpoints.c.note)).scalars())
    for own in logs:
        for note in notes:
            own.compare(note)


def test_a_head_is_published_once_whoever_comes_first(stores: Stores) -> None:
    """A start beside a running sequencer publishes the same head again, and nothing happens."""
    stores.add(3)
    head = stores.open().sequence()
    assert head is not None
    own = stores.open()
    with stores.data.begin() as conn:
        own._publish(conn, head)
    assert stores.published() == [3]


def lost_with_its_head_store(stores: Stores) -> tuple[Log, Checkpoint]:
    """A gateway that runs on a database and a head store of yesterday, and the head that a bank still has."""
    stores.add(90)
    yesterday = stores.open().sequence()
    stores.add(10)
    today = stores.open().sequence()
    assert yesterday is not None
    assert today is not None
    stores.lose(90)
    with stores.heads.begin() as conn:
        conn.execute(update(log.heads).values(size=90, root=log._text(yesterday.root), note=yesterday.note))
    return stores.open(), today


@pytest.mark.parametrize("further", [0, 30])
def test_a_head_that_this_log_does_not_extend_ends_all_signing(stores: Stores, further: int) -> None:
    """Ahead of us, or overtaken by a fork: both notes are kept, and no process signs or starts again."""
    running, shown = lost_with_its_head_store(stores)
    other = stores.open()
    stores.add(further)
    held = running.sequence()
    with pytest.raises(HeadConflict):
        running.compare(shown.note)
    assert running.conflict is not None
    assert stores.head_store().conflicts() == [(shown, held)]
    stores.add(1)
    for own in (running, other):
        with pytest.raises(HeadConflict):
            own.sequence()
    with pytest.raises(HeadConflict):
        stores.open()
    assert stores.published()[-1:] == ([90 + further] if further else [90])


def test_a_conflict_is_settled_by_the_database_that_holds_both_heads(stores: Stores) -> None:
    """The newest copy brought back is one history again; a fork that was signed never is."""
    stores.add(100)
    shown = stores.open().sequence()
    assert shown is not None
    early = stores.open()
    stores.head_store().note_conflict(shown)
    with pytest.raises(HeadConflict):
        early._heads.read()
    assert stores.open().newest == shown
    assert stores.head_store().conflicts() == []
    fork = checkpoint.sign(ORIGIN, 50, bytes(32), stores.signer)
    with pytest.raises(HeadConflict, match="50 leaves"):
        stores.open().compare(fork.note)
    with pytest.raises(HeadConflict, match="50 leaves"):
        stores.open()


def test_heads_of_this_log_are_compared_once(stores: Stores) -> None:
    """Every older head agrees, is remembered by its note, and a note of another key is none of ours."""
    notes = []
    for _ in range(4):
        stores.add(100)
        head = stores.open().sequence()
        assert head is not None
        notes.append(head.note)
    own = stores.open()
    assert [own.agreed(note) is not None for note in notes] == [False, False, False, True]
    assert [own.compare(note).size for note in notes] == [100, 200, 300, 400]
    assert all(own.agreed(note) for note in notes)
    with pytest.raises(SignatureInvalid):
        own.compare(notes[0].replace(b"\n100\n", b"\n101\n"))


def change_tiles(stores: Stores) -> None:
    with stores.data.begin() as conn:
        conn.execute(update(log.log_tiles).values(hashes=os.urandom(8192)))


def drop_tiles(stores: Stores) -> None:
    with stores.data.begin() as conn:
        conn.execute(delete(log.log_tiles))


@pytest.mark.parametrize("edit", [change_tiles, drop_tiles])
def test_no_proof_and_no_head_comes_from_edited_tiles(stores: Stores, edit: Callable[[Stores], None]) -> None:
    """What leads to another root than the one that was signed is refused here, before anybody sees it."""
    stores.add(300)
    own = stores.open()
    own.sequence()
    edit(stores)
    with stores.data.begin() as conn:
        leaf = conn.execute(
            select(log.log_entries.c.leaf).where(log.log_entries.c.position == 7)
        ).scalar_one()
        with pytest.raises(ProofInvalid):
            own.prove(conn, leaf)
        with pytest.raises(ProofInvalid):
            own.consistency(conn, 100)
    stores.add(300)
    with pytest.raises((ProofInvalid, HeadConflict)):
        own.sequence()


def test_a_leaf_has_a_place_before_it_has_a_proof(stores: Stores) -> None:
    """Pending, integrated, published; and a leaf that never was is unknown."""
    own = stores.open()
    stores.add(1)
    with stores.data.begin() as conn:
        leaf = conn.execute(select(log.log_entries.c.leaf)).scalar_one()
        assert (own.position(conn, leaf), own.prove(conn, leaf)) == (None, None)
        with pytest.raises(Unknown):
            own.position(conn, bytes(33))
    with pytest.raises(KeyboardInterrupt):
        stores.open(Dying(stores.head_store(), stored=False)).sequence()
    with stores.data.begin() as conn:
        assert (own.position(conn, leaf), own.prove(conn, leaf)) == (0, None)
    own.sequence()
    with stores.data.begin() as conn:
        assert own.prove(conn, leaf) is not None
        assert conn.execute(select(func.count()).select_from(log.log_entries)).scalar_one() == 1
