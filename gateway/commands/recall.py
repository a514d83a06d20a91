"""recall list."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.commands import HomeOption, JsonOption
from xinyi.terminal import print_json, program, table

app = program("Corrections, and whether everybody who took what was wrong has confirmed them.")


@app.command("list")
def list_recalls(home: HomeOption, as_json: JsonOption = False) -> None:
    """Every CORRECTION by recipient: told, confirmed, or still open, and since when.

    Example: xinyi-gateway recall list --json
    """
    from gateway.office.inspection import read
    from gateway.store import deliveries

    rows = read(home, deliveries.list_recalls)
    if as_json:
        return print_json(rows)
    columns = ["product", "period", "number", "correction", "recipient", "recall", "delivery", "since"]
    return table(
        "",
        columns,
        [
            [
                row["product"],
                f"{row['year']}-{row['month']:02d}",
                row["sequence"],
                row["correction"].hex()[:16],
                row["recipient"],
                row["state"] + (" (stopped)" if row["edition_state"] == "STOPPED" else ""),
                row["delivery_state"],
                datetime.fromtimestamp(row["changed_at_ms"] / 1000, UTC).isoformat(timespec="seconds"),
            ]
            for row in rows
        ],
    )
