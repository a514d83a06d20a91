"""The export directory of a log (docs/evidence-format.md §5): what an auditor carries away to check offline.

Writes it as (path, bytes) pieces from iterables, so nothing is held whole. Knows nothing of databases, and
decides nothing about truth: that is `audit.verify`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from audit.checkpoint import Checkpoint
from audit.entries import canonical_json
from audit.tiles import Piece, TileStream
from xinyi.v1 import envelope_pb2

FORMAT = "xinyi-export/1"
#: Parts of long files are about this long; a small file is one part.
PIECE_BYTES = 256 << 10


def write(
    head: Checkpoint,
    *,
    entries: Iterable[tuple[bytes, bytes, bytes]],
    documents: Iterable[tuple[bytes, envelope_pb2.Envelope]],
    state: Iterable[tuple[str, Iterable[Mapping[str, Any]]]],
    chunks: Iterable[tuple[bytes, int, bytes]] | None = None,
    blinding_keys: Iterable[tuple[bytes, bytes]] | None = None,
    outcomes: Iterable[tuple[bytes, int, bytes]] | None = None,
    state_size: int | None = None,
) -> Iterator[Piece]:
    """The files of an export, to be sent as they come: parts of one file in order, files in turns.

    `export.json` comes last: without it an export is unfinished. Each iterable is consumed once, in the order
    of the arguments.

    Args:
        head: a published checkpoint.
        entries: (leaf, salt, opening), exactly `head.size` of them from index 0 on; salt and opening empty
            where they were erased.
        documents: (digest it is kept under, document) in any order, of every document that was kept at the
            moment of the state, and those that later entries name.
        state: (table, its rows), for every logged table and those the log finds by other ways.
        chunks: (manifest digest, number, serialised Chunk) of every edition; None leaves the records out.
        blinding_keys: (manifest digest, key) of every edition, beside `chunks`.
        outcomes: (batch digest, number, serialised Chunk as it is kept) of every batch, beside `chunks`.
        state_size: how many leaves `state` reflects, where that is not `head.size`: all the entries, pending
            ones included, that stood in the database at the moment the rows were read.
    """
    yield "checkpoint", head.note
    yield from _tree(entries)
    yield from _lines("documents.jsonl", (document_line(*kept) for kept in documents))
    for table, rows in state:
        yield from _lines(f"state/{table}.jsonl", (canonical_json(row) for row in rows))
    for manifest_digest, number, chunk in chunks or ():
        yield from _split(chunk_path(manifest_digest, number), chunk)
    for manifest_digest, key in blinding_keys or ():
        yield blinding_path(manifest_digest), key
    for batch_digest, number, chunk in outcomes or ():
        yield from _split(outcome_path(batch_digest, number), chunk)
    description = {
        "format": FORMAT,
        "origin": head.origin,
        "size": head.size,
        "state_size": head.size if state_size is None else state_size,
        "with_records": chunks is not None,
    }
    yield "export.json", canonical_json(description).encode() + b"\n"


def opening_line(index: int, salt: bytes, opening: bytes) -> str:
    """One line of openings.jsonl, in canonical JSON as every line of an export."""
    if not salt:
        return f'{{"erased":true,"index":{index}}}'
    return f'{{"index":{index},"opening":"{base64.b64encode(opening).decode()}","salt":"{salt.hex()}"}}'


def document_line(digest: bytes, sealed: envelope_pb2.Envelope) -> str:
    """One line of documents.jsonl: a DSSE envelope in JSON, with the document's digest beside it."""
    return canonical_json(
        {
            "digest": digest.hex(),
            "payload": base64.b64encode(sealed.payload).decode(),
            "payloadType": sealed.payload_type,
            "signatures": [
                {"keyid": s.keyid, "sig": base64.b64encode(s.sig).decode()} for s in sealed.signatures
            ],
        }
    )


def chunk_path(manifest_digest: bytes, number: int) -> str:
    return f"chunks/{manifest_digest.hex()}/{number:06d}.chunk"


def outcome_path(batch_digest: bytes, number: int) -> str:
    return f"outcomes/{batch_digest.hex()}/{number:06d}.chunk"


def blinding_path(manifest_digest: bytes) -> str:
    return f"blinding/{manifest_digest.hex()}.key"


def _tree(entries: Iterable[tuple[bytes, bytes, bytes]]) -> Iterator[Piece]:
    tiles = TileStream()

    def openings() -> Iterator[Piece | str]:
        for leaf, salt, opening in entries:
            yield from tiles.add(leaf)
            yield opening_line(tiles.size - 1, salt, opening)

    yield from _lines("openings.jsonl", openings())
    yield from tiles.finish()


def _lines(path: str, lines: Iterable[str | Piece]) -> Iterator[Piece]:
    """Lines gathered into parts of one file; finished pieces among them pass through."""
    part = bytearray()
    for line in lines:
        if isinstance(line, tuple):
            yield line
            continue
        part += line.encode() + b"\n"
        if len(part) >= PIECE_BYTES:
            yield path, bytes(part)
            part.clear()
    # Also where there was no line at all: an empty table is an empty file, not a missing one.
    yield path, bytes(part)


def _split(path: str, data: bytes) -> Iterator[Piece]:
    for start in range(0, len(data), PIECE_BYTES):
        yield path, data[start : start + PIECE_BYTES]
