"""The catalogue of products: TOML files in, rows through the door, TOML out again to be changed."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.exchange import Exchange
from gateway.rules.products import check_follows, product_row
from gateway.store import parties, tables
from xinyi.errors import Conflict, Invalid, Unknown
from xinyi.v1 import exchange_pb2

SHIPPED = Path(__file__).parent / "products"


def read(path: Path) -> dict[str, Any]:
    """The row that a product's file describes, switched off. Raises Invalid."""
    try:
        return product_row(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not TOML: {error}", basis="product.definition") from error


def shipped() -> list[dict[str, Any]]:
    """What a new gateway begins with. On is only what is public by law; the rest a person switches on."""
    rows = [read(path) for path in sorted(SHIPPED.glob("*.toml"))]
    public = exchange_pb2.DISCLOSURE_CLASS_PUBLIC
    return [row | {"enabled": int(row["disclosure_class"] == public)} for row in rows]


def to_toml(row: Mapping[str, Any]) -> str:
    """The file that `read` reads as this row."""
    definition = json.loads(row["definition"])
    thresholds = definition.pop("thresholds_bp")
    word = exchange_pb2.DisclosureClass.Name(row["disclosure_class"]).removeprefix("DISCLOSURE_CLASS_")
    values = {
        "product": row["product"],
        "version": row["version"],
        "disclosure_class": word.lower(),
        "record_schema": row["record_schema"],
        **definition,
    }
    # Strings, numbers and lists of strings are the same in JSON and in TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    lines += [
        "",
        "[thresholds_bp]",
        *(f"{outcome} = {limit}" for outcome, limit in sorted(thresholds.items())),
    ]
    return "\n".join(lines) + "\n"


def add(x: Exchange, row: Mapping[str, Any], actor: str) -> None:
    """Enters a product, switched off. Raises Conflict where it is known."""
    if parties.find_product(x.conn, row["product"]) is not None:
        raise Conflict(f"{row['product']} is in the catalogue: change it", basis="product.known")
    _write(x, row, "product.added", actor)


def change(x: Exchange, row: Mapping[str, Any], actor: str) -> None:
    """The next version of a product, which stays on or off. Editions published before stay as they are.

    Raises Unknown, Conflict.
    """
    known = _find(x, row["product"])
    check_follows(row, known)
    _write(x, {**row, "enabled": known["enabled"]}, "product.changed", actor)


def switch(x: Exchange, product: str, enabled: bool, actor: str) -> None:
    """Raises Unknown, Conflict."""
    row = _find(x, product)
    if bool(row["enabled"]) == enabled:
        raise Conflict(f"{product} is {'on' if enabled else 'off'} already", basis="product.enabled")
    _write(x, row | {"enabled": int(enabled)}, "product.enabled" if enabled else "product.disabled", actor)


def _find(x: Exchange, product: str) -> dict[str, Any]:
    row = parties.find_product(x.conn, product)
    if row is None:
        raise Unknown(f"there is no product {product}", basis="product.unknown")
    return dict(row)


def _write(x: Exchange, row: Mapping[str, Any], word: str, actor: str) -> None:
    x.replace(tables.products, dict(row))
    x.log(word, actor=actor, product=row["product"], detail=f"version {row['version']}")
