"""The first quarter of 2018 in made-up rows of twelve banks, which come to the city's published figures."""

from __future__ import annotations

import random
from itertools import pairwise

from proto.vectors.make import uscc
from tests.lending import WAN, loan_row
from xinyi.v1 import lending_pb2, records_pb2

BANKS = [f"bank-{number:02d}" for number in range(1, 13)]
DIMENSIONS = ["district", "first-time", "grade", "guarantee", "industry", "product", "rate/435-600", "size/GXB300",
              "true-grade"]  # fmt: skip
#: Loans and fen: 126.23 亿元, of which 29.17 亿元 to small and micro enterprises.
LOANS, GRANTED = 1160, 126_23 * 100 * WAN
SMALL_LOANS, SMALL_GRANTED = 782, 29_17 * 100 * WAN

_GUARANTEES = (1, 1, 1, 2, 3, 3, 4, 5)


def quarter(seed: int = 2018) -> dict[str, list[lending_pb2.FirmLending]]:
    """Bank → its enterprises, one loan each."""
    chance = random.Random(seed)
    sizes = [*(("small", "micro")[n % 2] for n in range(SMALL_LOANS)), *("large", "medium") * 189]
    amounts = _parts(chance, SMALL_GRANTED, SMALL_LOANS) + _parts(
        chance, GRANTED - SMALL_GRANTED, LOANS - SMALL_LOANS
    )
    loans = list(zip(sizes, amounts, strict=True))
    chance.shuffle(loans)
    banks: dict[str, list[lending_pb2.FirmLending]] = {name: [] for name in BANKS}
    for number, (size, amount) in enumerate(loans):
        row = loan_row(number, amount, size=size)
        loan = row.loan
        loan.guarantee = chance.choice(_GUARANTEES)  # type: ignore[assignment]
        loan.industry = chance.choice("CCCFFGIM")
        loan.district = chance.choice(("990101", "990102", "990103"))
        loan.first_time = chance.choice((1, 2, 2))  # type: ignore[assignment]
        loan.annual_rate_bp = chance.randrange(400, 700)
        if chance.random() < 0.01:
            row.loan_class = lending_pb2.LOAN_CLASS_SUBSTANDARD
        firm = lending_pb2.FirmLending(
            taxpayer_id=uscc(number), identifier_kind=records_pb2.IDENTIFIER_KIND_USCC, rows=[row]
        )
        banks[BANKS[number % len(BANKS)]].append(firm)
    return banks


def _parts(chance: random.Random, whole: int, number: int) -> list[int]:
    """So many amounts of at least 10 万元 that come to the whole, to the fen."""
    least = 10 * WAN
    cuts = sorted(chance.randrange(whole - least * number) for _ in range(number - 1))
    bounds = [0, *cuts, whole - least * number]
    return [least + after - before for before, after in pairwise(bounds)]
