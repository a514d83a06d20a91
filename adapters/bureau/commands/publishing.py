"""inspect, publish, correct."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.processes import Processes
from xinyi.terminal import Exit, console, notices, print_json, progress

if TYPE_CHECKING:
    from adapters.bureau.editions import Edition
    from adapters.tables.reading import Table
    from xinyi.v1 import edition_pb2

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="CSV or XLSX as the bureau's system exports it; or postgresql://USER@HOST/NAME, without a password, "
        "or sqlite:///FILE.",
    ),
]
TableOption = Annotated[str, typer.Option("--table", help="Of a database: schema.table.")]
QueryOption = Annotated[
    Path | None,
    typer.Option("--query", exists=True, dir_okay=False, help="Of a database: a file with one SELECT."),
]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="Mapping profile: the name of a shipped one, or a TOML file.")
]
ProductOption = Annotated[str, typer.Option("--product", help="As what; the profile's product by default.")]
EncodingOption = Annotated[
    str, typer.Option("--encoding", help="utf-8 or gb18030; wins over what the profile says.")
]


def inspect(
    source: Source,
    profile: ProfileOption,
    encoding: EncodingOption = "",
    table: TableOption = "",
    query: QueryOption = None,
    mend: Annotated[Path | None, typer.Option(help="Write the rows to mend into this CSV.")] = None,
    json: JsonOption = False,
) -> None:
    """Assess a table without publishing it. Needs neither home nor network.

    Example: inspect jiangxi_2018_A.csv --profile jiangxi-2018 --mend mend.csv

    Example: inspect postgresql://reader@db.example/tax --table tax.grades --profile city-grades
    """
    from adapters.bureau import building, inspection, presentation, sources

    read = sources.opened(source, profile, encoding, table=table, query=query)
    with counting() as count, Processes() as crew, read as opened:
        rows = inspection.inspect(opened, lambda n: count("rows", n), mend=mend, crew=crew)
    report = building.describe(rows)
    if json:
        print_json(report)
    else:
        presentation.show_report(report, mend=str(mend or ""))
    if not opened.certain:
        notices.print(f"The encoding was found by trial. To publish, state it: --encoding {opened.encoding}")


def publish(
    home: HomeOption,
    source: Source,
    period: Annotated[str, typer.Option(help="Year and month the edition is of, 2019-04.")],
    profile: ProfileOption,
    product: ProductOption = "",
    kind: Annotated[str, typer.Option(help="full, or delta: what differs from what stands.")] = "",
    changes: Annotated[
        bool, typer.Option("--changes", help="The file holds what changes alone, and says how: a delta.")
    ] = False,
    encoding: EncodingOption = "",
    table: TableOption = "",
    query: QueryOption = None,
    without_comparison: Annotated[
        bool,
        typer.Option(
            "--without-comparison", help="A FULL that blinds anew, where this home has lost the preceding edition."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Seal a table as the next edition and take it to the gateway. Run it again after any interruption.

    Example: publish jiangxi_2018_A.csv --profile jiangxi-2018 --product grade-a --period 2019-04

    Example: publish june.csv --changes --profile city-changes --product grade-a --period 2019-06
    """
    from adapters.bureau import sources
    from adapters.bureau.building import DELTA, FULL

    if kind not in ("", "full", "delta"):
        raise typer.BadParameter(f"{kind}: an edition is full or delta", param_hint="--kind")
    if changes and kind == "full":
        raise typer.BadParameter("what a file of changes tells is a delta", param_hint="--kind")
    _publish(
        home,
        sources.opened(source, profile, encoding, table=table, query=query),
        product,
        period,
        json,
        kind=DELTA if changes or kind == "delta" else FULL,
        changes=changes,
        without_comparison=without_comparison,
    )


def correct(
    home: HomeOption,
    source: Source,
    period: Annotated[str, typer.Option(help="Year and month the correction is of, 2019-05.")],
    of: Annotated[str, typer.Option("--of", help="Digits of the edition that was wrong first.")],
    reason: Annotated[str, typer.Option(help="What was wrong; stands in the seal, names no taxpayer.")],
    profile: ProfileOption,
    product: ProductOption = "",
    encoding: EncodingOption = "",
    table: TableOption = "",
    query: QueryOption = None,
    json: JsonOption = False,
) -> None:
    """Seal the right records of taxpayers whose records were never right: whoever received them is told.

    Example: correct right.csv --of 3f9a0c --reason "wrong rule set" --profile city-grades --period 2019-05
    """
    from adapters.bureau import sources
    from adapters.bureau.building import CORRECTION
    from adapters.bureau.editions import Editions
    from adapters.party.home import Home

    corrects = Editions(Home.open(home).state).resolve(of).digest
    read = sources.opened(source, profile, encoding, table=table, query=query)
    _publish(home, read, product, period, json, kind=CORRECTION, corrects=corrects, reason=reason)


def _publish(
    home: Path,
    read: AbstractContextManager[Table],
    product: str,
    period: str,
    json: bool,
    *,
    kind: edition_pb2.EditionKind,
    changes: bool | None = None,
    **of_kind: Any,
) -> None:
    from adapters.bureau import presentation, sources
    from adapters.bureau import publishing as work
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    opened = Home.open(home)
    month = sources.parse_period(period)
    with counting() as count, GatewayClient(opened) as client, Processes() as crew, read as table:
        if changes is not None:
            sources.check_coverage(table.profile, changes=changes)
        of = product or table.profile.product
        done = work.publish(opened, client, table, of, month, count, kind=kind, crew=crew, sealed=_warn, **of_kind)
    folder = done.edition.path
    report = done.edition.report | {"outcome": done.outcome, "resumed": done.resumed, "folder": str(folder)}
    if json:
        print_json(report)
    else:
        presentation.show_report(report, mend=str(folder / "mend.csv"))
        console.print(f"report for the approver: {folder / 'report.json'}", markup=False)
        console.print(f"{done.outcome} {report['manifest']}", markup=False)
    if done.outcome == "already":
        notices.print("This file was published for this period before: nothing was done.")
        raise typer.Exit(Exit.NOTHING)
    if asked := report["lost"] + report["kept"]:
        word = "lost their record" if report["lost"] else "keep the record they had"
        notices.print(f"{asked:,} taxpayers {word} because no row about them was accepted: see `questions`.")
    if done.outcome == "edition.held":
        notices.print(
            "HELD: the quality, or how many are gone, misses a threshold of the product. Another person may `release` "
            "it; `cancel` it where the file is wrong."
        )


def _warn(edition: Edition) -> None:
    from adapters.bureau.comparison import is_much, loss

    if is_much(edition.manifest):
        notices.print(
            f"WARNING: {loss(edition.manifest)} taxpayers of the edition before are gone. Is the file whole? The "
            "gateway holds the edition where that is more than the product allows; `cancel` it if the file is wrong."
        )


@contextmanager
def counting() -> Iterator[Callable[[str, int], None]]:
    """Shows how many rows, then chunks are done."""
    with progress() as bar:
        tasks = {}

        def count(what: str, done: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.update(tasks[what], completed=done)

        yield count
