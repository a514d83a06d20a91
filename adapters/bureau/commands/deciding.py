"""review, approve, release, cancel, stop: what a person decides about an edition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.bureau.commands.publishing import EncodingOption, QueryOption, TableOption, counting
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.processes import Processes
from xinyi.terminal import Exit, console, notices, outcome, print_json

Digest = Annotated[
    str, typer.Argument(metavar="EDITION", help="Six or more digits of the edition's manifest digest.")
]
Reason = Annotated[str, typer.Option("--reason", help="Stands in the signed decision; names no taxpayer.")]


def review(
    home: HomeOption,
    edition: Digest,
    report: Annotated[
        Path | None, typer.Option(help="The publisher's report.json; it must agree with what is sealed.")
    ] = None,
    source: Annotated[str, typer.Option(help="The source file or database, to count it yourself.")] = "",
    profile: Annotated[str, typer.Option(help="Mapping profile of --source.")] = "",
    encoding: EncodingOption = "",
    table: TableOption = "",
    query: QueryOption = None,
    json: JsonOption = False,
) -> None:
    """Show what an edition seals, fetched from the gateway and verified under pinned keys.

    Example: review 3f9a0c --report report.json --source jiangxi_2018_A.csv --profile jiangxi-2018
    """
    from adapters.bureau import inspection, presentation, reviewing, sources
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        status, manifest = reviewing.find_edition(client, opened, edition)
    if not json:
        presentation.show_manifest(status, manifest)
    if report is not None:
        agreeing = reviewing.read_report(report, manifest)
        if not json:
            presentation.show_report(agreeing)
    if source:
        read = sources.opened(source, profile, encoding, table=table, query=query)
        with counting() as count, Processes() as crew, read as counted:
            year = manifest.message.period.year
            rows = inspection.inspect(counted, lambda n: count("rows", n), crew=crew, year=year)
        inspection.check_against(manifest.message, rows)
        if not json:
            console.print(f"{counted.name}: counted here, and the same as sealed", markup=False)
    if json:
        shown = reviewing.describe(status, manifest)
        print_json(shown | {"report_agrees": report is not None, "counted_here": bool(source)})


def approve(
    home: HomeOption,
    edition: Digest,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    accept_lost: Annotated[
        int, typer.Option(help="How many taxpayers may lose their record for want of a decision.", min=0)
    ] = 0,
    json: JsonOption = False,
) -> None:
    """Approve another person's edition: it is published, and its deliveries begin.

    Example: approve 3f9a0c --yes
    """
    from adapters.bureau import presentation, reviewing
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        status, manifest = reviewing.find_edition(client, opened, edition)
        reviewing.check_may_approve(status, manifest.message, opened)
        if not json:
            presentation.show_manifest(status, manifest)
        if status.state == "READY":  # else it only goes out again
            reviewing.check_lost(manifest.message, accept_lost)
        if not (yes or _confirmed("Publish this edition to all entitled banks?")):
            notices.print("not approved: nothing was published")
            raise typer.Exit(Exit.NOTHING)
        word = reviewing.approve(client, opened, manifest.digest)
    _tell(word, manifest.digest.hex(), json)


def _confirmed(question: str) -> bool:
    """Nobody who could answer is no consent either."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def release(home: HomeOption, edition: Digest, reason: Reason, json: JsonOption = False) -> None:
    """Let a HELD edition go on to approval, although quality, or how many are gone, misses the product's threshold.

    Example: release 3f9a0c --reason "the district's old numbers are mapped next month"
    """
    _decide(home, edition, reason, "release", json)


def cancel(home: HomeOption, edition: Digest, reason: Reason, json: JsonOption = False) -> None:
    """Withdraw an edition before it is published; one that never reached the gateway is forgotten.

    Example: cancel 3f9a0c --reason "wrong month's file"
    """
    from adapters.bureau.editions import Editions
    from adapters.bureau.publishing import drop_unsubmitted
    from adapters.party.home import Home

    opened = Home.open(home)
    pending = [e for e in Editions(opened.state).all() if e.path.name.startswith(edition.lower())]
    if len(edition) >= 6 and len(pending) == 1 and pending[0].acknowledgement is None:
        from adapters.bureau.submission import list_editions
        from adapters.party.gateway import GatewayClient

        with GatewayClient(opened) as client:
            known = list_editions(client, digest=pending[0].digest)
        if not known:
            drop_unsubmitted(opened, pending[0])
            notices.print("It had not reached the gateway.")
            return _tell("forgotten", pending[0].path.name, json)
    return _decide(home, edition, reason, "cancel", json)


def stop(home: HomeOption, edition: Digest, reason: Reason, json: JsonOption = False) -> None:
    """Halt the deliveries that have not reached their bank yet; `status` says who already has the edition.

    Example: stop 3f9a0c --reason "grades of one district are wrong"
    """
    _decide(home, edition, reason, "stop", json)


def _decide(home: Path, edition: str, reason: str, word: str, json: bool) -> None:
    from adapters.bureau import reviewing
    from adapters.bureau.commands.watching import look, show
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        _, manifest = reviewing.find_edition(client, opened, edition)
        done = reviewing.DECISIONS[word](client, opened, manifest.digest, reason)
        if word != "stop":
            return _tell(done, manifest.digest.hex(), json)
        editions = look(client, opened, digest=manifest.digest)
    if not json:
        _tell(done, manifest.digest.hex(), json)
    return show(editions, _told(done, manifest.digest.hex()) | {"editions": editions} if json else None)


def _told(done: str, manifest: str) -> dict[str, Any]:
    return {"outcome": done, "manifest": manifest}


def _tell(done: str, manifest: str, json: bool) -> None:
    outcome(_told(done, manifest), f"{done} {manifest}", as_json=json)
