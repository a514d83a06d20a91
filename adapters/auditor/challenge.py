"""What an auditor asks a gateway about banks' tables: which there are, and that a bank open a sample of one."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import date
from functools import cached_property
from pathlib import Path

from adapters.auditor.client import LogClient
from adapters.auditor.folders import write_folder
from adapters.party.gateway import GatewayClient
from audit.challenge import Drawn
from audit.challenge_proof import ACKNOWLEDGEMENT, ANSWERED, ChallengeProof
from audit.checkpoint import verify
from audit.entry_proof import EntryProof
from audit.envelope import digest, open_sealed, parse_strict, seal
from audit.exchanges import check_signer
from audit.keys import Keyring
from xinyi import files
from xinyi.channel import UNARY_DEADLINE_S, errors_restored
from xinyi.errors import Refused, TooManyRequests, Unknown
from xinyi.lending import check_challenge, last_day, period_name
from xinyi.settings import SettingsInvalid
from xinyi.v1 import challenge_service_pb2 as pb
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2, lending_pb2
from xinyi.v1.challenge_service_pb2_grpc import ChallengeServiceStub


class ChallengeClient:
    """Use within the GatewayClient it is made from."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway
        self._home = gateway.home

    @cached_property
    def _stub(self) -> ChallengeServiceStub:
        return ChallengeServiceStub(self._gateway.channel)  # type: ignore[no-untyped-call]

    def find_table(
        self, bank: str, period: lending_pb2.LendingPeriod, currency: str, purpose: str, digits: str = ""
    ) -> pb.RecordedTable:
        """The table that counts, sealed by a pinned key of the bank; or another one, held or corrected.

        Args: purpose — why it is looked for, which the gateway logs. digits — the first of the other one's document
            digest.

        Raises Unknown where there is none, SettingsInvalid where no key is pinned, VerificationError.
        """
        kind = "lending" if digits else "lending.counted"
        query = exchange_pb2.LogQuery(purpose=purpose, party=bank, kind=kind, period=_last_month(period))
        call = LogClient(self._gateway).sealed(query)
        with errors_restored():
            response = self._stub.ListTables(pb.ListTablesRequest(call=call), timeout=UNARY_DEADLINE_S)
        ring = Keyring(key for key in self._home.keyring() if key.party == bank)
        if not len(ring):
            raise SettingsInvalid(
                f"no key of {bank} is pinned: `trust FILE --fingerprint HEX`, as on its agreement's annex",
                basis="home.trust",
            )
        for recorded in response.tables:
            table = open_sealed(recorded.table, lending_pb2.LendingTable, ring)
            check_signer(table, table.message.issued_by, bank)
            same = (table.message.bank, table.message.period, table.message.currency) == (bank, period, currency)
            meant = table.digest.hex().startswith(digits.lower()) if digits else recorded.state == "COUNTED"
            if same and meant:
                found: pb.RecordedTable = recorded
                return found
        what = f"begins with {digits}" if digits else "counts"
        raise Unknown(
            f"no table of {bank} in {currency} for {period_name(period)} {what}", basis="challenge.table"
        )

    def prepare(
        self, recorded: pb.RecordedTable, by: str, size: int, due_on: date, purpose: str
    ) -> ChallengeProof:
        """A challenge under the newest head, with the proof that the table stood in the log before; not sent yet.

        Args: by — rows, granted or balance.

        The gateway logs the search for the table's entry. Raises Invalid, VerificationError.
        """
        table = lending_pb2.LendingTable.FromString(recorded.table.payload)
        log = LogClient(self._gateway)
        month = _last_month(table.period)
        query = exchange_pb2.LogQuery(purpose=purpose, party=table.bank, kind="lending", period=month)
        found = log.find(query, recorded.index)
        entry = EntryProof(found.salt, found.opening, tuple(found.documents), log.prove(found.leaf))
        challenge = lending_pb2.Challenge(
            table=digest(recorded.table),
            bank=table.bank,
            unit=f"SAMPLE_UNIT_{by.upper()}",
            size=size,
            checkpoint=entry.receipt.note,
            due_on=due_on.isoformat(),
            asked_by=self._home.settings.holder,
            purpose=purpose,
            asked_at_ms=time.time_ns() // 1_000_000,
        )
        # Before it is sealed: a purpose that names a taxpayer does not leave this machine.
        check_challenge(challenge)
        return ChallengeProof(recorded.table, seal(challenge, *self._home.signers()), entry)

    def drawn(self, proof: ChallengeProof) -> Drawn:
        return Drawn.of(proof.table, proof.challenge, verify(proof.entry.receipt.note, self._home.log_key()))

    def ask(self, proof: ChallengeProof, folder: Path) -> None:
        """Sends it; the folder is there before, so that a lost answer is asked for again with the same document.

        A folder of a challenge that was refused goes again.
        """
        if not folder.exists():
            write_folder(folder, proof.files())
        call = self._gateway.wrap(proof.challenge)
        try:
            with errors_restored():
                answer = self._stub.Challenge(pb.ChallengeRequest(call=call), timeout=UNARY_DEADLINE_S).answer
            acknowledgement = self._gateway.accept(answer, proof.challenge)
        except TooManyRequests:
            raise
        except Refused:
            for name in proof.files():
                (folder / name).unlink()
            with suppress(OSError):  # somebody put a file of their own beside them
                for path in (folder / "entry/documents", folder / "entry", folder):
                    path.rmdir()
            raise
        sealed = acknowledgement.envelope.SerializeToString(deterministic=True)
        files.write_atomically(folder / ACKNOWLEDGEMENT, sealed)

    def find_answer(self, proof: ChallengeProof) -> EntryProof:
        """What the bank told the log of its opening, proven. The gateway logs the search, with the challenge's purpose.

        Raises Unknown where the bank has not answered; VerificationError, Unavailable.
        """
        asked, log = digest(proof.challenge), LogClient(self._gateway)
        challenge = lending_pb2.Challenge.FromString(proof.challenge.payload)
        month = _last_month(lending_pb2.LendingTable.FromString(proof.table.payload).period)
        query = exchange_pb2.LogQuery(purpose=challenge.purpose, party=challenge.bank, kind=ANSWERED, period=month)
        for found in log.entries(query):
            if any(_answers(document, asked) for document in found.documents):
                return EntryProof(found.salt, found.opening, tuple(found.documents), log.prove(found.leaf))
        raise Unknown("the log holds no answer of the bank to this challenge yet", basis="challenge.answer")

    def challenges(self) -> pb.ListChallengesResponse:
        """Those of this party: without an answer by due date, then the others, that due last first."""
        with errors_restored():
            response: pb.ListChallengesResponse = self._stub.ListChallenges(
                pb.ListChallengesRequest(), timeout=UNARY_DEADLINE_S
            )
        return response


def _answers(document: envelope_pb2.Envelope, challenge: bytes) -> bool:
    return parse_strict(document.payload, lending_pb2.ChallengeAnswer).challenge == challenge


def _last_month(period: lending_pb2.LendingPeriod) -> edition_pb2.Period:
    """What entries of the log have as the period of a table."""
    last = last_day(period)
    return edition_pb2.Period(year=last.year, month=last.month)
