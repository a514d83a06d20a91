"""Cases about lending, for `proto.vectors.make`: the messages that banks, auditors and recipients seal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from google.protobuf.message import Message

from proto.vectors.subjects import BANK, LI_WEI, MACHINE, TIME, Change, uscc
from xinyi import lending
from xinyi.v1 import edition_pb2, lending_pb2, records_pb2

Cases = list[tuple[str, str, Change]]

LI_NA = f"xinyi://{BANK}/person/li-na"
ZHAO_MIN = "xinyi://demo-city/auditor/person/zhao-min"
#: On which the rows are sent.
DAY = date(2018, 11, 1)
#: In the form of a product's code.
IDENTIFIER = next(code for code in map(uscc, range(100)) if code.isdecimal())
MOST_LOAN, MOST_TABLE, MOST_EVENT = 10**15, 10**17, 10**13


def size(definition: str = "GXB300", word: str = "small") -> lending_pb2.SizeClass:
    return lending_pb2.SizeClass(definition=definition, size=word)


def loan(reference: str = "L-1") -> lending_pb2.Loan:
    return lending_pb2.Loan(
        reference=reference,
        product="tax-loan",
        guarantee=lending_pb2.GUARANTEE_CREDIT,
        sizes=[size(), size("INCLUSIVE", "inclusive")],
        industry="C",
        district="990100",
        first_time=lending_pb2.FIRST_TIME_YES,
        annual_rate_bp=435,
        term_months=12,
        currency="CNY",
        reliance=lending_pb2.Reliance(
            manifest_digest=b"m" * 32,
            blinded_key=b"k" * 32,
            commitment=b"c" * 32,
            grade=records_pb2.GRADE_A,
            evaluation_year=2017,
        ),
        branch="B-7",
    )


def _loan_cases(place: str) -> Cases:
    """Args: place — of the loan in the message."""
    return [
        (f"loan: {title}", rule, {f"{place}.{field}": value for field, value in changes.items()})
        for title, rule, changes in [
            ("nothing known that may be unknown", "", {
                "guarantee": 0, "sizes": [], "industry": "", "district": "", "first_time": 0, "annual_rate_bp": None,
                "term_months": None, "branch": "",
            }),
            ("longest reference", "", {"reference": "a" * 64}),
            ("dearest rate, longest term", "", {"annual_rate_bp": 10_000, "term_months": 1200}),
            ("no rate at all, 0", "", {"annual_rate_bp": 0}),
            ("no reference", "loan.reference", {"reference": ""}),
            ("reference of 65", "loan.reference", {"reference": "a" * 65}),
            ("reference with a blank", "loan.reference", {"reference": "L 1"}),
            ("reference that begins with a hyphen", "loan.reference", {"reference": "-1"}),
            ("an identifier as reference", "loan.reference", {"reference": uscc()}),
            ("product in capitals", "loan.product", {"product": "Tax-Loan"}),
            ("no product", "loan.product", {"product": ""}),
            ("an identifier as product", "loan.product", {"product": IDENTIFIER}),
            ("an identifier within the product", "loan.product", {"product": f"loan-{IDENTIFIER}"}),
            ("unknown guarantee", "loan.guarantee", {"guarantee": 6}),
            ("size of no definition", "loan.sizes", {"sizes.0.definition": ""}),
            ("size of another definition", "loan.sizes", {"sizes.0.size": "inclusive"}),
            ("definitions not ascending", "loan.sizes", {"sizes": [size("INCLUSIVE", "other"), size()]}),
            ("definition twice", "loan.sizes", {"sizes": [size(), size("GXB300", "micro")]}),
            ("industry U", "loan.industry", {"industry": "U"}),
            ("industry with its number", "loan.industry", {"industry": "C13"}),
            ("district of a province", "loan.district", {"district": "99"}),
            ("unknown first time", "loan.first_time", {"first_time": 3}),
            ("rate above 100 %", "loan.rate", {"annual_rate_bp": 10_001}),
            ("term of no month", "loan.term", {"term_months": 0}),
            ("term of a hundred years and a month", "loan.term", {"term_months": 1201}),
            ("no currency", "loan.currency", {"currency": ""}),
            ("currency by its sign", "loan.currency", {"currency": "元"}),
            ("currency by another name", "loan.currency", {"currency": "RMB"}),
            ("currency without hundredths", "loan.currency", {"currency": "JPY"}),
            ("reliance on no edition", "loan.reliance", {"reliance.manifest_digest": b""}),
            ("reliance on no record", "loan.reliance", {"reliance.commitment": b"c" * 31}),
            ("reliance on no grade", "loan.reliance", {"reliance.grade": 0}),
            ("reliance on no year", "loan.reliance", {"reliance.evaluation_year": 0}),
            ("branch with a blank", "loan.branch", {"branch": "branch 7"}),
        ]
    ]  # fmt: skip


def row(reference: str = "L-1") -> lending_pb2.LoanRow:
    return lending_pb2.LoanRow(
        loan=loan(reference),
        newly_granted=True,
        granted=500_000_000,
        balance=400_000_000,
        loan_class=lending_pb2.LOAN_CLASS_NORMAL,
    )


def firm() -> lending_pb2.FirmLending:
    return lending_pb2.FirmLending(
        taxpayer_id=uscc(), identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, rows=[row("L-1"), row("L-2")]
    )


_NOTHING: Change = {
    "rows.0.newly_granted": False, "rows.0.granted": 0, "rows.0.balance": 0, "rows.0.loan_class": 0,
}  # fmt: skip
FIRM: Cases = [
    ("as it is", "", {}),
    ("a refused application", "", _NOTHING | {"rows.0.refused": True}),
    ("disbursed on an older loan", "", {"rows.0.newly_granted": False}),
    ("paid back", "", {"rows.0.balance": 0, "rows.0.loan_class": 0}),
    ("no grade relied on", "", {"rows.0.loan.reliance": None}),
    ("a grade taken back", "", {"rows.0.recalled": True}),
    ("a grade taken back, the true one known", "", {"rows.0.recalled": True, "rows.0.true_grade": 2}),
    ("wrong check character", "firm.taxpayer", {"taxpayer_id": uscc()[:17] + ("0" if uscc()[17] != "0" else "1")}),
    ("no kind of identifier", "firm.taxpayer", {"identifier_kind": 0}),
    ("no rows", "firm.rows", {"rows": []}),
    ("a loan twice", "firm.rows", {"rows": [row("L-1"), row("L-1")]}),
    ("loans not ascending", "firm.rows", {"rows": [row("L-2"), row("L-1")]}),
    ("most in amounts", "", {"rows.0.granted": MOST_LOAN, "rows.0.balance": MOST_LOAN}),
    ("an amount above 10¹⁵", "row.granted", {"rows.0.granted": MOST_LOAN + 1}),
    ("a balance above 10¹⁵", "row.granted", {"rows.0.balance": MOST_LOAN + 1}),
    ("newly granted, nothing disbursed", "row.granted", {"rows.0.granted": 0}),
    ("a balance without a class", "row.loan_class", {"rows.0.loan_class": 0}),
    ("unknown class", "row.loan_class", {"rows.0.loan_class": 6}),
    ("refused, and granted", "row.refused", {"rows.0.refused": True}),
    ("refused, with a balance", "row.refused", {
        "rows.0.refused": True, "rows.0.newly_granted": False, "rows.0.granted": 0,
    }),
    ("taken back, and none relied on", "row.recalled", {"rows.0.recalled": True, "rows.0.loan.reliance": None}),
    ("a true grade without a recall", "row.recalled", {"rows.0.true_grade": 2}),
    ("unknown true grade", "row.recalled", {"rows.0.recalled": True, "rows.0.true_grade": 8}),
    *((title, rule, {"rows": [row()]} | changes) for title, rule, changes in _loan_cases("rows.0.loan")),
]  # fmt: skip


def sums(**changes: int) -> lending_pb2.LendingSums:
    told = {
        "loans": 2, "firms": 1, "granted": 1_000_000_000, "outstanding_loans": 2, "outstanding_firms": 1,
        "balance": 800_000_000, "bad_loans": 1, "bad_firms": 1, "bad_balance": 400_000_000,
    }  # fmt: skip
    return lending_pb2.LendingSums(**(told | changes))


def cell(value: str, **changes: int) -> lending_pb2.Cell:
    return lending_pb2.Cell(value=value, sums=sums(**changes))


def margin(dimension: str, *cells: lending_pb2.Cell) -> lending_pb2.Margin:
    return lending_pb2.Margin(dimension=dimension, cells=cells)


def table() -> lending_pb2.LendingTable:
    return lending_pb2.LendingTable(
        bank=BANK,
        period=lending_pb2.LendingPeriod(year=2018, month=7, months=3),
        currency="CNY",
        agreement_id="2018-17",
        rows=3,
        firms=2,
        root=b"r" * 32,
        margins=[
            margin("total", cell("all", refused=1, refused_firms=1)),
            margin("grade", cell("A"), lending_pb2.Cell(value="none", sums=_REFUSED)),
        ],
        source=edition_pb2.SourceFile(
            sha256=b"s" * 32, size_bytes=90_000, encoding="gb18030", profile_sha256=b"p" * 32
        ),
        rules=[edition_pb2.RuleCount(rule="loan.currency", outcome=edition_pb2.ROW_OUTCOME_REJECTED, rows=1)],
        issued_by=MACHINE,
        issued_at_ms=TIME,
    )


_REFUSED = lending_pb2.LendingSums(refused=1, refused_firms=1)
_EMPTY: Change = {"rows": 0, "firms": 0, "root": b"", "margins": []}
_GRADE = margin("grade", cell("A"), lending_pb2.Cell(value="none", sums=_REFUSED))
_TOTAL = margin("total", cell("all", refused=1, refused_firms=1))


def _with(dimension: str, *values: str) -> Change:
    """A table with one dimension more, behind the others."""
    return {"margins": [_TOTAL, _GRADE, margin(dimension, *(cell(value) for value in values))]}


TABLE: Cases = [
    ("as it is", "", {}),
    ("of no rows", "", _EMPTY),
    ("of a month", "", {"period.months": 1}),
    ("of a year", "", {"period.year": 2017, "period.month": 1, "period.months": 12}),
    ("of an unknown source", "", {"source": None}),
    ("that corrects", "", {"corrects": b"t" * 32, "reason": "a branch was missing"}),
    # A question to the bank, not a broken rule.
    ("whose cells do not add up", "", {"margins.1.cells.0.sums.granted": 999_999_999}),
    *((f"by {dimension}", "", _with(dimension, *values)) for dimension, *values in [
        ("guarantee", "credit", "unknown"), ("industry", "C", "unknown"), ("product", "tax-loan"),
        ("rate/435-600", "00000-00435", "00435-00600", "00600-up", "unknown"), ("size/GXB300", "micro", "small"),
        ("true-grade", "B", "none", "withdrawn"),
    ]),
    ("bank without city", "table.bank", {"bank": "bank-1"}),
    ("no period", "table.period", {"period": None}),
    ("a quarter from February", "table.period", {"period.month": 2}),
    ("two months", "table.period", {"period.months": 2}),
    ("no currency", "table.currency", {"currency": ""}),
    ("currency by another name", "table.currency", {"currency": "RMB"}),
    ("no agreement", "table.agreement_id", {"agreement_id": ""}),
    ("agreement of 101 characters", "table.agreement_id", {"agreement_id": "a" * 101}),
    ("more firms than rows", "table.rows", {"firms": 4}),
    ("rows of no firm", "table.rows", {"firms": 0}),
    ("a firm without rows", "table.rows", _EMPTY | {"firms": 1}),
    ("short root", "table.root", {"root": b"r" * 31}),
    ("a root of no rows", "table.root", _EMPTY | {"root": b"r" * 32}),
    ("cells of no rows", "table.margins", _EMPTY | {"margins": [_TOTAL]}),
    ("no cells", "table.margins", {"margins": []}),
    ("total not first", "table.margins", {"margins": [_GRADE, _TOTAL]}),
    ("total twice", "table.margins", {"margins": [_TOTAL, _TOTAL]}),
    ("a dimension twice", "table.margins", {"margins": [_TOTAL, _GRADE, _GRADE]}),
    ("dimensions not ascending", "table.margins", {"margins": [_TOTAL, margin("product", cell("a")), _GRADE]}),
    ("unknown dimension", "margin.dimension", _with("weather", "fair")),
    ("size of no definition", "margin.dimension", _with("size/", "small")),
    ("size of an unknown definition", "margin.dimension", _with("size/OWN", "small")),
    ("rate bands not ascending", "margin.dimension", _with("rate/600-435", "unknown")),
    ("rate band from 0", "margin.dimension", _with("rate/0-435", "unknown")),
    ("rate bound with a leading 0", "margin.dimension", _with("rate/0435", "unknown")),
    ("a dimension without cells", "margin.cells", {"margins": [_TOTAL, margin("grade")]}),
    ("cells not ascending", "margin.cells", _with("product", "b", "a")),
    ("a cell twice", "margin.cells", _with("product", "a", "a")),
    ("a total by another name", "margin.cells", {"margins.0.cells.0.value": "total"}),
    ("a grade that is none", "margin.cells", {"margins.1.cells.0.value": "E"}),
    ("a size of another definition", "margin.cells", _with("size/GXB300", "inclusive")),
    ("a rate between the bands", "margin.cells", _with("rate/435-600", "00435-00500")),
    ("an identifier as a cell", "margin.cells", _with("product", IDENTIFIER)),
    ("an empty cell", "margin.cells", {"margins.1.cells.1.sums": None}),
    ("more firms than loans", "margin.sums", {"margins.0.cells.0.sums.firms": 3, "firms": 3}),
    ("loans of no firm", "margin.sums", {"margins.1.cells.0.sums.firms": 0}),
    ("refused ones of no firm", "margin.sums", {"margins.1.cells.1.sums.refused_firms": 0}),
    ("loans of no amount", "margin.sums", {"margins.1.cells.0.sums.granted": 1}),
    ("more bad loans than loans", "margin.sums", {"margins.1.cells.0.sums.bad_loans": 3}),
    ("more bad than outstanding", "margin.sums", {"margins.1.cells.0.sums.bad_balance": 800_000_001}),
    ("most in sums", "", {"margins.0.cells.0.sums.granted": MOST_TABLE}),
    ("an amount above 10¹⁷", "margin.sums", {"margins.1.cells.0.sums.granted": MOST_TABLE + 1}),
    ("a balance above 10¹⁷", "margin.sums", {"margins.0.cells.0.sums.balance": MOST_TABLE + 1}),
    ("more loans than rows", "margin.sums", {"rows": 2}),
    ("more firms than the table has", "margin.sums", {
        "firms": 1, "margins.0.cells.0.sums.firms": 2, "margins.1.cells.0.sums.firms": 1,
    }),
    ("a reason without what it corrects", "table.corrects", {"reason": "a branch was missing"}),
    ("corrects without a reason", "table.corrects", {"corrects": b"t" * 32}),
    ("corrects a short digest", "table.corrects", {"corrects": b"t", "reason": "a branch was missing"}),
    ("an identifier in the reason", "text.identifier", {"corrects": b"t" * 32, "reason": f"without {uscc()}"}),
    ("source of a short digest", "table.source", {"source.sha256": b"s"}),
    ("source in a sentence", "table.source", {"source.encoding": "as the core system writes it"}),
    ("rule in capitals", "table.rules", {"rules.0.rule": "Loan"}),
    ("rule without outcome", "table.rules", {"rules.0.outcome": 0}),
    ("rule of no row", "table.rules", {"rules.0.rows": 0}),
    ("issued by another party", "table.issued_by", {"issued_by": LI_WEI}),
    ("no time", "table.issued_at", {"issued_at_ms": 0}),
    ("issued within the period", "table.issued_at", {"period.month": 10}),
]  # fmt: skip


def outcome() -> lending_pb2.LendingOutcome:
    return lending_pb2.LendingOutcome(
        outcome_id="2018-O-1",
        taxpayer_id=uscc(),
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        loan=loan(),
        stage=lending_pb2.STAGE_DISBURSED,
        event_date="2018-10-15",
        amount=500_000_000,
        credit_line=600_000_000,
        balance=500_000_000,
        loan_class=lending_pb2.LOAN_CLASS_NORMAL,
        days_overdue=0,
        authorisation=lending_pb2.Authorisation(
            digest=b"a" * 32, scope="lending-outcomes", valid_from="2018-10-01", valid_to="2018-12-31"
        ),
    )


def check_outcome(message: lending_pb2.LendingOutcome) -> None:
    """As it is judged on DAY, its borrower's authorisation with it."""
    lending.check_outcome(message)
    lending.check_authorisation(message.authorisation, DAY)


_REJECTED: Change = {"stage": 4, "amount": 0, "reason_code": "cash-flow", "balance": None, "loan_class": 0}
OUTCOME: Cases = [
    ("as it is", "", {}),
    ("rejected", "", _REJECTED),
    ("rejected without a reason", "", _REJECTED | {"reason_code": ""}),
    ("public by law", "", {"authorisation.scope": "public-record"}),
    ("authorised for that day alone", "", {
        "authorisation.valid_from": "2018-11-01", "authorisation.valid_to": "2018-11-01",
    }),
    ("that corrects", "", {"corrects": "2018-O-0"}),
    ("that voids", "", {"corrects": "2018-O-0", "voids": True}),
    ("nothing known behind the event", "", {"credit_line": None, "balance": None, "days_overdue": None}),
    ("no id", "outcome.id", {"outcome_id": ""}),
    ("an identifier as id", "outcome.id", {"outcome_id": uscc()}),
    ("wrong check character", "outcome.taxpayer", {
        "taxpayer_id": uscc()[:17] + ("0" if uscc()[17] != "0" else "1"),
    }),
    ("no stage", "outcome.stage", {"stage": 0}),
    ("unknown stage", "outcome.stage", {"stage": 12}),
    ("no date", "outcome.event_date", {"event_date": ""}),
    ("no such day", "outcome.event_date", {"event_date": "2018-09-31"}),
    ("disbursed, no amount", "outcome.amount", {"amount": 0}),
    ("most in amounts", "", {"amount": MOST_EVENT, "credit_line": MOST_EVENT, "balance": MOST_EVENT}),
    ("an amount above 10¹³", "outcome.amount", {"amount": MOST_EVENT + 1}),
    ("a credit line above 10¹³", "outcome.amount", {"credit_line": MOST_EVENT + 1}),
    ("a balance above 10¹³", "outcome.amount", {"balance": MOST_EVENT + 1}),
    ("unknown class", "outcome.loan_class", {"loan_class": 6}),
    ("a reason without a refusal", "outcome.reason_code", {"reason_code": "cash-flow"}),
    ("a reason in a sentence", "outcome.reason_code", _REJECTED | {"reason_code": "cash flow"}),
    ("voids nothing", "outcome.corrects", {"voids": True}),
    ("corrects itself", "outcome.corrects", {"corrects": "2018-O-1"}),
    ("corrects a sentence", "outcome.corrects", {"corrects": "the last one"}),
    ("without authorisation", "authorisation.digest", {"authorisation": None}),
    ("authorised by a short digest", "authorisation.digest", {"authorisation.digest": b"a"}),
    ("authorised for something else", "authorisation.scope", {"authorisation.scope": "credit-query"}),
    ("authorised until never", "authorisation.validity", {"authorisation.valid_to": ""}),
    ("authorised until the day before", "authorisation.validity", {"authorisation.valid_to": "2018-10-31"}),
    ("authorised from the day behind", "authorisation.validity", {"authorisation.valid_from": "2018-11-02"}),
    *_loan_cases("loan"),
]  # fmt: skip


def batch() -> lending_pb2.OutcomeBatch:
    return lending_pb2.OutcomeBatch(
        bank=BANK,
        number="2018-11-1",
        agreement_id="2018-17",
        count=1100,
        root=b"r" * 32,
        chunk_roots=[b"c" * 32, b"d" * 32],
        issued_by=MACHINE,
        issued_at_ms=TIME,
    )


BATCH: Cases = [
    ("as it is", "", {}),
    ("of one", "", {"count": 1, "chunk_roots": [b"c" * 32]}),
    ("of two whole chunks", "", {"count": 2048}),
    ("bank without city", "batch.bank", {"bank": "bank-1"}),
    ("no number", "batch.number", {"number": ""}),
    ("number in capitals", "batch.number", {"number": "Q4"}),
    ("an identifier as number", "text.identifier", {"number": uscc().lower()}),
    ("no agreement", "batch.agreement_id", {"agreement_id": ""}),
    ("of none", "batch.count", {"count": 0, "chunk_roots": []}),
    ("of too many", "batch.count", {"count": 16_777_217, "chunk_roots": []}),
    ("short root", "batch.root", {"root": b"r" * 31}),
    ("a chunk root too few", "batch.root", {"chunk_roots": [b"c" * 32]}),
    ("short chunk root", "batch.root", {"chunk_roots": [b"c" * 32, b"d"]}),
    ("source of a short digest", "batch.source", {"source.profile_sha256": b"p"}),
    ("issued by another party", "batch.issued_by", {"issued_by": LI_WEI}),
    ("no time", "batch.issued_at", {"issued_at_ms": 0}),
]


def answer() -> lending_pb2.LendingAnswer:
    return lending_pb2.LendingAnswer(
        document=b"t" * 32, reason="loans of one bridge alone", answered_by=LI_NA, answered_at_ms=TIME
    )


ANSWER: Cases = [
    ("of a table", "", {}),
    ("of outcomes", "", {"outcome_ids": ["o-1", "o-2"]}),
    ("of nothing", "lending_answer.document", {"document": b""}),
    ("outcomes not ascending", "lending_answer.outcomes", {"outcome_ids": ["o-2", "o-1"]}),
    ("an outcome twice", "lending_answer.outcomes", {"outcome_ids": ["o-1", "o-1"]}),
    ("an outcome with a blank", "lending_answer.outcomes", {"outcome_ids": ["o 1"]}),
    ("without reason", "lending_answer.reason", {"reason": ""}),
    ("an identifier in the reason", "text.identifier", {"reason": f"{uscc()} is large"}),
    ("by a machine", "lending_answer.answered_by", {"answered_by": MACHINE}),
    ("no time", "lending_answer.answered_at", {"answered_at_ms": 0}),
]


def challenge() -> lending_pb2.Challenge:
    return lending_pb2.Challenge(
        table=b"t" * 32,
        bank=BANK,
        unit=lending_pb2.SAMPLE_UNIT_GRANTED,
        size=60,
        checkpoint=b"a signed note",
        due_on="2018-11-15",
        asked_by=ZHAO_MIN,
        purpose="annual audit 2018",
        asked_at_ms=TIME,
    )


CHALLENGE: Cases = [
    ("as it is", "", {}),
    ("of the most units", "", {"size": 10_000}),
    ("of no table", "challenge.table", {"table": b""}),
    ("bank without city", "challenge.bank", {"bank": "bank-1"}),
    ("no unit", "challenge.unit", {"unit": 0}),
    ("unknown unit", "challenge.unit", {"unit": 4}),
    ("of no units", "challenge.size", {"size": 0}),
    ("of too many units", "challenge.size", {"size": 10_001}),
    ("no checkpoint", "challenge.checkpoint", {"checkpoint": b""}),
    ("no due date", "challenge.due_on", {"due_on": ""}),
    ("by a machine", "challenge.asked_by", {"asked_by": MACHINE}),
    ("no purpose", "challenge.purpose", {"purpose": ""}),
    ("an identifier in the purpose", "text.identifier", {"purpose": f"loans of {uscc()}"}),
    ("no time", "challenge.asked_at", {"asked_at_ms": 0}),
]


def challenge_answer() -> lending_pb2.ChallengeAnswer:
    return lending_pb2.ChallengeAnswer(
        challenge=b"c" * 32, opening=b"o" * 32, rows=60, answered_by=MACHINE, answered_at_ms=TIME
    )


CHALLENGE_ANSWER: Cases = [
    ("as it is", "", {}),
    ("to no challenge", "challenge_answer.challenge", {"challenge": b""}),
    ("of no opening", "challenge_answer.opening", {"opening": b"o"}),
    ("of no rows", "challenge_answer.rows", {"rows": 0}),
    ("by nobody", "challenge_answer.answered_by", {"answered_by": "bank-1"}),
    ("no time", "challenge_answer.answered_at", {"answered_at_ms": 0}),
]


def statistics_receipt() -> lending_pb2.StatisticsReceipt:
    return lending_pb2.StatisticsReceipt(statistics=b"s" * 32, signed_by=LI_WEI, signed_at_ms=TIME)


STATISTICS_RECEIPT: Cases = [
    ("as it is", "", {}),
    ("by a bank's machine", "", {"signed_by": MACHINE}),
    ("of no statistics", "statistics_receipt.statistics", {"statistics": b""}),
    ("by nobody", "statistics_receipt.signed_by", {"signed_by": ""}),
    ("no time", "statistics_receipt.signed_at", {"signed_at_ms": 0}),
]

#: file → (a valid message, its check, cases)
FILES: dict[str, tuple[Callable[[], Message], Callable[[Any], None], Cases]] = {
    "firm_lending": (firm, lending.check_firm_lending, FIRM),
    "lending_table": (table, lending.check_lending_table, TABLE),
    "lending_outcome": (outcome, check_outcome, OUTCOME),
    "outcome_batch": (batch, lending.check_outcome_batch, BATCH),
    "lending_answer": (answer, lending.check_lending_answer, ANSWER),
    "challenge": (challenge, lending.check_challenge, CHALLENGE),
    "challenge_answer": (challenge_answer, lending.check_challenge_answer, CHALLENGE_ANSWER),
    "statistics_receipt": (statistics_receipt, lending.check_statistics_receipt, STATISTICS_RECEIPT),
}
