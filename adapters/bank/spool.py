"""The bank's spool: verified sealed files on their way from the network to the database, and receipts back.

    incoming/<delivery>.part/   being received; whatever lies here is verified again before it counts
    ready/<delivery>/           complete and verified
    landed/<delivery>/          in the database; kept to prove single records
    refused/<delivery>/         with reason.json
    held/<product>.json         the newest edition taken, so that an older one is known as a replay
    state/<product>.db          what the records come to after the newest edition landed
    locks/                      an empty file per delivery; the lock is the kernel's and dies with its process

An edition changes its state by one rename. Knows nothing of the network or of databases.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from google.protobuf.message import DecodeError

from adapters.bank.package import Held, VerifiedPackage, check_takeable
from audit.chunk_stream import ChunkStream, E, Examine, SealedChunk
from audit.envelope import digest, parse_strict
from audit.records import examine_chunk
from xinyi import files
from xinyi.errors import (
    Contradiction,
    EncodingInvalid,
    ExchangeError,
    Invalid,
    Unavailable,
    Unknown,
    VerificationError,
)
from xinyi.processes import Crew
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2

#: A chunk or a document is no larger: it came, or could have come, in one message.
MAX_FILE_BYTES = 8 << 20
_DOCUMENTS = ("delivery", "manifest", "approval")
_DELIVERY_ID = re.compile(r"[0-9a-f]{64}")
STATES = ("ready", "landed", "refused")


@dataclass(frozen=True)
class SpooledEdition:
    """The files of one delivery, as they lie: nothing here is trusted before it is verified."""

    path: Path

    @property
    def delivery_id(self) -> str:
        return self.path.name.removesuffix(".part")

    @property
    def receipts(self) -> Path:
        return self.path / "receipts"

    def package(self) -> exchange_pb2.DeliveryPackage:
        """Raises EncodingInvalid, Unknown where a document is missing, Unavailable where it cannot be read."""
        package = exchange_pb2.DeliveryPackage(blinding_key=self._read("blinding.key"))
        for name in _DOCUMENTS:
            try:
                getattr(package, name).ParseFromString(self._read(f"{name}.dsse"))
            except DecodeError as error:
                raise EncodingInvalid(f"{name}: the file is no envelope", basis=f"{name}.seal") from error
        return package

    def chunk(self, number: int) -> bytes:
        return self._read(f"chunks/{number:06d}.chunk")

    def write_documents(self, package: exchange_pb2.DeliveryPackage) -> None:
        for name in _DOCUMENTS:
            sealed: envelope_pb2.Envelope = getattr(package, name)
            files.write_atomically(self.path / f"{name}.dsse", sealed.SerializeToString(deterministic=True))
        files.write_atomically(self.path / "blinding.key", package.blinding_key)

    def _read(self, name: str) -> bytes:
        try:
            return files.read_foreign(self.path / name, MAX_FILE_BYTES)
        except FileNotFoundError as error:
            raise Unknown(f"{self.delivery_id[:16]}…: {name} is missing", basis="spool.missing") from error
        except OSError as error:
            raise Unavailable(
                f"{self.delivery_id[:16]}…: {name} cannot be read: {error.strerror}", basis="spool.disk"
            ) from error


class Intake(Generic[E]):
    """Takes the chunks of one edition in order; each is verified before it is written. See `Spool.open_intake`."""

    def __init__(
        self,
        edition: SpooledEdition,
        package: VerifiedPackage,
        crew: Crew | None,
        examine: Examine[E],
        also: Callable[[SealedChunk[E]], None],
    ) -> None:
        self.edition = edition
        self.package = package
        self._chunks = edition.path / "chunks"
        self._examine = examine
        self._also = also
        files.make_directory(self._chunks)
        start, after = self._resume(crew)
        self._stream = self._open(self._write, crew, start, after)

    def _open(
        self, sink: Callable[[SealedChunk[E]], None], crew: Crew | None, start: int, after: bytes
    ) -> ChunkStream[E]:
        manifest, key = self.package.manifest.message, self.package.blinding_key
        return ChunkStream(manifest, key, self._examine, sink, crew, start=start, after=after)

    @property
    def next_chunk(self) -> int:
        return self._stream.next_chunk

    @property
    def complete(self) -> bool:
        """Whether every chunk is verified and written; call `settle` before."""
        return self._stream.complete

    def put(self, number: int, data: bytes) -> None:
        """Raises VerificationError or Invalid for a chunk that is not the sealed one; it is not written.

        It may be written, or refused, with a later call only: `settle` waits for all.
        """
        self._stream.put(number, data)

    def settle(self) -> None:
        """Every chunk that was put is verified and written when this returns. Raises as `put` does."""
        self._stream.drain()

    def _write(self, chunk: SealedChunk[E]) -> None:
        try:
            # Not synced yet: `finish` does that for all. A torn chunk fails verification on resumption.
            temporary = self._chunks / f".{chunk.number:06d}.tmp"
            temporary.write_bytes(chunk.data)
            temporary.rename(self._path(chunk.number))
        except OSError as error:
            raise Unavailable(f"the spool cannot be written: {error.strerror}", basis="spool.disk") from error
        self._also(chunk)

    def _resume(self, crew: Crew | None) -> tuple[int, bytes]:
        """Verifies what an interrupted intake left: (chunks that hold, last blinded key of the last of them)."""
        taken, last = 0, b""

        def note(chunk: SealedChunk[E]) -> None:
            nonlocal taken, last
            self._also(chunk)
            taken, last = taken + 1, chunk.examined.last_key

        stream = self._open(note, crew, 0, b"")
        total = len(self.package.manifest.message.chunk_roots)
        try:
            while stream.next_chunk < total and (path := self._path(stream.next_chunk)).exists():
                stream.put(stream.next_chunk, path.read_bytes())
            stream.drain()
        except (VerificationError, Invalid):
            if taken < stream.handed_on:
                raise  # the chunk holds; it is `also` that failed
            self._path(taken).unlink()
        return stream.handed_on, last

    def _path(self, number: int) -> Path:
        return self._chunks / f"{number:06d}.chunk"

    def sync(self) -> None:
        """Makes every chunk survive a power cut."""
        for number in range(self.package.chunk_count):
            descriptor = os.open(self._path(number), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        files.sync(self._chunks)


class Spool:
    """Args: crew — who verifies the chunks of large editions; this process where None."""

    def __init__(self, path: Path, crew: Crew | None = None) -> None:
        self.path = path
        self._crew = crew
        for name in ("incoming", *STATES, "held", "locks"):
            files.make_directory(path / name)

    def find(self, delivery_id: str, *states: str) -> SpooledEdition | None:
        """The edition, where it is in one of these states (by default: complete in any of them)."""
        _check_id(delivery_id)
        for state in states or STATES:
            path = self.path / state / delivery_id
            if path.is_dir():
                return SpooledEdition(path)
        return None

    def editions(self, state: str) -> list[SpooledEdition]:
        return [SpooledEdition(path) for path in sorted((self.path / state).iterdir()) if path.is_dir()]

    def offered(self, delivery_id: str) -> SpooledEdition:
        """The documents of a delivery whose chunks are expected. Raises Unknown."""
        _check_id(delivery_id)
        path = self.path / "incoming" / f"{delivery_id}.part"
        if not (path / "blinding.key").exists():
            raise Unknown("this delivery has not been offered", basis="delivery.unknown")
        return SpooledEdition(path)

    @contextmanager
    def lock(self, delivery_id: str) -> Iterator[None]:
        """One process and one call at a time works on a delivery. Raises Unavailable where it is taken."""
        _check_id(delivery_id)
        with (self.path / "locks" / delivery_id).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Unavailable(
                    "another transfer or landing of this delivery is under way", basis="delivery.busy"
                ) from error
            yield

    def open_intake(
        self,
        package: VerifiedPackage,
        examine: Examine[Any] = examine_chunk,
        also: Callable[[SealedChunk[Any]], None] = lambda chunk: None,
    ) -> Intake[Any]:
        """Begins or resumes; call under `lock`, after `find` found nothing.

        Args:
            examine: examine_chunk, or what begins with it.
            also: gets each verified chunk, those of an earlier run first.

        What began under a Delivery that expired goes on under the one that took its place; a crash while it is
        replaced leaves either, with the same manifest and approval.

        Raises Contradiction where the same delivery began with another document; VerificationError or Conflict
        where the edition cannot follow the one that is held.
        """
        check_takeable(package, self.held(package.product))
        edition = SpooledEdition(self.path / "incoming" / f"{package.delivery_id}.part")
        begun = (edition.path / "blinding.key").exists()
        if not begun or check_same_delivery(edition, package):
            files.make_directory(edition.path)
            edition.write_documents(
                exchange_pb2.DeliveryPackage(
                    delivery=package.delivery.envelope,
                    manifest=package.manifest.envelope,
                    approval=package.approval.envelope,
                    blinding_key=package.blinding_key,
                )
            )
        return Intake(edition, package, self._crew, examine, also)

    def finish(self, intake: Intake[Any]) -> SpooledEdition:
        """Everything is there and verified: one rename makes it ready, then it is the one that is held."""
        assert intake.complete
        intake.sync()
        ready = self._move(intake.edition, "ready")
        self.hold(intake.package)
        return ready

    def mark_landed(self, edition: SpooledEdition) -> SpooledEdition:
        return self._move(edition, "landed")

    def refuse(self, edition: SpooledEdition, error: ExchangeError) -> SpooledEdition:
        """Puts an edition aside with the reason. `fetch` gets it again once a person has removed it there, `land` has
        it again behind `reconsider`."""
        reason = {"code": error.code, "basis": error.basis, "explanation": error.explanation}
        files.write_atomically(
            edition.path / "reason.json", json.dumps(reason, ensure_ascii=False, indent=2).encode() + b"\n"
        )
        return self._move(edition, "refused")

    def reconsider(self, edition: SpooledEdition) -> SpooledEdition:
        """What was refused is to land again; all of it is verified anew then."""
        ready = self._move(edition, "ready")
        (ready.path / "reason.json").unlink(missing_ok=True)  # a crash before this leaves a file that nobody reads
        return ready

    def _move(self, edition: SpooledEdition, state: str) -> SpooledEdition:
        target = self.path / state / edition.delivery_id
        edition.path.rename(target)
        files.sync(target.parent)
        files.sync(edition.path.parent)
        return SpooledEdition(target)

    # What is held

    def held(self, product: str) -> Held | None:
        try:
            value = json.loads((self.path / "held" / f"{product}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Held(value["origin"], value["sequence"], bytes.fromhex(value["manifest_digest"]))

    def hold(self, package: VerifiedPackage) -> None:
        """Remembers the edition as the newest of its product, unless a newer one is. Safe to repeat.

        A CORRECTION whose turn has not come is not held: those before it are still to be asked for.
        """
        manifest = package.manifest.message
        with self._held_lock():
            known = self.held(package.product)
            if known is not None and known.sequence >= manifest.sequence:
                return
            if manifest.kind != edition_pb2.EDITION_KIND_FULL and (
                known is None or known.manifest_digest != manifest.predecessor
            ):
                return
            value = {
                "origin": manifest.origin,
                "sequence": manifest.sequence,
                "manifest_digest": package.manifest.digest.hex(),
                "delivery_id": package.delivery_id,
            }
            files.write_atomically(
                self.path / "held" / f"{package.product}.json", json.dumps(value).encode() + b"\n"
            )

    def rewind(self, product: str, held: Held | None) -> None:
        """Goes back to an edition: what came behind it is asked for again, and known again where it is here."""
        path = self.path / "held" / f"{product}.json"
        with self._held_lock():
            if held is None:
                path.unlink(missing_ok=True)
                return
            value = {
                "origin": held.origin,
                "sequence": held.sequence,
                "manifest_digest": held.manifest_digest.hex(),
                "delivery_id": "",
            }
            files.write_atomically(path, json.dumps(value).encode() + b"\n")

    @contextmanager
    def _held_lock(self) -> Iterator[None]:
        with (self.path / "locks" / "held").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def check_same_delivery(edition: SpooledEdition, package: VerifiedPackage) -> bool:
    """True where the delivery was offered anew since: after it had expired, by the gateway's own times.

    Raises Contradiction where this id came with another document before.
    """
    known = edition.package().delivery
    if digest(known) == package.delivery.digest:
        return False
    expired_at_ms = parse_strict(known.payload, exchange_pb2.Delivery).expires_at_ms
    if package.delivery.message.offered_at_ms <= expired_at_ms:
        raise Contradiction("this delivery id came with another document before", basis="delivery.changed")
    return True


def is_delivery_id(name: str) -> bool:
    return _DELIVERY_ID.fullmatch(name) is not None


def _check_id(delivery_id: str) -> None:
    """The id becomes a file name, and comes from the other side."""
    if not is_delivery_id(delivery_id):
        raise Unknown("a delivery id has 64 hexadecimal digits", basis="delivery.id")
