"""The exchange log itself: entries, sequencing, tiles, checkpoints, the head store (SQLAlchemy Core).

Life of an entry: *pending* (durable, no index: the door's transaction), *integrated* (has an index, is in the
tree: one transaction of the sequencer), *published* (covered by a signed checkpoint).
Knows nothing of what an entry means. The operator of the database is not trusted; the head store is: whoever
can edit it together with the log key can make this log sign a fork.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    select,
    text,
    update,
)

from audit import checkpoint, entries, merkle
from audit.bulk import insert_rows, read_numbered
from audit.checkpoint import Checkpoint, VerifierKey
from audit.keys import Signer
from xinyi.errors import Conflict, HeadConflict, ProofInvalid, Unknown

#: Named, because a migration can only change what has a name.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

#: 64-bit where the database counts in 64 bits; SQLite counts rowids itself only for INTEGER.
_RowId = BigInteger().with_variant(Integer, "sqlite")

log_entries = Table(
    "log_entries",
    metadata,
    Column("id", _RowId, primary_key=True, autoincrement=True),
    Column("position", BigInteger, unique=True),  # index in the tree; null while pending
    Column("leaf", LargeBinary, nullable=False, unique=True),
    Column("salt", LargeBinary, nullable=False),
    Column("opening", LargeBinary, nullable=False),
)

# tlog-tiles layout: up to 256 hashes of 32 bytes each; only the last tile of a level is ever rewritten.
log_tiles = Table(
    "log_tiles",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("hashes", LargeBinary, nullable=False),
)

log_checkpoints = Table(
    "log_checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True),
    Column("note", LargeBinary, nullable=False),
)

head_metadata = MetaData()

# The last signed head, apart from the data: compare-and-swap on `size` and `root`.
heads = Table(
    "heads",
    head_metadata,
    Column("origin", String, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", Text, nullable=False),  # base64
    Column("note", LargeBinary, nullable=False),
)


class HeadStore:
    """Holds the last signed head in a database of its own; refuses to go back."""

    def __init__(self, engine: Engine, origin: str, key: VerifierKey) -> None:
        self._engine = engine
        self._origin = origin
        self._key = key

    def read(self) -> Checkpoint | None:
        with self._engine.connect() as conn:
            note = conn.execute(select(heads.c.note).where(heads.c.origin == self._origin)).scalar()
        return None if note is None else checkpoint.verify(note, self._key)

    def swap(self, old: Checkpoint | None, new: Checkpoint) -> None:
        """Raises HeadConflict where the stored head is no longer `old`: another process signed meanwhile."""
        values = {
            "size": new.size,
            "root": base64.b64encode(new.root).decode(),
            "note": new.note,
        }
        with self._engine.begin() as conn:
            if old is None:
                present = conn.execute(select(heads.c.size).where(heads.c.origin == self._origin)).scalar()
                if present is not None:
                    raise HeadConflict("the head store holds a head already")
                conn.execute(insert(heads).values(origin=self._origin, **values))
                return
            swapped = conn.execute(
                update(heads)
                .where(
                    heads.c.origin == self._origin,
                    heads.c.size == old.size,
                    heads.c.root == base64.b64encode(old.root).decode(),
                )
                .values(**values)
            )
            if swapped.rowcount != 1:
                raise HeadConflict("another process moved the head")


class Tree:
    """Hashes of the log's tree, read from its tiles within one connection."""

    def __init__(self, conn: Connection, size: int) -> None:
        self._conn = conn
        self.size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, number: int) -> bytes:
        found = self._tiles.get((level, number))
        if found is None:
            found = self._conn.execute(
                select(log_tiles.c.hashes).where(log_tiles.c.level == level, log_tiles.c.number == number)
            ).scalar()
            if found is None:
                raise ProofInvalid(f"tile {level}/{number} of the log is missing")
            self._tiles[level, number] = found
        return found

    def node(self, level: int, index: int) -> bytes:
        """Hash of the complete subtree of 2^level leaves at `index`, hashed up from its tile's row."""
        tile_level, rest = divmod(level, 8)
        first = index << rest
        data = self.tile(tile_level, first >> 8)
        offset = first & 255
        return merkle.root([data[32 * i : 32 * i + 32] for i in range(offset, offset + (1 << rest))])

    def root(self, size: int | None = None) -> bytes:
        size = self.size if size is None else size
        return merkle.range_root(self.node, 0, size) if size else merkle.EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return merkle.inclusion_proof(self.node, index, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        return merkle.consistency_proof(self.node, old, new)

    def append(self, leaf_hashes: Sequence[bytes]) -> None:
        """Adds leaves at the right edge, completing tiles upwards. The caller's transaction commits."""
        changed: dict[tuple[int, int], bytes] = {}
        added, start, level = list(leaf_hashes), self.size, 0
        while added:
            next_added: list[bytes] = []
            number, offset = divmod(start, 256)
            tile = b"" if offset == 0 else self.tile(level, number)[: 32 * offset]
            for value in added:
                tile += value
                if len(tile) == 256 * 32:
                    changed[level, number] = tile
                    next_added.append(merkle.root([tile[i : i + 32] for i in range(0, 8192, 32)]))
                    number, tile = number + 1, b""
            if tile:
                changed[level, number] = tile
            start, added, level = start >> 8, next_added, level + 1
        for (tile_level, number), data in changed.items():
            self._write(tile_level, number, data)
        self.size += len(leaf_hashes)
        self._tiles |= changed

    def _write(self, level: int, number: int, data: bytes) -> None:
        where = (log_tiles.c.level == level, log_tiles.c.number == number)
        if self._conn.execute(update(log_tiles).where(*where).values(hashes=data)).rowcount == 0:
            self._conn.execute(insert(log_tiles).values(level=level, number=number, hashes=data))


def append(conn: Connection, rows: Sequence[dict[str, bytes]]) -> None:
    """Pending entries {leaf, salt, opening}; durable when the caller's transaction commits."""
    insert_rows(conn, log_entries, rows)


def _integrate(conn: Connection, first: int, limit: int) -> list[bytes]:
    """Gives pending entries their positions from `first` on; returns their leaves in that order.

    Two statements, not one for each row (audit/bulk.py says why).
    """
    conn.execute(
        text(
            "UPDATE log_entries SET position = pending.position FROM ("
            " SELECT id, :first - 1 + row_number() OVER (ORDER BY id) AS position"
            " FROM log_entries WHERE position IS NULL ORDER BY id LIMIT :limit"
            ") AS pending WHERE log_entries.id = pending.id"
        ),
        {"first": first, "limit": limit},
    )
    return read_numbered(
        conn, select(log_entries.c.position, log_entries.c.leaf).where(log_entries.c.position >= first)
    )


def size(conn: Connection) -> int:
    """Leaves in the tree (integrated entries)."""
    last = conn.execute(
        select(log_entries.c.position)
        .where(log_entries.c.position.is_not(None))
        .order_by(log_entries.c.position.desc())
        .limit(1)
    ).scalar()
    return 0 if last is None else last + 1


@dataclass
class Proof:
    """Where a leaf stands under a published checkpoint."""

    index: int
    proof: list[bytes]
    note: bytes


class Log:
    """One log: its data in `engine`, its key, its head store.

    Any process may append and prove; `sequence` runs in one at a time (database lock plus compare-and-swap).
    """

    def __init__(self, engine: Engine, heads: HeadStore, origin: str, signer: Signer) -> None:
        self._engine = engine
        self._reading = engine.execution_options(reading=True)
        self._heads = heads
        self._signer = signer
        self.origin = origin
        self.key = VerifierKey.of(origin, signer)
        self._lock = threading.Lock()
        self._seen: Checkpoint | None = None

    @property
    def newest(self) -> Checkpoint | None:
        """The newest head this process has signed or seen published."""
        return self._seen

    def start(self) -> Checkpoint | None:
        """Refuses a database that is behind the head store (a restored backup, a lost disk).

        Raises HeadConflict. Returns the head, published again where a crash came before publication.
        """
        head = self._heads.read()
        if head is None:
            with self._reading.connect() as conn:
                if conn.execute(select(log_checkpoints.c.size).limit(1)).scalar() is not None:
                    raise HeadConflict(
                        "the log has checkpoints but the head store is empty: wrong head store?"
                    )
            return None
        with self._engine.begin() as conn:
            self._check_covers(conn, head)
            self._publish(conn, head)
        return head

    def _check_covers(self, conn: Connection, head: Checkpoint) -> None:
        have = size(conn)
        if have < head.size:
            raise HeadConflict(
                f"this database holds {have} log entries, but {head.size} were signed: it is a restored or "
                "stale copy; never run it. Bring the newest copy, or found a new log (docs/operations.md)"
            )
        if Tree(conn, have).root(head.size) != head.root:
            raise HeadConflict("the log's tree does not lead to the head that was signed last")

    def _publish(self, conn: Connection, head: Checkpoint) -> None:
        # Another process may publish the same head at the same moment.
        insert_rows(conn, log_checkpoints, [{"size": head.size, "note": head.note}], "keep")

    def note_foreign_head(self, head: Checkpoint) -> None:
        """Remembers a head validly signed by this log that a partner showed; `sequence` must reach it.

        Raises HeadConflict at once where this log is behind it: it runs on a restored copy.
        """
        with self._reading.connect() as conn:
            self._check_covers(conn, head)

    def sequence(self, limit: int = 10_000) -> Checkpoint | None:
        """Gives pending entries their index, extends the tree, signs and publishes the new head.

        1. one transaction: indexes and tiles; 2. sign, compare-and-swap the head store; 3. publish.
        A crash after 1 leaves integrated entries that the next run signs; after 2 a signed head that
        `start` or the next run publishes. Two processes: the database lock orders 1, the swap decides 2.

        Returns the newest head, None where nothing was ever logged.
        """
        with self._lock:
            # 1
            with self._engine.begin() as conn:
                lock(conn, SEQUENCER_LOCK)
                tree = Tree(conn, size(conn))
                pending = _integrate(conn, tree.size, limit)
                if pending:
                    tree.append([merkle.leaf_hash(leaf) for leaf in pending])
                new_size, new_root = tree.size, tree.root() if pending or self._seen is None else b""
            # 2
            if not pending and self._seen is not None and self._seen.size == new_size:
                return self._seen
            old = self._heads.read()
            if new_size == 0:
                return old
            if old is not None and old.size >= new_size:
                if old.size == new_size and new_root and old.root != new_root:
                    raise HeadConflict("the head store holds another root for this size")
                if old.size > new_size:
                    # Another process integrated and signed between 1 and here.
                    self._seen = None
                    return old
                self._seen = old
                with self._engine.begin() as conn:
                    self._publish(conn, old)
                return old
            with self._reading.connect() as conn:
                tree = Tree(conn, new_size)
                root = new_root or tree.root()
                if old is not None:
                    # Its own proof, checked before anything is signed.
                    merkle.check_consistency(
                        old.size, new_size, tree.consistency(old.size, new_size), old.root, root
                    )
            head = checkpoint.sign(self.origin, new_size, root, self._signer)
            try:
                self._heads.swap(old, head)
            except HeadConflict:
                self._seen = None
                return self._heads.read()
            # 3
            with self._engine.begin() as conn:
                lock(conn, SEQUENCER_LOCK)
                self._publish(conn, head)
            self._seen = head
            return head

    def head(self, conn: Connection) -> Checkpoint | None:
        """The newest published checkpoint."""
        note = conn.execute(
            select(log_checkpoints.c.note).order_by(log_checkpoints.c.size.desc()).limit(1)
        ).scalar()
        return None if note is None else checkpoint.verify(note, self.key)

    def prove(self, conn: Connection, leaf: bytes) -> Proof | None:
        """Inclusion of a leaf under the newest published head, checked here first.

        None while the entry is pending or not published yet. Raises Unknown for a leaf this log never had.
        """
        row = conn.execute(select(log_entries.c.position).where(log_entries.c.leaf == leaf)).first()
        if row is None:
            raise Unknown("this log has no such leaf")
        head = self.head(conn)
        if row.position is None or head is None or row.position >= head.size:
            return None
        proof = Tree(conn, head.size).inclusion(row.position, head.size)
        merkle.check_inclusion(merkle.leaf_hash(leaf), row.position, head.size, proof, head.root)
        return Proof(row.position, proof, head.note)

    def consistency(self, conn: Connection, old_size: int) -> tuple[Checkpoint | None, list[bytes]]:
        """The newest published head and its consistency with the tree of `old_size`, checked here first.

        Raises Conflict where the newest published head is smaller than `old_size`.
        """
        head = self.head(conn)
        if head is None:
            return None, []
        if old_size > head.size:
            raise Conflict(f"the log has published {head.size} leaves; {old_size} were asked for")
        tree = Tree(conn, head.size)
        proof = tree.consistency(old_size, head.size)
        old_root = tree.root(old_size)
        merkle.check_consistency(old_size, head.size, proof, old_root, head.root)
        return head, proof

    def openings(self, conn: Connection, start: int, end: int) -> Iterator[tuple[int, bytes, bytes, bytes]]:
        """(index, leaf, salt, opening) of integrated entries, streamed in order."""
        rows = conn.execution_options(yield_per=1000).execute(
            select(log_entries.c.position, log_entries.c.leaf, log_entries.c.salt, log_entries.c.opening)
            .where(log_entries.c.position >= start, log_entries.c.position < end)
            .order_by(log_entries.c.position)
        )
        for row in rows:
            yield row.position, row.leaf, row.salt, row.opening


SEQUENCER_LOCK = 0x58494E01
DOOR_LOCK = 0x58494E02


def lock(conn: Connection, number: int) -> None:
    """Serialises writers across processes until the transaction ends.

    PostgreSQL: an advisory lock. SQLite: the transaction began IMMEDIATE and is the only writer already.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def new_entry(salt: bytes, opening: bytes) -> dict[str, bytes]:
    """Row of a pending entry."""
    return {"leaf": entries.leaf(salt, opening), "salt": salt, "opening": opening}
