"""status, check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from adapters.party.terminal import Exit, HomeOption, JsonOption, findings, print_json

if TYPE_CHECKING:
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home


def status(
    home: HomeOption,
    edition: Annotated[str, typer.Argument(help="Digits of one edition's digest; all by default.")] = "",
    product: Annotated[str, typer.Option(help="Editions of this product only.")] = "",
    json: JsonOption = False,
) -> None:
    """How editions and their deliveries stand. Manifests and the banks' receipts are verified here.

    Exit code 4 where anything is false. Example: status --product grade-a --json
    """
    from adapters.bureau import reviewing
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        digest = reviewing.find_edition(client, opened, edition)[1].digest if edition else b""
        show(client, opened, product=product, digest=digest, json=json)


def show(
    client: GatewayClient, home: Home, *, product: str = "", digest: bytes = b"", json: bool = False
) -> None:
    """Prints; ends the program with exit code 4 where a manifest or a receipt is false."""
    from adapters.bureau import presentation, standing
    from adapters.bureau.submission import list_editions

    editions = [standing.describe(status, home) for status in list_editions(client, product, digest)]
    if json:
        print_json(editions)
    else:
        presentation.show_statuses(editions)
    if any(edition["false"] for edition in editions):
        raise typer.Exit(Exit.FALSE)


def check(home: HomeOption) -> None:
    """Say what keeps this home from working, and what to do about it.

    Example: check --home ./li-wei
    """
    from adapters.bureau.checkup import bureau_problems
    from adapters.party.home import Home
    from adapters.party.onboarding import problems

    opened = Home.open(home)
    findings([*problems(opened), *bureau_problems(opened)], good="this home can publish and decide")
