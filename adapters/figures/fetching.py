"""Statistics from the gateway: verified, kept as evidence, confirmed.

<home>/statistics/<digest>/{statistics,receipt,acknowledgement}.dsse, offered.tlog-proof
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from adapters.party.proving import prove
from audit.envelope import open_sealed, parse_strict
from xinyi import files
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import DigestMismatch, EncodingInvalid, Unavailable
from xinyi.figures import GROUPS
from xinyi.margins import TOTAL
from xinyi.v1 import envelope_pb2, lending_pb2
from xinyi.v1 import statistics_service_pb2 as pb
from xinyi.v1.statistics_service_pb2_grpc import StatisticsServiceStub

#: What this program knows how to show.
DEFINITIONS = "lending-statistics/1"
#: How long the log may take to publish the entry that says it was given.
_PUBLISHED_S = 10.0


@dataclass(frozen=True)
class Fetched:
    """A version whose seal is the gateway's, and which its log says was given to this party."""

    statistics: lending_pb2.Statistics
    digest: bytes
    #: Leaf index, and size of the log, of the entry that says so.
    position: int
    log_size: int


def list_versions(
    client: GatewayClient, period: lending_pb2.LendingPeriod | None
) -> list[pb.StatisticsVersion]:
    """By period, currency and version. Args: period — None for all."""
    with errors_restored():
        response: pb.ListStatisticsResponse = _stub(client).ListStatistics(
            pb.ListStatisticsRequest(period=period), timeout=UNARY_DEADLINE_S
        )
    return list(response.versions)


def fetch(client: GatewayClient, wanted: pb.StatisticsVersion) -> Fetched:
    """
    1. the gateway's seal holds, and it is the document that was asked for, 2. it says what it was listed with, in a
    form this program knows, 3. the log has the entry that it was given, under a head that extends ours, 4. it is
    kept, and this party's receipt goes back.

    Raises SignatureInvalid, DigestMismatch, EncodingInvalid, ProofInvalid, HeadConflict: it is not shown. Unavailable
    where the log has not published the entry yet.
    """
    with errors_restored():
        response: pb.GetStatisticsResponse = _stub(client).GetStatistics(
            pb.GetStatisticsRequest(statistics=wanted.statistics), timeout=UNARY_DEADLINE_S
        )
    # 1
    opened = open_sealed(response.statistics, lending_pb2.Statistics, client.home.gateway_keyring())
    if opened.digest != wanted.statistics:
        raise DigestMismatch("the gateway gave other statistics than those asked for")
    # 2
    _check(opened.message, wanted)
    # 3
    proof = prove(client, response.leaf, wait_s=_PUBLISHED_S)
    if proof is None:
        raise Unavailable("the log has not published yet that this was given: try again")
    # 4
    place = evidence_place(client.home, opened.digest)
    files.write_atomically(
        place / "statistics.dsse", response.statistics.SerializeToString(deterministic=True)
    )
    files.write_atomically(place / "offered.tlog-proof", proof.encode())
    _confirm(client, opened.digest, place)
    size = proof.verify(response.leaf, client.home.log_key()).size
    return Fetched(opened.message, opened.digest, proof.index, size)


def evidence_place(home: Home, digest: bytes) -> Path:
    """The folder of one version, made where it is not there."""
    place = home.path / "statistics" / digest.hex()
    for directory in (place.parent, place):
        files.make_directory(directory)
    return place


def _stub(client: GatewayClient) -> StatisticsServiceStub:
    return StatisticsServiceStub(client.channel)  # type: ignore[no-untyped-call]


def _check(told: lending_pb2.Statistics, wanted: pb.StatisticsVersion) -> None:
    if told.definitions != DEFINITIONS:
        raise EncodingInvalid(
            f"statistics by {told.definitions!r:.60}: this program knows {DEFINITIONS} only"
        )
    same = (
        told.period == wanted.period
        and told.currency == wanted.currency
        and told.version == wanted.version
        and told.counted_until_ms == wanted.counted_until_ms
        and told.restatement == wanted.restatement
    )
    if not same:
        raise DigestMismatch("the statistics say something else of themselves than the list did")
    if [margin.dimension for margin in told.margins][:1] != [TOTAL]:
        raise EncodingInvalid("statistics without a total")
    for margin in told.margins:
        for cell in margin.cells:
            hidden = [name for group in cell.suppressed for name in GROUPS.get(group, ())]
            if any(getattr(cell.sums, name) for name in hidden):
                raise EncodingInvalid("a suppressed sum is told")


def _confirm(client: GatewayClient, digest: bytes, place: Path) -> None:
    """Once. A crash in between sends the same receipt again, which gets the same answer."""
    sealed, answered = place / "receipt.dsse", place / "acknowledgement.dsse"
    if answered.exists():
        return
    if sealed.exists():
        call = client.wrap(parse_strict(sealed.read_bytes(), envelope_pb2.Envelope))
    else:
        receipt = lending_pb2.StatisticsReceipt(
            statistics=digest,
            signed_by=client.home.settings.holder,
            signed_at_ms=time.time_ns() // 1_000_000,
        )
        call = client.call(receipt)
        files.write_atomically(sealed, call.document.SerializeToString(deterministic=True))
    with errors_restored():
        response: pb.ConfirmStatisticsResponse = _stub(client).ConfirmStatistics(
            pb.ConfirmStatisticsRequest(call=call), timeout=UNARY_DEADLINE_S
        )
    acknowledgement = client.accept(response.answer, call.document)
    files.write_atomically(answered, acknowledgement.envelope.SerializeToString(deterministic=True))
