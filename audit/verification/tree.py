"""Steps 3 and 4: bundles, tiles, root and openings, in one pass in the order of the log."""

from __future__ import annotations

from collections.abc import Iterator

from audit import entries, merkle
from audit.checkpoint import Checkpoint
from audit.envelope import parse_strict
from audit.tiles import TILE_WIDTH, Piece, TileStream, tile_path
from audit.verification.exported import Opening, read_opening
from audit.verification.findings import EvidenceMissing, Verdict
from audit.verification.notes import LeafNote
from audit.verification.run import PACE, Run
from audit.verification.state import column
from xinyi.errors import EncodingInvalid
from xinyi.v1 import log_pb2

#: Kinds of entries after which a key counts no more; their row change names it.
KEY_ENDS = {"key.retired": "retired", "key.compromised": "reported compromised"}


def check(run: Run, head: Checkpoint | None) -> None:
    tiles, whole, size = TileStream(), True, run.description.size
    openings = _Openings(run)
    for index, leaf in enumerate(_leaves(run, size)):
        opening = openings.at(index)
        if leaf is None and opening is not None and opening.salt:
            # A bundle is lost, but not the leaf: whether it is this one shows at the root.
            leaf = entries.leaf(opening.salt, opening.opening)
        if leaf is None:
            whole = False
            continue
        _note(run, index, leaf, opening)
        if whole:
            _check_tiles(run, tiles.add(leaf))
        if index % PACE == 0:
            run.watch("leaves", index, size)
    openings.at(size)  # 4: nothing behind the last leaf
    if not whole:
        run.report["tree"].undecide("checkpoint", "leaves are missing: the root cannot be computed")
        return
    _check_tiles(run, tiles.finish())
    with run.report["tree"].examine("checkpoint"):
        if head is not None and tiles.root() != head.root:
            raise EncodingInvalid("the leaves lead to another root than the head's")


# 3


def _leaves(run: Run, size: int) -> Iterator[bytes | None]:
    """Leaves in order; None where a bundle cannot be read."""
    for start in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - start)
        found: list[bytes] | list[None] = [None] * width
        with run.report["tree"].examine(tile_path("entries", start // TILE_WIDTH, width)):
            found = run.export.bundle(start // TILE_WIDTH, width)
        yield from found


def _check_tiles(run: Run, tiles: list[Piece]) -> None:
    for name, data in tiles:
        if name.startswith("tile/entries/"):
            continue  # where the leaves came from
        with run.report["tree"].examine(name):
            if run.export.read(name, 32 * TILE_WIDTH) != data:
                raise EncodingInvalid("the tile is not the one of these leaves")


def root_at(run: Run, size: int) -> bytes:
    """Root over the first `size` leaves, from the tiles, which 3 found to be those of the leaves.

    Reads one tile for each level. Raises EvidenceMissing where 3 found something else.
    """
    if run.report["tree"].verdict is not Verdict.HOLDS:
        raise EvidenceMissing("the tree does not hold, so no earlier root can be computed")

    def node(level: int, index: int) -> bytes:
        tile_level, rest = divmod(level, 8)
        number, place = divmod(index << rest, TILE_WIDTH)
        width = min(TILE_WIDTH, (run.description.size >> 8 * tile_level) - number * TILE_WIDTH)
        data = run.export.read(tile_path(tile_level, number, width), 32 * TILE_WIDTH)
        return merkle.root([data[32 * i : 32 * i + 32] for i in range(place, place + (1 << rest))])

    return merkle.range_root(node, 0, size) if size else merkle.EMPTY_ROOT


# 4


class _Openings:
    """openings.jsonl, matched to leaves by index."""

    def __init__(self, run: Run) -> None:
        self._check = run.report["openings"]
        self._lines = self._read(run)
        self._next = next(self._lines, None)

    def at(self, index: int) -> Opening | None:
        """The line of a leaf; lines before it that belong to no leaf are findings."""
        while self._next is not None and self._next.index < index:
            self._check.refute(f"leaf {self._next.index}", "its line stands twice or out of order")
            self._next = next(self._lines, None)
        if self._next is None or self._next.index > index:
            return None
        found, self._next = self._next, next(self._lines, None)
        return found

    def _read(self, run: Run) -> Iterator[Opening]:
        with self._check.examine("openings.jsonl"):
            for number, (_, line) in enumerate(run.export.lines("openings.jsonl"), 1):
                try:
                    opening = read_opening(line)
                    if opening.index >= run.description.size:
                        raise EncodingInvalid("there is no such leaf")
                except EncodingInvalid as error:
                    self._check.refute(f"openings.jsonl line {number}", error.explanation)
                    continue
                yield opening


def _note(run: Run, index: int, leaf: bytes, opening: Opening | None) -> None:
    """Checks an opening against its leaf and notes what its entry names."""
    entry = log_pb2.LogEntry()
    if opening is None or not opening.salt:
        run.notes.missing(index, leaf)
    else:
        with run.report["openings"].examine(f"leaf {index}"):
            entries.check_opening(leaf, opening.salt, opening.opening)
            entry = parse_strict(opening.opening, log_pb2.LogEntry)
    if not run.notes.leaf(leaf, LeafNote(index, entry.kind, len(entry.documents), entry.recorded_at_ms)):
        run.report["tree"].refute(f"leaf {index}", "this leaf stands in the log twice")
    for digest in entry.documents:
        run.notes.name(digest, index, entry.kind)
    if entry.kind in KEY_ENDS:
        since_ms = entry.since_ms if entry.kind == "key.compromised" else None
        for change in entry.changes:
            if change.table == "keys":
                run.notes.key_ended(index, column(change.key, "keyid"), KEY_ENDS[entry.kind], since_ms)
    if index < run.description.state_size:
        for change in entry.changes:
            run.notes.change(change.table, change.key, change.row_sha256, index)


def check_erasures(run: Run) -> None:
    """An opening may be missing only where a later document of the log names its leaf."""
    if not run.export.holds("openings.jsonl"):
        return
    erased = 0
    for position, _, logged in run.notes.missing_openings():
        if logged:
            erased += 1
        else:
            run.report["openings"].refute(
                f"leaf {position}", "its opening is missing and no erasure is logged"
            )
    run.report.notes["erased_openings"] = erased
