"""Step 9, objections: filed by one person of the bureau, decided by another."""

from __future__ import annotations

from audit import exchanges
from audit.verification.entry import Entry
from xinyi.errors import Invalid
from xinyi.v1 import objection_pb2


def filing(entry: Entry) -> None:
    objection = entry.first(objection_pb2.Objection)
    message = objection.message
    unique = entry.register.file(objection.digest, message)
    manifest = entry.published(message.manifest_digest, "objection.manifest_digest")
    exchanges.check_objection(entry.message, objection, manifest)
    if not unique:
        raise Invalid("an earlier leaf files another objection under this number", basis="objection.number")


def decision(entry: Entry) -> None:
    decision = entry.first(objection_pb2.ObjectionDecision)
    message = decision.message
    undecided = entry.register.decide(message.objection)
    objection = entry.dossier.open(message.objection, objection_pb2.Objection)
    entry.check_bureau(objection.message.origin)
    entry.check_earlier(objection, "files this objection", "objection_decision.objection", "objection.filed")
    exchanges.check_objection_decision(entry.message, decision, objection)
    if not undecided:
        raise Invalid("an earlier leaf decides this objection", basis="objection_decision.objection")
    if message.correction:
        correction = entry.published(message.correction, "objection_decision.correction")
        exchanges.check_remedy(objection.message, correction.message)
