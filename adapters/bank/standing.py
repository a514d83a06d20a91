"""xinyi-bank inbox, status, check, prove: the bank's service, how it stands, and what it can prove."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.party.onboarding import problems
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import console, findings, print_json

app = typer.Typer()


@app.command()
def inbox(home: HomeOption) -> None:
    """Serve the inbox that the gateway dials, until SIGTERM.

    Example: xinyi-bank inbox --home ./bank-1
    """
    from adapters.bank.inbox import run as serve
    from adapters.bank.settings import BankSettings
    from adapters.party.home import Home
    from xinyi import logs

    opened = Home.open(home)
    logs.configure(opened.settings.logs.form, opened.settings.logs.level)
    asyncio.run(serve(opened, BankSettings.of(opened).inbox))


@app.command()
def status(home: HomeOption, as_json: JsonOption = False) -> None:
    """Say what lies in the spool, which edition is held, and what waits to be sent.

    Example: xinyi-bank status --home ./bank-1 --json
    """
    from adapters.bank.evidence import Evidence
    from adapters.bank.receipts import Receipts
    from adapters.bank.settings import BankSettings
    from adapters.bank.spool import STATES, Spool
    from adapters.party.home import Home

    opened = Home.open(home)
    settings = BankSettings.of(opened)
    spool, receipts = Spool(settings.spool), Receipts(settings.spool, ())  # signs nothing
    found: dict[str, Any] = {state: len(spool.editions(state)) for state in STATES}
    found["waiting_receipts"] = len(receipts.waiting())
    found["unproven"] = len(Evidence(settings.evidence).unproven())
    held = {product: spool.held(product) for product in settings.products}
    found["held"] = {product: edition.sequence for product, edition in held.items() if edition is not None}
    if as_json:
        print_json(found)
    for name, value in () if as_json else found.items():
        console.print(f"{name:18} {value}", markup=False)


@app.command()
def prove(
    home: HomeOption,
    taxpayer: Annotated[str, typer.Argument(help="The taxpayer's identifier.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder for the proof.")],
    product: Annotated[str, typer.Option()] = "grade-a",
    edition: Annotated[str, typer.Option(help="First digits of the manifest's digest.")] = "",
) -> None:
    """Prove one record alone: its bytes, its salt, and its way to the root the bureau sealed.

    Example: xinyi-bank prove 91999999000000000X -o ./record --home ./bank-1
    """
    from adapters.bank.proving import prove_record
    from adapters.party.home import Home
    from xinyi import files

    proof = prove_record(Home.open(home), product, taxpayer, edition=edition)
    output.mkdir(mode=0o700, parents=True)
    for name, data in proof.files().items():
        files.create(output / name, data)
    console.print(f"proven: leaf {proof.index} of the edition; see {output}/README.txt", markup=False)


@app.command()
def check(home: HomeOption) -> None:
    """Say what keeps this bank from working, and what to do."""
    from adapters.bank.settings import BankSettings
    from adapters.party.home import Home

    opened = Home.open(home)
    BankSettings.of(opened)
    found = problems(opened)
    known = {key.party for key in opened.keyring()} - {opened.party, opened.settings.gateway.party}
    if not known:
        found.append(
            "no bureau's keys are pinned, so no edition will be taken: `trust FILE --fingerprint HEX`"
        )
    findings(found, good="this bank can fetch, land and confirm")
