"""Loans of made-up banks to made-up firms, as a bank's own system would export them: CSV in GB18030.

    python -m examples.lending bank-1.csv --bank 1 --period 2018-Q1

Twelve banks together grant what the city's banks granted in the first quarter of 2018: 1,160 loans of 126.23 亿元, of
these 782 of 29.17 亿元 to small and micro enterprises. Which bank granted which of them to whom is made up, and so are
the firms: they are the first of `examples.generate.rows` with seed FIRMS_SEED. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

from examples import generate
from xinyi import lending
from xinyi.v1 import lending_pb2

BANKS = 12
FIRMS, FIRMS_SEED = 1_500, 2018
#: Newly granted, and what was disbursed, in fen: small and micro enterprises, and others.
SMALL_LOANS, SMALL_GRANTED = 782, 291_700_000_000
OTHER_LOANS, OTHER_GRANTED = 1_160 - 782, 1_262_300_000_000 - 291_700_000_000
#: Besides what is new, each bank has loans of earlier quarters and applications it refused.
OLDER, REFUSED = 40, 12

HEADINGS = (
    "借据编号", "统一社会信用代码", "产品", "担保方式", "企业规模", "普惠口径", "行业门类", "行政区划", "首贷户",
    "年利率", "期限", "机构号", "纳税信用级别", "放款日期", "拒贷日期", "放款金额", "贷款余额", "五级分类",
)  # fmt: skip
#: Of single loans.
EVENTS = (
    "事件编号", "更正事件编号", "借据编号", "统一社会信用代码", "阶段", "发生日期", "发生金额", "余额", "授信额度",
    "五级分类", "逾期天数", "拒贷原因", "产品", "担保方式", "企业规模", "行业门类", "行政区划", "年利率", "期限",
    "机构号", "放款日期", "纳税信用级别", "授权书摘要", "授权生效日", "授权到期日",
)  # fmt: skip
SMALL = ("小型", "微型")
_GUARANTEES = ("信用", "保证", "抵押", "质押", "组合")
_CLASSES = ("正常",) * 30 + ("关注",) * 4 + ("次级", "次级", "可疑", "损失")


@dataclass(frozen=True)
class Loan:
    """A row of the export."""

    reference: str
    firm: generate.Row
    size: str
    #: Of the grant, or of the refusal.
    day: date
    #: Fen. Of a loan of an earlier period, too.
    granted: int
    balance: int
    loan_class: str
    refused: bool
    rate_bp: int
    term: int
    guarantee: str
    industry: str
    first: bool
    branch: str

    def counts(self, period: lending_pb2.LendingPeriod) -> bool:
        """Whether it is newly granted in a period."""
        return not self.refused and lending.first_day(period) <= self.day <= lending.last_day(period)

    def in_wan(self) -> Loan:
        """As an export would have it whose amounts are in 万元, under a heading that says nothing of it."""
        return replace(self, granted=self.granted // 10_000, balance=self.balance // 10_000)

    def cells(self) -> tuple[str, ...]:
        product = "税易贷" if self.guarantee == "信用" else "流动资金贷款"
        size = (self.size, "是" if self.size in SMALL else "否")
        about = (self.industry, self.firm[0][2:8], "是" if self.first else "否", f"{self.rate_bp / 100:.2f}")
        day = self.day.isoformat()
        booked = (yuan(self.granted), yuan(self.balance), self.loan_class)
        ended = ("", day, "", "", "") if self.refused else (day, "", *booked)
        told = (self.reference, self.firm[0], product, self.guarantee)
        return (*told, *size, *about, str(self.term), self.branch, "A级", *ended)


def yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"


def firms() -> list[generate.Row]:
    """Everybody who borrows, or tries to."""
    return list(islice(generate.rows(FIRMS, FIRMS_SEED), FIRMS))


def loans(
    bank: int, period: lending_pb2.LendingPeriod, everybody: Sequence[generate.Row] | None = None
) -> list[Loan]:
    """One bank's export for a period. Args: bank — 1 to 12; everybody — who borrows, `firms` where left out."""
    everybody = firms() if everybody is None else everybody
    chance = random.Random(bank * 1_000_003 + period.year * 12 + period.month)
    first, last = lending.first_day(period), lending.last_day(period)
    days = (last - first).days
    made: list[Loan] = []

    def add(size: str, granted: int, on: date, *, refused: bool = False) -> None:
        older = on < first
        amount = granted or chance.randrange(20_000_000, 900_000_000)
        loan_class = "" if refused else chance.choice(_CLASSES) if older else "正常"
        made.append(
            Loan(
                reference=f"B{bank:02d}-{period.year}{period.month:02d}-{len(made) + 1:05d}",
                firm=chance.choice(everybody),
                size=size,
                day=on,
                granted=0 if refused else amount,
                balance=0 if refused else amount - amount // 10 * chance.randrange(3),
                loan_class=loan_class,
                refused=refused,
                rate_bp=chance.randrange(350, 690),
                term=chance.choice((6, 12, 24, 36)),
                guarantee=chance.choice(_GUARANTEES),
                industry=chance.choice("ACEFGIM"),
                first=chance.random() < 0.2,
                branch=f"{bank:02d}{chance.randrange(1, 5):02d}",
            )
        )

    for granted in _share(SMALL_LOANS, SMALL_GRANTED, 1)[bank - 1 :: BANKS]:
        add(chance.choice(SMALL), granted, first + timedelta(chance.randrange(days + 1)))
    for granted in _share(OTHER_LOANS, OTHER_GRANTED, 2)[bank - 1 :: BANKS]:
        add(chance.choice(("大型", "中型")), granted, first + timedelta(chance.randrange(days + 1)))
    for _ in range(OLDER):
        add(chance.choice(("中型", *SMALL)), 0, first - timedelta(chance.randrange(1, 700)))
    for _ in range(REFUSED):
        add(chance.choice(SMALL), 0, first + timedelta(chance.randrange(days + 1)), refused=True)
    return made


def _share(parts: int, whole: int, seed: int) -> list[int]:
    """`whole` fen in so many amounts, none of them 0, most of them small, each a multiple of a yuan but the last."""
    chance = random.Random(seed)
    weights = [chance.lognormvariate(0, 0.8) for _ in range(parts)]
    total = sum(weights)
    amounts = [int(whole * weight / total) // 100 * 100 for weight in weights[:-1]]
    return [*amounts, whole - sum(amounts)]


def events(borrowers: Sequence[generate.Row], day: date) -> list[tuple[str, ...]]:
    """A loan of a day to each, in the columns of EVENTS, authorised for a year."""
    chance = random.Random(day.toordinal())
    until = day.replace(year=day.year + 1, day=min(day.day, 28)).isoformat()
    made = []
    for number, firm in enumerate(borrowers, 1):
        name, amount = f"{day.isoformat()}-{number:02d}", yuan(chance.randrange(20_000_000, 500_000_000))
        event = (f"E-{name}", "", f"C-{name}", firm[0], "放款", day.isoformat(), amount, amount, amount, "正常", "", "")
        loan = ("税易贷", "信用", chance.choice(SMALL), "C", firm[0][2:8], "4.35", "12", "0101", day.isoformat(), "A级")
        consent = (hashlib.sha256(f"authorisation {number}".encode()).hexdigest(), day.isoformat(), until)
        made.append((*event, *loan, *consent))
    return made


def write_events(path: Path, rows: Sequence[tuple[str, ...]], *, without: int) -> None:
    """Args: without — which of them has no authorisation, from 1."""
    lines = [row if number != without else (*row[:-3], "", "", "") for number, row in enumerate(rows, 1)]
    generate.write_rows(path, EVENTS, lines)


def write(path: Path, rows: Sequence[Loan]) -> None:
    generate.write_rows(path, HEADINGS, _lines(rows))


def _lines(rows: Sequence[Loan]) -> Iterator[generate.Row]:
    return (row.cells() for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--bank", type=int, choices=range(1, BANKS + 1), default=1)
    parser.add_argument("--period", default="2018-Q1")
    arguments = parser.parse_args()
    write(arguments.file, loans(arguments.bank, lending.parse_period(arguments.period)))


if __name__ == "__main__":
    main()
