"""Vectors of what is handed over: one record, one entry, a whole export; good and changed."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audit import entries, envelope, export
from audit.entry_proof import EntryProof
from audit.record_proof import RecordProof, make
from audit.verification.procedure import verify as verify_export
from proto.vectors.evidence.cast import (
    ASKER,
    MAKER,
    POLICY,
    VERIFIER_KEY,
    Case,
    b64,
    case,
    flipped,
    seed,
)
from proto.vectors.evidence.city import (
    CITY,
)
from proto.vectors.evidence.edition import (
    APPROVAL,
    BLINDING_KEY,
    CHUNK,
    EDITION,
    MANIFEST,
    ROWS,
    SEALED,
    approval_of,
)
from xinyi.v1 import envelope_pb2, log_pb2


def in_folder(files: dict[str, bytes], run: Callable[[Path], object]) -> object:
    with tempfile.TemporaryDirectory() as place:
        for name, data in files.items():
            (Path(place) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(place) / name).write_bytes(data)
        return run(Path(place))


def changed(files: dict[str, bytes], changes: dict[str, bytes | None]) -> dict[str, bytes]:
    return {name: data for name, data in (files | changes).items() if data is not None}


def shown(changes: dict[str, bytes | None]) -> dict[str, str | None]:
    return {name: None if data is None else b64(data) for name, data in changes.items()}


def record_proofs() -> Case:
    proof = make(SEALED, APPROVAL, BLINDING_KEY, [CHUNK], ROWS[2].identifier)
    files = proof.files()
    own = approval_of(MAKER).SerializeToString(deterministic=True)
    by_other = envelope.seal(MANIFEST, ASKER).SerializeToString(deterministic=True)

    def described(**changes: Any) -> bytes:
        value = json.loads(files["proof.json"]) | changes
        return entries.canonical_json(value).encode() + b"\n"

    def one(title: str, expected: str, changes: dict[str, bytes | None]) -> Case:
        return case(
            title,
            expected,
            lambda: in_folder(changed(files, changes), lambda place: RecordProof.read(place).verify(POLICY)),
            changes=shown(changes),
        )

    refuted, unread, wrong = "verification.proof", "verification.encoding", "verification.signature"
    at = ROWS[2].record.index("示例".encode())
    forged = ROWS[2].record[:at] + "示侌".encode() + ROWS[2].record[at + 6 :]
    cases = [
        one("as it is", "", {}),
        one("another name in the record", refuted, {"record.bin": forged}),
        one(
            "another grade in the record",
            refuted,
            {"record.bin": ROWS[2].record.replace(b"\x30\x01", b"\x30\x02")},
        ),
        one("record in another encoding", unread, {"record.bin": ROWS[2].record + b"\x38\x00"}),
        one("another salt", refuted, {"proof.json": described(salt=seed("other").hex())}),
        one("another blinded key", refuted, {"proof.json": described(blinded_key=ROWS[1].blinded_key.hex())}),
        one("another index", refuted, {"proof.json": described(index=3)}),
        one("a hash too few", refuted, {"proof.json": described(proof=[h.hex() for h in proof.path[:-1]])}),
        one("another format", unread, {"proof.json": described(format="xinyi-record-proof/2")}),
        one("approved by its publisher", "invalid", {"approval.dsse": own}),
        one("sealed by somebody who is not the bureau", wrong, {"manifest.dsse": by_other}),
        one("manifest for the approval", unread, {"approval.dsse": files["manifest.dsse"]}),
    ]
    return {"files": shown(dict(files)), "cases": cases}


def entry_proofs() -> Case:
    _leaf, salt, opening = CITY.entries[9]
    named = log_pb2.LogEntry.FromString(opening).documents
    proof = EntryProof(salt, opening, tuple(CITY.documents[digest] for digest in named), CITY.proof(9))
    files, document = proof.files(), "documents/00.dsse"

    def one(title: str, expected: str, changes: dict[str, bytes | None]) -> Case:
        return case(
            title,
            expected,
            lambda: in_folder(
                changed(files, changes), lambda place: EntryProof.read(place).verify(VERIFIER_KEY)
            ),
            changes=shown(changes),
        )

    untrue = "verification.digest"
    other = CITY.documents[sorted(set(CITY.documents) - set(named))[0]]
    sealed_again = envelope_pb2.Envelope.FromString(files[document])
    sealed_again.signatures[0].sig = b"x"
    of_other = {
        "leaf.bin": CITY.entries[8][0],
        "salt.bin": CITY.entries[8][1],
        "opening.bin": CITY.entries[8][2],
    }
    cases = [
        one("as it is", "", {}),
        one(
            "a signature inside a document, which this does not check",
            "",
            {document: sealed_again.SerializeToString()},
        ),
        one("opening changed by a bit", untrue, {"opening.bin": flipped(opening, 3)}),
        one("another salt", untrue, {"salt.bin": flipped(salt, 0)}),
        one("leaf of another opening", untrue, {"leaf.bin": CITY.entries[8][0]}),
        one("another entry, whole", "verification.proof", {**of_other}),
        one("another document", untrue, {document: other.SerializeToString(deterministic=True)}),
        one("document missing", untrue, {document: None}),
        one("proof of another entry", "verification.proof", {"entry.tlog-proof": CITY.proof(8).encode()}),
    ]
    return {"files": shown(dict(files)), "cases": cases}


def exports() -> Case:
    """The whole log as an export, and what a verifier says of changed ones: verdict and checks that do not hold."""
    files = CITY.export()

    def one(title: str, verdict: str, failing: set[str], changes: dict[str, bytes | None]) -> Case:
        report: Any = in_folder(changed(files, changes), lambda place: verify_export(place, POLICY))
        found = {
            check.name: check.verdict.value for check in report.checks.values() if check.verdict != "holds"
        }
        assert (report.verdict, set(found)) == (verdict, failing), (title, report.verdict, found)
        return {"case": title, "verdict": report.verdict.value, "checks": found, "changes": shown(changes)}

    def lines(name: str) -> list[bytes]:
        return files[name].splitlines(keepends=True)

    def edited(name: str, old: bytes, new: bytes) -> dict[str, bytes | None]:
        assert files[name].count(old) == 1, (name, old)
        return {name: files[name].replace(old, new)}

    openings_, documents = lines("openings.jsonl"), lines("documents.jsonl")
    erased = export.opening_line(9, b"", b"").encode() + b"\n"
    approval = export.document_line(envelope.digest(APPROVAL), APPROVAL).encode() + b"\n"
    unsealed = envelope_pb2.Envelope.FromString(APPROVAL.SerializeToString())
    unsealed.signatures[0].sig = flipped(unsealed.signatures[0].sig, 0)
    bundle, tile, held = "tile/entries/000.p/11", "tile/0/000.p/11", f"chunks/{EDITION.hex()}/000000.chunk"
    at = CHUNK.index("示例".encode())
    cases = [
        one("as it is", "holds", set(), {}),
        one(
            "signature of the head changed",
            "false",
            {"checkpoint"},
            {
                "checkpoint": files["checkpoint"][:-10]
                + (b"A" if files["checkpoint"][-10:-9] != b"A" else b"B")
                + files["checkpoint"][-9:]
            },
        ),
        one("a file that has no place", "false", {"files"}, {"readme.txt": b""}),
        one("hash in a tile changed", "false", {"tree"}, {tile: flipped(files[tile], 0)}),
        one(
            "leaf in a bundle changed",
            "false",
            {"tree", "openings", "documents", "receipts"},
            {bundle: flipped(files[bundle], 8 * 35 + 10)},
        ),
        one("row edited", "false", {"rows"}, edited("state/deliveries.jsonl", b'"RECEIVED"', b'"REJECTED"')),
        one("row removed", "false", {"rows"}, {"state/receipts.jsonl": b""}),
        one(
            "row added",
            "false",
            {"rows"},
            {
                "state/parties.jsonl": files["state/parties.jsonl"]
                + b'{"kind":"BANK","party":"test-city/bank-2","state":"ACTIVE"}\n'
            },
        ),
        one(
            "row in another form",
            "false",
            {"rows"},
            edited("state/receipts.jsonl", b'"stage":1', b'"stage": 1'),
        ),
        one(
            "opening missing without an erasure",
            "false",
            {"openings", "documents", "answers", "rows"},
            {"openings.jsonl": b"".join([*openings_[:9], erased, *openings_[10:]])},
        ),
        one(
            "document missing",
            "false",
            {"documents", "deliveries", "editions"},
            {"documents.jsonl": b"".join(d for d in documents if d != approval)},
        ),
        one(
            "seal of a document changed",
            "false",
            {"seals", "editions", "deliveries"},
            edited(
                "documents.jsonl",
                approval,
                export.document_line(envelope.digest(unsealed), unsealed).encode() + b"\n",
            ),
        ),
        one(
            "answer missing",
            "false",
            {"answers"},
            {"state/answers.jsonl": b"".join(lines("state/answers.jsonl")[1:])},
        ),
        one("record changed", "false", {"records"}, {held: CHUNK[:at] + "示侌".encode() + CHUNK[at + 6 :]}),
        one("chunk missing", "cannot decide", {"records"}, {held: None}),
        one("table missing", "cannot decide", {"rows"}, {"state/keys.jsonl": None}),
    ]
    return {"policy": POLICY.dump().decode(), "files": shown(dict(files)), "cases": cases}
