"""What a sample showed, and with which confidence: as a machine reads it, and as a person does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapters.auditor.books import Comparison, amount_text
from audit.challenge import CONFIDENCES, Drawn, Verified
from audit.verification.findings import Verdict
from xinyi.lending import period_name
from xinyi.terminal import console
from xinyi.v1 import lending_pb2

#: What no sample of rows can show (docs/evidence-format.md).
NOT_SEEN = (
    "rows that the bank left out of its table: name loans from another source and look for them among its rows",
    "an enterprise that stands in two leaves of which one was not drawn",
)
_BOOKS = "whether the bank's books say what its rows say: look into them, and compare with --books"


def summary(drawn: Drawn) -> dict[str, Any]:
    """What was asked."""
    challenge = drawn.challenge
    return {
        "bank": drawn.table.bank,
        "period": period_name(drawn.table.period),
        "currency": drawn.table.currency,
        "table": drawn.table_digest,
        "challenge": drawn.challenge_digest,
        "by": lending_pb2.SampleUnit.Name(challenge.unit).removeprefix("SAMPLE_UNIT_").lower(),
        "drawn": len(drawn.units),
        "of": drawn.population,
        "due_on": challenge.due_on,
        "confidence": [
            {"confidence": confidence, "fewest": fewest, "share": fewest / drawn.population}
            for confidence in CONFIDENCES
            for fewest in (drawn.fewest_found(confidence),)
        ],
    }


def shown(drawn: Drawn, verified: Verified) -> dict[str, Any]:
    """What was opened, of how much. Amounts in hundredths of the currency's unit."""
    total, rows = drawn.table.margins[0].cells[0].sums, verified.rows
    return {
        "opened": {
            "rows": [len(rows), drawn.table.rows],
            "firms": [len(verified.firms), drawn.table.firms],
            "granted": [sum(row.granted for row in rows), total.granted],
            "balance": [sum(row.balance for row in rows), total.balance],
        },
        "grades_proven": verified.relied,
        "approved_after_period": verified.approved_after_period,
    }


def verdict_of(drawn: Drawn, verified: Verified, books: Comparison | None) -> dict[str, Any]:
    """The whole result of an opening that holds."""
    found = {**summary(drawn), **shown(drawn, verified), "findings": [], "not_seen": [*NOT_SEEN]}
    if books is None:
        found["not_seen"].append(_BOOKS)
        return {"verdict": Verdict.HOLDS, **found}
    undecided = [f"loan {loan} was opened, and is not in your file" for loan in books.unseen]
    undecided += [
        f"loan {loan} is in your file, and was not opened: if its borrower's leaf was, the bank left it out"
        for loan in books.unopened
    ]
    verdict = Verdict.FALSE if books.different else Verdict.UNDECIDED if undecided else Verdict.HOLDS
    found["findings"] = [*books.different, *undecided]
    return {"verdict": verdict, "books_same": books.same, **found}


def print_text(found: dict[str, Any]) -> None:
    def say(line: str) -> None:
        console.print(line, markup=False)

    if "bank" in found:
        say(f"table of {found['bank']} for {found['period']}: {found['drawn']} of {_units(found, found['of'])} drawn")
    if "opened" in found:
        for name, (part, whole) in found["opened"].items():
            text = amount_text if name in ("granted", "balance") else "{:,}".format
            say(f"{name} opened: {text(part)} of {text(whole)}")
        say(f"grades proven from their editions: {found['grades_proven']}")
        if late := found["approved_after_period"]:
            say(f"  {late} of them by an edition approved after the period's end: ask when the loan was made")
        for one in found["confidence"]:
            share = f"{one['share']:.2%}"
            say(
                f"an error in at least {_units(found, one['fewest'])} ({share}) would have been seen with "
                f"{one['confidence']:.0%} confidence"
            )
    for line in found["findings"]:
        say(f"✗ {line}")
    for line in found.get("not_seen", ()):
        say(f"not seen: {line}")
    console.print(f"[bold]{found['verdict']}[/]")


def _units(found: dict[str, Any], number: int) -> str:
    if found["by"] == "rows":
        return f"{number:,} rows"
    return f"{amount_text(number)} {found['currency']} of what was {'granted' if found['by'] == 'granted' else 'owed'}"


def failed(verdict: Verdict, reasons: Sequence[str], drawn: Drawn | None) -> dict[str, Any]:
    """The result where nothing can be said of the rows."""
    return {"verdict": verdict, "findings": list(reasons), **(summary(drawn) if drawn is not None else {})}
