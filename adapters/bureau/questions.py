"""Rows about which the bureau owes an answer: quarantined, withheld or rejected, and who lost a record by it.

The rows lie in the mend.csv of the publisher's home; what was answered is told by the gateway and verified here.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from adapters.bureau import submission
from adapters.bureau.editions import Edition, Editions
from adapters.bureau.rules import KEPT, LOST
from adapters.bureau.standing import keyring
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit.envelope import open_sealed, signer_of_party
from xinyi import checks
from xinyi.errors import Conflict, DigestMismatch, Invalid, SignatureInvalid
from xinyi.v1 import edition_pb2
from xinyi.v1 import publication_service_pb2 as pb

_ASKED = frozenset(("quarantined", "rejected", "withheld"))
#: Columns of mend.csv before the cells.
_OWN = 4
#: Row number → word of its answer.
Answers = dict[int, str]


@dataclass(frozen=True)
class Question:
    edition: str
    row: int
    outcome: str
    rules: list[str]
    #: "lost": the taxpayer has no record any more. "kept": it has the one it had. Otherwise empty.
    record: str
    says: str
    #: Heading → cell as it stands in the source; of a person the masked identifier alone, under "masked".
    cells: dict[str, str]
    #: "mended", "excluded", "superseded"; empty while nobody has answered.
    answer: str


def find_asked(
    editions: Editions, statuses: Mapping[bytes, pb.EditionStatus], prefix: str = ""
) -> list[Edition]:
    """Editions of this home whose rows want an answer: those of a cancelled one want none.

    Args:
        statuses: every edition that the gateway shows, by its digest.
        prefix: digits of one edition's digest; all of this home where empty.

    Raises Conflict where the one is cancelled, or this home published none of what the gateway shows.
    """
    live = {digest for digest, status in statuses.items() if status.state != "CANCELLED"}
    if prefix:
        found = editions.resolve(prefix)
        if found.digest in statuses.keys() - live:
            raise Conflict(f"edition {found.path.name[:16]} was cancelled: nothing is asked", basis="edition.state")
        return [found]
    own = editions.all()
    if live and not own:
        raise Conflict(
            "the rows lie in the home that published, and this one has published nothing: ask there",
            basis="questions.home",
        )
    return [edition for edition in own if edition.digest in live or edition.digest not in statuses]


def ask(editions: Sequence[Edition], answers: dict[bytes, Answers], *, answered: bool, most: int) -> list[Question]:
    """Those who lost a record first, then those who kept one, then all others, in the order of editions and rows.

    Args:
        answers: by edition, see `answers_of`.
        answered: also those that were answered.
        most: how many at most; a file may be bad from its first row to its last.
    """
    found = (
        question
        for record in ("lost", "kept", "")
        for edition in editions
        for question in _read(edition, answers.get(edition.digest, {}))
        if question.record == record and (answered or not question.answer)
    )
    return list(islice(found, most))


def describe(question: Question) -> dict[str, Any]:
    return asdict(question)


def _read(edition: Edition, answers: Answers) -> Iterator[Question]:
    path = edition.path / "mend.csv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        headings = next(rows, [])[_OWN:]
        for number, outcome, rules, says, *cells in rows:
            if outcome in _ASKED:
                own = rules.split()
                record = "lost" if LOST in own else "kept" if KEPT in own else ""
                # Of a person there is the masked identifier and nothing else.
                masked = outcome == "withheld"
                shown = {"masked": "".join(cells)} if masked else dict(zip(headings, cells, strict=False))
                answer = answers.get(int(number), "")
                yield Question(edition.path.name, int(number), outcome, own, record, says, shown, answer)


def answers_of(status: pb.EditionStatus, home: Home) -> Answers:
    """What was answered for the rows of an edition, sealed by a pinned person of this party.

    Raises VerificationError, Invalid.
    """
    found: Answers = {}
    for sealed in status.row_answers:
        opened = open_sealed(sealed, edition_pb2.RowAnswer, keyring(home))
        checks.check_row_answer(opened.message)
        if signer_of_party(opened.signers, home.party).holder != opened.message.answered_by:
            raise SignatureInvalid("an answer is not sealed by the one who gave it")
        if opened.message.manifest_digest != status.manifest_digest:
            raise DigestMismatch("the gateway shows an answer about another edition")
        found.update(dict.fromkeys(opened.message.rows, answer_word(opened.message.outcome)))
    return found


def answer_word(outcome: edition_pb2.RowAnswerOutcome) -> str:
    """ "mended", "excluded", "superseded"."""
    return edition_pb2.RowAnswerOutcome.Name(outcome).removeprefix("ROW_ANSWER_OUTCOME_").lower()


def parse_rows(text: str) -> list[int]:
    """Row numbers between commas. Raises Invalid."""
    words = text.split(",")
    if not all(word.strip().isdigit() for word in words):
        raise Invalid(f"{text}: give row numbers of the source between commas, 17,23", basis="answer.rows")
    return sorted(set(map(int, words)))


def answer(
    client: GatewayClient, home: Home, digest: bytes, rows: Sequence[int], outcome: str, reason: str
) -> str:
    """Seals this person's answer for rows of an edition and sends it; the gateway's word for what happened.

    Raises Invalid where this home has the edition and a row of it is no question.
    """
    known = Editions(home.state).find(digest)
    if known is not None:
        _check_asked(known, rows)
    word = f"ROW_ANSWER_OUTCOME_{outcome.upper()}"
    if word not in edition_pb2.RowAnswerOutcome.keys()[1:]:
        raise Invalid(f"{outcome}: an answer is mended, excluded or superseded", basis="answer.outcome")
    document = edition_pb2.RowAnswer(
        manifest_digest=digest,
        rows=rows,
        outcome=word,
        reason=reason,
        answered_by=home.settings.holder,
        answered_at_ms=submission.now_ms(),
    )
    # One person may answer several times for an edition: what is answered names the kept document.
    said = hashlib.sha256(repr((rows, word, reason)).encode()).hexdigest()[:16]
    return submission.decide(client, document, said).message.outcome


def _check_asked(edition: Edition, rows: Collection[int]) -> None:
    open_rows = {question.row for question in _read(edition, {}) if question.row in rows}
    if unknown := sorted(set(rows) - open_rows):
        raise Invalid(
            f"rows {', '.join(map(str, unknown))} of {edition.path.name[:16]} were neither quarantined nor rejected "
            "nor withheld: see `questions`",
            basis="answer.rows",
        )
