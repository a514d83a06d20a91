"""One record of an edition, proven alone: a small folder that stands for itself.

It proves that the bureau sealed an edition that holds exactly this record, and that a second person approved
it. It shows no other taxpayer's data. Reading and checking need the folder and the checker's own policy. In a DELTA
or CORRECTION the record may say that its taxpayer is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from audit import exchanges, merkle
from audit.entries import canonical_json
from audit.envelope import Opened, open_sealed, parse_strict
from audit.keys import Keyring
from audit.records import CHUNK_RECORDS, ChunkVerifier, blinder, check_blinding_key, commitment, leaf
from audit.verification.policy import DOCUMENT, Policy
from xinyi.errors import DigestMismatch, EncodingInvalid, Invalid, Unknown
from xinyi.v1 import edition_pb2, envelope_pb2, records_pb2

FORMAT = "xinyi-record-proof/1"
MAX_FILE_BYTES = 4 << 20
_EVIDENCE = ("approval.dsse", "manifest.dsse", "proof.json", "record.bin")

_README = """\
This folder proves one record of a tax credit edition, without any other taxpayer's data.

What it proves: the tax bureau sealed an edition (manifest.dsse) that holds exactly the record in record.bin,
and a second person of the bureau approved that edition (approval.dsse). {told}
What it does not prove: to whom the edition was delivered, that no later edition changed or corrected the record,
or that {doubt}.

To check it, with the bureau's keys as your own policy file names them:
    xinyi-audit verify-record FOLDER --policy policy.toml

By hand, with any SHA-256 and Ed25519 tool:
 1. leaf = 0x01, blinded key (proof.json), SHA-256("xinyi-record-v1" 0x00 salt record.bin)
 2. RFC 6962: hash 0x00 leaf, then up the path in proof.json from its index, to the root in manifest.dsse
 3. manifest.dsse and approval.dsse are DSSE v1 envelopes (protobuf: payload 1, type 2, signatures 3 {{keyid 1,
    sig 2}}); signed is "DSSEv1 <len> <type> <len> <payload>"; the approval holds the manifest's digest,
    which is SHA-256 of those signed bytes; its signer is another person than the manifest's

The salt is part of the proof: keep it with the record, and give it to nobody who may not see the record.
"""
_TOLD = ("The record is as that edition tells it.", "the grade was rightly decided")
_GONE = (
    "The record says that its taxpayer has left the product with that edition, and says of it nothing else.",
    "the taxpayer left with good reason, which an edition never tells",
)


@dataclass(frozen=True)
class Proven:
    """What a folder proved."""

    #: None where a state holds none (audit.state_proof).
    record: records_pb2.GradeRecord | None
    blinded_key: bytes
    manifest: Opened[edition_pb2.Manifest]
    approval: Opened[edition_pb2.Approval]

    def check_subject(self, identifier: str, blinding_key: bytes) -> None:
        """Raises DigestMismatch unless all this is about this taxpayer, by the edition's own blinding key."""
        check_blinding_key(blinding_key, self.manifest.message)
        if blinder(blinding_key)(identifier.encode()) != self.blinded_key:
            raise DigestMismatch("the blinded key is another taxpayer's")
        if self.record is not None and self.record.taxpayer_id != identifier:
            raise DigestMismatch("the record is another taxpayer's")


@dataclass(frozen=True)
class RecordProof:
    manifest: envelope_pb2.Envelope
    approval: envelope_pb2.Envelope
    #: Exact bytes that the salt and the leaf commit to.
    record: bytes
    salt: bytes
    blinded_key: bytes
    index: int
    path: tuple[bytes, ...]

    def verify(self, policy: Policy) -> Proven:
        """1. both seals, by two persons of a bureau of the policy, 2. the leaf, 3. its way to the root.

        Raises VerificationError, or Invalid where the documents do not say what they must.
        """
        # 1
        manifest, approval = check_approved(self.manifest, self.approval, policy)
        # 2
        if len(self.salt) != 32 or len(self.blinded_key) != 32:
            raise EncodingInvalid("salt and blinded key have 32 bytes")
        record = parse_strict(self.record, records_pb2.GradeRecord)
        found = merkle.leaf_hash(leaf(self.blinded_key, commitment(self.salt, self.record)))
        # 3
        size, root = manifest.message.record_count, manifest.message.root
        merkle.check_inclusion(found, self.index, size, self.path, root)
        return Proven(record, self.blinded_key, manifest, approval)

    def files(self) -> dict[str, bytes]:
        """Raises EncodingInvalid where the record is none."""
        gone = parse_strict(self.record, records_pb2.GradeRecord).gone
        told, doubt = _GONE if gone else _TOLD
        return {"README.txt": _README.format(told=told, doubt=doubt).encode(), **self._evidence()}

    def _evidence(self) -> dict[str, bytes]:
        described = {
            "blinded_key": self.blinded_key,
            "format": FORMAT,
            "index": self.index,
            "proof": [h.hex() for h in self.path],
            "salt": self.salt,
        }
        return {
            "approval.dsse": self.approval.SerializeToString(deterministic=True),
            "manifest.dsse": self.manifest.SerializeToString(deterministic=True),
            "proof.json": canonical_json(described).encode() + b"\n",
            "record.bin": self.record,
        }

    @classmethod
    def read(cls, folder: Path) -> RecordProof:
        """Raises EncodingInvalid, FileNotFoundError."""
        held = read_evidence(folder, _EVIDENCE)
        try:
            described = json.loads(held["proof.json"].decode())
            found = cls(
                manifest=envelope_pb2.Envelope.FromString(held["manifest.dsse"]),
                approval=envelope_pb2.Envelope.FromString(held["approval.dsse"]),
                record=held["record.bin"],
                salt=bytes.fromhex(described["salt"]),
                blinded_key=bytes.fromhex(described["blinded_key"]),
                index=int(described["index"]),
                path=tuple(bytes.fromhex(h) for h in described["proof"]),
            )
        except (DecodeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise EncodingInvalid("this folder is no record proof") from error
        # One folder for one proof: hex, JSON and protobuf read more than one way of writing.
        written = found._evidence()
        for name, data in held.items():
            if written[name] != data:
                raise EncodingInvalid(f"{name} is not in the one form of {FORMAT}")
        return found


def make(
    manifest: envelope_pb2.Envelope,
    approval: envelope_pb2.Envelope,
    blinding_key: bytes,
    chunks: Iterable[bytes],
    identifier: str,
) -> RecordProof:
    """Finds the record of one taxpayer in an edition's chunks, which are verified on the way.

    Raises Unknown where the edition holds none, VerificationError.
    """
    for proof in make_all(manifest, approval, blinding_key, chunks, {blinder(blinding_key)(identifier.encode())}):
        return proof
    raise Unknown("this edition holds no record of this identifier", basis="record.unknown")


def make_all(
    manifest: envelope_pb2.Envelope,
    approval: envelope_pb2.Envelope,
    blinding_key: bytes,
    chunks: Iterable[bytes],
    blinded_keys: Set[bytes],
) -> Iterator[RecordProof]:
    """The same for several, in one pass and in the order of the leaves; those that are not there are left out."""
    sealed = parse_strict(manifest.payload, edition_pb2.Manifest)
    check_blinding_key(blinding_key, sealed)
    verifier, left = ChunkVerifier(sealed, blinding_key), len(blinded_keys)
    for number, data in enumerate(chunks):
        if not left:
            return
        chunk = verifier.take(number, data)
        places = [place for place, key in enumerate(chunk.blinded_keys) if key in blinded_keys]
        left -= len(places)
        records = records_pb2.Chunk.FromString(data).records if places else []
        for place in places:
            # A chunk's path goes on over the chunk roots: nodes of the tree.
            path = [*merkle.path_over(chunk.leaf_hashes, place), *merkle.path_over(sealed.chunk_roots, number)]
            yield RecordProof(
                manifest,
                approval,
                records[place].record,
                records[place].salt,
                chunk.blinded_keys[place],
                number * CHUNK_RECORDS + place,
                tuple(path),
            )


def check_approved(
    manifest: envelope_pb2.Envelope, approval: envelope_pb2.Envelope, policy: Policy
) -> tuple[Opened[edition_pb2.Manifest], Opened[edition_pb2.Approval]]:
    """An edition that two persons of a bureau of the policy sealed. Raises VerificationError, Invalid."""
    keyring = Keyring(key for key in policy.keys if key.purpose == DOCUMENT and key.party in policy.bureaus)
    sealed = open_sealed(manifest, edition_pb2.Manifest, keyring)
    approved = open_sealed(approval, edition_pb2.Approval, keyring)
    exchanges.check_manifest(sealed)
    exchanges.check_approval(sealed, approved)
    if sealed.message.origin not in policy.bureaus:
        raise Invalid(f"{sealed.message.origin} is no bureau of the policy", basis="policy.bureaus")
    return sealed, approved


def read_evidence(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Whole files of a proof's folder. Raises FileNotFoundError, EncodingInvalid."""
    return {name: _read(folder / name) for name in names}


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise EncodingInvalid(f"{path.name} is too large")
    return data
