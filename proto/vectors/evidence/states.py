"""Vectors of states: the bucket tree, a chain of editions, what is proven of one taxpayer, and a year's log."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from audit import buckets, entries, envelope
from audit.record_proof import RecordProof
from audit.record_proof import make as make_record_proof
from audit.records import ChunkVerifier, check_state
from audit.state_proof import StateProof, make
from audit.verification.procedure import verify as verify_export
from proto.vectors.evidence.bundles import changed, in_folder, shown
from proto.vectors.evidence.cast import APPROVER, BANK, MAKER, POLICY, Case, case, flipped, seed
from proto.vectors.evidence.edition import BLINDING_KEY, record, uscc
from proto.vectors.evidence.year import (
    CORRECTION,
    DECEMBER,
    DELTA,
    EDITION,
    MARK,
    NOVEMBER,
    OCTOBER,
    Sealed,
    Told,
    follow,
    gone,
    renamed,
    row_of,
)
from xinyi.v1 import exchange_pb2, objection_pb2, records_pb2

REFUTED, UNREAD, UNTRUE = "verification.proof", "verification.encoding", "verification.digest"


# ── the bucket tree ────────────────────────────────────────────────────────────────────────────────────────


def bucket_digests() -> list[Case]:
    """Numbers and digests; the first bucket is empty, as most of a small state are."""
    keys = [bytes(32), b"\0\3" + bytes(30), b"\0\4" + bytes(30), b"\xff" * 32, seed("key")]
    numbers = [{"blinded_key": key.hex(), "bucket": buckets.number_of(key)} for key in keys]
    digests = [
        {"entries": data.hex(), "digest": buckets.digest(data).hex()}
        for data in (b"", seed("key") + seed("commitment"), bytes(128))
    ]
    return [*numbers, *digests]


def state_roots() -> list[Case]:
    """Roots over the digests of all 16,384 buckets."""
    listed: list[list[bytes]] = [[], [row.entry for row in OCTOBER.state.values()]]
    # Many, three of them in one bucket.
    crowd = [seed(f"entry key {n}") + seed(f"entry {n}") for n in range(400)]
    crowd += [b"\x80\x01" + bytes([n]) * 30 + seed(f"close {n}") for n in range(3)]
    return [
        {"entries": [e.hex() for e in sorted(listed_)], "root": buckets.state_of(sorted(listed_)).root().hex()}
        for listed_ in (*listed, crowd)
    ]


def bucket_paths() -> list[Case]:
    """A bucket under the state root of December: what is in it, and what is not."""
    key = row_of(renamed(1), "").blinded_key
    number, held = buckets.number_of(key), DECEMBER.bucket(key)
    root, path = DECEMBER.manifest.state_root, DECEMBER.digests.path(number)
    empty = number ^ 1
    two = b"\x80\x01" + bytes(30) + seed("a"), b"\x80\x01" + b"\1" * 30 + seed("b")
    both = buckets.state_of(list(two))
    place = buckets.number_of(two[0])

    def one(title: str, expected: str, data: bytes, number: int, path: Sequence[bytes], root: bytes = root) -> Case:
        return case(
            title,
            expected,
            lambda: buckets.check_bucket(data, number, path, root),
            entries=data.hex(),
            bucket=number,
            path=[h.hex() for h in path],
            root=root.hex(),
        )

    return [
        one("a bucket with one entry", "", held, number, path),
        one("an empty bucket", "", b"", empty, DECEMBER.digests.path(empty)),
        one("a bucket with two entries", "", b"".join(two), place, both.path(place), both.root()),
        one("two entries exchanged", REFUTED, two[1] + two[0], place, both.path(place), both.root()),
        one("one of them left out", REFUTED, two[0], place, both.path(place), both.root()),
        one("an entry of another bucket", REFUTED, held + b"\xff" * 64, number, path),
        one("an entry twice", REFUTED, held * 2, number, path),
        one("emptied", REFUTED, b"", number, path),
        one("commitment changed by a bit", REFUTED, flipped(held, 63), number, path),
        one("cut short", REFUTED, held[:-1], number, path),
        one("another number", REFUTED, held, empty, path),
        one("a hash too few", REFUTED, held, number, path[:-1]),
        one("a hash too many", REFUTED, held, number, [*path, bytes(32)]),
        one("a hash changed by a bit", REFUTED, held, number, [flipped(path[0], 5), *path[1:]]),
        one("another edition's root", REFUTED, held, number, path, OCTOBER.manifest.state_root),
    ]


# ── editions over time ─────────────────────────────────────────────────────────────────────────────────────


def chain() -> Case:
    """Each edition applied to the state before it."""

    def apply(edition: Sealed, before: dict[bytes, bytes]) -> None:
        told = ChunkVerifier(edition.manifest, BLINDING_KEY).take(0, edition.chunk)
        changes: list[buckets.Change] = [
            (key, None if told.records.record(n).gone else told.entries[64 * n + 32 : 64 * n + 64])
            for n, key in enumerate(told.blinded_keys)
        ]
        held = b"".join(key + before[key] for key in sorted(before))
        after = buckets.changed(held, changes, strict=edition.manifest.kind == DELTA)
        check_state(buckets.state_of([after[i : i + 64] for i in range(0, len(after), 64)]), edition.manifest)

    def one(title: str, expected: str, edition: Sealed, before: Sealed | None) -> Case:
        held = {} if before is None else {key: row.entry[32:] for key, row in before.state.items()}
        return case(
            title,
            expected,
            lambda: apply(edition, held),
            before=[(key + commitment).hex() for key, commitment in sorted(held.items())],
            manifest=edition.envelope.SerializeToString(deterministic=True).hex(),
            digest=edition.digest.hex(),
            chunk=edition.chunk.hex(),
        )

    other_root = follow(OCTOBER, "november", [record(7)], DELTA, state_root=OCTOBER.manifest.state_root)
    strange = follow(OCTOBER, "november", [gone(9)], DELTA)
    again = follow(NOVEMBER, "december", [gone(2)], CORRECTION, EDITION)
    return {
        "blinding_key": BLINDING_KEY.hex(),
        "cases": [
            one("FULL", "", OCTOBER, None),
            one("DELTA: one new, one with another name, one gone", "", NOVEMBER, OCTOBER),
            one("CORRECTION: one gone", "", DECEMBER, NOVEMBER),
            one("CORRECTION of who is gone already", "", again, NOVEMBER),
            one("DELTA that seals the state before it", REFUTED, other_root, OCTOBER),
            one("DELTA on another state than its own", REFUTED, NOVEMBER, DECEMBER),
            one("DELTA: gone who was not there", REFUTED, strange, OCTOBER),
        ],
    }


# ── one taxpayer ───────────────────────────────────────────────────────────────────────────────────────────


def _described(files: dict[str, bytes], **changes: Any) -> bytes:
    return entries.canonical_json(json.loads(files["proof.json"]) | changes).encode() + b"\n"


def _proof(edition: Sealed, number: int) -> StateProof:
    key = row_of(record(number), "").blinded_key
    held = edition.state.get(key)
    salted = None if held is None else (held.salt, held.record)
    path = edition.digests.path(buckets.number_of(key))
    return make(
        edition.envelope, edition.approval, BLINDING_KEY, uscc(number), edition.bucket(key), path, salted
    )


def state_proofs() -> list[Case]:
    """Folders of their own, each with cases."""
    held, absent = _proof(DECEMBER, 1), _proof(DECEMBER, 4)

    def part(proof: StateProof, listed: Callable[[dict[str, bytes]], list[Any]]) -> Case:
        files = proof.files()
        return {
            "files": shown(dict(files)),
            "cases": [
                case(
                    title,
                    expected,
                    lambda changes=changes: in_folder(
                        changed(files, changes), lambda place: StateProof.read(place).verify(POLICY)
                    ),
                    changes=shown(changes),
                )
                for title, expected, changes in listed(files)
            ],
        }

    other = seed("other").hex()
    before = NOVEMBER.envelope.SerializeToString(deterministic=True)
    approved = NOVEMBER.approval.SerializeToString(deterministic=True)
    old = record(1).SerializeToString(deterministic=True)
    return [
        part(
            held,
            lambda files: [
                ("a record that is in force", "", {}),
                ("what the record was before", UNTRUE, {"record.bin": old}),
                ("another salt", UNTRUE, {"proof.json": _described(files, salt=other)}),
                ("the record left out", UNREAD, {"record.bin": None}),
                ("another edition", REFUTED, {"manifest.dsse": before, "approval.dsse": approved}),
                ("approval of another edition", "invalid", {"approval.dsse": approved}),
                ("emptied bucket", REFUTED, {"bucket.bin": b""}),
                ("another blinded key", REFUTED, {"proof.json": _described(files, blinded_key=other)}),
                ("another format", UNREAD, {"proof.json": _described(files, format="xinyi-state-proof/2")}),
            ],
        ),
        part(
            absent,
            lambda files: [
                ("who was taken back has none", "", {}),
                ("a record slipped in", UNREAD, {"record.bin": old}),
                ("a hash too few", REFUTED, {"proof.json": _described(files, proof=[])}),
                ("an edition that still had it", REFUTED, {"manifest.dsse": before, "approval.dsse": approved}),
            ],
        ),
        part(
            replace(held, salted=None),
            lambda files: [("a record in the bucket that is not shown", REFUTED, {})],
        ),
    ]


def gone_proof() -> Case:
    """That a taxpayer is gone, as one record of the DELTA that tells it."""
    proof = make_record_proof(NOVEMBER.envelope, NOVEMBER.approval, BLINDING_KEY, [NOVEMBER.chunk], uscc(2))
    files = proof.files()
    told = records_pb2.GradeRecord.FromString(proof.record)
    told.grade = records_pb2.GRADE_D
    listed: list[tuple[str, str, dict[str, bytes | None]]] = [
        ("as it is", "", {}),
        ("with a grade", REFUTED, {"record.bin": told.SerializeToString(deterministic=True)}),
        ("another salt", REFUTED, {"proof.json": _described(files, salt=seed("other").hex())}),
    ]
    return {
        "files": shown(dict(files)),
        "cases": [
            case(
                title,
                expected,
                lambda changes=changes: in_folder(  # type: ignore[misc]
                    changed(files, changes), lambda place: RecordProof.read(place).verify(POLICY)
                ),
                changes=shown(changes),
            )
            for title, expected, changes in listed
        ],
    }


# ── a year's log ───────────────────────────────────────────────────────────────────────────────────────────


def year() -> Case:
    """The export of the year, and of years in which one thing is told otherwise: whole files that differ."""
    files = Told().city().export()

    def one(title: str, verdict: str, failing: set[str], told: Told) -> Case:
        other = told.city().export()
        changes: dict[str, bytes | None] = dict.fromkeys(n for n in files if n not in other)
        changes |= {name: data for name, data in other.items() if files.get(name) != data}
        report: Any = in_folder(other, lambda place: verify_export(place, POLICY))
        found = {check.name: check.verdict.value for check in report.checks.values() if check.verdict != "holds"}
        assert (report.verdict, set(found)) == (verdict, failing), (title, report.verdict, report.findings)
        return {"case": title, "verdict": report.verdict.value, "checks": found, "changes": shown(changes)}

    own = objection_pb2.ObjectionDecision()
    own.CopyFrom(objection_pb2.ObjectionDecision.FromString(Told().decision.payload))
    own.decided_by = MAKER.holder
    wrong_root = follow(OCTOBER, "november", [record(7), renamed(1), gone(2)], DELTA, state_root=seed("other"))
    stranger = follow(NOVEMBER, "december", [gone(7)], CORRECTION, EDITION)
    late = _mark(due_on="2018-11-27")
    return {
        "files": shown(dict(files)),
        "cases": [
            one("as it is", "holds", set(), Told()),
            one("DELTA that seals another state", "false", {"states"}, _chained(wrong_root)),
            one(
                "CORRECTION of a taxpayer of whom the corrected edition did not tell",
                "false",
                {"states"},
                _decided(Told(chain=(OCTOBER, NOVEMBER, stranger)), stranger),
            ),
            one("nobody is recalled", "false", {"recalls", "deliveries"}, Told(recalled=())),
            one("a stranger is recalled", "false", {"recalls"}, Told(recalled=(BANK, "test-city/bank-9"))),
            one("the confirmation is not noted", "false", {"recalls"}, Told(confirmed=False)),
            one("a mark with another due date", "false", {"deliveries"}, Told(marks=(late,))),
            one(
                "decided by who took it in",
                "false",
                {"objections"},
                Told(decision=envelope.seal(own, MAKER)),
            ),
        ],
    }


def _mark(**changes: Any) -> exchange_pb2.DisputeMark:
    mark = exchange_pb2.DisputeMark()
    mark.CopyFrom(MARK)
    for name, value in changes.items():
        setattr(mark, name, value)
    return mark


def _chained(november: Sealed) -> Told:
    """The same CORRECTION behind another November, which seals the state that its own records come to."""
    december = follow(november, "december", [gone(4)], CORRECTION, EDITION)
    return _decided(Told(chain=(OCTOBER, november, december)), december)


def _decided(told: Told, correction: Sealed) -> Told:
    decision = objection_pb2.ObjectionDecision.FromString(told.decision.payload)
    decision.correction = correction.digest
    return replace(told, decision=envelope.seal(decision, APPROVER))

