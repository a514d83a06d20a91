"""What an auditor keeps of a challenge, in a folder: enough to verify, offline and later, what the bank opens.

    table.dsse  challenge.dsse  acknowledgement.dsse (the gateway's, of the challenge)
    entry/      the log's entry of the table, proven under the challenge's checkpoint (audit.entry_proof)
    answered/   the log's entry of the bank's answer, which names the digest of its opening; once it was fetched
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from audit.challenge import MAX_OPENING_BYTES, Drawn, Verified, verify_opening
from audit.entry_proof import EntryProof
from audit.envelope import MAX_PAYLOAD_BYTES, Opened, digest, open_sealed
from audit.exchanges import check_signer
from audit.keys import Keyring, party_of
from audit.lending_exchanges import INTAKES
from audit.verification.findings import EvidenceMissing
from audit.verification.policy import DOCUMENT, Policy
from xinyi.errors import DigestMismatch, EncodingInvalid, ProofInvalid
from xinyi.v1 import envelope_pb2, exchange_pb2, lending_pb2

M = TypeVar("M", bound=Message)

#: What it says when a bank answered.
ANSWERED = "challenge.answered"
_DOCUMENTS = ("table", "challenge")
ACKNOWLEDGEMENT = "acknowledgement.dsse"
ANSWER = "answered"

_README = """\
This folder holds a challenge to a bank's table of what it lent. To verify what the bank opens in answer to it, with
the keys that your own policy file names:
    xinyi-audit verify-opening FOLDER OPENING --policy policy.toml

By hand: the seed is SHA-256("xinyi-sample-seed-v1" 0x00, document digest of table.dsse, root hash of the checkpoint in
challenge.dsse). entry/ proves that the table stood in the log before that checkpoint was signed; answered/, once it was
fetched (xinyi-audit challenges --keep FOLDER), which opening the bank named to the log.
"""


@dataclass(frozen=True)
class ChallengeProof:
    table: envelope_pb2.Envelope
    challenge: envelope_pb2.Envelope
    entry: EntryProof
    #: None until the gateway's answer came.
    acknowledgement: envelope_pb2.Envelope | None = None
    #: The log's entry that the bank answered; None until it was fetched.
    answered: EntryProof | None = None

    def acknowledged(self, acknowledgement: envelope_pb2.Envelope) -> ChallengeProof:
        return replace(self, acknowledgement=acknowledgement)

    def draw(self, policy: Policy) -> Drawn:
        """
        1. the log's entry takes in this table, and stands under the challenge's checkpoint, 2. the bank sealed the
        table, 3. the gateway recorded the challenge, and who asked sealed it, where the policy pins a key of theirs.

        Raises VerificationError, Invalid; EvidenceMissing where a key is not pinned or the gateway's answer not here.
        """
        # 1
        entry, head = self.entry.verify(policy.log_key)
        if entry.kind not in INTAKES or not entry.documents or entry.documents[0] != digest(self.table):
            raise ProofInvalid("the entry of the log takes in another table", basis="challenge.table")
        drawn = Drawn.of(self.table, self.challenge, head)
        # 2
        table = _open(self.table, lending_pb2.LendingTable, policy, drawn.table.bank)
        check_signer(table, drawn.table.issued_by, drawn.table.bank)
        # 3
        if self.acknowledgement is None:
            raise EvidenceMissing("the gateway's acknowledgement is not here: send the challenge again")
        told = _open(self.acknowledgement, exchange_pb2.Acknowledgement, policy, policy.gateway).message
        if (told.document_digest, told.outcome) != (drawn.challenge_digest, "challenge.asked"):
            raise DigestMismatch("the gateway acknowledged something else")
        asked_by = drawn.challenge.asked_by
        if party_of(asked_by) in policy.pinned_parties:
            asked = _open(self.challenge, lending_pb2.Challenge, policy, party_of(asked_by))
            check_signer(asked, asked_by, party_of(asked_by))
        return drawn

    def logged_answer(self, drawn: Drawn, policy: Policy) -> lending_pb2.ChallengeAnswer:
        """What the bank told the log that it opened.

        1. it is here, and stands in the log, 2. the bank sealed it, 3. in answer to this challenge.

        Raises VerificationError, Invalid; EvidenceMissing where it is not here or no key of the bank is pinned.
        """
        # 1
        if self.answered is None:
            raise EvidenceMissing(
                "what the bank told the log of its opening is not here: xinyi-audit challenges --keep FOLDER fetches it"
            )
        entry, _ = self.answered.verify(policy.log_key)
        if entry.kind != ANSWERED or not self.answered.documents:
            raise ProofInvalid("the entry of the log is of no answer", basis="challenge.answer")
        # 2
        bank = drawn.table.bank
        answer = _open(self.answered.documents[0], lending_pb2.ChallengeAnswer, policy, bank)
        check_signer(answer, answer.message.answered_by, bank)
        # 3
        if answer.message.challenge != drawn.challenge_digest:
            raise DigestMismatch("the bank's answer in the log is to another challenge", basis="challenge.answer")
        return answer.message

    def files(self) -> dict[str, bytes]:
        """As they are written when the challenge is made."""
        documents = {f"{name}.dsse": getattr(self, name) for name in _DOCUMENTS}
        if self.acknowledgement is not None:
            documents[ACKNOWLEDGEMENT] = self.acknowledgement
        written = {name: sealed.SerializeToString(deterministic=True) for name, sealed in documents.items()}
        entry = {f"entry/{name}": data for name, data in self.entry.files().items()}
        return {"README.txt": _README.encode(), **written, **entry}

    @classmethod
    def read(cls, folder: Path) -> ChallengeProof:
        """Raises EncodingInvalid, FileNotFoundError, DigestMismatch."""
        table, challenge = (_read(folder / f"{name}.dsse", MAX_PAYLOAD_BYTES) for name in _DOCUMENTS)
        found = cls(table, challenge, EntryProof.read(folder / "entry"))
        if (acknowledgement := folder / ACKNOWLEDGEMENT).exists():
            found = found.acknowledged(_read(acknowledgement, MAX_PAYLOAD_BYTES))
        answered = folder / ANSWER
        return replace(found, answered=EntryProof.read(answered)) if answered.exists() else found


def verify_answer(proof: ChallengeProof, drawn: Drawn, opening: Path, policy: Policy) -> Verified:
    """What a bank opened, in a file: 1. it holds, 2. it is the one that the bank named to the log.

    Raises as `verify_opening` and `logged_answer`; SignatureInvalid where it is not the bank's, DigestMismatch where
    the log names another one.
    """
    # 1
    sealed = _read(opening, MAX_OPENING_BYTES)
    opened = _open(sealed, lending_pb2.Opening, policy, drawn.table.bank, most=MAX_OPENING_BYTES)
    verified = verify_opening(drawn, opened.message, policy)
    # 2
    answer = proof.logged_answer(drawn, policy)
    if (answer.opening, answer.rows) != (opened.digest, len(verified.rows)):
        raise DigestMismatch("the bank told the log of another opening than this one", basis="challenge.answer")
    return verified


def _open(
    sealed: envelope_pb2.Envelope, kind: type[M], policy: Policy, party: str, *, most: int = MAX_PAYLOAD_BYTES
) -> Opened[M]:
    """A document of one party. Raises EvidenceMissing where the policy pins no key of it."""
    ring = Keyring(key for key in policy.keys if key.purpose == DOCUMENT and key.party == party)
    if party not in policy.pinned_parties:
        raise EvidenceMissing(f"the policy pins no key of {party}")
    return open_sealed(sealed, kind, ring, most=most)


def _read(path: Path, most: int) -> envelope_pb2.Envelope:
    """Args: most — bytes of the payload."""
    with path.open("rb") as file:
        data = file.read(most + (64 << 10))
    try:
        return envelope_pb2.Envelope.FromString(data)
    except DecodeError as error:
        raise EncodingInvalid(f"{path.name} is no envelope, or too large") from error
