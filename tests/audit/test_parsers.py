"""Whatever bytes come, a parser of the proof kit answers with a value or with an error of ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audit import buckets, checkpoint, envelope, export, pins, records
from audit.checkpoint import TlogProof, VerifierKey
from audit.entry_proof import EntryProof
from audit.keys import Keyring, check_public_key, party_of
from audit.record_proof import RecordProof
from audit.tiles import split_bundle
from audit.verification import exported
from audit.verification.policy import Policy
from tests.audit.story import ORIGIN, Cast
from xinyi.errors import ExchangeError, ProofInvalid
from xinyi.v1 import (
    edition_pb2,
    envelope_pb2,
    exchange_pb2,
    log_pb2,
    notice_pb2,
    objection_pb2,
    party_pb2,
    records_pb2,
)

KINDS: tuple[type[Message], ...] = (
    edition_pb2.Manifest, edition_pb2.RowAnswer, exchange_pb2.Delivery, exchange_pb2.SubjectQuery,
    exchange_pb2.WatchRequest, log_pb2.LogEntry, notice_pb2.ChangeNotice, objection_pb2.Objection,
    objection_pb2.ObjectionDecision, party_pb2.KeyRegistration, records_pb2.GradeRecord,
)  # fmt: skip
LINES = [
    b"c2sp.org/tlog-proof@v1", b"index 7", ORIGIN.encode(), b"", b"5", "— ".encode() + ORIGIN.encode() + b" ",
    b"AAAA", b"A" * 43 + b"=", b"\x00", "—".encode(),
]  # fmt: skip
text = st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(LINES), max_size=9).map(b"\n".join))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=6),
    max_leaves=12,
)
named_values = st.dictionaries(
    st.sampled_from(
        ["index", "salt", "opening", "erased", "payload", "payloadType", "signatures", "digest", "keyid", "sig",
         "log_key", "gateway", "bureaus", "keys", "limits", "algorithm", "purpose", "spki", "party", "holder",
         "fingerprint", "format", "origin", "size", "state_size", "with_records"]
    ),
    json_values | st.sampled_from(["", "00", "AAAA", "ed25519", "xinyi-export/1", "a/b"]),
)  # fmt: skip
json_lines = st.one_of(
    text, named_values.map(lambda v: export.canonical_json(v).encode("utf-8", "surrogatepass"))
)


def ours(call: Callable[[], Any]) -> None:
    """Runs; an error that is not ours fails the test."""
    try:
        call()
    except ExchangeError as error:
        if not error.explanation:
            raise AssertionError("an error that explains nothing") from error


@given(text)
@settings(max_examples=400, deadline=None)
def test_notes_keys_and_receipts(data: bytes) -> None:
    """Checkpoints, verifier keys, `.tlog-proof` texts, entry bundles."""
    key = VerifierKey(ORIGIN, b"\x09" + bytes(31))
    ours(lambda: checkpoint.verify(data, key))
    ours(lambda: TlogProof.decode(data).verify(b"leaf", key))
    ours(lambda: VerifierKey.parse(data.decode("utf-8", "replace")))
    ours(lambda: split_bundle(data))
    ours(lambda: party_of(data.decode("utf-8", "replace")))


@given(st.binary(max_size=400), st.binary(max_size=200), st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_messages_envelopes_and_chunks(data: bytes, more: bytes, word: str) -> None:
    """The strict wire check, seals, chunks and public keys."""
    for kind in KINDS:
        ours(lambda kind=kind: envelope.parse_strict(data, kind))  # type: ignore[misc]
    ours(lambda: records.read_chunk(data, records.blinder(bytes(32))))
    ours(lambda: check_public_key(party_pb2.PublicKey(algorithm=1 + len(more) % 2, spki=data)))
    sealed = envelope_pb2.Envelope(payload=data, payload_type=word)
    sealed.signatures.add(keyid=word, sig=more)
    ours(lambda: envelope.digest(sealed))
    ours(lambda: envelope.open_sealed(sealed, edition_pb2.Manifest, Keyring()))


@given(st.binary(max_size=200), st.integers(0, buckets.COUNT - 1), st.lists(st.binary(max_size=33), max_size=16))
@settings(max_examples=300, deadline=None)
def test_buckets_of_any_bytes(entries: bytes, number: int, path: list[bytes]) -> None:
    """Entries and paths as they come; nothing leads to a root that nobody knows."""
    with pytest.raises(ProofInvalid):
        buckets.check_bucket(entries, number, path, bytes(32))


@given(st.binary(max_size=100))
@settings(max_examples=300, deadline=None)
def test_signatures_of_any_bytes(cast: Cast, signature: bytes) -> None:
    """A known key with whatever beside it."""
    sealed = envelope.seal(edition_pb2.Stop(reason="x"), cast.maker)
    sealed.signatures[0].sig = signature
    ours(lambda: envelope.open_sealed(sealed, edition_pb2.Stop, Keyring([cast.maker.key])))


@given(json_lines)
@settings(max_examples=600, deadline=None)
def test_lines_of_an_export(line: bytes) -> None:
    """Openings, documents, rows."""
    for read in (exported.read_opening, exported.read_document, exported.read_row):
        ours(lambda read=read: read(line))  # type: ignore[misc]
    name = line.decode("utf-8", "replace")
    exported.belongs(name, 300, with_records=True)
    exported.is_export_path(name)
    exported.manifest_of(name)


@given(named_values)
@example({"log_key": "", "gateway": "", "bureaus": [], "keys": [], "limits": None})
@settings(max_examples=300, deadline=None)
def test_policies_and_key_files(value: dict[str, Any]) -> None:
    """As read from TOML and JSON."""
    ours(lambda: Policy.from_json(value))
    ours(lambda: pins.from_json(value))


@given(st.lists(json_lines, min_size=5, max_size=5))
@settings(max_examples=200, deadline=None)
def test_folders_and_descriptions(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    """Record proofs, entry proofs, export.json."""
    folder: Path = tmp_path_factory.mktemp("folder")
    names = ["proof.json", "manifest.dsse", "approval.dsse", "record.bin", "export.json"]
    names += ["salt.bin", "opening.bin", "leaf.bin", "entry.tlog-proof"]
    for name, data in zip(names, contents * 2, strict=False):
        (folder / name).write_bytes(data)
    ours(lambda: RecordProof.read(folder))
    ours(lambda: EntryProof.read(folder))
    ours(lambda: exported.Export(folder, line_bytes=100).description())
