"""loans: single loans that banks reported with consent."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import notices, print_json, table

if TYPE_CHECKING:
    from adapters.bureau.loans import Loan


def loans(
    home: HomeOption,
    bank: Annotated[
        list[str] | None, typer.Option(help="<city>/<party>, or its name in this city; may be given several times.")
    ] = None,
    recalled: Annotated[
        bool, typer.Option("--recalled", help="Only loans that relied on a grade which a correction took back.")
    ] = False,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="As they stood at the end of this day in China.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Single loans that banks reported with the borrowers' authorisation, where their agreements show them.

    Without --bank every bank that was given an edition is asked. What the bureau is given is logged.

    Example: loans --recalled --bank bank-3
    """
    from adapters.bureau.loans import loans as find
    from adapters.bureau.submission import list_editions
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from xinyi.errors import NotEntitled

    opened = Home.open(home)
    city = opened.party.partition("/")[0]
    found: list[Loan] = []
    closed: list[str] = []
    with GatewayClient(opened) as client:
        banks = [name if "/" in name else f"{city}/{name}" for name in bank or ()] or sorted(
            {delivery.recipient for edition in list_editions(client) for delivery in edition.deliveries}
        )
        for name in banks:
            try:
                found += find(client, opened, name, as_of.date().isoformat() if as_of else "", recalled=recalled)
            except NotEntitled:
                if bank:
                    raise
                closed.append(name)
    if json:
        print_json({"loans": [asdict(loan) for loan in found], "not_shown": closed})
    else:
        _show(found)
    if closed:
        notices.print(f"No agreement shows the loans of {', '.join(closed)}.", markup=False)
    if any(not loan.verified for loan in found):
        names = ", ".join(sorted({loan.bank for loan in found if not loan.verified}))
        notices.print(f"No key of {names} is pinned here: their loans stand on the gateway's word.", markup=False)


def _show(found: list[Loan]) -> None:
    table(
        f"{len(found)} loans",
        ["bank", "loan", "taxpayer", "stage", "on", "granted on", "granted", "grade relied on", "true grade", ""],
        [
            [
                *(loan.bank, loan.loan, loan.taxpayer_id, loan.stage, loan.event_date, loan.granted_on),
                f"{loan.granted // 100:,}.{loan.granted % 100:02d} {loan.currency}" if loan.granted else "",
                f"{loan.grade} ({loan.evaluation_year})" if loan.grade else "none",
                (loan.true_grade or "not in the product") if loan.recalled else loan.grade,
                "in question" if loan.in_question else "",
            ]
            for loan in found
        ],
    )
