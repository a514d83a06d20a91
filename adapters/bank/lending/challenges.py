"""What a bank says to its gateway about challenges: which there are, and that one was answered."""

from __future__ import annotations

import re

from adapters.party.gateway import GatewayClient
from audit.envelope import Opened, digest
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import Unknown
from xinyi.v1 import challenge_service_pb2 as pb
from xinyi.v1 import envelope_pb2, exchange_pb2
from xinyi.v1.challenge_service_pb2_grpc import ChallengeServiceStub

_DIGEST = re.compile(r"[0-9a-f]{64}")


def list_challenges(gateway: GatewayClient, challenge: bytes = b"") -> pb.ListChallengesResponse:
    """Those without an answer by due date, then the others, that due last first. Nothing is verified yet.

    Args: challenge — document digest of the only one wanted.
    """
    request = pb.ListChallengesRequest(challenge=challenge)
    with errors_restored():
        response: pb.ListChallengesResponse = _stub(gateway).ListChallenges(request, timeout=UNARY_DEADLINE_S)
    return response


def find_challenge(gateway: GatewayClient, digits: str) -> envelope_pb2.Envelope:
    """Args: digits — the first of its document digest. Raises Unknown unless exactly one begins with them."""
    whole = bytes.fromhex(digits) if _DIGEST.fullmatch(digits.lower()) else b""
    found = [
        status.challenge
        for status in list_challenges(gateway, whole).challenges
        if digest(status.challenge).hex().startswith(digits.lower())
    ]
    if len(found) != 1:
        count = len(found) or "no"
        raise Unknown(f"{count} challenges to this bank begin with these digits", basis="challenge.unknown")
    return found[0]


def send_answer(gateway: GatewayClient, answer: envelope_pb2.Envelope) -> Opened[exchange_pb2.Acknowledgement]:
    """Args: answer — the sealed ChallengeAnswer. The same again gets the same acknowledgement."""
    call = gateway.wrap(answer)
    with errors_restored():
        response = _stub(gateway).AnswerChallenge(pb.AnswerChallengeRequest(call=call), timeout=UNARY_DEADLINE_S)
    return gateway.accept(response.answer, answer)


def _stub(gateway: GatewayClient) -> ChallengeServiceStub:
    return ChallengeServiceStub(gateway.channel)  # type: ignore[no-untyped-call]
