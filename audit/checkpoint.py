"""Checkpoints of the exchange log: C2SP tlog-checkpoint signed notes, their keys, and .tlog-proof receipts.

Sources: C2SP signed-note, tlog-checkpoint, tlog-proof. No extension lines. Ed25519 (type 0x01) only.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from audit import merkle
from audit.keys import ED25519, Signer, check_public_key
from xinyi.errors import EncodingInvalid, HeadConflict, SignatureInvalid
from xinyi.v1 import party_pb2

_ED25519_NOTE = b"\x01"
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
MAX_NOTE_BYTES = 64 << 10


@dataclass(frozen=True)
class VerifierKey:
    """Who signs a note, as "<name>+<8 hex key hash>+<base64(0x01 ‖ public key)>" (C2SP signed-note)."""

    name: str
    public: bytes

    @property
    def key_hash(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519_NOTE + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_hash.hex()}+{base64.b64encode(_ED25519_NOTE + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Raises EncodingInvalid; refuses weak keys."""
        try:
            name, key_hash, encoded = text.strip().split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
        except ValueError as error:
            raise EncodingInvalid("verifier key is not <name>+<hash>+<base64>") from error
        if raw[:1] != _ED25519_NOTE or len(raw) != 33:
            raise EncodingInvalid("verifier key is not an Ed25519 note key")
        key = cls(name, raw[1:])
        if key.key_hash.hex() != key_hash:
            raise EncodingInvalid("verifier key and its hash do not belong together")
        check_public_key(party_pb2.PublicKey(algorithm=ED25519, spki=_SPKI_PREFIX + key.public))
        return key

    @classmethod
    def of(cls, name: str, signer: Signer) -> VerifierKey:
        if signer.key.algorithm != ED25519:
            raise EncodingInvalid("a log key is an Ed25519 key")
        return cls(name, signer.key.spki[len(_SPKI_PREFIX) :])


@dataclass(frozen=True)
class Checkpoint:
    """A head of the log: size in leaves, RFC 6962 root of 32 bytes, and the note it was read from."""

    origin: str
    size: int
    root: bytes
    note: bytes

    @staticmethod
    def body(origin: str, size: int, root: bytes) -> bytes:
        return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def sign(origin: str, size: int, root: bytes, signer: Signer) -> Checkpoint:
    """A checkpoint note with the log's own signature line."""
    body = Checkpoint.body(origin, size, root)
    key = VerifierKey.of(origin, signer)
    line = base64.b64encode(key.key_hash + signer.sign(body)).decode()
    return Checkpoint(origin, size, root, body + b"\n" + f"— {origin} {line}\n".encode())


def verify(note: bytes, log_key: VerifierKey) -> Checkpoint:
    """Reads a note whose log signature holds under the pinned key.

    Raises:
        EncodingInvalid: not a checkpoint note.
        SignatureInvalid: not signed by this log.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise EncodingInvalid("checkpoint is too large")
    body, separator, signature_block = note.rpartition(b"\n\n")
    if not separator or not signature_block.endswith(b"\n"):
        raise EncodingInvalid("checkpoint has no signature block")
    body += b"\n"
    lines = body.decode("utf-8", "replace").split("\n")
    if len(lines) != 4 or lines[3]:
        raise EncodingInvalid("checkpoint does not have exactly three lines")
    origin, size_text, root_text = lines[:3]
    if origin != log_key.name:
        raise SignatureInvalid(f"checkpoint is of the log {origin!r:.80}, not of {log_key.name}")
    if not size_text.isascii() or not size_text.isdigit() or (size_text != "0" and size_text[0] == "0"):
        raise EncodingInvalid("checkpoint size is no decimal number")
    try:
        root = base64.b64decode(root_text, validate=True)
    except ValueError as error:
        raise EncodingInvalid("checkpoint root is not base64") from error
    if len(root) != 32 or base64.b64encode(root).decode() != root_text:
        raise EncodingInvalid("checkpoint root is not 32 bytes of base64")
    _check_log_signature(body, signature_block, log_key)
    return Checkpoint(origin, int(size_text), root, note)


def _check_log_signature(body: bytes, block: bytes, log_key: VerifierKey) -> None:
    found = False
    for line in block.decode("utf-8", "replace").removesuffix("\n").split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—":
            raise EncodingInvalid("checkpoint has a malformed signature line")
        if parts[1] != log_key.name:
            continue
        try:
            raw = base64.b64decode(parts[2], validate=True)
        except ValueError as error:
            raise EncodingInvalid("checkpoint has a malformed signature line") from error
        if base64.b64encode(raw).decode() != parts[2]:
            raise EncodingInvalid("checkpoint has a malformed signature line")
        if raw[:4] != log_key.key_hash:
            continue
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(log_key.public).verify(raw[4:], body)
        except (InvalidSignature, ValueError) as error:
            raise SignatureInvalid(f"the log signature of {log_key.name} does not hold") from error
        found = True
    if not found:
        raise SignatureInvalid(f"checkpoint is not signed by {log_key}")


def check_newer(old: Checkpoint | None, new: Checkpoint, consistency: Sequence[bytes]) -> None:
    """Raises HeadConflict or ProofInvalid unless `new` extends `old` (both verified already)."""
    if old is None:
        return
    if new.size < old.size:
        raise HeadConflict(f"the log shows a head of {new.size} leaves; {old.size} were seen before")
    if new.size == old.size and new.root != old.root:
        raise HeadConflict(f"the log shows two different roots for {new.size} leaves: keep both checkpoints")
    merkle.check_consistency(old.size, new.size, consistency, old.root, new.root)


@dataclass(frozen=True)
class TlogProof:
    """A `.tlog-proof` receipt (C2SP tlog-proof): index, inclusion proof and the checkpoint it leads to."""

    index: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        lines = ["c2sp.org/tlog-proof@v1", f"index {self.index}"]
        lines += [base64.b64encode(h).decode() for h in self.proof]
        return "\n".join(lines).encode() + b"\n\n" + self.note

    @classmethod
    def decode(cls, data: bytes) -> TlogProof:
        """Raises EncodingInvalid."""
        head, separator, note = data.partition(b"\n\n")
        lines = head.decode("utf-8", "replace").split("\n")
        try:
            index = int(lines[1].removeprefix("index "))
            found = cls(index, tuple(base64.b64decode(line) for line in lines[2:]), note)
            # One text for one proof: int and base64 read more than one way of writing.
            same = bool(separator) and found.encode() == data
        except (IndexError, ValueError):
            same = False
        if not same or index < 0 or len(found.proof) > merkle.MAX_PROOF:
            raise EncodingInvalid("not a tlog-proof")
        return found

    def verify(self, leaf: bytes, log_key: VerifierKey) -> Checkpoint:
        """The verified checkpoint this leaf is under. Raises as `verify` does, and ProofInvalid."""
        head = verify(self.note, log_key)
        merkle.check_inclusion(merkle.leaf_hash(leaf), self.index, head.size, self.proof, head.root)
        return head
