"""What makes each message valid, for sender and receiver alike. Pure: the message alone decides.

Every check raises Invalid whose basis is the rule named in the .proto comments; proto/vectors holds the same
rules as JSON for other languages. What needs knowledge of the gateway (states, agreements, products) lies in
its rules, what needs hashing of records in `audit.records`. Explanations quote no taxpayer data.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

from xinyi import identifiers
from xinyi.errors import Invalid
from xinyi.grade_columns import Decision, GradeColumns
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

CHUNK_RECORDS = 1024
MAX_RECORDS = 16_777_216
MAX_ISSUES = 10_000
MAX_NAMES = 16
MAX_TAX_OFFICES = 64
MAX_TEXT = 200
MAX_CODE = 100
RECORD_SCHEMA = "xinyi.v1.GradeRecord"
FIRST_YEAR, LAST_YEAR = 2014, 2100

# 2014-01-01 and 2101-01-01 UTC: a time outside is in another unit or from a broken clock.
_FIRST_MS, _LAST_MS = 1_388_534_400_000, 4_133_980_800_000

_WORD = r"[a-z0-9]+(?:-[a-z0-9]+)*"
_PARTY = re.compile(rf"{_WORD}/{_WORD}")
_HOLDER = re.compile(rf"xinyi://({_WORD}/{_WORD})/(machine|person)/{_WORD}")
_PRODUCT = re.compile(_WORD)
_RULE = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)*")
_RULE_SET = re.compile(r"[a-z0-9-]+/[0-9]+")
_ENCODING = re.compile(r"[a-z0-9_.:-]{1,40}")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
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
_GRADES = frozenset(records_pb2.Grade.values()) - {records_pb2.GRADE_UNSPECIFIED}
_DECISION_KINDS = frozenset(records_pb2.DecisionKind.values())
_EDITION_KINDS = frozenset(edition_pb2.EditionKind.values()) - {edition_pb2.EDITION_KIND_UNSPECIFIED}
_OUTCOMES = frozenset(edition_pb2.RowOutcome.values()) - {edition_pb2.ROW_OUTCOME_UNSPECIFIED}
_CLASSES = frozenset(exchange_pb2.DisclosureClass.values()) - {exchange_pb2.DISCLOSURE_CLASS_UNSPECIFIED}
_STAGES = frozenset(exchange_pb2.ReceiptStage.values()) - {exchange_pb2.RECEIPT_STAGE_UNSPECIFIED}


def _require(holds: bool, basis: str, explanation: str) -> None:
    if not holds:
        raise Invalid(explanation, basis=basis)


# Records


def check_grade_records(records: GradeColumns) -> None:
    """Every record of a chunk, by columns where all is well: a tenth of the time of one after the other.

    Raises Invalid for the first record that breaks a rule, naming its place in the chunk.
    """
    _require(1 <= records.size <= CHUNK_RECORDS, "chunk.records", f"a chunk has 1 to {CHUNK_RECORDS} records")
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
    _require(kind in _HOLDS, "grade.id_kind", "the kind of identifier is missing or unknown")
    _require(_HOLDS[kind](record.taxpayer_id), "grade.id", "the identifier does not hold as one of its kind")
    _require(len(record.names) > 0, "grade.names", "no name")
    _check_texts(record.names, MAX_NAMES, "grade.names")
    _check_decision(record)


def _check_decision(record: records_pb2.GradeRecord) -> None:
    """Everything but identifier and names."""
    _check_texts(record.tax_offices, MAX_TAX_OFFICES, "grade.tax_offices")
    year = record.evaluation_year
    _require(FIRST_YEAR <= year <= LAST_YEAR, "grade.year", "no evaluation year")
    _require(record.grade in _GRADES, "grade.grade", "the grade is missing or unknown")
    _require(record.decision_kind in _DECISION_KINDS, "grade.decision_kind", "unknown kind of decision")
    _check_date(record.decided_on, "grade.decided_on")
    _check_date(record.valid_from, "grade.validity")
    _check_date(record.valid_to, "grade.validity")
    if record.valid_from and record.valid_to:
        _require(record.valid_from <= record.valid_to, "grade.validity", "the validity ends before it begins")


def _check_texts(texts: Sequence[str], most: int, basis: str) -> None:
    _require(len(texts) <= most, basis, f"{len(texts)} texts; at most {most}")
    previous = ""
    for text in texts:
        _require(
            is_text(text, MAX_TEXT),
            basis,
            "a text is empty, too long or not clean (control signs, outer blanks)",
        )
        _require(text > previous, basis, "texts are not strictly ascending")
        previous = text


def is_text(text: str, most: int) -> bool:
    """1 to `most` characters, none of them a control character, no outer blanks."""
    return 0 < len(text) <= most and text.strip() == text and not _CONTROL.search(text)


def _check_date(date: str, basis: str) -> None:
    if date:
        try:
            datetime.date.fromisoformat(date)
        except ValueError:
            raise Invalid("not a calendar date", basis=basis) from None
        _require(_DATE.fullmatch(date) is not None, basis, "a date is not written YYYY-MM-DD")


# Documents of the bureau


def check_manifest(manifest: edition_pb2.Manifest) -> None:
    """All but the tree itself (audit.records.check_manifest_tree)."""
    _check_party(manifest.origin, "manifest.origin")
    _check_holder(manifest.issued_by, "manifest.issued_by", party=manifest.origin)
    _check_product(manifest.product, "manifest.product")
    _check_period(manifest.period, "manifest.period")
    _require(manifest.kind in _EDITION_KINDS, "manifest.kind", "the kind of edition is missing or unknown")
    _require(manifest.sequence >= 1, "manifest.sequence", "sequences begin with 1")
    first = manifest.sequence == 1
    _require(
        len(manifest.predecessor) == (0 if first else 32),
        "manifest.predecessor",
        "the first edition has no predecessor, every other has one",
    )
    _require(manifest.record_schema == RECORD_SCHEMA, "manifest.record_schema", f"known: {RECORD_SCHEMA}")
    count = manifest.record_count
    _require(1 <= count <= MAX_RECORDS, "manifest.record_count", f"1 to {MAX_RECORDS} records are allowed")
    _check_digest(manifest.root, "manifest.root")
    _require(
        len(manifest.chunk_roots) == -(-count // CHUNK_RECORDS)
        and all(len(root) == 32 for root in manifest.chunk_roots),
        "manifest.chunk_roots",
        f"one root of 32 bytes for each {CHUNK_RECORDS} records",
    )
    _check_digest(manifest.blinding_key_commitment, "manifest.blinding_key_commitment")
    source = manifest.source
    _require(
        len(source.sha256) == 32
        and len(source.profile_sha256) == 32
        and source.size_bytes > 0
        and _ENCODING.fullmatch(source.encoding) is not None,
        "manifest.source",
        "the source file is not described",
    )
    _check_quality(manifest.quality, count)
    grades = [c.grade for c in manifest.grade_counts]
    _require(
        _GRADES.issuperset(grades)
        and all(a < b for a, b in pairwise(grades))
        and all(c.records > 0 for c in manifest.grade_counts)
        and sum(c.records for c in manifest.grade_counts) == count,
        "manifest.grade_counts",
        "the counts by grade do not add up to the records",
    )
    _check_time(manifest.issued_at_ms, "manifest.issued_at")
    if manifest.HasField("comparison"):
        c = manifest.comparison
        _require(
            not first and c.added + c.renamed + c.changed + c.unchanged == count,
            "manifest.comparison",
            "the comparison does not add up to the records",
        )


def _check_quality(quality: edition_pb2.Quality, records: int) -> None:
    outcomes = quality.accepted, quality.warned, quality.quarantined, quality.rejected, quality.withheld
    _require(
        quality.rows == sum(outcomes) and _RULE_SET.fullmatch(quality.rule_set) is not None,
        "manifest.quality",
        "the outcomes do not add up to the rows, or the rule set is not named",
    )
    _require(
        records == quality.accepted + quality.warned - quality.merged,
        "manifest.record_count",
        "the records are not the accepted and warned rows less the merged ones",
    )
    _check_rules(quality.rules, "manifest.quality_rules", most=quality.rows)


def _check_rules(rules: Iterable[edition_pb2.RuleCount], basis: str, *, most: int) -> None:
    previous: tuple[str, int] = ("", 0)
    for count in rules:
        _check_rule(count.rule, basis)
        _require(count.outcome in _OUTCOMES, basis, "the outcome is missing or unknown")
        _require(1 <= count.rows <= most, basis, f"a rule counts 1 to {most} rows")
        _require((count.rule, count.outcome) > previous, basis, "rules are not strictly ascending")
        previous = (count.rule, count.outcome)


def check_approval(approval: edition_pb2.Approval) -> None:
    """That the approver is another person than the publisher shows beside the manifest only."""
    _check_digest(approval.manifest_digest, "approval.manifest_digest")
    _check_party(approval.origin, "approval.origin")
    _check_holder(approval.approved_by, "approval.approved_by", party=approval.origin, person=True)
    _check_time(approval.approved_at_ms, "approval.approved_at")


def check_hold_release(release: edition_pb2.HoldRelease) -> None:
    _check_digest(release.manifest_digest, "release.manifest_digest")
    _check_holder(release.released_by, "release.released_by", person=True)
    _check_sentence(release.reason, "release.reason")
    _check_time(release.released_at_ms, "release.released_at")


def check_cancellation(cancellation: edition_pb2.Cancellation) -> None:
    _check_digest(cancellation.manifest_digest, "cancellation.manifest_digest")
    _check_holder(cancellation.cancelled_by, "cancellation.cancelled_by", person=True)
    _check_sentence(cancellation.reason, "cancellation.reason")
    _check_time(cancellation.cancelled_at_ms, "cancellation.cancelled_at")


def check_stop(stop: edition_pb2.Stop) -> None:
    _check_digest(stop.manifest_digest, "stop.manifest_digest")
    _check_holder(stop.stopped_by, "stop.stopped_by", person=True)
    _check_sentence(stop.reason, "stop.reason")
    _check_time(stop.stopped_at_ms, "stop.stopped_at")


# Documents of the gateway, the banks, the auditors


def check_delivery(delivery: exchange_pb2.Delivery) -> None:
    _check_party(delivery.recipient, "delivery.recipient")
    _check_digest(delivery.manifest_digest, "delivery.manifest_digest")
    _require(
        delivery.delivery_id == delivery_id(delivery.manifest_digest, delivery.recipient),
        "delivery.delivery_id",
        "the delivery id does not follow from manifest and recipient",
    )
    _check_digest(delivery.approval_digest, "delivery.approval_digest")
    _check_product(delivery.product, "delivery.product")
    _check_period(delivery.period, "delivery.period")
    _require(is_text(delivery.agreement_id, 100), "delivery.agreement_id", "no agreement")
    _require(delivery.disclosure_class in _CLASSES, "delivery.disclosure_class", "no known disclosure class")
    _check_time(delivery.offered_at_ms, "delivery.offered_at")
    _check_time(delivery.expires_at_ms, "delivery.expires_at")
    _require(delivery.expires_at_ms > delivery.offered_at_ms, "delivery.expires_at", "ends before it begins")


def delivery_id(manifest_digest: bytes, recipient: str) -> str:
    """The same wherever it is computed: hex SHA-256(manifest digest ‖ NUL ‖ recipient)."""
    return hashlib.sha256(manifest_digest + b"\0" + recipient.encode()).hexdigest()


def check_delivery_failure(failure: exchange_pb2.DeliveryFailure) -> None:
    _check_party(failure.recipient, "failure.recipient")
    _check_digest(failure.manifest_digest, "failure.manifest_digest")
    _require(
        failure.delivery_id == delivery_id(failure.manifest_digest, failure.recipient),
        "failure.delivery_id",
        "the delivery id does not follow from manifest and recipient",
    )
    _require(failure.attempts >= 1, "failure.attempts", "nothing is given up before it was tried")
    _require(is_code(failure.code), "failure.code", "no code of an error")
    _check_time(failure.failed_at_ms, "failure.failed_at")


def is_code(text: str) -> bool:
    """A code of ours, or the name of a rule: lower-case words with dots. What a peer says may be anything."""
    return len(text) <= MAX_CODE and _RULE.fullmatch(text) is not None


def is_delivery_id(text: str) -> bool:
    """Whether a delivery can have this id: 64 lower-case hex digits."""
    return _HEX_DIGEST.fullmatch(text) is not None


def check_delivery_receipt(receipt: exchange_pb2.DeliveryReceipt) -> None:
    _require(is_delivery_id(receipt.delivery_id), "receipt.delivery_id", "no delivery id")
    _check_digest(receipt.delivery_digest, "receipt.delivery_digest")
    _check_digest(receipt.manifest_digest, "receipt.manifest_digest")
    _require(receipt.stage in _STAGES, "receipt.stage", "the stage is missing or unknown")
    stage = exchange_pb2.ReceiptStage.Name(receipt.stage).removeprefix("RECEIPT_STAGE_")
    if stage != "REJECTED" or receipt.root:
        _check_digest(receipt.root, "receipt.root")
    counts_hold = {
        "ACCEPTED": receipt.rejected == 0,
        "PARTIAL": receipt.rejected > 0,
        "REJECTED": receipt.accepted == 0 and len(receipt.rules) > 0,
    }
    _require(counts_hold.get(stage, True), "receipt.counts", f"these counts or rules cannot be {stage}")
    _require(
        len(receipt.issues) <= MAX_ISSUES and (stage in ("PARTIAL", "REJECTED") or not receipt.issues),
        "receipt.issues",
        f"at most {MAX_ISSUES} issues, and none on a receipt {stage}",
    )
    previous = (b"", "")
    for issue in receipt.issues:
        _check_digest(issue.blinded_key, "receipt.issues")
        _check_rule(issue.rule, "receipt.issues")
        _require((issue.blinded_key, issue.rule) > previous, "receipt.issues", "issues are not ascending")
        previous = (issue.blinded_key, issue.rule)
    _check_rules(receipt.rules, "receipt.rules", most=MAX_RECORDS)
    _check_holder(receipt.signed_by, "receipt.signed_by")
    _check_time(receipt.signed_at_ms, "receipt.signed_at")


def check_pull_request(request: exchange_pb2.PullRequest) -> None:
    _check_party(request.recipient, "pull.recipient")
    _check_product(request.product, "pull.product")
    _require(len(request.last_held) in (0, 32), "pull.last_held", "a digest has 32 bytes")
    _check_time(request.requested_at_ms, "pull.requested_at")
    _require(len(request.nonce) == 16, "pull.nonce", "a nonce has 16 bytes")


def check_log_query(query: exchange_pb2.LogQuery) -> None:
    _check_holder(query.asked_by, "query.asked_by", person=True)
    _check_sentence(query.purpose, "query.purpose")
    if query.party:
        _check_party(query.party, "query.filters")
    if query.kind:
        _require(_RULE.fullmatch(query.kind) is not None, "query.filters", "no kind of entry")
    if query.product:
        _check_product(query.product, "query.filters")
    if query.HasField("period"):
        _check_period(query.period, "query.filters")
    _require(not query.until_ms or query.from_ms <= query.until_ms, "query.time", "ends before it begins")
    _check_time(query.requested_at_ms, "query.requested_at")
    _require(len(query.nonce) == 16, "query.nonce", "a nonce has 16 bytes")
    times = query.from_ms or query.until_ms
    filtered = query.party or query.kind or query.product or query.HasField("period") or times
    _require(not (query.export and filtered), "query.export", "an export is of the whole log")
    _require(query.export or not query.with_records, "query.export", "records come with an export only")


# Parts


def _check_party(party: str, basis: str) -> None:
    _require(len(party) <= 128 and _PARTY.fullmatch(party) is not None, basis, "not <city>/<party>")


def _check_holder(holder: str, basis: str, *, party: str = "", person: bool = False) -> None:
    match = _HOLDER.fullmatch(holder)
    if match is None or len(holder) > 256:
        raise Invalid("not xinyi://<city>/<party>/<machine or person>/<name>", basis=basis)
    _require(not party or match[1] == party, basis, "the holder is of another party")
    _require(not person or match[2] == "person", basis, "this takes a person")


def _check_product(product: str, basis: str) -> None:
    _require(len(product) <= 64 and _PRODUCT.fullmatch(product) is not None, basis, "no product")


def _check_period(period: edition_pb2.Period, basis: str) -> None:
    _require(FIRST_YEAR <= period.year <= LAST_YEAR and 1 <= period.month <= 12, basis, "no year and month")


def _check_rule(rule: str, basis: str) -> None:
    _require(_RULE.fullmatch(rule) is not None, basis, "the name of a rule is lower-case words with dots")


def _check_digest(digest: bytes, basis: str) -> None:
    _require(len(digest) == 32, basis, "a digest has 32 bytes")


def _check_sentence(text: str, basis: str) -> None:
    _require(is_text(text, 500), basis, "1 to 500 characters are needed")


def _check_time(time_ms: int, basis: str) -> None:
    _require(_FIRST_MS <= time_ms < _LAST_MS, basis, "no time in milliseconds since 1970")
