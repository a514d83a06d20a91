"""Single loans for people, and as values for machines: what would leave the bank, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adapters.bank.lending import presentation
from adapters.bank.lending.batch import Draft, KeptBatch, stage_word
from xinyi.terminal import console, notices, print_json, table
from xinyi.v1 import lending_pb2
from xinyi.v1 import lending_service_pb2 as pb

_SHOWN = 50


def show(draft: Draft, quality: Mapping[str, Any], left_out: Path, *, as_json: bool) -> None:
    """Before anything leaves."""
    batch = draft.batch
    stages = {stage: {"events": events, "amount": amount} for stage, (events, amount) in draft.stages.items()}
    if as_json:
        print_json({"number": batch.number, "count": batch.count, "stages": stages, "quality": quality})
        return
    presentation.show_quality(quality)
    if presentation.left_out_of(quality):
        console.print(f"Rows left out, with what to do: {left_out}", markup=False)
    table(
        f"This leaves the bank: batch {batch.number}, {batch.count:,} events, each with its borrower and consent",
        ("stage", "events", "amount, in units of the currency"),
        [
            (stage, f"{told['events']:,}", presentation.amount(told["amount"], 100))
            for stage, told in stages.items()
        ],
    )


def show_quality(quality: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"quality": quality})
        return
    presentation.show_quality(quality)


def receipt_values(kept: KeptBatch) -> dict[str, Any]:
    receipt = kept.receipt
    assert receipt is not None
    return {
        "number": kept.message.number,
        "document": kept.digest.hex(),
        "counted": receipt.counted,
        "held": receipt.held,
        "repeated": receipt.repeated,
        "conflicts": receipt.conflicts,
        "refused": receipt.refused,
        "findings": [
            {
                "outcome": finding.outcome_id,
                "state": _word(finding.state),
                "rule": finding.question.rule,
                "basis": finding.question.basis,
                "question": finding.question.text,
                "may_be_confirmed": finding.question.may_be_confirmed,
                "first": finding.first.hex(),
            }
            for finding in receipt.findings
        ],
        "log_index": kept.log_index,
        "folder": str(kept.path),
    }


def show_receipt(kept: KeptBatch, *, as_json: bool) -> None:
    told = receipt_values(kept)
    if not told["counted"]:
        notices.print("nothing of this batch was counted: see what became of each event")
    if as_json:
        print_json(told)
        return
    place = "log proof not there yet" if kept.log_index is None else f"log entry {kept.log_index}"
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("counted", "held", "repeated", "conflicts", "refused"))
    console.print(f"batch {told['number']} {told['document']}: {counts}; {place}", markup=False)
    findings = told["findings"]
    if findings:
        table(
            "What was not counted, and what is asked",
            ("outcome", "state", "rule", "question", "a person may confirm"),
            [
                (
                    one["outcome"], one["state"], one["rule"], one["question"] or f"first in batch {one['first'][:16]}",
                    "yes" if one["may_be_confirmed"] else "no",
                )
                for one in findings[:_SHOWN]
            ],
        )  # fmt: skip
    if len(findings) > _SHOWN:
        notices.print(f"{len(findings) - _SHOWN:,} more: xinyi-bank outcomes, or --json")


def show_outcomes(outcomes: Iterable[pb.OutcomeStatus], *, as_json: bool) -> int:
    """How many there were. One a line, as they come."""
    shown = 0
    for status in outcomes:
        outcome = lending_pb2.LendingOutcome.FromString(status.outcome.record)
        told = {
            "outcome": outcome.outcome_id or status.refused_id,
            "loan": outcome.loan.reference,
            # Of a row that was refused nothing is kept but its id.
            "stage": stage_word(outcome.stage) if outcome.stage else "",
            "event_date": outcome.event_date,
            "amount": outcome.amount,
            "currency": outcome.loan.currency,
            "state": _word(status.state),
            "rule": status.question.rule,
            "question": status.question.text,
            "batch": status.batch.hex(),
        }
        shown += 1
        if as_json:
            print_json(told)
            continue
        asked = f": {told['question']} [{told['rule']}]" if told["rule"] else ""
        amount = f" {presentation.amount(outcome.amount, 100)} {outcome.loan.currency}" if outcome.amount else ""
        words = [str(told[name]) for name in ("state", "outcome", "stage", "event_date") if told[name]]
        console.print(f"{' '.join(words)}{amount}{asked}", markup=False)
    return shown


def _word(state: int) -> str:
    return lending_pb2.ReportState.Name(state).removeprefix("REPORT_STATE_").lower()
