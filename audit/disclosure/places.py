"""Entries of an account and where they stand in the log: each place is shown once, and proven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from audit import entries, merkle
from audit.checkpoint import Checkpoint, TlogProof, VerifierKey
from audit.disclosure.history import Logged
from audit.envelope import parse_strict
from xinyi.errors import EncodingInvalid, ProofInvalid
from xinyi.v1 import log_pb2
from xinyi.v1 import subject_service_pb2 as pb


class Places:
    """Args:
    head: the account's, verified.
    receipts: leaf → its own receipt, where entries were proven one by one and not under the head.
    """

    def __init__(self, head: Checkpoint, log_key: VerifierKey, receipts: Mapping[int, TlogProof]) -> None:
        self._head = head
        self._log_key = log_key
        self._receipts = receipts
        self._shown: set[int] = set()

    def logged(self, proven: pb.ProvenEntry) -> Logged:
        """Raises ProofInvalid, SignatureInvalid, EncodingInvalid."""
        if len(proven.salt) != 32:
            raise EncodingInvalid("a salt has 32 bytes")
        if proven.index in self._shown:
            raise ProofInvalid(f"leaf {proven.index} is shown twice", basis="evidence.entries")
        self._shown.add(proven.index)
        leaf = entries.leaf(proven.salt, proven.opening)
        receipt, head = self._receipts.get(proven.index), self._head
        if receipt is not None and receipt.index == proven.index:
            receipt.verify(leaf, self._log_key)
        else:
            place = merkle.leaf_hash(leaf), proven.index, head.size
            merkle.check_inclusion(*place, list(proven.proof), head.root)
        return Logged(proven.index, parse_strict(proven.opening, log_pb2.LogEntry))


def check_kind(logged: Logged, *kinds: str) -> None:
    if logged.entry.kind not in kinds:
        raise ProofInvalid(f"leaf {logged.index} tells of something else", basis="evidence.kind")


def check_names(logged: Logged, document: bytes) -> None:
    """The entry's first document is this one."""
    if not logged.entry.documents or logged.entry.documents[0] != document:
        raise ProofInvalid(f"leaf {logged.index} is of another document", basis="evidence.document")


def check_order(logged: Sequence[Logged]) -> None:
    places = [one.index for one in logged]
    if places != sorted(places):
        raise ProofInvalid("the log tells of it in another order", basis="evidence.order")
