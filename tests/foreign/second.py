"""A second verifier of the evidence formats, written from docs/evidence-format.md with the standard library.

It imports nothing of ours. Signatures are checked by the openssl command, fields are read from the .proto files,
trees are computed as RFC 6962 defines them. It is small and slow, and only for tests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

CONTRACT = Path(__file__).parents[2] / "proto/xinyi/v1"


class False_(Exception):  # noqa: N801
    """What is shown does not hold. `code` as in the vectors."""

    def __init__(self, code: str, why: str = "") -> None:
        super().__init__(why or code)
        self.code = code


SIGNATURE, DIGEST, PROOF, ENCODING = (
    f"verification.{word}" for word in ("signature", "digest", "proof", "encoding")
)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def need(holds: bool, code: str, why: str = "") -> None:
    if not holds:
        raise False_(code, why)


# ── the one expected encoding (§1) ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Field:
    name: str
    kind: str
    repeated: bool


@lru_cache
def contract() -> tuple[dict[str, dict[int, Field]], frozenset[str]]:
    """({message: {number: field}}, enums) of every .proto file."""
    text = "".join(path.read_text(encoding="utf-8") for path in CONTRACT.glob("*.proto"))
    text = re.sub(r"//.*", "", text)
    messages = {}
    for name, body in re.findall(r"message (\w+) \{([^}]*)\}", text):
        found = re.findall(r"(repeated )?(\w+) (\w+) = (\d+);", body)
        messages[name] = {int(number): Field(label, kind, bool(many)) for many, kind, label, number in found}
    return messages, frozenset(re.findall(r"enum (\w+) \{", text))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        need(at < len(data), ENCODING, "cut off")
        byte = data[at]
        at += 1
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            need(byte != 0 or place == 0, ENCODING, "number longer than it must be")
            need(value < 1 << 64, ENCODING)
            return value, at
    raise False_(ENCODING, "number of more than ten bytes")


def read(message: str, data: bytes) -> dict[str, Any]:
    """The fields of a message in the one expected encoding; absent ones as zero, "", b"", [] or None."""
    messages, enums = contract()
    fields = messages[message]
    found: dict[str, Any] = {f.name: [] if f.repeated else _absent(f, enums) for f in fields.values()}
    at = last = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        need(number in fields, ENCODING, "unknown field")
        f = fields[number]
        numeric = f.kind in ("uint32", "uint64", "bool") or f.kind in enums
        packed = numeric and f.repeated
        again = number == last and f.repeated and not packed
        need(number > last or again, ENCODING, "order, or a field given twice")
        last = number
        if packed:
            need(wire == 2, ENCODING, "wire type")
            size, at = _varint(data, at)
            need(0 < size <= len(data) - at, ENCODING, "cut off, or empty")
            found[f.name], at = _numbers(data[at : at + size]), at + size
            continue
        need(wire == (0 if numeric else 2), ENCODING, "wire type")
        value, at = _varint(data, at)
        if numeric:
            need(value != 0, ENCODING, "zero written out")
            limit = {"uint32": 1 << 32, "bool": 2}.get(f.kind, 1 << 64)
            need(value < limit, ENCODING, "too large")
            need(f.kind not in enums or value < 1 << 31 or value >= (1 << 64) - (1 << 31), ENCODING)
            found_value: Any = value
        else:
            need(at + value <= len(data), ENCODING, "cut off")
            raw, at = data[at : at + value], at + value
            found_value = _content(f, raw)
        if f.repeated:
            found[f.name].append(found_value)
        else:
            found[f.name] = found_value
    return found


def _numbers(packed: bytes) -> list[int]:
    found, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        found.append(value)
    return found


def _absent(f: Field, enums: frozenset[str]) -> Any:
    if f.kind in ("string", "bytes"):
        return "" if f.kind == "string" else b""
    return 0 if f.kind in ("uint32", "uint64", "bool") or f.kind in enums else None


def _content(f: Field, raw: bytes) -> Any:
    if f.kind not in ("string", "bytes"):
        return read(f.kind, raw)
    need(bool(raw) or f.repeated, ENCODING, "empty value written out")
    if f.kind == "bytes":
        return raw
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise False_(ENCODING, "no UTF-8") from error


# ── keys and signatures (§2) ─────────────────────────────────────────────────────────────────────────────────

ED25519, P256, SM2 = 1, 2, 3
_ED_PREFIX = bytes.fromhex("302a300506032b6570032100")
_EC_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
#: y of the points whose order divides 8; two of order 8 share each of the last two.
_SMALL_Y = {
    1,
    _P - 1,
    0,
    int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"),
    int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"),
}  # fmt: skip
_Q = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def check_public_key(algorithm: int, spki: bytes) -> None:
    if algorithm == ED25519:
        need(len(spki) == 44 and spki.startswith(_ED_PREFIX), "invalid")
        encoded = int.from_bytes(spki[12:], "little")
        y, sign = encoded % (1 << 255), encoded >> 255
        need(y < _P, "invalid", "not canonical")
        u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
        x_squared = u * pow(v, -1, _P) % _P
        need(x_squared == 0 or pow(x_squared, (_P - 1) // 2, _P) == 1, "invalid", "no point")
        need(not (x_squared == 0 and sign), "invalid", "not canonical")
        need(y not in _SMALL_Y, "invalid", "small order")
    elif algorithm == P256:
        need(len(spki) == 91 and spki.startswith(_EC_PREFIX), "invalid")
        x, y = int.from_bytes(spki[27:59], "big"), int.from_bytes(spki[59:], "big")
        need(x < _Q and y < _Q and (y * y - (x**3 - 3 * x + _B)) % _Q == 0, "invalid", "no point")
    else:
        need(algorithm == SM2, "invalid")


@cache
def signature_holds(algorithm: int, spki: bytes, message: bytes, signature: bytes) -> bool:
    """What the openssl command says."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in (("key", spki), ("message", message), ("signature", signature)):
            (Path(folder) / name).write_bytes(data)
        command = (
            "openssl pkeyutl -verify -pubin -keyform DER -inkey key -rawin -in message -sigfile signature"
        )
        words = command.split() + (["-digest", "sha256"] if algorithm == P256 else [])
        return subprocess.run(words, cwd=folder, capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Key:
    algorithm: int
    spki: bytes
    party: str = ""
    holder: str = ""

    @property
    def keyid(self) -> str:
        return hashlib.sha256(self.spki).hexdigest()


# ── documents (§1) ───────────────────────────────────────────────────────────────────────────────────────────


def payload_type(message: str) -> str:
    return f"application/vnd.xinyi.{re.sub(r'(?<!^)(?=[A-Z])', '-', message).lower()}.v1+protobuf"


def pre_encoding(kind: str, payload: bytes) -> bytes:
    need(all(ord(c) < 128 for c in kind), ENCODING)
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload])


@dataclass(frozen=True)
class Document:
    kind: str
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, data: bytes) -> Document:
        fields = read("Envelope", data)
        signatures = tuple((s["keyid"], s["sig"]) for s in fields["signatures"])
        return cls(fields["payload_type"], fields["payload"], signatures)

    @property
    def signed(self) -> bytes:
        return pre_encoding(self.kind, self.payload)

    @property
    def digest(self) -> bytes:
        return sha256(self.signed)

    def open(self, message: str, trusted: dict[str, Key]) -> tuple[dict[str, Any], list[Key]]:
        """Fields and signers, by the numbered steps of §1."""
        need(self.kind == payload_type(message), ENCODING, "another type")
        need(1 <= len(self.signatures) <= 8, SIGNATURE, "count")
        need(len({keyid for keyid, _ in self.signatures}) == len(self.signatures), SIGNATURE, "twice")
        signers = []
        for keyid, signature in self.signatures:
            need(re.fullmatch("[0-9a-f]{64}", keyid) is not None and len(signature) <= 512, SIGNATURE, "form")
        for keyid, signature in self.signatures:
            key = trusted.get(keyid)
            if key is not None and key.algorithm != SM2:
                need(signature_holds(key.algorithm, key.spki, self.signed, signature), SIGNATURE)
                signers.append(key)
        need(bool(signers), SIGNATURE, "nobody known")
        return read(message, self.payload), signers


# ── trees (§3, §4) ───────────────────────────────────────────────────────────────────────────────────────────


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\0" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right)


def split(size: int) -> int:
    """The largest power of two below it."""
    return 1 << (size - 1).bit_length() - 1


def root_of(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, as it stands there."""
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"")
    k = split(len(hashes))
    return node_hash(root_of(hashes[:k]), root_of(hashes[k:]))


def included(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root that a proof leads to."""
    need(0 <= index < size and len(proof) < 64 and all(len(h) == 32 for h in proof), PROOF)
    if size == 1:
        need(not proof, PROOF, "too long")
        return leaf
    need(bool(proof), PROOF, "too short")
    k = split(size)
    if index < k:
        return node_hash(included(leaf, index, k, proof[:-1]), proof[-1])
    return node_hash(proof[-1], included(leaf, index - k, size - k, proof[:-1]))


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: list[bytes]) -> None:
    need(old <= new and len(proof) < 64 and all(len(h) == 32 for h in proof), PROOF)
    if old in (0, new):
        need(not proof and old_root == (new_root if old else sha256(b"")), PROOF)
        return
    need(_grown(old, new, old_root, proof, True) == (old_root, new_root), PROOF)


def _grown(old: int, new: int, old_root: bytes, proof: list[bytes], whole: bool) -> tuple[bytes, bytes]:
    if old == new:
        need(len(proof) == (0 if whole else 1), PROOF)
        value = old_root if whole else proof[0]
        return value, value
    need(bool(proof), PROOF, "too short")
    k = split(new)
    if old <= k:
        before, after = _grown(old, k, old_root, proof[:-1], whole)
        return before, node_hash(after, proof[-1])
    before, after = _grown(old - k, new - k, old_root, proof[:-1], False)
    return node_hash(proof[-1], before), node_hash(proof[-1], after)


def tile_path(level: str, index: int, width: int) -> str:
    digits = str(index).zfill(3 * -(-len(str(index)) // 3))
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join(["tile", level, *(f"x{g}" for g in groups[:-1]), groups[-1]])
    return path if width == 256 else f"{path}.p/{width}"


def tile_files(leaves: list[bytes]) -> dict[str, bytes]:
    files = {}
    for start in range(0, len(leaves), 256):
        part = leaves[start : start + 256]
        data = b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in part)
        files[tile_path("entries", start // 256, len(part))] = data
    row, level = [leaf_hash(leaf) for leaf in leaves], 0
    while row:
        for start in range(0, len(row), 256):
            part = row[start : start + 256]
            files[tile_path(str(level), start // 256, len(part))] = b"".join(part)
        row = [root_of(row[i : i + 256]) for i in range(0, len(row) // 256 * 256, 256)]
        level += 1
    return files


# ── editions (§3) ────────────────────────────────────────────────────────────────────────────────────────────


def record_leaf(blinding_key: bytes, identifier: str, salt: bytes, record: bytes) -> bytes:
    blinded = hmac.new(blinding_key, identifier.encode(), "sha256").digest()
    return b"\1" + blinded + sha256(b"xinyi-record-v1\0" + salt + record)


def check_chunk(
    data: bytes, number: int, manifest: dict[str, Any], blinding_key: bytes, after: bytes
) -> bytes:
    """Last blinded key of a chunk that is the one the manifest seals."""
    commitment = sha256(b"xinyi-blinding-key-v1\0" + blinding_key)
    need(len(blinding_key) == 32 and commitment == manifest["blinding_key_commitment"], DIGEST)
    read("GradeChunk", data)
    salted = read("Chunk", data)["records"]
    need(1 <= len(salted) <= 1024 and all(len(s["salt"]) == 32 for s in salted), ENCODING)
    hashes = []
    for one in salted:
        record = read("GradeRecord", one["record"])
        leaf = record_leaf(blinding_key, record["taxpayer_id"], one["salt"], one["record"])
        need(leaf[1:33] > after, PROOF, "order")
        after = leaf[1:33]
        hashes.append(leaf_hash(leaf))
    expected = min(1024, manifest["record_count"] - 1024 * number)
    need(len(hashes) == expected, PROOF, "count")
    need(root_of(hashes) == manifest["chunk_roots"][number], DIGEST)
    return after


# ── states (§3) ──────────────────────────────────────────────────────────────────────────────────────────────

FULL, DELTA, CORRECTION = 1, 2, 3
BUCKETS = 1 << 14
State = dict[bytes, bytes]


def bucket_of(blinded: bytes) -> int:
    return int.from_bytes(blinded[:2], "big") >> 2


def bucket_digest(entries: bytes) -> bytes:
    return sha256(b"xinyi-bucket-v1\0" + entries)


def state_root(state: State) -> bytes:
    """Over all buckets, most of them empty: equal subtrees are computed once."""
    held: dict[int, bytes] = {}
    for key in sorted(state):
        held[bucket_of(key)] = held.get(bucket_of(key), b"") + key + state[key]
    row = [bucket_digest(held.get(number, b"")) for number in range(BUCKETS)]
    pair = cache(node_hash)
    while len(row) > 1:
        row = [pair(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def check_bucket(entries: bytes, number: int, path: list[bytes], root: bytes) -> State:
    """What a bucket holds, once it is the one under this state root."""
    need(len(entries) % 64 == 0, PROOF, "no whole entries")
    parts = [entries[i : i + 64] for i in range(0, len(entries), 64)]
    need(all(a[:32] < b[:32] for a, b in pairwise(parts)), PROOF, "order")
    need(all(bucket_of(part) == number for part in parts), PROOF, "another bucket")
    need(len(path) == 14 and included(bucket_digest(entries), number, BUCKETS, path) == root, PROOF)
    return {part[:32]: part[32:] for part in parts}


def apply(manifest: dict[str, Any], chunks: list[bytes], blinding_key: bytes, before: State) -> State:
    """The state after an edition, which is the one that it seals."""
    state = {} if manifest["kind"] == FULL else dict(before)
    for data in chunks:
        for one in read("Chunk", data)["records"]:
            record = read("GradeRecord", one["record"])
            leaf = record_leaf(blinding_key, record["taxpayer_id"], one["salt"], one["record"])
            if not record["gone"]:
                state[leaf[1:33]] = leaf[33:]
            elif state.pop(leaf[1:33], None) is None:
                need(manifest["kind"] == CORRECTION, PROOF, "gone who was not there")
    need(state_root(state) == manifest["state_root"], PROOF, "state root")
    need(len(state) == manifest["state_count"], PROOF, "state count")
    return state


# ── the log (§4) ─────────────────────────────────────────────────────────────────────────────────────────────


def log_leaf(salt: bytes, opening: bytes) -> bytes:
    return b"\1" + sha256(b"xinyi-log-entry-v1\0" + salt + opening)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def canonical(value: Any) -> str:
    """§4: one text for one row."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(k)}:{canonical(value[k])}" for k in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value)
    text = value.hex() if isinstance(value, bytes) else value
    return '"' + "".join(_ESCAPES.get(c) or (c if c >= " " else f"\\u{ord(c):04x}") for c in text) + '"'


def verifier_key(text: str) -> tuple[str, bytes]:
    """(name, public key) of a log."""
    parts = text.split("+", 2)
    need(len(parts) == 3, ENCODING)
    try:
        raw = base64.b64decode(parts[2], validate=True)
    except ValueError as error:
        raise False_(ENCODING) from error
    need(len(raw) == 33 and raw[0] == 1, ENCODING)
    need(sha256(parts[0].encode() + b"\n" + raw)[:4].hex() == parts[1], ENCODING)
    check_public_key(ED25519, _ED_PREFIX + raw[1:])
    return parts[0], raw[1:]


def check_note(note: bytes, log_key: str) -> tuple[int, bytes]:
    """(size, root) of a checkpoint that the log signed."""
    name, public = verifier_key(log_key)
    match = re.fullmatch(r"(([^\n]+)\n(0|[1-9][0-9]*|[^\n]*)\n([^\n]*)\n)\n((?:[^\n]+\n)+)", note.decode())
    need(match is not None, ENCODING)
    assert match is not None
    body, origin, size, root, block = match.groups()
    need(origin == name, SIGNATURE, "another log")
    need(re.fullmatch("0|[1-9][0-9]*", size) is not None, ENCODING)
    value = _base64(root)
    need(len(value) == 32, ENCODING)
    found = False
    for line in block.splitlines():
        parts = line.split(" ")
        need(len(parts) == 3 and parts[0] == "—", ENCODING)
        raw = _base64(parts[2]) if parts[1] == name else b""
        if raw[:4] == sha256(name.encode() + b"\n\1" + public)[:4]:
            need(signature_holds(ED25519, _ED_PREFIX + public, body.encode(), raw[4:]), SIGNATURE)
            found = True
    need(found, SIGNATURE, "nobody known")
    return int(size), value


def _base64(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise False_(ENCODING) from error
    need(base64.b64encode(value).decode() == text, ENCODING)
    return value


def check_tlog_proof(data: bytes, leaf: bytes, log_key: str) -> tuple[int, int]:
    """(index, size of the tree)."""
    head, separator, note = data.partition(b"\n\n")
    lines = head.decode().split("\n")
    need(bool(separator) and len(lines) > 1 and lines[0] == "c2sp.org/tlog-proof@v1", ENCODING)
    index = re.fullmatch("index (0|[1-9][0-9]*)", lines[1])
    need(index is not None, ENCODING)
    assert index is not None
    proof = [_base64(line) for line in lines[2:]]
    size, root = check_note(note, log_key)
    need(included(leaf_hash(leaf), int(index[1]), size, proof) == root, PROOF)
    return int(index[1]), size


# ── what banks report (§11) ──────────────────────────────────────────────────────────────────────────────────

Sums = dict[str, int]
#: dimension → value → sums
Margins = dict[str, dict[str, Sums]]
Node = tuple[bytes, list[int]]
SUMS = (
    "loans", "firms", "granted", "outstanding_loans", "outstanding_firms", "balance", "bad_loans", "bad_firms",
    "bad_balance", "refused", "refused_firms",
)  # fmt: skip
_GRADES = ("", "A", "B", "M", "C", "D", "UNRATED", "CANCELLED")
_GUARANTEES = ("unknown", "credit", "guarantor", "mortgage", "pledge", "combined")


def cell_of(dimension: str, row: dict[str, Any]) -> str:
    """Of the dimensions that the vectors have."""
    relied = _GRADES[row["loan"]["reliance"]["grade"]] if row["loan"]["reliance"] else "none"
    true = _GRADES[row["true_grade"]] if row["true_grade"] else "withdrawn"
    return {
        "total": "all",
        "grade": relied,
        "true-grade": true if row["recalled"] else relied,
        "guarantee": _GUARANTEES[row["loan"]["guarantee"]],
    }[dimension]


def lanes_of_table(table: dict[str, Any]) -> list[int]:
    cells = [cell for margin in table["margins"] for cell in margin["cells"]]
    return [table["rows"], *(cell["sums"][name] for cell in cells for name in SUMS)]


def lanes_of_firm(table: dict[str, Any], firm: dict[str, Any]) -> list[int]:
    """What the rows of one enterprise add to every lane."""
    lanes = [len(firm["rows"])]
    for margin in table["margins"]:
        for cell in margin["cells"]:
            sums = dict.fromkeys(SUMS, 0)
            for row in firm["rows"]:
                if cell_of(margin["dimension"], row) != cell["value"]:
                    continue
                bad = row["balance"] > 0 and row["loan_class"] >= 3
                for counted, firms, yes in (
                    ("loans", "firms", row["newly_granted"]),
                    ("outstanding_loans", "outstanding_firms", row["balance"] > 0),
                    ("bad_loans", "bad_firms", bad),
                    ("refused", "refused_firms", row["refused"]),
                ):
                    sums[counted] += bool(yes)
                    sums[firms] |= bool(yes)
                sums["granted"] += row["granted"]
                sums["balance"] += row["balance"]
                sums["bad_balance"] += row["balance"] if bad else 0
            lanes += sums.values()
    return lanes


def _packed(lanes: list[int]) -> bytes:
    need(all(0 <= lane < 1 << 63 for lane in lanes), PROOF, "range")
    return b"".join(lane.to_bytes(8, "little") for lane in lanes)


def sum_node(left: Node, right: Node) -> Node:
    told = b"".join((b"\1", _packed(left[1]), left[0], _packed(right[1]), right[0]))
    return sha256(told), [one + other for one, other in zip(left[1], right[1], strict=True)]


def summed(node: Node, index: int, size: int, path: list[Node]) -> Node:
    """The root that a path leads to."""
    if size == 1:
        need(not path, PROOF, "too long")
        return node
    need(bool(path), PROOF, "too short")
    k = split(size)
    if index < k:
        return sum_node(summed(node, index, k, path[:-1]), path[-1])
    return sum_node(path[-1], summed(node, index - k, size - k, path[:-1]))


def check_opened(table: dict[str, Any], data: bytes) -> None:
    """One leaf of a table's tree."""
    opened, width = read("OpenedFirm", data), len(lanes_of_table(table))
    number, place = divmod(opened["index"], 16)
    need(opened["index"] < table["firms"], PROOF, "no such leaf")
    need(len(opened["page"]) == min(16, table["firms"] - 16 * number), PROOF, "no such page")
    need(all(a["commitment"] < b["commitment"] for a, b in pairwise(opened["page"])), PROOF, "order")
    made = sha256(b"xinyi-lending-v1\0" + opened["salt"] + opened["record"])
    need(len(opened["salt"]) == 32 and opened["page"][place]["commitment"] == made, DIGEST)
    firm = read("FirmLending", opened["record"])
    told, total = b"", [0] * width
    for leaf in opened["page"]:
        lanes = [(lane["lane"], lane["value"]) for lane in leaf["lanes"]]
        told += leaf["commitment"] + len(lanes).to_bytes(2, "big")
        for lane, value in lanes:
            need(lane < width, PROOF)
            told += lane.to_bytes(2, "big") + value.to_bytes(8, "big")
            total[lane] += value
    shown = [(lane["lane"], lane["value"]) for lane in opened["page"][place]["lanes"]]
    need(shown == [(n, v) for n, v in enumerate(lanes_of_firm(table, firm)) if v], PROOF, "adds something else")
    page = sha256(b"xinyi-lending-page-v1\0" + told)
    path = []
    for node in opened["path"]:
        need(len(node["sums"]) == 8 * width, PROOF)
        path.append((node["hash"], [int.from_bytes(node["sums"][i : i + 8], "little") for i in range(0, 8 * width, 8)]))
    leaf_node = sha256(b"\0" + _packed(total) + page), total
    root = summed(leaf_node, number, -(-table["firms"] // 16), path)
    need(root == (table["root"], lanes_of_table(table)), PROOF, "another root")


def sample_seed(table: bytes, root: bytes) -> bytes:
    return sha256(b"xinyi-sample-seed-v1\0" + table + root)


def draw(seed: bytes, count: int, size: int) -> list[int]:
    drawn: set[int] = set()
    number = 0
    while len(drawn) < min(count, size):
        word = int.from_bytes(sha256(b"xinyi/sample/1\0" + seed + number.to_bytes(8, "big"))[:8], "big")
        number += 1
        if word < (1 << 64) - (1 << 64) % size:
            drawn.add(word % size)
    return sorted(drawn)


# What may be published of a period

GROUPS = {
    1: ("firms", "loans", "granted"),
    2: ("outstanding_firms", "outstanding_loans", "balance"),
    3: ("bad_firms", "bad_loans", "bad_balance"),
    4: ("refused_firms", "refused"),
}


def added_up(tables: list[dict[str, Any]]) -> Margins:
    """Dimensions that every table has whose total is not zero."""
    found: Margins = {"total": {"all": dict.fromkeys(SUMS, 0)}}
    full = [t for t in tables if t["margins"] and any(t["margins"][0]["cells"][0]["sums"].values())]
    shared = set.intersection(*({m["dimension"] for m in t["margins"]} for t in full)) if full else set()
    for table in full:
        for margin in table["margins"]:
            if margin["dimension"] in shared:
                cells = found.setdefault(margin["dimension"], {})
                for cell in margin["cells"]:
                    sums = cells.setdefault(cell["value"], dict.fromkeys(SUMS, 0))
                    for name in SUMS:
                        sums[name] += cell["sums"][name]
    return found


def unshown(firms: dict[str, int], total: int, known: set[str]) -> set[str]:
    """Values of one margin that are left out."""
    if total in (1, 2):
        return set(firms)
    return spread(firms, total, known | {value for value in firms if firms[value] in (1, 2)})


def spread(firms: dict[str, int], total: int, first: set[str]) -> set[str]:
    out = set(first)
    waiting = sorted((value for value in firms if value not in out), key=lambda v: (firms[v] == 0, firms[v], v))
    while out and waiting:
        left = total - sum(firms[value] for value in firms if value not in out)
        ones = all(firms[value] == 1 for value in out)
        if len(out) >= 2 and max(left, max(firms[value] for value in out)) >= 3 and not ones:
            break
        out.add(waiting.pop(0))
    return out


def behind(sums: Sums, names: tuple[str, ...]) -> int:
    """Firms of a group; one where there are none and yet an amount."""
    return sums[names[0]] or (1 if any(sums[name] for name in names) else 0)


def sound(sums: Sums) -> int:
    """Firms behind what is outstanding and not bad."""
    left = sums["outstanding_firms"] - sums["bad_firms"]
    return max(left, 1 if sums["balance"] > sums["bad_balance"] else 0)


def unshown_bad(cells: dict[str, Sums], whole: Sums, outstanding: set[str], known: set[str]) -> set[str]:
    bad = {value: behind(sums, GROUPS[3]) for value, sums in cells.items()}
    good = {value: sound(sums) for value, sums in cells.items()}
    if behind(whole, GROUPS[3]) and sound(whole) in (1, 2):
        return set(cells)
    out = known | {value for value in cells if bad[value] and good[value] in (1, 2)}
    if any(bad[value] for value in outstanding):
        out = out | outstanding
    size = -1
    while size != len(out):
        size = len(out)
        out = spread(good, sound(whole), unshown(bad, behind(whole, GROUPS[3]), out))
    return out


def published(margins: Margins) -> dict[str, dict[str, tuple[Sums, list[int]]]]:
    """Every cell as it may be shown, with the groups that are left out."""
    out: dict[tuple[str, str], set[int]] = {}
    whole = margins["total"]["all"]
    for group, names in GROUPS.items():

        def close(dimension: str, known: set[str], group: int = group, names: tuple[str, ...] = names) -> set[str]:
            cells = margins[dimension]
            if group == 3:
                outstanding = {value for value in cells if 2 in out.get((dimension, value), ())}
                return unshown_bad(cells, whole, outstanding, known)
            return unshown({v: behind(sums, names) for v, sums in cells.items()}, behind(whole, names), known)

        hidden = {dimension: close(dimension, set()) for dimension in margins}
        if "grade" in margins and "true-grade" in margins:
            relied, true = margins["grade"], margins["true-grade"]
            alike = {v for v in relied if v in true and all(relied[v][name] == true[v][name] for name in names)}
            other = {v for v in relied if v in true and v not in alike}
            near = {v for v in other if abs(behind(relied[v], names) - behind(true[v], names)) < 3}
            if group == 3:
                near |= {v for v in other if abs(sound(relied[v]) - sound(true[v])) < 3}
            hidden["true-grade"] = close("true-grade", near)
            before = None
            while before != (hidden["grade"], hidden["true-grade"]):
                before = (hidden["grade"], hidden["true-grade"])
                hidden["grade"] = close("grade", before[0] | (before[1] & alike))
                hidden["true-grade"] = close("true-grade", before[1] | (hidden["grade"] & set(true)))
        for dimension, values in hidden.items():
            for value in values:
                out.setdefault((dimension, value), set()).add(group)
    shown: dict[str, dict[str, tuple[Sums, list[int]]]] = {}
    for dimension, cells in margins.items():
        shown[dimension] = {}
        for value, sums in cells.items():
            groups = sorted(out.get((dimension, value), ()))
            left = {name: 0 if any(name in GROUPS[g] for g in groups) else sums[name] for name in SUMS}
            shown[dimension][value] = left, groups
    return shown


# ── proofs alone (§8, §9) and the export (§5, §6) ────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Policy:
    log_key: str
    gateway: str
    bureaus: frozenset[str]
    keys: dict[str, Key]

    @classmethod
    def of(cls, text: str) -> Policy:
        value = tomllib.loads(text)
        words = {"ed25519": ED25519, "ecdsa_p256_sha256": P256, "sm2_sm3": SM2}
        keys = [
            Key(words[k["algorithm"]], base64.b64decode(k["spki"]), k["party"], k["holder"])
            for k in value["keys"]
        ]
        return cls(
            value["log_key"], value["gateway"], frozenset(value["bureaus"]), {k.keyid: k for k in keys}
        )


Files = dict[str, bytes]


def check_approved(files: Files, policy: Policy) -> dict[str, Any]:
    """The manifest of a proof's folder, sealed and approved by two persons of a bureau."""
    bureau = {keyid: key for keyid, key in policy.keys.items() if key.party in policy.bureaus}
    sealed = Document.of(files["manifest.dsse"])
    manifest, makers = sealed.open("Manifest", bureau)
    approval, approvers = Document.of(files["approval.dsse"]).open("Approval", bureau)
    need(manifest["origin"] in policy.bureaus, "invalid")
    need(any(k.holder == manifest["issued_by"] and k.party == manifest["origin"] for k in makers), SIGNATURE)
    need(approval["manifest_digest"] == sealed.digest and approval["origin"] == manifest["origin"], "invalid")
    need(any(k.holder == approval["approved_by"] for k in approvers), SIGNATURE)
    publishers = {manifest["issued_by"], *(key.holder for key in makers)}
    need("/person/" in approval["approved_by"] and approval["approved_by"] not in publishers, "invalid")
    need(not {k.keyid for k in makers} & {k.keyid for k in approvers}, "invalid")
    return manifest


def check_state_proof(files: Files, policy: Policy) -> None:
    described = json.loads(files["proof.json"])
    shown = set(described) - {"salt"}
    need(shown == {"format", "blinded_key", "proof"} and described["format"] == "xinyi-state-proof/1", ENCODING)
    need(("salt" in described) == ("record.bin" in files), ENCODING)
    manifest = check_approved(files, policy)
    key, path = bytes.fromhex(described["blinded_key"]), [bytes.fromhex(h) for h in described["proof"]]
    held = check_bucket(files["bucket.bin"], bucket_of(key), path, manifest["state_root"]).get(key)
    if "record.bin" not in files:
        need(held is None, PROOF, "a record is not shown")
        return
    salt = bytes.fromhex(described["salt"])
    need(len(salt) == 32, ENCODING)
    need(not read("GradeRecord", files["record.bin"])["gone"], "invalid")
    need(held == sha256(b"xinyi-record-v1\0" + salt + files["record.bin"]), DIGEST)


def check_record_proof(files: Files, policy: Policy) -> None:
    described = json.loads(files["proof.json"])
    need(described["format"] == "xinyi-record-proof/1", ENCODING)
    manifest = check_approved(files, policy)
    read("GradeRecord", files["record.bin"])
    salt, blinded = bytes.fromhex(described["salt"]), bytes.fromhex(described["blinded_key"])
    need(len(salt) == len(blinded) == 32, ENCODING)
    leaf = b"\1" + blinded + sha256(b"xinyi-record-v1\0" + salt + files["record.bin"])
    proof = [bytes.fromhex(h) for h in described["proof"]]
    root = included(leaf_hash(leaf), described["index"], manifest["record_count"], proof)
    need(root == manifest["root"], PROOF)


def check_entry_proof(files: Files, log_key: str) -> None:
    leaf = log_leaf(files["salt.bin"], files["opening.bin"])
    need(len(files["salt.bin"]) == 32, ENCODING)
    need(files["leaf.bin"] == leaf, DIGEST)
    check_tlog_proof(files["entry.tlog-proof"], leaf, log_key)
    documents = [files[name] for name in sorted(files) if name.startswith("documents/")]
    entry = read("LogEntry", files["opening.bin"])
    need([Document.of(d).digest for d in documents] == entry["documents"], DIGEST)


@dataclass
class Findings:
    """Check → "false" or "cannot decide"; a check that holds is not in it."""

    found: dict[str, str] = field(default_factory=dict)

    def refute(self, check: str) -> None:
        self.found[check] = "false"

    def undecide(self, check: str) -> None:
        self.found.setdefault(check, "cannot decide")


#: The checks of docs/evidence-format.md §6 that are made here.
EXPORT_CHECKS = {"checkpoint", "files", "tree", "openings", "seals", "rows", "records", "states"}
#: And of a quarter's log, where nothing is missing.
QUARTER_CHECKS = EXPORT_CHECKS | {"lending", "challenges", "statistics"}
#: And of a year's log, where nothing is missing.
YEAR_CHECKS = EXPORT_CHECKS | {"deliveries", "recalls", "objections"}
_NAMES = re.compile(
    r"checkpoint|export\.json|openings\.jsonl|documents\.jsonl|state/[a-z_]+\.jsonl|"
    r"(?:chunks|outcomes)/[0-9a-f]{64}/[0-9]{6}\.chunk|blinding/[0-9a-f]{64}\.key|tile/.*"
)


def check_export(files: Files, policy: Policy) -> dict[str, str]:
    findings = Findings()
    description = json.loads(files["export.json"])
    size, root = description["size"], b""
    try:
        size, root = check_note(files["checkpoint"], policy.log_key)
    except False_:
        findings.refute("checkpoint")
    leaves = _leaves(files)
    expected = tile_files(leaves)
    misplaced = [n for n in files if not _NAMES.fullmatch(n) or (n.startswith("tile/") and n not in expected)]
    if misplaced:
        findings.refute("files")
    changed = [name for name, data in expected.items() if files.get(name) != data]
    if changed or (root and root_of([leaf_hash(leaf) for leaf in leaves]) != root):
        findings.refute("tree")
    entries = _entries(files, leaves, findings)
    documents = [_document(line) for line in files["documents.jsonl"].splitlines()]
    keys = _known_keys(documents, policy)
    _check_seals(documents, keys, findings)
    _check_rows(files, entries, size, findings)
    known = {d.digest: d for d in documents}
    if description["with_records"]:
        _check_records(files, known, entries, findings)
        _check_outcomes(files, known, entries, findings)
    _check_year(known, entries, findings)
    roots = [leaf_hash(leaf) for leaf in leaves]
    Quarter(known, keys, lambda note: check_note(note, policy.log_key), roots, policy, findings).check(entries)
    return findings.found


def _leaves(files: Files) -> list[bytes]:
    names = sorted((n for n in files if n.startswith("tile/entries/")), key=lambda n: n.replace(".p", ""))
    data = b"".join(files[name] for name in names)
    return [data[i + 2 : i + 35] for i in range(0, len(data), 35)]


def _entries(files: Files, leaves: list[bytes], findings: Findings) -> dict[int, dict[str, Any]]:
    """Index → entry of every opening that its leaf commits to."""
    entries = {}
    for line in files["openings.jsonl"].splitlines():
        value = json.loads(line)
        if canonical(value).encode() != line or value.get("erased"):
            findings.refute("openings")  # no vector has a logged erasure
            continue
        salt, opening = bytes.fromhex(value["salt"]), base64.b64decode(value["opening"])
        if log_leaf(salt, opening) != leaves[value["index"]]:
            findings.refute("openings")
            continue
        entries[value["index"]] = read("LogEntry", opening)
    return entries


def _document(line: bytes) -> Document:
    value = json.loads(line)
    signatures = tuple((s["keyid"], base64.b64decode(s["sig"])) for s in value["signatures"])
    document = Document(value["payloadType"], base64.b64decode(value["payload"]), signatures)
    need(document.digest.hex() == value["digest"] and canonical(value).encode() == line, ENCODING)
    return document


def _known_keys(documents: list[Document], policy: Policy) -> dict[str, Key]:
    """Pinned keys, and those that parties which are not pinned registered themselves."""
    keys, pinned = dict(policy.keys), {key.party for key in policy.keys.values()}
    for document in documents:
        if document.kind == payload_type("KeyRegistration"):
            shown = read("KeyRegistration", document.payload)["key"]
            key = Key(shown["algorithm"], shown["spki"], shown["party"], shown["holder"])
            if key.party not in pinned:
                check_public_key(key.algorithm, key.spki)
                keys[key.keyid] = key
    return keys


def _check_seals(documents: list[Document], keys: dict[str, Key], findings: Findings) -> None:
    names = {payload_type(name): name for name in contract()[0]}
    for document in documents:
        try:
            document.open(names[document.kind], keys)
        except False_:
            findings.refute("seals")


def _check_rows(files: Files, entries: dict[int, dict[str, Any]], size: int, findings: Findings) -> None:
    last: dict[tuple[str, str], tuple[int, bytes]] = {}
    for index in sorted(entries):
        for change in entries[index]["changes"]:
            last[change["table"], change["key"]] = (index, change["row_sha256"])
    columns = {table: list(json.loads(key)) for table, key in last}
    missing = max((i for i in range(size) if i not in entries), default=-1)
    shown = set()
    for name, line in _rows(files):
        try:
            row = json.loads(line)
            need(canonical(row).encode() == line, ENCODING)
            key = canonical({column: row[column] for column in columns[name]}) if name in columns else ""
            at, digest = last.get((name, key), (-1, b""))
            if sha256(line) != digest:
                findings.undecide("rows") if missing > at else findings.refute("rows")
            shown.add((name, key))
        except (False_, ValueError):
            findings.refute("rows")
    for (table, key), (_, digest) in last.items():
        if f"state/{table}.jsonl" not in files:
            findings.undecide("rows")
        elif digest and (table, key) not in shown:
            findings.refute("rows")


def _rows(files: Files) -> Iterator[tuple[str, bytes]]:
    for name, data in files.items():
        table = name.removeprefix("state/").removesuffix(".jsonl")
        if name.startswith("state/") and table not in ("answers", "refusals"):
            yield from ((table, line) for line in data.splitlines())


def _check_records(
    files: Files, documents: dict[bytes, Document], entries: dict[int, dict[str, Any]], findings: Findings
) -> None:
    states: dict[bytes, State] = {}
    for index in sorted(entries):
        if entries[index]["kind"] not in ("edition.ready", "edition.held"):
            continue
        digest = entries[index]["documents"][0]
        manifest, after = read("Manifest", documents[digest].payload), b""
        chunks, found = [], dict(findings.found)
        for number in range(len(manifest["chunk_roots"])):
            data = files.get(f"chunks/{digest.hex()}/{number:06d}.chunk")
            if data is None:
                findings.undecide("records")
                break
            chunks.append(data)
            try:
                after = check_chunk(data, number, manifest, files[f"blinding/{digest.hex()}.key"], after)
            except False_:
                findings.refute("records")
                break
        if findings.found == found:  # its records are those that were sealed
            _check_state(files, digest, manifest, chunks, states, findings)


def _check_outcomes(
    files: Files, documents: dict[bytes, Document], entries: dict[int, dict[str, Any]], findings: Findings
) -> None:
    """The rows of batches of one chunk, as all are in the vectors."""
    for entry in entries.values():
        if entry["kind"] != "outcomes.recorded":
            continue
        digest, receipt = entry["documents"]
        batch, hashes, withheld, last = read("OutcomeBatch", documents[digest].payload), [], 0, ""
        day = time.strftime("%Y-%m-%d", time.gmtime(batch["issued_at_ms"] / 1000 + 8 * 3600))
        try:
            for one in read("Chunk", files[f"outcomes/{digest.hex()}/000000.chunk"])["records"]:
                sealed = one["salt"]
                if one["record"]:
                    row = read("LendingOutcome", one["record"])
                    consent = row["authorisation"]
                    need(last < row["outcome_id"], PROOF, "order")
                    need(consent["valid_from"] <= day <= consent["valid_to"], "invalid", "consent")
                    sealed, last = sha256(b"xinyi-outcome-v1\0" + one["salt"] + one["record"]), row["outcome_id"]
                withheld += not one["record"]
                hashes.append(leaf_hash(b"\1" + sealed))
            need([root_of(hashes)] == batch["chunk_roots"], DIGEST)
            need(withheld == read("OutcomeReceipt", documents[receipt].payload)["refused"], PROOF, "withheld")
        except False_:
            findings.refute("records")


def _check_state(
    files: Files,
    digest: bytes,
    manifest: dict[str, Any],
    chunks: list[bytes],
    states: dict[bytes, State],
    findings: Findings,
) -> None:
    key = files[f"blinding/{digest.hex()}.key"]
    if manifest["kind"] != FULL and manifest["predecessor"] not in states:
        findings.undecide("states")
        return
    try:
        states[digest] = apply(manifest, chunks, key, states.get(manifest["predecessor"], {}))
        if manifest["kind"] == CORRECTION:
            told = states[manifest["corrects"]]
            blinding = files[f"blinding/{manifest['corrects'].hex()}.key"]
            for data in chunks:
                for one in read("Chunk", data)["records"]:
                    identifier = read("GradeRecord", one["record"])["taxpayer_id"]
                    need(record_leaf(blinding, identifier, b"", b"")[1:33] in told, "invalid", "a stranger")
    except False_:
        findings.refute("states")


def _check_year(
    documents: dict[bytes, Document], entries: dict[int, dict[str, Any]], findings: Findings
) -> None:
    """Recalls, marks and objections (§6 step 9), entry by entry."""
    taken: dict[bytes, set[str]] = {}
    applied: set[tuple[bytes, str]] = set()
    corrections: dict[bytes, dict[str, Any]] = {}
    recalled: set[tuple[bytes, str]] = set()
    open_objections: set[bytes] = set()
    for index in sorted(entries):
        entry, kind = entries[index], entries[index]["kind"]
        keys = [json.loads(change["key"]) for change in entry["changes"] if change["table"] == "recalls"]
        rows = {(bytes.fromhex(key["correction"]), key["recipient"]) for key in keys}
        written = {recipient for _, recipient in rows}
        document = documents.get(entry["documents"][0]) if entry["documents"] else None
        if document is None:
            continue
        about = documents.get(entry["manifest_digest"])
        manifest = read("Manifest", about.payload) if about is not None else {}
        if kind == "edition.published":
            due = _takers(documents, manifest, taken) if manifest["kind"] == CORRECTION else set()
            if written != due:
                findings.refute("recalls")
            recalled |= {(entry["manifest_digest"], recipient) for recipient in written}
            if manifest["kind"] == CORRECTION:
                corrections[entry["manifest_digest"]] = manifest
        elif kind == "edition.stopped":
            corrections.pop(entry["manifest_digest"], None)
        elif kind == "delivery.offered":
            delivery = read("Delivery", document.payload)
            as_recall = delivery["ground"] == 2
            if as_recall and (entry["manifest_digest"], delivery["recipient"]) not in recalled:
                findings.refute("deliveries")
            for mark in delivery["disputes"]:
                if not _marks(mark, documents, open_objections):
                    findings.refute("deliveries")
        elif kind.startswith("receipt."):
            party, own = entry["counterparty"], (entry["manifest_digest"], entry["counterparty"])
            taken.setdefault(entry["manifest_digest"], set()).add(party)
            due = {own} & recalled if kind == "receipt.applied" else set()
            late = set()
            if kind not in ("receipt.rejected", "receipt.repeated"):
                late = {
                    (digest, party)
                    for digest, correction in corrections.items()
                    if party in _takers(documents, correction, {entry["manifest_digest"]: {party}})
                }
            due |= late - recalled - applied
            if rows != due:
                findings.refute("recalls")
            recalled |= due
            if kind == "receipt.applied":
                applied.add(own)
        elif kind == "objection.filed":
            open_objections.add(document.digest)
        elif kind.startswith("objection."):
            decision = read("ObjectionDecision", document.payload)
            objection = read("Objection", documents[decision["objection"]].payload)
            outcomes = ["", "upheld", "partly", "denied", "undecidable"]
            holds = decision["objection"] in open_objections and decision["decided_by"] != objection["received_by"]
            if not holds or kind != f"objection.{outcomes[decision['outcome']]}":
                findings.refute("objections")
            open_objections.discard(decision["objection"])


def _takers(
    documents: dict[bytes, Document], correction: dict[str, Any], taken: dict[bytes, set[str]]
) -> set[str]:
    """Whoever took an edition from the corrected one up to the correction's predecessor."""
    found: set[str] = set()
    digest = correction["predecessor"]
    while digest:
        found |= taken.get(digest, set())
        digest = b"" if digest == correction["corrects"] else read("Manifest", documents[digest].payload)["predecessor"]
    return found


def _marks(mark: dict[str, Any], documents: dict[bytes, Document], filed: set[bytes]) -> bool:
    if mark["objection"] not in filed:
        return False
    objection = read("Objection", documents[mark["objection"]].payload)
    return all(mark[name] == objection[name] for name in ("filed_on", "due_on", "blinded_key"))


@dataclass
class Quarter:
    """Tables, challenges and statistics (§6 step 9), entry by entry."""

    documents: dict[bytes, Document]
    keys: dict[str, Key]
    note: Callable[[bytes], tuple[int, bytes]]
    leaves: list[bytes]
    policy: Policy
    findings: Findings
    #: Table → its state, when it began and ceased to count, its place, when it came in.
    tables: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    challenges: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    versions: dict[tuple[Any, ...], bytes] = field(default_factory=dict)
    given: set[tuple[bytes, str]] = field(default_factory=set)

    def check(self, entries: dict[int, dict[str, Any]]) -> None:
        rules = {
            "lending.counted": ("lending", self.table), "lending.held": ("lending", self.table),
            "lending.confirmed": ("lending", self.confirmed), "outcomes.recorded": ("lending", self.batch),
            "challenge.asked": ("challenges", self.asked), "challenge.answered": ("challenges", self.answered),
            "statistics.run": ("statistics", self.run), "statistics.offered": ("statistics", self.offered),
            "statistics.received": ("statistics", self.received),
        }  # fmt: skip
        for index in sorted(entries):
            check, rule = rules.get(entries[index]["kind"], ("", None))
            if rule is None:
                continue
            try:
                rule(index, entries[index], self.documents[entries[index]["documents"][0]])
            except False_:
                self.findings.refute(check)

    def _sealed_by(self, document: Document, holder: str, party: str) -> None:
        keys = [self.keys[keyid] for keyid, _ in document.signatures if keyid in self.keys]
        need(any(key.holder == holder and key.party == party for key in keys), SIGNATURE)

    def table(self, index: int, entry: dict[str, Any], document: Document) -> None:
        table = read("LendingTable", document.payload)
        self._sealed_by(document, table["issued_by"], table["bank"])
        receipt = read("TableReceipt", self.documents[entry["documents"][1]].payload)
        counts = entry["kind"] == "lending.counted"
        holds = receipt["table"] == document.digest and receipt["state"] == (1 if counts else 2)
        need(holds and bool(receipt["questions"]) != counts, "invalid")
        for margin in table["margins"]:
            for name in SUMS:
                whole = table["margins"][0]["cells"][0]["sums"][name]
                cells = sum(cell["sums"][name] for cell in margin["cells"])
                need(name.endswith("firms") or not counts or cells == whole, "invalid", "sums")
        place = (table["bank"], *table["period"].values(), table["currency"])
        standing = self._standing(place)
        need(all(state == "HELD" for d, state in standing.items() if d != table["corrects"]), "invalid", "conflict")
        self.tables[document.digest] = {
            "place": place, "position": index, "recorded": entry["recorded_at_ms"], "state": "HELD", "table": table,
            "questions": receipt["questions"], "counted": None, "replaced": None,
        }  # fmt: skip
        if counts:
            self._count(document.digest, entry["recorded_at_ms"])
        elif standing.get(table["corrects"]) == "HELD":
            self.tables[table["corrects"]]["state"] = "CORRECTED"

    def _standing(self, place: tuple[Any, ...]) -> dict[bytes, str]:
        known = self.tables.items()
        return {d: t["state"] for d, t in known if t["place"] == place and t["state"] != "CORRECTED"}

    def _count(self, digest: bytes, now: int) -> None:
        for other in self._standing(self.tables[digest]["place"]):
            self.tables[other] |= {"state": "CORRECTED", "replaced": now}
        self.tables[digest] |= {"state": "COUNTED", "counted": now, "replaced": None}

    def confirmed(self, index: int, entry: dict[str, Any], document: Document) -> None:
        answer = read("LendingAnswer", document.payload)
        held = self.tables[answer["document"]]
        self._sealed_by(document, answer["answered_by"], held["table"]["bank"])
        settles = all(question["may_be_confirmed"] for question in held["questions"])
        need("/person/" in answer["answered_by"] and held["state"] == "HELD" and settles, "invalid")
        self._count(answer["document"], entry["recorded_at_ms"])

    def batch(self, index: int, entry: dict[str, Any], document: Document) -> None:
        batch = read("OutcomeBatch", document.payload)
        self._sealed_by(document, batch["issued_by"], batch["bank"])
        receipt = read("OutcomeReceipt", self.documents[entry["documents"][1]].payload)
        told = sum(receipt[name] for name in ("counted", "held", "repeated", "conflicts", "refused"))
        need(receipt["batch"] == document.digest and told == batch["count"], "invalid")
        need(root_of(batch["chunk_roots"]) == batch["root"], PROOF)
        days = (entry["recorded_at_ms"] - batch["issued_at_ms"]) / 86_400_000
        need(-1 <= days <= 10, "invalid", "issued_at")

    def asked(self, index: int, entry: dict[str, Any], document: Document) -> None:
        challenge = read("Challenge", document.payload)
        self.challenges[document.digest] = challenge
        self._sealed_by(document, challenge["asked_by"], "/".join(challenge["asked_by"].split("/")[2:4]))
        table = self.tables[challenge["table"]]
        need(table["table"]["bank"] == challenge["bank"], "invalid")
        size, root = self.note(challenge["checkpoint"])
        need(table["position"] < size <= index and root_of(self.leaves[:size]) == root, "invalid", "checkpoint")

    def answered(self, index: int, entry: dict[str, Any], document: Document) -> None:
        answer = read("ChallengeAnswer", document.payload)
        self._sealed_by(document, answer["answered_by"], self.challenges[answer["challenge"]]["bank"])

    def run(self, index: int, entry: dict[str, Any], document: Document) -> None:
        told = read("Statistics", document.payload)
        feed = (*told["period"].values(), told["currency"], told["audience"])
        before, until = self.versions.get(feed, b""), told["counted_until_ms"]
        self.versions[feed] = document.digest
        version = read("Statistics", self.documents[before].payload)["version"] + 1 if before else 1
        need(told["predecessor"] == before and told["version"] == version, "invalid", "succession")
        need(bool(told["restatement"]) == bool(before) and until <= entry["recorded_at_ms"], "invalid")
        counted = [
            (known["table"]["bank"], digest, known)
            for digest, known in self.tables.items()
            if known["place"][1:] == feed[:-1] and known["counted"] is not None and known["counted"] <= until
            and (known["replaced"] is None or known["replaced"] > until)
        ]  # fmt: skip
        counted.sort(key=lambda one: one[0])
        listed = [(t["bank"], t["table"], t["recorded_at_ms"]) for t in told["tables"]]
        expected = [(bank, digest, known["recorded"]) for bank, digest, known in counted]
        need(listed == (expected if told["audience"] == 1 else []), "invalid", "tables")
        need(told["banks"] == len(counted), "invalid", "banks")
        margins = added_up([known["table"] for _, _, known in counted])
        if told["audience"] == 1:
            margins["bank"] = {
                bank: known["table"]["margins"][0]["cells"][0]["sums"] for bank, _, known in counted
            }
        shown = {
            margin["dimension"]: {cell["value"]: (cell["sums"], cell["suppressed"]) for cell in margin["cells"]}
            for margin in told["margins"]
        }
        need(shown == published(margins), "invalid", "margins")

    def offered(self, index: int, entry: dict[str, Any], document: Document) -> None:
        for_bureau = read("Statistics", document.payload)["audience"] == 1
        need((entry["counterparty"] in self.policy.bureaus) == for_bureau, "invalid")
        self.given.add((document.digest, entry["counterparty"]))

    def received(self, index: int, entry: dict[str, Any], document: Document) -> None:
        receipt = read("StatisticsReceipt", document.payload)
        self._sealed_by(document, receipt["signed_by"], entry["counterparty"])
        need((receipt["statistics"], entry["counterparty"]) in self.given, "invalid")
