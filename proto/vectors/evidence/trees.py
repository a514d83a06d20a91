"""Vectors of RFC 6962 trees, their proofs, and tiles."""

from __future__ import annotations

import hashlib

from audit import merkle, tiles
from proto.vectors.evidence.cast import (
    Case,
    case,
    flipped,
)

LEAVES = [merkle.leaf_hash(b"leaf %d" % n) for n in range(1000)]


def _node(level: int, index: int) -> bytes:
    return merkle.root(LEAVES[index << level : (index + 1) << level])


def roots() -> list[Case]:
    return [
        {"size": n, "root": merkle.root(LEAVES[:n]).hex()}
        for n in (0, 1, 2, 3, 4, 5, 6, 7, 8, 255, 256, 257, 1000)
    ]


def inclusions() -> list[Case]:
    def one(
        title: str, expected: str, index: int, size: int, proof: list[bytes], leaf: int | None = None
    ) -> Case:
        hash_ = LEAVES[index if leaf is None else leaf]
        root = merkle.root(LEAVES[:size])
        return case(
            title,
            expected,
            lambda: merkle.check_inclusion(hash_, index, size, proof, root),
            leaf_hash=hash_.hex(),
            index=index,
            size=size,
            root=root.hex(),
            proof=[h.hex() for h in proof],
        )

    bad = "verification.proof"
    good = merkle.inclusion_proof(_node, 5, 7)
    return [
        *(
            one(f"leaf {index} of {size}", "", index, size, merkle.inclusion_proof(_node, index, size))
            for index, size in ((0, 1), (0, 2), (1, 2), (2, 3), (5, 7), (6, 7), (737, 1000), (999, 1000))
        ),
        one("another leaf", bad, 5, 7, good, leaf=4),
        one("another index", bad, 4, 7, good, leaf=5),
        one("index behind the end", bad, 7, 7, good, leaf=5),
        one("a hash changed by a bit", bad, 5, 7, [good[0], flipped(good[1], 0), *good[2:]]),
        one("a hash too few", bad, 5, 7, good[:-1]),
        one("a hash too many", bad, 5, 7, [*good, bytes(32)]),
        one("a hash of 31 bytes", bad, 5, 7, [*good[:-1], good[-1][:31]]),
        one("64 hashes", bad, 5, 7, [bytes(32)] * 64),
        one("hashes exchanged", bad, 5, 7, [good[1], good[0], *good[2:]]),
    ]


def consistencies() -> list[Case]:
    def one(title: str, expected: str, old: int, new: int, proof: list[bytes], forged: bytes = b"") -> Case:
        old_root, new_root = forged or merkle.root(LEAVES[:old]), merkle.root(LEAVES[:new])
        return case(
            title,
            expected,
            lambda: merkle.check_consistency(old, new, proof, old_root, new_root),
            old=old,
            new=new,
            old_root=old_root.hex(),
            new_root=new_root.hex(),
            proof=[h.hex() for h in proof],
        )

    bad = "verification.proof"
    good = merkle.consistency_proof(_node, 6, 7)
    return [
        *(
            one(f"{old} to {new}", "", old, new, merkle.consistency_proof(_node, old, new))
            for old, new in ((0, 7), (1, 2), (3, 3), (4, 7), (6, 7), (256, 1000), (600, 1000))
        ),
        one("another tree of the old size", bad, 6, 7, good, merkle.root(LEAVES[1:7])),
        one("two roots of one size", bad, 7, 7, [], merkle.root(LEAVES[1:8])),
        one("a smaller tree as the newer one", bad, 7, 6, good),
        one("a hash changed by a bit", bad, 6, 7, [flipped(good[0], 31), *good[1:]]),
        one("a hash too few", bad, 6, 7, good[:-1]),
        one("a hash too many", bad, 6, 7, [*good, bytes(32)]),
        one("a proof from the empty tree", bad, 0, 7, good),
        one("a proof between equal trees", bad, 7, 7, good),
        one("no proof", bad, 6, 7, []),
    ]


def tile_files() -> list[Case]:
    """Names and SHA-256 of the tile files over leaves SHA-256 of "leaf <n>" behind the byte 1."""
    made = []
    for size in (3, 256, 300, 65_792):
        stream, files = tiles.TileStream(), {}
        for n in range(size):
            for name, data in stream.add(b"\1" + hashlib.sha256(b"leaf %d" % n).digest()):
                files[name] = hashlib.sha256(data).hexdigest()
        files |= {name: hashlib.sha256(data).hexdigest() for name, data in stream.finish()}
        shown = dict(sorted(files.items()))
        if size > 1000:  # the first, the last and those of the upper levels say enough
            keep = [
                *[n for n in shown if n.startswith("tile/0/")][:1],
                *[n for n in shown if n.split("/")[1] in "12"],
            ]
            keep += [n for n in shown if n.startswith(("tile/0/", "tile/entries/"))][-2:]
            shown = {name: shown[name] for name in sorted(set(keep))}
        made.append({"size": size, "root": stream.root().hex(), "files_in_all": len(files), "files": shown})
    return made


def tile_paths() -> list[Case]:
    listed: list[tuple[int | str, int, int]] = [
        (0, 0, 256),
        (0, 67, 13),
        (1, 1067, 256),
        ("entries", 1_234_067, 1),
    ]
    return [
        {"level": str(level), "index": i, "width": w, "path": tiles.tile_path(level, i, w)}
        for level, i, w in listed
    ]
