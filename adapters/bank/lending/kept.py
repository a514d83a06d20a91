"""Tables this home has sealed, with the rows they are bound to and what the gateway answered.

    lending/.making/                     being made; whatever lies here counts for nothing
    lending/<digest>/table.dsse          sealed: from the rename on it is sent, and never made anew
    lending/<digest>/rows.db             its leaves in the tree's order; what a challenge opens
    lending/<digest>/…                   what the gateway answered (answers.py); refused for good, its rows are gone

Knows nothing of the network.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from adapters.bank.lending.answers import Answers, locked, making, read_envelope
from adapters.bank.lending.building import ROWS
from adapters.party.home import Home
from audit.envelope import digest, parse_strict, seal
from audit.keys import Signer
from xinyi import files
from xinyi.errors import Unknown
from xinyi.v1 import edition_pb2, envelope_pb2, lending_pb2

TABLE = "table.dsse"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeptTable(Answers):
    sealed: envelope_pb2.Envelope
    message: lending_pb2.LendingTable

    @classmethod
    def open(cls, path: Path) -> KeptTable:
        sealed = read_envelope(path / TABLE)
        return cls(path, sealed, parse_strict(sealed.payload, lending_pb2.LendingTable))

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.path.name)

    @property
    def receipt(self) -> lending_pb2.TableReceipt | None:
        return self.read_receipt(lending_pb2.TableReceipt)

    def refuse(self, refusal: bytes) -> None:
        """For good: the next report is a new table. Nobody can ask for these rows."""
        super().refuse(refusal)
        (self.path / ROWS).unlink(missing_ok=True)


class KeptTables:
    def __init__(self, home: Home) -> None:
        self.path = home.path / "lending"

    def lock(self) -> AbstractContextManager[None]:
        return locked(self.path, "report.lock")

    def making(self) -> AbstractContextManager[Path]:
        return making(self.path / ".making")

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
        return [kept for kept in self.all() if kept.unproven]

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
