"""The commands that ask a gateway (checkpoint, entries, prove entry, export), and `check`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from adapters.party.onboarding import problems
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.days import CHINA
from xinyi.errors import Invalid
from xinyi.terminal import findings, notices, outcome, progress
from xinyi.v1 import edition_pb2, exchange_pb2

PurposeOption = Annotated[str, typer.Option(help="Why you look: it stands in the log beside your name.")]
Times = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])]


def add_commands(app: typer.Typer, prove: typer.Typer) -> None:
    for command in (checkpoint, entries, export, check):
        app.command()(command)
    prove.command("entry")(prove_entry)


def checkpoint(home: HomeOption, json: JsonOption = False) -> None:
    """Fetch the log's newest head, verify its signature and that the log only grew since the last look.

    Example: xinyi-audit checkpoint --home ./auditor
    """
    from adapters.auditor.client import LogClient
    from adapters.auditor.show import show
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    with GatewayClient(Home.open(home)) as gateway:
        head = LogClient(gateway).checkpoint()
    show({"origin": head.origin, "size": head.size, "root": head.root}, as_json=json)


def entries(
    home: HomeOption,
    purpose: PurposeOption,
    party: Annotated[str, typer.Option(help="<city>/<party> as actor or other side")] = "",
    kind: Annotated[str, typer.Option(help="delivery.offered, or delivery for all of them")] = "",
    product: str = "",
    period: Annotated[str, typer.Option(help="YYYY-MM")] = "",
    since: Times = None,
    until: Times = None,
    json: JsonOption = False,
) -> None:
    """List entries of the log; with --json one line each.

    Example: xinyi-audit entries --purpose "monthly review" --party demo-city/bank-1 --kind receipt
    """
    from adapters.auditor.client import LogClient
    from adapters.auditor.show import entries_table, entry_json
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from xinyi.terminal import print_json

    query = exchange_pb2.LogQuery(
        purpose=purpose,
        party=party,
        kind=kind,
        product=product,
        period=_period(period) if period else None,
        from_ms=_milliseconds(since),
        until_ms=_milliseconds(until),
    )
    with GatewayClient(Home.open(home)) as gateway:
        found = LogClient(gateway).entries(query)
        if not json:
            notices.print(f"{entries_table(found)} entries")
            return
        for entry in found:
            print_json(entry_json(entry))


def prove_entry(
    home: HomeOption,
    index: int,
    purpose: PurposeOption,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder to make")],
    json: JsonOption = False,
) -> None:
    """One entry with its documents and a receipt that other programs check, too.

    Example: xinyi-audit prove entry 17 --purpose "dispute 2018-44" -o ./entry-17
    """
    from adapters.auditor.client import LogClient
    from adapters.auditor.folders import write_folder
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from audit.entry_proof import EntryProof

    opened = Home.open(home)
    with GatewayClient(opened) as gateway:
        log = LogClient(gateway)
        found = log.find(exchange_pb2.LogQuery(purpose=purpose), index)
        proof = EntryProof(found.salt, found.opening, tuple(found.documents), log.prove(found.leaf))
    proof.verify(opened.log_key())
    write_folder(output, proof.files())
    outcome({"folder": output, "index": index, "leaf": found.leaf}, f"written: {output}", as_json=json)


def export(
    home: HomeOption,
    directory: Path,
    purpose: PurposeOption,
    records: Annotated[bool, typer.Option(help="With the records of every edition.")] = False,
    json: JsonOption = False,
) -> None:
    """Carry the whole log away, to verify it offline. The directory appears when it is whole.

    Example: xinyi-audit export ./2018-05 --purpose "annual audit" --records
    """
    from adapters.auditor.client import LogClient
    from adapters.auditor.folders import write_export
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    query = exchange_pb2.LogQuery(purpose=purpose, export=True, with_records=records)
    with GatewayClient(Home.open(home)) as gateway, progress() as bar:
        task = bar.add_task("bytes", total=None)
        total = 0
        for size in write_export(directory, LogClient(gateway).export(query)):
            total += size
            bar.advance(task, size)
    sentence = f"written: {directory}; next: xinyi-audit verify {directory} --policy FILE"
    outcome({"folder": directory, "bytes": total}, sentence, as_json=json)


def check(home: HomeOption, json: JsonOption = False) -> None:
    """Say what is wrong with this home and what to do.

    Example: xinyi-audit check --home ./auditor
    """
    from adapters.party.home import Home
    from audit.keys import is_person

    opened = Home.open(home)
    found = problems(opened)
    if not is_person(opened.settings.holder):
        found.append(
            "openings are shown to persons only: this home is a machine's (init --holder …/person/…)"
        )
    findings(found, good="this home is complete", as_json=json)


def _period(text: str) -> edition_pb2.Period:
    year, _, month = text.partition("-")
    if not (year.isdigit() and month.isdigit()):
        raise Invalid("a period is YYYY-MM", basis="query.filters")
    return edition_pb2.Period(year=int(year), month=int(month))


def _milliseconds(time: datetime | None) -> int:
    return 0 if time is None else int(time.replace(tzinfo=CHINA).timestamp() * 1000)
