"""report-loans, outcomes: single loans with the borrower's consent, and how they stand at the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.bank.commands.options import check_askable, check_day, confirmed, open_home
from adapters.bank.ending import end
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import Exit, notices, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapters.party.home import Home
    from xinyi.v1.lending_service_pb2 import ReportingTerms


def report_loans(
    home: HomeOption,
    file: Annotated[str, typer.Argument(metavar="FILE|URL", help="CSV or XLSX, or the URL of a database.")],
    profile: Annotated[str, typer.Option(help="A mapping profile: a file, or the name of one that is shipped.")],
    number: Annotated[str, typer.Option(help="The bank's own of this batch; else one of the file's digest.")] = "",
    agreement: Annotated[str, typer.Option(help="Where several agreements take single loans.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sealed; nothing is sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    table: Annotated[str, typer.Option(help="Of a database: this table.")] = "",
    query: Annotated[Path | None, typer.Option(help="Of a database: a file with this query.")] = None,
    encoding: Annotated[str, typer.Option(help="Of a CSV file, where it cannot be told.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait for the log proof.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Report single loans whose borrowers authorised it: read, shown, sealed, sent, receipted.

    A row without an authorisation stays here, by rule and article. The same command again sends the same sealed batch,
    and gets the same receipt.

    Example: xinyi-bank report-loans loans.csv --profile my-loans.toml --dry-run --home ./bank-1
    """
    from adapters.bank.client import BankClient
    from adapters.bank.lending import batch, submission
    from adapters.bank.lending import outcome_presentation as presentation
    from adapters.bank.lending.client import LendingClient
    from adapters.bank.lending.events import EventRows
    from adapters.bank.lending.reading import open_loans
    from adapters.bank.lending.reliance import open_reliances
    from adapters.bank.lending.reporting import prove
    from xinyi.days import today
    from xinyi.errors import Unknown, UsageInvalid

    if as_json and not (yes or dry_run):
        raise UsageInvalid("--json is for machines, which cannot be asked: add --yes or --dry-run", basis="report.json")
    check_askable(yes=yes or dry_run)
    opened = open_home(home)
    batches = batch.KeptBatches(opened)
    with (
        batches.lock(),
        progress() as bar,
        open_loans(
            file, profile, encoding, table=table, query=query,
            kept=lambda source: batches.left_out(batch.number_of(source, number)),
            progress=lambda rows: bar.update(reading, completed=rows),
        ) as loans,
        open_reliances(opened) as reliances,
    ):  # fmt: skip
        reading = bar.add_task("rows", total=None)
        rows = EventRows(loans, reliances, today())
        named = batch.number_of(loans.table, number)
        left_out = batches.left_out(named)
        kept = batches.find(named, loans.source())
        if kept is None:
            wanted = "" if dry_run else _choose(opened, agreement)
            making = bar.add_task("chunks", total=None)
            with batches.making(named) as place:
                draft = batch.make(
                    place, opened, rows, named, wanted, lambda made: bar.update(making, completed=made)
                )
                quality = loans.tally.report()
                bar.stop()
                if not as_json or dry_run:
                    presentation.show(draft, quality, left_out, as_json=as_json)
                if dry_run:
                    return
                if not draft.batch.count:
                    raise Unknown("no row of the file is reported: nothing was sealed", basis="batch.count")
                if not (yes or confirmed(f"Seal these {draft.batch.count:,} events and send them?")):
                    notices.print("not agreed: nothing was sealed")
                    raise typer.Exit(Exit.NOTHING)
                kept = batches.keep(place, draft.batch, quality)
        elif dry_run:
            bar.stop()
            presentation.show_quality(kept.quality(), as_json=as_json)
            return
    done = kept.receipt is not None
    with BankClient(opened) as client, progress() as bar:
        if not done:
            sending = bar.add_task("chunks sent", total=len(kept.message.chunk_roots))
            submission.send(client, kept, lambda sent: bar.update(sending, completed=sent))
        prove(kept, LendingClient(client), wait_s=wait)
    presentation.show_receipt(kept, as_json=as_json)
    end(not done, "this batch was reported before: nothing was done")


def outcomes(
    home: HomeOption,
    state: Annotated[str, typer.Option(help="counted, held, repeated, conflict, refused or corrected.")] = "",
    as_of: Annotated[str, typer.Option(help="As they stood at the end of this day in China, YYYY-MM-DD.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List this bank's single loans as they stand at the gateway, with the questions that are open.

    Example: xinyi-bank outcomes --state held --as-of 2018-05-02 --home ./bank-1
    """
    from adapters.bank.client import BankClient
    from adapters.bank.lending import outcome_presentation as presentation
    from adapters.bank.lending.submission import list_outcomes
    from xinyi.errors import UsageInvalid
    from xinyi.v1 import lending_pb2

    states = {name.removeprefix("REPORT_STATE_").lower(): n for name, n in lending_pb2.ReportState.items() if n}
    if state and state not in states:
        raise UsageInvalid(f"{state!r} is no state: {', '.join(states)}", basis="outcomes.state")
    check_day(as_of, "outcomes.as_of")
    with BankClient(open_home(home)) as client:
        shown = presentation.show_outcomes(list_outcomes(client, states.get(state, 0), as_of), as_json=as_json)
    end(bool(shown), "no such outcomes")


def _choose(home: Home, agreement: str) -> str:
    """The agreement under which single loans are taken. Raises NotEntitled, UsageInvalid."""
    from adapters.bank.client import BankClient
    from adapters.bank.lending.client import LendingClient
    from xinyi.errors import NotEntitled, UsageInvalid

    with BankClient(home) as client:
        terms: Sequence[ReportingTerms] = LendingClient(client).terms()
    found = [one.agreement_id for one in terms if one.outcomes and agreement in ("", one.agreement_id)]
    if not found:
        raise NotEntitled("no such agreement in force takes single loans of this bank", basis="agreement.outcomes")
    if len(found) > 1:
        raise UsageInvalid(f"name one with --agreement: {', '.join(found)}", basis="lending.agreement")
    return found[0]
