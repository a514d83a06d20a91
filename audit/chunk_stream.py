"""Chunks of one edition as they arrive: each verified by itself on any core, handed on in order.

    put → examine, in a crew's process → order against the chunk before → sink

Knows nothing of where chunks come from or where they go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from audit.records import ChunkVerifier, ExaminedChunk
from xinyi.errors import ProofInvalid, VerificationError
from xinyi.processes import Crew, Inline
from xinyi.v1 import edition_pb2

#: An edition of fewer chunks is verified before another process has even begun.
_SMALL = 8


E = TypeVar("E", bound=ExaminedChunk)
#: (chunk's bytes, blinding key, sealed root) → what it comes to; may run in another process.
Examine = Callable[[bytes, bytes, bytes], E]


@dataclass(frozen=True)
class SealedChunk(Generic[E]):
    """A chunk that is the one the manifest seals."""

    number: int
    data: bytes
    examined: E


class ChunkStream(Generic[E]):
    """Args:
    examine: examine_chunk, or what begins with it.
    sink: gets each chunk, in order, once it is verified. What it raises comes out of `put` or `drain`.
    crew: who examines; small editions are examined here.
    start: the first chunk that will come.
    after: last blinded key of the chunk before it.
    """

    def __init__(
        self,
        manifest: edition_pb2.Manifest,
        blinding_key: bytes,
        examine: Examine[E],
        sink: Callable[[SealedChunk[E]], None],
        crew: Crew | None = None,
        *,
        start: int = 0,
        after: bytes = b"",
    ) -> None:
        self._verifier = ChunkVerifier(manifest, blinding_key, start=start, after=after)
        self._roots = manifest.chunk_roots
        self._key = blinding_key
        self._examine = examine
        self._sink = sink
        self._crew: Crew = crew if crew is not None and len(self._roots) - start >= _SMALL else Inline()
        self._waiting: deque[tuple[int, bytes, Future[E]]] = deque()

    @property
    def next_chunk(self) -> int:
        """The next one to put."""
        return self._verifier.next_chunk + len(self._waiting)

    @property
    def handed_on(self) -> int:
        """Chunks that reached the sink, with those before `start`."""
        return self._verifier.next_chunk

    @property
    def complete(self) -> bool:
        """Whether every chunk reached the sink."""
        return self._verifier.complete

    def put(self, number: int, data: bytes) -> None:
        """Takes the next chunk; waits for the oldest where too many are under way.

        Raises DigestMismatch, EncodingInvalid, ProofInvalid or Invalid at the first chunk that does not hold;
        those before it have reached the sink.
        """
        if number != self.next_chunk or number == len(self._roots):
            expected = self.next_chunk
            self.drain()
            raise ProofInvalid(f"expected chunk {expected}, got {number}", basis="chunk")
        future = self._crew.submit(self._examine, data, self._key, self._roots[number])
        self._waiting.append((number, data, future))
        while len(self._waiting) > self._crew.ahead:
            self._settle()

    def drain(self) -> None:
        """Waits for all that were put. Raises as `put` does."""
        while self._waiting:
            self._settle()

    def _settle(self) -> None:
        number, data, future = self._waiting.popleft()
        try:
            examined = self._admitted(number, future)
            self._sink(SealedChunk(number, data, examined))
        except BaseException:
            # Nothing behind a chunk that does not hold, or was not taken, is of any use.
            self._waiting.clear()
            raise

    def _admitted(self, number: int, future: Future[E]) -> E:
        try:
            examined = future.result()
            self._verifier.admit(number, examined)
        except VerificationError as error:
            raise type(error)(f"chunk {number}: {error.explanation}", basis="chunk") from error
        return examined
