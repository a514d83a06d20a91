"""Reading an export directory: bounded, streamed, and strict about its form. Decides nothing about truth.

Every line must be byte for byte what `audit.export` would write for its content, so that no two readers can
see two things in it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from audit.entries import canonical_json
from audit.envelope import digest
from audit.export import FORMAT, blinding_path, chunk_path, document_line, opening_line, outcome_path
from audit.tiles import TILE_WIDTH, split_bundle, tile_path
from xinyi.errors import EncodingInvalid
from xinyi.v1 import envelope_pb2

MAX_SMALL_FILE = 64 << 10

_TILE = re.compile(r"tile/(entries|[0-9])/((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([0-9]{1,3}))?")
_CHUNK = re.compile(r"chunks/([0-9a-f]{64})/([0-9]{6,})\.chunk")
_OUTCOMES = re.compile(r"outcomes/([0-9a-f]{64})/([0-9]{6,})\.chunk")
_BLINDING = re.compile(r"blinding/([0-9a-f]{64})\.key")
_STATE = re.compile(r"state/([a-z][a-z_]{0,62})\.jsonl")
_OPENING = re.compile(
    rb'\{(?:"erased":true,)?"index":([0-9]{1,19})(?:,"opening":"([A-Za-z0-9+/=]*)","salt":"([0-9a-f]*)")?\}'
)
_TOP = {"checkpoint", "export.json", "openings.jsonl", "documents.jsonl"}


@dataclass(frozen=True)
class Description:
    origin: str
    size: int
    state_size: int
    with_records: bool


@dataclass(frozen=True)
class Opening:
    index: int
    #: Both empty where they were erased.
    salt: bytes
    opening: bytes


class Export:
    """An export directory that somebody handed over. Opens regular files below it and nothing else."""

    def __init__(self, path: Path, *, line_bytes: int) -> None:
        self.path = path
        self._line_bytes = line_bytes

    def description(self) -> Description:
        """Raises FileNotFoundError where the export is unfinished, EncodingInvalid."""
        text = self.read("export.json", MAX_SMALL_FILE)
        value = read_row(text.removesuffix(b"\n"))
        try:
            found = Description(value["origin"], value["size"], value["state_size"], value["with_records"])
            kinds = (type(found.origin), type(found.size), type(found.state_size), type(found.with_records))
            fits = kinds == (str, int, int, bool) and 0 <= found.state_size <= found.size
        except KeyError:
            fits = False
        if not fits or len(value) != 5 or value.get("format") != FORMAT or not text.endswith(b"\n"):
            raise EncodingInvalid(f"export.json is not one of {FORMAT}")
        return found

    def checkpoint(self) -> bytes:
        return self.read("checkpoint", MAX_SMALL_FILE)

    def read(self, name: str, limit: int) -> bytes:
        """A whole small file. Raises FileNotFoundError, EncodingInvalid."""
        with self._open(name) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise EncodingInvalid(f"{name} has more than {limit} bytes")
        return data

    def bundle(self, number: int, width: int) -> list[bytes]:
        """The leaves of one entry bundle. Raises FileNotFoundError, EncodingInvalid."""
        leaves = split_bundle(self.read(tile_path("entries", number, width), MAX_SMALL_FILE))
        if len(leaves) != width:
            raise EncodingInvalid(f"the bundle holds {len(leaves)} leaves instead of {width}")
        return leaves

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """(offset, line without its end) of a file. Raises FileNotFoundError, EncodingInvalid."""
        offset = 0
        with self._open(name) as file:
            while line := file.readline(self._line_bytes + 1):
                if not line.endswith(b"\n"):
                    raise EncodingInvalid(
                        f"{name}: a line is cut off or longer than {self._line_bytes} bytes"
                    )
                yield offset, line[:-1]
                offset += len(line)

    def holds(self, name: str) -> bool:
        """Whether it is a regular file that is here."""
        try:
            return stat.S_ISREG(os.lstat(self.path / name).st_mode)
        except FileNotFoundError:
            return False

    def line_reader(self, name: str) -> LineReader:
        return LineReader(self._open(name), self._line_bytes)

    def chunk(self, manifest_digest: bytes, number: int, limit: int) -> bytes:
        return self.read(chunk_path(manifest_digest, number), limit)

    def blinding_key(self, manifest_digest: bytes) -> bytes:
        return self.read(blinding_path(manifest_digest), MAX_SMALL_FILE)

    def outcome_chunk(self, batch_digest: bytes, number: int, limit: int) -> bytes:
        return self.read(outcome_path(batch_digest, number), limit)

    def tables(self) -> list[str]:
        """Names of the tables whose rows are here."""
        found = (_STATE.fullmatch(name) for name, _ in self.files() if name.startswith("state/"))
        return sorted(match[1] for match in found if match)

    def files(self) -> Iterator[tuple[str, bool]]:
        """(path, whether it is a regular file) of everything below the directory."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            with os.scandir(self.path / folder) as found:
                for item in sorted(found, key=lambda f: f.name):
                    name = f"{folder}{item.name}"
                    if item.is_dir(follow_symlinks=False):
                        waiting.append(name + "/")
                    else:
                        yield name, item.is_file(follow_symlinks=False)

    def _open(self, name: str) -> BinaryIO:
        """A regular file, opened without following a link and without waiting on a pipe."""
        try:
            descriptor = os.open(self.path / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise EncodingInvalid(f"{name} cannot be read: {error.strerror}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise EncodingInvalid(f"{name} is no regular file")
        return os.fdopen(descriptor, "rb")


class LineReader:
    """Lines of one file at known offsets."""

    def __init__(self, file: BinaryIO, line_bytes: int) -> None:
        self._file = file
        self._line_bytes = line_bytes

    def at(self, offset: int) -> bytes:
        self._file.seek(offset)
        return self._file.readline(self._line_bytes).removesuffix(b"\n")

    def close(self) -> None:
        self._file.close()


def is_export_path(name: str) -> bool:
    """Whether a file of this name can stand in an export: nothing outside the directory can."""
    return name in _TOP or any(form.fullmatch(name) for form in (_TILE, _STATE, _CHUNK, _BLINDING, _OUTCOMES))


def belongs(name: str, size: int, *, with_records: bool) -> bool:
    """Whether a file of this name has a place in an export of this size."""
    if name in _TOP or _STATE.fullmatch(name):
        return True
    if (match := _TILE.fullmatch(name)) is not None:
        return _is_tile(match, size)
    return with_records and any(form.fullmatch(name) for form in (_CHUNK, _BLINDING, _OUTCOMES))


def manifest_of(name: str) -> tuple[bytes, int | None] | None:
    """(manifest digest, chunk number or None for the key) where a file belongs to an edition's records."""
    if (match := _CHUNK.fullmatch(name)) is not None:
        return bytes.fromhex(match[1]), int(match[2])
    if (match := _BLINDING.fullmatch(name)) is not None:
        return bytes.fromhex(match[1]), None
    return None


def batch_of(name: str) -> tuple[bytes, int] | None:
    """(batch digest, chunk number) where a file belongs to a batch's outcomes."""
    match = _OUTCOMES.fullmatch(name)
    return None if match is None else (bytes.fromhex(match[1]), int(match[2]))


def _is_tile(match: re.Match[str], size: int) -> bool:
    level = 0 if match[1] == "entries" else int(match[1])
    index = int(match[2].replace("x", "").replace("/", "") + match[3])
    width = int(match[4]) if match[4] else TILE_WIDTH
    expected = min(TILE_WIDTH, (size >> (8 * level)) - index * TILE_WIDTH)
    name = "entries" if match[1] == "entries" else level
    return width == expected > 0 and match[0] == tile_path(name, index, width)


def read_opening(line: bytes) -> Opening:
    """Raises EncodingInvalid."""
    match = _OPENING.fullmatch(line)
    try:
        if match is None:
            raise ValueError
        salt, opening = bytes.fromhex((match[3] or b"").decode()), base64.b64decode(match[2] or b"")
        found = Opening(int(match[1]), salt, opening)
        same = opening_line(found.index, salt, opening).encode() == line
    except ValueError:
        same = False
    if not same:
        raise EncodingInvalid("a line of openings.jsonl is not in its one form")
    return found


def read_document(line: bytes) -> envelope_pb2.Envelope:
    """Raises EncodingInvalid where the line, or the digest in it, is not the one of its document."""
    value = _parse(line)
    try:
        sealed = envelope_pb2.Envelope(
            payload=base64.b64decode(value["payload"], validate=True),
            payload_type=value["payloadType"],
            signatures=[
                envelope_pb2.Signature(keyid=s["keyid"], sig=base64.b64decode(s["sig"], validate=True))
                for s in value["signatures"]
            ],
        )
        same = document_line(digest(sealed), sealed).encode() == line
    except (KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise EncodingInvalid("the line is not in its one form, or its digest is not the document's")
    return sealed


def read_row(line: bytes) -> dict[str, Any]:
    """A row as text, numbers and nulls; bytes are hex. Raises EncodingInvalid."""
    value = _parse(line)
    try:
        same = canonical_json(value).encode() == line
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise EncodingInvalid("a row is not canonical JSON")
    return value


def _parse(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise EncodingInvalid("a line is not JSON") from error
    if not isinstance(value, dict):
        raise EncodingInvalid("a line is no JSON object")
    return value
