"""Answers to questions about a history, as plain values for machines. Times are milliseconds since 1970 UTC."""

from __future__ import annotations

from datetime import date
from typing import Any

from google.protobuf.json_format import MessageToDict

from audit.disclosure.history import (
    Contest,
    Disclosure,
    Feed,
    History,
    Known,
    Reported,
    Statement,
)
from xinyi.days import end_of
from xinyi.v1 import edition_pb2, exchange_pb2, lending_pb2, objection_pb2, records_pb2

Json = dict[str, Any]


def as_of(history: History, recipient: str, day: date, *, truth: bool = False) -> Json:
    """What a party knew at the end of a day in China; with `truth`, what is held true now beside it."""
    feeds = []
    for feed in history.feeds:
        found: Json = {"origin": feed[0], "product": feed[1]}
        if recipient:
            known = history.known_to(recipient, feed, end_of(day))
            found["known"] = None if known is None else known_json(history, known)
        if truth:
            current = history.true_today(feed)
            found["true"] = None if current is None else _true(history, feed, current)
        feeds.append(found)
    return {
        "recipient": recipient,
        "day": day.isoformat(),
        "subject": history.identifier,
        "answers": feeds,
        "head": head_json(history),
        "not_proven": list(history.not_proven),
    }


def known_json(history: History, known: Known) -> Json:
    found = {
        "edition": edition_json(known.statement),
        "delivery": delivery_json(known.disclosure),
        "known_since_ms": known.receipt.signed_at_ms,
        "known_by": known.receipt.document.message.signed_by,
        "receipt_leaf": known.receipt.logged.index,
    }
    if history.identifier:
        found["record"] = record_json(known.record)
        found["refused_under"] = list(known.refused_under)
        found["recalled_by"] = edition_json(known.recall.statement) if known.recall else None
        found["uncertain"] = known.uncertain
    return found


def _true(history: History, feed: Feed, current: Statement) -> Json:
    found: Json = {"edition": edition_json(current)}
    if history.identifier:
        found["record"] = record_json(current.record)
        since = [s for s in history.editions(feed) if s.stopped is None and s.sequence <= current.sequence]
        said = next((s for s in reversed(since) if s.news not in ("unchanged", "absent")), current)
        found["said_by"] = edition_json(said)
    return found


def head_json(history: History) -> Json:
    return {"origin": history.head.origin, "size": history.head.size, "root": history.head.root.hex()}


def record_json(record: records_pb2.GradeRecord | None) -> Json | None:
    return None if record is None else MessageToDict(record, preserving_proto_field_name=True)


def edition_json(statement: Statement) -> Json:
    manifest = statement.manifest.message
    return {
        "edition": statement.manifest.digest.hex(),
        "approval": statement.approval.digest.hex(),
        "origin": manifest.origin,
        "product": manifest.product,
        "period": f"{manifest.period.year}-{manifest.period.month:02d}",
        "kind": edition_pb2.EditionKind.Name(manifest.kind).removeprefix("EDITION_KIND_"),
        "sequence": manifest.sequence,
        "corrects": manifest.corrects.hex(),
        "reason": manifest.reason,
        "published_by": manifest.issued_by,
        "approved_by": statement.approval.message.approved_by,
        "published_at_ms": statement.published.entry.recorded_at_ms,
        "stopped_at_ms": statement.stopped.entry.recorded_at_ms if statement.stopped else None,
        "leaves": {
            "received": statement.received.index,
            "published": statement.published.index,
            "stopped": statement.stopped.index if statement.stopped else None,
        },
    }


def delivery_json(disclosure: Disclosure) -> Json:
    message, mark = disclosure.delivery.message, disclosure.mark
    return {
        "delivery_id": message.delivery_id,
        "delivery": disclosure.delivery.digest.hex(),
        "recipient": message.recipient,
        "edition": message.manifest_digest.hex(),
        "agreement_id": message.agreement_id,
        "disclosure_class": _word(exchange_pb2.DisclosureClass, message.disclosure_class, "DISCLOSURE_CLASS_"),
        "ground": _word(exchange_pb2.DeliveryGround, message.ground, "DELIVERY_GROUND_"),
        "channel": _word(exchange_pb2.Channel, disclosure.offered.entry.channel, "CHANNEL_"),
        "offered_at_ms": message.offered_at_ms,
        "leaf": disclosure.offered.index,
        "disputed_since": mark.filed_on if mark else None,
        "refused_under": list(disclosure.refused_under),
        "receipts": [
            {
                "receipt": receipt.document.digest.hex(),
                "stage": _word(exchange_pb2.ReceiptStage, receipt.stage, "RECEIPT_STAGE_"),
                "signed_by": receipt.document.message.signed_by,
                "signed_at_ms": receipt.signed_at_ms,
                "leaf": receipt.logged.index,
            }
            for receipt in disclosure.receipts
        ],
    }


def contest_json(contest: Contest) -> Json:
    said, term = contest.objection.message, contest.objection.message.term
    decision = contest.decision.message if contest.decision else None
    return {
        "number": said.number,
        "objection": contest.objection.digest.hex(),
        "edition": said.manifest_digest.hex(),
        "product": said.product,
        "filed_on": said.filed_on,
        "due_on": said.due_on,
        "received_by": said.received_by,
        "term": {
            "nature": _word(objection_pb2.TermNature, term.nature, "TERM_NATURE_"),
            "basis": term.basis,
            "amount": term.amount,
            "unit": _word(objection_pb2.TermUnit, term.unit, "TERM_UNIT_"),
            "confirmed": term.confirmed,
            "calendar": term.calendar,
        },
        "leaf": contest.filed.index,
        "outcome": _word(objection_pb2.ObjectionOutcome, decision.outcome, "OBJECTION_OUTCOME_") if decision else None,
        "decided_by": decision.decided_by if decision else None,
        "decided_at_ms": decision.decided_at_ms if decision else None,
        "decision_leaf": contest.decided.index if contest.decided else None,
        "correction": contest.correction.manifest.digest.hex() if contest.correction else None,
    }


def reported_json(reported: Reported) -> list[Json]:
    """One for each row of a batch."""
    batch = reported.batch.message
    return [
        {
            "bank": batch.bank,
            "batch": reported.batch.digest.hex(),
            "receipt": reported.receipt.hex(),
            "number": batch.number,
            "agreement_id": batch.agreement_id,
            "issued_by": batch.issued_by,
            "recorded_at_ms": reported.recorded.entry.recorded_at_ms,
            "leaf": reported.recorded.index,
            "outcome": MessageToDict(outcome, preserving_proto_field_name=True),
            "finding": _finding(reported.finding(outcome.outcome_id)),
        }
        for outcome in reported.outcomes
    ]


def _finding(found: lending_pb2.OutcomeFinding | None) -> Json | None:
    if found is None:
        return None
    state = _word(lending_pb2.ReportState, found.state, "REPORT_STATE_")
    return {"state": state, "rule": found.question.rule}


def _word(enum: Any, value: int, prefix: str) -> str:
    name: str = enum.Name(value)
    return name.removeprefix(prefix)
