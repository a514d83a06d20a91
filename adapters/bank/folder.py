"""The folder channel, the bank's end: front-end node, SFTP, one-way gap, a medium carried by hand.

    outgoing/<delivery>/…           from the gateway, taken only with its list:
    outgoing/<delivery>.complete    "<sha256>  <relative path>" per line, written last
    incoming/<delivery>.<n>-<stage>.dsse    receipts to the gateway, renamed into place; read in this order
    answers/<delivery>.<n>-<stage>.answer   from the gateway; or .refusal
    answers/<leaf in hex>.tlog-proof        once the log has published an acknowledged leaf
    taken/<delivery>.<n>-<stage>.dsse       receipts that the gateway has read

The digests of the list find damage on the way; trust comes from the documents inside. Whoever writes the folder
may put anything there: links and pipes are not followed, and nothing is read without a limit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from adapters.bank.evidence import note_head
from adapters.bank.package import VerifiedPackage
from adapters.bank.receipts import stage_word
from adapters.bank.spool import MAX_FILE_BYTES, SpooledEdition, is_delivery_id
from adapters.party.gateway import GatewayClient
from audit import envelope
from audit.checkpoint import TlogProof
from audit.envelope import Opened, parse_strict
from xinyi import files
from xinyi.errors import DigestMismatch, EncodingInvalid, ExchangeError, Unavailable, Unknown
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2

M = TypeVar("M", bound=Message)

_MAX_LIST_BYTES = 4 << 20


@dataclass(frozen=True)
class FolderOffer:
    """One delivery in the folder whose list is there."""

    edition: SpooledEdition

    def package(self) -> exchange_pb2.DeliveryPackage:
        """Raises DigestMismatch, EncodingInvalid or Unknown where a listed file is damaged or missing, Unavailable
        where one cannot be read."""
        for name, expected in self._listed():
            with _readable(name):
                data = files.read_foreign(self.edition.path / name, MAX_FILE_BYTES)
            if hashlib.sha256(data).hexdigest() != expected:
                raise DigestMismatch(f"{name} is not the listed file", basis="folder.digest")
        return self.edition.package()

    def chunks(self, package: VerifiedPackage, from_chunk: int) -> Iterator[tuple[int, bytes]]:
        for number in range(from_chunk, package.chunk_count):
            yield number, self.edition.chunk(number)

    def sequence(self) -> int:
        """The place its manifest claims, not verified: nothing but the order of looking rests on it."""
        try:
            return edition_pb2.Manifest.FromString(self.edition.package().manifest.payload).sequence
        except (ExchangeError, DecodeError):
            return 0

    def evidence(self) -> exchange_pb2.LogEvidence | None:
        path = self.edition.path / "evidence.bin"
        return _parse(path, exchange_pb2.LogEvidence) if path.exists() else None

    def signed(self) -> Iterator[envelope_pb2.Envelope]:
        """Receipts of this delivery that the gateway has taken out: whosever they are."""
        taken = self.edition.path.parent.parent / "taken"
        for path in sorted(taken.glob(f"{self.edition.delivery_id}.*.dsse")):
            try:
                yield _parse(path, envelope_pb2.Envelope)
            except ExchangeError:
                continue  # damaged on its way back: another one is signed

    def _listed(self) -> Iterator[tuple[str, str]]:
        path = self.edition.path.with_name(f"{self.edition.delivery_id}.complete")
        with _readable(path.name):
            text = files.read_foreign(path, _MAX_LIST_BYTES).decode("utf-8", "replace")
        for line in text.splitlines():
            expected, separator, name = line.partition("  ")
            parts = PurePosixPath(name).parts
            if not separator or not parts or ".." in parts or PurePosixPath(name).is_absolute():
                raise EncodingInvalid(f"{path.name} is no list of digests", basis="folder.list")
            yield name.removeprefix(f"{self.edition.delivery_id}/"), expected


class Folder:
    """What lies in the folder for us."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise FileNotFoundError(2, "the exchange folder does not exist", str(path))
        self.path = path

    def offers(self) -> list[FolderOffer]:
        """Complete deliveries, the oldest edition first: files lose their times on the way."""
        lists = sorted((self.path / "outgoing").glob("*.complete"))
        found = [
            FolderOffer(SpooledEdition(path.with_suffix(""))) for path in lists if is_delivery_id(path.stem)
        ]
        return sorted(found, key=FolderOffer.sequence)


class FolderReceipts:
    """Hands receipts in through the folder, and reads the gateway's answers. Same calls as BankClient."""

    def __init__(self, path: Path, gateway: GatewayClient) -> None:
        self._incoming = Folder(path).path / "incoming"
        self._answers = path / "answers"
        self._gateway = gateway

    def submit(self, receipt: envelope_pb2.Envelope) -> Opened[exchange_pb2.Acknowledgement] | None:
        """The acknowledgement; None where the gateway has not answered yet.

        Raises the gateway's signed refusal once, then forgets it: the next call hands the receipt in again.
        """
        message = parse_strict(receipt.payload, exchange_pb2.DeliveryReceipt)
        return self.hand_in(f"{message.delivery_id}.{message.stage}-{stage_word(message.stage)}", receipt)

    def hand_in(
        self, name: str, sealed: envelope_pb2.Envelope
    ) -> Opened[exchange_pb2.Acknowledgement] | None:
        """The same of any document, under its name in the folder."""
        refusal = self._answers / f"{name}.refusal"
        if refusal.exists():
            error = self._gateway.refused(_read(refusal))
            refusal.unlink()
            raise error
        answer = self._answers / f"{name}.answer"
        if answer.exists():
            given = _parse(answer, exchange_pb2.Answer)
            if _is_of(given, sealed):
                return self._gateway.accept(given, sealed)
            # Of a document that was lost here since, and signed once more: a spool restored from a backup.
            answer.unlink()
        self._send(f"{name}.dsse", sealed.SerializeToString(deterministic=True))
        return None

    def receipt_of(self, name: str) -> envelope_pb2.Envelope | None:
        """What the gateway sealed besides the acknowledgement; None while it is on its way. Raises EncodingInvalid."""
        path = self._answers / f"{name}.receipt"
        return _parse(path, envelope_pb2.Envelope) if path.exists() else None

    def prove(self, leaf: bytes, *, wait_s: float) -> TlogProof | None:
        """The proof the gateway left for this leaf, verified; None where there is none yet."""
        path = self._answers / f"{leaf.hex()}.tlog-proof"
        if not path.exists():
            return None
        proof = TlogProof.decode(_read(path))
        proof.verify(leaf, self._gateway.home.log_key())
        note_head(self._gateway.home, exchange_pb2.LogEvidence(checkpoint=proof.note))
        return proof

    def _send(self, name: str, receipt: bytes) -> None:
        """Never half a file: written under another name, then renamed. Safe to repeat."""
        files.make_directory(self._incoming)
        part = self._incoming / f"{name}.part"
        part.write_bytes(receipt)
        part.replace(self._incoming / name)
        files.sync(self._incoming)


def _is_of(answer: exchange_pb2.Answer, receipt: envelope_pb2.Envelope) -> bool:
    """Whether it claims to answer this very receipt; what it is worth is verified then."""
    try:
        said = exchange_pb2.Acknowledgement.FromString(answer.acknowledgement.payload)
    except DecodeError:
        return True
    return said.document_digest == envelope.digest(receipt)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise Unknown(f"{name} is missing", basis="folder.missing") from error
    except OSError as error:
        raise Unavailable(f"{name} cannot be read: {error.strerror}", basis="folder.unreadable") from error


def _read(path: Path) -> bytes:
    with _readable(path.name):
        return files.read_foreign(path, MAX_FILE_BYTES)


def _parse(path: Path, kind: type[M]) -> M:
    try:
        return kind.FromString(_read(path))
    except DecodeError as error:
        raise EncodingInvalid(f"{path.name} cannot be parsed", basis="folder.encoding") from error
