"""catch-up, watch: level with the gateway, once or at all times."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
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
    from collections.abc import Callable

    from adapters.bank.catch_up import Caught


def catch_up(
    home: HomeOption,
    folder: FolderOption = None,
    to: ToOption = "",
    csv: CsvOption = None,
    encoding: EncodingOption = "utf-8",
    product: ProductOption = None,
    window: WindowOption = "",
    as_json: JsonOption = False,
) -> None:
    """Fetch and land until level, from whatever edition is held. If it breaks off: run it again.

    Also after a backup was restored: it goes on from the older of database and spool.

    Example: xinyi-bank catch-up --home ./bank-2
    """
    from adapters.bank import catch_up as work
    from adapters.bank.client import BankClient
    from adapters.bank.fetch import Receiver, fetch_from_folder, fetch_from_gateway
    from adapters.bank.folder import Folder
    from adapters.bank.landing import Landing
    from adapters.bank.settings import BankSettings

    check_window(window)
    opened = open_home(home)
    products = product or BankSettings.of(opened).products
    with Processes() as crew, ExitStack() as stack:
        receiver = Receiver(opened, crew)
        landing = Landing(opened, targets(opened, to, csv, encoding), crew)

        if folder is not None:
            fetch: Callable[[], object] = partial(fetch_from_folder, receiver, Folder(folder), opened)
        else:
            client = stack.enter_context(BankClient(opened))
            fetch = partial(fetch_from_gateway, receiver, client, products)
        caught, _ = work.catch_up(receiver.spool, landing, fetch, products)
    if as_json:
        print_json([asdict(c) for c in caught])
    for c in () if as_json else caught:
        console.print(_sentence(c), markup=False)
    if landing.waiting:
        notices.print(f"{landing.waiting} editions wait for ones that are not here yet")
        raise typer.Exit(Exit.UNAVAILABLE)
    end(any(c.moved for c in caught), "level already")


def _sentence(caught: Caught) -> str:
    differs = (
        f"the database held edition {caught.database or 'none'}, the spool {caught.spool or 'none'}; "
        if caught.database != caught.spool
        else ""
    )
    recalled = f", {caught.recalls} recalls" if caught.recalls else ""
    return (
        f"{caught.product}: {differs}from edition {caught.database or 'none'} to {caught.level or 'none'}: "
        f"{caught.editions} editions, {caught.records} records{recalled}"
    )


def watch(
    home: HomeOption,
    to: ToOption = "",
    csv: CsvOption = None,
    encoding: EncodingOption = "utf-8",
    product: ProductOption = None,
    fetch_only: Annotated[
        bool, typer.Option("--fetch-only", help="Fetch and confirm; another machine lands.")
    ] = False,
) -> None:
    """Hold a stream and be told at once: fetch, land, confirm; polls while the line is cut. Until SIGTERM.

    Example: xinyi-bank watch --home ./bank-2
    """
    from prometheus_client import start_http_server

    from adapters.bank import catch_up as work
    from adapters.bank.client import BankClient
    from adapters.bank.fetch import Receiver, fetch_from_gateway
    from adapters.bank.landing import Landing
    from adapters.bank.sending import send_by_network
    from adapters.bank.settings import BankSettings
    from adapters.bank.watch import Watch

    opened = open_home(home)
    settings = BankSettings.of(opened)
    products = product or list(settings.products)

    def level() -> float:
        with Processes() as crew, BankClient(opened) as client:
            receiver = Receiver(opened, crew)
            fetch = partial(fetch_from_gateway, receiver, client, products)
            if fetch_only:
                fetch()
            else:
                landing = Landing(opened, targets(opened, to, csv, encoding), crew)
                work.catch_up(receiver.spool, landing, fetch, products)
            send_by_network(opened, client, wait_s=0)
            return float(client.retry_after_s)

    watching = Watch(lambda: BankClient(opened), products, level)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: watching.stop())
    if settings.watch.metrics:
        host, _, port = settings.watch.metrics.rpartition(":")
        start_http_server(int(port), host)
    watching.run()
