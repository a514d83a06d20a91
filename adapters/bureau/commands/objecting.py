"""objection file, list, decide: what enterprises object to, and what becomes of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import console, group, notices, outcome, print_json, table

objection = group("Objections of enterprises to their grades: taken in by one person, decided by another.")
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The bureau's own number of the objection.")]


@objection.command()
def file(
    home: HomeOption,
    product: Annotated[str, typer.Option(help="Product that holds the record.")],
    subject: Annotated[str, typer.Option(help="Identifier of the enterprise; leaves this house as a blinded key.")],
    number: Annotated[str, typer.Option(help="The bureau's own number: lower-case letters, digits, hyphens.")],
    filed_on: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Day in China on which it came in.")],
    edition: Annotated[str, typer.Option(help="Digits of the edition objected to; the newest by default.")] = "",
    json: JsonOption = False,
) -> None:
    """Take an objection in: the record is marked in every later delivery until it is decided.

    Example: objection file --product grade-all --subject 91370100MA3C0T2L7X --number 2018-17 --filed-on 2018-05-22
    """
    from adapters.bureau import objections
    from adapters.bureau.editions import Editions
    from adapters.bureau.publishing import newest_published
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        known = Editions(opened.state).resolve(edition) if edition else newest_published(client, product)
        done, document = objections.file(client, product, subject, number, filed_on.date(), known)
    of = known.manifest.period
    if (filed_on.year, filed_on.month) < (of.year, of.month):
        # Not refused: the gateway cannot tell a typing error from an objection to a list that hung out before.
        notices.print(f"Filed before the edition's month, {of.year}-{of.month:02d}, began: is the day right?")
    told = {"outcome": done, "number": number, "due_on": document.due_on, "term": objections.term_words(document.term)}
    outcome(told, f"{done} {number}: due on {document.due_on}, {told['term']}", as_json=json)


@objection.command("list")
def list_(
    home: HomeOption,
    product: Annotated[str, typer.Option(help="Of this product only.")] = "",
    json: JsonOption = False,
) -> None:
    """All objections, open ones first, with the days that are left. Verified here under pinned keys.

    Example: objection list --product grade-all
    """
    from adapters.bureau import objections
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        found = objections.list_all(client, product)
    if json:
        print_json([asdict(o) | {"overdue": o.overdue} for o in found])
        return
    table(
        "Objections",
        ["number", "product", "edition", "filed on", "due on", "days left", "outcome", "correction", "term"],
        [
            [
                *(o.number, o.product, o.edition[:16], o.filed_on, o.due_on),
                *("OVERDUE" if o.overdue else o.days_left if o.outcome == "open" else "", o.outcome),
                *(o.correction[:16], o.term),
            ]
            for o in found
        ],
    )
    if late := sum(o.overdue for o in found):
        console.print(f"{late} of them overdue")


@objection.command()
def decide(
    home: HomeOption,
    number: Number,
    word: Annotated[str, typer.Option("--outcome", help="upheld, partly, denied or undecidable.")],
    correction: Annotated[
        str, typer.Option(help="Digits of the published correction that follows; for upheld and partly.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Decide an objection that another person took in.

    Example: objection decide 2018-17 --outcome upheld --correction 3f9a0c
    """
    from adapters.bureau import objections, reviewing
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        shown = objections.find(objections.list_all(client), number)
        follows = reviewing.find_edition(client, opened, correction)[1].digest if correction else b""
        done = objections.decide(client, shown, word, follows)
    told = {"outcome": done, "number": number, "correction": follows.hex()}
    outcome(told, f"{done} {number}", as_json=json)
