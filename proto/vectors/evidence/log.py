"""Vectors of log entries, rows, checkpoints and receipts of the log."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from audit import checkpoint, entries, merkle
from audit.checkpoint import TlogProof, VerifierKey
from proto.vectors.evidence.cast import (
    LOG,
    LOG_KEY,
    ORIGIN,
    SMALL,
    VERIFIER_KEY,
    Case,
    TestSigner,
    b64,
    case,
    flipped,
    seed,
)
from proto.vectors.evidence.city import (
    CITY,
    HEAD,
)
from xinyi.v1 import log_pb2


def log_leaves() -> list[Case]:
    return [
        {
            "index": index,
            "kind": log_pb2.LogEntry.FromString(opening).kind,
            "salt": salt.hex(),
            "opening": opening.hex(),
            "leaf": leaf.hex(),
            "leaf_hash": merkle.leaf_hash(leaf).hex(),
        }
        for index, (leaf, salt, opening) in enumerate(CITY.entries)
    ]


def openings() -> list[Case]:
    leaf, salt, opening = CITY.entries[5]

    def one(title: str, expected: str, salt: bytes, opening: bytes) -> Case:
        return case(
            title,
            expected,
            lambda: entries.check_opening(leaf, salt, opening),
            leaf=leaf.hex(),
            salt=salt.hex(),
            opening=opening.hex(),
        )

    bad = "verification.digest"
    return [
        one("as committed to", "", salt, opening),
        one("another salt", bad, flipped(salt, 0), opening),
        one("a byte of the opening moved into the salt", bad, salt + opening[:1], opening[1:]),
        one("opening changed by a bit", bad, salt, flipped(opening, 3)),
    ]


def canonical_rows() -> list[Case]:
    listed: list[dict[str, Any]] = [
        {"b": 1, "a": "text", "c": None},
        {"digest": bytes.fromhex("00ff"), "empty": b"", "note": ""},
        {"name": "示例有限公司", "quote": '"\\/', "control": "\t\n\x01\x7f"},
        {"number": -1, "large": 2**53 + 1, "é": "é", "Z": 0},
    ]
    return [
        {
            "columns": {
                name: {"bytes": value.hex()} if isinstance(value, bytes) else value
                for name, value in row.items()
            },
            "text": entries.canonical_json(row),
            "sha256": entries.row_digest(row).hex(),
        }
        for row in listed
    ]


# ── notes and proofs ───────────────────────────────────────────────────────────────────────────────────────


def verifier_keys() -> list[Case]:
    def one(title: str, expected: str, text: str) -> Case:
        return case(title, expected, lambda: VerifierKey.parse(text), text=text)

    def of(kind: bytes, raw: bytes) -> str:
        hash_ = hashlib.sha256(ORIGIN.encode() + b"\n" + kind + raw).hexdigest()[:8]
        return f"{ORIGIN}+{hash_}+{b64(kind + raw)}"

    raw, bad = VERIFIER_KEY.public, "verification.encoding"
    return [
        one("the log's", "", str(VERIFIER_KEY)),
        one("another name", bad, str(VERIFIER_KEY).replace("test-city", "next-city", 1)),
        one("another hash", bad, f"{ORIGIN}+00000000+{b64(bytes([1]) + raw)}"),
        one("another kind of key", bad, of(b"\4", raw)),
        one("31 bytes", bad, of(b"\1", raw[:31])),
        one("two parts", bad, ORIGIN),
        one("small order", "invalid", of(b"\1", bytes.fromhex(SMALL[8][0]))),
    ]


def notes() -> list[Case]:
    good, other = HEAD.note, TestSigner("another log", LOG_KEY.holder, purpose=LOG)
    body, signature = good.split(b"\n\n")
    origin, size, root = body.split(b"\n")

    def signed(text: bytes, signer: TestSigner = LOG_KEY, name: str = ORIGIN) -> bytes:
        line = b64(VerifierKey.of(name, signer).key_hash + signer.sign(text))
        return text + f"\n— {name} {line}\n".encode()

    def one(title: str, expected: str, note: bytes) -> Case:
        return case(title, expected, lambda: checkpoint.verify(note, VERIFIER_KEY), note=note.decode())

    wrong, unread = "verification.signature", "verification.encoding"
    raw = base64.b64decode(signature.split(b" ")[2])
    witness = f"— witness.example {b64(seed('witness') * 2 + seed('hash')[:4])}\n".encode()
    return [
        one("the log's head", "", good),
        one("a line of somebody unknown beside it", "", good + witness),
        one("the unknown line first", "", body + b"\n\n" + witness + signature),
        one(
            "another key of the same name beside it", "", good + signed(body + b"\n", other).split(b"\n\n")[1]
        ),
        one("signed by another key alone", wrong, signed(body + b"\n", other)),
        one("nobody known", wrong, body + b"\n\n" + witness),
        one(
            "another log",
            wrong,
            signed(b"next-city/gateway/log\n" + size + b"\n" + root + b"\n", name="next-city/gateway/log"),
        ),
        one("size changed", wrong, good.replace(b"\n11\n", b"\n12\n")),
        one("root changed", wrong, good.replace(root, b64(flipped(HEAD.root, 0)).encode())),
        one(
            "signature changed by a bit",
            wrong,
            body + b"\n\n" + f"— {ORIGIN} {b64(flipped(raw, 20))}\n".encode(),
        ),
        one("extension line, signed", unread, signed(body + b"\nmore\n")),
        one("size with a zero before it, signed", unread, signed(origin + b"\n011\n" + root + b"\n")),
        one(
            "root of 31 bytes, signed",
            unread,
            signed(origin + b"\n11\n" + b64(HEAD.root[:31]).encode() + b"\n"),
        ),
        one("hyphen for the dash", unread, good.replace("— ".encode(), b"- ")),
        one("no line end", unread, good[:-1]),
        one("no signature block", unread, body + b"\n"),
        one("no empty line", unread, good.replace(b"\n\n", b"\n")),
    ]


def tlog_proofs() -> list[Case]:
    leaf, good = CITY.entries[8][0], CITY.proof(8)
    text = good.encode()

    def one(title: str, expected: str, data: bytes, leaf: bytes = leaf) -> Case:
        return case(
            title,
            expected,
            lambda: TlogProof.decode(data).verify(leaf, VERIFIER_KEY),
            leaf=leaf.hex(),
            proof=data.decode(),
        )

    first = b64(good.proof[0]).encode()
    refuted, unread = "verification.proof", "verification.encoding"
    return [
        one("entry 8 of 11", "", text),
        one("last entry", "", CITY.proof(10).encode(), CITY.entries[10][0]),
        one("another leaf", refuted, text, CITY.entries[9][0]),
        one("another index", refuted, text.replace(b"index 8\n", b"index 9\n")),
        one("a hash changed by a bit", refuted, text.replace(first, b64(flipped(good.proof[0], 9)).encode())),
        one("a hash too few", refuted, text.replace(first + b"\n", b"")),
        one("a hash too many", refuted, text.replace(first, first + b"\n" + first)),
        one("under an older head", refuted, TlogProof(8, good.proof, CITY.head(10).note).encode()),
        one("index with a zero before it", unread, text.replace(b"index 8\n", b"index 08\n")),
        one("base64 without padding", unread, text.replace(first, first.rstrip(b"="))),
        one("another version", unread, text.replace(b"@v1", b"@v2")),
        one(
            "head's signature changed",
            "verification.signature",
            text[:-10] + (b"A" if text[-10:-9] != b"A" else b"B") + text[-9:],
        ),
    ]
