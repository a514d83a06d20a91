"""Errors that cross the wire: one tree, each with a stable code and a gRPC status.

    ExchangeError
    ├── Refused             the caller may not, or sent something that is not right: retrying is no use
    │   ├── NotAuthenticated    who the caller is cannot be told, or the document is not of the caller's party
    │   ├── NotEntitled         deny by default: no agreement, no entitlement, wrong state
    │   ├── Invalid             a message breaks a rule of the contract
    │   │   └── UsageInvalid        a command was given what it does not take; never crosses the wire
    │   ├── Conflict            not possible in the present state
    │   │   └── Contradiction       same id, different content: alarming
    │   └── Unknown             no such edition, delivery, entry
    ├── VerificationError   somebody lied, or bytes were changed: never retried, always alarming
    └── Unavailable         the network, a disk or a peer failed: retry later

Only `xinyi.server` writes an error into gRPC trailers and only `xinyi.channel` restores it; what is lost at
the border is the traceback.
"""

from __future__ import annotations

import grpc


class ExchangeError(Exception):
    """Base of the tree.

    Args:
        explanation: one sentence for people: what, where, what to do. No taxpayer data.
        basis: the rule, agreement term or article it rests on, dotted or cited; may be empty.
    """

    code = "internal"
    status = grpc.StatusCode.INTERNAL

    def __init__(self, explanation: str, *, basis: str = "") -> None:
        super().__init__(explanation)
        self.explanation = explanation
        self.basis = basis
        #: Serialised Envelope of the signed Refusal, where the gateway gave one.
        self.sealed = b""

    def __str__(self) -> str:
        return f"{self.explanation} [{self.code}{', ' + self.basis if self.basis else ''}]"


class Refused(ExchangeError):
    code = "refused"
    status = grpc.StatusCode.FAILED_PRECONDITION


class NotAuthenticated(Refused):
    code = "not_authenticated"
    status = grpc.StatusCode.UNAUTHENTICATED


class NotEntitled(Refused):
    code = "not_entitled"
    status = grpc.StatusCode.PERMISSION_DENIED


class Invalid(Refused):
    code = "invalid"
    status = grpc.StatusCode.INVALID_ARGUMENT


class UsageInvalid(Invalid):
    """What a person typed is no such question; whatever it is about may be right."""

    code = "invalid.usage"


class Conflict(Refused):
    code = "conflict"
    status = grpc.StatusCode.FAILED_PRECONDITION


class Contradiction(Conflict):
    """Two documents for one place: one side forgot what it said, or says two things."""

    code = "conflict.content"


class Unknown(Refused):
    code = "unknown"
    status = grpc.StatusCode.NOT_FOUND


class TooManyRequests(Refused):
    code = "too_many_requests"
    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class VerificationError(ExchangeError):
    """A signature, digest, proof, order or count does not hold: they lied, or bytes were changed."""

    code = "verification"
    status = grpc.StatusCode.DATA_LOSS


class SignatureInvalid(VerificationError):
    code = "verification.signature"


class DigestMismatch(VerificationError):
    code = "verification.digest"


class ProofInvalid(VerificationError):
    code = "verification.proof"


class EncodingInvalid(VerificationError):
    """A signed payload is not in the one expected encoding (strict wire check)."""

    code = "verification.encoding"


class HeadConflict(VerificationError):
    """Two heads of one log that cannot both be true, or a head behind one that was seen."""

    code = "verification.head"


class Unavailable(ExchangeError):
    code = "unavailable"
    status = grpc.StatusCode.UNAVAILABLE


def _tree(kind: type[ExchangeError]) -> dict[str, type[ExchangeError]]:
    found = {kind.code: kind}
    for sub in kind.__subclasses__():
        found |= _tree(sub)
    return found


#: code → class, for restoring an error on the caller's side.
BY_CODE: dict[str, type[ExchangeError]] = _tree(ExchangeError)
