"""Finds one record in an export with records. The export need not be verified before: the proof is, here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from audit import record_proof
from audit.envelope import digest, parse_strict, payload_type
from audit.record_proof import RecordProof
from audit.records import MAX_CHUNK_BYTES
from audit.verification.exported import Export, read_document
from audit.verification.policy import Policy
from xinyi.errors import ExchangeError, Unknown, UsageInvalid
from xinyi.v1 import edition_pb2, envelope_pb2

_MANIFEST = payload_type(edition_pb2.Manifest)
_APPROVAL = payload_type(edition_pb2.Approval)


@dataclass
class _Edition:
    manifest: envelope_pb2.Envelope | None = None
    #: Refused approvals are kept as well: which one counts, the proof shows.
    approvals: list[envelope_pb2.Envelope] = field(default_factory=list)


def prove_record(directory: Path, policy: Policy, edition: str, identifier: str) -> RecordProof:
    """A verified proof.

    Args:
        edition: first digits of the manifest's digest; "" where there is one edition only.

    Raises Unknown for no such edition or record, Invalid where several are meant, VerificationError.
    """
    export = Export(directory, line_bytes=policy.limits.line_bytes)
    meant = {
        name: found
        for name, found in _editions(export).items()
        if name.hex().startswith(edition.lower()) and found.manifest is not None and found.approvals
    }
    if not meant:
        raise Unknown("this export holds no such approved edition", basis="edition.unknown")
    if len(meant) > 1:
        names = ", ".join(sorted(name.hex()[:16] for name in meant))
        raise UsageInvalid(f"several editions are meant, name one with --edition: {names}", basis="edition.many")
    ((name, found),) = meant.items()
    assert found.manifest is not None
    count = len(parse_strict(found.manifest.payload, edition_pb2.Manifest).chunk_roots)
    chunks = (export.chunk(name, number, MAX_CHUNK_BYTES) for number in range(count))
    made = record_proof.make(
        found.manifest, found.approvals[0], export.blinding_key(name), chunks, identifier
    )
    return _approved(made, found.approvals, policy)


def _approved(proof: RecordProof, approvals: list[envelope_pb2.Envelope], policy: Policy) -> RecordProof:
    for approval in approvals[:-1]:
        candidate = replace(proof, approval=approval)
        try:
            candidate.verify(policy)
        except ExchangeError:
            continue
        return candidate
    last = replace(proof, approval=approvals[-1])
    last.verify(policy)
    return last


def _editions(export: Export) -> dict[bytes, _Edition]:
    found: dict[bytes, _Edition] = {}
    for _, line in export.lines("documents.jsonl"):
        if _MANIFEST.encode() not in line and _APPROVAL.encode() not in line:
            continue
        sealed = read_document(line)
        if sealed.payload_type == _MANIFEST:
            found.setdefault(digest(sealed), _Edition()).manifest = sealed
        elif sealed.payload_type == _APPROVAL:
            message = parse_strict(sealed.payload, edition_pb2.Approval)
            found.setdefault(message.manifest_digest, _Edition()).approvals.append(sealed)
    return found
