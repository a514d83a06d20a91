"""Writes the field-rule vectors beside this file: `python -m proto.vectors.make`. A test compares them.

One file per message. Each case has the message in hex and in protobuf's JSON, and the rule it breaks; "" is
valid. Rules are named in the .proto comments. Other implementations read the bytes and must come to the same
verdicts; of a message that breaks several rules any of them may be named, so each case breaks one alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from proto.vectors import lending
from proto.vectors.subjects import BANK as BANK
from proto.vectors.subjects import BUREAU, LI_WEI, MACHINE, TIME, Change
from proto.vectors.subjects import old_number as old_number
from proto.vectors.subjects import uscc as uscc
from xinyi import checks, notices, objections
from xinyi.errors import Invalid
from xinyi.v1 import edition_pb2, exchange_pb2, notice_pb2, objection_pb2, records_pb2

HERE = Path(__file__).parent


def grade_record() -> records_pb2.GradeRecord:
    return records_pb2.GradeRecord(
        taxpayer_id=uscc(),
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=["示例一有限公司"],
        tax_offices=["示例市税务局"],
        evaluation_year=2018,
        grade=records_pb2.GRADE_A,
    )


#: All that a record of a taxpayer that is gone leaves out.
_NOTHING_TOLD: Change = {"names": [], "tax_offices": [], "evaluation_year": 0, "grade": 0}
GRADE_RECORD: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    *((f"department {d}", "", {"taxpayer_id": uscc(2, d + "1")}) for d in "ANY"),
    ("old taxpayer number", "", {"taxpayer_id": old_number(), "identifier_kind": 2}),
    ("several names and offices", "", {"names": ["一公司", "二公司"], "tax_offices": ["三局", "四局"]}),
    ("no tax office", "", {"tax_offices": []}),
    ("all dates", "", {"decided_on": "2019-04-20", "valid_from": "2019-04-20", "valid_to": "2020-04-19"}),
    ("one day's validity", "", {"valid_from": "2019-04-20", "valid_to": "2019-04-20"}),
    ("longest name", "", {"names": ["某" * 200]}),
    ("kind of decision", "", {"decision_kind": 5}),
    ("no identifier", "grade.id", {"taxpayer_id": ""}),
    ("wrong check character", "grade.id", {"taxpayer_id": uscc()[:17] + ("0" if uscc()[17] != "0" else "1")}),
    ("letter I", "grade.id", {"taxpayer_id": "I" + uscc()[1:]}),
    ("lower case", "grade.id", {"taxpayer_id": uscc(7).lower() if uscc(7) != uscc(7).lower() else "9a"}),
    ("blank behind", "grade.id", {"taxpayer_id": uscc() + " "}),
    (
        "full-width digits",
        "grade.id",
        {"taxpayer_id": uscc().translate({48 + d: 0xFF10 + d for d in range(10)})},
    ),
    ("of another kind", "grade.id", {"identifier_kind": 2}),
    ("registration number that fails", "grade.id", {"taxpayer_id": "990100000000000", "identifier_kind": 3}),
    ("no kind of identifier", "grade.id_kind", {"identifier_kind": 0}),
    ("unknown kind of identifier", "grade.id_kind", {"identifier_kind": 9}),
    ("no name", "grade.names", {"names": []}),
    ("empty name", "grade.names", {"names": [""]}),
    ("name too long", "grade.names", {"names": ["某" * 201]}),
    ("control character", "grade.names", {"names": ["示例\n公司"]}),
    ("outer blank", "grade.names", {"names": ["示例公司 "]}),
    ("outer ideographic blank", "grade.names", {"names": ["\u3000示例公司"]}),
    ("names not ascending", "grade.names", {"names": ["二公司", "一公司"]}),
    ("name twice", "grade.names", {"names": ["一公司", "一公司"]}),
    ("17 names", "grade.names", {"names": [f"公司{n:02d}" for n in range(17)]}),
    ("offices not ascending", "grade.tax_offices", {"tax_offices": ["四局", "三局"]}),
    ("65 offices", "grade.tax_offices", {"tax_offices": [f"局{n:02d}" for n in range(65)]}),
    ("before the first evaluation year", "grade.year", {"evaluation_year": 2013}),
    ("no year", "grade.year", {"evaluation_year": 0}),
    ("year 2101", "grade.year", {"evaluation_year": 2101}),
    ("no grade", "grade.grade", {"grade": 0}),
    ("unknown grade", "grade.grade", {"grade": 8}),
    ("unknown kind of decision", "grade.decision_kind", {"decision_kind": 8}),
    ("no such day", "grade.decided_on", {"decided_on": "2019-02-29"}),
    ("date without dashes", "grade.decided_on", {"decided_on": "20190420"}),
    ("week date", "grade.decided_on", {"decided_on": "2019-W16-6"}),
    ("ends before it begins", "grade.validity", {"valid_from": "2019-04-20", "valid_to": "2019-04-19"}),
    ("no date", "grade.validity", {"valid_to": "forever"}),
    ("gone", "", _NOTHING_TOLD | {"gone": True}),
    ("gone, with its name", "grade.gone", {"gone": True}),
    ("gone, with a grade", "grade.gone", _NOTHING_TOLD | {"grade": 2, "gone": True}),
    ("gone, with an identifier that does not hold", "grade.id", _NOTHING_TOLD | {"taxpayer_id": "9", "gone": True}),
]


def manifest() -> edition_pb2.Manifest:
    return edition_pb2.Manifest(
        origin=BUREAU,
        issued_by=LI_WEI,
        product="grade-a",
        period=edition_pb2.Period(year=2019, month=4),
        kind=edition_pb2.EDITION_KIND_FULL,
        sequence=2,
        predecessor=b"p" * 32,
        record_schema="xinyi.v1.GradeRecord",
        record_count=1100,
        root=b"r" * 32,
        chunk_roots=[b"c" * 32, b"d" * 32],
        blinding_key_commitment=b"k" * 32,
        source=edition_pb2.SourceFile(
            sha256=b"s" * 32, size_bytes=90_000, encoding="gb18030", profile_sha256=b"m" * 32,
            coverage=edition_pb2.SOURCE_COVERAGE_WHOLE,
        ),
        quality=edition_pb2.Quality(
            rows=1110,
            accepted=1000,
            warned=105,
            quarantined=2,
            rejected=3,
            merged=5,
            rules=[
                edition_pb2.RuleCount(rule="id.length", outcome=edition_pb2.ROW_OUTCOME_REJECTED, rows=3),
                edition_pb2.RuleCount(rule="id.old_number", outcome=edition_pb2.ROW_OUTCOME_WARNED, rows=105),
            ],
            rule_set="grade-rules/1",
        ),
        grade_counts=[edition_pb2.GradeCount(grade=records_pb2.GRADE_A, records=1100)],
        issued_at_ms=TIME,
        comparison=edition_pb2.Comparison(added=100, gone=7, renamed=3, changed=4, unchanged=993),
        state_root=b"t" * 32,
        state_count=1100,
    )


#: Seven records: one new taxpayer, six that are gone. 1,100 before, 1,095 after.
_DELTA: Change = {
    "kind": 2, "record_count": 7, "chunk_roots": [b"c" * 32], "gone_count": 6, "grade_counts.0.records": 1,
    "state_count": 1095, "quality.accepted": 995, "quality.rows": 1105, "comparison.added": 1, "comparison.gone": 6,
    "comparison.renamed": 0, "comparison.changed": 0, "comparison.unchanged": 1094,
}  # fmt: skip
_CHANGES: Change = {
    "source.coverage": 2, "quality.accepted": 2, "quality.warned": 5, "quality.merged": 0, "quality.rules.1.rows": 5,
    "quality.rows": 12,
}  # fmt: skip
_CORRECTION: Change = _DELTA | _CHANGES | {"kind": 3, "corrects": b"w" * 32, "reason": "wrong rule set"}

MANIFEST: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    *((f"delta, {title}", rule, _DELTA | changes) for title, rule, changes in [
        ("as it is", "", {}),
        ("of nothing", "", {
            "record_count": 0, "chunk_roots": [], "gone_count": 0, "grade_counts": None, "comparison.added": 0,
            "comparison.gone": 0, "comparison.unchanged": 1095,
        }),
        ("from a file of changes", "", _CHANGES),
        ("with what stood already", "", _CHANGES | {"quality.unchanged": 2, "quality.accepted": 4, "quality.rows": 14}),
        ("that keeps what was not accepted", "", {"quality.kept": 2, "quality.accepted": 993, "quality.rejected": 5}),
        ("as the first edition", "manifest.predecessor", {"sequence": 1, "predecessor": b""}),
        ("that leaves nothing", "manifest.state_count", {"state_count": 0}),
        ("without state", "manifest.state_root", {"state_root": b""}),
        ("with more gone than records", "manifest.gone_count", {"gone_count": 8}),
        ("with grades of those that are gone", "manifest.grade_counts", {"grade_counts.0.records": 7}),
        ("without comparison", "manifest.comparison", {"comparison": None}),
        ("that compares otherwise", "manifest.comparison", {"comparison.gone": 5}),
        ("with what did not change", "manifest.comparison", {"comparison.added": 0, "comparison.unchanged": 1095}),
        ("that corrects", "manifest.corrects", {"corrects": b"w" * 32}),
        ("with a reason", "manifest.reason", {"reason": "wrong"}),
        ("with unchanged rows of a whole file", "manifest.quality", {"quality.unchanged": 1}),
        ("from changes that keep", "manifest.quality", _CHANGES | {"quality.kept": 1}),
        ("from changes that are not the records", "manifest.record_count", _CHANGES | {"quality.merged": 1}),
        ("with another state than the rows give", "manifest.state_count", {"quality.merged": 4}),
        ("from nobody knows what", "manifest.coverage", {"source.coverage": 0}),
    ]),
    *((f"correction, {title}", rule, _CORRECTION | changes) for title, rule, changes in [
        ("as it is", "", {}),
        ("of what had gone before", "", {"comparison.gone": 4}),
        ("of nothing", "manifest.record_count", {"record_count": 0, "chunk_roots": []}),
        ("of no edition", "manifest.corrects", {"corrects": b""}),
        ("without reason", "manifest.reason", {"reason": ""}),
        ("an identifier in the reason", "text.identifier", {"reason": f"grade of {uscc()} was wrong"}),
        ("from a whole file", "manifest.coverage", {"source.coverage": 1}),
        ("with more gone than it says", "manifest.comparison", {"comparison.gone": 7}),
    ]),
    ("full from a file of changes", "manifest.coverage", {"source.coverage": 2}),
    ("full that something is gone from", "manifest.gone_count", {"gone_count": 1}),
    ("full with another state than its records", "manifest.state_count", {"state_count": 1099}),
    ("first edition", "", {"sequence": 1, "predecessor": b"", "comparison": None}),
    ("without comparison", "", {"comparison": None}),
    ("from a machine", "", {"issued_by": f"xinyi://{BUREAU}/machine/main"}),
    ("origin in capitals", "manifest.origin", {"origin": "Demo-City/tax-bureau"}),
    ("origin without party", "manifest.origin", {"origin": "demo-city"}),
    ("issued by another party", "manifest.issued_by", {"issued_by": MACHINE}),
    ("issued by nobody", "manifest.issued_by", {"issued_by": ""}),
    ("no product", "manifest.product", {"product": ""}),
    ("product with a slash", "manifest.product", {"product": "grade/a"}),
    ("month 13", "manifest.period", {"period.month": 13}),
    ("no period", "manifest.period", {"period": None}),
    ("no kind", "manifest.kind", {"kind": 0}),
    ("unknown kind", "manifest.kind", {"kind": 4}),
    ("sequence 0", "manifest.sequence", {"sequence": 0}),
    ("first with a predecessor", "manifest.predecessor", {"sequence": 1, "comparison": None}),
    ("second without one", "manifest.predecessor", {"predecessor": b""}),
    ("another schema", "manifest.record_schema", {"record_schema": "xinyi.v2.GradeRecord"}),
    ("no records", "manifest.record_count", {"record_count": 0}),
    ("records that the quality does not give", "manifest.record_count", {"quality.merged": 4}),
    ("short root", "manifest.root", {"root": b"r" * 31}),
    ("a chunk root too few", "manifest.chunk_roots", {"chunk_roots": [b"c" * 32]}),
    ("short chunk root", "manifest.chunk_roots", {"chunk_roots": [b"c" * 32, b"d" * 31]}),
    ("no commitment", "manifest.blinding_key_commitment", {"blinding_key_commitment": b""}),
    ("no source digest", "manifest.source", {"source.sha256": b""}),
    ("no encoding", "manifest.source", {"source.encoding": ""}),
    ("outcomes that are not the rows", "manifest.quality", {"quality.rows": 1111}),
    ("no rule set", "manifest.quality", {"quality.rule_set": ""}),
    ("rule with 0 rows", "manifest.quality_rules", {"quality.rules.0.rows": 0}),
    ("rules not ascending", "manifest.quality_rules", {"quality.rules.0.rule": "id.z"}),
    ("rule without outcome", "manifest.quality_rules", {"quality.rules.1.outcome": 0}),
    ("grades that are not the records", "manifest.grade_counts", {"grade_counts.0.records": 1099}),
    ("records of no grade", "manifest.grade_counts", {"grade_counts.0.grade": 0}),
    ("seconds for milliseconds", "manifest.issued_at", {"issued_at_ms": TIME // 1000}),
    ("comparison that is not the records", "manifest.comparison", {"comparison.added": 101}),
    ("comparison of a first edition", "manifest.comparison", {"sequence": 1, "predecessor": b""}),
]


def approval() -> edition_pb2.Approval:
    return edition_pb2.Approval(
        manifest_digest=b"m" * 32,
        origin=BUREAU,
        approved_by=f"xinyi://{BUREAU}/person/wang-fang",
        approved_at_ms=TIME,
    )


APPROVAL: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("short digest", "approval.manifest_digest", {"manifest_digest": b"m" * 31}),
    ("no origin", "approval.origin", {"origin": ""}),
    ("by a machine", "approval.approved_by", {"approved_by": f"xinyi://{BUREAU}/machine/main"}),
    ("by another party", "approval.approved_by", {"approved_by": f"xinyi://{BANK}/person/li-na"}),
    ("no time", "approval.approved_at", {"approved_at_ms": 0}),
]


def _decision(kind: type[Message], word: str, by: str) -> Callable[[], Message]:
    at = by.replace("_by", "_at_ms")
    return lambda: kind(manifest_digest=b"m" * 32, reason="wrong month", **{by: LI_WEI, at: TIME})


def _decision_cases(word: str, by: str) -> list[tuple[str, str, Change]]:
    at = by.replace("_by", "_at")
    return [
        ("as it is", "", {}),
        ("no digest", f"{word}.manifest_digest", {"manifest_digest": b""}),
        ("by a machine", f"{word}.{by}", {by: MACHINE}),
        ("without reason", f"{word}.reason", {"reason": ""}),
        ("reason of 501 characters", f"{word}.reason", {"reason": "r" * 501}),
        ("an identifier in the reason", "text.identifier", {"reason": f"row of {uscc()}"}),
        ("no time", f"{word}.{at}", {f"{at}_ms": 0}),
    ]


def delivery() -> exchange_pb2.Delivery:
    return exchange_pb2.Delivery(
        delivery_id=hashlib.sha256(b"m" * 32 + b"\0" + BANK.encode()).hexdigest(),
        recipient=BANK,
        manifest_digest=b"m" * 32,
        approval_digest=b"a" * 32,
        product="grade-a",
        period=edition_pb2.Period(year=2019, month=4),
        agreement_id="2018-17",
        disclosure_class=exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
        offered_at_ms=TIME,
        expires_at_ms=TIME + 1,
        ground=exchange_pb2.DELIVERY_GROUND_AGREEMENT,
    )


def mark(key: bytes, **changes: Any) -> exchange_pb2.DisputeMark:
    made = {"blinded_key": key * 32, "objection": b"o" * 32, "filed_on": "2019-05-02", "due_on": "2019-05-23"}
    return exchange_pb2.DisputeMark(**(made | changes))


DELIVERY: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("id of another bank", "delivery.delivery_id", {"recipient": "demo-city/bank-2"}),
    ("no recipient", "delivery.recipient", {"recipient": ""}),
    ("short manifest digest", "delivery.manifest_digest", {"manifest_digest": b"m" * 31}),
    ("no approval", "delivery.approval_digest", {"approval_digest": b""}),
    ("no product", "delivery.product", {"product": ""}),
    ("month 0", "delivery.period", {"period.month": 0}),
    ("no agreement", "delivery.agreement_id", {"agreement_id": ""}),
    ("no class", "delivery.disclosure_class", {"disclosure_class": 0}),
    ("unknown class", "delivery.disclosure_class", {"disclosure_class": 9}),
    ("no time", "delivery.offered_at", {"offered_at_ms": 0}),
    ("expires when it is offered", "delivery.expires_at", {"expires_at_ms": TIME}),
    ("recall", "", {"ground": 2}),
    ("on no ground", "delivery.ground", {"ground": 0}),
    ("with marks", "", {"disputes": [mark(b"a"), mark(b"b")]}),
    ("marks not ascending", "delivery.disputes", {"disputes": [mark(b"b"), mark(b"a")]}),
    ("record marked twice", "delivery.disputes", {"disputes": [mark(b"a"), mark(b"a")]}),
    ("mark of no objection", "delivery.disputes", {"disputes": [mark(b"a", objection=b"")]}),
    ("mark without due date", "delivery.disputes", {"disputes": [mark(b"a", due_on="")]}),
]


def failure() -> exchange_pb2.DeliveryFailure:
    return exchange_pb2.DeliveryFailure(
        delivery_id=checks.delivery_id(b"m" * 32, BANK),
        recipient=BANK,
        manifest_digest=b"m" * 32,
        attempts=8,
        code="unavailable",
        failed_at_ms=TIME,
    )


FAILURE: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("a rule of the bank", "", {"code": "edition.replayed"}),
    ("id of another bank", "failure.delivery_id", {"recipient": "demo-city/bank-2"}),
    ("no recipient", "failure.recipient", {"recipient": ""}),
    ("short manifest digest", "failure.manifest_digest", {"manifest_digest": b"m" * 31}),
    ("never tried", "failure.attempts", {"attempts": 0}),
    ("no code", "failure.code", {"code": ""}),
    ("a sentence", "failure.code", {"code": "the line broke"}),
    ("code of 101 characters", "failure.code", {"code": "c" * 101}),
    ("no time", "failure.failed_at", {"failed_at_ms": 0}),
]


def receipt() -> exchange_pb2.DeliveryReceipt:
    return exchange_pb2.DeliveryReceipt(
        delivery_id="0123456789abcdef" * 4,
        delivery_digest=b"d" * 32,
        manifest_digest=b"m" * 32,
        stage=exchange_pb2.RECEIPT_STAGE_PARTIAL,
        root=b"r" * 32,
        accepted=1099,
        rejected=1,
        issues=[exchange_pb2.RecordIssue(blinded_key=b"b" * 32, rule="bank.name_differs")],
        rules=[edition_pb2.RuleCount(rule="bank.name_differs", outcome=4, rows=1)],
        signed_by=MACHINE,
        signed_at_ms=TIME,
    )


_PLAIN: Change = {"stage": 1, "accepted": 1100, "rejected": 0, "issues": [], "rules": []}
_REFUSED: Change = {"stage": 4, "accepted": 0, "rejected": 0, "issues": [], "root": b""}
_ISSUE = exchange_pb2.RecordIssue(blinded_key=b"b" * 32, rule="bank.name_differs")
RECEIPT: list[tuple[str, str, Change]] = [
    ("partial", "", {}),
    *((f"stage {stage}", "", _PLAIN | {"stage": stage}) for stage in (1, 2, 5)),
    ("rejected", "", _REFUSED),
    ("capitals in the id", "receipt.delivery_id", {"delivery_id": "0123456789ABCDEF" * 4}),
    ("no delivery digest", "receipt.delivery_digest", {"delivery_digest": b""}),
    ("no manifest digest", "receipt.manifest_digest", {"manifest_digest": b""}),
    ("no stage", "receipt.stage", {"stage": 0}),
    ("unknown stage", "receipt.stage", {"stage": 6}),
    ("no root", "receipt.root", {"root": b""}),
    ("accepted with rejected ones", "receipt.counts", _PLAIN | {"stage": 2, "rejected": 1}),
    ("partial without rejected ones", "receipt.counts", {"rejected": 0}),
    ("rejected with accepted ones", "receipt.counts", _REFUSED | {"accepted": 1}),
    ("rejected without a rule", "receipt.counts", _REFUSED | {"rules": []}),
    ("issues of a received one", "receipt.issues", {"stage": 1}),
    ("issue twice", "receipt.issues", {"issues": [_ISSUE, _ISSUE]}),
    ("short key", "receipt.issues", {"issues.0.blinded_key": b"b"}),
    ("rule in capitals", "receipt.rules", {"rules.0.rule": "Bank"}),
    ("signed by nobody", "receipt.signed_by", {"signed_by": "bank-1"}),
    ("no time", "receipt.signed_at", {"signed_at_ms": 0}),
]


def pull() -> exchange_pb2.PullRequest:
    return exchange_pb2.PullRequest(
        recipient=BANK, product="grade-a", last_held=b"h" * 32, requested_at_ms=TIME, nonce=b"n" * 16
    )


PULL: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("holding nothing", "", {"last_held": b""}),
    ("no recipient", "pull.recipient", {"recipient": ""}),
    ("no product", "pull.product", {"product": ""}),
    ("short digest", "pull.last_held", {"last_held": b"h"}),
    ("no time", "pull.requested_at", {"requested_at_ms": 0}),
    ("short nonce", "pull.nonce", {"nonce": b"n" * 15}),
]


def query() -> exchange_pb2.LogQuery:
    return exchange_pb2.LogQuery(
        asked_by="xinyi://demo-city/auditor/person/zhao-min",
        purpose="annual audit 2019",
        party=BANK,
        kind="receipt.applied",
        product="grade-a",
        period=edition_pb2.Period(year=2019, month=4),
        from_ms=TIME,
        until_ms=TIME + 1,
        requested_at_ms=TIME,
        nonce=b"n" * 16,
    )


_WHOLE: Change = {"party": "", "kind": "", "product": "", "period": None, "from_ms": 0, "until_ms": 0}
QUERY: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("export", "", _WHOLE | {"export": True, "with_records": True}),
    ("by a machine", "query.asked_by", {"asked_by": MACHINE}),
    ("no purpose", "query.purpose", {"purpose": ""}),
    ("an identifier in the purpose", "text.identifier", {"purpose": f"dispute of {uscc().lower()}"}),
    ("a digest in the purpose", "", {"purpose": "entry " + b"e".hex() * 32}),
    ("party without city", "query.filters", {"party": "bank-1"}),
    ("kind in capitals", "query.filters", {"kind": "Receipt"}),
    ("ends before it begins", "query.time", {"until_ms": TIME - 1}),
    ("no time", "query.requested_at", {"requested_at_ms": 0}),
    ("no nonce", "query.nonce", {"nonce": b""}),
    ("export with a filter", "query.export", {"export": True}),
    ("records without export", "query.export", _WHOLE | {"with_records": True}),
]


def row_answer() -> edition_pb2.RowAnswer:
    return edition_pb2.RowAnswer(
        manifest_digest=b"m" * 32,
        rows=[7, 4711],
        outcome=edition_pb2.ROW_ANSWER_OUTCOME_MENDED,
        reason="the office had typed the code of another firm",
        answered_by=LI_WEI,
        answered_at_ms=TIME,
    )


ROW_ANSWER: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("of no edition", "answer.manifest_digest", {"manifest_digest": b""}),
    ("for no row", "answer.rows", {"rows": []}),
    ("for row 0", "answer.rows", {"rows": [0, 7]}),
    ("for a row twice", "answer.rows", {"rows": [7, 7]}),
    ("without outcome", "answer.outcome", {"outcome": 0}),
    ("without reason", "answer.reason", {"reason": ""}),
    ("an identifier in the reason", "text.identifier", {"reason": f"纳税人{uscc()}，已更正"}),
    ("by a machine", "answer.answered_by", {"answered_by": MACHINE}),
    ("no time", "answer.answered_at", {"answered_at_ms": 0}),
]


def watch() -> exchange_pb2.WatchRequest:
    return exchange_pb2.WatchRequest(
        recipient=BANK, products=["grade-a", "grade-all"], requested_at_ms=TIME, nonce=b"n" * 16
    )


WATCH: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("no recipient", "watch.recipient", {"recipient": ""}),
    ("no product", "watch.products", {"products": []}),
    ("product twice", "watch.products", {"products": ["grade-a", "grade-a"]}),
    ("product in capitals", "watch.products", {"products": ["Grade-A"]}),
    ("no time", "watch.requested_at", {"requested_at_ms": 0}),
    ("short nonce", "watch.nonce", {"nonce": b"n" * 15}),
]


def subject_query() -> exchange_pb2.SubjectQuery:
    return exchange_pb2.SubjectQuery(
        asked_by="xinyi://demo-city/auditor/person/zhao-min",
        purpose="the enterprise asked what was told of it",
        subject_commitment=checks.subject_commitment(b"s" * 32, uscc()),
        requested_at_ms=TIME,
        nonce=b"n" * 16,
    )


SUBJECT_QUERY: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("of one product", "", {"product": "grade-a"}),
    ("by a machine", "subject.asked_by", {"asked_by": MACHINE}),
    ("no purpose", "subject.purpose", {"purpose": ""}),
    (
        "an identifier in full width in the purpose",
        "text.identifier",
        {"purpose": uscc().translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})},
    ),
    ("no commitment", "subject.commitment", {"subject_commitment": b""}),
    ("product in capitals", "subject.product", {"product": "Grade-A"}),
    ("no time", "subject.requested_at", {"requested_at_ms": 0}),
    ("no nonce", "subject.nonce", {"nonce": b""}),
]


def objection() -> objection_pb2.Objection:
    return objection_pb2.Objection(
        number="2019-0007",
        origin=BUREAU,
        product="grade-a",
        manifest_digest=b"m" * 32,
        blinded_key=b"k" * 32,
        filed_on="2019-05-05",
        due_on="2019-05-24",
        term=objection_pb2.Term(
            nature=objection_pb2.TERM_NATURE_STATUTORY_DUTY,
            basis="国家税务总局公告2014年第40号",
            amount=15,
            unit=objection_pb2.TERM_UNIT_WORKING_DAYS,
            calendar="cn-2026.1",
        ),
        received_by=LI_WEI,
        received_at_ms=TIME,
    )


OBJECTION: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("number with a blank", "objection.number", {"number": "2019 7"}),
    ("an identifier as number", "text.identifier", {"number": uscc().lower()}),
    ("no origin", "objection.origin", {"origin": ""}),
    ("no product", "objection.product", {"product": ""}),
    ("of no edition", "objection.manifest_digest", {"manifest_digest": b""}),
    ("about no record", "objection.blinded_key", {"blinded_key": b"k"}),
    ("due before it was filed", "objection.dates", {"due_on": "2019-05-04"}),
    ("no date", "objection.dates", {"filed_on": ""}),
    ("term without article", "objection.term", {"term.basis": ""}),
    ("term of no day", "objection.term", {"term.amount": 0}),
    ("term that binds nobody", "objection.term", {"term.nature": 0}),
    ("working days by no calendar", "objection.term", {"term.calendar": ""}),
    ("calendar days by a calendar", "objection.term", {"term.unit": 2}),
    ("taken by a machine", "objection.received_by", {"received_by": f"xinyi://{BUREAU}/machine/main"}),
    ("taken by another party", "objection.received_by", {"received_by": f"xinyi://{BANK}/person/li-na"}),
    ("no time", "objection.received_at", {"received_at_ms": 0}),
]


def objection_decision() -> objection_pb2.ObjectionDecision:
    return objection_pb2.ObjectionDecision(
        objection=b"o" * 32,
        outcome=objection_pb2.OBJECTION_OUTCOME_UPHELD,
        correction=b"c" * 32,
        decided_by=f"xinyi://{BUREAU}/person/wang-fang",
        decided_at_ms=TIME,
    )


OBJECTION_DECISION: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("denied", "", {"outcome": 3, "correction": b""}),
    ("of no objection", "objection_decision.objection", {"objection": b""}),
    ("without outcome", "objection_decision.outcome", {"outcome": 0}),
    ("upheld, and nothing corrected", "objection_decision.correction", {"correction": b""}),
    ("denied, and corrected", "objection_decision.correction", {"outcome": 3}),
    ("by a machine", "objection_decision.decided_by", {"decided_by": MACHINE}),
    ("no time", "objection_decision.decided_at", {"decided_at_ms": 0}),
]


def notice() -> notice_pb2.ChangeNotice:
    return notice_pb2.ChangeNotice(
        number="2019-3",
        kind=notice_pb2.NOTICE_KIND_CERTIFICATE,
        effective_on="2019-09-01",
        text_zh="网关服务器证书更换",
        text_en="the gateway's server certificate changes",
        fingerprint=b"f" * 32,
        announced_at_ms=TIME,
    )


NOTICE: list[tuple[str, str, Change]] = [
    ("as it is", "", {}),
    ("contract", "", {"kind": 1, "fingerprint": b"", "replaces": "2019-2", "urgent": "a defect in what it replaces"}),
    ("no number", "notice.number", {"number": ""}),
    ("no kind", "notice.kind", {"kind": 0}),
    ("no date", "notice.effective_on", {"effective_on": "soon"}),
    ("no Chinese text", "notice.text", {"text_zh": ""}),
    ("an identifier in the Chinese text", "text.identifier", {"text_zh": f"{old_number()}的记录"}),
    ("no English text", "notice.text", {"text_en": ""}),
    ("certificate without fingerprint", "notice.fingerprint", {"fingerprint": b""}),
    ("fingerprint of a contract", "notice.fingerprint", {"kind": 1}),
    ("replaces itself", "notice.replaces", {"replaces": "2019-3"}),
    ("urgent, and a control character", "notice.urgent", {"urgent": "a\nb"}),
    ("no time", "notice.announced_at", {"announced_at_ms": 0}),
]

#: file → (a valid message, its check, cases)
FILES: dict[str, tuple[Callable[[], Message], Callable[[Any], None], list[tuple[str, str, Change]]]] = {
    "grade_record": (grade_record, checks.check_grade_record, GRADE_RECORD),
    "manifest": (manifest, checks.check_manifest, MANIFEST),
    "approval": (approval, checks.check_approval, APPROVAL),
    "hold_release": (
        _decision(edition_pb2.HoldRelease, "release", "released_by"),
        checks.check_hold_release,
        _decision_cases("release", "released_by"),
    ),
    "cancellation": (
        _decision(edition_pb2.Cancellation, "cancellation", "cancelled_by"),
        checks.check_cancellation,
        _decision_cases("cancellation", "cancelled_by"),
    ),
    "stop": (
        _decision(edition_pb2.Stop, "stop", "stopped_by"),
        checks.check_stop,
        _decision_cases("stop", "stopped_by"),
    ),
    "delivery": (delivery, checks.check_delivery, DELIVERY),
    "delivery_failure": (failure, checks.check_delivery_failure, FAILURE),
    "delivery_receipt": (receipt, checks.check_delivery_receipt, RECEIPT),
    "pull_request": (pull, checks.check_pull_request, PULL),
    "log_query": (query, checks.check_log_query, QUERY),
    "row_answer": (row_answer, checks.check_row_answer, ROW_ANSWER),
    "watch_request": (watch, checks.check_watch_request, WATCH),
    "subject_query": (subject_query, checks.check_subject_query, SUBJECT_QUERY),
    "objection": (objection, objections.check_objection, OBJECTION),
    "objection_decision": (objection_decision, objections.check_objection_decision, OBJECTION_DECISION),
    "change_notice": (notice, notices.check_change_notice, NOTICE),
    **lending.FILES,
}


def change(message: Message, field: str, value: Any) -> None:
    """Sets a field, also an inner one: "quality.rules.0.rows"."""
    *outer, last = field.split(".")
    place: Any = message
    for step in outer:
        place = place[int(step)] if step.isdigit() else getattr(place, step)
    if value is None:
        place.ClearField(last)
    elif isinstance(value, list):
        place.ClearField(last)
        getattr(place, last).extend(value)
    else:
        setattr(place, last, value)


def verdict(check: Callable[[Any], None], message: Message) -> str:
    try:
        check(message)
    except Invalid as error:
        return error.basis
    return ""


def text(name: str) -> str:
    """A vector file's content. Raises AssertionError where the checks do not agree with a case."""
    make, check, cases = FILES[name]
    written = []
    for title, rule, changes in cases:
        message = make()
        for field, value in changes.items():
            change(message, field, value)
        found = verdict(check, message)
        assert found == rule, (
            f"{name}, {title}: expected {rule or 'valid'!r}, the check says {found or 'valid'!r}"
        )
        written.append({
            "case": title,
            "rule": rule,
            "bytes": message.SerializeToString(deterministic=True).hex(),
            "json": json_format.MessageToDict(message, preserving_proto_field_name=True),
        })  # fmt: skip
    content = {"message": make().DESCRIPTOR.full_name, "cases": written}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    for file in FILES:
        (HERE / f"{file}.json").write_text(text(file), encoding="utf-8")
