"""The folder channel: sealed files out, receipts and tables in, for front-end nodes, SFTP, a one-way gap, a medium.

Same bytes, same log entries as over gRPC. A reader never sees a half-written delivery: its directory is
renamed into place, and a `.complete` file with every digest is written last of all and taken away first, for
transports that do not keep a rename whole. What lies in `incoming` is the partner's: it may be half a file, a
link, a pipe, and is never waited for.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import structlog
from google.protobuf.message import DecodeError, Message
from sqlalchemy import Connection, select

from audit import envelope
from audit.checkpoint import TlogProof
from gateway.receipts import accept_receipt
from gateway.reception import Reception
from gateway.reports import accept_table
from gateway.rules.deliveries import FINISHED
from gateway.store import deliveries
from gateway.store.rows import Row
from gateway.store.tables import entitlements
from xinyi import files
from xinyi.days import DAY_MS
from xinyi.errors import EncodingInvalid, ExchangeError, Unavailable, Unknown, VerificationError
from xinyi.server import Caller
from xinyi.v1 import envelope_pb2, exchange_pb2, lending_pb2

MAX_RECEIPT_BYTES = 5 << 20
#: A file that does not hold is still on its way while it was touched this recently.
SETTLED_S = 60.0
TIDY_EVERY_S = 3600.0

#: How the name of a bank's table of a period ends; before it stands its digest.
_TABLE = ".1-table"
_RECEIPT = re.compile(r"[0-9a-f]{64}\.[0-9]+-[a-z]+\.dsse")

log = structlog.get_logger()

T = TypeVar("T")


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
    sealed = package.delivery.SerializeToString()
    try:
        prepare(Path(target))
        part, final = outgoing / f"{delivery_id}.part", outgoing / delivery_id
        if complete.exists() and _holds(final / "delivery.dsse", sealed):
            return 0
        withdraw(target, delivery_id)
        (part / "chunks").mkdir(mode=0o700, parents=True)
        digests: list[str] = []

        def put(name: str, data: bytes) -> None:
            files.create(part / name, data)
            digests.append(f"{hashlib.sha256(data).hexdigest()}  {delivery_id}/{name}\n")

        put("delivery.dsse", sealed)
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


def withdraw(target: str, delivery_id: str) -> bool:
    """Takes a delivery out of the folder, its list first: without it no bank begins to read. False where
    nothing was there. A crash leaves files without a list; doing it again removes them. Raises OSError."""
    outgoing = Path(target) / "outgoing"
    complete = outgoing / f"{delivery_id}.complete"
    there = [path for path in (outgoing / delivery_id, outgoing / f"{delivery_id}.part") if path.exists()]
    if not there and not complete.exists():
        return False
    complete.unlink(missing_ok=True)
    files.sync(outgoing)
    for path in there:
        shutil.rmtree(path)
    return True


def _holds(path: Path, data: bytes) -> bool:
    return path.exists() and path.read_bytes() == data


class Collector:
    """The gateway's round through the folders of its folder partners.

    Receipts are taken out, answered, moved aside; log proofs follow once the log is published; deliveries that
    the bureau stopped are withdrawn; what ended long ago is removed. All of it is found again from what lies
    there: a crash anywhere is mended by the next round. A file is answered before it is moved, and answered
    twice it gets the same stored acknowledgement.
    """

    def __init__(
        self,
        reception: Reception,
        *,
        interval_s: float = 1.0,
        settled_s: float = SETTLED_S,
        keep_days: int = 0,
    ) -> None:
        self._reception = reception
        self._interval_s = interval_s
        self._settled_s = settled_s
        self._keep_days = keep_days
        #: Per folder, leaves that were acknowledged there and have no proof yet; read from the folder once.
        self._unproven: dict[Path, set[bytes]] = {}
        self._troubles: dict[Path, str] = {}
        self._tidied_at = float("-inf")

    async def run(self) -> None:
        while True:
            try:
                await self.collect()
            except Exception:  # the loop must outlive a blink of the database
                log.exception("folder.collect_failed")
            await asyncio.sleep(self._interval_s)

    async def collect(self) -> int:
        """One round over all folders; returns how many files were answered. One bad folder, or one bad file,
        keeps no other waiting."""
        await self._withdraw_stopped()
        taken = 0
        for party, folder in await self._reception.database.read(_folders):
            for path in await self._guarded(folder, asyncio.to_thread(_waiting, folder), []):
                taken += await self._guarded(path, self._answer(party, folder, path), False)
            await self._guarded(folder, self._prove(folder), None)
        if self._keep_days and time.monotonic() - self._tidied_at > TIDY_EVERY_S:
            await self._tidy()
            self._tidied_at = time.monotonic()
        return taken

    async def _guarded(self, place: Path, work: Awaitable[T], otherwise: T) -> T:
        """Trouble with a place is said once, until it is over."""
        try:
            result = await work
        except (OSError, ExchangeError) as error:
            trouble = error.strerror or "" if isinstance(error, OSError) else error.explanation
            if self._troubles.get(place) != trouble:
                self._troubles[place] = trouble
                log.warning("folder.trouble", place=str(place), error=trouble)
            return otherwise
        self._troubles.pop(place, None)
        return result

    # ── receipts ───────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, party: str, folder: Path, path: Path) -> bool:
        """False where the file is still arriving."""
        name = path.name.removesuffix(".dsse")
        who = Caller(f"xinyi://{party}/machine/folder")
        try:
            is_table = name.endswith(_TABLE)
            method = "folder.SubmitTable" if is_table else "folder.SubmitReceipt"
            async with self._reception.refusals_signed(who, method, subject=name[:64]) as request:
                request.document = sealed = await self._read(path)
                who = await self._sender(
                    sealed, lending_pb2.LendingTable if is_table else exchange_pb2.DeliveryReceipt, path, party
                )
                call = exchange_pb2.Call(document=sealed)
                if is_table:
                    answer, receipt = await accept_table(self._reception, call, who)
                    # Before the answer, which is what the bank looks for.
                    await asyncio.to_thread(_put, folder, f"{name}.receipt", receipt.SerializeToString())
                else:
                    answer = await accept_receipt(self._reception, call, who)
            reply, data = f"{name}.answer", answer.SerializeToString()
            if folder in self._unproven:  # else it is found there, with those of an earlier life
                self._unproven[folder].add(_leaf(answer))
        except _Arriving:
            return False
        except Unavailable:
            raise
        except ExchangeError as error:
            if not error.sealed:  # too many today: the file waits for a day on which its refusal can be signed
                raise Unavailable(error.explanation, basis=error.basis) from error
            reply, data = f"{name}.refusal", error.sealed
        await asyncio.to_thread(_settle, folder, path, reply, data)
        log.info("folder.answered", party=party, reply=reply.rpartition(".")[2])
        return True

    async def _read(self, path: Path) -> envelope_pb2.Envelope:
        try:
            return await asyncio.to_thread(_read, path)
        except VerificationError as error:
            self._check_settled(path, error)
            raise

    async def _sender(
        self, sealed: envelope_pb2.Envelope, kind: type[Message], path: Path, party: str
    ) -> Caller:
        """Who sealed it. There is no TLS here: the seal alone says whose a file is."""
        keyring = await self._reception.keyring()
        try:
            opened = envelope.open_sealed(sealed, kind, keyring)
            return Caller(envelope.signer_of_party(opened.signers, party).holder)
        except VerificationError as error:
            self._check_settled(path, error)
            raise

    def _check_settled(self, path: Path, error: VerificationError) -> None:
        """Raises _Arriving where the file is so young that its end may be missing."""
        # The inode's own time: a transport may set the other one to what it was at the sender.
        if time.time() - path.stat().st_ctime < self._settled_s:
            raise _Arriving from error

    # ── proofs ─────────────────────────────────────────────────────────────────────────────────────────

    async def _prove(self, folder: Path) -> None:
        """Writes the log proof of every answer given here, as soon as the log has published it."""
        if folder not in self._unproven:
            self._unproven[folder] = await asyncio.to_thread(_unproven, folder)
        for leaf in list(self._unproven[folder]):
            try:
                proof = await self._reception.database.read(
                    lambda conn, leaf=leaf: self._reception.log.prove(conn, leaf)  # type: ignore[misc]
                )
            except Unknown:  # an answer of another gateway, or none at all
                self._unproven[folder].discard(leaf)
                continue
            if proof is not None:
                encoded = TlogProof(proof.index, tuple(proof.proof), proof.note).encode()
                await asyncio.to_thread(files.write_atomically, _proof(folder, leaf), encoded)
                self._unproven[folder].discard(leaf)

    # ── what goes away ─────────────────────────────────────────────────────────────────────────────────

    async def _withdraw_stopped(self) -> None:
        for row in await self._in_state("STOPPED"):
            gone = asyncio.to_thread(withdraw, row["target"], row["delivery_id"])
            if await self._guarded(Path(row["target"]), gone, False):
                log.info("folder.withdrawn", delivery=row["delivery_id"])

    async def _tidy(self) -> None:
        """Removes the files of deliveries that ended `keep_days` ago. What was signed stays in the store."""
        before = self._reception.door.now() - self._keep_days * DAY_MS
        count = 0
        for row in await self._in_state(*FINISHED, before=before):
            gone = asyncio.to_thread(_remove, Path(row["target"]), row["delivery_id"])
            count += await self._guarded(Path(row["target"]), gone, False)
        if count:
            log.info("folder.tidied", deliveries=count, days=self._keep_days)

    async def _in_state(self, *states: str, before: int | None = None) -> Sequence[Row]:
        return await self._reception.database.read(
            lambda conn: deliveries.deliveries_by_channel(conn, exchange_pb2.CHANNEL_FOLDER, states, before)
        )


class _Arriving(Exception):
    """A file that does not hold, and was touched a moment ago."""


def _folders(conn: Connection) -> Sequence[tuple[str, Path]]:
    rows = conn.execute(
        select(entitlements.c.party, entitlements.c.target)
        .where(entitlements.c.channel == exchange_pb2.CHANNEL_FOLDER)
        .distinct()
    )
    return [(row.party, Path(row.target)) for row in rows]


def _waiting(folder: Path) -> list[Path]:
    """Files with a receipt's name, <delivery>.<n>-<stage>.dsse, or a table's, <digest>.1-table.dsse; others are not
    ours."""
    incoming = folder / "incoming"
    if not incoming.is_dir():
        return []
    return sorted(path for path in incoming.iterdir() if _RECEIPT.fullmatch(path.name))


def _read(path: Path) -> envelope_pb2.Envelope:
    try:
        return envelope_pb2.Envelope.FromString(files.read_foreign(path, MAX_RECEIPT_BYTES))
    except DecodeError as error:
        raise EncodingInvalid("the file is no sealed document") from error


def _put(folder: Path, reply: str, data: bytes) -> None:
    prepare(folder)
    files.write_atomically(folder / "answers" / reply, data)


def _settle(folder: Path, path: Path, reply: str, data: bytes) -> None:
    _put(folder, reply, data)
    path.rename(folder / "taken" / path.name)


def _leaf(answer: exchange_pb2.Answer) -> bytes:
    return exchange_pb2.Acknowledgement.FromString(answer.acknowledgement.payload).leaf


def _proof(folder: Path, leaf: bytes) -> Path:
    return folder / "answers" / f"{leaf.hex()}.tlog-proof"


def _answers(folder: Path, delivery_id: str = "") -> Iterator[tuple[Path, bytes]]:
    """Answers that lie in the folder, of one delivery or all, and the leaves they acknowledge."""
    for path in (folder / "answers").glob(f"{delivery_id}*.answer"):
        try:
            yield path, _leaf(exchange_pb2.Answer.FromString(files.read_foreign(path, MAX_RECEIPT_BYTES)))
        except (DecodeError, FileNotFoundError):
            continue  # not as we wrote it, or taken away


def _unproven(folder: Path) -> set[bytes]:
    return {leaf for _, leaf in _answers(folder) if leaf and not _proof(folder, leaf).exists()}


def _remove(folder: Path, delivery_id: str) -> bool:
    """False where nothing was there. A crash leaves a part of it, which the next time removes."""
    gone = withdraw(str(folder), delivery_id) if (folder / "outgoing").is_dir() else False
    for path, leaf in list(_answers(folder, delivery_id)):
        _proof(folder, leaf).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        gone = True
    for place in ("answers", "taken"):
        for path in list((folder / place).glob(f"{delivery_id}.*")):
            path.unlink(missing_ok=True)
            gone = True
    return gone
