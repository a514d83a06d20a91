"""xinyi-bank: fetch, land, confirm on one to three machines; or inbox as a service. Parses and calls."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from adapters.bank.ending import check_window, end
from adapters.bank.standing import app as standing
from adapters.party.onboarding import add_commands
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.processes import Processes
from xinyi.terminal import Exit, console, notices, print_json, program, run
from xinyi.v1 import party_pb2

app = program(
    "A bank's side of the credit exchange.\n\nEvery month: fetch, land, confirm.\n\n"
    "Exit codes: 0 done, 1 failure, 2 usage or settings, 3 refused, 4 verification failed, "
    "5 evidence missing, 6 try again later, 7 nothing to do or outside the time window."
)
add_commands(app, kind=party_pb2.PARTY_KIND_BANK)
app.add_typer(standing)

FolderOption = Annotated[
    Path | None, typer.Option("--folder", help="Exchange folder instead of the network.")
]
WindowOption = Annotated[
    str, typer.Option(help="Only between these times in China, for instance 01:00-05:00.")
]


@app.command()
def fetch(
    home: HomeOption,
    folder: FolderOption = None,
    product: Annotated[list[str] | None, typer.Option(help="Default: those in party.toml.")] = None,
    window: WindowOption = "",
    as_json: JsonOption = False,
) -> None:
    """Fetch what is new into the spool; verified before it counts. Needs no database.

    Example: xinyi-bank fetch --home ./bank-2 --window 01:00-05:00
    """
    from adapters.bank.client import BankClient
    from adapters.bank.fetch import Receiver, fetch_from_folder, fetch_from_gateway
    from adapters.bank.folder import Folder
    from adapters.bank.settings import BankSettings
    from adapters.party.home import Home

    check_window(window)
    opened = Home.open(home)
    with Processes() as crew:
        receiver = Receiver(opened, crew)
        if folder is not None:
            fetched = fetch_from_folder(receiver, Folder(folder), opened)
        else:
            with BankClient(opened) as client:
                fetched = fetch_from_gateway(receiver, client, product or BankSettings.of(opened).products)
    if as_json:
        print_json([asdict(f) for f in fetched])
    for f in () if as_json else fetched:
        console.print(f"fetched {f.product} no. {f.sequence}: {f.records} records, all verified")
    end(bool(fetched), "nothing new")


@app.command()
def land(
    home: HomeOption,
    to: Annotated[str, typer.Option(help="sqlite:///FILE or postgresql://…; default: party.toml.")] = "",
    csv: Annotated[Path | None, typer.Option(help="A CSV file instead of a database.")] = None,
    encoding: Annotated[str, typer.Option(help="Of the CSV file: utf-8 or gb18030.")] = "utf-8",
    as_json: JsonOption = False,
) -> None:
    """Land every verified edition and sign for it. Needs no network.

    Example: xinyi-bank land --home ./bank-1 --to postgresql://bank@db/credit
    """
    from adapters.bank.landing import Landing
    from adapters.bank.rows import COLUMNS
    from adapters.bank.settings import BankSettings
    from adapters.party.home import Home
    from adapters.tables.target import Target

    opened = Home.open(home)
    settings = BankSettings.of(opened)

    def target(product: str) -> Target:
        from adapters.tables.csv_file import CsvTarget
        from adapters.tables.landing import SqlTarget

        if csv is not None:
            return CsvTarget(csv, encoding, COLUMNS)
        return SqlTarget(to or settings.database, settings.table(product), COLUMNS)

    with Processes() as crew:
        results = Landing(opened, target, crew).land_all()
    if as_json:
        print_json([asdict(r) | {"root": r.root.hex()} for r in results])
    for r in () if as_json else results:
        console.print(
            f"landed {r.product} no. {r.sequence}: {r.stage}, {r.accepted} accepted, {r.rejected} rejected"
        )
        console.print(f"  root recomputed from the landed rows: {r.root.hex()}")
    end(bool(results), "nothing to land")


@app.command()
def confirm(
    home: HomeOption,
    folder: FolderOption = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for log proofs and folder answers.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Send what was signed; keep the acknowledgements and their log proofs.

    Example: xinyi-bank confirm --home ./bank-1
    """
    from adapters.bank.client import BankClient
    from adapters.bank.sending import send_by_folder, send_by_network
    from adapters.party.home import Home

    opened = Home.open(home)
    if folder is not None:
        done, waiting = send_by_folder(opened, folder, wait_s=wait)
    else:
        with BankClient(opened) as client:
            done, waiting = send_by_network(opened, client, wait_s=wait)
    if as_json:
        print_json({"confirmed": [asdict(c) for c in done], "waiting": waiting})
    for c in () if as_json else done:
        place = f"log entry {c.log_index}" if c.log_index is not None else "log proof not there yet"
        console.print(f"confirmed {c.stage} of delivery {c.delivery_id[:16]}…: {place}")
    if waiting:
        notices.print(f"{waiting} receipts still wait for an answer")
        raise typer.Exit(Exit.UNAVAILABLE)
    end(bool(done), "nothing to confirm")


def main() -> None:
    run(app)
