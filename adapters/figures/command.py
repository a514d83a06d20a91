"""statistics: the command that the bureau's program and the banks' have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.errors import Unknown
from xinyi.terminal import Exit, console, emit, notices, print_json, table

if TYPE_CHECKING:
    from adapters.figures.fetching import Fetched
    from xinyi.v1.statistics_service_pb2 import StatisticsVersion


class Form(StrEnum):
    text = "text"
    csv = "csv"
    xlsx = "xlsx"
    html = "html"
    json = "json"


class Language(StrEnum):
    zh = "zh"
    en = "en"


def statistics(
    home: HomeOption,
    period: Annotated[
        str, typer.Option(help="2018-Q1, 2018-03 or 2018; the newest there is without it.")
    ] = "",
    version: Annotated[int | None, typer.Option(min=1, help="The newest without it.")] = None,
    currency: Annotated[str, typer.Option(help="Of the figures (ISO 4217).")] = "CNY",
    form: Annotated[Form, typer.Option("--format", help="xlsx needs -o.")] = Form.text,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File; standard output without it.")
    ] = None,
    language: Annotated[Language, typer.Option(help="Of names and notes.")] = Language.zh,
    listed: Annotated[bool, typer.Option("--list", help="Which versions there are; fetches none.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a period's statistics, verify the gateway's seal and its log, confirm them, and show them.

    Example: statistics --period 2018-Q1 --format html -o 2018-Q1.html
    """
    from adapters.figures.fetching import fetch, list_versions
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from xinyi.errors import UsageInvalid
    from xinyi.lending import parse_period

    if form is Form.xlsx and output is None:
        raise UsageInvalid("a workbook goes to a file: name one with -o", basis="statistics.output")
    asked = parse_period(period) if period else None
    with GatewayClient(Home.open(home)) as client:
        every = list_versions(client, asked)
        versions = [one for one in every if one.currency == currency]
        if listed:
            return _show_versions(versions, as_json=as_json)
        if not versions:
            others = ", ".join(sorted({one.currency for one in every}))
            none = f"There are none in {currency}, but in {others}." if others else "There are no statistics yet."
            notices.print(none, markup=False)
            raise typer.Exit(Exit.NOTHING)
        fetched = fetch(client, _pick(versions, version))
    return _show(fetched, Form.json if as_json else form, output, language.value)


def _pick(versions: list[StatisticsVersion], number: int | None) -> StatisticsVersion:
    """The newest of the latest period, or the version that was named of it. Raises Unknown."""
    latest = versions[-1].period
    found = [one for one in versions if one.period == latest and number in (None, one.version)]
    if not found:
        raise Unknown(f"there is no version {number}", basis="statistics.version")
    return found[-1]


def _show_versions(versions: list[StatisticsVersion], *, as_json: bool) -> None:
    from xinyi.days import moment
    from xinyi.lending import period_name

    rows: list[dict[str, Any]] = [
        {
            "period": period_name(one.period),
            "currency": one.currency,
            "version": one.version,
            "counted_until": moment(one.counted_until_ms).isoformat(timespec="milliseconds"),
            "restatement": one.restatement,
            "statistics": one.statistics.hex(),
        }
        for one in versions
    ]
    if as_json:
        return print_json(rows)
    columns = ["period", "currency", "version", "counted until", "restatement", "statistics"]
    return table("", columns, [list(row.values()) for row in rows])


def _show(fetched: Fetched, form: Form, output: Path | None, language: str) -> None:
    from adapters.figures import page, rows, text, workbook
    from adapters.figures.content import describe
    from adapters.figures.sheet import sheet_of

    if form is Form.json and output is None:
        return print_json(describe(fetched))
    sheet = sheet_of(fetched)
    if form is Form.text:
        data = text.render(sheet, language, console.width if console.is_terminal else text.WIDTH)
    elif form is Form.csv:
        data = rows.as_csv(fetched, sheet, language)
    elif form is Form.xlsx:
        data = workbook.as_xlsx(fetched, sheet, language)
    elif form is Form.html:
        data = page.render(fetched, sheet, language)
    else:
        import json

        data = json.dumps(describe(fetched), ensure_ascii=False, sort_keys=True).encode() + b"\n"
    return emit(output, data)
