"""An account of one subject as a folder that verifies alone, later and elsewhere (docs/evidence-format.md).

README.txt      what it proves, what it does not
question.json   who asked, about whom, which party, which day: canonical JSON
query.dsse      the sealed query, as the log keeps it
account.bin     the gateway's messages as they came, each behind its length (4 bytes, big-endian)
seen            the head that was seen before the question; absent where none was
entries/N       receipts of the log's entries (.tlog-proof), where each was proven by itself
keys/NNN/       registrations of recipients' keys, where they were taken from the log (`prove entry` folders)
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from audit import checkpoint
from audit.checkpoint import TlogProof, VerifierKey
from audit.disclosure import account
from audit.disclosure.account import Question
from audit.disclosure.history import History
from audit.entries import canonical_json
from audit.entry_proof import EntryProof
from audit.envelope import open_sealed, parse_strict
from audit.keys import Keyring, keyid
from audit.verification.policy import Policy
from xinyi import checks, days
from xinyi.errors import DigestMismatch, EncodingInvalid, SignatureInvalid
from xinyi.v1 import envelope_pb2, exchange_pb2, party_pb2
from xinyi.v1 import subject_service_pb2 as pb

M = TypeVar("M", bound=Message)

FORMAT = "xinyi-known/1"
MAX_MESSAGE_BYTES = 8 << 20
_SMALL = 1 << 20
_LENGTH = struct.Struct(">I")

_README = """\
This folder holds what a gateway disclosed about one taxpayer, as its gateway accounted for it, with the proofs.

What it proves: every published edition of the products asked for, in sequence and without a gap; that each one
held the shown record of the taxpayer, or none (the bucket under the sealed state root); the deliveries and the
recipients' own signed receipts that are shown; and that all of it stands in the gateway's log under one head.
What it does not prove: that no delivery is left out (an export of the whole log shows that), that a grade was
rightly decided, or that a party's clock was right.

To check it, with the keys of your own policy file:
    xinyi-audit verify-known FOLDER --policy policy.toml

It names the taxpayer, and opens the query that the log keeps closed: give it to nobody who may not know both.
"""


@dataclass(frozen=True)
class Asked:
    """What was asked, and of which day; both empty where everything was."""

    question: Question
    salt: bytes
    day: str = ""

    def to_json(self) -> dict[str, str]:
        q = self.question
        return {
            "format": FORMAT,
            "identifier": q.identifier,
            "salt": self.salt.hex(),
            "product": q.product,
            "recipient": q.recipient,
            "day": self.day,
        }


@dataclass(frozen=True)
class KnownFolder:
    asked: Asked
    query: envelope_pb2.Envelope
    answers: tuple[pb.FindSubjectResponse, ...]
    #: Note of the head that was seen before; empty where none was.
    seen: bytes = b""
    registrations: tuple[EntryProof, ...] = ()
    #: Leaf → its receipt, where each was proven by itself.
    receipts: Mapping[int, TlogProof] = field(default_factory=dict)

    def shows_asker(self, policy: Policy) -> bool:
        """Whether the policy pins a key of the one who asked: only then its seal proves who that was."""
        ring = Keyring(policy.keys)
        return any(ring.find(signature.keyid) for signature in self.query.signatures)

    def verify(self, policy: Policy) -> History:
        """1. the query is the one that opens to this subject, 2. keys taken from the log, 3. the account.

        Raises VerificationError.
        """
        # 1
        self._check_query(Keyring(policy.keys) if self.shows_asker(policy) else None)
        # 2
        further = [read_registration(proof, policy.log_key) for proof in self.registrations]
        # 3
        seen = checkpoint.verify(self.seen, policy.log_key) if self.seen else None
        return account.verify(self.answers, self.asked.question, policy, seen, further, self.receipts)

    def _check_query(self, asker: Keyring | None) -> None:
        asked = self.asked.question
        if not asked.identifier:
            looked = _opened(self.query, exchange_pb2.LogQuery, asker)
            if looked.party != asked.recipient:
                raise DigestMismatch("the query is about another party", basis="query.filters")
            self._check_day(looked.requested_at_ms)
            return
        query = _opened(self.query, exchange_pb2.SubjectQuery, asker)
        if checks.subject_commitment(self.asked.salt, asked.identifier) != query.subject_commitment:
            raise DigestMismatch("the query is about another subject", basis="subject.commitment")
        if query.product != asked.product:
            raise DigestMismatch("the query is about another product", basis="subject.product")
        self._check_day(query.requested_at_ms)

    def _check_day(self, requested_at_ms: int) -> None:
        """What a party will know on a later day nobody can ask."""
        if self.asked.day > days.day_of(requested_at_ms).isoformat():
            raise EncodingInvalid(
                f"question.json names {self.asked.day}, a day behind that of its query: it was changed",
                basis="question.day",
            )

    def files(self) -> Iterator[tuple[str, bytes]]:
        yield "README.txt", _README.encode()
        yield "question.json", canonical_json(self.asked.to_json()).encode() + b"\n"
        yield "query.dsse", self.query.SerializeToString(deterministic=True)
        yield "account.bin", b"".join(_framed(answer.SerializeToString()) for answer in self.answers)
        if self.seen:
            yield "seen", self.seen
        for index, receipt in self.receipts.items():
            yield f"entries/{index}.tlog-proof", receipt.encode()
        for place, proof in enumerate(self.registrations):
            for name, data in proof.files().items():
                yield f"keys/{place:03d}/{name}", data

    @classmethod
    def read(cls, folder: Path) -> KnownFolder:
        """Raises EncodingInvalid, FileNotFoundError."""
        try:
            query = envelope_pb2.Envelope.FromString(_small(folder / "query.dsse"))
            answers = tuple(_answers(folder / "account.bin"))
        except DecodeError as error:
            raise EncodingInvalid("a document of this folder cannot be parsed") from error
        return cls(
            _asked(_small(folder / "question.json")),
            query,
            answers,
            _small(folder / "seen") if (folder / "seen").exists() else b"",
            tuple(EntryProof.read(path) for path in sorted(folder.glob("keys/*"))),
            {proof.index: proof for proof in map(_receipt, sorted(folder.glob("entries/*.tlog-proof")))},
        )


def read_registration(proof: EntryProof, log_key: VerifierKey) -> party_pb2.PublicKey:
    """The key that an entry of the log registers, once it shows that its holder possesses it.

    Raises VerificationError.
    """
    entry, _ = proof.verify(log_key)
    if entry.kind != "key.registered" or not proof.documents:
        raise EncodingInvalid("this entry registers no key")
    sealed = proof.documents[0]
    key = parse_strict(sealed.payload, party_pb2.KeyRegistration).key
    opened = open_sealed(sealed, party_pb2.KeyRegistration, Keyring([key]))
    if keyid(key) not in {keyid(signer) for signer in opened.signers}:
        raise SignatureInvalid("the registration is not sealed by the key it registers")
    return key


def _opened(sealed: envelope_pb2.Envelope, kind: type[M], asker: Keyring | None) -> M:
    if asker is not None:
        return open_sealed(sealed, kind, asker).message
    return parse_strict(sealed.payload, kind)


def _receipt(path: Path) -> TlogProof:
    return TlogProof.decode(_small(path))


def _framed(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _answers(path: Path) -> Iterator[pb.FindSubjectResponse]:
    with path.open("rb") as file:
        while head := file.read(_LENGTH.size):
            length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else MAX_MESSAGE_BYTES + 1
            data = file.read(length) if length <= MAX_MESSAGE_BYTES else b""
            if len(data) != length:
                raise EncodingInvalid("account.bin is cut off, or holds a message that is too long")
            yield pb.FindSubjectResponse.FromString(data)


def _asked(text: bytes) -> Asked:
    try:
        value = json.loads(text)
        found = Asked(
            Question(value["identifier"], value["product"], value["recipient"]),
            bytes.fromhex(value["salt"]),
            value["day"],
        )
        same = canonical_json(found.to_json()).encode() + b"\n" == text
        if found.day:
            date.fromisoformat(found.day)
    except (AttributeError, KeyError, TypeError, ValueError):
        same = False
    if not same:
        raise EncodingInvalid(f"question.json is not in the one form of {FORMAT}")
    return found


def _small(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_SMALL + 1)
    if len(data) > _SMALL:
        raise EncodingInvalid(f"{path.name} is too large")
    return data
