"""recall list."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.commands import HomeOption, JsonOption
from xinyi.terminal import group, print_json, table

app = group("Corrections, and whether everybody who took what was wrong has confirmed them.")


@app.command("list")
def list_recalls(home: HomeOption, as_json: JsonOption = False) -> None:
    """Every CORRECTION by recipient: told, confirmed, or still open, and since when.

    Example: xinyi-gateway recall list --json
    """
    from gateway.office.inspection import read
    from gateway.store import deliveries

    rows = [
        {
            "product": row["product"],
            "period": f"{row['year']}-{row['month']:02d}",
            "sequence": row["sequence"],
            "correction": row["correction"],
            "edition_state": row["edition_state"],
            "recipient": row["recipient"],
            "state": row["state"],
            "delivery_state": row["delivery_state"],
            "since": datetime.fromtimestamp(row["changed_at_ms"] / 1000, UTC).isoformat(timespec="seconds"),
        }
        for row in read(home, deliveries.list_recalls)
    ]
    if as_json:
        return print_json(rows)
    columns = ["product", "period", "sequence", "edition_state", "recipient", "state", "delivery_state", "since"]
    return table("", columns, [[row[name] for name in columns] for row in rows])
