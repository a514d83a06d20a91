"""A bank's loan file of any size, with the headings of the shipped profile `loans`: made-up enterprises of division
990100, several loans each, exact amounts. The floor of a report reads the same file.

    python -m bench.loans FILE ROWS
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

from xinyi import identifiers

HEADINGS = (
    "借据编号", "统一社会信用代码", "产品", "担保方式", "企业规模", "普惠口径", "行业门类", "行政区划", "首贷户",
    "年利率", "期限", "机构号", "纳税信用级别", "放款日期", "拒贷日期", "放款金额", "贷款余额", "五级分类",
)  # fmt: skip
#: Loans and refusals of an enterprise, on the mean.
_EACH = 1.4
_PRODUCTS = ("流动资金贷款", "税易贷", "固定资产贷款", "票据贴现")
_GUARANTEES = ("信用", "保证", "抵押", "质押", "组合")
_SIZES = ("大型", "中型", "小型", "微型", "微型", "小型")
_CLASSES = ("正常",) * 16 + ("关注", "次级", "可疑", "损失")


def _uscc(number: int) -> str:
    organisation = f"{number:08d}"
    code = f"91990100{organisation}{identifiers.organisation_check_character(organisation)}"
    return code + identifiers.uscc_check_character(code)


def write(path: Path, rows: int) -> None:
    chance = random.Random(1)
    firms = int(rows / _EACH)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        for number in range(rows):
            refused = chance.random() < 0.1
            granted = 0 if refused else chance.randrange(1_000_000, 2_000_000_000)
            balance = 0 if refused else granted * chance.randrange(1, 101) // 100
            day = f"2018-0{chance.randrange(1, 4)}-{chance.randrange(1, 29):02d}"
            size = chance.choice(_SIZES)
            writer.writerow(
                (
                    f"L-{number:09d}", _uscc(chance.randrange(firms)), chance.choice(_PRODUCTS),
                    chance.choice(_GUARANTEES), size, "是" if size == "微型" else "否",
                    chance.choice("ABCDEFGHIJKLMNOPQRS"), f"9901{chance.randrange(1, 13):02d}",
                    chance.choice("是否"), f"{chance.randrange(300, 800) / 100:.2f}", chance.choice((12, 24, 36)),
                    f"{chance.randrange(100):04d}", "", "" if refused else day, day if refused else "",
                    f"{granted // 100}.{granted % 100:02d}", f"{balance // 100}.{balance % 100:02d}",
                    "" if refused else chance.choice(_CLASSES),
                )
            )  # fmt: skip


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
