"""What banks owe: the reporting terms of their agreements, TOML in, rows through the door, and what has come in."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from gateway.exchange import Exchange
from gateway.rules.lending import COUNTED, HELD, state_at
from gateway.rules.partners import TERMINATED
from gateway.rules.reporting import check_next, due_on, terms_of, terms_row, wants
from gateway.store import lending as store
from gateway.store import parties, tables
from xinyi.days import day_of
from xinyi.errors import Invalid, Unknown
from xinyi.lending import first_day
from xinyi.v1 import lending_pb2


def read_terms(path: Path, agreement_id: str) -> dict[str, Any]:
    """The row that a terms file describes. Raises Invalid."""
    try:
        return terms_row(agreement_id, tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not TOML: {error}", basis="reporting.terms") from error


def values_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the terms file."""
    return {"version": row["version"], **json.loads(row["terms"])}


def to_toml(row: Mapping[str, Any]) -> str:
    """The file that `read_terms` reads as this row."""
    values = values_of(row)
    # Numbers, strings, truth values and lists of strings are the same in JSON and in TOML.
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())


def set_terms(x: Exchange, row: Mapping[str, Any], actor: str) -> None:
    """The next version of an agreement's terms, for what arrives from now on. Raises Unknown, Invalid, Conflict."""
    agreement = parties.find_agreement(x.conn, row["agreement_id"])
    if agreement is None:
        raise Unknown(f"there is no agreement {row['agreement_id']}", basis="agreement.unknown")
    party = parties.find_party(x.conn, agreement["party"])
    assert party is not None  # foreign key
    if party["kind"] != "BANK":
        raise Invalid(f"a party of kind {party['kind']} lends nothing", basis="reporting.kind")
    check_next(row, store.find_terms(x.conn, row["agreement_id"]))
    x.replace(tables.reporting_terms, dict(row))
    x.log(
        "agreement.terms",
        actor=actor,
        counterparty=agreement["party"],
        agreement_id=row["agreement_id"],
        detail=f"version {row['version']}",
    )


def standing_of(
    conn: Connection, period: lending_pb2.LendingPeriod, today: date, until_ms: int
) -> list[dict[str, Any]]:
    """A line for each table that is owed of the period, by bank, and what was here of it at a moment.

    Several agreements may want one of the same currency: it stands under the one that it was made under, or the first.
    A bank that was terminated before the period owes nothing.

    state: COUNTED, HELD, DUE (not here, still in time), MISSING (not here, too late). late: the first table arrived
    behind the due date. held: digest of the newest table with an open question, beside a counted one, too.

    Args: today — in China, to which due dates are compared; until_ms — the moment, since 1970 UTC.
    """
    known = store.tables_of(conn, period=period, until_ms=until_ms)
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for agreement, row in store.agreements_with_terms(conn):
        terms = terms_of(row)
        if not wants(agreement, terms, period):
            continue
        place = agreement["party"], terms.currency
        own = [t for t in known if (t["bank"], t["currency"]) == place]
        if place in lines and all(t["agreement_id"] != agreement["agreement_id"] for t in own[-1:]):
            continue
        if not own and _ended_before(conn, agreement["party"], period):
            continue
        due = due_on(terms, period)
        arrived = day_of(own[0]["recorded_at_ms"]) if own else None
        stands = {state_at(t, until_ms): t for t in own}
        absent = "MISSING" if today > due else "DUE"
        counted, held = stands.get(COUNTED), stands.get(HELD)
        lines[place] = {
            "bank": agreement["party"],
            "agreement": agreement["agreement_id"],
            "currency": terms.currency,
            "due_on": due.isoformat(),
            "state": COUNTED if counted else HELD if held else absent,
            "arrived_on": arrived.isoformat() if arrived else "",
            "late": (arrived or today) > due,
            "table": counted["document"] if counted else None,
            "held": held["document"] if held else None,
        }
    return list(lines.values())


def _ended_before(conn: Connection, name: str, period: lending_pb2.LendingPeriod) -> bool:
    party = parties.find_party(conn, name)
    assert party is not None  # foreign key
    return party["state"] == TERMINATED and day_of(party["changed_at_ms"]) < first_day(period)
