"""Step 12: the records of each product, edition by edition, in a temporary database.

A bucket at a time is in memory (audit.buckets). Only states that something builds on or asks about are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from itertools import groupby

from audit import buckets
from audit.envelope import Opened
from audit.records import VerifiedChunk, check_state
from audit.verification.findings import EvidenceMissing
from audit.verification.scratch import Scratch
from xinyi.errors import ProofInvalid
from xinyi.v1 import edition_pb2

_SCHEMA = """
CREATE TABLE told (bucket INTEGER, entries BLOB, gone BLOB);
CREATE TABLE buckets (chain INTEGER, bucket INTEGER, entries BLOB, PRIMARY KEY (chain, bucket));
"""
_KEY, _ENTRY = 32, buckets.ENTRY_BYTES
_FULL = edition_pb2.EDITION_KIND_FULL
_DELTA = edition_pb2.EDITION_KIND_DELTA


@dataclass
class _Chain:
    """The editions of one origin and product."""

    number: int
    #: Edition whose state is held; empty where none is known.
    edition: bytes = b""
    count: int = 0
    digests: buckets.Digests = field(default_factory=buckets.Digests)


class Replay(Scratch):
    def __init__(self, wanted: Set[bytes]) -> None:
        """Args: wanted — manifest digests of the editions whose state is needed later."""
        super().__init__(_SCHEMA)
        self._wanted = wanted
        self._chains: dict[tuple[str, str], _Chain] = {}
        self._listens = False

    def begin(self, *, listens: bool) -> None:
        """The next edition. Args: listens — False where nobody wants its state: its chunks are passed over."""
        self._rows("DELETE FROM told")
        self._listens = listens

    def tell(self, chunk: VerifiedChunk) -> None:
        """Notes the records of the next chunk."""
        if not self._listens:
            return
        leaving = {place for place, record in chunk.records.others.items() if record.gone}
        keys, entries = chunk.blinded_keys, chunk.entries
        if leaving:
            staying = [place for place in range(len(keys)) if place not in leaving]
            gone = [keys[place] for place in sorted(leaving)]
            entries = b"".join(entries[place * _ENTRY : (place + 1) * _ENTRY] for place in staying)
            keys = [keys[place] for place in staying]
            for key in gone:
                self._add("INSERT INTO told VALUES (?, x'', ?)", buckets.number_of(key), key)
        for number, part in buckets.cut(keys, entries):
            self._add("INSERT INTO told VALUES (?, ?, x'')", number, part)

    def apply(self, manifest: Opened[edition_pb2.Manifest]) -> None:
        """The state after the edition that was told, checked against the one it seals.

        Raises EvidenceMissing where the state before is not known, ProofInvalid.
        """
        message, keep = manifest.message, manifest.digest in self._wanted
        full = message.kind == _FULL
        chain = self._chain(message)
        if not full and chain.edition != message.predecessor:
            raise EvidenceMissing("the records as they stood before it are not known here")
        digests, count = (buckets.Digests(), 0) if full else (buckets.Digests(chain.digests.packed), chain.count)
        if keep:
            chain.edition = b""  # neither the one before nor this one, until it is whole
            if full:
                self._rows("DELETE FROM buckets WHERE chain = ?", chain.number)
        for number, changes in self._told():
            before = b"" if full else self._bucket(chain, number)
            after = buckets.changed(before, changes, strict=message.kind == _DELTA)
            count += (len(after) - len(before)) // _ENTRY
            digests.update({number: buckets.digest(after)})
            if keep:
                self._rows("INSERT OR REPLACE INTO buckets VALUES (?, ?, ?)", chain.number, number, after)
        check_state(digests, message)
        if count != message.state_count:
            raise ProofInvalid("the records are not as many as it seals", basis="state.count")
        if keep:
            chain.edition, chain.count, chain.digests = manifest.digest, count, digests

    def holds(self, manifest: Opened[edition_pb2.Manifest], keys: Iterable[bytes]) -> bool:
        """Whether each of these blinded keys was among the records after the edition that was applied last.

        Raises EvidenceMissing where its state is not known.
        """
        chain = self._chain(manifest.message)
        if chain.edition != manifest.digest:
            raise EvidenceMissing(f"the records after edition {manifest.digest.hex()[:16]}… are not known here")
        return all(
            buckets.find(self._bucket(chain, buckets.number_of(key)), key) is not None for key in keys
        )

    def _chain(self, manifest: edition_pb2.Manifest) -> _Chain:
        name = (manifest.origin, manifest.product)
        return self._chains.setdefault(name, _Chain(len(self._chains)))

    def _bucket(self, chain: _Chain, number: int) -> bytes:
        row = self._one("SELECT entries FROM buckets WHERE chain = ? AND bucket = ?", chain.number, number)
        return b"" if row is None else row[0]

    def _told(self) -> Iterator[tuple[int, list[buckets.Change]]]:
        rows = self._rows("SELECT bucket, entries, gone FROM told ORDER BY bucket")
        for number, parts in groupby(rows, key=lambda row: row[0]):
            yield number, [change for _, entries, gone in parts for change in _changes(entries, gone)]


def _changes(entries: bytes, gone: bytes) -> Iterator[buckets.Change]:
    for start in range(0, len(entries), _ENTRY):
        yield entries[start : start + _KEY], entries[start + _KEY : start + _ENTRY]
    if gone:
        yield gone, None
