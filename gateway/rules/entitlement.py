"""May this party get this product today? Pure; deny by default, and every reason has its own basis code.

    product.unknown, product.disabled · entitlement.missing, .ended
    agreement.missing, .party, .suspended, .ended, .not_yet, .expired
    disclosure.class, .authorisation, .authority

The party's own state is decided before, in partners.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from xinyi.errors import NotEntitled
from xinyi.v1 import exchange_pb2

Row = Mapping[str, Any]


def check_entitlement(
    party: Row | None, entitlement: Row | None, agreement: Row | None, product: Row | None, day: date
) -> None:
    """Raises NotEntitled unless product, entitlement, agreement and disclosure class all allow it.

    Args:
        day: calendar day in China: an agreement is in force from its first to its last day, both included.
    """
    if party is None:
        raise NotEntitled("this party was never admitted here", basis="partner.unknown")
    if product is None:
        raise NotEntitled("there is no such product", basis="product.unknown")
    if not product["enabled"]:
        raise NotEntitled(f"product {product['product']} is switched off", basis="product.disabled")
    if entitlement is None:
        raise NotEntitled(
            f"{party['party']} has no entitlement to {product['product']}", basis="entitlement.missing"
        )
    if entitlement["state"] != "ACTIVE":
        raise NotEntitled("the entitlement has ended", basis="entitlement.ended")
    check_in_force(agreement, party["party"], day)
    assert agreement is not None  # check_in_force refused otherwise
    check_disclosure(agreement, product, party["kind"])


def check_in_force(agreement: Row | None, party: str, day: date) -> None:
    """Raises NotEntitled unless this is the party's own agreement and in force on that day."""
    if agreement is None:
        raise NotEntitled("there is no agreement", basis="agreement.missing")
    if agreement["party"] != party:
        raise NotEntitled("the agreement is with another party", basis="agreement.party")
    if agreement["state"] != "IN_FORCE":
        state = agreement["state"].lower()
        raise NotEntitled(f"the agreement is {state}", basis=f"agreement.{state}")
    if day < date.fromisoformat(agreement["valid_from"]):
        raise NotEntitled(f"the agreement begins on {agreement['valid_from']}", basis="agreement.not_yet")
    if day > date.fromisoformat(agreement["valid_until"]):
        raise NotEntitled(f"the agreement ended on {agreement['valid_until']}", basis="agreement.expired")


def check_disclosure(agreement: Row, product: Row, kind: str) -> None:
    """The legal basis decides what may be disclosed, not the caller's role.

    Detail under an enterprise's authorisation is never delivered as a whole product, whatever an agreement
    says; what is shared between authorities goes to authorities only.
    """
    needed = product["disclosure_class"]
    if needed == exchange_pb2.DISCLOSURE_CLASS_AUTHORISED:
        raise NotEntitled(
            "this product takes each enterprise's own authorisation: it is never delivered whole",
            basis="disclosure.authorisation",
        )
    if needed == exchange_pb2.DISCLOSURE_CLASS_AUTHORITY and kind != "CITY":
        raise NotEntitled("this product is shared between authorities only", basis="disclosure.authority")
    if not exchange_pb2.DISCLOSURE_CLASS_UNSPECIFIED < needed <= agreement["disclosure_class"]:
        raise NotEntitled("the agreement does not permit this disclosure class", basis="disclosure.class")
