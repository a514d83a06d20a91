"""Leaves of a batch of lending outcomes: salted, strictly ascending by outcome_id, in chunks of 1,024.

Leaf (33 bytes) = 0x01 ‖ commitment
commitment      = SHA-256("xinyi-outcome-v1" NUL ‖ salt (32) ‖ exact bytes of a LendingOutcome)

A row that was refused is withheld where the chunk is kept: its entry has the commitment in the place of the salt, and
no record. The chunk still comes to its root, and nothing of the row can be found from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from audit import merkle
from audit.envelope import parse_strict
from audit.records import CHUNK_RECORDS, MAX_CHUNK_BYTES, SALT_BYTES
from xinyi.errors import DigestMismatch, EncodingInvalid, ProofInvalid
from xinyi.v1 import lending_pb2, records_pb2

_DOMAIN = b"xinyi-outcome-v1\0"
_sha256 = hashlib.sha256


def commitment(salt: bytes, record: bytes) -> bytes:
    """Args: record — exact bytes of a LendingOutcome."""
    return _sha256(_DOMAIN + salt + record).digest()


def leaf_hashes(commitments: Iterable[bytes]) -> list[bytes]:
    """RFC 6962 hash of the leaf of each."""
    return [_sha256(b"\0\1" + sealed).digest() for sealed in commitments]


@dataclass(frozen=True)
class OutcomeRows:
    """One chunk whose bytes were read strictly."""

    salts: list[bytes]
    #: Exact bytes, in the order of `outcomes`.
    records: list[bytes]
    outcomes: Sequence[lending_pb2.LendingOutcome]
    commitments: list[bytes]
    root: bytes


def read_chunk(data: bytes) -> OutcomeRows:
    """Reads one chunk as a bank sends it: strict wire check, order, leaves, subtree root.

    Args: data — serialised OutcomeChunk, at most 3 MiB, 1 to 1,024 outcomes.

    Raises:
        EncodingInvalid: not the one expected encoding, a salt not of 32 bytes, no or too many records.
        ProofInvalid: outcome ids not strictly ascending.
    """
    if len(data) > MAX_CHUNK_BYTES:
        raise EncodingInvalid(f"chunk of {len(data)} bytes; at most {MAX_CHUNK_BYTES}")
    parsed = parse_strict(data, lending_pb2.OutcomeChunk).records
    if not 1 <= len(parsed) <= CHUNK_RECORDS:
        raise EncodingInvalid(f"chunk of {len(parsed)} outcomes; 1 to {CHUNK_RECORDS} are allowed")
    # The same bytes, of which every record is exactly what was hashed.
    salted = records_pb2.Chunk.FromString(data).records
    salts, records = [s.salt for s in salted], [s.record for s in salted]
    if set(map(len, salts)) != {SALT_BYTES}:
        raise EncodingInvalid("a salt has 32 bytes")
    outcomes = [entry.record for entry in parsed]
    ids = [outcome.outcome_id for outcome in outcomes]
    if not all(before < after for before, after in pairwise(ids)):
        raise ProofInvalid("outcomes are not strictly ascending by outcome_id")
    commitments = list(map(commitment, salts, records))
    return OutcomeRows(salts, records, outcomes, commitments, merkle.root(leaf_hashes(commitments)))


def verify_chunk(data: bytes, root: bytes) -> OutcomeRows:
    """The chunk that a batch seals with this root. Raises DigestMismatch, and as `read_chunk` does."""
    chunk = read_chunk(data)
    if chunk.root != root:
        raise DigestMismatch("this is not the chunk that the batch seals here")
    return chunk


def check_batch_tree(batch: lending_pb2.OutcomeBatch) -> None:
    """Raises ProofInvalid unless count, chunk roots and root of a batch agree with each other."""
    expected = -(-batch.count // CHUNK_RECORDS)
    if len(batch.chunk_roots) != expected or any(len(root) != 32 for root in batch.chunk_roots):
        raise ProofInvalid(f"{batch.count} outcomes need {expected} chunk roots of 32 bytes")
    if merkle.root(batch.chunk_roots) != batch.root:
        raise ProofInvalid("the batch's root does not follow from its chunk roots")


def chunk_size(batch: lending_pb2.OutcomeBatch, number: int) -> int:
    """Outcomes in a chunk of a batch."""
    return min(CHUNK_RECORDS, batch.count - number * CHUNK_RECORDS)


# What is kept


def withheld(sealed: bytes) -> records_pb2.SaltedRecord:
    """What stands for a row whose content is not kept. Args: sealed — its commitment."""
    return records_pb2.SaltedRecord(salt=sealed)


def without(data: bytes, rows: OutcomeRows, places: Collection[int]) -> bytes:
    """The chunk without the content of the rows at these places."""
    if not places:
        return data
    chunk = records_pb2.Chunk.FromString(data)
    for place in places:
        chunk.records[place].CopyFrom(withheld(rows.commitments[place]))
    return chunk.SerializeToString(deterministic=True)


def kept_commitments(salted: Iterable[records_pb2.SaltedRecord]) -> list[bytes]:
    """Of the rows of a chunk as it is kept, withheld ones among them."""
    return [commitment(entry.salt, entry.record) if entry.record else entry.salt for entry in salted]


def check_kept(
    batch: lending_pb2.OutcomeBatch, number: int, salted: Sequence[records_pb2.SaltedRecord]
) -> list[bytes]:
    """Leaf hashes of the rows of one chunk, withheld ones among them, which are those that a batch seals there.

    Raises DigestMismatch.
    """
    hashes = leaf_hashes(kept_commitments(salted))
    known = number < len(batch.chunk_roots) and len(hashes) == chunk_size(batch, number)
    if not known or merkle.root(hashes) != batch.chunk_roots[number]:
        raise DigestMismatch("these are not the rows that the batch seals")
    return hashes


def verify_kept(
    batch: lending_pb2.OutcomeBatch, number: int, data: bytes
) -> list[lending_pb2.LendingOutcome | None]:
    """The rows of a chunk as it is kept, None where one is withheld, once it is the one that the batch seals here.

    Raises EncodingInvalid, DigestMismatch.
    """
    if len(data) > MAX_CHUNK_BYTES:
        raise EncodingInvalid(f"chunk of {len(data)} bytes; at most {MAX_CHUNK_BYTES}")
    salted = parse_strict(data, records_pb2.Chunk).records
    if {len(entry.salt) for entry in salted} != {SALT_BYTES}:
        raise EncodingInvalid("a salt, or a commitment in its place, has 32 bytes")
    check_kept(batch, number, salted)
    return [
        parse_strict(entry.record, lending_pb2.LendingOutcome) if entry.record else None for entry in salted
    ]


# One row


def prove(batch: lending_pb2.OutcomeBatch, chunk: bytes, place: int) -> tuple[records_pb2.SaltedRecord, list[bytes]]:
    """The row at a place of the batch, and its inclusion path.

    Args: chunk — as it is kept, the one that holds the place.

    Raises DigestMismatch where the chunk is not the one that the batch seals there.
    """
    number, at = divmod(place, CHUNK_RECORDS)
    salted = records_pb2.Chunk.FromString(chunk).records
    hashes = check_kept(batch, number, salted)
    # A chunk's path goes on over the chunk roots: nodes of the tree.
    return salted[at], [*merkle.path_over(hashes, at), *merkle.path_over(batch.chunk_roots, number)]


def check_outcome(
    batch: lending_pb2.OutcomeBatch, salted: records_pb2.SaltedRecord, index: int, path: Sequence[bytes]
) -> lending_pb2.LendingOutcome:
    """The outcome that stands at this place of a batch, whose seal holds.

    Raises ProofInvalid, EncodingInvalid.
    """
    check_batch_tree(batch)
    if len(salted.salt) != SALT_BYTES or not salted.record:
        raise EncodingInvalid("an outcome is proven with its salt of 32 bytes and its record")
    sealed = leaf_hashes([commitment(salted.salt, salted.record)])[0]
    merkle.check_inclusion(sealed, index, batch.count, path, batch.root)
    return parse_strict(salted.record, lending_pb2.LendingOutcome)
