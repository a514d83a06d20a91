"""The bureau's calls to its gateway: submit an edition, decide on one, ask how all of them stand.

Whatever is asked again is asked with the same signed bytes, so nothing can happen twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from adapters.bureau.editions import Edition
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from audit.envelope import Opened
from xinyi import checks, files
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import Contradiction, Refused
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2
from xinyi.v1 import publication_service_pb2 as pb

if TYPE_CHECKING:
    from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

#: Seconds for a stream of chunks besides those its size takes at 1 MB/s.
_STREAM_DEADLINE_S = 120.0
_BYTES_PER_S = 1_000_000
_CHECKS: dict[type[Message], Callable[[Any], None]] = {
    edition_pb2.Approval: checks.check_approval,
    edition_pb2.HoldRelease: checks.check_hold_release,
    edition_pb2.Cancellation: checks.check_cancellation,
    edition_pb2.Stop: checks.check_stop,
    edition_pb2.RowAnswer: checks.check_row_answer,
}


def submit(client: GatewayClient, edition: Edition, progress: Callable[[int], None]) -> str:
    """Takes a sealed edition to the gateway, from where an earlier attempt broke off. Its state's word.

    Args:
        progress: called with the number of chunks sent.

    Raises:
        Refused: the gateway's signed refusal. Unavailable: run it again.
    """
    stub = _stub(client)
    sealed = edition.sealed
    with errors_restored():
        begun = stub.BeginEdition(
            pb.BeginEditionRequest(call=client.wrap(sealed), blinding_key=edition.blinding_key),
            timeout=UNARY_DEADLINE_S,
        )
        answer = begun.answer
        if not begun.HasField("answer"):
            size = (edition.path / "chunks").stat().st_size
            if begun.next_chunk < len(edition.manifest.chunk_roots):
                stub.PutChunks(
                    _requests(edition, begun.next_chunk, progress),
                    timeout=_STREAM_DEADLINE_S + size / _BYTES_PER_S,
                )
            answer = stub.CommitEdition(
                pb.CommitEditionRequest(call=client.wrap(sealed)), timeout=4 * UNARY_DEADLINE_S
            ).answer
    acknowledgement = client.accept(answer, sealed)
    # A crash before this line: the next attempt gets the stored answer.
    edition.keep_acknowledgement(answer.acknowledgement)
    return acknowledgement.message.outcome


def _requests(edition: Edition, start: int, progress: Callable[[int], None]) -> Iterator[pb.PutChunksRequest]:
    for number, data in edition.chunks(start):
        digest = edition.digest if number == start else b""
        yield pb.PutChunksRequest(manifest_digest=digest, number=number, data=data)
        progress(number + 1)


def decide(
    client: GatewayClient, decision: Message, about: str = ""
) -> Opened[exchange_pb2.Acknowledgement]:
    """Sends an Approval, HoldRelease, Cancellation, Stop or RowAnswer, sealed by this person.

    Args: about — tells decisions of one kind on one edition apart, where there may be several.

    Raises Invalid for one that breaks a rule: nothing is sealed then.
    """
    # Before anything is sealed: what a person typed may not be fit to stand in a seal.
    _CHECKS[type(decision)](decision)
    stub, digest = _stub(client), decision.manifest_digest  # type: ignore[attr-defined]

    def send(call: exchange_pb2.Call) -> exchange_pb2.Answer:
        request = pb.DecideEditionRequest(call=call)
        response: pb.DecideEditionResponse = stub.DecideEdition(request, timeout=UNARY_DEADLINE_S)
        return response.answer

    return send_once(client, decision, kept_decision(client.home, type(decision), digest, about), send)


def send_once(
    client: GatewayClient,
    document: Message,
    kept: Path,
    send: Callable[[exchange_pb2.Call], exchange_pb2.Answer],
) -> Opened[exchange_pb2.Acknowledgement]:
    """Sends a document sealed by this person.

    It is kept first, sealed: after a crash or a lost answer the same bytes go out again.

    Args: kept — its place in this home; `send` makes the call.

    Raises Contradiction where another content was sealed for this place.
    """
    files.make_directory(kept.parent)
    if kept.exists():
        sealed = envelope_pb2.Envelope.FromString(kept.read_bytes())
        if not _says_the_same(type(document).FromString(sealed.payload), document):
            raise Contradiction(
                f"you have sealed another {type(document).DESCRIPTOR.name} for this already: give the same values "
                f"again to send it once more ({kept})",
                basis="decision.other",
            )
    else:
        sealed = envelope.seal(document, *client.home.signers())
        files.write_atomically(kept, sealed.SerializeToString(deterministic=True))
    try:
        with errors_restored():
            answer = send(client.wrap(sealed))
        acknowledgement = client.accept(answer, sealed)
    except Refused:
        # Refused is refused: a later attempt is a new decision.
        kept.unlink()
        raise
    files.write_atomically(
        kept.with_suffix(".acknowledgement.dsse"),
        answer.acknowledgement.SerializeToString(deterministic=True),
    )
    return acknowledgement


def _says_the_same(one: Message, other: Message) -> bool:
    """But for the time at which it was said."""
    texts = []
    for message in (one, other):
        copy = type(message).FromString(message.SerializeToString())
        for field in copy.DESCRIPTOR.fields:
            if field.name.endswith("_at_ms"):
                copy.ClearField(field.name)
        texts.append(copy.SerializeToString(deterministic=True))
    return texts[0] == texts[1]


def kept_decision(home: Home, kind: type[Message], digest: bytes, about: str = "") -> Path:
    """Where this person's sealed decision of a kind on an edition is kept; there once it was sealed."""
    name = f"{kind.DESCRIPTOR.name}-{about}" if about else kind.DESCRIPTOR.name
    return home.state / "decisions" / f"{digest.hex()}.{name}.dsse"


def list_editions(client: GatewayClient, product: str = "", digest: bytes = b"") -> list[pb.EditionStatus]:
    """As the gateway tells it; `standing` verifies what can be verified."""
    with errors_restored():
        response = _stub(client).ListEditions(
            pb.ListEditionsRequest(product=product, manifest_digest=digest), timeout=UNARY_DEADLINE_S
        )
    return sorted(response.editions, key=lambda status: (status.product, status.sequence))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _stub(client: GatewayClient) -> PublicationServiceStub:
    from xinyi.v1.publication_service_pb2_grpc import PublicationServiceStub

    return PublicationServiceStub(client.channel)  # type: ignore[no-untyped-call]
