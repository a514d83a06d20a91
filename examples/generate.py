"""A made-up city's list of A-grade taxpayers, as a tax bureau's system would export it: CSV in GB18030.

    python -m examples.generate city.csv --rows 321680 --seed 1

No enterprise in it exists: the division code 990100 belongs to no place. Every USCC has its correct check
character and a correct organisation code inside. The same rows and seed give the same bytes.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from xinyi.identifiers import organisation_check_character, uscc_check_character

HEADINGS = ("纳税人识别号", "纳税人名称", "评价年度", "纳税信用级别", "主管税务机关")
#: Divisions of the made-up city; no code of GB/T 2260 begins with 99.
DISTRICTS = {
    "990101": "示例市新城区",
    "990102": "示例市河东区",
    "990103": "示例市湖滨区",
    "990104": "示例市高新技术产业开发区",
    "990121": "示例市云岭县",
    "990122": "示例市平川县",
}
_FIRST = "华盛宏泰恒瑞鑫达永兴嘉诚信德安康智远博创中联新天海蓝星光明金龙祥和顺通广源"
_SECOND = "程昌利丰业隆升腾飞翔宇辉扬美佳杰锐卓越凯旋世纪方圆未来时代"
_TRADES = (
    "商贸", "建筑工程", "信息技术", "物流", "机械制造", "食品", "医药", "环保科技", "电子", "农业开发", "餐饮管理",
    "房地产开发", "汽车销售", "装饰设计", "新材料", "教育咨询",
)  # fmt: skip
_FORMS = ("有限公司", "有限责任公司", "股份有限公司", "有限公司分公司", "厂", "专业合作社")
_BLOCK = 10_000


def rows(count: int, seed: int) -> Iterator[tuple[str, str, str, str, str]]:
    """`count` different taxpayers."""
    chance = random.Random(seed)
    offices = [
        (division, f"国家税务总局{name}税务局第{n}税务所")
        for division, name in DISTRICTS.items()
        for n in "一二三四五六七八"
    ]
    # A full cycle through all eight-digit codes: none comes twice.
    step, at = 48_271_193, seed * 7_919 % 100_000_000
    for number in range(count):
        at = (at + step) % 100_000_000
        organisation = f"{at:08d}"
        division, office = chance.choice(offices)
        head = "91" + division + organisation + organisation_check_character(organisation)
        name = (
            f"示例{chance.choice(_FIRST)}{chance.choice(_SECOND)}"
            f"{chance.choice(_TRADES)}{number % 10_000:04d}号{chance.choice(_FORMS)}"
        )
        yield head + uscc_check_character(head), name, "2018", "A", office


def write(path: Path, count: int, seed: int) -> None:
    """Writes the list, block by block."""
    with path.open("w", encoding="gb18030", newline="") as file:
        file.write(",".join(HEADINGS) + "\r\n")
        lines = []
        for row in rows(count, seed):
            lines.append(",".join(row))
            if len(lines) == _BLOCK:
                file.write("\r\n".join(lines) + "\r\n")
                lines.clear()
        file.writelines(line + "\r\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=321_680, help="taxpayers (default: a large city's 321,680)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if not 1 <= arguments.rows <= 100_000_000:
        sys.exit("--rows: 1 to 100,000,000")
    write(arguments.file, arguments.rows, arguments.seed)


if __name__ == "__main__":
    main()
