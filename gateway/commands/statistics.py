"""statistics run, list, rerun."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.commands import HomeOption, JsonOption
from xinyi.terminal import Exit, group, notices, outcome, print_json, table

app = group("A period's statistics: versions over what banks' tables say, for the bureau and for banks.")
_MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@app.command()
def run(
    home: HomeOption,
    period: Annotated[str, typer.Option(help="2018-Q1, 2018-03 or 2018.")],
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=_MOMENTS, help="What was recorded until then, China time; a day: its end. Default: now."
        ),
    ] = None,
    currency: Annotated[str, typer.Option(help="Of the tables (ISO 4217).")] = "CNY",
    as_json: JsonOption = False,
) -> None:
    """Make a version for the bureau, and one for banks, where their figures are not those of the newest one. That for
    banks waits until three of them stand behind what is new.

    Example: xinyi-gateway statistics run --period 2018-Q1
    """
    from gateway import statistics
    from gateway.app import open_gateway
    from gateway.config import Settings
    from gateway.rules.statistics import FEWEST_BANKS
    from xinyi.lending import check_currency, parse_period

    asked = parse_period(period)
    check_currency(currency, "statistics.currency")
    with open_gateway(Settings.load(home)) as gateway:
        done = asyncio.run(statistics.run(gateway.reception, asked, currency, _moment(until)))
    for dimension, lacking in done.left_out.items():
        notices.print(f"{dimension}: left out, since {lacking} of the tables do not have it.", markup=False)
    if done.waits_with is not None:
        notices.print(
            f"banks: no version yet: what is new is of {done.waits_with} of the at least {FEWEST_BANKS} banks that"
            " must stand behind it.",
            markup=False,
        )
    made: list[dict[str, Any]] = [
        {
            "audience": statistics.audience_name(version.audience),
            "version": version.version,
            "banks": version.banks,
            "missing": list(version.missing),
            "restatement": version.restatement,
        }
        for version in done.made
    ]
    told = {
        "period": period,
        "currency": currency,
        "counted_until_ms": done.counted_until_ms,
        "made": made,
        "banks_wait_with": done.waits_with,
    }
    said = [
        f"{one['audience']}: version {one['version']}"
        + (f" ({one['restatement']})" if one["restatement"] else "")
        + (f"; missing: {', '.join(one['missing'])}" if one["missing"] else "")
        for one in made
    ]
    heading = f"{period} {currency}: {done.banks} banks counted"
    outcome(told, "\n".join([heading, *said] if made else [f"{heading}, nothing new"]), as_json=as_json)
    if not made:
        raise typer.Exit(Exit.NOTHING)


def _moment(until: datetime | None) -> int | None:
    """Milliseconds since 1970 UTC. A day without a time is meant whole."""
    from xinyi.days import CHINA, end_of

    if until is None:
        return None
    if (until.hour, until.minute, until.second) == (0, 0, 0):
        return end_of(until.date())
    return int(until.replace(tzinfo=CHINA).timestamp() * 1000)


@app.command("list")
def list_(home: HomeOption, as_json: JsonOption = False) -> None:
    """All versions, and how many parties were given each and confirmed it.

    Example: xinyi-gateway statistics list --json
    """
    from gateway.office.inspection import read

    rows = read(home, _describe)
    if as_json:
        return print_json(rows)
    columns = [
        "period",
        "currency",
        "audience",
        "version",
        "counted until",
        "given",
        "confirmed",
        "statistics",
    ]
    return table("", columns, [list(row.values()) for row in rows])


def _describe(conn: Any) -> list[dict[str, Any]]:
    from gateway import statistics
    from gateway.store import statistics as store
    from xinyi.days import moment
    from xinyi.lending import period_name
    from xinyi.v1 import lending_pb2

    given: dict[bytes, list[bool]] = {}
    for row in store.list_deliveries(conn):
        given.setdefault(row["document"], []).append(row["receipt"] is not None)
    return [
        {
            "period": period_name(
                lending_pb2.LendingPeriod(year=row["year"], month=row["month"], months=row["months"])
            ),
            "currency": row["currency"],
            "audience": statistics.audience_name(row["audience"]),
            "version": row["version"],
            "counted_until": moment(row["counted_until_ms"]).isoformat(timespec="milliseconds"),
            "given": len(given.get(row["document"], [])),
            "confirmed": sum(given.get(row["document"], [])),
            "statistics": row["document"].hex(),
        }
        for row in store.list_statistics(conn)
    ]


@app.command()
def rerun(
    home: HomeOption,
    digest: Annotated[
        str, typer.Argument(metavar="DIGEST", help="First digits of the version, as `statistics list` shows it.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Writes the recomputed bytes to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a version again over the same moment and compare: 0 where it comes to the same bytes, 4 where not.

    Example: xinyi-gateway statistics rerun 3f9a0c
    """
    from gateway import statistics
    from gateway.office.inspection import read
    from xinyi.lending import period_name

    version = read(home, lambda conn: statistics.rerun(conn, _find(conn, digest)))
    if output is not None:
        output.write_bytes(version.SerializeToString(deterministic=True))
    audience, period = statistics.audience_name(version.audience), period_name(version.period)
    told = {"same": True, "audience": audience, "period": period, "version": version.version}
    outcome(told, f"{period} {audience} version {version.version}: the same bytes", as_json=as_json)


def _find(conn: Any, digits: str) -> bytes:
    """The one version that begins with these digits. Raises Unknown."""
    from gateway.store import statistics as store
    from xinyi.errors import Unknown

    known = [bytes(row["document"]) for row in store.list_statistics(conn)]
    found = [document for document in known if digits and document.hex().startswith(digits.lower())]
    if len(found) != 1:
        raise Unknown(
            f"{digits!r:.70} names {len(found) or 'none'} of the versions: see xinyi-gateway statistics list",
            basis="statistics.digest",
        )
    return found[0]
