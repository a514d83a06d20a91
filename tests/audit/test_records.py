"""Record leaves: what a chunk must be, and that leaves, tiles and log give no record away."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import os

import pytest

from audit import envelope, merkle, records
from audit.records import CHUNK_RECORDS, ChunkVerifier
from audit.tiles import TileStream
from tests.audit.story import Cast, Edition, Story, month, record_of, seal_edition
from xinyi.errors import DigestMismatch, EncodingInvalid, ExchangeError, ProofInvalid
from xinyi.v1 import edition_pb2, records_pb2


@pytest.fixture(scope="module")
def edition(cast: Cast) -> Edition:
    return seal_edition(cast.maker, 2500)


def verifier(edition: Edition, **options: object) -> ChunkVerifier:
    return ChunkVerifier(edition.message, edition.blinding_key, **options)  # type: ignore[arg-type]


def salted(chunk: bytes) -> list[tuple[bytes, bytes]]:
    return [(r.salt, r.record) for r in records_pb2.Chunk.FromString(chunk).records]


def last_key(edition: Edition, number: int) -> bytes:
    return records.read_chunk(edition.chunks[number], records.blinder(edition.blinding_key)).last_key


def test_a_leaf_is_what_its_description_says() -> None:
    """65 bytes: version, HMAC of the identifier, SHA-256 over domain, salt and record."""
    key, salt, record = os.urandom(32), os.urandom(32), b"record"
    blinded = records.blinder(key)(b"id")
    assert blinded == hmac.new(key, b"id", hashlib.sha256).digest()
    commitment = hashlib.sha256(b"xinyi-record-v1\0" + salt + record).digest()
    assert records.commitment(salt, record) == commitment
    assert records.leaf(blinded, commitment) == b"\1" + blinded + commitment


def test_an_edition_is_rebuilt_chunk_by_chunk(edition: Edition) -> None:
    """Every chunk verifies by itself; together they lead to the sealed root."""
    taking, leaves = verifier(edition), []
    for number, data in enumerate(edition.chunks):
        assert not taking.complete
        leaves += taking.take(number, data).leaf_hashes
    assert taking.complete
    assert merkle.root(leaves) == edition.message.root
    with pytest.raises(ProofInvalid):
        taking.take(3, edition.chunks[2])


def test_a_transfer_resumes_at_any_chunk(edition: Edition) -> None:
    """With the key before the cut, order holds across it; with another one it is refused."""
    for start in (1, 2):
        taking = verifier(edition, start=start, after=last_key(edition, start - 1))
        for number in range(start, 3):
            taking.take(number, edition.chunks[number])
        assert taking.complete
        with pytest.raises(ProofInvalid, match="ascending"):
            verifier(edition, start=start, after=last_key(edition, start)).take(start, edition.chunks[start])


def test_changed_chunks_are_refused_by_name(edition: Edition, cast: Cast) -> None:
    """And the verifier stays where it was: the right chunk is taken after each wrong one."""
    taking, rows = verifier(edition), salted(edition.chunks[0])
    other = seal_edition(cast.maker, 2500)
    upgraded = records_pb2.GradeRecord.FromString(rows[5][1])
    upgraded.grade = records_pb2.GRADE_D
    changed = (rows[5][0], upgraded.SerializeToString(deterministic=True))
    chunk = records.chunk_bytes
    for data, refusal in (
        (edition.chunks[1], DigestMismatch),
        (other.chunks[0], ProofInvalid),  # in the order of another blinding key
        (chunk([*rows[:5], changed, *rows[6:]]), DigestMismatch),
        (chunk([(bytes(32), rows[0][1]), *rows[1:]]), DigestMismatch),
        (chunk(rows[:-1]), ProofInvalid),
        (chunk([rows[1], rows[0], *rows[2:]]), ProofInvalid),
        (chunk([rows[0], rows[0], *rows[2:]]), ProofInvalid),
        (chunk([(rows[0][0], rows[0][1]), (os.urandom(32), rows[0][1]), *rows[2:]]), ProofInvalid),
        (chunk([(b"short", rows[0][1]), *rows[1:]]), EncodingInvalid),
        (chunk([(rows[0][0], rows[0][1] + b"\x78\x01"), *rows[1:]]), EncodingInvalid),
        (chunk([*rows, *rows]), EncodingInvalid),
        (edition.chunks[0] + b"\x10\x01", EncodingInvalid),
        (edition.chunks[0][:-1], EncodingInvalid),
        (bytes(records.MAX_CHUNK_BYTES + 1), EncodingInvalid),
        (b"", EncodingInvalid),
    ):
        with pytest.raises(refusal):
            taking.take(0, data)
        assert taking.next_chunk == 0
    with pytest.raises(ProofInvalid, match="expected chunk 0"):
        taking.take(1, edition.chunks[1])
    taking.take(0, edition.chunks[0])


def test_any_changed_byte_of_a_chunk_is_refused(cast: Cast) -> None:
    """Every byte of a small one."""
    small = seal_edition(cast.maker, 3)
    for place in range(len(small.chunks[0])):
        data = bytearray(small.chunks[0])
        data[place] ^= 1
        with pytest.raises(ExchangeError):
            verifier(small).take(0, bytes(data))


def test_a_manifest_whose_tree_does_not_fit_is_refused(edition: Edition) -> None:
    """Count, chunk roots and root follow from each other; the blinding key from its commitment."""
    for change in (
        {"record_count": 1024},
        {"record_count": 3073},
        {"root": bytes(32)},
    ):
        manifest = edition.message
        for name, value in change.items():
            setattr(manifest, name, value)
        with pytest.raises(ProofInvalid):
            ChunkVerifier(manifest, edition.blinding_key)
    for roots in (edition.message.chunk_roots[:2], [*edition.message.chunk_roots, bytes(32)], [b"x"] * 3):
        manifest = edition.message
        del manifest.chunk_roots[:]
        manifest.chunk_roots.extend(roots)
        with pytest.raises(ProofInvalid):
            ChunkVerifier(manifest, edition.blinding_key)
    for key in (bytes(32), edition.blinding_key[:31], b""):
        with pytest.raises(DigestMismatch):
            ChunkVerifier(edition.message, key)


def test_the_count_of_the_last_chunk_is_sealed_as_well(cast: Cast) -> None:
    """A manifest that claims another count for the same chunks is refused at the last one."""
    made = seal_edition(cast.maker, CHUNK_RECORDS + 5)
    manifest = made.message
    manifest.record_count -= 1
    taking = ChunkVerifier(manifest, made.blinding_key)
    taking.take(0, made.chunks[0])
    with pytest.raises(ProofInvalid, match="instead of"):
        taking.take(1, made.chunks[1])


# ── what leaves, tiles and log give away ───────────────────────────────────────────────────────────────────

GRADES = [g for g in records_pb2.Grade.values() if g]
_sha256 = hashlib.sha256


def all_hashes(story: Story) -> set[bytes]:
    """Every 32 bytes that somebody without openings and chunks can see: record leaves and their parts,
    chunk roots, manifest, log leaves, tiles, the checkpoint's root."""
    edition = story.editions[0]
    shown = [edition.manifest.payload, story.head().root]
    tiles = TileStream()
    for leaf, _, _ in story.entries:
        shown += [leaf, *(data for _, data in tiles.add(leaf))]
    shown += [data for _, data in tiles.finish()]
    blind = records.blinder(edition.blinding_key)
    for chunk in edition.chunks:
        for salt, record in salted(chunk):
            identifier = records_pb2.GradeRecord.FromString(record).taxpayer_id
            key, commitment = blind(identifier.encode()), records.commitment(salt, record)
            leaf = records.leaf(key, commitment)
            shown += [leaf, key, commitment, merkle.leaf_hash(leaf)]
    return {data[i : i + 32] for data in shown for i in range(len(data) - 31)}


def guesses(identifier: str, name: str) -> list[bytes]:
    """What an attacker who knows every taxpayer, and the format, would hash for one of them."""
    found = []
    for grade in GRADES:
        record = record_of(0)
        record.taxpayer_id, record.grade = identifier, grade
        del record.names[:]
        record.names.append(name)
        wire = record.SerializeToString(deterministic=True)
        found += [wire, identifier.encode() + bytes([grade]), f"{identifier}{grade}".encode()]
        found += [b"xinyi-record-v1\0" + wire, b"xinyi-record-v1\0" + bytes(32) + wire]
    return [*found, identifier.encode(), b"xinyi-record-v1\0" + identifier.encode()]


def test_trying_all_identifiers_and_grades_finds_no_record(cast: Cast) -> None:
    """The list of taxpayers is public and grades are few: without salts, leaves would be plain disclosure."""
    count = 2500
    story = month(cast, count=count)
    shown = all_hashes(story)
    tried = 0
    for number in range(count):
        guessed = guesses(record_of(number).taxpayer_id, record_of(number).names[0])
        for preimage in guessed:
            commitment = _sha256(preimage).digest()
            keyless = hmac.new(bytes(32), preimage, _sha256).digest()
            leaf = _sha256(b"\0" + preimage).digest()
            assert shown.isdisjoint((commitment, keyless, leaf, _sha256(commitment).digest()))
            tried += 1
    assert tried == count * (len(GRADES) * 5 + 2)


def test_the_attack_would_find_unsalted_records(cast: Cast) -> None:
    """The same search succeeds where the salt is left out: the test above can fail."""
    wire = record_of(7).SerializeToString(deterministic=True)
    unsalted = {_sha256(b"xinyi-record-v1\0" + wire).digest()}
    guessed = (guesses(record_of(n).taxpayer_id, record_of(n).names[0]) for n in range(20))
    hits = [g for g in itertools.chain.from_iterable(guessed) if _sha256(g).digest() in unsalted]
    assert hits == [b"xinyi-record-v1\0" + wire]


def test_a_recipients_blinding_key_opens_who_but_not_what(cast: Cast) -> None:
    """Who receives the product whole can find a taxpayer's leaf; its grade stays behind the salt."""
    story = month(cast, count=50)
    shown, blind = all_hashes(story), records.blinder(story.editions[0].blinding_key)
    for number in range(50):
        record = record_of(number)
        assert blind(record.taxpayer_id.encode()) in shown
        for guess in guesses(record.taxpayer_id, record.names[0]):
            assert _sha256(guess).digest() not in shown


def test_the_same_record_leaves_no_trace_between_two_editions(cast: Cast) -> None:
    """Re-blinded and re-salted, two annual editions share no leaf."""
    first, second = seal_edition(cast.maker, 100), seal_edition(cast.maker, 100)

    def leaves(edition: Edition) -> set[bytes]:
        read = records.read_chunk(edition.chunks[0], records.blinder(edition.blinding_key))
        return {*read.leaf_hashes, *read.blinded_keys}

    assert leaves(first).isdisjoint(leaves(second))
    assert envelope.digest(first.manifest) != envelope.digest(second.manifest)
    assert isinstance(first.message, edition_pb2.Manifest)


@pytest.mark.parametrize("length", [1, 91, 92, 93, 94, 127, 128, 300, 16_383, 16_384])
def test_a_chunks_wire_form_is_protobufs(length: int) -> None:
    """Entries put behind each other by hand are what protobuf writes, at every length of a length."""
    salted_records = [(os.urandom(32), os.urandom(length)) for _ in range(3)]
    entries = b"".join(records.chunk_entry(salt, record) for salt, record in salted_records)
    assert entries == records.chunk_bytes(salted_records)
