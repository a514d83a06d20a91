"""recalls, notices: what was taken back, and what changes when."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from adapters.bank.commands.options import CsvOption, EncodingOption, ProductOption, ToOption, targets
from adapters.bank.ending import end
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import notices as said
from xinyi.terminal import print_json, table


def recalls(
    home: HomeOption,
    loans: Annotated[
        Path | None,
        typer.Option(help="CSV with loan, taxpayer_id, granted_on: lists the loans that relied on a recalled grade."),
    ] = None,
    to: ToOption = "",
    csv: CsvOption = None,
    encoding: EncodingOption = "utf-8",
    product: ProductOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the rows that corrections took back, or the loans that relied on them.

    Example: xinyi-bank recalls --loans loans.csv --home ./bank-1
    """
    from adapters.bank.recalls import never_landed, relied_on
    from adapters.bank.receipts import Receipts
    from adapters.bank.settings import BankSettings
    from adapters.bank.spool import Spool
    from adapters.bank.targets import is_there
    from adapters.party.home import Home
    from xinyi.days import day_of

    opened = Home.open(home)
    settings = BankSettings.of(opened)
    recalled = []
    open_target = targets(opened, to, csv, encoding)
    products = list(product or settings.products)
    nowhere = [name for name in products if not (to or csv or is_there(settings.target(name)))]
    for name in products:
        if name in nowhere:
            continue
        with closing(open_target(name)) as target:
            rows = list(target.recalled(name))
            if not rows and target.landed(name) is None:
                nowhere.append(name)
            recalled += rows
    if len(nowhere) == len(products):
        raise never_landed(nowhere)
    for name in nowhere:
        said.print(f"nothing of {name} has landed there", markup=False)
    if loans is not None:
        reliance = relied_on(loans, recalled, Spool(settings.spool), Receipts(settings.spool, ()))
        said.print(f"{reliance.read} loans read, {reliance.relied} relied on a recalled grade")
        if as_json:
            print_json([asdict(one) for one in reliance.found])
        elif reliance.found:
            table(
                "loans that relied on a recalled grade",
                ("loan", "taxpayer", "granted", "grade known since", "recalled", "correction"),
                [
                    (one.loan, one.taxpayer_id, one.granted_on, one.known_on, one.recalled_on, one.correction[:16])
                    for one in reliance.found
                ],
            )
        return end(bool(reliance.found), "no loan relied on a recalled grade")
    if as_json:
        print_json([asdict(one) for one in recalled])
    elif recalled:
        table(
            "recalled",
            ("product", "taxpayer", "what", "received", "correction", "corrects"),
            [
                (
                    one.product, one.taxpayer_id, one.what, day_of(one.received_at_ms).isoformat(),
                    f"no. {one.sequence}, {one.correction[:16]}", one.corrects[:16],
                )
                for one in recalled
            ],
        )  # fmt: skip
    return end(bool(recalled), "nothing was recalled")


def notices(home: HomeOption, as_json: JsonOption = False) -> None:
    """List what changes when: contract, certificates, keys, products, pauses. Each is sealed by the gateway.

    Example: xinyi-bank notices --home ./bank-1
    """
    from adapters.bank.client import BankClient
    from adapters.bank.notices import announced
    from adapters.party.home import Home

    with BankClient(Home.open(home)) as client:
        found = announced(client)
    if as_json:
        print_json([asdict(one) for one in found])
    elif found:
        table(
            "",
            ("from", "", "what", "number", "what to do", "fingerprint"),
            [
                (
                    one.effective_on, one.when, one.kind, one.number,
                    f"{one.text_zh}\n{one.text_en}", one.fingerprint[:16],
                )
                for one in found
            ],
        )  # fmt: skip
    end(bool(found), "nothing is announced")
