"""Whose statistics a party gets, and why a version does not stand any more. Pure.

Which figures may be published stands in `xinyi.suppression`, so that whoever gets them can compute it again.
"""

from __future__ import annotations

from collections.abc import Mapping

from xinyi.errors import NotEntitled
from xinyi.v1 import lending_pb2

#: A bank takes its own table away from what it is told: what is left must be that of two others at least.
FEWEST_BANKS = 3


def audience_of(kind: str, *, city_totals: bool) -> lending_pb2.Audience:
    """Whose statistics a party gets. Raises NotEntitled.

    Args:
        kind: of the party.
        city_totals: an agreement in force gives it the city's totals.
    """
    if kind == "TAX_BUREAU":
        return lending_pb2.AUDIENCE_BUREAU
    if kind != "BANK":
        raise NotEntitled("statistics go to the bureau, and to banks", basis="statistics.audience")
    if not city_totals:
        raise NotEntitled(
            "no agreement in force gives this bank the city's totals", basis="statistics.city_totals"
        )
    return lending_pb2.AUDIENCE_BANKS


def banks_behind(were: Mapping[str, bytes], are: Mapping[str, bytes]) -> int:
    """So many banks stand behind what a version tells, or behind what it tells beside the one before: the fewer.

    Args: were, are — bank → its table, by document digest, in the version before and in this one; of tables that add
        something to its sums.
    """
    changed = sum(were.get(bank) != are.get(bank) for bank in were.keys() | are.keys())
    return min(changed, len(are))


def restate(
    were: Mapping[str, bytes], are: Mapping[str, bytes], audience: lending_pb2.Audience, *, consented: bool
) -> str:
    """Why a version does not stand any more: by name for the bureau, by number for banks; Chinese and English.

    Args:
        were, are: bank → its table, by document digest, in the version before and in this one.
        consented: rows with consent came to something else.
    """
    changes = [
        ("迟报 late", sorted(are.keys() - were.keys())),
        ("更正 corrected", sorted(bank for bank in are.keys() & were.keys() if are[bank] != were[bank])),
        ("不再计入 no longer counted", sorted(were.keys() - are.keys())),
    ]
    named = audience == lending_pb2.AUDIENCE_BUREAU
    said = [f"{word}: {', '.join(banks) if named else len(banks)}" for word, banks in changes if banks]
    if consented:
        said.append("经授权明细有变 rows with consent changed")
    return "; ".join(said) or "应报银行有变 other banks owe a table"
