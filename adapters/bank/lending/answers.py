"""What lies beside a sealed report: the gateway's answers to it. And how such a folder comes to be.

    acknowledgement.dsse, receipt.dsse   verified when they came; with the receipt, all is there
    receipt.tlog-proof                   its entry in the gateway's log
    refusal.dsse                         it was refused for good: it is not sent again
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from audit.checkpoint import TlogProof
from audit.envelope import parse_strict
from xinyi import files
from xinyi.errors import Unavailable
from xinyi.v1 import envelope_pb2, exchange_pb2

M = TypeVar("M", bound=Message)
_RECEIPT, _ACKNOWLEDGEMENT, _REFUSAL = "receipt.dsse", "acknowledgement.dsse", "refusal.dsse"
_PROOF = "receipt.tlog-proof"


@dataclass(frozen=True)
class Answers:
    path: Path

    def read_receipt(self, kind: type[M]) -> M | None:
        """As it was verified when it came."""
        path = self.path / _RECEIPT
        return parse_strict(read_envelope(path).payload, kind) if path.exists() else None

    @property
    def refusal(self) -> Path:
        return self.path / _REFUSAL

    @property
    def refused(self) -> bool:
        return self.refusal.exists()

    @property
    def leaf(self) -> bytes:
        """That the acknowledgement names."""
        sealed = read_envelope(self.path / _ACKNOWLEDGEMENT)
        return parse_strict(sealed.payload, exchange_pb2.Acknowledgement).leaf

    @property
    def log_index(self) -> int | None:
        """Of its entry in the gateway's log; None before the proof was there."""
        path = self.path / _PROOF
        return TlogProof.decode(path.read_bytes()).index if path.exists() else None

    @property
    def unproven(self) -> bool:
        """Receipted, but without a proof of the log yet."""
        return (self.path / _RECEIPT).exists() and not (self.path / _PROOF).exists()

    def answered(self, acknowledgement: envelope_pb2.Envelope, receipt: envelope_pb2.Envelope) -> None:
        """Keeps what was verified. The receipt comes last: with it, all is there."""
        self._keep(_ACKNOWLEDGEMENT, acknowledgement.SerializeToString(deterministic=True))
        self._keep(_RECEIPT, receipt.SerializeToString(deterministic=True))

    def proven(self, proof: TlogProof) -> None:
        self._keep(_PROOF, proof.encode())

    def refuse(self, refusal: bytes) -> None:
        self._keep(_REFUSAL, refusal)

    def _keep(self, name: str, data: bytes) -> None:
        files.write_atomically(self.path / name, data)


@contextmanager
def locked(folder: Path, basis: str) -> Iterator[None]:
    """For one report at a time. Raises Unavailable where another one is being made."""
    files.make_directory(folder)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("another report of this home is being made", basis=basis) from None
        yield


@contextmanager
def making(place: Path) -> Iterator[Path]:
    """An empty folder, gone at the end unless it was renamed. Call under the lock."""
    shutil.rmtree(place, ignore_errors=True)
    files.make_directory(place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def read_envelope(path: Path) -> envelope_pb2.Envelope:
    return parse_strict(path.read_bytes(), envelope_pb2.Envelope)
