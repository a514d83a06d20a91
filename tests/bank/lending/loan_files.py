"""Loan files as a bank exports them, with made-up borrowers of division 990100."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import openpyxl

from proto.vectors.make import uscc

HEADINGS = (
    "借据编号", "统一社会信用代码", "产品", "担保方式", "企业规模", "普惠口径", "行业门类", "行政区划", "首贷户",
    "年利率", "期限", "机构号", "纳税信用级别", "放款日期", "拒贷日期", "放款金额", "贷款余额", "五级分类",
)  # fmt: skip
_PLAIN = {
    "产品": "税易贷", "担保方式": "信用", "企业规模": "小型", "普惠口径": "是", "行业门类": "C",
    "行政区划": "990102", "首贷户": "是", "年利率": "4.35", "期限": "12", "机构号": "0101", "纳税信用级别": "",
    "放款日期": "2018-02-03", "拒贷日期": "", "放款金额": "1000000.00", "贷款余额": "900000.5", "五级分类": "正常",
}  # fmt: skip


def loan(number: int, **cells: str) -> dict[str, str]:
    """A row; what is not told is as of any other loan."""
    own = {"借据编号": f"L-{number:06d}", "统一社会信用代码": uscc(number)}
    return {**own, **_PLAIN, **cells}


def write_csv(path: Path, rows: Sequence[Mapping[str, str]], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_xlsx(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(list(rows[0]))
    for row in rows:
        sheet.append(list(row.values()))
    book.save(path)
    return path


def write_sqlite(path: Path, rows: Sequence[Mapping[str, str]]) -> str:
    """The URL of a database with a table `loans`."""
    with sqlite3.connect(path) as connection:
        names = ", ".join(f'"{heading}" TEXT' for heading in rows[0])
        connection.execute(f"CREATE TABLE loans ({names})")
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO loans VALUES ({marks})", [tuple(row.values()) for row in rows])
    connection.close()
    return f"sqlite:///{path}"


_EVENT = {
    "更正事件编号": "", "阶段": "放款", "发生日期": "2018-03-01", "发生金额": "500000", "余额": "500000",
    "授信额度": "", "五级分类": "正常", "逾期天数": "", "拒贷原因": "", "产品": "税易贷", "担保方式": "信用",
    "企业规模": "小型", "行业门类": "C", "行政区划": "990102", "年利率": "4.35", "期限": "12", "机构号": "0101",
    "放款日期": "2018-03-01", "纳税信用级别": "", "授权生效日": "2018-01-01", "授权到期日": "2099-12-31",
}  # fmt: skip


def event(number: int, **cells: str) -> dict[str, str]:
    """A row of a consented loan's event for the profile loan-events; what is not told is as of any other."""
    own = {
        "事件编号": "", "借据编号": f"L-{number:06d}", "统一社会信用代码": uscc(number),
        "授权书摘要": f"{number:064x}",
    }  # fmt: skip
    return {**own, **_EVENT, **cells}
