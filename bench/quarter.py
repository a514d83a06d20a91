"""A quarter at a gateway: tables of 500 banks and a million rows with consent, put straight into its database.

    python -m bench.quarter seed HOME BANKS ROWS
    python -m bench.quarter run HOME TIMES
    python -m bench.quarter floor HOME TIMES

`run` makes the versions as `xinyi-gateway statistics run` does, seals and log entries included, and takes their rows
away again; `floor` is the plain SQL GROUP BYs that give the same margins. Each prints its fastest seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, text

from audit import envelope, records
from audit.bulk import write_rows
from gateway import statistics
from gateway.app import Gateway, open_gateway
from gateway.config import Settings
from gateway.store import tables
from gateway.store.db import open_engine
from xinyi import identifiers
from xinyi.margins import SUMS
from xinyi.v1 import edition_pb2, exchange_pb2, lending_pb2, records_pb2

T = TypeVar("T")

PERIOD = lending_pb2.LendingPeriod(year=2018, month=1, months=3)
NOW_MS = 1_523_800_000_000
#: Dimension → cells of a bank's table.
CELLS = {
    "total": ["all"],
    "district": [f"9901{n:02d}" for n in range(1, 13)],
    "first-time": ["no", "unknown", "yes"],
    "grade": ["A", "B", "C", "M", "none"],
    "guarantee": ["combined", "credit", "guarantor", "mortgage", "pledge", "unknown"],
    "industry": list("ABCDEFGHIJKLMNOPQRS"),
    "product": [f"loan-{n}" for n in range(8)],
    "rate/435-500-600-800": ["00000-00435", "00435-00500", "00500-00600", "00600-00800", "00800-up"],
    "size/GXB300": ["large", "medium", "micro", "small"],
    "size/INCLUSIVE": ["inclusive", "other"],
    "true-grade": ["A", "B", "C", "M", "none", "withdrawn"],
}
ENTERPRISES, CORRECTED = 200_000, 61
#: One row in so many was judged anew.
CHANGED = 100
PAGE = 20_000
STAGES = (3, 4, 6, 6, 6, 6, 7, 7, 8, 9)


def seed(home: Path, banks: int, rows: int) -> None:
    chance = random.Random(2018)
    with open_gateway(Settings.load(home)) as gateway:
        names = [f"bench-city/lender-{number:03d}" for number in range(banks)]
        full, correction = chance.randbytes(32), chance.randbytes(32)
        editions = list(_editions(gateway, full, correction, chance.randbytes(32)))
    engine = open_engine(Settings.load(home).database_url)
    with engine.connect() as conn:
        if engine.dialect.name == "sqlite":  # what is put in here need not outlive the machine
            conn.exec_driver_sql("ROLLBACK")
            conn.exec_driver_sql("PRAGMA synchronous = OFF")
            conn.exec_driver_sql("PRAGMA cache_size = -400000")
            conn.exec_driver_sql("BEGIN IMMEDIATE")
        for table, made in (
            *_parties(names),
            *_tables(chance, names),
            *editions,
            *_batches(names, rows),
            (tables.outcomes, _outcomes(names, rows, full)),
            (tables.outcome_changes, _changes(names, rows)),
        ):
            for page in _pages(made, PAGE):
                write_rows(conn, [(table, page, "fail")])
            conn.commit()
    if engine.dialect.name == "postgresql":  # as its autovacuum does by itself in time
        with engine.connect() as conn:
            conn.exec_driver_sql("ANALYZE")
            conn.commit()
    engine.dispose()


def _pages(made: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(made)
    while page := list(islice(rest, size)):
        yield page


def uscc(number: int) -> str:
    organisation = f"{number:08d}"
    code = f"91999999{organisation}{identifiers.organisation_check_character(organisation)}"
    return code + identifiers.uscc_check_character(code)


def _parties(names: list[str]) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    yield tables.parties, [
        _row(tables.parties, party=name, kind="BANK", state="ACTIVE", changed_at_ms=NOW_MS) for name in names
    ]
    yield tables.agreements, [
        _row(
            tables.agreements, agreement_id=f"agreement-{name}", party=name, number="1", valid_from="2018-01-01",
            valid_until="2099-12-31", disclosure_class=2, state="IN_FORCE",
        )
        for name in names
    ]  # fmt: skip


def _row(table: Any, **values: Any) -> dict[str, Any]:
    """Columns that are not named are null where they may be, else empty."""
    row = _empty(table) | values
    assert len(row) == len(table.columns), values
    return row


@lru_cache
def _empty(table: Any) -> dict[str, Any]:
    empty = {"INTEGER": 0, "BIGINT": 0, "BLOB": b""}
    return {
        column.name: None if column.nullable else empty.get(str(column.type), "") for column in table.columns
    }


def _tables(chance: random.Random, names: list[str]) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    counted, cells = [], []
    for number, name in enumerate(names):
        document = number.to_bytes(32, "big")
        counted.append(
            _row(
                tables.lending_tables, document=document, bank=name, year=2018, month=1, months=3, currency="CNY",
                agreement_id=f"agreement-{name}", state="COUNTED", row_count=2000, receipt=document,
                recorded_at_ms=NOW_MS, counted_at_ms=NOW_MS, counted_slot=1,
            )
        )  # fmt: skip
        for dimension, values in CELLS.items():
            for value in values:
                sums = {sum_: chance.randrange(3, 10**10 if "granted" in sum_ else 900) for sum_ in SUMS}
                cells.append({"document": document, "dimension": dimension, "value": value, **sums})
    yield tables.lending_tables, counted
    yield tables.lending_cells, cells


def _editions(
    gateway: Gateway, full: bytes, correction: bytes, blinding_key: bytes
) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """An edition, and a CORRECTION that takes some of its grades back."""
    told = [
        records_pb2.GradeRecord(
            taxpayer_id=uscc(number),
            identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
            names=[f"示例企业{number}"],
            evaluation_year=2017,
            grade=records_pb2.GRADE_B,
        )
        for number in range(CORRECTED)
    ]
    blind = records.blinder(blinding_key)
    rows = sorted((blind(r.taxpayer_id.encode()), r.SerializeToString(deterministic=True)) for r in told)
    chunk = records.chunk_bytes((b"\1" * 32, raw) for _, raw in rows)
    kinds = ((full, edition_pb2.EDITION_KIND_FULL, b""), (correction, edition_pb2.EDITION_KIND_CORRECTION, full))
    editions, documents, answers = [], [], []
    for sequence, (digest, kind, corrects) in enumerate(kinds, 1):
        manifest = envelope.seal(edition_pb2.Manifest(corrects=corrects), gateway.signer)
        acknowledgement = envelope.seal(exchange_pb2.Acknowledgement(recorded_at_ms=NOW_MS), gateway.signer)
        approval, answer = bytes([sequence]) * 32, bytes([sequence + 10]) * 32
        documents += [(digest, manifest), (approval, manifest), (answer, acknowledgement)]
        answers.append({"document": approval, "answer": answer})
        editions.append(
            _row(
                tables.editions, manifest_digest=digest, origin="bench-city/tax-bureau", product="grade-a", year=2018,
                month=4, kind=kind, sequence=sequence, state="PUBLISHED", record_count=len(rows), root=digest,
                blinding_key=blinding_key, approval=approval, changed_at_ms=NOW_MS,
            )
        )  # fmt: skip
    yield tables.documents, [
        {"digest": digest, "envelope": sealed.SerializeToString(deterministic=True)} for digest, sealed in documents
    ]
    yield tables.editions, editions
    yield tables.answers, answers
    yield tables.chunks, [
        _row(tables.chunks, manifest_digest=digest, number=0, data=chunk, last_key=rows[-1][0])
        for digest, _, _ in kinds
    ]


def _batches(names: list[str], rows: int) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    yield tables.outcome_batches, [
        _row(
            tables.outcome_batches, document=_batch(number), bank=name, number="1", sequence=1,
            agreement_id=f"agreement-{name}", row_count=rows // len(names), root=_batch(number),
            receipt=_batch(number), recorded_at_ms=NOW_MS,
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    yield tables.outcome_acts, [
        {
            "bank": name, "sequence": 1, "document": _batch(number), "judgement": _batch(number),
            "recorded_at_ms": NOW_MS,
        }
        for number, name in enumerate(names)
    ]  # fmt: skip


def _batch(number: int) -> bytes:
    return b"\2" * 28 + number.to_bytes(4, "big")


def _loans(names: list[str], rows: int) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Batch, place in it, and what the row tells; the same at each call."""
    chance = random.Random(2018)
    codes = [uscc(number) for number in range(ENTERPRISES)]
    days = [f"2018-0{month}-{day:02d}" for month in (1, 2, 3) for day in range(1, 29)]
    for number in range(rows):
        yield *divmod(number, rows // len(names)), {
            "outcome_id": f"O{number:07d}", "taxpayer_id": codes[chance.randrange(ENTERPRISES)],
            "stage": chance.choice(STAGES), "event_date": chance.choice(days),
            "amount": chance.randrange(10**7, 10**9), "grade": chance.choice((0, 1, 1, 1, 2, 3)),
        }  # fmt: skip


def _outcomes(names: list[str], rows: int, full: bytes) -> Iterator[dict[str, Any]]:
    for bank, place, told in _loans(names, rows):
        relied = {}
        if told["grade"]:
            key = told["taxpayer_id"].encode().ljust(32, b"\0")
            relied = {"manifest_digest": full, "blinded_key": key, "evaluation_year": 2017}
        yield _row(
            tables.outcomes, document=_batch(bank), place=place, bank=names[bank], loan=told["outcome_id"],
            content=place.to_bytes(32, "big"), currency="CNY", state=lending_pb2.REPORT_STATE_COUNTED, **told, **relied,
        )  # fmt: skip


def _changes(names: list[str], rows: int) -> Iterator[dict[str, Any]]:
    """Rows that a judgement found to be in question."""
    for number in range(0, rows, CHANGED):
        bank, place = divmod(number, rows // len(names))
        yield _row(
            tables.outcome_changes, judgement=_batch(bank), document=_batch(bank), place=place,
            state=lending_pb2.REPORT_STATE_HELD, rule="outcome.transition",
        )  # fmt: skip


# Measured


def run(home: Path, times: int) -> float:
    """Fastest seconds of a run: everything that the command does once the gateway is open."""
    with open_gateway(Settings.load(home)) as gateway:

        def job() -> None:
            made = asyncio.run(statistics.run(gateway.reception, PERIOD, "CNY"))
            assert len(made.made) == 2, made

        def undo() -> None:
            with gateway.database.writing() as conn:
                conn.execute(delete(tables.statistics))

        return _fastest(job, times, undo)


def floor(home: Path, times: int) -> float:
    """The same margins by one GROUP BY each; of rows with consent, too, whose state is looked up in the same way."""
    sums = ", ".join(f"SUM({name})" for name in SUMS)
    table = "year = 2018 AND month = 1 AND months = 3 AND currency = 'CNY' AND state = 'COUNTED'"
    cells = f"FROM lending_tables t JOIN lending_cells c ON c.document = t.document WHERE {table}"
    plain = [
        f"SELECT value, {sums} {cells} AND dimension = '{dimension}' GROUP BY value" for dimension in CELLS
    ]
    plain.append(f"SELECT bank, {sums} {cells} AND dimension = 'total' GROUP BY bank")
    counted = (
        "FROM outcomes o LEFT JOIN outcome_changes c ON c.document = o.document AND c.place = o.place "
        "WHERE COALESCE(c.state, o.state) = 1 AND currency = 'CNY' "
        "AND event_date BETWEEN '2018-01-01' AND '2018-03-31'"
    )
    figures = "COUNT(*), COUNT(DISTINCT taxpayer_id), SUM(amount)"
    # Once, although the true grades and the pairs are margins of their own: they differ in a few rows only.
    plain.append(f"SELECT stage, grade, {figures} {counted} GROUP BY stage, grade")
    with open_gateway(Settings.load(home)) as gateway:

        def read(conn: Connection) -> None:
            for query in plain:
                assert conn.execute(text(query)).fetchall()

        def job() -> None:
            with gateway.database.reading() as conn:
                read(conn)

        return _fastest(job, times, lambda: None)


def _fastest(job: Callable[[], None], times: int, undo: Callable[[], None]) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        job()
        taken.append(time.perf_counter() - started)
        undo()
    return min(taken)


if __name__ == "__main__":
    command, home, *numbers = sys.argv[1:]
    work: dict[str, Callable[..., Any]] = {"seed": seed, "run": run, "floor": floor}
    print(json.dumps(work[command](Path(home), *map(int, numbers))))
