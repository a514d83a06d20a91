"""What a product is, and what an edition of it must satisfy. Pure.

A product is a fixed field set, delivered whole. Thresholds are in basis points of all rows of the source;
an edition that misses one is HELD, and a person may release it with a stated reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audit.entries import canonical_json
from xinyi.checks import RECORD_SCHEMA
from xinyi.errors import Conflict, Invalid
from xinyi.fields import is_text
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CLASS = "DISCLOSURE_CLASS_"
_CLASSES = {
    name.removeprefix(_CLASS).lower(): number
    for name, number in exchange_pb2.DisclosureClass.items()
    if number
}
_GRADES = [name.removeprefix("GRADE_") for name in records_pb2.Grade.keys()[1:]]
_FIELDS = [field.name for field in records_pb2.GradeRecord.DESCRIPTOR.fields if field.name != "gone"]
#: Fields that the contract wants in every record.
_ALWAYS = {"taxpayer_id", "identifier_kind", "names", "evaluation_year", "grade"}
_OUTCOMES = {"warned", "quarantined", "rejected", "withheld"}
_DEFINITION = ("title", "legal_basis", "fields", "grades", "thresholds_bp")
_KEYS = {"product", "version", "disclosure_class", "record_schema", *_DEFINITION}


def product_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row of the products table, switched off, that a product's TOML file describes.

    Raises Invalid, naming the key that is wrong.
    """
    _require(set(values) == _KEYS, "keys", f"missing or unknown: {', '.join(sorted(set(values) ^ _KEYS))}")
    name, version = values["product"], values["version"]
    _require(
        isinstance(name, str) and len(name) <= 64 and _NAME.fullmatch(name), "product", "lower-case words"
    )
    _require(type(version) is int and version >= 1, "version", "a number from 1 on")
    for key in ("title", "legal_basis"):
        _require(isinstance(values[key], str) and is_text(values[key], 200), key, "1 to 200 characters")
    disclosure = values["disclosure_class"]
    known = isinstance(disclosure, str) and disclosure in _CLASSES
    _require(known, "disclosure_class", f"one of {', '.join(_CLASSES)}")
    _require(values["record_schema"] == RECORD_SCHEMA, "record_schema", f"known: {RECORD_SCHEMA}")
    _check_words("fields", values["fields"], _FIELDS)
    _require(set(values["fields"]) >= _ALWAYS, "fields", f"always: {', '.join(sorted(_ALWAYS))}")
    _check_words("grades", values["grades"], _GRADES)
    _require(bool(values["grades"]), "grades", "at least one")
    thresholds = values["thresholds_bp"]
    _require(
        isinstance(thresholds, dict)
        and thresholds.keys() <= _OUTCOMES
        and all(type(limit) is int and 0 <= limit <= 10_000 for limit in thresholds.values()),
        "thresholds_bp",
        f"0 to 10000 for some of {', '.join(sorted(_OUTCOMES))}",
    )
    return {
        "product": name,
        "version": version,
        "enabled": 0,
        "disclosure_class": _CLASSES[disclosure],
        "record_schema": values["record_schema"],
        "definition": canonical_json({key: values[key] for key in _DEFINITION}),
    }


def _check_words(key: str, words: Any, known: Sequence[str]) -> None:
    holds = isinstance(words, list) and set(map(str, words)) <= set(known) and len(set(words)) == len(words)
    _require(holds, key, f"each once, of {', '.join(known)}")


def _require(holds: object, key: str, explanation: str) -> None:
    if not holds:
        raise Invalid(f"{key}: {explanation}", basis="product.definition")


def check_follows(row: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Raises Conflict unless a changed product has the next version: two changes at once are told apart."""
    if row["version"] != known["version"] + 1:
        raise Conflict(
            f"version {known['version']} of {known['product']} is in force: the next is "
            f"{known['version'] + 1}, not {row['version']}",
            basis="product.version",
        )


def check_schema(product: Mapping[str, Any], manifest: edition_pb2.Manifest) -> None:
    """Raises Invalid where the records of an edition are of another schema than the product's."""
    if manifest.record_schema != product["record_schema"]:
        raise Invalid(
            f"{product['product']} consists of {product['record_schema']}, not of {manifest.record_schema}",
            basis="product.record_schema",
        )


def check_fields(definition: Mapping[str, Any], present: Iterable[str]) -> None:
    """Raises Invalid where records say something that is not in the product's field set.

    Args:
        present: names of the fields that are set in any of them.
    """
    # That a taxpayer is gone belongs to every product.
    foreign = sorted(set(present).difference(definition.get("fields", ()), {"gone"}))
    if foreign:
        raise Invalid(f"{', '.join(foreign)}: not a field of this product", basis="product.fields")


def check_grades(definition: Mapping[str, Any], counts: Mapping[int, int]) -> None:
    """Raises Invalid where records carry a grade that is not of this product.

    Args:
        counts: grade number → records; those that are gone under 0.
    """
    allowed = {records_pb2.Grade.Value(f"GRADE_{name}") for name in definition.get("grades", ())}
    allowed.add(records_pb2.GRADE_UNSPECIFIED)
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
