"""fetch, handover, land, reconsider, confirm: the month of a bank, on one machine or on three."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.bank.commands.options import (
    CsvOption,
    EncodingOption,
    FolderOption,
    ProductOption,
    ToOption,
    WindowOption,
    open_home,
    targets,
)
from adapters.bank.ending import check_window, end
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.processes import Processes
from xinyi.terminal import Exit, console, notices, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.bank.outcome import Result


def fetch(
    home: HomeOption,
    folder: FolderOption = None,
    product: ProductOption = None,
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

    check_window(window)
    opened = open_home(home)
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


def handover(
    home: HomeOption,
    tray: Annotated[Path, typer.Argument(help="Folder that is carried to the machine that lands.")],
    again: Annotated[bool, typer.Option("--again", help="Also what was handed over before.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Put what was fetched into a folder for another machine, which takes it with `land --from`.

    Example: xinyi-bank handover /srv/to-database --home ./dmz
    """
    from adapters.bank.handover import hand_over

    given = hand_over(open_home(home), tray, again=again)
    if as_json:
        print_json(given)
    for delivery in () if as_json else given:
        console.print(f"handed over delivery {delivery[:16]}…")
    end(bool(given), "nothing to hand over")


def land(
    home: HomeOption,
    to: ToOption = "",
    csv: CsvOption = None,
    encoding: EncodingOption = "utf-8",
    source: Annotated[
        Path | None, typer.Option("--from", help="Take first what another machine's `handover` put here.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Take first the evidence that another machine's `confirm` keeps.")
    ] = None,
    window: WindowOption = "",
    as_json: JsonOption = False,
) -> None:
    """Land every verified edition and sign for it. Needs no network.

    Example: xinyi-bank land --home ./bank-1 --to postgresql://bank@db/credit
    """
    from adapters.bank.handover import Arrivals, Arrived, take_answers
    from adapters.bank.landing import Landing

    check_window(window)
    opened = open_home(home)
    answered = take_answers(opened, answers) if answers is not None else 0
    with Processes() as crew:
        arrived = Arrivals(opened, crew).take(source) if source is not None else Arrived()
        landing = Landing(opened, targets(opened, to, csv, encoding), crew)
        results = landing.land_all()
    _show(results, as_json=as_json)
    if answered:
        notices.print(f"{answered} receipts are answered")
    if arrived.failure is not None:
        raise arrived.failure
    if arrived.on_their_way:
        for delivery, why in arrived.on_their_way.items():
            notices.print(f"delivery {delivery[:16]}… in {source} is not whole yet: {why}", markup=False)
        raise typer.Exit(Exit.UNAVAILABLE)
    if landing.waiting:
        notices.print(f"{landing.waiting} editions wait for the ones before them: run xinyi-bank catch-up")
        raise typer.Exit(Exit.UNAVAILABLE)
    end(bool(results or answered), "nothing to land")


def reconsider(home: HomeOption, as_json: JsonOption = False) -> None:
    """Have what the bank's own rules rejected land again, once they are put right; then run land or catch-up.

    Example: xinyi-bank reconsider --home ./bank-1
    """
    from adapters.bank.outcome import reconsider as again
    from adapters.bank.settings import BankSettings
    from adapters.bank.spool import Spool

    found = [edition.delivery_id for edition in again(Spool(BankSettings.of(open_home(home)).spool))]
    if as_json:
        print_json(found)
    for delivery in () if as_json else found:
        console.print(f"delivery {delivery[:16]}… is ready to land again: run xinyi-bank land, then confirm")
    end(bool(found), "the bank's own rules have rejected nothing")


def _show(results: Sequence[Result], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(r) | {"root": r.root.hex()} for r in results])
    for r in () if as_json else results:
        verb = "recalled by" if r.recall else "landed"
        console.print(
            f"{verb} {r.product} no. {r.sequence} ({r.kind}): "
            f"{r.stage}, {r.accepted} accepted, {r.rejected} rejected"
        )
        if not r.recall:
            console.print(f"  root recomputed from its records: {r.root.hex()}")


def receive(
    home: HomeOption,
    to: ToOption = "",
    csv: CsvOption = None,
    encoding: EncodingOption = "utf-8",
    product: ProductOption = None,
    window: WindowOption = "",
    as_json: JsonOption = False,
) -> None:
    """Fetch and land in one go, where one machine has both the network and the database.

    Example: xinyi-bank receive --home ./bank-2 --window 01:00-05:00
    """
    from adapters.bank.client import BankClient
    from adapters.bank.fetch import Receiver
    from adapters.bank.landing import Landing
    from adapters.bank.receiving import receive_from_gateway
    from adapters.bank.settings import BankSettings

    check_window(window)
    opened = open_home(home)
    wanted = product or BankSettings.of(opened).products
    with Processes() as crew, BankClient(opened) as client:
        landing = Landing(opened, targets(opened, to, csv, encoding), crew)
        results = receive_from_gateway(Receiver(opened, crew), landing, client, wanted)
    _show(results, as_json=as_json)
    end(bool(results), "nothing new")


def confirm(
    home: HomeOption,
    folder: FolderOption = None,
    receipts: Annotated[
        Path | None, typer.Option(help="Take first the receipts that other machines' outboxes hold.")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for log proofs and folder answers.")] = 10.0,
    window: WindowOption = "",
    as_json: JsonOption = False,
) -> None:
    """Send what was signed; keep the acknowledgements and their log proofs.

    Example: xinyi-bank confirm --home ./bank-1
    """
    from adapters.bank.client import BankClient
    from adapters.bank.handover import take_receipts
    from adapters.bank.sending import send_by_folder, send_by_network

    check_window(window)
    opened = open_home(home)
    if receipts is not None:
        take_receipts(opened, receipts)
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
