"""`confirm`: sends what was signed, keeps the gateway's acknowledgements and their log proofs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from adapters.bank.evidence import Evidence
from adapters.bank.handover import MARK
from adapters.bank.receipts import Receipts, read_envelope, repost, split_name
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.party.home import Home
from audit.checkpoint import TlogProof
from audit.envelope import Opened, parse_strict
from xinyi.errors import ExchangeError, Invalid, Unavailable
from xinyi.v1 import envelope_pb2, exchange_pb2

log = structlog.get_logger()


class Way(Protocol):
    """The network or a folder."""

    def submit(self, receipt: envelope_pb2.Envelope) -> Opened[exchange_pb2.Acknowledgement] | None:
        """None where the answer has not come yet (a folder). Raises the gateway's refusal."""
        ...

    def prove(self, leaf: bytes, *, wait_s: float) -> TlogProof | None: ...


@dataclass(frozen=True)
class Confirmed:
    delivery_id: str
    stage: str
    #: Index in the gateway's log; None where no proof came in time.
    log_index: int | None


class Confirmation:
    """One run of `confirm`. After a crash it sends again and gets the same answer."""

    def __init__(self, home: Home, way: Way) -> None:
        settings = BankSettings.of(home)
        self._way = way
        self._receipts = Receipts(settings.spool, home.signers())
        self._evidence = Evidence(settings.evidence)
        self._spool = Spool(settings.spool)
        repost(self._spool, self._receipts)

    def confirm_all(self, *, wait_s: float) -> tuple[list[Confirmed], int]:
        """Sends everything in the outbox, in the order of the stages, then asks for proofs.

        Returns what was answered or proven, and how many receipts still wait for an answer. A delivery whose
        receipt is refused keeps its later ones back; the first refusal is raised when all others are through.
        """
        answered: list[tuple[str, str]] = []
        held_back: set[str] = set()
        failure: ExchangeError | None = None
        for path in self._receipts.waiting():
            delivery_id, stage = split_name(path)
            if delivery_id in held_back:
                continue
            try:
                receipt, acknowledgement = self._submit(path)
            except Unavailable:
                raise
            except ExchangeError as error:
                log.warning("confirm.refused", delivery=delivery_id, stage=stage, code=error.code)
                if error.sealed:
                    self._evidence.keep(delivery_id, f"{stage}.refusal.dsse", error.sealed)
                held_back.add(delivery_id)
                failure = failure or error
                continue
            if acknowledgement is None:
                held_back.add(delivery_id)
                continue
            self._evidence.keep_document(delivery_id, stage, receipt)
            self._evidence.keep_document(delivery_id, f"{stage}.acknowledgement", acknowledgement.envelope)
            self._receipts.mark_sent(path)
            answered.append((delivery_id, stage))
        proven = self._prove(wait_s)
        if failure is not None:
            raise failure
        confirmed = [Confirmed(*which, proven.get(which)) for which in dict.fromkeys([*answered, *proven])]
        return confirmed, len(self._receipts.waiting())

    def _submit(
        self, path: Path
    ) -> tuple[envelope_pb2.Envelope, Opened[exchange_pb2.Acknowledgement] | None]:
        """The receipt as it went, and its answer where there is one already."""
        receipt = read_envelope(path)
        try:
            return receipt, self._way.submit(receipt)
        except Invalid as error:
            receipt = self._signed_anew(path, error)
        return receipt, self._way.submit(receipt)

    def _signed_anew(self, path: Path, refused: Invalid) -> envelope_pb2.Envelope:
        """A receipt that was dated by a wrong clock is signed once more, where it was signed. Raises the refusal."""
        delivery_id, stage = split_name(path)
        edition = self._spool.find(delivery_id)
        if refused.basis != "receipt.time" or edition is None or (edition.path / MARK).exists():
            raise refused  # of what was handed over the landing machine waits for an answer to what it has
        with self._spool.lock(delivery_id):
            receipt = self._receipts.sign_anew(edition, path)
        if receipt is None:
            raise refused
        if refused.sealed:
            self._evidence.keep(delivery_id, f"{stage}.refusal.dsse", refused.sealed)
        log.warning("confirm.signed_anew", delivery=delivery_id, stage=stage)
        return receipt

    def _prove(self, wait_s: float) -> dict[tuple[str, str], int]:
        """Fetches the proofs that are missing, also those of earlier runs."""
        proven = {}
        for delivery_id, stage, path in self._evidence.unproven():
            sealed = parse_strict(path.read_bytes(), envelope_pb2.Envelope)
            leaf = parse_strict(sealed.payload, exchange_pb2.Acknowledgement).leaf
            proof = self._way.prove(leaf, wait_s=wait_s)
            if proof is not None:
                self._evidence.keep(delivery_id, f"{stage}.tlog-proof", proof.encode())
                proven[delivery_id, stage] = proof.index
        return proven
