"""Record leaves of an edition: salted, blinded, in strictly ascending order, in chunks of 1,024.

Leaf (65 bytes) = 0x01 ‖ blinded key (32) ‖ commitment (32)
commitment      = SHA-256("xinyi-record-v1" NUL ‖ salt (32) ‖ exact record bytes)
blinded key     = HMAC-SHA-256(blinding key (32), identifier in UTF-8)

What all records come to after an edition is the state root (audit.buckets).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import lt

from audit import buckets, envelope, merkle
from xinyi import checks
from xinyi.errors import DigestMismatch, EncodingInvalid, ProofInvalid
from xinyi.grade_columns import GradeColumns
from xinyi.v1 import edition_pb2, records_pb2

CHUNK_RECORDS = 1024
CHUNK_LEVEL = 10
MAX_CHUNK_BYTES = 3 << 20
SALT_BYTES = 32
LEAF_VERSION = b"\1"

_COMMITMENT_DOMAIN = b"xinyi-record-v1\0"
_sha256 = hashlib.sha256


def commitment(salt: bytes, record: bytes) -> bytes:
    return _sha256(_COMMITMENT_DOMAIN + salt + record).digest()


def leaf(blinded_key: bytes, record_commitment: bytes) -> bytes:
    return LEAF_VERSION + blinded_key + record_commitment


def commitments(records: Iterable[bytes], salts: Iterable[bytes]) -> list[bytes]:
    """Of exact record bytes, each with its salt."""
    return [
        _sha256(_COMMITMENT_DOMAIN + salt + record).digest()
        for record, salt in zip(records, salts, strict=True)
    ]


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """RFC 6962 hash of the leaf of each entry, blinded key ‖ commitment."""
    return [_sha256(b"\0\1" + entry).digest() for entry in entries]


def blinding_key_commitment(key: bytes) -> bytes:
    return _sha256(b"xinyi-blinding-key-v1\0" + key).digest()


def blinder(key: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA-256 under one key, with the two padded key states prepared once (half the cost per record)."""
    if len(key) != 32:
        raise EncodingInvalid("a blinding key has 32 bytes")
    padded = key.ljust(64, b"\0")
    inner = _sha256(bytes(b ^ 0x36 for b in padded))
    outer = _sha256(bytes(b ^ 0x5C for b in padded))

    def blind(identifier: bytes) -> bytes:
        first = inner.copy()
        first.update(identifier)
        second = outer.copy()
        second.update(first.digest())
        return second.digest()

    return blind


@dataclass(frozen=True)
class VerifiedChunk:
    root: bytes
    first_key: bytes
    last_key: bytes
    #: In leaf order, as `blinded_keys` and `leaf_hashes`.
    records: GradeColumns
    leaf_hashes: list[bytes]
    blinded_keys: list[bytes]
    #: blinded key ‖ commitment of each, one behind the other (audit.buckets).
    entries: bytes


def read_chunk(data: bytes, blind: Callable[[bytes], bytes]) -> VerifiedChunk:
    """Reads one chunk from its bytes: strict wire check, leaves, strict order, subtree root.

    Args:
        data: serialised Chunk, at most 3 MiB, 1 to 1,024 records.
        blind: blinded key of an identifier (see `blinder`).

    Raises:
        EncodingInvalid: not the one expected encoding, a salt not of 32 bytes, no or too many records.
        ProofInvalid: blinded keys not strictly ascending (two records of one taxpayer, or a moved record).
    """
    if len(data) > MAX_CHUNK_BYTES:
        raise EncodingInvalid(f"chunk of {len(data)} bytes; at most {MAX_CHUNK_BYTES}")
    salts, raw = split_chunk(data)
    if not 1 <= len(raw) <= CHUNK_RECORDS:
        raise EncodingInvalid(f"chunk of {len(raw)} records; 1 to {CHUNK_RECORDS} are allowed")
    if set(map(len, salts)) != {SALT_BYTES}:
        raise EncodingInvalid("a salt has 32 bytes")
    records = GradeColumns(raw)
    keys = list(map(blind, records.keys()))
    if not all(map(lt, keys, keys[1:])):
        raise ProofInvalid("records are not strictly ascending by blinded key")
    entries = [key + sealed for key, sealed in zip(keys, commitments(raw, salts), strict=True)]
    hashes = leaf_hashes(entries)
    return VerifiedChunk(merkle.root(hashes), keys[0], keys[-1], records, hashes, keys, b"".join(entries))


def split_chunk(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """(salts, exact record bytes) of a serialised Chunk. Raises EncodingInvalid."""
    chunk = envelope.parse_strict(data, records_pb2.Chunk)
    return [s.salt for s in chunk.records], [s.record for s in chunk.records]


def check_manifest_tree(manifest: edition_pb2.Manifest) -> None:
    """Raises ProofInvalid unless count, chunk roots and root of a manifest agree with each other."""
    expected = -(-manifest.record_count // CHUNK_RECORDS)
    if len(manifest.chunk_roots) != expected or any(len(r) != 32 for r in manifest.chunk_roots):
        raise ProofInvalid(f"{manifest.record_count} records need {expected} chunk roots of 32 bytes")
    if merkle.root(manifest.chunk_roots) != manifest.root:
        raise ProofInvalid("the manifest's root does not follow from its chunk roots")


def check_blinding_key(key: bytes, manifest: edition_pb2.Manifest) -> None:
    """Raises DigestMismatch unless the key is the one the manifest commits to."""
    if len(key) != 32 or not hmac.compare_digest(
        blinding_key_commitment(key), manifest.blinding_key_commitment
    ):
        raise DigestMismatch("the blinding key is not the one the manifest commits to")


class ChunkVerifier:
    """Verifies the chunks of one edition as they arrive, each by itself, and resumes at any chunk.

    The key before a resumed chunk must be given, so that order holds across the cut as well.
    """

    def __init__(
        self, manifest: edition_pb2.Manifest, blinding_key: bytes, *, start: int = 0, after: bytes = b""
    ) -> None:
        check_manifest_tree(manifest)
        check_blinding_key(blinding_key, manifest)
        self._manifest = manifest
        self._blind = blinder(blinding_key)
        self._after = after
        self.next_chunk = start
        #: Of a FULL that is looked at from its first chunk on: what its state consists of.
        full = manifest.kind == edition_pb2.EDITION_KIND_FULL
        self._state = buckets.Gathering() if full and not start else None

    @property
    def complete(self) -> bool:
        return self.next_chunk == len(self._manifest.chunk_roots)

    def take(self, number: int, data: bytes) -> VerifiedChunk:
        """Raises DigestMismatch, EncodingInvalid or ProofInvalid; the verifier then stays where it was."""
        self._check_number(number)
        chunk = read_chunk(data, self._blind)
        self._check_place(number, len(chunk.leaf_hashes), chunk.first_key)
        _check_root(chunk, self._manifest.chunk_roots[number])
        self._advance(chunk.last_key, run_of(chunk))
        return chunk

    def admit(self, number: int, chunk: ExaminedChunk) -> None:
        """Takes the next chunk, examined elsewhere against its root. Raises ProofInvalid."""
        self._check_number(number)
        self._check_place(number, chunk.size, chunk.first_key)
        self._advance(chunk.last_key, chunk.run)

    def _check_number(self, number: int) -> None:
        if number != self.next_chunk or self.complete:
            raise ProofInvalid(f"expected chunk {self.next_chunk}, got {number}")

    def _check_place(self, number: int, size: int, first_key: bytes) -> None:
        last = number == len(self._manifest.chunk_roots) - 1
        expected = self._manifest.record_count - number * CHUNK_RECORDS if last else CHUNK_RECORDS
        if size != expected:
            raise ProofInvalid(f"chunk {number} holds {size} records instead of {expected}")
        if first_key <= self._after:
            raise ProofInvalid("records are not strictly ascending by blinded key")

    def _advance(self, last_key: bytes, run: buckets.Run) -> None:
        if self._state is not None:
            self._state.add(run)
            if self.next_chunk == len(self._manifest.chunk_roots) - 1:
                check_state(self._state.digests, self._manifest)
        self._after = last_key
        self.next_chunk += 1


def check_state(digests: buckets.Digests, manifest: edition_pb2.Manifest) -> None:
    """Raises ProofInvalid unless a state is the one that a manifest seals."""
    if digests.root() != manifest.state_root:
        raise ProofInvalid("the records do not come to the state root that is sealed", basis="state.root")


@dataclass(frozen=True)
class ExaminedChunk:
    """What a chunk comes to, once it is the one that was sealed and each of its records is valid."""

    size: int
    first_key: bytes
    last_key: bytes
    #: Grade number → records; those that are gone under 0.
    grades: Mapping[int, int]
    #: Names of the fields that any record has.
    fields: frozenset[str]
    run: buckets.Run


def examine_chunk(data: bytes, blinding_key: bytes, root: bytes) -> ExaminedChunk:
    """Everything about one chunk that does not need its neighbours. Raises as `verify_chunk` does."""
    return examine(verify_chunk(data, blinding_key, root))


def verify_chunk(data: bytes, blinding_key: bytes, root: bytes) -> VerifiedChunk:
    """1. its bytes and the order in it (read_chunk), 2. it is the one with this root, 3. the field rules.

    In this order, so that a changed byte is told as a changed byte and not as a bad record.

    Raises EncodingInvalid, ProofInvalid, DigestMismatch, Invalid.
    """
    # 1
    chunk = read_chunk(data, _kept_blinder(blinding_key))
    # 2
    _check_root(chunk, root)
    # 3
    checks.check_grade_records(chunk.records)
    return chunk


def examine(chunk: VerifiedChunk) -> ExaminedChunk:
    records = chunk.records
    return ExaminedChunk(
        records.size,
        chunk.first_key,
        chunk.last_key,
        dict(records.grades()),
        records.fields(),
        run_of(chunk),
    )


def run_of(chunk: VerifiedChunk) -> buckets.Run:
    return buckets.Run.of(chunk.blinded_keys, chunk.entries)


_kept_blinder = lru_cache(maxsize=16)(blinder)


def _check_root(chunk: VerifiedChunk, root: bytes) -> None:
    if chunk.root != root:
        raise DigestMismatch("this is not the chunk that the manifest seals here")


def chunk_bytes(salted: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Serialised Chunk of (salt, record bytes) in leaf order."""
    return records_pb2.Chunk(
        records=[records_pb2.SaltedRecord(salt=s, record=r) for s, r in salted]
    ).SerializeToString(deterministic=True)


def chunk_entry(salt: bytes, record: bytes) -> bytes:
    """What one record is inside a serialised Chunk, in a third of the time that protobuf takes.

    A Chunk is these, one behind the other: field 1 of Chunk, in it fields 1 (salt) and 2 (record).

    Args: salt — 32 bytes; record — not empty.
    """
    length = varint(len(record))
    return b"\n%b\n %b\x12%b%b" % (varint(35 + len(length) + len(record)), salt, length, record)


@lru_cache(maxsize=4096)
def varint(value: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    groups = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])
