"""recall, comparison: whom a correction reaches, and what an edition changed."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import Exit, notices, print_json, table

if TYPE_CHECKING:
    from adapters.bureau import recalls

Digest = Annotated[str, typer.Argument(metavar="EDITION", help="Six or more digits of the manifest digest.")]


def recall(
    home: HomeOption,
    correction: Digest,
    loans: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV of loans: bank, loan, taxpayer_id, granted_on."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Who was given what a correction takes back, and who has confirmed it; with loans, which relied on it.

    Exit code 4 where a manifest or receipt is false.

    Example: recall 3f9a0c --loans loans.csv
    """
    from adapters.bureau import recalls, reviewing
    from adapters.bureau.commands.watching import look
    from adapters.bureau.editions import Editions
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    with GatewayClient(opened) as client:
        status, manifest = reviewing.find_edition(client, opened, correction)
        editions = look(client, opened, product=status.product)
    digest = manifest.digest.hex()
    found = recalls.recipients(editions, digest)
    relied, read = [], 0
    if loans is not None:
        file = recalls.LoanFile(loans, recalls.banks_of(editions), opened.party.partition("/")[0])
        relied = list(recalls.relied(Editions(opened.state), editions, digest, file))
        read = file.read
    if json:
        told = {"correction": digest, "recipients": [asdict(r) for r in found], "loans": [asdict(r) for r in relied]}
        print_json(told | {"loans_read": read})
    else:
        _show(found, relied, asked=loans is not None)
    if loans is not None:
        notices.print(f"{read} loans were read, {len(relied)} of them relied on what is taken back.")
    if any(edition["false"] for edition in editions):
        notices.print("A manifest or receipt is false: see `status`.")
        raise typer.Exit(Exit.FALSE)


def _show(found: list[recalls.Recipient], relied: list[recalls.Relied], *, asked: bool) -> None:
    from adapters.bureau.presentation import time_words

    table(
        "Recipients of what is taken back",
        ["recipient", "had it from", "ground", "recall", "confirmed at", "unverified"],
        [
            [
                *(r.recipient, time_words(r.received_at_ms), r.ground, r.state),
                *(time_words(r.confirmed_at_ms) if r.confirmed_at_ms else "", r.why),
            ]
            for r in found
        ],
    )
    if asked:
        table(
            f"{len(relied)} loans relied on a record that was never right",
            ["bank", "loan", "taxpayer", "granted on", "edition", "grade relied on", "true grade"],
            [
                [r.bank, r.loan, r.taxpayer_id, r.granted_on, r.edition[:16], r.grade, r.true_grade]
                for r in relied
            ],
        )


def comparison(
    home: HomeOption,
    edition: Digest,
    most: Annotated[int, typer.Option(min=1, help="How many lines to show.")] = 1000,
    json: JsonOption = False,
) -> None:
    """What an edition of this home changed, taxpayer by taxpayer. Names taxpayers.

    Example: comparison 3f9a0c
    """
    from itertools import islice

    from adapters.bureau.editions import Editions
    from adapters.bureau.presentation import show_comparison
    from adapters.party.home import Home

    found = Editions(Home.open(home).state).resolve(edition)
    report, lines = found.report, []
    path = found.path / "comparison.csv"
    if path.exists():
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = list(islice(csv.DictReader(file), most))
    if json:
        print_json({name: report[name] for name in ("manifest", "kind", "comparison", "state")} | {"lines": lines})
        return
    show_comparison(report["comparison"])
    if report["state"]["same_as_before"]:
        notices.print("By the state root: the same records as before.")
    table("", ["change", "identifier", "before", "now"], [list(line.values()) for line in lines])
    if len(lines) == most:
        notices.print(f"The first {most}; all stand in {path}", markup=False)
