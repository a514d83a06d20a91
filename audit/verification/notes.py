"""Leaves, documents, answers and row changes as a verification has seen them so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit.verification.scratch import Scratch

_SCHEMA = """
CREATE TABLE leaves (leaf BLOB PRIMARY KEY, position INTEGER, kind TEXT, documents INTEGER,
    recorded INTEGER) WITHOUT ROWID;
CREATE TABLE missing (position INTEGER PRIMARY KEY, leaf BLOB);
CREATE TABLE erased (leaf BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE named (digest BLOB, position INTEGER, kind TEXT, PRIMARY KEY (digest, position)) WITHOUT ROWID;
CREATE TABLE key_ends (position INTEGER, key_id TEXT, how TEXT, since INTEGER);
CREATE TABLE documents (digest BLOB PRIMARY KEY, place INTEGER, position INTEGER, kind TEXT, signers TEXT,
    about BLOB) WITHOUT ROWID;
CREATE TABLE answered (leaf BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID;
CREATE TABLE changes (name TEXT, key TEXT, digest BLOB, position INTEGER, shown INTEGER DEFAULT 0,
    PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE TABLE answers (document BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID;
CREATE TABLE refusals (leaf BLOB PRIMARY KEY, party TEXT, day TEXT, detail TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class LeafNote:
    position: int
    #: Kind of its entry, how many documents that names, when; "" and 0 where the opening is not here.
    kind: str
    documents: int
    #: By the gateway's clock, in milliseconds.
    recorded: int


@dataclass(frozen=True)
class DocumentNote:
    digest: bytes
    #: Where its line begins.
    offset: int
    #: Index of the first leaf that names it, or that it answers.
    position: int
    #: Payload type.
    kind: str
    #: Key ids whose signatures hold and counted at that position; empty where the seal does not hold.
    signers: tuple[str, ...]
    #: For an acknowledgement or refusal: digest of the document it answers.
    about: bytes


@dataclass(frozen=True)
class Change:
    """The last change of a row that the log knows."""

    #: Empty where the row was deleted.
    row_digest: bytes
    position: int
    #: Whether a row was shown for it already.
    shown: bool


class Notes(Scratch):
    def __init__(self) -> None:
        super().__init__(_SCHEMA)
        self._last_missing: int | None = None
        self._last_recorded: int | None = None

    # Leaves and what their entries name

    def leaf(self, leaf: bytes, note: LeafNote) -> bool:
        """False where it stands twice."""
        row = (leaf, note.position, note.kind, note.documents, note.recorded)
        self._last_recorded = None
        return self._add("INSERT OR IGNORE INTO leaves VALUES (?, ?, ?, ?, ?)", *row)

    def find_leaf(self, leaf: bytes) -> LeafNote | None:
        row = self._one("SELECT position, kind, documents, recorded FROM leaves WHERE leaf = ?", leaf)
        return None if row is None else LeafNote(*row)

    def last_recorded(self) -> int:
        """When the last entry was logged, by the gateway's clock, in milliseconds; 0 where none is here."""
        if self._last_recorded is None:
            row = self._one("SELECT coalesce(max(recorded), 0) FROM leaves")
            self._last_recorded = 0 if row is None else int(row[0])
        return self._last_recorded

    def missing(self, position: int, leaf: bytes) -> None:
        self._add("INSERT INTO missing VALUES (?, ?)", position, leaf)
        self._last_missing = None

    def missing_openings(self) -> Iterator[tuple[int, bytes, bool]]:
        """(position, leaf, whether its erasure is logged) of every leaf without opening."""
        yield from self._rows(
            "SELECT position, missing.leaf, erased.leaf IS NOT NULL FROM missing "
            "LEFT JOIN erased ON erased.leaf = missing.leaf ORDER BY position"
        )

    def last_missing(self) -> int:
        """Position of the last leaf whose opening is not here; -1 where all are."""
        if self._last_missing is None:
            row = self._one("SELECT coalesce(max(position), -1) FROM missing")
            self._last_missing = -1 if row is None else int(row[0])
        return self._last_missing

    def missing_before(self, position: int) -> bool:
        """Whether an opening is not here that could have said what a later leaf rests on."""
        return self._one("SELECT 1 FROM missing WHERE position < ? LIMIT 1", position) is not None

    def erase(self, leaf: bytes) -> None:
        self._add("INSERT OR IGNORE INTO erased VALUES (?)", leaf)

    def name(self, digest: bytes, position: int, kind: str) -> None:
        self._add("INSERT OR IGNORE INTO named VALUES (?, ?, ?)", digest, position, kind)

    def first_named(self, digest: bytes, *, besides: str = "") -> int | None:
        """Position of the first entry that names a document, entries of one kind left aside."""
        row = self._one("SELECT min(position) FROM named WHERE digest = ? AND kind <> ?", digest, besides)
        return None if row is None else row[0]

    def is_named(self, digest: bytes, position: int) -> bool:
        found = self._one("SELECT 1 FROM named WHERE digest = ? AND position = ?", digest, position)
        return found is not None

    def named_before(self, digest: bytes, position: int, *kinds: str) -> bool:
        """Whether an earlier entry of one of these kinds names the document."""
        rows = self._rows("SELECT kind FROM named WHERE digest = ? AND position < ?", digest, position)
        return any(kind in kinds for (kind,) in rows)

    def named_as(self, *kinds: str) -> list[bytes]:
        """Digests of the documents that entries of these kinds name, in log order."""
        marks = ",".join("?" * len(kinds))
        rows = self._rows(f"SELECT digest FROM named WHERE kind IN ({marks}) ORDER BY position", *kinds)
        return list(dict.fromkeys(digest for (digest,) in rows))

    def key_ended(self, position: int, key_id: str, how: str, since_ms: int | None) -> None:
        """Args: since_ms — from when on a compromised key is suspect; None for a key that is not."""
        self._add("INSERT INTO key_ends VALUES (?, ?, ?, ?)", position, key_id, how, since_ms)

    def ended_keys(self) -> Iterator[tuple[int, str, str, int | None]]:
        """(position, key id, how, position of the first leaf whose signatures are suspect) in log order."""
        yield from self._rows(
            "SELECT position, key_id, how, CASE WHEN since IS NULL THEN NULL ELSE "
            "coalesce((SELECT min(position) FROM leaves WHERE recorded >= since), position) END "
            "FROM key_ends ORDER BY position"
        )

    # Documents and answers

    def document(self, note: DocumentNote) -> bool:
        """False where it stands twice."""
        row = (note.digest, note.offset, note.position, note.kind, " ".join(note.signers), note.about)
        return self._add("INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?, ?, ?)", *row)

    def find_document(self, digest: bytes) -> DocumentNote | None:
        row = self._one("SELECT * FROM documents WHERE digest = ?", digest)
        return (
            None
            if row is None
            else DocumentNote(row[0], row[1], row[2], row[3], tuple(row[4].split()), row[5])
        )

    def answer_leaf(self, leaf: bytes, answer: bytes) -> None:
        self._add("INSERT OR IGNORE INTO answered VALUES (?, ?)", leaf, answer)

    def answer_of_leaf(self, leaf: bytes) -> bytes | None:
        row = self._one("SELECT answer FROM answered WHERE leaf = ?", leaf)
        return None if row is None else row[0]

    # State

    def change(self, table: str, key: str, row_digest: bytes, position: int) -> None:
        self._add(
            "INSERT INTO changes (name, key, digest, position) VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET digest = excluded.digest, position = excluded.position",
            table,
            key,
            row_digest,
            position,
        )

    def take_change(self, table: str, key: str) -> Change | None:
        """The last change of a row, which counts as shown from now on."""
        row = self._one("SELECT digest, position, shown FROM changes WHERE name = ? AND key = ?", table, key)
        self._add("UPDATE changes SET shown = 1 WHERE name = ? AND key = ?", table, key)
        return None if row is None else Change(row[0], row[1], bool(row[2]))

    def sample_key(self, table: str) -> str | None:
        """Some primary key of a table, which shows the names of its columns."""
        row = self._one("SELECT key FROM changes WHERE name = ? LIMIT 1", table)
        return None if row is None else row[0]

    def changed_tables(self) -> list[str]:
        return [name for (name,) in self._rows("SELECT DISTINCT name FROM changes ORDER BY name")]

    def rows_not_shown(self) -> Iterator[tuple[str, str, int]]:
        """(table, key, position of the last change) of rows that should be there."""
        yield from self._rows(
            "SELECT name, key, position FROM changes WHERE NOT shown AND length(digest) > 0 ORDER BY position"
        )

    def answer(self, document: bytes, answer: bytes) -> bool:
        """A row of `answers`; False where the document has one."""
        return self._add("INSERT OR IGNORE INTO answers VALUES (?, ?)", document, answer)

    def find_answer(self, document: bytes) -> bytes | None:
        row = self._one("SELECT answer FROM answers WHERE document = ?", document)
        return None if row is None else row[0]

    def unfounded_answers(self) -> Iterator[bytes]:
        """Documents whose row names an answer that is not kept, or is for another document."""
        rows = self._rows(
            "SELECT answers.document FROM answers LEFT JOIN documents ON documents.digest = answers.answer "
            "WHERE documents.about IS NOT answers.document"
        )
        yield from (document for (document,) in rows)

    def refusal(self, leaf: bytes, party: str, day: str, detail: str) -> bool:
        """A row of `refusals`; False where the leaf has one."""
        return self._add("INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?)", leaf, party, day, detail)

    def find_refusal(self, leaf: bytes) -> tuple[str, str, str] | None:
        """(party, day, detail)"""
        row = self._one("SELECT party, day, detail FROM refusals WHERE leaf = ?", leaf)
        return None if row is None else (row[0], row[1], row[2])

    def unfounded_refusals(self) -> Iterator[tuple[bytes, bool]]:
        """(leaf, whether its opening is missing) of those that a row calls a refusal and the log does not."""
        yield from self._rows(
            "SELECT refusals.leaf, leaves.kind IS '' FROM refusals "
            "LEFT JOIN leaves ON leaves.leaf = refusals.leaf WHERE leaves.kind IS NOT 'refused'"
        )
