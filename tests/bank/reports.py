"""Generated loans for tests of a bank's report, as reading gives them."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from adapters.bank.lending.reading import LoanLine
from proto.vectors.make import uscc
from xinyi.v1 import edition_pb2, lending_pb2, records_pb2

SIZES = ("micro", "small", "medium", "large")


def loan_lines(count: int, seed: int = 1, firms: int = 0) -> list[LoanLine]:
    """Loans and refusals of made-up enterprises, some with several. Args: firms — how many there are to draw from."""
    chance = random.Random(seed)
    return [loan_line(number, chance, firms or -(-count * 3 // 4)) for number in range(1, count + 1)]


def loan_line(number: int, chance: random.Random, firms: int) -> LoanLine:
    loan = lending_pb2.Loan(
        reference=f"L-{number:07d}",
        product=chance.choice(("tax-loan", "working-capital")),
        guarantee=chance.randrange(6),  # type: ignore[arg-type]
        sizes=[lending_pb2.SizeClass(definition="GXB300", size=chance.choice(SIZES))],
        industry=chance.choice(("", "C", "F")),
        district=chance.choice(("990100", "990102")),
        first_time=chance.randrange(3),  # type: ignore[arg-type]
        annual_rate_bp=chance.randrange(300, 800),
        currency="CNY",
    )
    if chance.random() < 0.8:
        loan.reliance.CopyFrom(
            lending_pb2.Reliance(
                manifest_digest=b"\1" * 32, blinded_key=b"\2" * 32, commitment=b"\3" * 32,
                grade=chance.choice((records_pb2.GRADE_A, records_pb2.GRADE_B)), evaluation_year=2017,
            )
        )  # fmt: skip
    row = lending_pb2.LoanRow(loan=loan)
    if chance.random() < 0.1:
        row.refused = True
    else:
        # 10 to 5,000 万元 each, in fen.
        row.newly_granted, row.granted = True, chance.randrange(10_000_000, 5_000_000_000)
        row.balance = chance.randrange(row.granted + 1)
        row.loan_class = chance.choice((1, 1, 1, 2, 3))
    return LoanLine(number + 1, uscc(chance.randrange(firms)), records_pb2.IDENTIFIER_KIND_USCC, row)


@dataclass
class Given:
    """Rows as a source gives them."""

    lines: Sequence[LoanLine]
    name: str = "loans.csv"
    left_out: list[tuple[int, str]] = field(default_factory=list)

    def __iter__(self) -> Iterator[LoanLine]:
        return iter(self.lines)

    def leave_out(self, line: int, rule: str) -> None:
        self.left_out.append((line, rule))

    def source(self) -> edition_pb2.SourceFile:
        return edition_pb2.SourceFile(
            sha256=hashlib.sha256(self.name.encode()).digest(), size_bytes=1, encoding="utf-8",
            profile_sha256=b"\5" * 32,
        )  # fmt: skip

    def rules(self) -> Iterable[edition_pb2.RuleCount]:
        counts = Counter(rule for _, rule in self.left_out)
        return [
            edition_pb2.RuleCount(rule=rule, outcome=edition_pb2.ROW_OUTCOME_REJECTED, rows=rows)
            for rule, rows in sorted(counts.items())
        ]
