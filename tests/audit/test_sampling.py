"""Samples: drawn by a seed alone, each row as likely as another, and what they tell is what they find."""

from __future__ import annotations

import hashlib
from itertools import combinations
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.sampling import chance_of_finding, draw, fewest_found
from xinyi.errors import Invalid


def seed(number: int) -> bytes:
    return hashlib.sha256(b"test" + number.to_bytes(4, "big")).digest()


@given(st.binary(min_size=32, max_size=32), st.integers(1, 80), st.integers(1, 200))
def test_a_draw_is_of_different_places_and_the_same_each_time(key: bytes, count: int, size: int) -> None:
    places = draw(key, count, size)
    assert len(set(places)) == len(places) == min(count, size)
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] < size
    assert places == draw(key, count, size)


def test_a_draw_is_the_definition_s() -> None:
    """So that a program in any language draws the same rows."""
    words = [
        int.from_bytes(hashlib.sha256(b"xinyi/sample/1\0" + seed(1) + n.to_bytes(8, "big")).digest()[:8], "big")
        for n in range(100)
    ]
    wanted: list[int] = []
    for word in words:
        if word % 1000 not in wanted and len(wanted) < 20:
            wanted.append(word % 1000)
    assert draw(seed(1), 20, 1000) == sorted(wanted)


def test_each_row_is_as_likely_as_another() -> None:
    """Chi-squared over 10 places of 2,000 draws of 3; the bound is passed once in a million."""
    hits = [0] * 10
    for number in range(2000):
        for place in draw(seed(number), 3, 10):
            hits[place] += 1
    assert sum((hit - 600) ** 2 / 600 for hit in hits) < 45


@pytest.mark.parametrize(("wrong", "count", "size"), [(1, 3, 8), (2, 3, 8), (3, 4, 9), (0, 4, 9), (9, 1, 9)])
def test_the_chance_is_the_share_of_all_samples_that_find_one(wrong: int, count: int, size: int) -> None:
    every = list(combinations(range(size), count))
    finding = sum(any(place < wrong for place in sample) for sample in every)
    assert len(every) == comb(size, count)
    assert chance_of_finding(wrong, count, size) == pytest.approx(finding / len(every))


@pytest.mark.parametrize(("wrong", "count"), [(1, 50), (5, 60), (20, 59)])
def test_a_thousand_seeds_find_as_often_as_is_stated(wrong: int, count: int) -> None:
    size, runs = 500, 1000
    stated = chance_of_finding(wrong, count, size)
    found = sum(any(place < wrong for place in draw(seed(n), count, size)) for n in range(runs))
    assert abs(found / runs - stated) < 5 * sqrt(stated * (1 - stated) / runs)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_how_many_rows_and_how_small_an_error_answer_each_other(size: int, wrong: int, confidence: float) -> None:
    wrong = min(wrong, size)
    needed = next(count for count in range(1, size + 1) if chance_of_finding(wrong, count, size) >= confidence)
    assert fewest_found(confidence, needed, size) <= wrong
    assert needed == 1 or fewest_found(confidence, needed - 1, size) > wrong


def test_what_cannot_be_drawn_is_refused() -> None:
    for key, count, size in ((b"short", 1, 1), (seed(1), 0, 1), (seed(1), 1, 0)):
        with pytest.raises(Invalid):
            draw(key, count, size)
    with pytest.raises(Invalid):
        chance_of_finding(3, 1, 2)
    with pytest.raises(Invalid):
        fewest_found(1.0, 1, 2)
