"""The catalogue of products, as data, and what an edition of a product must satisfy. Pure.

A product is a fixed field set, delivered whole. Thresholds are in basis points of all rows of the source;
an edition that misses one is HELD, and a person may release it with a stated reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit.entries import canonical_json
from xinyi.errors import Invalid
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

_GRADE_FIELDS = [
    "taxpayer_id",
    "identifier_kind",
    "names",
    "tax_offices",
    "evaluation_year",
    "grade",
    "decision_kind",
    "decided_on",
    "valid_from",
    "valid_to",
]

_THRESHOLDS_BP = {"rejected": 100, "quarantined": 200, "withheld": 500}

_CATALOGUE: list[dict[str, Any]] = [
    {
        "product": "grade-a",
        "version": 1,
        "enabled": 1,
        "disclosure_class": exchange_pb2.DISCLOSURE_CLASS_PUBLIC,
        "record_schema": "xinyi.v1.GradeRecord",
        "definition": {
            "title": "A 级纳税人名单 (list of A-grade taxpayers)",
            # 国家税务总局公告 2014 年第 40 号: the A list is published actively.
            "legal_basis": "published by law: 国家税务总局公告 2014 年第 40 号",
            "fields": _GRADE_FIELDS,
            "grades": ["A"],
            "thresholds_bp": _THRESHOLDS_BP,
        },
    },
    {
        "product": "grade-all",
        "version": 1,
        # Whether B, M, C and D may go out in bulk differs by province: a person switches this on.
        "enabled": 0,
        "disclosure_class": exchange_pb2.DISCLOSURE_CLASS_AGREEMENT,
        "record_schema": "xinyi.v1.GradeRecord",
        "definition": {
            "title": "纳税信用评价结果 (all grades)",
            "legal_basis": "cooperation agreement: 税总发〔2015〕96号, 税总发〔2019〕113号",
            "fields": _GRADE_FIELDS,
            "grades": ["A", "B", "M", "C", "D", "UNRATED", "CANCELLED"],
            "thresholds_bp": _THRESHOLDS_BP,
        },
    },
]


def catalogue() -> list[dict[str, Any]]:
    """Rows of the products table as a new gateway begins."""
    return [product | {"definition": canonical_json(product["definition"])} for product in _CATALOGUE]


def check_grades(definition: Mapping[str, Any], counts: Mapping[int, int]) -> None:
    """Raises Invalid where records carry a grade that is not of this product.

    Args:
        counts: grade number → records.
    """
    allowed = {records_pb2.Grade.Value(f"GRADE_{name}") for name in definition.get("grades", ())}
    foreign = sorted(grade for grade, records in counts.items() if records and grade not in allowed)
    if foreign:
        names = ", ".join(records_pb2.Grade.Name(grade).removeprefix("GRADE_") for grade in foreign)
        raise Invalid(f"records of grade {names} do not belong to this product", basis="product.grades")


def quality_shortfall(definition: Mapping[str, Any], quality: edition_pb2.Quality) -> str:
    """Why an edition must be held, or "" where its sealed counts satisfy the product's thresholds."""
    if not quality.rows:
        return "the source has no rows"
    missed = [
        f"{outcome} rows: {100 * count / quality.rows:.2f} %, at most {limit / 100:.2f} %"
        for outcome, limit in sorted(definition["thresholds_bp"].items())
        if (count := getattr(quality, outcome)) * 10_000 > limit * quality.rows
    ]
    return "; ".join(missed)
