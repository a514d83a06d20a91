"""Tables this home has sealed, with the rows they are bound to and what the gateway answered.

    lending/.making/                     being made; whatever lies here counts for nothing
    lending/<digest>/table.dsse          sealed: from the rename on it is sent, and never made anew
    lending/<digest>/rows.db             its leaves in the tree's order; what a challenge opens
    lending/<digest>/acknowledgement.dsse, receipt.dsse, receipt.tlog-proof
    lending/<digest>/refusal.dsse        it was refused for good: it is not sent again, and its rows are gone

Knows nothing of the network.
"""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from adapters.bank.lending.building import ROWS
from adapters.party.home import Home
from audit.checkpoint import TlogProof
from audit.envelope import digest, parse_strict, seal
from audit.keys import Signer
from xinyi import files
from xinyi.errors import Unavailable, Unknown
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, lending_pb2

TABLE, RECEIPT, ACKNOWLEDGEMENT, REFUSAL = "table.dsse", "receipt.dsse", "acknowledgement.dsse", "refusal.dsse"
PROOF = "receipt.tlog-proof"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeptTable:
    path: Path
    sealed: envelope_pb2.Envelope
    message: lending_pb2.LendingTable

    @classmethod
    def open(cls, path: Path) -> KeptTable:
        sealed = _read(path / TABLE)
        return cls(path, sealed, parse_strict(sealed.payload, lending_pb2.LendingTable))

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.path.name)

    @property
    def receipt(self) -> lending_pb2.TableReceipt | None:
        """As it was verified when it came."""
        path = self.path / RECEIPT
        return parse_strict(_read(path).payload, lending_pb2.TableReceipt) if path.exists() else None

    @property
    def refused(self) -> bool:
        return (self.path / REFUSAL).exists()

    @property
    def log_index(self) -> int | None:
        """Of its entry in the gateway's log; None before the proof was there."""
        path = self.path / PROOF
        return TlogProof.decode(path.read_bytes()).index if path.exists() else None

    @property
    def leaf(self) -> bytes:
        """That the acknowledgement names."""
        return parse_strict(_read(self.path / ACKNOWLEDGEMENT).payload, exchange_pb2.Acknowledgement).leaf

    def answered(self, acknowledgement: envelope_pb2.Envelope, receipt: envelope_pb2.Envelope) -> None:
        """Keeps what was verified. The receipt comes last: with it, all is there."""
        self._keep(ACKNOWLEDGEMENT, acknowledgement.SerializeToString(deterministic=True))
        self._keep(RECEIPT, receipt.SerializeToString(deterministic=True))

    def proven(self, proof: TlogProof) -> None:
        self._keep(PROOF, proof.encode())

    def refuse(self, refusal: bytes) -> None:
        """For good: the next report is a new table. Nobody can ask for these rows."""
        self._keep(REFUSAL, refusal)
        (self.path / ROWS).unlink(missing_ok=True)

    def _keep(self, name: str, data: bytes) -> None:
        files.write_atomically(self.path / name, data)


class KeptTables:
    def __init__(self, home: Home) -> None:
        self.path = home.path / "lending"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """For one report at a time. Raises Unavailable where another one is being made."""
        files.make_directory(self.path)
        with (self.path / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Unavailable("another report of this home is being made", basis="report.lock") from None
            yield

    @contextmanager
    def making(self) -> Iterator[Path]:
        """An empty folder, gone at the end unless `keep` took it. Call under the lock."""
        place = self.path / ".making"
        shutil.rmtree(place, ignore_errors=True)
        files.make_directory(place)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def keep(self, place: Path, table: lending_pb2.LendingTable, *signers: Signer) -> KeptTable:
        """Seals the table and gives the folder its name. A crash before leaves nothing sealed that anybody saw; a
        crash after, a table that the next report sends."""
        sealed = seal(table, *signers)
        files.write_atomically(place / TABLE, sealed.SerializeToString(deterministic=True))
        path = self.path / digest(sealed).hex()
        place.rename(path)
        files.sync(self.path)
        return KeptTable(path, sealed, table)

    def all(self) -> list[KeptTable]:
        """Oldest first. Another's table may lie here too: one of a machine whose copy this home is."""
        paths = [path.parent for path in self.path.glob(f"*/{TABLE}") if _DIGEST.fullmatch(path.parent.name)]
        return sorted(map(KeptTable.open, paths), key=lambda kept: (kept.message.issued_at_ms, kept.path.name))

    def find(
        self, draft: lending_pb2.LendingTable, source: edition_pb2.SourceFile
    ) -> KeptTable | None:
        """The newest one that says the same of the same source and was not refused.

        Args: draft — agreement, period, currency and what is corrected.
        """
        for kept in reversed(self.all()):
            table = kept.message
            same = (
                table.agreement_id == draft.agreement_id
                and table.period == draft.period
                and table.currency == draft.currency
                and table.corrects == draft.corrects
                and table.source.sha256 == source.sha256
                and table.source.profile_sha256 == source.profile_sha256
            )
            if same and not kept.refused:
                return kept
        return None

    def unanswered(self, draft: lending_pb2.LendingTable) -> list[KeptTable]:
        """Other tables of its agreement, period and currency that may have reached the gateway: their answers are
        missing."""
        place = (draft.agreement_id, draft.period, draft.currency)
        return [
            kept
            for kept in self.all()
            if (kept.message.agreement_id, kept.message.period, kept.message.currency) == place
            and kept.receipt is None
            and not kept.refused
        ]

    def unproven(self) -> list[KeptTable]:
        """Receipted, but without a proof of the log yet."""
        return [kept for kept in self.all() if kept.receipt is not None and kept.log_index is None]

    def digest_of(self, digits: str) -> bytes:
        """The digest of one of these tables, by its first digits; all 64 of any table, as another machine may have
        sealed it; empty for none. Raises Unknown."""
        if not digits:
            return b""
        found = [kept.digest for kept in self.all() if kept.path.name.startswith(digits.lower())]
        if len(found) == 1:
            return found[0]
        if _DIGEST.fullmatch(digits.lower()):
            return bytes.fromhex(digits)
        raise Unknown(
            f"{digits!r} names {len(found) or 'none'} of the tables in {self.path}: give all 64 digits",
            basis="table.corrects",
        )


def _read(path: Path) -> envelope_pb2.Envelope:
    return parse_strict(path.read_bytes(), envelope_pb2.Envelope)
