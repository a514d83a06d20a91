"""What the records of a product say of one taxpayer after an edition, or that they say nothing: proven alone.

A record may stand in an edition long before: the state after the later one shows that it is still in force. The
bucket that the taxpayer belongs to is shown whole, as blinded keys and commitments (audit.buckets).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from audit import buckets
from audit.entries import canonical_json
from audit.envelope import parse_strict
from audit.record_proof import Proven, check_approved, read_evidence
from audit.records import blinder, check_blinding_key, commitment
from audit.verification.policy import Policy
from xinyi.errors import DigestMismatch, EncodingInvalid, Invalid, ProofInvalid
from xinyi.v1 import edition_pb2, envelope_pb2, records_pb2

FORMAT = "xinyi-state-proof/1"
_EVIDENCE = ("approval.dsse", "bucket.bin", "manifest.dsse", "proof.json")
_RECORD = "record.bin"

_README = """\
This folder proves what the records of a tax credit product say of one taxpayer after an edition.

What it proves: the tax bureau sealed an edition (manifest.dsse) and with it the state of all records that it leads
to, and a second person of the bureau approved it (approval.dsse). {told}
What it does not prove: that no later edition changed it, to whom the edition was delivered, or that the grade was
rightly decided.

{hidden}
To check it, with the bureau's keys as your own policy file names them:
    xinyi-audit verify-record FOLDER --policy policy.toml
and whether it is about this taxpayer, with the edition's blinding key in a file:
    xinyi-audit verify-record FOLDER --policy policy.toml --taxpayer IDENTIFIER --blinding-key FILE

By hand, with any SHA-256 and Ed25519 tool:
 1. bucket.bin = entries of 64 bytes, blinded key and commitment, strictly ascending; the number of the bucket is
    the first 14 bits of every key in it, and of the blinded key in proof.json
 2. digest = SHA-256("xinyi-bucket-v1" 0x00 bucket.bin); up the path in proof.json from the bucket's number, node =
    SHA-256(0x01 left right), to state_root in manifest.dsse, 14 steps
 3. {found}
 4. manifest.dsse and approval.dsse as in any record proof of this gateway (docs/evidence-format.md)
"""
_HELD = (
    "Its state holds exactly the record in record.bin.",
    'commitment under that key = SHA-256("xinyi-record-v1" 0x00 salt record.bin)',
)
_ABSENT = (
    "Its state holds no record under the blinded key in proof.json.",
    "no entry of the bucket has that key",
)
_HIDDEN = """\
The bucket holds blinded keys of other taxpayers, and tells nothing of them without the blinding key, which is not
in this folder. Whoever has it sees whether the blinded key is that of the taxpayer in question.
"""


@dataclass(frozen=True)
class StateProof:
    manifest: envelope_pb2.Envelope
    approval: envelope_pb2.Envelope
    blinded_key: bytes
    #: All entries of the taxpayer's bucket.
    bucket: bytes
    #: From the bucket's digest to the state root.
    path: tuple[bytes, ...]
    #: Salt and exact bytes of the record; None where the state holds none.
    salted: tuple[bytes, bytes] | None

    def verify(self, policy: Policy) -> Proven:
        """1. both seals, by two persons of a bureau of the policy, 2. the bucket, 3. what it holds.

        Raises VerificationError, or Invalid where the documents do not say what they must.
        """
        # 1
        manifest, approval = check_approved(self.manifest, self.approval, policy)
        # 2
        if len(self.blinded_key) != 32:
            raise EncodingInvalid("a blinded key has 32 bytes")
        number = buckets.number_of(self.blinded_key)
        buckets.check_bucket(self.bucket, number, self.path, manifest.message.state_root)
        # 3
        found = buckets.find(self.bucket, self.blinded_key)
        if self.salted is None:
            if found is not None:
                raise ProofInvalid("the state holds a record that is not shown", basis="state.record")
            return Proven(None, self.blinded_key, manifest, approval)
        salt, raw = self.salted
        if len(salt) != 32:
            raise EncodingInvalid("a salt has 32 bytes")
        record = parse_strict(raw, records_pb2.GradeRecord)
        if record.gone:
            raise Invalid("who is gone has no record in a state", basis="state.record")
        if found != commitment(salt, raw):
            raise DigestMismatch("the state holds another record, or none")
        return Proven(record, self.blinded_key, manifest, approval)

    def files(self) -> dict[str, bytes]:
        told, found = _ABSENT if self.salted is None else _HELD
        readme = _README.format(told=told, found=found, hidden=_HIDDEN)
        return {"README.txt": readme.encode(), **self._evidence()}

    def _evidence(self) -> dict[str, bytes]:
        described: dict[str, Any] = {
            "blinded_key": self.blinded_key,
            "format": FORMAT,
            "proof": [h.hex() for h in self.path],
        }
        files = {
            "approval.dsse": self.approval.SerializeToString(deterministic=True),
            "bucket.bin": self.bucket,
            "manifest.dsse": self.manifest.SerializeToString(deterministic=True),
        }
        if self.salted is not None:
            described["salt"], files[_RECORD] = self.salted
        return files | {"proof.json": canonical_json(described).encode() + b"\n"}

    @classmethod
    def read(cls, folder: Path) -> StateProof:
        """Raises EncodingInvalid, FileNotFoundError."""
        names = (*_EVIDENCE, _RECORD) if (folder / _RECORD).exists() else _EVIDENCE
        held = read_evidence(folder, names)
        try:
            described = json.loads(held["proof.json"].decode())
            salt = bytes.fromhex(described["salt"]) if _RECORD in held else b""
            found = cls(
                manifest=envelope_pb2.Envelope.FromString(held["manifest.dsse"]),
                approval=envelope_pb2.Envelope.FromString(held["approval.dsse"]),
                blinded_key=bytes.fromhex(described["blinded_key"]),
                bucket=held["bucket.bin"],
                path=tuple(bytes.fromhex(h) for h in described["proof"]),
                salted=(salt, held[_RECORD]) if _RECORD in held else None,
            )
        except (DecodeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise EncodingInvalid("this folder is no state proof") from error
        # One folder for one proof: hex, JSON and protobuf read more than one way of writing.
        if found._evidence() != held:
            raise EncodingInvalid(f"a file is not in the one form of {FORMAT}")
        return found


def lies_in(folder: Path) -> bool:
    """Whether a folder holds a proof of this kind, by its names alone."""
    return (folder / "bucket.bin").exists()


def make(
    manifest: envelope_pb2.Envelope,
    approval: envelope_pb2.Envelope,
    blinding_key: bytes,
    identifier: str,
    bucket: bytes,
    path: list[bytes],
    salted: tuple[bytes, bytes] | None,
) -> StateProof:
    """The proof of what a state says of one taxpayer; its truth shows where it is verified.

    Args:
        bucket, path: of the taxpayer's bucket (buckets.number_of its blinded key) after the edition.
        salted: salt and exact record bytes, as the newest edition that holds the record has them; None for none.

    Raises DigestMismatch where the blinding key is another edition's.
    """
    check_blinding_key(blinding_key, parse_strict(manifest.payload, edition_pb2.Manifest))
    blinded_key = blinder(blinding_key)(identifier.encode())
    return StateProof(manifest, approval, blinded_key, bucket, tuple(path), salted)
