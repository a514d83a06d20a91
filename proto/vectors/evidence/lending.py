"""A quarter that two banks report: their tables with the trees under them, and the log of what became of it all.

bank-1's table counts, is challenged, opened and corrected. bank-2's is held, and counts once a person of the bank has
answered. bank-1 sends three single loans, of which one has no authorisation. The statistics have two versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from audit import envelope, lending_exchanges, merkle, outcomes
from audit.lending_tree import LendingTree, Opened, commitment
from audit.sum_tree import Lanes
from audit.verification.statistics import add_up
from proto.vectors.evidence.cast import (
    ASKER,
    BANK,
    BANK_2,
    BUREAU,
    MAKER,
    SECOND_BANK,
    TELLER,
    THE_BANK,
    THE_GATEWAY,
    TIME,
    TestSigner,
    seed,
)
from proto.vectors.evidence.city import City, found
from proto.vectors.evidence.edition import EDITION, uscc
from xinyi.margins import Layout, amounts, value_of
from xinyi.suppression import DEFINITIONS, publish
from xinyi.v1 import envelope_pb2, lending_pb2, records_pb2

PERIOD = lending_pb2.LendingPeriod(year=2018, month=7, months=3)
DIMENSIONS = ("total", "grade", "guarantee", "true-grade")
FOR_BUREAU, FOR_BANKS = lending_pb2.AUDIENCE_BUREAU, lending_pb2.AUDIENCE_BANKS
COUNTED, HELD = lending_pb2.REPORT_STATE_COUNTED, lending_pb2.REPORT_STATE_HELD
_A, _B, _C = records_pb2.GRADE_A, records_pb2.GRADE_B, records_pb2.GRADE_C


def enterprise(number: int, *, scale: int = 1) -> lending_pb2.FirmLending:
    """Made up: every third has two loans, every fifth was refused one, two of three are told an A."""
    rows = []
    for place in range(2 if number % 3 == 0 else 1):
        loan = lending_pb2.Loan(
            reference=f"L{number}-{place}", product="tax-loan", guarantee=1 + number % 2, currency="CNY",
        )  # type: ignore[arg-type] # fmt: skip
        if number % 7:
            grade = _C if number == 4 else (_B if number % 3 == 1 else _A)
            told = {"blinded_key": seed(f"blinded {number}"), "commitment": seed(f"commitment {number}")}
            loan.reliance.MergeFrom(
                lending_pb2.Reliance(manifest_digest=EDITION, grade=grade, evaluation_year=2018, **told)
            )
        row = lending_pb2.LoanRow(loan=loan)
        if number % 5 == 0:
            row.refused = True
        else:
            row.newly_granted, row.granted = True, (1_000_000 * number + place) * scale
            row.balance, row.loan_class = row.granted - scale, lending_pb2.LOAN_CLASS_NORMAL
            if number % 4 == 0:
                row.loan_class = lending_pb2.LOAN_CLASS_DOUBTFUL
        if number in (8, 11):
            row.recalled, row.true_grade = True, records_pb2.GRADE_D
        rows.append(row)
    return lending_pb2.FirmLending(
        taxpayer_id=uscc(number), identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, rows=rows
    )


@dataclass(frozen=True)
class Book:
    """A bank's rows of the quarter, and the table that it seals over them."""

    table: lending_pb2.LendingTable
    #: (commitment, salt, record) of each leaf.
    leaves: list[tuple[bytes, bytes, bytes]]
    lanes: Lanes
    proofs: dict[int, Opened]


def book(signer: TestSigner, firms: Sequence[lending_pb2.FirmLending], name: str, **told: Any) -> Book:
    leaves = []
    for firm in firms:
        salt, record = seed(f"{name} {firm.taxpayer_id}"), firm.SerializeToString(deterministic=True)
        leaves.append((commitment(salt, record), salt, record))
    leaves.sort()
    rows = [row for firm in firms for row in firm.rows if any(amounts(row))]
    layout = Layout(
        (dimension, value)
        for dimension in DIMENSIONS
        for value in sorted({value_of(dimension)(row) for row in rows})
    )
    tree = LendingTree(layout, range(len(leaves)))
    for made, _, record in leaves:
        tree.add(made, layout.sums(lending_pb2.FirmLending.FromString(record)))
    root = tree.root()
    values = tree.lanes.unpack(root.sums)
    table = lending_pb2.LendingTable(
        bank=signer.key.party, period=PERIOD, currency="CNY", agreement_id="2018-1", rows=values[0],
        firms=len(leaves), root=root.hash, margins=layout.margins(values), issued_by=signer.holder,
        issued_at_ms=TIME, **told,
    )  # fmt: skip
    return Book(table, leaves, tree.lanes, tree.proofs())


FIRST = book(THE_BANK, [enterprise(n) for n in range(1, 20)], "first")
SECOND = book(SECOND_BANK, [enterprise(n, scale=100) for n in range(20, 28)], "second")
WAVERED = book(SECOND_BANK, [enterprise(n, scale=100) for n in range(20, 27)], "wavered")
REPORTED = envelope.seal(FIRST.table, THE_BANK)
CORRECTED = book(
    THE_BANK,
    [enterprise(n) for n in range(1, 21)],
    "first",
    corrects=envelope.digest(REPORTED),
    reason="an enterprise was left out",
)
QUESTION = lending_pb2.Question(
    rule="lending.plausible_amount", basis="the agreement", text="fen in a 元 field?", dimension="total", value="all",
    may_be_confirmed=True,
)  # fmt: skip


def outcome(number: int) -> lending_pb2.LendingOutcome:
    """A disbursed loan; the borrower's authorisation of the second one is over."""
    until = "2018-10-31" if number == 2 else "2020-12-31"
    return lending_pb2.LendingOutcome(
        outcome_id=f"o-{number}", taxpayer_id=uscc(number), identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        loan=lending_pb2.Loan(reference=f"L{number}-0", product="tax-loan", currency="CNY"),
        stage=lending_pb2.STAGE_DISBURSED, event_date="2018-09-03", amount=1_000_000 * number,
        authorisation=lending_pb2.Authorisation(
            digest=seed(f"consent {number}"), scope="lending-outcomes", valid_from="2018-01-01", valid_to=until
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class Quarter:
    """The log of the quarter; each field is something that may be told otherwise."""

    #: What is added to a version's first figure.
    more: int = 0
    #: Whether the corrected table names the one whose place it takes.
    names: bool = True
    #: Whether bank-2's person answers before the second version counts its table.
    answers: bool = True
    #: Whether bank-2 sends another table, which is held, too, before it answers for its first one.
    wavers: bool = False
    answering: TestSigner = THE_BANK
    #: How many leaves before the table's own entry its challenge's checkpoint ends.
    older: int = 0
    #: Whether the second version still counts the table that was corrected.
    stale: bool = False
    #: Whether a cell of fewer than three enterprises is shown.
    shows: bool = False
    predecessor: bool = True
    refused: int = 1
    #: Whether the row without authorisation is kept whole.
    unlawful: bool = False
    _recorded: dict[bytes, int] = field(default_factory=dict, repr=False)

    def city(self) -> City:
        city = found()
        for signer in (SECOND_BANK, TELLER):
            city.register(signer, "BANK")
        first = self._report(city, REPORTED)
        head = city.head(len(city.entries) - self.older).note
        second = envelope.seal(SECOND.table, SECOND_BANK)
        self._report(city, second, QUESTION)
        if self.wavers:
            self._report(city, envelope.seal(WAVERED.table, SECOND_BANK), QUESTION)
        version = self._run(city, [first], FOR_BUREAU)
        self._challenge(city, head)
        table = lending_pb2.LendingTable()
        table.CopyFrom(CORRECTED.table)
        if not self.names:
            table.ClearField("corrects")
            table.ClearField("reason")
        corrected = envelope.seal(table, THE_BANK)
        self._report(city, corrected)
        if self.answers:
            self._confirm(city, second)
        self._send(city)
        standing = [first if self.stale or not self.names else corrected, second]
        newest = self._run(city, standing, FOR_BUREAU, version)
        self._run(city, standing, FOR_BANKS)
        self._give(city, newest)
        return city

    def _report(
        self, city: City, sealed: envelope_pb2.Envelope, *questions: lending_pb2.Question
    ) -> envelope_pb2.Envelope:
        table = lending_pb2.LendingTable.FromString(sealed.payload)
        digest = envelope.digest(sealed)
        self._recorded[digest] = city.now
        receipt = lending_pb2.TableReceipt(
            table=digest, state=HELD if questions else COUNTED, questions=questions, recorded_at_ms=city.now
        )
        state = "HELD" if questions else "COUNTED"
        rows = [("lending_tables", {"document": digest, "bank": table.bank, "state": state})]
        if table.corrects:
            rows.append(("lending_tables", {"document": table.corrects, "bank": table.bank, "state": "CORRECTED"}))
        kind = "lending.held" if questions else "lending.counted"
        documents = [sealed, envelope.seal(receipt, THE_GATEWAY)]
        told = _about(table) | {"record_count": table.rows}
        city.acknowledge(sealed, kind, city.log(kind, table.issued_by, documents, rows, **told))
        return sealed

    def _confirm(self, city: City, sealed: envelope_pb2.Envelope) -> None:
        answer = lending_pb2.LendingAnswer(
            document=envelope.digest(sealed), reason="these are large loans", answered_by=TELLER.holder,
            answered_at_ms=TIME,
        )  # fmt: skip
        given = envelope.seal(answer, TELLER)
        states = {envelope.digest(sealed): "COUNTED"}
        if self.wavers:
            states[envelope.digest(envelope.seal(WAVERED.table))] = "CORRECTED"
        rows = [("lending_tables", {"document": d, "bank": BANK_2, "state": state}) for d, state in states.items()]
        told = _about(SECOND.table) | {"record_count": SECOND.table.rows}
        leaf = city.log("lending.confirmed", TELLER.holder, [given], rows, **told)
        city.acknowledge(given, "lending.confirmed", leaf)

    def _challenge(self, city: City, head: bytes) -> None:
        challenge = lending_pb2.Challenge(
            table=envelope.digest(REPORTED), bank=BANK, unit=lending_pb2.SAMPLE_UNIT_ROWS, size=3, checkpoint=head,
            due_on="2018-11-30", asked_by=ASKER.holder, purpose="annual audit", asked_at_ms=TIME,
        )  # fmt: skip
        asked = envelope.seal(challenge, ASKER)
        row = {"document": envelope.digest(asked), "bank": BANK, "state": "OPEN"}
        about = _about(FIRST.table)
        leaf = city.log("challenge.asked", ASKER.holder, [asked], [("challenges", row)], **about)
        city.acknowledge(asked, "challenge.asked", leaf)
        answer = lending_pb2.ChallengeAnswer(
            challenge=envelope.digest(asked), opening=seed("opening"), rows=4, answered_by=self.answering.holder,
            answered_at_ms=TIME,
        )  # fmt: skip
        given = envelope.seal(answer, self.answering)
        rows = [("challenges", row | {"state": "ANSWERED"})]
        leaf = city.log("challenge.answered", self.answering.holder, [given], rows, **about)
        city.acknowledge(given, "challenge.answered", leaf)

    def _send(self, city: City) -> None:
        salted = [(seed(f"outcome {n}"), outcome(n).SerializeToString(deterministic=True)) for n in (1, 2, 3)]
        commitments = [outcomes.commitment(*one) for one in salted]
        root = merkle.root(outcomes.leaf_hashes(commitments))
        batch = lending_pb2.OutcomeBatch(
            bank=BANK, number="2018-q3", agreement_id="2018-1", count=3, root=root, chunk_roots=[root],
            issued_by=THE_BANK.holder, issued_at_ms=TIME,
        )  # fmt: skip
        sealed = envelope.seal(batch, THE_BANK)
        kept = [records_pb2.SaltedRecord(salt=salt, record=record) for salt, record in salted]
        if not self.unlawful:
            kept[1] = outcomes.withheld(commitments[1])
        chunk = records_pb2.Chunk(records=kept).SerializeToString(deterministic=True)
        city.outcomes.append((envelope.digest(sealed), chunk))
        why = lending_pb2.Question(
            rule="outcome.authorisation", basis="征信业管理条例 art. 29 ¶2", text="no authorisation of the borrower"
        )
        finding = lending_pb2.OutcomeFinding(
            outcome_id="o-2", state=lending_pb2.REPORT_STATE_REFUSED, question=why
        )
        receipt = lending_pb2.OutcomeReceipt(
            batch=envelope.digest(sealed), counted=2, refused=self.refused, findings=[finding], recorded_at_ms=city.now
        )
        row = {"document": envelope.digest(sealed), "bank": BANK, "number": batch.number}
        told = {"counterparty": BANK, "agreement_id": "2018-1", "record_count": 3}
        documents = [sealed, envelope.seal(receipt, THE_GATEWAY)]
        leaf = city.log("outcomes.recorded", THE_BANK.holder, documents, [("outcome_batches", row)], **told)
        city.acknowledge(sealed, "outcomes.recorded", leaf)

    def _run(
        self,
        city: City,
        counted: Sequence[envelope_pb2.Envelope],
        audience: lending_pb2.Audience,
        before: envelope_pb2.Envelope | None = None,
    ) -> envelope_pb2.Envelope:
        """A version; of the second for the bureau something may be told otherwise."""
        tables = [(envelope.digest(sealed), lending_pb2.LendingTable.FromString(sealed.payload)) for sealed in counted]
        tables = [(digest, table) for digest, table in tables if self.answers or table.bank != BANK_2 or before]
        statistics = lending_pb2.Statistics(
            period=PERIOD, currency="CNY", audience=audience, version=1, counted_until_ms=city.now - 1,
            definitions=DEFINITIONS, banks=len(tables), margins=publish(add_up(t for _, t in tables), audience),
        )  # fmt: skip
        if audience == FOR_BUREAU:
            for digest, table in tables:
                statistics.tables.add(bank=table.bank, table=digest, recorded_at_ms=self._recorded[digest])
        if before is not None:
            statistics.version, statistics.restatement = 2, "迟报 late: test-city/bank-2"
            statistics.predecessor = envelope.digest(before) if self.predecessor else b""
            statistics.margins[0].cells[0].sums.granted += self.more
            if self.shows:
                _show(statistics)
        sealed = envelope.seal(statistics, THE_GATEWAY)
        row = {"document": envelope.digest(sealed), "version": statistics.version, "audience": audience}
        period = lending_exchanges.log_period(PERIOD)
        city.log("statistics.run", THE_GATEWAY.holder, [sealed], [("statistics", row)], period=period)
        return sealed

    def _give(self, city: City, statistics: envelope_pb2.Envelope) -> None:
        row = {"document": envelope.digest(statistics), "recipient": BUREAU, "receipt": None}
        told = {"counterparty": BUREAU, "period": lending_exchanges.log_period(PERIOD)}
        rows = [("statistics_deliveries", row)]
        city.log("statistics.offered", THE_GATEWAY.holder, [statistics], rows, **told)
        receipt = lending_pb2.StatisticsReceipt(
            statistics=envelope.digest(statistics), signed_by=MAKER.holder, signed_at_ms=TIME
        )
        given = envelope.seal(receipt, MAKER)
        rows = [("statistics_deliveries", row | {"receipt": envelope.digest(given)})]
        leaf = city.log("statistics.received", MAKER.holder, [given], rows, **told)
        city.acknowledge(given, "statistics.received", leaf)


def _about(table: lending_pb2.LendingTable) -> dict[str, Any]:
    return {
        "counterparty": table.bank,
        "agreement_id": table.agreement_id,
        "period": lending_exchanges.log_period(table.period),
    }


def _show(statistics: lending_pb2.Statistics) -> None:
    """The first cell that is suppressed is shown after all."""
    for margin in statistics.margins:
        for cell in margin.cells:
            if lending_pb2.SUM_GROUP_GRANTED in cell.suppressed:
                cell.suppressed.remove(lending_pb2.SUM_GROUP_GRANTED)
                cell.sums.MergeFrom(lending_pb2.LendingSums(loans=2, firms=2, granted=1_000_000))
                return
    raise AssertionError("nothing is suppressed")
