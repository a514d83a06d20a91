"""One entry of the exchange log, proven alone: opening, documents and `.tlog-proof`, in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from audit import entries
from audit.checkpoint import Checkpoint, TlogProof, VerifierKey
from audit.envelope import digest, parse_strict
from xinyi.errors import DigestMismatch, EncodingInvalid
from xinyi.v1 import envelope_pb2, log_pb2

MAX_FILE_BYTES = 8 << 20

_README = """\
This folder proves one entry of a gateway's exchange log.

What it proves: the log's operator committed to exactly this entry (opening.bin) and to the digests of its
documents (documents/) before it signed the checkpoint in entry.tlog-proof. What it does not prove: that
nothing else happened, or that a document's seal holds (check that with the signer's own key).

To check it, with the log's key as your own policy file names it:
    xinyi-audit verify-entry FOLDER --policy policy.toml
    proofbundle verify-proof entry.tlog-proof --payload-file leaf.bin --log-vkey LOG_KEY

By hand: leaf.bin = 0x01, SHA-256("xinyi-log-entry-v1" 0x00 salt.bin opening.bin).
"""


@dataclass(frozen=True)
class EntryProof:
    salt: bytes
    #: Exact LogEntry bytes.
    opening: bytes
    documents: tuple[envelope_pb2.Envelope, ...]
    receipt: TlogProof

    @property
    def leaf(self) -> bytes:
        return entries.leaf(self.salt, self.opening)

    def verify(self, log_key: VerifierKey) -> tuple[log_pb2.LogEntry, Checkpoint]:
        """The entry, and the head it stands under. Raises VerificationError."""
        entry = parse_strict(self.opening, log_pb2.LogEntry)
        if len(self.salt) != 32:
            raise EncodingInvalid("a salt has 32 bytes")
        head = self.receipt.verify(self.leaf, log_key)
        if [digest(document) for document in self.documents] != list(entry.documents):
            raise DigestMismatch("the documents are not those the entry names")
        return entry, head

    def files(self) -> dict[str, bytes]:
        documents = {
            f"documents/{place:02d}.dsse": document.SerializeToString(deterministic=True)
            for place, document in enumerate(self.documents)
        }
        return {
            "README.txt": _README.encode(),
            "entry.tlog-proof": self.receipt.encode(),
            "leaf.bin": self.leaf,
            "opening.bin": self.opening,
            "salt.bin": self.salt,
            **documents,
        }

    @classmethod
    def read(cls, folder: Path) -> EntryProof:
        """Raises EncodingInvalid, FileNotFoundError, DigestMismatch."""
        try:
            found = cls(
                salt=_read(folder / "salt.bin"),
                opening=_read(folder / "opening.bin"),
                documents=tuple(
                    envelope_pb2.Envelope.FromString(_read(path))
                    for path in sorted((folder / "documents").glob("*.dsse"))
                ),
                receipt=TlogProof.decode(_read(folder / "entry.tlog-proof")),
            )
        except DecodeError as error:
            raise EncodingInvalid("a document of this folder cannot be parsed") from error
        if _read(folder / "leaf.bin") != found.leaf:
            raise DigestMismatch("leaf.bin is not the leaf of this opening")
        return found


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise EncodingInvalid(f"{path.name} is too large")
    return data
