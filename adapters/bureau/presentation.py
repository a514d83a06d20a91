"""Reports and states as tables for people. Reads the same dictionaries that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from adapters.bureau.building import kind_word
from adapters.bureau.comparison import loss
from adapters.bureau.quality import lost_of
from audit.envelope import Opened
from xinyi.terminal import console, table
from xinyi.v1 import edition_pb2, records_pb2
from xinyi.v1 import publication_service_pb2 as pb

_OUTCOMES = ("accepted", "warned", "quarantined", "rejected", "withheld")
_ORGANISATIONS_SHOWN = 10


def show_report(report: Mapping[str, Any], *, mend: str = "") -> None:
    """The quality report of a table or of an edition."""
    source = report["source"]
    console.print(
        f"{source['file']}: {source['size_bytes']:,} bytes, {source['encoding']} ({source['encoding_known']}), "
        f"profile {source['profile']}, SHA-256 {source['sha256']}",
        markup=False,
    )
    table(
        "What the identifiers are",
        ["identifiers", "rows", *_OUTCOMES],
        [
            [group["what"], f"{group['rows']:,}", *(_count(group["outcomes"][word]) for word in _OUTCOMES)]
            for group in report["identifiers"]
        ]
        + [["all", f"{report['rows']:,}", *(_count(report["outcomes"][word]) for word in _OUTCOMES)]],
    )
    repeated = report["repeated"]
    table(
        "Identifiers that occur more than once",
        ["what", "count"],
        [
            ["identifiers", repeated["identifiers"]],
            ["their rows", repeated["rows"]],
            ["of them with all rows wholly identical", repeated["all_identical"]],
            ["of them with at least two rows wholly identical", repeated["some_identical"]],
            ["became one record that keeps every name and tax office", repeated["became_one_record"]],
            ["quarantined, because their rows contradict each other", repeated["quarantined"]],
        ],
    )
    if report["rules"]:
        table(
            "Rules",
            ["rule", "outcome", "rows", "what it says", "first rows"],
            [
                [r["rule"], r["outcome"], f"{r['rows']:,}", r["says"], ", ".join(map(str, r["first_rows"]))]
                for r in report["rules"]
            ],
        )
    _show_organisations(report["organisations"])
    show_comparison(report.get("comparison"))
    grades = ", ".join(f"{count:,} of grade {grade}" for grade, count in report["grades"].items())
    console.print(
        f"{report['records']:,} records ({grades or 'no grades'}); {report['merged']:,} rows merged into others"
    )
    if "state" in report:
        _show_state(report)
    if mend:
        console.print(f"Rows to mend: {mend}", markup=False)


def _show_state(report: Mapping[str, Any]) -> None:
    """What an edition comes to; a table that is only inspected comes to nothing yet."""
    state = report["state"]
    same = "the same as before" if state["same_as_before"] else "not the same as before"
    compared = f"{same} by the state root" if report["sequence"] > 1 else "the first; state root"
    console.print(
        f"{report['kind']}: {report['gone']:,} of these gone, {report['kept']:,} taxpayers keep their record and "
        f"{report['lost']:,} lose it for want of a decision; {state['records']:,} records stand now, {compared} "
        f"{state['root']}"
    )


def _show_organisations(groups: list[list[str]]) -> None:
    if not groups:
        return
    console.print(f"{len(groups):,} organisations stand under more than one identifier; nothing was merged:")
    for group in groups[:_ORGANISATIONS_SHOWN]:
        console.print("  " + "  ".join(group), markup=False)
    if len(groups) > _ORGANISATIONS_SHOWN:
        console.print(f"  … all {len(groups):,} stand in the report (--json)")


def show_comparison(comparison: Mapping[str, int] | None) -> None:
    if comparison is None:
        console.print("No comparison with a preceding edition.")
        return
    table("Compared with the preceding edition", list(comparison), [[f"{n:,}" for n in comparison.values()]])


def show_manifest(status: pb.EditionStatus, opened: Opened[edition_pb2.Manifest]) -> None:
    """What is sealed, and so what an approver approves."""
    manifest = opened.message
    quality = manifest.quality
    correction = {"corrects": manifest.corrects, "reason": manifest.reason} if manifest.corrects else {}
    table(
        "Sealed by the publisher, verified here under pinned keys",
        ["what", "value"],
        [
            ["manifest digest", opened.digest],
            ["state, as the gateway tells it", status.state],
            ["published by", manifest.issued_by],
            ["issued at", time_words(manifest.issued_at_ms)],
            ["product, period", f"{manifest.product}, {manifest.period.year}-{manifest.period.month:02d}"],
            ["edition number", manifest.sequence],
            ["predecessor", manifest.predecessor or "none"],
            ["kind", kind_word(manifest.kind)],
            *(list(pair) for pair in correction.items()),
            ["records", f"{manifest.record_count:,}, of these gone {manifest.gone_count:,}"],
            ["grades", ", ".join(f"{_grade(c.grade)} {c.records:,}" for c in manifest.grade_counts)],
            ["root", manifest.root],
            ["records that stand", f"{manifest.state_count:,}"],
            ["taxpayers gone since the edition before", loss(manifest) or "nothing stood before, or was compared"],
            ["state root", manifest.state_root],
            ["rows that decide nothing: records kept", f"{quality.kept:,}"],
            ["rows that decide nothing: records lost", f"{lost_of(quality):,}"],
            ["source file", f"{manifest.source.sha256.hex()}, {manifest.source.size_bytes:,} bytes"],
            ["rows", f"{quality.rows:,}, of these merged {quality.merged:,}"],
            *([word, f"{getattr(quality, word):,}"] for word in _OUTCOMES),
        ],
    )
    if quality.rules:
        rows = [[rule.rule, _outcome(rule.outcome), f"{rule.rows:,}"] for rule in quality.rules]
        table(f"Rules ({quality.rule_set})", ["rule", "outcome", "rows"], rows)
    show_comparison(comparison_of(manifest))


def comparison_of(manifest: edition_pb2.Manifest) -> dict[str, int] | None:
    if not manifest.HasField("comparison"):
        return None
    return {f.name: getattr(manifest.comparison, f.name) for f in manifest.comparison.DESCRIPTOR.fields}


def show_statuses(editions: list[dict[str, Any]]) -> None:
    table(
        "Editions",
        ["edition", "product", "period", "no.", "kind", "state", "records", "gone", "standing", "manifest"],
        [
            (
                *(e["manifest"][:16], e["product"], e["period"], e["sequence"], e["kind"], e["state"]),
                *(f"{e[count]:,}" for count in ("records", "gone", "standing")),
                e["problem"] or "verified",
            )
            for e in editions
        ],
    )
    deliveries = [(e, delivery) for e in editions for delivery in e["deliveries"]]
    if deliveries:
        table(
            "Deliveries",
            ["edition", "recipient", "ground", "channel", "state", "attempts", "receipts"],
            [
                [
                    *(e["manifest"][:16], d["recipient"], d["ground"], d["channel"], d["state"], d["attempts"]),
                    _receipts(d),
                ]
                for e, d in deliveries
            ],
        )


def _receipts(delivery: Mapping[str, Any]) -> str:
    words = {"true": "verified", "unknown": "cannot be verified", "false": "FALSE"}
    lines = [
        f"{r['stage']} {time_words(r['signed_at_ms'])} {words[r['verdict']]}{': ' + r['why'] if r['why'] else ''}"
        for r in delivery["receipts"]
    ]
    return "\n".join(lines) or delivery["last_error"] or "none yet"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _grade(number: int) -> str:
    return records_pb2.Grade.Name(number).removeprefix("GRADE_")


def _outcome(number: int) -> str:
    return edition_pb2.RowOutcome.Name(number).removeprefix("ROW_OUTCOME_").lower()


def time_words(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
