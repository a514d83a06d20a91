"""What makes each message valid, for sender and receiver alike. Pure: the message alone decides.

Every check raises Invalid whose basis is the rule named in the .proto comments; proto/vectors holds the same
rules as JSON for other languages. What needs knowledge of the gateway (states, agreements, products) lies in
its rules, what needs hashing of records in `audit.records`. Explanations quote no taxpayer data.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from xinyi import identifiers
from xinyi.errors import Invalid
from xinyi.fields import (
    FIRST_YEAR,
    LAST_YEAR,
    check_date,
    check_digest,
    check_holder,
    check_name,
    check_nonce,
    check_party,
    check_period,
    check_rule,
    check_sentence,
    check_time,
    is_rule,
    is_text,
    require,
)
from xinyi.grade_columns import Decision, GradeColumns
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

CHUNK_RECORDS = 1024
MAX_RECORDS = 16_777_216
#: How far the clocks of two machines may differ.
CLOCKS_MS = 5 * 60_000
MAX_ISSUES = 10_000
MAX_NAMES = 16
MAX_TAX_OFFICES = 64
MAX_TEXT = 200
MAX_CODE = 100
RECORD_SCHEMA = "xinyi.v1.GradeRecord"

_RULE_SET = re.compile(r"[a-z0-9-]+/[0-9]+")
_ENCODING = re.compile(r"[a-z0-9_.:-]{1,40}")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
#: In lines of one text each: a control sign, or a blank at either end of a line.
_UNCLEAN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]|\A\s|\n\s|\s\n|\s\Z")

_USCC = records_pb2.IDENTIFIER_KIND_USCC
_OLD = records_pb2.IDENTIFIER_KIND_OLD_TAXPAYER_NUMBER
_REGISTRATION = records_pb2.IDENTIFIER_KIND_REGISTRATION_NUMBER
_HOLDS = {
    _USCC: identifiers.is_uscc,
    _OLD: identifiers.is_old_taxpayer_number,
    _REGISTRATION: identifiers.is_registration_number,
}
_GONE = {"taxpayer_id", "identifier_kind", "gone"}
_GRADES = frozenset(records_pb2.Grade.values()) - {records_pb2.GRADE_UNSPECIFIED}
_DECISION_KINDS = frozenset(records_pb2.DecisionKind.values())
_FULL = edition_pb2.EDITION_KIND_FULL
_EDITION_KINDS = frozenset(edition_pb2.EditionKind.values()) - {edition_pb2.EDITION_KIND_UNSPECIFIED}
_OUTCOMES = frozenset(edition_pb2.RowOutcome.values()) - {edition_pb2.ROW_OUTCOME_UNSPECIFIED}
_ANSWERS = frozenset(edition_pb2.RowAnswerOutcome.values()) - {edition_pb2.ROW_ANSWER_OUTCOME_UNSPECIFIED}
_CLASSES = frozenset(exchange_pb2.DisclosureClass.values()) - {exchange_pb2.DISCLOSURE_CLASS_UNSPECIFIED}
_GROUNDS = frozenset(exchange_pb2.DeliveryGround.values()) - {exchange_pb2.DELIVERY_GROUND_UNSPECIFIED}
_STAGES = frozenset(exchange_pb2.ReceiptStage.values()) - {exchange_pb2.RECEIPT_STAGE_UNSPECIFIED}


# Records


def check_grade_records(records: GradeColumns) -> None:
    """Every record of a chunk, by columns where all is well: a tenth of the time of one after the other.

    Raises Invalid for the first record that breaks a rule, naming its place in the chunk.
    """
    require(1 <= records.size <= CHUNK_RECORDS, "chunk.records", f"a chunk has 1 to {CHUNK_RECORDS} records")
    if _surely_valid(records):
        return
    for place in range(records.size):
        try:
            check_grade_record(records.record(place))
        except Invalid as error:
            raise Invalid(f"record {place} of the chunk: {error.explanation}", basis=error.basis) from None


def _surely_valid(records: GradeColumns) -> bool:
    """True only where every record passes check_grade_record; False says nothing."""
    if identifiers.find_wrong_usccs(records.identifiers):
        return False
    if not all(map(_is_decision, set(records.decisions))):
        return False
    if records.names:
        lengths = set(map(len, records.names))
        # One look at all names: the separator is the one control sign that may stand between them.
        together = "\n".join(records.names)
        if not 1 <= min(lengths) <= max(lengths) <= MAX_TEXT:
            return False
        if _UNCLEAN.search(together) or together.count("\n") != len(records.names) - 1:
            return False
    return all(map(_is_record, records.others.values()))


@lru_cache(maxsize=65_536)  # one object for equal bytes
def _is_decision(decision: Decision) -> bool:
    try:
        _check_decision(decision.record)
    except Invalid:
        return False
    return True


def _is_record(record: records_pb2.GradeRecord) -> bool:
    try:
        check_grade_record(record)
    except Invalid:
        return False
    return True


def check_grade_record(record: records_pb2.GradeRecord) -> None:
    kind = record.identifier_kind
    require(kind in _HOLDS, "grade.id_kind", "the kind of identifier is missing or unknown")
    require(_HOLDS[kind](record.taxpayer_id), "grade.id", "the identifier does not hold as one of its kind")
    if record.gone:
        told = {field.name for field, _ in record.ListFields()}
        require(told <= _GONE, "grade.gone", "of a taxpayer that is gone nothing but its identifier is told")
        return
    require(len(record.names) > 0, "grade.names", "no name")
    _check_texts(record.names, MAX_NAMES, "grade.names")
    _check_decision(record)


def _check_decision(record: records_pb2.GradeRecord) -> None:
    """Everything but identifier and names."""
    require(not record.gone, "grade.gone", "of a taxpayer that is gone nothing but its identifier is told")
    _check_texts(record.tax_offices, MAX_TAX_OFFICES, "grade.tax_offices")
    year = record.evaluation_year
    require(FIRST_YEAR <= year <= LAST_YEAR, "grade.year", "no evaluation year")
    require(record.grade in _GRADES, "grade.grade", "the grade is missing or unknown")
    require(record.decision_kind in _DECISION_KINDS, "grade.decision_kind", "unknown kind of decision")
    if record.decided_on:
        check_date(record.decided_on, "grade.decided_on")
    for date in filter(None, (record.valid_from, record.valid_to)):
        check_date(date, "grade.validity")
    if record.valid_from and record.valid_to:
        require(record.valid_from <= record.valid_to, "grade.validity", "the validity ends before it begins")


def _check_texts(texts: Sequence[str], most: int, basis: str) -> None:
    require(len(texts) <= most, basis, f"{len(texts)} texts; at most {most}")
    previous = ""
    for text in texts:
        require(
            is_text(text, MAX_TEXT),
            basis,
            "a text is empty, too long or not clean (control signs, outer blanks)",
        )
        require(text > previous, basis, "texts are not strictly ascending")
        previous = text


# Documents of the bureau


def check_manifest(manifest: edition_pb2.Manifest) -> None:
    """All but the tree itself (audit.records.check_manifest_tree)."""
    check_party(manifest.origin, "manifest.origin")
    check_holder(manifest.issued_by, "manifest.issued_by", party=manifest.origin)
    check_name(manifest.product, "manifest.product")
    check_period(manifest.period, "manifest.period")
    require(manifest.kind in _EDITION_KINDS, "manifest.kind", "the kind of edition is missing or unknown")
    require(manifest.sequence >= 1, "manifest.sequence", "sequences begin with 1")
    first = manifest.sequence == 1
    require(
        len(manifest.predecessor) == (0 if first else 32) and (manifest.kind == _FULL or not first),
        "manifest.predecessor",
        "the first edition is a FULL and has no predecessor, every other has one",
    )
    require(manifest.record_schema == RECORD_SCHEMA, "manifest.record_schema", f"known: {RECORD_SCHEMA}")
    count = manifest.record_count
    least = 0 if manifest.kind == edition_pb2.EDITION_KIND_DELTA else 1
    require(least <= count <= MAX_RECORDS, "manifest.record_count", f"{least} to {MAX_RECORDS} records are allowed")
    check_digest(manifest.root, "manifest.root")
    require(
        len(manifest.chunk_roots) == -(-count // CHUNK_RECORDS)
        and all(len(root) == 32 for root in manifest.chunk_roots),
        "manifest.chunk_roots",
        f"one root of 32 bytes for each {CHUNK_RECORDS} records",
    )
    check_digest(manifest.blinding_key_commitment, "manifest.blinding_key_commitment")
    source = manifest.source
    require(
        len(source.sha256) == 32
        and len(source.profile_sha256) == 32
        and source.size_bytes > 0
        and _ENCODING.fullmatch(source.encoding) is not None,
        "manifest.source",
        "the source file is not described",
    )
    _check_state(manifest)
    _check_quality(manifest)
    grades = [c.grade for c in manifest.grade_counts]
    require(
        _GRADES.issuperset(grades)
        and all(a < b for a, b in pairwise(grades))
        and all(c.records > 0 for c in manifest.grade_counts)
        and sum(c.records for c in manifest.grade_counts) == count - manifest.gone_count,
        "manifest.grade_counts",
        "the counts by grade do not add up to the records",
    )
    check_time(manifest.issued_at_ms, "manifest.issued_at")
    _check_comparison(manifest)
    _check_correction(manifest)


def _check_state(manifest: edition_pb2.Manifest) -> None:
    """What the records come to after this edition."""
    check_digest(manifest.state_root, "manifest.state_root")
    full, count, gone = manifest.kind == _FULL, manifest.record_count, manifest.gone_count
    require(gone <= (0 if full else count), "manifest.gone_count", "more are gone than there are records")
    require(
        manifest.state_count == count if full else 1 <= manifest.state_count <= MAX_RECORDS,
        "manifest.state_count",
        f"1 to {MAX_RECORDS} records are left; in a FULL, its own",
    )
    wanted = {
        _FULL: {edition_pb2.SOURCE_COVERAGE_WHOLE},
        edition_pb2.EDITION_KIND_DELTA: {edition_pb2.SOURCE_COVERAGE_WHOLE, edition_pb2.SOURCE_COVERAGE_CHANGES},
        edition_pb2.EDITION_KIND_CORRECTION: {edition_pb2.SOURCE_COVERAGE_CHANGES},
    }[manifest.kind]
    require(
        manifest.source.coverage in wanted,
        "manifest.coverage",
        "a FULL comes from a whole file, a CORRECTION from a file of changes",
    )


def _check_comparison(manifest: edition_pb2.Manifest) -> None:
    basis = "manifest.comparison"
    if not manifest.HasField("comparison"):
        require(manifest.kind == _FULL, basis, "it is not said how this differs from the preceding edition")
        return
    c, first = manifest.comparison, manifest.sequence == 1
    require(
        not first and c.added + c.renamed + c.changed + c.unchanged == manifest.state_count,
        basis,
        "the comparison does not add up to the records",
    )
    if manifest.kind == _FULL:
        return
    told = c.added + c.renamed + c.changed
    require(told == manifest.record_count - manifest.gone_count, basis, "not every record is a change")
    # What a CORRECTION takes back may have gone before.
    least = manifest.gone_count if manifest.kind == edition_pb2.EDITION_KIND_DELTA else 0
    require(least <= c.gone <= manifest.gone_count, basis, "it is another number of taxpayers that is gone")


def _check_correction(manifest: edition_pb2.Manifest) -> None:
    if manifest.kind == edition_pb2.EDITION_KIND_CORRECTION:
        check_digest(manifest.corrects, "manifest.corrects")
        check_sentence(manifest.reason, "manifest.reason")
        return
    require(not manifest.corrects, "manifest.corrects", "only a CORRECTION corrects an edition")
    require(not manifest.reason, "manifest.reason", "only a CORRECTION tells what was wrong")


def _check_quality(manifest: edition_pb2.Manifest) -> None:
    quality = manifest.quality
    outcomes = quality.accepted, quality.warned, quality.quarantined, quality.rejected, quality.withheld
    whole = manifest.source.coverage == edition_pb2.SOURCE_COVERAGE_WHOLE
    delta = manifest.kind == edition_pb2.EDITION_KIND_DELTA
    require(
        quality.rows == sum(outcomes) and _RULE_SET.fullmatch(quality.rule_set) is not None,
        "manifest.quality",
        "the outcomes do not add up to the rows, or the rule set is not named",
    )
    require(
        not (quality.unchanged and whole) and (not quality.kept or (whole and delta)),
        "manifest.quality",
        "a file of changes has unchanged rows, and only a DELTA from a whole file keeps records",
    )
    taken = quality.accepted + quality.warned - quality.merged
    if whole:
        basis = "manifest.record_count" if manifest.kind == _FULL else "manifest.state_count"
        require(
            manifest.state_count == taken + quality.kept,
            basis,
            "the records are not the accepted and warned rows less the merged ones, and those kept",
        )
    else:
        require(
            manifest.record_count == taken - quality.unchanged,
            "manifest.record_count",
            "the records are not the accepted and warned rows less the merged and unchanged ones",
        )
    _check_rules(quality.rules, "manifest.quality_rules", most=quality.rows)


def _check_rules(rules: Iterable[edition_pb2.RuleCount], basis: str, *, most: int) -> None:
    previous: tuple[str, int] = ("", 0)
    for count in rules:
        check_rule(count.rule, basis)
        require(count.outcome in _OUTCOMES, basis, "the outcome is missing or unknown")
        require(1 <= count.rows <= most, basis, f"a rule counts 1 to {most} rows")
        require((count.rule, count.outcome) > previous, basis, "rules are not strictly ascending")
        previous = (count.rule, count.outcome)


def check_approval(approval: edition_pb2.Approval) -> None:
    """That the approver is another person than the publisher shows beside the manifest only."""
    check_digest(approval.manifest_digest, "approval.manifest_digest")
    check_party(approval.origin, "approval.origin")
    check_holder(approval.approved_by, "approval.approved_by", party=approval.origin, person=True)
    check_time(approval.approved_at_ms, "approval.approved_at")


def check_hold_release(release: edition_pb2.HoldRelease) -> None:
    check_digest(release.manifest_digest, "release.manifest_digest")
    check_holder(release.released_by, "release.released_by", person=True)
    check_sentence(release.reason, "release.reason")
    check_time(release.released_at_ms, "release.released_at")


def check_cancellation(cancellation: edition_pb2.Cancellation) -> None:
    check_digest(cancellation.manifest_digest, "cancellation.manifest_digest")
    check_holder(cancellation.cancelled_by, "cancellation.cancelled_by", person=True)
    check_sentence(cancellation.reason, "cancellation.reason")
    check_time(cancellation.cancelled_at_ms, "cancellation.cancelled_at")


def check_stop(stop: edition_pb2.Stop) -> None:
    check_digest(stop.manifest_digest, "stop.manifest_digest")
    check_holder(stop.stopped_by, "stop.stopped_by", person=True)
    check_sentence(stop.reason, "stop.reason")
    check_time(stop.stopped_at_ms, "stop.stopped_at")


def check_row_answer(answer: edition_pb2.RowAnswer) -> None:
    check_digest(answer.manifest_digest, "answer.manifest_digest")
    require(
        1 <= len(answer.rows) <= MAX_ISSUES and answer.rows[0] >= 1 and all(a < b for a, b in pairwise(answer.rows)),
        "answer.rows",
        f"1 to {MAX_ISSUES} row numbers, strictly ascending",
    )
    require(answer.outcome in _ANSWERS, "answer.outcome", "it is not said what becomes of the rows")
    check_sentence(answer.reason, "answer.reason")
    check_holder(answer.answered_by, "answer.answered_by", person=True)
    check_time(answer.answered_at_ms, "answer.answered_at")


# Documents of the gateway, the banks, the auditors


def check_delivery(delivery: exchange_pb2.Delivery) -> None:
    check_party(delivery.recipient, "delivery.recipient")
    check_digest(delivery.manifest_digest, "delivery.manifest_digest")
    require(
        delivery.delivery_id == delivery_id(delivery.manifest_digest, delivery.recipient),
        "delivery.delivery_id",
        "the delivery id does not follow from manifest and recipient",
    )
    check_digest(delivery.approval_digest, "delivery.approval_digest")
    check_name(delivery.product, "delivery.product")
    check_period(delivery.period, "delivery.period")
    require(is_text(delivery.agreement_id, 100), "delivery.agreement_id", "no agreement")
    require(delivery.disclosure_class in _CLASSES, "delivery.disclosure_class", "no known disclosure class")
    check_time(delivery.offered_at_ms, "delivery.offered_at")
    check_time(delivery.expires_at_ms, "delivery.expires_at")
    require(delivery.expires_at_ms > delivery.offered_at_ms, "delivery.expires_at", "ends before it begins")
    require(delivery.ground in _GROUNDS, "delivery.ground", "it is not said what the delivery rests on")
    _check_disputes(delivery.disputes)


def _check_disputes(marks: Sequence[exchange_pb2.DisputeMark]) -> None:
    basis = "delivery.disputes"
    require(len(marks) <= MAX_ISSUES, basis, f"at most {MAX_ISSUES} records are marked")
    previous = b""
    for mark in marks:
        check_digest(mark.blinded_key, basis)
        check_digest(mark.objection, basis)
        check_date(mark.filed_on, basis)
        check_date(mark.due_on, basis)
        require(mark.blinded_key > previous, basis, "marks are not strictly ascending")
        previous = mark.blinded_key


def delivery_id(manifest_digest: bytes, recipient: str) -> str:
    """The same wherever it is computed: hex SHA-256(manifest digest ‖ NUL ‖ recipient)."""
    return hashlib.sha256(manifest_digest + b"\0" + recipient.encode()).hexdigest()


def check_delivery_failure(failure: exchange_pb2.DeliveryFailure) -> None:
    check_party(failure.recipient, "failure.recipient")
    check_digest(failure.manifest_digest, "failure.manifest_digest")
    require(
        failure.delivery_id == delivery_id(failure.manifest_digest, failure.recipient),
        "failure.delivery_id",
        "the delivery id does not follow from manifest and recipient",
    )
    require(failure.attempts >= 1, "failure.attempts", "nothing is given up before it was tried")
    require(is_code(failure.code), "failure.code", "no code of an error")
    check_time(failure.failed_at_ms, "failure.failed_at")


def is_code(text: str) -> bool:
    """A code of ours, or the name of a rule: lower-case words with dots. What a peer says may be anything."""
    return len(text) <= MAX_CODE and is_rule(text)


def is_delivery_id(text: str) -> bool:
    """Whether a delivery can have this id: 64 lower-case hex digits."""
    return _HEX_DIGEST.fullmatch(text) is not None


def check_receipt_time(signed_at_ms: int, *, offered_at_ms: int, arrived_at_ms: int) -> None:
    """A receipt is signed between its Delivery's offer and its arrival, by clocks that differ by CLOCKS_MS at most."""
    basis, mend = "receipt.time", "set the signing machine's clock, and sign anew (xinyi-bank confirm does)"
    require(signed_at_ms >= offered_at_ms - CLOCKS_MS, basis, f"it is dated before its Delivery: {mend}")
    require(signed_at_ms <= arrived_at_ms + CLOCKS_MS, basis, f"it is dated after its arrival: {mend}")


def check_delivery_receipt(receipt: exchange_pb2.DeliveryReceipt) -> None:
    require(is_delivery_id(receipt.delivery_id), "receipt.delivery_id", "no delivery id")
    check_digest(receipt.delivery_digest, "receipt.delivery_digest")
    check_digest(receipt.manifest_digest, "receipt.manifest_digest")
    require(receipt.stage in _STAGES, "receipt.stage", "the stage is missing or unknown")
    stage = exchange_pb2.ReceiptStage.Name(receipt.stage).removeprefix("RECEIPT_STAGE_")
    if stage != "REJECTED" or receipt.root:
        check_digest(receipt.root, "receipt.root")
    counts_hold = {
        "ACCEPTED": receipt.rejected == 0,
        "PARTIAL": receipt.rejected > 0,
        "REJECTED": receipt.accepted == 0 and len(receipt.rules) > 0,
    }
    require(counts_hold.get(stage, True), "receipt.counts", f"these counts or rules cannot be {stage}")
    require(
        len(receipt.issues) <= MAX_ISSUES and (stage in ("PARTIAL", "REJECTED") or not receipt.issues),
        "receipt.issues",
        f"at most {MAX_ISSUES} issues, and none on a receipt {stage}",
    )
    previous = (b"", "")
    for issue in receipt.issues:
        check_digest(issue.blinded_key, "receipt.issues")
        check_rule(issue.rule, "receipt.issues")
        require((issue.blinded_key, issue.rule) > previous, "receipt.issues", "issues are not ascending")
        previous = (issue.blinded_key, issue.rule)
    _check_rules(receipt.rules, "receipt.rules", most=MAX_RECORDS)
    check_holder(receipt.signed_by, "receipt.signed_by")
    check_time(receipt.signed_at_ms, "receipt.signed_at")


def check_pull_request(request: exchange_pb2.PullRequest) -> None:
    check_party(request.recipient, "pull.recipient")
    check_name(request.product, "pull.product")
    require(len(request.last_held) in (0, 32), "pull.last_held", "a digest has 32 bytes")
    check_time(request.requested_at_ms, "pull.requested_at")
    check_nonce(request.nonce, "pull.nonce")


def check_watch_request(request: exchange_pb2.WatchRequest) -> None:
    check_party(request.recipient, "watch.recipient")
    products = request.products
    require(len(products) > 0, "watch.products", "no product is named")
    require(all(a < b for a, b in pairwise(products)), "watch.products", "products are not strictly ascending")
    for product in products:
        check_name(product, "watch.products")
    check_time(request.requested_at_ms, "watch.requested_at")
    check_nonce(request.nonce, "watch.nonce")


def check_log_query(query: exchange_pb2.LogQuery) -> None:
    check_holder(query.asked_by, "query.asked_by", person=True)
    check_sentence(query.purpose, "query.purpose")
    if query.party:
        check_party(query.party, "query.filters")
    if query.kind:
        require(is_rule(query.kind), "query.filters", "no kind of entry")
    if query.product:
        check_name(query.product, "query.filters")
    if query.HasField("period"):
        check_period(query.period, "query.filters")
    require(not query.until_ms or query.from_ms <= query.until_ms, "query.time", "ends before it begins")
    check_time(query.requested_at_ms, "query.requested_at")
    check_nonce(query.nonce, "query.nonce")
    times = query.from_ms or query.until_ms
    filtered = query.party or query.kind or query.product or query.HasField("period") or times
    require(not (query.export and filtered), "query.export", "an export is of the whole log")
    require(query.export or not query.with_records, "query.export", "records come with an export only")


def subject_commitment(salt: bytes, identifier: str) -> bytes:
    """Of a SubjectQuery. Args: salt — 32 random bytes; identifier — normalised."""
    return hashlib.sha256(b"xinyi-subject-v1\0" + salt + identifier.encode()).digest()


def check_subject_query(query: exchange_pb2.SubjectQuery) -> None:
    """That it is about the identifier beside it shows by `subject_commitment`."""
    check_holder(query.asked_by, "subject.asked_by", person=True)
    check_sentence(query.purpose, "subject.purpose")
    check_digest(query.subject_commitment, "subject.commitment")
    if query.product:
        check_name(query.product, "subject.product")
    check_time(query.requested_at_ms, "subject.requested_at")
    check_nonce(query.nonce, "subject.nonce")
