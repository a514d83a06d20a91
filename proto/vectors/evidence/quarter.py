"""Vectors of what banks report: leaves of a table opened, samples, and the log of a quarter, good and changed."""

from __future__ import annotations

from typing import Any

from audit import challenge, envelope
from audit.lending_tree import SealedTable, opened_firm, verify_firm
from audit.sampling import draw
from audit.verification.procedure import verify as verify_export
from proto.vectors.evidence.bundles import in_folder, shown
from proto.vectors.evidence.cast import POLICY, SECOND_BANK, Case, case, flipped, seed
from proto.vectors.evidence.lending import FIRST, REPORTED, Quarter
from xinyi.v1 import lending_pb2

UNTRUE, REFUTED = "verification.digest", "verification.proof"


def _opened(index: int) -> lending_pb2.OpenedFirm:
    _, salt, record = FIRST.leaves[index]
    return opened_firm(index, salt, record, FIRST.proofs[index], FIRST.lanes)


def opened_firms() -> Case:
    """Single leaves of bank-1's table, before the table."""
    table = SealedTable.of(FIRST.table)

    def one(title: str, expected: str, opened: lending_pb2.OpenedFirm) -> Case:
        data = opened.SerializeToString(deterministic=True)
        return case(title, expected, lambda: verify_firm(table, opened), opened=data.hex())

    def other(**changes: Any) -> lending_pb2.OpenedFirm:
        opened = _opened(2)
        for name, value in changes.items():
            setattr(opened, name, value)
        return opened

    firm = lending_pb2.FirmLending.FromString(FIRST.leaves[2][2])
    firm.rows[0].granted *= 2
    doubled = other(record=firm.SerializeToString(deterministic=True))
    hidden, moved, sums, hash_ = (other() for _ in range(4))
    hidden.page[2].lanes[1].value -= 1
    moved.page[0].commitment, moved.page[1].commitment = moved.page[1].commitment, moved.page[0].commitment
    sums.path[0].sums = flipped(sums.path[0].sums, 0)
    hash_.path[0].hash = flipped(hash_.path[0].hash, 0)
    short, long = other(), other()
    del short.path[:]
    long.path.add(hash=seed("hash"), sums=bytes(FIRST.lanes.bytes))
    return {
        "table": REPORTED.SerializeToString(deterministic=True).hex(),
        "cases": [
            *(one(f"leaf {n}", "", _opened(n)) for n in (0, 2, 15, 16, len(FIRST.leaves) - 1)),
            one("an amount doubled", UNTRUE, doubled),
            one("another salt", UNTRUE, other(salt=seed("other"))),
            one("less counted than its rows add", REFUTED, hidden),
            one("two leaves of the page exchanged", REFUTED, moved),
            one("a sum beside the path changed", REFUTED, sums),
            one("a hash beside the path changed", REFUTED, hash_),
            one("a path too short", REFUTED, short),
            one("a path too long", REFUTED, long),
            one("another place in the page", UNTRUE, other(index=3)),
            one("a place beyond the table", REFUTED, other(index=len(FIRST.leaves))),
        ],
    }


def samples() -> Case:
    """The seed of a challenge, what is drawn by it, and how many units a table has."""
    named, root = envelope.digest(REPORTED), seed("root")
    made = challenge.seed(named, root)
    draws = [(made, 1, 1), (made, 3, 21), (made, 20, 21), (made, 30, 21), (seed("other"), 5, (1 << 63) - 1)]
    return {
        "seed": {"table": named.hex(), "root": root.hex(), "seed": made.hex()},
        "populations": {
            lending_pb2.SampleUnit.Name(unit): challenge.population(FIRST.table, unit)
            for unit in lending_pb2.SampleUnit.values()[1:]
        },
        "draws": [
            {"seed": by.hex(), "count": count, "size": size, "places": draw(by, count, size)}
            for by, count, size in draws
        ],
    }


def quarter() -> Case:
    """The export of the quarter, and of quarters in which one thing is told otherwise: whole files that differ."""
    files = Quarter().city().export()

    def one(title: str, verdict: str, failing: set[str], told: Quarter) -> Case:
        other = told.city().export()
        changes: dict[str, bytes | None] = dict.fromkeys(n for n in files if n not in other)
        changes |= {name: data for name, data in other.items() if files.get(name) != data}
        report: Any = in_folder(other, lambda place: verify_export(place, POLICY))
        found = {check.name: check.verdict.value for check in report.checks.values() if check.verdict != "holds"}
        assert (report.verdict, set(found)) == (verdict, failing), (title, report.verdict, report.findings)
        return {"case": title, "verdict": report.verdict.value, "checks": found, "changes": shown(changes)}

    return {
        "files": shown(dict(files)),
        "cases": [
            one("as it is", "holds", set(), Quarter()),
            one("one fen more in a statistic", "false", {"statistics"}, Quarter(more=1)),
            one("a cell of fewer than three enterprises is shown", "false", {"statistics"}, Quarter(shows=True)),
            one("a second table that does not name the first", "false", {"lending"}, Quarter(names=False)),
            one("two tables are held, of which neither names the other", "holds", set(), Quarter(wavers=True)),
            one("a held table is counted without an answer", "false", {"statistics"}, Quarter(answers=False)),
            one("a table is counted that was corrected", "false", {"statistics"}, Quarter(stale=True)),
            one("a version without its predecessor", "false", {"statistics"}, Quarter(predecessor=False)),
            one("a challenge with an older checkpoint", "false", {"challenges"}, Quarter(older=1)),
            one("a challenge answered by another bank", "false", {"challenges"}, Quarter(answering=SECOND_BANK)),
            one("a row of which the receipt does not tell", "false", {"lending", "records"}, Quarter(refused=0)),
            one("a row without authorisation is kept", "false", {"records"}, Quarter(unlawful=True)),
        ],
    }


