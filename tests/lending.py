"""Banks' tables of a period for tests, computed from made-up rows as the contract says, and how they are sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import envelope
from audit.envelope import Opened
from audit.keys import Keyring
from audit.lending_tree import LendingTree, commitment
from audit.sum_tree import Lanes
from gateway.office.agreements import agreement_id
from proto.vectors.make import uscc
from tests.world import World
from xinyi.channel import errors_restored
from xinyi.margins import Layout, amounts, value_of
from xinyi.v1 import envelope_pb2, exchange_pb2, lending_pb2, lending_service_pb2, records_pb2
from xinyi.v1.lending_service_pb2_grpc import LendingServiceStub

Q1 = lending_pb2.LendingPeriod(year=2018, month=1, months=3)
Q2 = lending_pb2.LendingPeriod(year=2018, month=4, months=3)
DIMENSIONS = ("grade", "guarantee", "size/GXB300")
YUAN, WAN = 100, 1_000_000


def loan_row(number: int, granted: int, *, size: str = "small", **changes: Any) -> lending_pb2.LoanRow:
    """A loan that was granted in the period and still stands in full."""
    loan = lending_pb2.Loan(
        reference=f"L{number}",
        product="tax-loan",
        guarantee=lending_pb2.GUARANTEE_CREDIT,
        sizes=[lending_pb2.SizeClass(definition="GXB300", size=size)],
        currency="CNY",
    )
    told: dict[str, Any] = {"newly_granted": True, "granted": granted, "balance": granted, "loan_class": 1}
    return lending_pb2.LoanRow(loan=loan, **(told | changes))


def firms_of(amounts_: Iterable[int], **changes: Any) -> list[lending_pb2.FirmLending]:
    """One enterprise for each amount, in fen."""
    return [
        lending_pb2.FirmLending(
            taxpayer_id=uscc(number),
            identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
            rows=[loan_row(number, amount, **changes)],
        )
        for number, amount in enumerate(amounts_, 1)
    ]


def table_of(
    home: Home,
    firms: Iterable[lending_pb2.FirmLending],
    *,
    dimensions: Iterable[str] = DIMENSIONS,
    seed: int = 7,
    issued_at_ms: int = 1_541_030_400_000,
    **changes: Any,
) -> lending_pb2.LendingTable:
    """Args: seed — of the salts; changes — further fields of the table."""
    chance = random.Random(seed)
    firms = list(firms)
    cells = [
        (dimension, value)
        for dimension in ("total", *dimensions)
        for value in sorted({
            value_of(dimension)(row) for firm in firms for row in firm.rows if dimension == "total" or any(amounts(row))
        })
    ]
    layout = Layout(cells)
    tree = LendingTree(layout)
    leaves = [(commitment(chance.randbytes(32), f.SerializeToString(deterministic=True)), f) for f in firms]
    for made, firm in sorted(leaves, key=lambda leaf: leaf[0]):
        tree.add(made, layout.sums(firm))
    table = lending_pb2.LendingTable(
        bank=home.party,
        period=Q1,
        currency="CNY",
        agreement_id=agreement_id(home.party, "1"),
        issued_by=home.settings.holder,
        issued_at_ms=issued_at_ms,
    )
    if firms:
        root = tree.root()
        values = Lanes(layout.lanes).unpack(root.sums)
        table.rows, table.firms, table.root = values[0], len(firms), root.hash
        table.margins.extend(layout.margins(values))
    for name, value in changes.items():
        if isinstance(value, lending_pb2.LendingPeriod):
            getattr(table, name).CopyFrom(value)
        else:
            setattr(table, name, value)
    return table


def corrected(
    home: Home, table: envelope_pb2.Envelope | bytes, firms: Iterable[lending_pb2.FirmLending], **changes: Any
) -> lending_pb2.LendingTable:
    """Another table in the place of one that was sealed before."""
    digest = table if isinstance(table, bytes) else envelope.digest(table)
    return table_of(home, firms, corrects=digest, reason="a branch was missing", **changes)


class Sent:
    """What the gateway said of a table; its seals hold."""

    def __init__(
        self, table: envelope_pb2.Envelope, response: lending_service_pb2.SubmitTableResponse, gateway: Keyring
    ) -> None:
        self.digest = envelope.digest(table)
        self.acknowledgement = response.answer.acknowledgement
        self.sealed = response.receipt
        self.receipt = envelope.open_sealed(response.receipt, lending_pb2.TableReceipt, gateway).message
        assert self.receipt.table == self.digest

    @property
    def state(self) -> str:
        return lending_pb2.ReportState.Name(self.receipt.state).removeprefix("REPORT_STATE_")

    @property
    def rules(self) -> list[str]:
        return [question.rule for question in self.receipt.questions]


Table = lending_pb2.LendingTable | envelope_pb2.Envelope


def submit_table(home: Home, table: Table, gateway: Keyring) -> Sent:
    """Seals it unless it is sealed, and submits it. Raises what the gateway raises.

    Args: gateway — the key that has to have sealed the receipt.
    """
    with GatewayClient(home) as client, errors_restored():
        call = client.wrap(table) if isinstance(table, envelope_pb2.Envelope) else client.call(table)
        response = LendingServiceStub(client.channel).SubmitTable(lending_service_pb2.SubmitTableRequest(call=call))
        client.accept(response.answer, call.document)
        return Sent(call.document, response, gateway)


async def send_table(world: World, home: Home, table: Table) -> Sent:
    return await asyncio.to_thread(submit_table, home, table, Keyring([world.gateway.signer.key]))


def answer_of(
    person: Home, document: bytes, reason: str = "large loans of a bridge bank", **changes: Any
) -> lending_pb2.LendingAnswer:
    """Args: changes — further fields of the answer."""
    told = {"reason": reason, "answered_by": person.settings.holder, "answered_at_ms": 1_541_030_400_000}
    return lending_pb2.LendingAnswer(document=document, **(told | changes))


async def answer_questions(
    world: World, person: Home, document: bytes, **changes: Any
) -> Opened[exchange_pb2.Acknowledgement]:
    """A person of the bank confirms what is held; the opened acknowledgement. Args: changes — as of `answer_of`."""
    return await send_answer(person, answer_of(person, document, **({"answered_at_ms": world.clock()} | changes)))


async def send_answer(
    person: Home, answer: lending_pb2.LendingAnswer | envelope_pb2.Envelope
) -> Opened[exchange_pb2.Acknowledgement]:

    def run() -> Opened[exchange_pb2.Acknowledgement]:
        with GatewayClient(person) as client, errors_restored():
            call = client.wrap(answer) if isinstance(answer, envelope_pb2.Envelope) else client.call(answer)
            response = LendingServiceStub(client.channel).AnswerQuestions(
                lending_service_pb2.AnswerQuestionsRequest(call=call)
            )
            return client.accept(response.answer, call.document)

    return await asyncio.to_thread(run)


async def list_reports(
    home: Home, period: lending_pb2.LendingPeriod | None = None, as_of: str = ""
) -> list[tuple[bytes, str]]:
    """(digest, state) of the caller's tables, newest last."""

    def run() -> list[tuple[bytes, str]]:
        with GatewayClient(home) as client, errors_restored():
            response = LendingServiceStub(client.channel).ListReports(
                lending_service_pb2.ListReportsRequest(period=period, as_of=as_of)
            )
        word = lending_pb2.ReportState.Name
        return [(envelope.digest(t.table), word(t.state).removeprefix("REPORT_STATE_")) for t in response.tables]

    return await asyncio.to_thread(run)


async def reporting_terms(home: Home) -> list[lending_service_pb2.ReportingTerms]:
    def run() -> list[lending_service_pb2.ReportingTerms]:
        with GatewayClient(home) as client, errors_restored():
            request = lending_service_pb2.GetReportingTermsRequest()
            return list(LendingServiceStub(client.channel).GetReportingTerms(request).terms)

    return await asyncio.to_thread(run)
