"""The evidence folder: per delivery its documents, receipts, acknowledgements and log proofs.

<delivery>/{manifest,approval,delivery}.dsse
<delivery>/<stage>.dsse, <stage>.acknowledgement.dsse, <stage>.tlog-proof, <stage>.refusal.dsse
"""

from __future__ import annotations

from pathlib import Path

from adapters.bank.package import VerifiedPackage
from adapters.party.home import Home
from xinyi import files
from xinyi.v1 import envelope_pb2, exchange_pb2


class Evidence:
    def __init__(self, path: Path) -> None:
        self.path = path
        files.make_directory(path)

    def keep(self, delivery_id: str, name: str, data: bytes) -> None:
        """Safe to repeat."""
        directory = self.path / delivery_id
        files.make_directory(directory)
        path = directory / name
        if not path.exists() or path.read_bytes() != data:
            files.write_atomically(path, data)

    def keep_document(self, delivery_id: str, name: str, sealed: envelope_pb2.Envelope) -> None:
        self.keep(delivery_id, f"{name}.dsse", sealed.SerializeToString(deterministic=True))

    def keep_package(self, package: VerifiedPackage) -> None:
        for name, opened in (
            ("delivery", package.delivery),
            ("manifest", package.manifest),
            ("approval", package.approval),
        ):
            self.keep_document(package.delivery_id, name, opened.envelope)

    def unproven(self) -> list[tuple[str, str, Path]]:
        """(delivery id, stage word, acknowledgement) of what has no log proof yet."""
        found = []
        for path in sorted(self.path.glob("*/*.acknowledgement.dsse")):
            stage = path.name.removesuffix(".acknowledgement.dsse")
            if not path.with_name(f"{stage}.tlog-proof").exists():
                found.append((path.parent.name, stage, path))
        return found


def note_head(home: Home, evidence: exchange_pb2.LogEvidence) -> None:
    """Takes a head that the gateway sent of its own accord (an offer, a folder).

    It may not know which head we hold. Where it proves its growth from ours, the head advances. Otherwise it
    is checked for the log's signature and against ours at equal size; the next call connects the two.

    Raises VerificationError.
    """
    if not evidence.checkpoint:
        return
    held = home.head()
    if held is not None and evidence.from_size == held.size:
        # From the head just looked at: another program of this bank may take a newer one meanwhile.
        home.advance_head(evidence, shown=held.note)
    else:
        home.advance_head(exchange_pb2.LogEvidence(checkpoint=evidence.checkpoint), shown=b"")
