"""The folder channel: sealed files out, receipts in, for front-end nodes, SFTP, a one-way gap, a medium.

Same bytes, same log entries as over gRPC. A reader never sees a half-written delivery: its directory is
renamed into place, and a `.complete` file with every digest is written last of all, for transports that do
not keep a rename whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import structlog
from google.protobuf.message import DecodeError
from sqlalchemy import Connection, select

from audit import envelope
from gateway.receipts import accept_receipt
from gateway.reception import Reception
from gateway.store.tables import entitlements
from xinyi import files
from xinyi.errors import EncodingInvalid, ExchangeError, Unavailable
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2

MAX_RECEIPT_BYTES = 4 << 20

log = structlog.get_logger()


def prepare(folder: Path) -> None:
    """The four directories of a folder channel."""
    for name in ("outgoing", "incoming", "answers", "taken"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)


def write_outgoing(
    target: str,
    delivery_id: str,
    package: exchange_pb2.DeliveryPackage,
    evidence: exchange_pb2.LogEvidence,
    chunks: Iterable[tuple[int, bytes]],
) -> int:
    """Writes a delivery's files; returns how many chunks. Writing again what is complete does nothing.

    A crash leaves a `.part` directory, or a directory without `.complete`: the next attempt starts over.
    Raises Unavailable where the folder cannot be written.
    """
    outgoing = Path(target) / "outgoing"
    complete = outgoing / f"{delivery_id}.complete"
    try:
        prepare(Path(target))
        if complete.exists():
            return 0
        part, final = outgoing / f"{delivery_id}.part", outgoing / delivery_id
        for stale in (part, final):
            if stale.exists():
                shutil.rmtree(stale)
        (part / "chunks").mkdir(mode=0o700, parents=True)
        digests: list[str] = []

        def put(name: str, data: bytes) -> None:
            files.create(part / name, data)
            digests.append(f"{hashlib.sha256(data).hexdigest()}  {delivery_id}/{name}\n")

        put("delivery.dsse", package.delivery.SerializeToString())
        put("manifest.dsse", package.manifest.SerializeToString())
        put("approval.dsse", package.approval.SerializeToString())
        put("blinding.key", package.blinding_key)
        put("evidence.bin", evidence.SerializeToString())
        count = 0
        for number, data in chunks:
            put(f"chunks/{number:06d}.chunk", data)
            count += 1
        part.rename(final)
        files.write_atomically(complete, "".join(digests).encode())
        return count
    except OSError as error:
        raise Unavailable(f"the folder cannot be written: {error.strerror}", basis="folder") from error


class Collector:
    """Takes receipts out of the folders of all folder partners, answers each, and moves it aside.

    A file is answered before it is moved; after a crash in between it is answered again, with the same
    stored acknowledgement.
    """

    def __init__(self, reception: Reception, interval_s: float = 1.0) -> None:
        self._reception = reception
        self._interval_s = interval_s

    async def run(self) -> None:
        while True:
            try:
                await self.collect()
            except Exception:  # the loop must outlive one bad folder
                log.exception("folder.collect_failed")
            await asyncio.sleep(self._interval_s)

    async def collect(self) -> int:
        """One round over all folders; returns how many files were answered."""
        taken = 0
        for party, folder in await self._reception.database.read(_folders):
            for path in await asyncio.to_thread(_waiting, folder):
                await self._answer(party, folder, path)
                taken += 1
        return taken

    async def _answer(self, party: str, folder: Path, path: Path) -> None:
        name = path.name.removesuffix(".dsse")
        sealed = envelope_pb2.Envelope()
        who = Caller(f"xinyi://{party}/machine/folder")
        try:
            async with self._reception.refusals_signed(who, "folder.SubmitReceipt", subject=name[:64]) as request:
                request.document = sealed = await asyncio.to_thread(_read, path)
                who = await self._sender(sealed, party)
                answer = await accept_receipt(self._reception, exchange_pb2.Call(document=sealed), who)
            reply, data = f"{name}.answer", answer.SerializeToString()
        except Unavailable:
            raise
        except ExchangeError as error:
            reply, data = f"{name}.refusal", error.sealed
        await asyncio.to_thread(_settle, folder, path, reply, data)
        log.info("folder.answered", party=party, reply=reply.rpartition(".")[2])

    async def _sender(self, sealed: envelope_pb2.Envelope, party: str) -> Caller:
        """Who sealed it. There is no TLS here: the seal alone says whose a file is."""
        keyring = await self._reception.keyring()
        opened = envelope.open_sealed(sealed, exchange_pb2.DeliveryReceipt, keyring)
        return Caller(envelope.signer_of_party(opened.signers, party).holder)


def _folders(conn: Connection) -> Sequence[tuple[str, Path]]:
    rows = conn.execute(
        select(entitlements.c.party, entitlements.c.target)
        .where(entitlements.c.channel == exchange_pb2.CHANNEL_FOLDER)
        .distinct()
    )
    return [(row.party, Path(row.target)) for row in rows]


def _waiting(folder: Path) -> list[Path]:
    incoming = folder / "incoming"
    return sorted(incoming.glob("*.dsse")) if incoming.is_dir() else []


def _read(path: Path) -> envelope_pb2.Envelope:
    if path.stat().st_size > MAX_RECEIPT_BYTES:
        raise EncodingInvalid(f"a receipt file of more than {MAX_RECEIPT_BYTES} bytes")
    try:
        return envelope_pb2.Envelope.FromString(path.read_bytes())
    except DecodeError as error:
        raise EncodingInvalid("the file is no sealed document") from error


def _settle(folder: Path, path: Path, reply: str, data: bytes) -> None:
    prepare(folder)
    files.write_atomically(folder / "answers" / reply, data)
    path.rename(folder / "taken" / path.name)
