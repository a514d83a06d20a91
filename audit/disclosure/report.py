"""The subject's report: everything that was disclosed about one subject, as plain values. Pure.

An edition discloses the subject where it is a FULL that holds it, or names it as new, changed or gone. That the
others say nothing of it is proven as well, and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.disclosure.answer import (
    contest_json,
    delivery_json,
    edition_json,
    head_json,
    known_json,
    record_json,
    reported_json,
)
from audit.disclosure.history import Disclosure, Feed, History, News, Statement
from audit.keys import party_of
from audit.verification.policy import Policy
from xinyi.v1 import exchange_pb2

FORMAT = "xinyi-subject-report/1"

Json = dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """Who asked for what, and under which policy it was verified."""

    #: The holder; empty where an export was read and no gateway asked.
    asked_by: str
    #: As it stands in the log; may be empty with an export.
    purpose: str
    #: The one product that was asked for; empty for all.
    product: str
    policy: Policy

    @property
    def bureau(self) -> str:
        """The party whose editions alone a gateway shows to this person; empty where it shows everybody's."""
        party = party_of(self.asked_by) if self.asked_by else ""
        return party if party in self.policy.bureaus else ""

    def to_json(self) -> Json:
        policy = self.policy
        return {
            "source": "gateway" if self.asked_by else "export",
            "asked_by": self.asked_by,
            "purpose": self.purpose,
            "editions_of": self.bureau,
            "product": self.product,
            "policy": {
                "log": policy.log_key.name,
                "gateway": policy.gateway,
                "bureaus": sorted(policy.bureaus),
                "keys": len(policy.keys),
                "sha256": hashlib.sha256(policy.dump()).hexdigest(),
            },
        }


def report(history: History, now_ms: int, legal_basis: Mapping[str, str], scope: Scope) -> Json:
    """Args: legal_basis — product → the basis that its catalogue names; may lack any."""
    return {
        "format": FORMAT,
        "subject": history.identifier,
        "made_at_ms": now_ms,
        "scope": scope.to_json(),
        "feeds": [_feed(history, feed, legal_basis.get(feed[1], "")) for feed in history.feeds],
        "objections": [contest_json(contest) for contest in history.contests],
        "recalls": [_recall(history, s) for s in history.statements if s.is_correction and _names(s)],
        "holdings": [
            {"recipient": recipient, "origin": feed[0], "product": feed[1], **known_json(history, known)}
            for recipient, feed, known in history.holdings(now_ms)
        ],
        "outcomes": [row for reported in history.reported for row in reported_json(reported)],
        "head": head_json(history),
        "not_proven": list(history.not_proven),
    }


def _feed(history: History, feed: Feed, legal_basis: str) -> Json:
    editions = history.editions(feed)
    current = history.true_today(feed)
    return {
        "origin": feed[0],
        "product": feed[1],
        "legal_basis": legal_basis,
        "true_now": record_json(current.record) if current else None,
        "disclosed": [_statement(history, s) for s in editions if _discloses(s)],
        "silent": [edition_json(s) for s in editions if not _discloses(s)],
    }


def _discloses(statement: Statement) -> bool:
    return _names(statement) or (statement.is_full and statement.record is not None)


def _names(statement: Statement) -> bool:
    return statement.news in (News.NEW, News.CHANGED, News.GONE)


def _statement(history: History, statement: Statement) -> Json:
    return {
        **edition_json(statement),
        "news": str(statement.news),
        "record": record_json(statement.record),
        "deliveries": [delivery_json(d) for d in history.disclosures if d.statement is statement],
    }


def _recall(history: History, correction: Statement) -> Json:
    """Whom a correction of this subject has to reach, who was told, and who confirmed."""
    told = {d.recipient: d for d in history.disclosures if d.statement is correction}
    owed = {d.recipient for d in history.disclosures if d.receipts and _is_recalled(history, d.statement, correction)}
    return {
        **edition_json(correction),
        "record": record_json(correction.record),
        "recipients": [_recipient(name, told.get(name), correction) for name in sorted(owed | told.keys())],
    }


def _is_recalled(history: History, taken: Statement, correction: Statement) -> bool:
    """Whether an edition is among those that a correction takes back: from the wrong one to the one before it."""
    wrong = history.find(correction.manifest.message.corrects)
    same = wrong is not None and taken.feed == correction.feed
    return same and wrong is not None and wrong.sequence <= taken.sequence < correction.sequence


def _recipient(name: str, told: Disclosure | None, correction: Statement) -> Json:
    """State OPEN until the party applied the correction, or STOPPED where the bureau stopped it before."""
    waiting = "OPEN" if correction.stopped is None else "STOPPED"
    applied = told.applied if told else None
    ground = told.delivery.message.ground if told else exchange_pb2.DELIVERY_GROUND_UNSPECIFIED
    return {
        "recipient": name,
        "state": "CONFIRMED" if applied else waiting,
        "ground": exchange_pb2.DeliveryGround.Name(ground).removeprefix("DELIVERY_GROUND_") if told else None,
        "told_at_ms": told.delivery.message.offered_at_ms if told else None,
        "confirmed_at_ms": applied.signed_at_ms if applied else None,
        "confirmed_by": applied.document.message.signed_by if applied else None,
    }
