"""The shortest way from what a bank holds to the newest edition it can reach, against a search over all ways."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.editions import held_of, way
from xinyi.v1 import edition_pb2

FULL, DELTA, CORRECTION = (
    edition_pb2.EDITION_KIND_FULL,
    edition_pb2.EDITION_KIND_DELTA,
    edition_pb2.EDITION_KIND_CORRECTION,
)


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big") if number else b""


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Oldest first. Any of them may have been stopped after others built on it."""
    found = []
    for number in range(1, draw(st.integers(1, 9)) + 1):
        kind = FULL if number == 1 else draw(st.sampled_from([FULL, DELTA, DELTA, CORRECTION]))
        found.append(
            {
                "manifest_digest": digest(number),
                "sequence": number,
                "kind": kind,
                "record_count": draw(st.integers(0, 50)),
                "state": draw(st.sampled_from(["SUPERSEDED"] * 5 + ["STOPPED"])),
            }
        )
    return found


def searched(history: list[dict[str, Any]], held: int) -> tuple[int, int]:
    """(newest number that can be reached, fewest records to it), by trying every step from every place."""
    best = {held: 0}
    for edition in history:  # every step leads forward, so one pass in order finds all
        number = edition["sequence"]
        if edition["state"] == "STOPPED" or number == held:
            continue
        starts = [place for place in best if place < number] if edition["kind"] == FULL else [number - 1]
        costs = [best[place] + edition["record_count"] for place in starts if place in best and place >= held]
        if costs:
            best[number] = min([*costs, best.get(number, 1 << 30)])
    newest = max(best)
    return newest, best[newest]


@given(histories(), st.data())
def test_the_way_is_the_shortest_to_the_newest(history: list[dict[str, Any]], data: st.DataObject) -> None:
    """Every step can be taken, nothing stopped is on it, and no other way is shorter or leads further."""
    held = data.draw(st.integers(0, len(history)))
    taken = way(reversed(history), digest(held))
    by_digest = {edition["manifest_digest"]: edition for edition in history}
    at, records = held, 0
    for one in taken:
        edition = by_digest[one]
        assert edition["state"] != "STOPPED"
        assert edition["kind"] == FULL or edition["sequence"] == at + 1
        assert edition["sequence"] > at
        at, records = edition["sequence"], records + edition["record_count"]
    assert (at, records) == searched(history, held)


@given(histories(), st.sets(st.integers(1, 9)))
def test_what_a_recipient_can_build_on(history: list[dict[str, Any]], taken: set[int]) -> None:
    """The newest edition that it took together with all it rests on: a correction ahead of its time is none."""
    standing = set()
    for edition in history:
        number = edition["sequence"]
        if number in taken and (edition["kind"] == FULL or number - 1 in standing):
            standing.add(number)
    found = held_of(reversed(history), {digest(number) for number in taken})
    assert found == digest(max(standing, default=0))
