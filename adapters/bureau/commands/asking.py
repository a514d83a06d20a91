"""questions, answer: rows that were not accepted, and what a person says became of them."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import notices, outcome, print_json, table


def questions(
    home: HomeOption,
    edition: Annotated[str, typer.Option(help="Digits of one edition's digest; all of this home by default.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those that were answered.")] = False,
    most: Annotated[int, typer.Option(min=1, help="How many to show.")] = 1000,
    json: JsonOption = False,
) -> None:
    """Rows that were quarantined, withheld or rejected, those first whose taxpayer lost a grade. Names taxpayers.

    Example: questions --edition 3f9a0c
    """
    from adapters.bureau import questions as asked
    from adapters.bureau.editions import Editions
    from adapters.bureau.submission import list_editions
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    editions = Editions(opened.state)
    with GatewayClient(opened) as client:
        statuses = {status.manifest_digest: status for status in list_editions(client)}
    own = asked.find_asked(editions, statuses, edition)
    answers = {digest: asked.answers_of(status, opened) for digest, status in statuses.items()}
    # One more than is shown tells whether there are more.
    found = asked.ask(own, answers, answered=everything, most=most + 1)
    if json:
        print_json([asked.describe(question) for question in found[:most]])
    else:
        table(
            "Rows that want an answer",
            ["edition", "row", "outcome", "record", "rules", "what to do", "cells", "answer"],
            [
                [
                    *(q.edition[:16], q.row, q.outcome, q.record, " ".join(q.rules), q.says),
                    *("; ".join(filter(None, q.cells.values())), q.answer),
                ]
                for q in found[:most]
            ],
        )
    away = [d for d, s in statuses.items() if not edition and s.state != "CANCELLED" and editions.find(d) is None]
    if away:
        notices.print(f"{len(away)} editions are not of this home: ask about their rows in the home that published.")
    if len(found) > most:
        notices.print(f"There are more: --most {most} were shown. All stand in the mend.csv of each edition.")


def answer(
    home: HomeOption,
    edition: Annotated[str, typer.Argument(metavar="EDITION", help="Six or more digits of its manifest digest.")],
    rows: Annotated[str, typer.Argument(metavar="ROW[,ROW…]", help="Row numbers, as `questions` shows them.")],
    word: Annotated[str, typer.Option("--as", help="mended, excluded or superseded.")],
    reason: Annotated[str, typer.Option(help="Stands in the signed answer; names no taxpayer.")],
    json: JsonOption = False,
) -> None:
    """Answer for rows of an edition under seal: the source was mended, or the row has no place in the product.

    Example: answer 3f9a0c 17,23 --as mended --reason "grade entered in the bureau's system"
    """
    from adapters.bureau import questions as asked
    from adapters.bureau import reviewing
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    numbers = asked.parse_rows(rows)
    with GatewayClient(opened) as client:
        _, manifest = reviewing.find_edition(client, opened, edition)
        done = asked.answer(client, opened, manifest.digest, numbers, word, reason)
    digest = manifest.digest.hex()
    told = {"outcome": done, "manifest": digest, "rows": numbers, "answer": word}
    outcome(told, f"{done} {digest}: {len(numbers)} rows {word}", as_json=json)
