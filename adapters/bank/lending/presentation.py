"""A bank's reports for people, and as values for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapters.bank.lending.kept import KeptTable
from adapters.bank.lending.standing import Asked, BatchReport, TableReport
from xinyi.lending import period_name
from xinyi.margins import SUMS
from xinyi.terminal import console, notices, print_json, table
from xinyi.v1 import edition_pb2, lending_pb2

_WAN = {"CNY": (1_000_000, "万元")}


def table_values(made: lending_pb2.LendingTable) -> dict[str, Any]:
    return {
        "period": period_name(made.period),
        "agreement": made.agreement_id,
        "currency": made.currency,
        "rows": made.rows,
        "firms": made.firms,
        "root": made.root,
        "corrects": made.corrects,
        "reason": made.reason,
        "source": {"sha256": made.source.sha256, "profile_sha256": made.source.profile_sha256},
        "rules": [
            {"rule": count.rule, "outcome": _word(count.outcome), "rows": count.rows} for count in made.rules
        ],
        "margins": {
            margin.dimension: {
                cell.value: {name: getattr(cell.sums, name) for name in SUMS} for cell in margin.cells
            }
            for margin in made.margins
        },
    }


def show(
    made: lending_pb2.LendingTable, quality: Mapping[str, Any], left_out: Path, unanswered: Sequence[KeptTable]
) -> None:
    """Before anything leaves.

    Args:
        quality: of the rows read; of none where the table was sealed before.
        left_out: where rows are that are not reported.
        unanswered: tables of the period, as `KeptTables.unanswered`.
    """
    if any(made == kept.message for kept in unanswered):
        notices.print("sealed before and not answered yet: the same table goes out again")
    else:
        show_quality(quality)
        if left_out_of(quality):
            notices.print(f"rows that are not reported, with what to do: {left_out}", markup=False)
        for kept in unanswered:
            notices.print(
                f"table {kept.path.name[:16]}… of this period was sealed before from another source and has no answer: "
                "it may count already. Report its source again to learn it, then name it with --corrects",
                markup=False,
            )
    show_table(made)


def left_out_of(quality: Mapping[str, Any]) -> int:
    """How many rows are not reported."""
    outcomes: Mapping[str, int] = quality["outcomes"]
    return sum(rows for word, rows in outcomes.items() if word not in ("accepted", "warned"))


def show_table(made: lending_pb2.LendingTable) -> None:
    """What leaves the bank: all of it."""
    unit, word = _WAN.get(made.currency, (100, made.currency))
    corrects = f", in the place of {made.corrects.hex()[:16]} ({made.reason})" if made.corrects else ""
    console.print(
        f"{made.bank}, {period_name(made.period)}, agreement {made.agreement_id}: {made.rows:,} rows of "
        f"{made.firms:,} enterprises{corrects}",
        markup=False,
    )
    columns = (
        "by", "", "loans", "firms", f"granted, {word}", "outstanding", "firms", f"balance, {word}", "bad", "firms",
        f"bad balance, {word}", "refused", "firms",
    )  # fmt: skip
    rows = [
        [
            margin.dimension if place == 0 else "",
            cell.value,
            *(
                amount(getattr(cell.sums, name), unit) if name in _AMOUNTS else f"{getattr(cell.sums, name):,}"
                for name in SUMS
            ),
        ]
        for margin in made.margins
        for place, cell in enumerate(margin.cells)
    ]
    table("This leaves the bank: these sums, the rules above, a root, and no row", columns, rows)


_AMOUNTS = frozenset({"granted", "balance", "bad_balance"})


def amount(hundredths: int, unit: int) -> str:
    """Exact. Args: unit — so many hundredths are one."""
    places = len(str(unit)) - 1
    text = f"{hundredths // unit:,}.{hundredths % unit:0{places}d}".rstrip("0")
    return text.rstrip(".")


def _with_unit(hundredths: int, currency: str) -> str:
    unit, word = _WAN.get(currency, (100, currency))
    return f"{amount(hundredths, unit)} {word}"


def show_quality(report: Mapping[str, Any]) -> None:
    """Args: report — of the reading, with what the rows together broke."""
    outcomes = ", ".join(f"{rows:,} {word}" for word, rows in report["outcomes"].items() if rows)
    console.print(f"{report['rows']:,} rows read: {outcomes or 'none'} (rules {report['rule_set']})", markup=False)
    if report["rules"]:
        table(
            "Rules",
            ("rule", "outcome", "rows", "the first", "what it says"),
            [
                (
                    one["rule"], one["outcome"], f"{one['rows']:,}", ", ".join(map(str, one["first_rows"])),
                    " ".join(filter(None, (one["says"], one["basis"] and f"({one['basis']})"))),
                )
                for one in report["rules"]
            ],
        )  # fmt: skip
    if report["readings"]:
        table(
            "Read otherwise than written",
            ("field", "how", "rows"),
            [(one["field"], one["how"], f"{one['rows']:,}") for one in report["readings"]],
        )


def kept_values(kept: KeptTable) -> dict[str, Any]:
    receipt = kept.receipt
    state = lending_pb2.ReportState.Name(receipt.state).removeprefix("REPORT_STATE_").lower() if receipt else ""
    questions = receipt.questions if receipt else ()
    return {
        "document": kept.path.name,
        "state": state,
        "questions": [{"rule": q.rule, "text": q.text, "may_be_confirmed": q.may_be_confirmed} for q in questions],
        "log_index": kept.log_index,
        "folder": str(kept.path),
    }


def show_kept(kept: KeptTable, *, as_json: bool) -> None:
    told = kept_values(kept)
    if told["state"] == "held":
        notices.print(
            "HELD: this table does not count until its question is settled, by answer-question or by a table that "
            "corrects it"
        )
    if as_json:
        print_json(told)
        return
    place = "log proof not there yet" if kept.log_index is None else f"log entry {kept.log_index}"
    console.print(f"{told['state']} {told['document']}: {place}", markup=False)
    for question in told["questions"]:
        notices.print(f"asked: {question['text']} [{question['rule']}]", markup=False)


def show_reports(tables: Sequence[TableReport], batches: Sequence[BatchReport]) -> None:
    if tables:
        table(
            "Tables",
            ("period", "table", "state", "recorded on", "rows", "loans", "granted", "corrects", "replaced by"),
            [
                (
                    one.period, one.document[:16], one.state, one.recorded_on, f"{one.rows:,}", f"{one.loans:,}",
                    _with_unit(one.granted, one.currency),
                    one.corrects[:16], one.replaced_by[:16],
                )
                for one in tables
            ],
        )  # fmt: skip
    if batches:
        table(
            "Batches of single loans",
            ("number", "batch", "recorded on", "rows", "counted", "held", "corrected"),
            [
                (
                    one.number, one.document[:16], one.recorded_on,
                    *(f"{count:,}" for count in (one.rows, one.counted, one.held, one.corrected)),
                )
                for one in batches
            ],
        )  # fmt: skip
    asked = [(one.document, question) for one in tables for question in one.questions]
    asked += [(one.document, question) for one in batches for question in one.questions]
    if asked:
        table(
            "Questions",
            ("of", "outcome", "rule", "where", "question", "a person may confirm"),
            [(document[:16], *_asked(question)) for document, question in asked],
        )


def _asked(question: Asked) -> tuple[object, ...]:
    where = f"{question.dimension} {question.value}".strip()
    return question.outcome, question.rule, where, question.text, "yes" if question.may_be_confirmed else "no"


def _word(outcome: edition_pb2.RowOutcome) -> str:
    return edition_pb2.RowOutcome.Name(outcome).removeprefix("ROW_OUTCOME_").lower()
