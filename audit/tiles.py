"""Tiles of the log's tree (C2SP tlog-tiles): hash tiles and entry bundles, made as the leaves come by.

Pure, and flat in the number of leaves: per level only the tile at the right edge is held.
"""

from __future__ import annotations

from audit import merkle
from audit.entries import LEAF_BYTES
from xinyi.errors import EncodingInvalid

TILE_WIDTH = 256
_TILE_BYTES = 32 * TILE_WIDTH
_PREFIX = LEAF_BYTES.to_bytes(2, "big")
_STRIDE = 2 + LEAF_BYTES

#: Path inside an export and the bytes of the file, or of its next part.
Piece = tuple[str, bytes]


def tile_path(level: int | str, index: int, width: int) -> str:
    """ "tile/0/x001/067" or, for a partial tile, "tile/0/x001/067.p/13"; level "entries" for bundles."""
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    path = "/".join(["tile", str(level), *reversed(groups)])
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def tile_place(path: str) -> tuple[int, int]:
    """(level, index) of a hash tile, from its path."""
    _, level, *groups = path.partition(".p/")[0].split("/")
    return int(level), int("".join(groups).replace("x", ""))


class TileStream:
    """Takes leaves in order and gives the files of the tree as each becomes complete."""

    def __init__(self) -> None:
        self.size = 0
        self._rows: list[bytearray] = []
        self._bundle = bytearray()

    def add(self, leaf: bytes) -> list[Piece]:
        """The files this leaf completes; mostly none."""
        self._bundle += _PREFIX + leaf
        self.size += 1
        done: list[Piece] = []
        if self.size % TILE_WIDTH == 0:
            done.append((tile_path("entries", self.size // TILE_WIDTH - 1, TILE_WIDTH), bytes(self._bundle)))
            self._bundle.clear()
        self._push(0, merkle.leaf_hash(leaf), done)
        return done

    def finish(self) -> list[Piece]:
        """The partial files at the right edge."""
        done: list[Piece] = []
        if self._bundle:
            width = self.size % TILE_WIDTH
            done.append((tile_path("entries", self.size // TILE_WIDTH, width), bytes(self._bundle)))
        for level, row in enumerate(self._rows):
            if row:
                done.append((tile_path(level, self.size >> (8 * level + 8), len(row) // 32), bytes(row)))
        return done

    def root(self) -> bytes:
        """RFC 6962 root over all leaves so far."""
        return merkle.range_root(self._node, 0, self.size) if self.size else merkle.EMPTY_ROOT

    def _push(self, level: int, value: bytes, done: list[Piece]) -> None:
        if level == len(self._rows):
            self._rows.append(bytearray())
        row = self._rows[level]
        row += value
        if len(row) == _TILE_BYTES:
            done.append((tile_path(level, (self.size >> (8 * level + 8)) - 1, TILE_WIDTH), bytes(row)))
            above = merkle.root([bytes(row[i : i + 32]) for i in range(0, _TILE_BYTES, 32)])
            row.clear()
            self._push(level + 1, above, done)

    def _node(self, level: int, index: int) -> bytes:
        """The nodes a root is made of all stand in the partial tiles at the right edge."""
        tile_level, rest = divmod(level, 8)
        row = self._rows[tile_level]
        start = ((index << rest) % TILE_WIDTH) * 32
        return merkle.root([bytes(row[i : i + 32]) for i in range(start, start + (32 << rest), 32)])


def split_bundle(data: bytes) -> list[bytes]:
    """The leaves of an entry bundle. Raises EncodingInvalid."""
    count, rest = divmod(len(data), _STRIDE)
    if rest or any(data[i : i + 2] != _PREFIX for i in range(0, len(data), _STRIDE)):
        raise EncodingInvalid(f"an entry bundle holds leaves of {LEAF_BYTES} bytes, each behind its length")
    return [data[i * _STRIDE + 2 : (i + 1) * _STRIDE] for i in range(count)]
