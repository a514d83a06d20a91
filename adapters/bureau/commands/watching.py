"""status, check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import Exit, console, findings, print_json

if TYPE_CHECKING:
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home


def status(
    home: HomeOption,
    edition: Annotated[str, typer.Argument(help="Digits of one edition's digest; all by default.")] = "",
    product: Annotated[str, typer.Option(help="Editions of this product only.")] = "",
    late_after: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Name the banks that had not answered when this day ended in China."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """How editions and their deliveries stand. Manifests and the banks' receipts are verified here.

    A bank has answered in time by a receipt of its own that says what became of the records, whatever it says.

    Exit code 4 where anything is false.

    Example: status --product grade-a --json
    """
    from adapters.bureau import reviewing
    from adapters.bureau.standing import late
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        digest = reviewing.find_edition(client, opened, edition)[1].digest if edition else b""
        editions = look(client, opened, product=product, digest=digest)
    if late_after is not None:
        for shown in editions:
            shown["late"] = late(shown, late_after.date())
    show(editions, editions if json else None)


def look(
    client: GatewayClient, home: Home, *, product: str = "", digest: bytes = b""
) -> list[dict[str, Any]]:
    from adapters.bureau import standing
    from adapters.bureau.submission import list_editions

    return [standing.describe(status, home) for status in list_editions(client, product, digest)]


def show(editions: list[dict[str, Any]], machine: Mapping[str, Any] | Sequence[Any] | None) -> None:
    """Prints for people, or what is for a machine; exit code 4 where a manifest or a receipt is false."""
    from adapters.bureau import presentation

    if machine is not None:
        print_json(machine)
    else:
        presentation.show_statuses(editions)
        for edition in editions:
            if "late" in edition:
                names = ", ".join(edition["late"])
                console.print(f"{edition['manifest'][:16]}: late {names or 'nobody'}", markup=False)
    if any(edition["false"] for edition in editions):
        raise typer.Exit(Exit.FALSE)


def check(home: HomeOption, json: JsonOption = False) -> None:
    """Say what keeps this home from working, and what to do about it.

    Example: check --home ./li-wei
    """
    from adapters.bureau.checkup import bureau_problems
    from adapters.party.home import Home
    from adapters.party.onboarding import problems

    opened = Home.open(home)
    findings(
        [*problems(opened), *bureau_problems(opened)], good="this home can publish and decide", as_json=json
    )
