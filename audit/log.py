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

import structlog
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
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from audit import checkpoint, entries, merkle
from audit.bulk import insert_rows, read_numbered
from audit.checkpoint import Checkpoint, VerifierKey
from audit.keys import Signer
from xinyi.errors import Conflict, HeadConflict, ProofInvalid, Unknown

#: Notes that were compared with the tree and are remembered: a partner shows one of the last few.
REMEMBERED = 4096

logger = structlog.get_logger()

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


# Two heads of one log, each validly signed, that cannot both be true: the proof, for people and for the
# auditor. A row here stops every process that shares this store.
head_conflicts = Table(
    "head_conflicts",
    head_metadata,
    Column("origin", String, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("root", String, primary_key=True),  # base64
    Column("shown", LargeBinary, nullable=False),  # the note a partner showed
    Column("held", LargeBinary, nullable=False),  # the note that was signed last; empty before the first
)


class HeadStore:
    """Holds the last signed head in a database of its own; refuses to go back, and to go on in a conflict."""

    def __init__(self, engine: Engine, origin: str, key: VerifierKey) -> None:
        self._engine = engine
        self._reading = engine.execution_options(reading=True)
        self._origin = origin
        self._key = key

    def read(self) -> Checkpoint | None:
        """The last signed head. Raises HeadConflict where a conflict was noted, by whichever process."""
        with self._reading.connect() as conn:
            self._check_agreed(conn)
            note = self._note(conn)
        return checkpoint.verify(note, self._key) if note else None

    def swap(self, old: Checkpoint | None, new: Checkpoint) -> None:
        """Raises HeadConflict where the stored head is no longer `old` (another process signed meanwhile), or
        a conflict was noted.
        """
        values = {"size": new.size, "root": _text(new.root), "note": new.note}
        h = heads.c
        with self._engine.begin() as conn:
            self._check_agreed(conn)
            if old is None:
                try:
                    conn.execute(insert(heads).values(origin=self._origin, **values))
                except IntegrityError as error:
                    raise HeadConflict("the head store holds a head already") from error
                return
            same = (h.origin == self._origin, h.size == old.size, h.root == _text(old.root))
            if conn.execute(update(heads).where(*same).values(**values)).rowcount != 1:
                raise HeadConflict("another process moved the head")

    def note_conflict(self, shown: Checkpoint) -> bytes:
        """Keeps a head that contradicts this log beside the one signed last; returns the latter's note.

        From here on `read` and `swap` refuse, in every process.
        """
        with self._engine.begin() as conn:
            held = self._note(conn)
            row = {"origin": self._origin, "size": shown.size, "root": _text(shown.root)}
            insert_rows(conn, head_conflicts, [row | {"shown": shown.note, "held": held}], "keep")
        return held

    def conflicts(self) -> list[tuple[Checkpoint, Checkpoint | None]]:
        """(head that was shown, head that was held then) of every conflict that was noted."""
        c = head_conflicts.c
        with self._reading.connect() as conn:
            rows = conn.execute(select(c.shown, c.held).where(c.origin == self._origin)).all()
        return [
            (
                checkpoint.verify(row.shown, self._key),
                checkpoint.verify(row.held, self._key) if row.held else None,
            )
            for row in rows
        ]

    def settle(self) -> None:
        """Forgets the conflicts: one history holds all of their heads."""
        with self._engine.begin() as conn:
            conn.execute(delete(head_conflicts).where(head_conflicts.c.origin == self._origin))

    def _note(self, conn: Connection) -> bytes:
        return conn.execute(select(heads.c.note).where(heads.c.origin == self._origin)).scalar() or b""

    def _check_agreed(self, conn: Connection) -> None:
        c = head_conflicts.c
        if (
            size := conn.execute(select(c.size).where(c.origin == self._origin).limit(1)).scalar()
        ) is not None:
            raise HeadConflict(
                f"a partner showed a head of {size} leaves, signed by this log, that its tree does not have: "
                "nothing is signed until a person has looked (docs/operations.md)"
            )


def _text(root: bytes) -> str:
    return base64.b64encode(root).decode()


class Tree:
    """Hashes of the log's tree, read from its tiles within one connection."""

    def __init__(self, conn: Connection, size: int) -> None:
        self._conn = conn
        self.size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    def tile(self, level: int, number: int) -> bytes:
        """Raises ProofInvalid where somebody took it out of the database."""
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
        #: Heads that lie on this log's tree, by note: one comparison for each note, not for each call.
        self._agreed: dict[bytes, Checkpoint] = {}
        self._agreed_lock = threading.Lock()
        self._conflict: HeadConflict | None = None

    @property
    def newest(self) -> Checkpoint | None:
        """The newest head this process has signed or seen published."""
        return self._seen

    @property
    def conflict(self) -> HeadConflict | None:
        """Why nothing is signed any more; None while all is well."""
        return self._conflict

    def start(self) -> Checkpoint | None:
        """Refuses a database that is behind the head store (a restored backup, a lost disk), and one that
        lacks a head that was noted as a conflict. Where the database that a person brought back holds both
        heads of every conflict, they are settled.

        Raises HeadConflict. Returns the head, published again where a crash came before publication.
        """
        self._settle_conflicts()
        head = self._heads.read()
        if head is None:
            self._check_unsigned()
            return None
        return self._adopt(head)

    def check(self) -> None:
        """Raises HeadConflict where `start` would, and where a conflict waits to be settled. Writes nothing."""
        head = self._heads.read()
        if head is None:
            self._check_unsigned()
            return
        with self._reading.connect() as conn:
            self._check_covers(conn, head)

    def _check_unsigned(self) -> None:
        with self._reading.connect() as conn:
            if conn.execute(select(log_checkpoints.c.size).limit(1)).scalar() is not None:
                raise HeadConflict("the log has checkpoints but the head store is empty: wrong head store?")

    def check_signer(self) -> None:
        """Signs the newest head once more. Raises SignatureInvalid where that is no signature of this log's key,
        Unavailable.
        """
        if (head := self._seen) is not None:
            again = checkpoint.sign(self.origin, head.size, head.root, self._signer)
            checkpoint.verify(again.note, self.key)

    def _settle_conflicts(self) -> None:
        conflicts = self._heads.conflicts()
        with self._reading.connect() as conn:
            for shown, held in conflicts:
                for head in (shown, held):
                    if head is not None:
                        self._check_covers(conn, head)
        if conflicts:
            self._heads.settle()
            logger.warning("log.conflict_settled", heads=[shown.size for shown, _ in conflicts])

    def _adopt(self, head: Checkpoint) -> Checkpoint:
        """A head of the head store becomes this process's newest, published where that was not done."""
        with self._engine.begin() as conn:
            self._check_covers(conn, head)
            self._publish(conn, head)
        self._remember(head)
        self._seen = head
        return head

    def _check_covers(self, conn: Connection, head: Checkpoint) -> None:
        have = size(conn)
        if have < head.size:
            raise HeadConflict(
                f"this database holds {have} log entries, but {head.size} were signed: it is a restored or "
                "stale copy; never run it. Bring the newest copy, or found a new log (docs/operations.md)"
            )
        if Tree(conn, have).root(head.size) != head.root:
            raise HeadConflict(
                f"the log's tree does not lead to the head of {head.size} leaves that it signed"
            )

    def _publish(self, conn: Connection, head: Checkpoint) -> None:
        """Two processes may come here with the same head at once."""
        insert_rows(conn, log_checkpoints, [{"size": head.size, "note": head.note}], "keep")

    def _remember(self, head: Checkpoint) -> None:
        with self._agreed_lock:
            self._agreed[head.note] = head
            while len(self._agreed) > REMEMBERED:
                del self._agreed[next(iter(self._agreed))]

    # ── heads that partners show ───────────────────────────────────────────────────────────────────────

    def agreed(self, note: bytes) -> Checkpoint | None:
        """The head in a note that was compared before; None where `compare` has to."""
        return self._agreed.get(note)

    def compare(self, note: bytes) -> Checkpoint:
        """The head in a note that a partner shows, once it is found on this log's tree.

        Raises SignatureInvalid, EncodingInvalid; HeadConflict as `note_foreign_head`.
        """
        head = checkpoint.verify(note, self.key)
        self.note_foreign_head(head)
        self._remember(head)
        return head

    def note_foreign_head(self, head: Checkpoint) -> None:
        """Compares a head validly signed by this log with its tree.

        Where the tree is behind it or leads elsewhere, this is a restored copy, or two histories were signed:
        both notes are kept in the head store, and no process that shares it signs or starts again until a
        person has acted. A crash before they are kept leaves nothing; the partner shows its head again.

        Raises HeadConflict.
        """
        try:
            with self._reading.connect() as conn:
                self._check_covers(conn, head)
        except HeadConflict as error:
            self._conflict = error
            held = self._heads.note_conflict(head)
            logger.critical(
                "alarm.head_conflict",
                explanation=error.explanation,
                shown=head.note.decode("utf-8", "replace"),
                held=held.decode("utf-8", "replace"),
            )
            raise

    # ── sequencing ─────────────────────────────────────────────────────────────────────────────────────

    def sequence(self, limit: int = 10_000) -> Checkpoint | None:
        """Gives pending entries their index, extends the tree, signs and publishes the new head.

        1. one transaction: indexes and tiles; 2. sign, compare-and-swap the head store; 3. publish.
        A crash after 1 leaves integrated entries that the next run signs; after 2 a signed head that
        `start` or the next run publishes. Two processes: the database lock orders 1, the swap decides 2.

        Returns the newest head, None where nothing was ever logged. Raises HeadConflict, ProofInvalid: the log
        must not be signed any more. Whatever the database or the signer raises may be tried again.
        """
        with self._lock:
            if self._conflict is not None:
                raise self._conflict
            # 1
            with self._engine.begin() as conn:
                lock(conn, SEQUENCER_LOCK)
                tree = Tree(conn, size(conn))
                pending = _integrate(conn, tree.size, limit)
                if pending:
                    tree.append([merkle.leaf_hash(leaf) for leaf in pending])
                new_size, new_root = tree.size, tree.root() if pending else b""
            # 2
            if not pending and self._seen is not None and self._seen.size == new_size:
                return self._seen
            old = self._heads.read()
            if old is None and new_size == 0:
                return None
            if old is not None and old.size >= new_size:
                # Signed by another process, or before a crash. An entry is integrated before it is signed, so
                # that by now the tree covers this head, or the database is not the one it was.
                return self._adopt(old)
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
                return self._heads.read()  # the other process's head; adopted by the next run
            # 3
            with self._engine.begin() as conn:
                self._publish(conn, head)
            self._remember(head)
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

        None while the entry is pending or not published yet. Raises Unknown for a leaf this log never had,
        ProofInvalid where the tree in the database does not lead to the head.
        """
        position, head = self.position(conn, leaf), self.head(conn)
        if position is None or head is None or position >= head.size:
            return None
        proof = Tree(conn, head.size).inclusion(position, head.size)
        merkle.check_inclusion(merkle.leaf_hash(leaf), position, head.size, proof, head.root)
        return Proof(position, proof, head.note)

    def position(self, conn: Connection, leaf: bytes) -> int | None:
        """Index of a leaf in the tree; None while its entry is pending. Raises Unknown."""
        row = conn.execute(select(log_entries.c.position).where(log_entries.c.leaf == leaf)).first()
        if row is None:
            raise Unknown("this log has no such leaf", basis="log.leaf")
        position: int | None = row.position
        return position

    def consistency(self, conn: Connection, old_size: int) -> tuple[Checkpoint | None, list[bytes]]:
        """The newest published head and its consistency with the tree of `old_size`, checked here first.

        Raises Conflict where the newest published head is smaller than `old_size`, ProofInvalid where the tree
        in the database does not lead to the head.
        """
        head = self.head(conn)
        if head is None:
            return None, []
        if old_size > head.size:
            raise Conflict(
                f"the log has published {head.size} leaves; {old_size} were asked for", basis="log.size"
            )
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


def newest_opening(conn: Connection) -> bytes:
    """Of the entry that was written last; empty where there is none, or it was erased."""
    query = select(log_entries.c.opening).order_by(log_entries.c.id.desc()).limit(1)
    return conn.execute(query).scalar_one_or_none() or b""


def new_entry(salt: bytes, opening: bytes) -> dict[str, bytes]:
    """Row of a pending entry; durable when the transaction that writes it commits."""
    return {"leaf": entries.leaf(salt, opening), "salt": salt, "opening": opening}
