"""Entries, proofs and reports as people and machines read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.json_format import MessageToDict

from adapters.auditor.client import ShownEntry
from audit.envelope import digest
from audit.verification.findings import Report, Verdict
from xinyi import days
from xinyi.terminal import console, notices, print_json, table
from xinyi.v1 import exchange_pb2, log_pb2

_MARK = {Verdict.HOLDS: "[green]✓[/]", Verdict.FALSE: "[bold red]✗[/]", Verdict.UNDECIDED: "[yellow]?[/]"}


def time_of(milliseconds: int) -> str:
    return days.moment(milliseconds).isoformat(" ", "seconds")


def entry_json(shown: ShownEntry) -> dict[str, Any]:
    entry = shown.entry
    period = f"{entry.period.year}-{entry.period.month:02d}" if entry.HasField("period") else ""
    return {
        "index": shown.index,
        "leaf": shown.leaf,
        "kind": entry.kind,
        "recorded_at_ms": entry.recorded_at_ms,
        "actor": entry.actor,
        "counterparty": entry.counterparty,
        "product": entry.product,
        "period": period,
        "agreement_id": entry.agreement_id,
        "manifest_digest": entry.manifest_digest,
        "delivery_id": entry.delivery_id,
        "documents": [
            {"digest": digest(document).hex(), "type": document.payload_type} for document in shown.documents
        ],
        "record_count": entry.record_count,
        "channel": exchange_pb2.Channel.Name(entry.channel).removeprefix("CHANNEL_"),
        "code": entry.code,
        "detail": entry.detail,
    }


def entries_table(shown: Iterable[ShownEntry]) -> int:
    """Returns how many there were."""
    rows = [_row(one.index, one.entry) for one in shown]
    columns = ("index", "time", "kind", "actor", "to", "product", "period", "records", "detail")
    table("", columns, rows)
    return len(rows)


def _row(index: int, entry: log_pb2.LogEntry) -> tuple[object, ...]:
    period = f"{entry.period.year}-{entry.period.month:02d}" if entry.HasField("period") else ""
    return (
        index,
        time_of(entry.recorded_at_ms),
        entry.kind,
        entry.actor.removeprefix("xinyi://"),
        entry.counterparty,
        entry.product,
        period,
        entry.record_count or "",
        " ".join(filter(None, (entry.code, entry.detail))),
    )


def report_text(report: Report) -> None:
    """One line for each check, then every finding, then the verdict."""
    if head := report.notes.get("head"):
        console.print(f"head: {head['size']} leaves, root {head['root']}", markup=False)
    for check in report.checks.values():
        console.print(f"{_MARK[check.verdict]} {check.name:<11}{check.claim} ({check.examined} examined)")
    for check in report.checks.values():
        for finding in check.findings:
            console.print(f"{_MARK[finding.verdict]} {finding.verdict}: {finding.check}: ", end="")
            console.print(f"{finding.subject}: {finding.reason}", markup=False)
        if (more := check.false + check.undecided - len(check.findings)) > 0:
            console.print(f"  … and {more} more findings of {check.name}")
    for line in _consented(report.notes.get("consented")):
        console.print(line, markup=False)
    for line in _waiting(report.notes.get("open", {})):
        console.print(line, markup=False)
    for key in report.notes.get("keys_taken_from_log", []):
        notices.print(
            f"key of {key['holder']} as the log registers it (leaf {key['leaf']}): {key['fingerprint']}",
            markup=False,
        )
    console.print(f"[bold]{report.verdict}[/]")


def _consented(told: dict[str, Any] | None) -> Iterator[str]:
    """What nobody can compute from an export."""
    if told is not None:
        yield f"figures over rows with consent, in {told['versions']} versions: the gateway's word, not recomputed"
        for cell in told["above_tables"]:
            yield f"  {cell['cell']} of statistics {cell['statistics'][:16]}… is more than the tables come to"


def _waiting(still_open: dict[str, dict[str, dict[str, int]]]) -> Iterator[str]:
    """Who keeps whom waiting: open recalls by recipient, open objections by bureau, open challenges by bank."""
    for what, whose in (
        ("recalls", "not confirmed by"),
        ("objections", "not decided by"),
        ("challenges", "not answered by"),
    ):
        parties = still_open.get(what, {})
        count = sum(known["count"] for known in parties.values())
        yield f"open {what}: {count or 'none'}"
        for party, known in sorted(parties.items(), key=lambda one: (-one[1]["days"], one[0])):
            yield f"  {whose} {party}: {known['count']}, the oldest open for {known['days']} days"


def record_json(record: Any) -> dict[str, Any]:
    return MessageToDict(record, preserving_proto_field_name=True)


def show(value: dict[str, Any], *, as_json: bool) -> None:
    """A few named values."""
    if as_json:
        print_json(value)
        return
    for name, shown in value.items():
        text = shown.hex() if isinstance(shown, bytes) else shown
        console.print(f"{name.replace('_', ' ')}: {text}", markup=False)
