"""The evidence vectors: fresh, and true for code that is not ours.

`second.py` was written from docs/evidence-format.md and shares no line with the proof kit; beside it stand
securesystemslib, Go's x/mod and proofbundle where they know the format.
"""

from __future__ import annotations

import ast
import base64
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from securesystemslib.dsse import Envelope as ForeignEnvelope

from audit import envelope
from proto.vectors.evidence import make
from proto.vectors.evidence.city import CITY
from proto.vectors.evidence.lending import Quarter
from proto.vectors.evidence.year import CHAIN, Told
from tests.foreign import second
from tests.foreign.second import DIGEST, PROOF, SIGNATURE, False_, Key, Policy
from tests.foreign.test_foreign import Go, go
from xinyi.errors import EncodingInvalid
from xinyi.v1 import (
    edition_pb2,
    exchange_pb2,
    lending_pb2,
    log_pb2,
    notice_pb2,
    objection_pb2,
    party_pb2,
    records_pb2,
)

__all__ = ["go"]

VECTORS: dict[str, Any] = json.loads(make.FILE.read_text(encoding="utf-8"))
LOG_KEY = VECTORS["verifier_keys"][0]["text"]
POLICY = Policy.of(VECTORS["export"]["policy"])
ALGORITHMS = {
    "KEY_ALGORITHM_ED25519": second.ED25519,
    "KEY_ALGORITHM_ECDSA_P256_SHA256": second.P256,
    "KEY_ALGORITHM_SM2_SM3": second.SM2,
}
Case = dict[str, Any]


def cases(name: str) -> Any:
    """Parametrises a test by the cases of one part of the vectors."""
    part = VECTORS[name]["cases"] if "cases" in VECTORS[name] else VECTORS[name]
    return pytest.mark.parametrize("case", part, ids=lambda c: c.get("case", ""))


def error_of(run: Callable[[], object]) -> str:
    try:
        run()
    except False_ as error:
        return error.code
    return ""


def raw(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def test_vectors_are_fresh() -> None:
    """Made again from the seeds they are the same, byte for byte."""
    assert make.FILE.read_text(encoding="utf-8") == make.text()


def test_the_second_verifier_is_not_ours() -> None:
    """It imports the standard library alone."""
    tree = ast.parse(Path(second.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_test_keys() -> None:
    """Key ids are SHA-256 of the public key as it is registered."""
    for key in VECTORS["keys"]:
        assert Key(0, bytes.fromhex(key["spki"])).keyid == key["keyid"]
        second.check_public_key(ALGORITHMS[key["algorithm"]], bytes.fromhex(key["spki"]))


@cases("public_keys")
def test_public_key(case: Case) -> None:
    spki = bytes.fromhex(case["spki"])
    assert error_of(lambda: second.check_public_key(ALGORITHMS[case["algorithm"]], spki)) == case["error"]


def test_payload_types() -> None:
    for message, kind in VECTORS["payload_types"].items():
        assert second.payload_type(message.removeprefix("xinyi.v1.")) == kind


@cases("pre_encodings")
def test_pre_encoding(case: Case) -> None:
    """Also by securesystemslib, the DSSE code of in-toto and TUF."""
    kind, payload = case["payload_type"], bytes.fromhex(case["payload"])
    assert error_of(lambda: second.pre_encoding(kind, payload)) == case["error"]
    if not case["error"]:
        signed = second.pre_encoding(kind, payload)
        assert signed == ForeignEnvelope(payload, kind, {}).pae() == bytes.fromhex(case["pre_encoding"])
        assert second.sha256(signed).hex() == case["digest"]


@cases("envelopes")
def test_envelope(case: Case) -> None:
    keys = {k["keyid"]: Key(ALGORITHMS[k["algorithm"]], bytes.fromhex(k["spki"])) for k in VECTORS["keys"]}
    trusted = {keyid: keys.get(keyid, Key(second.SM2, b"")) for keyid in case["trusted"]}
    document = second.Document.of(bytes.fromhex(case["envelope"]))
    assert document.digest.hex() == case["digest"]
    assert error_of(lambda: document.open("Stop", trusted)) == case["error"]


@cases("strict")
def test_strict_encoding(case: Case) -> None:
    message = case["message"].removeprefix("xinyi.v1.")
    assert error_of(lambda: second.read(message, bytes.fromhex(case["bytes"]))) == case["error"]


def manifest() -> dict[str, Any]:
    sealed = second.Document.of(bytes.fromhex(VECTORS["edition"]["manifest"]))
    assert sealed.digest.hex() == VECTORS["edition"]["digest"]
    return second.read("Manifest", sealed.payload)


def test_edition() -> None:
    """Digest, commitment, delivery id, root of chunk roots."""
    edition = VECTORS["edition"]
    key = bytes.fromhex(edition["blinding_key"])
    commitment = second.sha256(b"xinyi-blinding-key-v1\0" + key)
    assert commitment.hex() == edition["blinding_key_commitment"]
    assert manifest()["blinding_key_commitment"] == commitment
    assert second.root_of(manifest()["chunk_roots"]) == manifest()["root"]
    named = second.sha256(bytes.fromhex(edition["digest"]) + b"\0" + edition["recipient"].encode())
    assert named.hex() == edition["delivery_id"]


def test_record_leaves() -> None:
    key, hashes = bytes.fromhex(VECTORS["edition"]["blinding_key"]), []
    for row in VECTORS["record_leaves"]:
        salt, record = bytes.fromhex(row["salt"]), bytes.fromhex(row["record"])
        leaf = second.record_leaf(key, row["identifier"], salt, record)
        assert leaf.hex() == row["leaf"] == "01" + row["blinded_key"] + row["commitment"]
        assert second.leaf_hash(leaf).hex() == row["leaf_hash"]
        hashes.append(second.leaf_hash(leaf))
    assert second.root_of(hashes) == manifest()["root"]


@cases("chunks")
def test_chunk(case: Case) -> None:
    data, key = bytes.fromhex(case["chunk"]), bytes.fromhex(case["blinding_key"])
    assert error_of(lambda: second.check_chunk(data, 0, manifest(), key, b"")) == case["error"]


def test_chunk_trees() -> None:
    for tree in VECTORS["chunk_trees"]:
        hashes = [second.leaf_hash(b"leaf %d" % n) for n in range(tree["records"])]
        roots = [second.root_of(hashes[i : i + 1024]) for i in range(0, len(hashes), 1024)]
        assert [r.hex() for r in roots] == tree["chunk_roots"]
        assert second.root_of(hashes).hex() == second.root_of(roots).hex() == tree["root"]


def test_roots() -> None:
    for tree in VECTORS["roots"]:
        hashes = [second.leaf_hash(b"leaf %d" % n) for n in range(tree["size"])]
        assert second.root_of(hashes).hex() == tree["root"]


@cases("inclusion")
def test_inclusion(case: Case) -> None:
    def check() -> None:
        found = second.included(
            bytes.fromhex(case["leaf_hash"]), case["index"], case["size"], raw(case["proof"])
        )
        second.need(found.hex() == case["root"], PROOF)

    assert error_of(check) == case["error"]


@cases("consistency")
def test_consistency(case: Case) -> None:
    roots = raw([case["old_root"], case["new_root"]])
    found = error_of(lambda: second.check_consistency(case["old"], case["new"], *roots, raw(case["proof"])))
    assert found == case["error"]


def test_tiles() -> None:
    for shown in VECTORS["tile_paths"]:
        assert second.tile_path(shown["level"], shown["index"], shown["width"]) == shown["path"]
    for tree in VECTORS["tiles"]:
        leaves = [b"\1" + second.sha256(b"leaf %d" % n) for n in range(tree["size"])]
        files = second.tile_files(leaves)
        assert len(files) == tree["files_in_all"]
        assert {name: second.sha256(files[name]).hex() for name in tree["files"]} == tree["files"]
        assert second.root_of([second.leaf_hash(leaf) for leaf in leaves]).hex() == tree["root"]


def test_canonical_rows() -> None:
    for case in VECTORS["canonical_rows"]:
        row = {
            name: bytes.fromhex(value["bytes"]) if isinstance(value, dict) else value
            for name, value in case["columns"].items()
        }
        assert second.canonical(row) == case["text"]
        assert second.sha256(case["text"].encode()).hex() == case["sha256"]


def test_log_leaves_lead_to_the_head() -> None:
    """Every opening is in the one encoding and gives its leaf; all leaves give the root that is signed."""
    hashes = []
    for case in VECTORS["log_leaves"]:
        opening = bytes.fromhex(case["opening"])
        leaf = second.log_leaf(bytes.fromhex(case["salt"]), opening)
        assert leaf.hex() == case["leaf"]
        assert second.leaf_hash(leaf).hex() == case["leaf_hash"]
        assert second.read("LogEntry", opening)["kind"] == case["kind"]
        hashes.append(second.leaf_hash(leaf))
    head = second.check_note(VECTORS["checkpoints"][0]["note"].encode(), LOG_KEY)
    assert head == (len(hashes), second.root_of(hashes))


@cases("openings")
def test_opening(case: Case) -> None:
    salt, opening = bytes.fromhex(case["salt"]), bytes.fromhex(case["opening"])
    holds = len(salt) == 32 and second.log_leaf(salt, opening).hex() == case["leaf"]
    assert ("" if holds else DIGEST) == case["error"]


@cases("verifier_keys")
def test_verifier_key(case: Case) -> None:
    assert error_of(lambda: second.verifier_key(case["text"])) == case["error"]


@cases("checkpoints")
def test_checkpoint(case: Case, go: Go) -> None:
    """Go says the same; of the form of the three lines it is less strict."""
    assert error_of(lambda: second.check_note(case["note"].encode(), LOG_KEY)) == case["error"]
    if case["error"] in ("", SIGNATURE):
        assert go({"Key": LOG_KEY, "Checkpoint": case["note"]}) == (case["error"] == "")


@cases("tlog_proofs")
def test_tlog_proof(case: Case, go: Go, tmp_path: Path) -> None:
    """Go and proofbundle say the same; of the form of the text they are less strict."""
    leaf, text = bytes.fromhex(case["leaf"]), case["proof"]
    assert error_of(lambda: second.check_tlog_proof(text.encode(), leaf, LOG_KEY)) == case["error"]
    if case["error"] in ("", SIGNATURE, PROOF):
        head, note = text.split("\n\n", 1)
        _, index, *proof = head.split("\n")
        value = {
            "Key": LOG_KEY,
            "Checkpoint": note,
            "Leaf": leaf,
            "Index": int(index.removeprefix("index ")),
            "Inclusion": [base64.b64decode(h) for h in proof],
        }
        assert go(value) == (case["error"] == "")
        assert proofbundle(tmp_path, text.encode(), leaf) == (case["error"] == "")


def proofbundle(folder: Path, proof: bytes, leaf: bytes) -> bool:
    (folder / "proof").write_bytes(proof)
    (folder / "leaf").write_bytes(leaf)
    program = Path(sys.executable).with_name("proofbundle")
    origin = ("--log-vkey", LOG_KEY, "--expected-origin", LOG_KEY.split("+")[0])
    command = [program, "verify-proof", "proof", "--payload-file", "leaf", *origin, "--json"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def changed(part: str, case: Case) -> dict[str, bytes]:
    files = VECTORS[part]["files"] | case["changes"]
    return {name: base64.b64decode(data) for name, data in files.items() if data is not None}


@cases("record_proof")
def test_record_proof(case: Case) -> None:
    files = changed("record_proof", case)
    assert error_of(lambda: second.check_record_proof(files, POLICY)) == case["error"]


@cases("entry_proof")
def test_entry_proof(case: Case) -> None:
    files = changed("entry_proof", case)
    assert error_of(lambda: second.check_entry_proof(files, LOG_KEY)) == case["error"]


@cases("export")
def test_export(case: Case) -> None:
    """Every check that the second verifier makes has the same verdict."""
    expected = {name: verdict for name, verdict in case["checks"].items() if name in second.EXPORT_CHECKS}
    assert second.check_export(changed("export", case), POLICY) == expected


# ── states ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_bucket_numbers_and_digests() -> None:
    for case in VECTORS["buckets"]:
        if "bucket" in case:
            assert second.bucket_of(bytes.fromhex(case["blinded_key"])) == case["bucket"]
        else:
            assert second.bucket_digest(bytes.fromhex(case["entries"])).hex() == case["digest"]


def test_state_roots() -> None:
    for case in VECTORS["state_roots"]:
        entries = raw(case["entries"])
        assert second.state_root({entry[:32]: entry[32:] for entry in entries}).hex() == case["root"]


@cases("bucket_paths")
def test_bucket(case: Case) -> None:
    shown = bytes.fromhex(case["entries"]), case["bucket"], raw(case["path"]), bytes.fromhex(case["root"])
    assert error_of(lambda: second.check_bucket(*shown)) == case["error"]


@cases("chain")
def test_edition_over_time(case: Case) -> None:
    """A FULL, a DELTA and a CORRECTION, each applied to the state before it."""
    sealed = second.Document.of(bytes.fromhex(case["manifest"]))
    assert sealed.digest.hex() == case["digest"]
    told, key = second.read("Manifest", sealed.payload), bytes.fromhex(VECTORS["chain"]["blinding_key"])
    before = {entry[:32]: entry[32:] for entry in raw(case["before"])}
    chunk = bytes.fromhex(case["chunk"])
    second.check_chunk(chunk, 0, told, key, b"")
    assert error_of(lambda: second.apply(told, [chunk], key, before)) == case["error"]


def test_a_full_and_the_changes_come_to_one_root() -> None:
    """The states that the FULL and what follows seal, from nothing on."""
    key, state = bytes.fromhex(VECTORS["chain"]["blinding_key"]), {}
    for case in VECTORS["chain"]["cases"][:3]:
        told = second.read("Manifest", second.Document.of(bytes.fromhex(case["manifest"])).payload)
        state = second.apply(told, [bytes.fromhex(case["chunk"])], key, state)
        assert second.state_root(state) == told["state_root"]


@cases("gone_proof")
def test_gone_proof(case: Case) -> None:
    assert error_of(lambda: second.check_record_proof(changed("gone_proof", case), POLICY)) == case["error"]


@pytest.mark.parametrize(
    ("files", "case"),
    [(part["files"], case) for part in VECTORS["state_proofs"] for case in part["cases"]],
    ids=lambda shown: shown.get("case", ""),
)
def test_state_proof(files: dict[str, str], case: Case) -> None:
    held = {n: base64.b64decode(data) for n, data in (files | case["changes"]).items() if data is not None}
    assert error_of(lambda: second.check_state_proof(held, POLICY)) == case["error"]


@cases("year")
def test_year(case: Case) -> None:
    """Recalls, marks, objections and states: every check that the second verifier makes has the same verdict."""
    expected = {name: verdict for name, verdict in case["checks"].items() if name in second.YEAR_CHECKS}
    assert second.check_export(changed("year", case), POLICY) == expected


# ── what banks report ──────────────────────────────────────────────────────────────────────────────────────


@cases("opened_firms")
def test_opened_firm(case: Case) -> None:
    sealed = second.Document.of(bytes.fromhex(VECTORS["opened_firms"]["table"]))
    table = second.read("LendingTable", sealed.payload)
    assert error_of(lambda: second.check_opened(table, bytes.fromhex(case["opened"]))) == case["error"]


def test_samples() -> None:
    told = VECTORS["samples"]
    assert second.sample_seed(*raw([told["seed"]["table"], told["seed"]["root"]])).hex() == told["seed"]["seed"]
    table = second.Document.of(bytes.fromhex(VECTORS["opened_firms"]["table"]))
    lanes = second.lanes_of_table(second.read("LendingTable", table.payload))
    assert list(told["populations"].values()) == [lanes[0], lanes[3], lanes[6]]
    for drawn in told["draws"]:
        assert second.draw(bytes.fromhex(drawn["seed"]), drawn["count"], drawn["size"]) == drawn["places"]


@cases("quarter")
def test_quarter(case: Case) -> None:
    """Tables, challenges and statistics: every check that the second verifier makes has the same verdict."""
    expected = {name: verdict for name, verdict in case["checks"].items() if name in second.QUARTER_CHECKS}
    assert second.check_export(changed("quarter", case), POLICY) == expected


# ── beyond the vectors ─────────────────────────────────────────────────────────────────────────────────────


def spoilt(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, dropped, put in or behind."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        place = chance.randrange(len(changed))
        change = chance.randrange(4)
        if change == 0:
            changed[place] ^= 1 << chance.randrange(8)
        elif change == 1:
            changed[place:place] = bytes([chance.randrange(256)])
        elif change == 2:
            del changed[place]
        else:
            changed += chance.choice((b"\x28\x00", b"\x08\x01", b"\x1a\x00", b"\x22\x00"))
    return bytes(changed)


def test_both_verifiers_read_the_same_payloads() -> None:
    """Of thousands of spoilt payloads each is in the one expected encoding for both or for neither."""
    kinds: list[type[Message]] = [
        edition_pb2.Manifest, edition_pb2.Approval, exchange_pb2.Delivery, exchange_pb2.DeliveryReceipt,
        exchange_pb2.LogQuery, exchange_pb2.Acknowledgement, exchange_pb2.Refusal, party_pb2.KeyRegistration,
        exchange_pb2.SubjectQuery, edition_pb2.RowAnswer, notice_pb2.ChangeNotice, objection_pb2.Objection,
        objection_pb2.ObjectionDecision, lending_pb2.LendingTable, lending_pb2.TableReceipt,
        lending_pb2.OutcomeBatch, lending_pb2.OutcomeReceipt, lending_pb2.LendingAnswer, lending_pb2.Challenge,
        lending_pb2.ChallengeAnswer, lending_pb2.Statistics, lending_pb2.StatisticsReceipt,
    ]  # fmt: skip
    named = {envelope.payload_type(kind): kind for kind in kinds}
    cities = (CITY, Told().city(), Quarter().city())
    payloads = [(named[d.payload_type], d.payload) for city in cities for d in city.documents.values()]
    payloads += [(log_pb2.LogEntry, opening) for city in cities for _, _, opening in city.entries]
    payloads += [(records_pb2.GradeChunk, edition.chunk) for edition in CHAIN]
    payloads += [(records_pb2.GradeChunk, bytes.fromhex(VECTORS["chunks"][0]["chunk"]))]
    chance, taken = random.Random(2018), 0
    for _ in range(9000):
        kind, payload = chance.choice(payloads)
        data = spoilt(payload, chance)
        theirs = error_of(lambda kind=kind, data=data: second.read(kind.DESCRIPTOR.name, data))  # type: ignore[misc]
        try:
            envelope.parse_strict(data, kind)
            ours = ""
        except EncodingInvalid as error:
            ours = error.code
        assert ours == theirs, (kind.DESCRIPTOR.name, data.hex())
        taken += not ours
    assert 700 < taken < 8300
