"""report, reports, answer-question: what the bank lent, as totals; how that stands; what is asked about it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from adapters.bank.commands.options import FolderOption, check_askable, check_day, confirmed, open_home
from adapters.bank.ending import end
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import Exit, notices, print_json, progress
from xinyi.terminal import outcome as tell

if TYPE_CHECKING:
    from rich.progress import TaskID

    from xinyi.v1.lending_pb2 import LendingTable


def report(
    home: HomeOption,
    file: Annotated[str, typer.Argument(metavar="FILE|URL", help="CSV or XLSX, or the URL of a database.")],
    period: Annotated[str, typer.Option(help="2018-Q1, 2018-03 or 2018.")],
    profile: Annotated[str, typer.Option(help="A mapping profile: a file, or the name of one that is shipped.")],
    agreement: Annotated[str, typer.Option(help="Where several agreements want this period.")] = "",
    corrects: Annotated[str, typer.Option(help="Digits of the table whose place it takes.")] = "",
    reason: Annotated[str, typer.Option(help="Why it does; no taxpayer data.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sealed; nothing is sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    left_out_accepted: Annotated[
        int | None, typer.Option(help="So many rows are left out, and that is right: where more than a tenth are.")
    ] = None,
    nothing_lent: Annotated[
        bool, typer.Option("--nothing-lent", help="Nothing was lent and nothing is owed: the table has no rows.")
    ] = False,
    table: Annotated[str, typer.Option(help="Of a database: this table.")] = "",
    query: Annotated[Path | None, typer.Option(help="Of a database: a file with this query.")] = None,
    encoding: Annotated[str, typer.Option(help="Of a CSV file, where it cannot be told.")] = "",
    folder: FolderOption = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for a folder's answer, and the log proof.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Report a period's totals: read, shown, sealed, sent, receipted. No row leaves the bank.

    A table that was sealed and has no answer yet is sent again by the same command; it is never made anew.

    Example: xinyi-bank report loans.csv --period 2018-Q1 --profile loans --dry-run --home ./bank-1
    """
    from adapters.bank.lending import presentation
    from adapters.bank.lending.kept import KeptTables
    from adapters.bank.lending.reporting import (
        Order,
        check_over,
        check_rows,
        choose_terms,
        prove,
        seal_once,
        send,
    )
    from adapters.bank.lending.source import open_rows
    from adapters.bank.lending.ways import open_way
    from xinyi.errors import Conflict, UsageInvalid
    from xinyi.fields import check_sentence
    from xinyi.lending import parse_period

    opened = open_home(home)
    of = parse_period(period)
    check_over(of)
    if reason:
        check_sentence(reason, "table.corrects")
    if bool(corrects) is not bool(reason):
        raise UsageInvalid("--corrects and --reason come together", basis="table.corrects")
    if as_json and not (yes or dry_run):
        raise UsageInvalid("--json is for machines, which cannot be asked: add --yes or --dry-run", basis="report.json")
    check_askable(yes=yes or dry_run)
    tables = KeptTables(opened)
    with open_way(opened, folder) as way, tables.lock():
        order = Order(choose_terms(way.terms(), of, agreement), of, tables.digest_of(corrects), reason)
        left_out = tables.path / f"left-out-{period}{'.dry-run' if dry_run else ''}.csv"
        source = open_rows(
            opened, file, profile, of, encoding=encoding, table=table, query=query, kept=left_out,
            progress=lambda done: bar.told("rows", done),
        )  # fmt: skip
        with _Bar() as bar, source as rows:

            def agreed(made: LendingTable) -> bool:
                bar.stop()
                quality, unanswered = rows.report(), tables.unanswered(made)
                if not as_json:
                    presentation.show(made, quality, left_out, unanswered)
                elif dry_run:
                    print_json({"table": presentation.table_values(made), "quality": quality})
                question = "Seal this table and send it?"
                if dry_run or any(made == kept.message for kept in unanswered):
                    return not dry_run and (yes or confirmed(question))
                read, missing = quality["rows"], presentation.left_out_of(quality)
                if not check_rows(made, read, missing, nothing_lent=nothing_lent, accepted=left_out_accepted):
                    many = f"{missing:,} of {read:,} rows were left out"
                    if yes:
                        do = f"mend them, or add --left-out-accepted {missing} where that is right"
                        raise Conflict(f"{many}, more than a tenth: {do}", basis="table.left_out")
                    question = f"{many}. Seal this table nevertheless and send it?"
                return yes or confirmed(question)

            kept = seal_once(tables, opened, order, rows, agreed, lambda done: bar.told("enterprises", done))
        if kept is None:
            if not dry_run:
                notices.print("not agreed: nothing was sealed")
                raise typer.Exit(Exit.NOTHING)
            return
        done = kept.receipt is not None
        if not done and send(kept, way, wait_s=wait) is None:
            notices.print("no answer yet: the same command takes it")
            raise typer.Exit(Exit.UNAVAILABLE)
        prove(kept, way, wait_s=wait)
    presentation.show_kept(kept, as_json=as_json)
    end(not done, "this file was reported for this period before: nothing was done")


def reports(
    home: HomeOption,
    period: Annotated[str, typer.Option(help="Of this period only: 2018-Q1, 2018-03 or 2018.")] = "",
    as_of: Annotated[str, typer.Option(help="As they stood at the end of this day in China, YYYY-MM-DD.")] = "",
    as_json: JsonOption = False,
) -> None:
    """List this bank's tables and batches as they stand at the gateway, with the questions that are open.

    Example: xinyi-bank reports --period 2018-Q1 --as-of 2018-05-02 --home ./bank-1
    """
    from adapters.bank.client import BankClient
    from adapters.bank.lending import presentation, standing
    from adapters.bank.lending.batch import KeptBatches
    from adapters.bank.lending.client import LendingClient
    from adapters.bank.lending.kept import KeptTables
    from adapters.bank.lending.reporting import prove
    from xinyi.lending import parse_period

    check_day(as_of, "reports.as_of")
    opened = open_home(home)
    with BankClient(opened) as client:
        way = LendingClient(client)
        found = standing.reports(way, parse_period(period) if period else None, as_of)
        for kept in (*KeptTables(opened).unproven(), *KeptBatches(opened).unproven()):
            prove(kept, way, wait_s=0)
    if as_json:
        print_json(asdict(found))
    else:
        presentation.show_reports(found.tables, found.batches)
    if found.left_out:
        notices.print(f"{found.left_out:,} older ones are left out: an earlier --as-of shows them, or --period")
    end(bool(found.tables or found.batches), "nothing was reported")


def answer_question(
    home: HomeOption,
    document: Annotated[str, typer.Argument(metavar="DIGEST", help="First digits, as `reports` shows them.")],
    reason: Annotated[str, typer.Option(help="Why what is held is right; no taxpayer data.")],
    outcome: Annotated[list[str] | None, typer.Option(help="Of a batch: the outcome spoken of; repeat it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Confirm that what the gateway holds with a question is right. A person says so, in a home of their own.

    Example: xinyi-bank answer-question 3f9a0c --reason "one bridge loan of 9 亿元" --home ./liu-yang
    """
    from adapters.bank.client import BankClient
    from adapters.bank.lending import standing
    from adapters.bank.lending.answering import answer
    from adapters.bank.lending.client import LendingClient

    with BankClient(open_home(home)) as client:
        way = LendingClient(client)
        digest = standing.find_document(way, document)
        word = answer(way, digest, reason, outcome or ())
    tell({"outcome": word, "document": digest}, f"{word} {digest.hex()}", as_json=as_json)


class _Bar:
    """How many are done; gone once the table is shown."""

    def __init__(self) -> None:
        self._bar = progress()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def told(self, what: str, done: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=None)
        self._bar.update(self._tasks[what], completed=done)

    def stop(self) -> None:
        self._bar.stop()
