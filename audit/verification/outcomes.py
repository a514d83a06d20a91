"""Step 11, single loans: the rows of a batch, as they are kept, against the batch that seals them.

A row without the borrower's authorisation is a commitment alone. A repeated one, or one in conflict, is kept like all
others: the batch is told whole.
"""

from __future__ import annotations

from datetime import date

from audit.envelope import Opened
from audit.outcomes import verify_kept
from audit.records import MAX_CHUNK_BYTES
from audit.verification.documents import Dossier
from audit.verification.exported import batch_of
from audit.verification.findings import EvidenceMissing
from audit.verification.run import Run
from xinyi.days import day_of
from xinyi.errors import Invalid, ProofInvalid
from xinyi.lending import check_authorisation, check_outcome
from xinyi.v1 import lending_pb2


def check(run: Run, dossier: Dossier) -> None:
    counts: dict[bytes, int] = {}
    for document, receipt in run.ledger.batches():
        with run.report["records"].examine(f"batch {document.hex()[:16]}…"):
            batch = dossier.open(document, lending_pb2.OutcomeBatch)
            counts[document] = len(batch.message.chunk_roots)
            refused = dossier.open(receipt, lending_pb2.OutcomeReceipt).message.refused
            if _check_chunks(run, batch) != refused:
                raise ProofInvalid("as many rows are withheld as were refused, and no others", basis="batch.withheld")
    for name, _ in run.export.files():
        place = batch_of(name)
        if place is None or place[1] < counts.get(place[0], 0):
            continue
        if place[0] not in counts and (run.notes.last_missing() >= 0 or run.ledger.incomplete):
            run.report["records"].undecide(name, "nothing that is here took in its batch")
        else:
            run.report["records"].refute(name, "no batch that is here seals this file")


def _check_chunks(run: Run, batch: Opened[lending_pb2.OutcomeBatch]) -> int:
    """How many rows are withheld. Raises EvidenceMissing behind the last chunk where any is not as it was sealed."""
    message, name = batch.message, batch.digest.hex()[:16]
    day, withheld, last, whole = day_of(message.issued_at_ms), 0, "", True
    for number in range(len(message.chunk_roots)):
        told = False
        with run.report["records"].examine(f"batch {name}… chunk {number}"):
            rows = verify_kept(message, number, run.export.outcome_chunk(batch.digest, number, MAX_CHUNK_BYTES))
            told = True
            shown = [row for row in rows if row is not None]
            withheld += len(rows) - len(shown)
            for row in shown:
                if row.outcome_id <= last:
                    raise ProofInvalid("outcomes are not strictly ascending by outcome_id")
                last = row.outcome_id
                check_outcome(row)
                _check_consent(row, day)
        whole = whole and told
        run.watch("outcomes", number + 1, len(message.chunk_roots))
    if not whole:
        raise EvidenceMissing("not every chunk could be read: what is withheld of the whole is not known")
    return withheld


def _check_consent(row: lending_pb2.LendingOutcome, day: date) -> None:
    """What the borrower did not authorise is not kept (征信业管理条例 art. 29 ¶2)."""
    try:
        check_authorisation(row.authorisation, day)
    except Invalid as error:
        explanation = f"a row is kept without authorisation: {error.explanation}"
        raise Invalid(explanation, basis="outcome.authorisation") from error
