"""What a second person looks at before approving, and the decisions a person may take.

The manifest comes from the gateway and is verified here under pinned keys; its sealed counts are the facts.
The publisher's report adds names to them and must agree with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from adapters.bureau import submission
from adapters.bureau.quality import lost_of
from adapters.bureau.standing import open_manifest
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit.envelope import Opened
from xinyi.errors import Conflict, DigestMismatch, NotEntitled, Unknown, UsageInvalid
from xinyi.v1 import edition_pb2
from xinyi.v1 import publication_service_pb2 as pb


def find_edition(
    client: GatewayClient, home: Home, prefix: str
) -> tuple[pb.EditionStatus, Opened[edition_pb2.Manifest]]:
    """The one edition whose digest begins so, verified. Raises Unknown, Invalid, VerificationError."""
    wanted = prefix.lower()
    if len(wanted) < 6 or any(c not in "0123456789abcdef" for c in wanted):
        raise UsageInvalid(f"{prefix}: give six or more digits of the edition's digest", basis="edition.digest")
    whole = bytes.fromhex(wanted) if len(wanted) == 64 else b""
    found = [
        status
        for status in submission.list_editions(client, digest=whole)
        if status.manifest_digest.hex().startswith(wanted)
    ]
    if len(found) != 1:
        raise Unknown(f"{len(found)} editions at the gateway begin with {prefix}", basis="edition.unknown")
    return found[0], open_manifest(found[0], home)


def describe(status: pb.EditionStatus, opened: Opened[edition_pb2.Manifest]) -> dict[str, Any]:
    """What is sealed, for machines; the state is the gateway's word."""
    manifest = opened.message
    return {
        "manifest": opened.digest.hex(),
        "state": status.state,
        **MessageToDict(
            manifest, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        ),
    }


def read_report(path: Path, opened: Opened[edition_pb2.Manifest]) -> dict[str, Any]:
    """The publisher's report, provided it is about this manifest and tells what is sealed.

    Raises DigestMismatch.
    """
    report: dict[str, Any] = json.loads(path.read_bytes())
    quality = opened.message.quality
    agrees = (
        report.get("manifest") == opened.digest.hex()
        and report["rows"] == quality.rows
        and report["records"] == opened.message.record_count
        and all(report["outcomes"][word] == getattr(quality, word) for word in report["outcomes"])
        and [(r["rule"], r["rows"]) for r in report["rules"]] == [(r.rule, r.rows) for r in quality.rules]
    )
    if not agrees:
        raise DigestMismatch(f"{path.name} tells another story than the sealed manifest: do not approve")
    return report


def check_may_approve(status: pb.EditionStatus, manifest: edition_pb2.Manifest, home: Home) -> None:
    """The same rule as the gateway's and the banks': said here before anything is signed.

    Where this person's approval is sealed already, it goes out again, whatever state it brought about.
    """
    if submission.kept_decision(home, edition_pb2.Approval, status.manifest_digest).exists():
        return
    if manifest.issued_by == home.settings.holder:
        raise NotEntitled(
            "you published this edition: another person has to approve it", basis="approval.second_person"
        )
    if status.state != "READY":
        raise Conflict(f"the edition is {status.state}, not READY", basis="edition.state")


def check_lost(manifest: edition_pb2.Manifest, accepted: int) -> None:
    """Raises Conflict unless the approver names how many taxpayers lose their record for want of a decision.

    In a FULL whoever stood before is left out where no row about it was accepted. That is nobody's decision: either
    the rows are mended and published anew, or a person answers for the very number.
    """
    lost = lost_of(manifest.quality)
    if accepted and not lost:
        raise Conflict("nobody loses a record by this edition: leave --accept-lost out", basis="edition.lost")
    if lost != accepted:
        raise Conflict(
            f"{lost} taxpayers of the preceding edition are not in this one, because no row about them was accepted "
            "(`questions` lists them first). Have the rows mended and cancel this edition"
            f", or approve with --accept-lost {lost}",
            basis="edition.lost",
        )


def approve(client: GatewayClient, home: Home, digest: bytes) -> str:
    return submission.decide(
        client,
        edition_pb2.Approval(
            manifest_digest=digest,
            origin=home.party,
            approved_by=home.settings.holder,
            approved_at_ms=submission.now_ms(),
        ),
    ).message.outcome


def release(client: GatewayClient, home: Home, digest: bytes, reason: str) -> str:
    return submission.decide(
        client,
        edition_pb2.HoldRelease(
            manifest_digest=digest,
            released_by=home.settings.holder,
            reason=reason,
            released_at_ms=submission.now_ms(),
        ),
    ).message.outcome


def cancel(client: GatewayClient, home: Home, digest: bytes, reason: str) -> str:
    return submission.decide(
        client,
        edition_pb2.Cancellation(
            manifest_digest=digest,
            cancelled_by=home.settings.holder,
            reason=reason,
            cancelled_at_ms=submission.now_ms(),
        ),
    ).message.outcome


def stop(client: GatewayClient, home: Home, digest: bytes, reason: str) -> str:
    return submission.decide(
        client,
        edition_pb2.Stop(
            manifest_digest=digest,
            stopped_by=home.settings.holder,
            reason=reason,
            stopped_at_ms=submission.now_ms(),
        ),
    ).message.outcome


DECISIONS = {"release": release, "cancel": cancel, "stop": stop}
