"""What banks report, by hand: tables, batches, challenges and statistics, told honestly or otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from audit import checkpoint, envelope, lending_exchanges, merkle, outcomes
from audit.keys import FileSigner
from audit.verification.statistics import add_up
from proto.vectors.make import uscc
from tests.audit.story import AUDITOR, BANK, BANK_2, BUREAU, NOW_MS, ORIGIN, Cast, Story
from xinyi.suppression import DEFINITIONS, publish
from xinyi.v1 import envelope_pb2, lending_pb2, party_pb2, records_pb2

QUARTER = lending_pb2.LendingPeriod(year=2018, month=1, months=3)
COUNTED, HELD = lending_pb2.REPORT_STATE_COUNTED, lending_pb2.REPORT_STATE_HELD
REFUSED = lending_pb2.REPORT_STATE_REFUSED
BUREAU_S, BANKS_S = lending_pb2.AUDIENCE_BUREAU, lending_pb2.AUDIENCE_BANKS
ASKED = lending_pb2.Question(
    rule="lending.plausible_amount", basis="the agreement", text="is this in 元?", may_be_confirmed=True
)
UNSETTLED = lending_pb2.Question(rule="lending.sums", basis="the contract", text="the cells do not come to the total")
#: Grade → (loans, firms, fen granted).
Grades = dict[str, tuple[int, int, int]]

SMALL = {"A": (10, 9, 500_000_00), "B": (4, 4, 90_000_00)}
LARGE = {"A": (20, 18, 9_000_000_00), "none": (5, 5, 70_000_00)}


class Lending:
    """A story that banks and an auditor go on with."""

    def __init__(self, cast: Cast, story: Story) -> None:
        self.cast, self.story = cast, story
        #: When each table came in, by its digest.
        self.recorded: dict[bytes, int] = {}
        #: The last version for each audience.
        self.versions: dict[int, lending_pb2.Statistics] = {}

    @classmethod
    def begin(cls, cast: Cast) -> Lending:
        story = Story(cast)
        story.register(cast.gateway, kind=party_pb2.PARTY_KIND_GATEWAY)
        for person in (cast.maker, cast.approver):
            story.register(person, kind=party_pb2.PARTY_KIND_TAX_BUREAU)
        for bank in (cast.bank, cast.bank_2, cast.teller):
            story.register(bank, kind=party_pb2.PARTY_KIND_BANK)
        story.register(cast.auditor, kind=party_pb2.PARTY_KIND_AUDITOR)
        return cls(cast, story)

    @property
    def now_ms(self) -> int:
        """When the next entry is recorded."""
        return NOW_MS + self.story.later_ms + len(self.story.entries)

    def report(
        self,
        table: lending_pb2.LendingTable,
        signer: FileSigner | None = None,
        /,
        *,
        about: dict[str, Any] | None = None,
        questions: Iterable[lending_pb2.Question] = (),
        replaces: bool = True,
        **changes: Any,
    ) -> envelope_pb2.Envelope:
        """The gateway takes in a table; with questions it is held.

        Args: about — what the entry says otherwise; replaces — the row of the corrected one changes with it;
        changes — of the receipt.
        """
        questions = list(questions)
        kind = "lending.held" if questions else "lending.counted"
        sealed = envelope.seal(table, signer or self.signer(table.bank))
        self.recorded[envelope.digest(sealed)] = self.now_ms
        receipt = lending_pb2.TableReceipt(
            table=envelope.digest(sealed), state=HELD if questions else COUNTED, questions=questions,
            recorded_at_ms=self.now_ms,
        )  # fmt: skip
        _set(receipt, changes)
        rows = [_row(envelope.digest(sealed), "HELD" if questions else "COUNTED")]
        if replaces:
            rows += [_row(other, "CORRECTED") for other in self._replaced(table, counts=not questions)]
        leaf = self.story.log(
            kind,
            [sealed, envelope.seal(receipt, self.cast.gateway)],
            rows,
            **self._about(table) | {"record_count": table.rows} | (about or {}),
        )
        self.story.acknowledge(sealed, leaf)
        return sealed

    def confirm(self, sealed: envelope_pb2.Envelope, signer: FileSigner | None = None, **changes: Any) -> None:
        """A person of the bank answers, and the table counts."""
        table = lending_pb2.LendingTable.FromString(sealed.payload)
        rows = [_row(envelope.digest(sealed), "COUNTED")]
        rows += [_row(other, "CORRECTED") for other in self._replaced(table) if other != envelope.digest(sealed)]
        self._answer("lending.confirmed", sealed, signer, rows, self._about(table), changes)

    def _replaced(self, table: lending_pb2.LendingTable, *, counts: bool = True) -> list[bytes]:
        """Tables whose place this one takes."""
        found = []
        for row in self.story.state["lending_tables"].values():
            other = lending_pb2.LendingTable.FromString(self.story.documents[row["document"]].payload)
            same = (other.bank, other.period, other.currency) == (table.bank, table.period, table.currency)
            named = row["document"] == table.corrects and row["state"] == "HELD"
            if same and row["state"] != "CORRECTED" and (counts or named):
                found.append(row["document"])
        return found

    def send(self, told: Batch, signer: FileSigner | None = None, **changes: Any) -> envelope_pb2.Envelope:
        """The gateway takes in single loans, all of them counted unless `changes` of the receipt say otherwise."""
        batch = told.message
        sealed = envelope.seal(batch, signer or self.signer(batch.bank))
        receipt = lending_pb2.OutcomeReceipt(
            batch=envelope.digest(sealed), counted=batch.count, recorded_at_ms=self.now_ms
        )
        _set(receipt, changes)
        row = {"document": envelope.digest(sealed), "bank": batch.bank, "number": batch.number}
        about = {"counterparty": batch.bank, "agreement_id": batch.agreement_id, "record_count": batch.count}
        documents = [sealed, envelope.seal(receipt, self.cast.gateway)]
        self.story.outcomes.append((envelope.digest(sealed), 0, told.chunk))
        leaf = self.story.log("outcomes.recorded", documents, [("outcome_batches", row)], **about)
        self.story.acknowledge(sealed, leaf)
        return sealed

    def answer_for(self, sealed: envelope_pb2.Envelope, signer: FileSigner | None = None, **changes: Any) -> None:
        """A person of the bank answers for rows of a batch."""
        about = {"counterparty": lending_pb2.OutcomeBatch.FromString(sealed.payload).bank}
        changes = {"outcome_ids": ["o-1"]} | changes
        self._answer("outcomes.confirmed", sealed, signer, [], about, changes)

    def _answer(
        self,
        kind: str,
        sealed: envelope_pb2.Envelope,
        signer: FileSigner | None,
        rows: list[Any],
        about: dict[str, Any],
        changes: dict[str, Any],
    ) -> None:
        signer = signer or self.cast.teller
        answer = lending_pb2.LendingAnswer(
            document=envelope.digest(sealed), reason="the branch was asked: it is right",
            answered_by=signer.key.holder, answered_at_ms=NOW_MS,
        )  # fmt: skip
        _set(answer, changes)
        given = envelope.seal(answer, signer)
        leaf = self.story.log(kind, [given], rows, actor=signer.key.holder, **about)
        self.story.acknowledge(given, leaf)

    # ── challenges ─────────────────────────────────────────────────────────────────────────────────────

    def head(self, size: int = 0) -> bytes:
        """A checkpoint of the first `size` leaves, or of all there are."""
        hashes = [merkle.leaf_hash(leaf) for leaf, _, _ in self.story.entries][: size or None]
        return checkpoint.sign(ORIGIN, len(hashes), merkle.root(hashes), self.cast.log).note

    def challenge(
        self, sealed: envelope_pb2.Envelope, signer: FileSigner | None = None, **changes: Any
    ) -> envelope_pb2.Envelope:
        signer = signer or self.cast.auditor
        table = lending_pb2.LendingTable.FromString(sealed.payload)
        challenge = lending_pb2.Challenge(
            table=envelope.digest(sealed), bank=table.bank, unit=lending_pb2.SAMPLE_UNIT_ROWS, size=2,
            checkpoint=self.head(), due_on="2018-05-10", asked_by=signer.key.holder, purpose="annual audit",
            asked_at_ms=NOW_MS,
        )  # fmt: skip
        _set(challenge, changes)
        asked = envelope.seal(challenge, signer)
        rows = [("challenges", {"document": envelope.digest(asked), "state": "OPEN"})]
        about = self._about(table) | {"actor": challenge.asked_by}
        leaf = self.story.log("challenge.asked", [asked], rows, **about)
        self.story.acknowledge(asked, leaf)
        return asked

    def open(self, asked: envelope_pb2.Envelope, signer: FileSigner | None = None, **changes: Any) -> None:
        challenge = lending_pb2.Challenge.FromString(asked.payload)
        signer = signer or self.signer(challenge.bank)
        answer = lending_pb2.ChallengeAnswer(
            challenge=envelope.digest(asked), opening=os.urandom(32), rows=2, answered_by=signer.key.holder,
            answered_at_ms=NOW_MS,
        )  # fmt: skip
        _set(answer, changes)
        given = envelope.seal(answer, signer)
        rows = [("challenges", {"document": envelope.digest(asked), "state": "ANSWERED"})]
        about = {"counterparty": challenge.bank, "actor": signer.key.holder}
        leaf = self.story.log("challenge.answered", [given], rows, **about)
        self.story.acknowledge(given, leaf)

    def leave_unanswered(self, asked: envelope_pb2.Envelope) -> None:
        challenge = lending_pb2.Challenge.FromString(asked.payload)
        rows = [("challenges", {"document": envelope.digest(asked), "state": "UNANSWERED"})]
        self.story.log("challenge.unanswered", [asked], rows, counterparty=challenge.bank)

    # ── statistics ─────────────────────────────────────────────────────────────────────────────────────

    def draft(self, counted: list[envelope_pb2.Envelope], audience: int, **changes: Any) -> lending_pb2.Statistics:
        """What an honest gateway says of these tables; the version behind the last one of the audience."""
        read = [(envelope.digest(sealed), lending_pb2.LendingTable.FromString(sealed.payload)) for sealed in counted]
        read.sort(key=lambda one: one[1].bank)
        before = self.versions.get(audience)
        bureau = audience == BUREAU_S
        statistics = lending_pb2.Statistics(
            period=QUARTER, currency="CNY", audience=audience, version=before.version + 1 if before else 1,  # type: ignore[arg-type]
            counted_until_ms=self.now_ms - 1, definitions=DEFINITIONS, banks=len(read),
            tables=[
                lending_pb2.CountedTable(bank=table.bank, table=digest, recorded_at_ms=self.recorded[digest])
                for digest, table in read if bureau
            ],
            margins=publish(add_up(table for _, table in read), audience),
            predecessor=envelope.digest(envelope.seal(before)) if before else b"",
            restatement="更正 corrected" if before else "",
        )  # fmt: skip
        _set(statistics, changes)
        return statistics

    def run(self, statistics: lending_pb2.Statistics, **about: Any) -> envelope_pb2.Envelope:
        self.versions[statistics.audience] = statistics
        sealed = envelope.seal(statistics, self.cast.gateway)
        row = {"document": envelope.digest(sealed), "version": statistics.version}
        told = {"period": lending_exchanges.log_period(statistics.period)} | about
        self.story.log("statistics.run", [sealed], [("statistics", row)], **told)
        return sealed

    def give(self, sealed: envelope_pb2.Envelope, recipient: str) -> None:
        row = {"document": envelope.digest(sealed), "recipient": recipient, "receipt": None}
        self.story.log("statistics.offered", [sealed], [("statistics_deliveries", row)], counterparty=recipient)

    def confirm_statistics(self, sealed: envelope_pb2.Envelope, signer: FileSigner, recipient: str = "") -> None:
        receipt = lending_pb2.StatisticsReceipt(
            statistics=envelope.digest(sealed), signed_by=signer.key.holder, signed_at_ms=NOW_MS
        )
        given = envelope.seal(receipt, signer)
        party = recipient or signer.key.party
        row = {"document": envelope.digest(sealed), "recipient": party, "receipt": envelope.digest(given)}
        rows = [("statistics_deliveries", row)]
        leaf = self.story.log("statistics.received", [given], rows, counterparty=party, actor=signer.key.holder)
        self.story.acknowledge(given, leaf)

    def signer(self, party: str) -> FileSigner:
        return {BANK: self.cast.bank, BANK_2: self.cast.bank_2, AUDITOR: self.cast.auditor}[party]

    def _about(self, table: lending_pb2.LendingTable) -> dict[str, Any]:
        return {
            "counterparty": table.bank,
            "agreement_id": table.agreement_id,
            "period": lending_exchanges.log_period(table.period),
        }


def _set(message: Message, changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, list):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)


def _row(document: bytes, state: str) -> tuple[str, dict[str, Any]]:
    return "lending_tables", {"document": document, "state": state}


def table_of(signer: FileSigner, grades: Grades, **changes: Any) -> lending_pb2.LendingTable:
    """A table of the first quarter, by grade."""
    whole = [sum(told[place] for told in grades.values()) for place in range(3)]
    table = lending_pb2.LendingTable(
        bank=signer.key.party, period=QUARTER, currency="CNY", agreement_id="2018-1", rows=whole[0], firms=whole[1],
        root=os.urandom(32), margins=[
            margin_of("total", {"all": (whole[0], whole[1], whole[2])}), margin_of("grade", grades),
        ], issued_by=signer.key.holder, issued_at_ms=NOW_MS,
    )  # fmt: skip
    for name, value in changes.items():
        setattr(table, name, value)
    return table


def margin_of(dimension: str, cells: Grades) -> lending_pb2.Margin:
    return lending_pb2.Margin(
        dimension=dimension,
        cells=[
            lending_pb2.Cell(
                value=value, sums=lending_pb2.LendingSums(loans=loans, firms=firms, granted=granted)
            )
            for value, (loans, firms, granted) in sorted(cells.items())
        ],
    )


def correction_of(
    sealed: envelope_pb2.Envelope, signer: FileSigner, grades: Grades, **changes: Any
) -> lending_pb2.LendingTable:
    told = {"corrects": envelope.digest(sealed), "reason": "a branch was left out"} | changes
    return table_of(signer, grades, **told)


@dataclass(frozen=True)
class Batch:
    """Single loans, sealed, and their one chunk as it is kept."""

    message: lending_pb2.OutcomeBatch
    chunk: bytes


def batch_of(
    signer: FileSigner, number: str = "2018-q1", rows: Iterable[lending_pb2.LendingOutcome] = (), withheld: int = 0
) -> Batch:
    """Args: withheld — how many of the rows, from the last on, are kept as commitments alone."""
    rows = list(rows) or [outcome_of(place) for place in range(3)]
    salted = [(os.urandom(32), row.SerializeToString(deterministic=True)) for row in rows]
    commitments = [outcomes.commitment(*one) for one in salted]
    root = merkle.root(outcomes.leaf_hashes(commitments))
    shown = len(rows) - withheld
    kept = [records_pb2.SaltedRecord(salt=salt, record=record) for salt, record in salted[:shown]]
    kept += map(outcomes.withheld, commitments[shown:])
    message = lending_pb2.OutcomeBatch(
        bank=signer.key.party, number=number, agreement_id="2018-1", count=len(rows), root=root,
        chunk_roots=[root], issued_by=signer.key.holder, issued_at_ms=NOW_MS,
    )  # fmt: skip
    return Batch(message, records_pb2.Chunk(records=kept).SerializeToString(deterministic=True))


def outcome_of(number: int, valid_to: str = "2020-12-31") -> lending_pb2.LendingOutcome:
    """A disbursed loan. Args: valid_to — of the borrower's authorisation."""
    return lending_pb2.LendingOutcome(
        outcome_id=f"o-{number}", taxpayer_id=uscc(number), identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        loan=lending_pb2.Loan(reference=f"L{number}", product="tax-loan", currency="CNY"),
        stage=lending_pb2.STAGE_DISBURSED, event_date="2018-02-01", amount=5_000_000,
        authorisation=lending_pb2.Authorisation(
            digest=bytes(32), scope="lending-outcomes", valid_from="2018-01-01", valid_to=valid_to
        ),
    )  # fmt: skip


def quarter(told: Lending) -> None:
    """Two banks: one corrects, the other is asked first; single loans; two challenges, one of them open; statistics
    in two versions, which the bureau and a bank confirm."""
    cast = told.cast
    first = told.report(table_of(cast.bank, SMALL))
    held = told.report(table_of(cast.bank_2, LARGE), questions=[ASKED])
    early = told.run(told.draft([first], BUREAU_S))
    challenge = told.challenge(first)
    corrected = told.report(correction_of(first, cast.bank, SMALL | {"C": (3, 3, 400)}))
    told.open(challenge)
    second = told.report(correction_of(held, cast.bank_2, LARGE))
    told.send(batch_of(cast.bank))
    findings = [lending_pb2.OutcomeFinding(outcome_id="o-1", state=lending_pb2.REPORT_STATE_HELD, question=ASKED)]
    told.answer_for(told.send(batch_of(cast.bank, "again"), counted=2, held=1, findings=findings))
    told.challenge(second)
    told.give(early, BUREAU)
    told.confirm_statistics(early, cast.maker)
    told.run(told.draft([corrected, second], BUREAU_S))
    for_banks = told.run(told.draft([corrected, second], BANKS_S))
    told.give(for_banks, BANK_2)
    told.confirm_statistics(for_banks, cast.bank_2)
