"""A made-up city's list of A-grade taxpayers, as a tax bureau's system would export it: CSV in GB18030.

    python -m examples.generate city.csv --rows 321680 --seed 1
    python -m examples.generate next.csv --rows 321680 --seed 1 --month 2
    python -m examples.generate changes.csv --rows 321680 --seed 1 --month 2 --changes

The second file is the same city a month later, the third what changed in between, for `publish --changes`.

No enterprise in it exists: the division code 990100 belongs to no place. Every USCC has its correct check
character and a correct organisation code inside. The same arguments give the same bytes.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

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
_OFFICES = [
    (division, f"国家税务总局{name}税务局第{n}税务所")
    for division, name in DISTRICTS.items()
    for n in "一二三四五六七八"
]
#: In a file of changes, before the others.
CHANGE = "变更类型"
NEW, CHANGED, GONE = "新增", "变更", "移出"
#: Of the taxpayers whose row is another one a month later: a quarter each is new and gone, half have moved.
SHARE = 0.01

Row = tuple[str, ...]


def rows(count: int, seed: int) -> Iterator[Row]:
    """`count` different taxpayers."""
    chance = random.Random(seed)
    # A full cycle through all eight-digit codes: none comes twice.
    step, at = 48_271_193, seed * 7_919 % 100_000_000
    for number in range(count):
        at = (at + step) % 100_000_000
        organisation = f"{at:08d}"
        division, office = chance.choice(_OFFICES)
        head = "91" + division + organisation + organisation_check_character(organisation)
        name = (
            f"示例{chance.choice(_FIRST)}{chance.choice(_SECOND)}"
            f"{chance.choice(_TRADES)}{number % 10_000:04d}号{chance.choice(_FORMS)}"
        )
        yield head + uscc_check_character(head), name, "2018", "A", office


def month(count: int, seed: int, number: int, share: float = SHARE) -> Iterator[Row]:
    """The city's list in a month, from 1 on."""
    return (now for _, now in _two_months(count, seed, number, share) if now is not None)


def changes(count: int, seed: int, number: int, share: float = SHARE) -> Iterator[Row]:
    """What differs from the month before: how, then the row; of who is gone the row as it was. From month 2 on."""
    for before, now in _two_months(count, seed, number, share):
        if before is None and now is not None:
            yield NEW, *now
        elif before is not None and now is None:
            yield GONE, *before
        elif before != now and now is not None:
            yield CHANGED, *now


def _two_months(count: int, seed: int, number: int, share: float) -> Iterator[tuple[Row | None, Row | None]]:
    """Of every taxpayer there ever was its row in the month before, and in the month; None where it has none."""
    added = max(round(count * share / 4), 1)
    for place, row in enumerate(rows(count + added * (number - 1), seed)):
        joined = 1 if place < count else 2 + (place - count) // added
        before, now = None, row if joined == 1 else None
        for at in range(2, number + 1):
            before = now
            if at == joined:
                now = row
            elif now is not None:
                drawn = crc32(f"{seed}:{at}:{place}".encode()) / 2**32
                if drawn < share / 4:
                    now = None
                elif drawn < share * 3 / 4:
                    now = (*now[:-1], _OFFICES[crc32(f"{at}:{place}".encode()) % len(_OFFICES)][1])
        yield before, now


def write(path: Path, count: int, seed: int) -> None:
    """Writes the list of the first month."""
    write_rows(path, HEADINGS, rows(count, seed))


def write_rows(path: Path, headings: Iterable[str], lines: Iterable[Row]) -> None:
    """Block by block."""
    with path.open("w", encoding="gb18030", newline="") as file:
        file.write(",".join(headings) + "\r\n")
        block = []
        for row in lines:
            block.append(",".join(row))
            if len(block) == _BLOCK:
                file.write("\r\n".join(block) + "\r\n")
                block.clear()
        file.writelines(line + "\r\n" for line in block)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, default=321_680, help="taxpayers (default: a large city's 321,680)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--month", type=int, default=1, help="1 (default) to 120")
    parser.add_argument("--share", type=float, default=SHARE, help="rows that differ from month to month (0.01)")
    parser.add_argument("--changes", action="store_true", help="what differs from the month before alone")
    arguments = parser.parse_args()
    if not 1 <= arguments.rows <= 100_000_000:
        sys.exit("--rows: 1 to 100,000,000")
    if not 1 + arguments.changes <= arguments.month <= 120 or not 0 < arguments.share <= 1:
        sys.exit("--month: 1 to 120, of changes 2 to 120; --share: above 0, at most 1")
    of = arguments.rows, arguments.seed, arguments.month, arguments.share
    if arguments.changes:
        write_rows(arguments.file, (CHANGE, *HEADINGS), changes(*of))
    else:
        write_rows(arguments.file, HEADINGS, month(*of))


if __name__ == "__main__":
    main()
