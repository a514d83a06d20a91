"""Partners, entitlements, products: the whole tables, not samples of them."""

from __future__ import annotations

import itertools
import json
from datetime import date
from typing import Any

import pytest

from gateway.rules.editions import check_second_person
from gateway.rules.entitlement import check_entitlement
from gateway.rules.partners import check_right, next_state
from gateway.rules.products import catalogue, check_grades, quality_shortfall
from xinyi.errors import Conflict, Invalid, NotEntitled
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

STATES = ("TESTING", "ACTIVE", "SUSPENDED", "TERMINATED")
KINDS = ("TAX_BUREAU", "BANK", "CITY", "AUDITOR", "GATEWAY")
RIGHTS = ("read_log", "enter", "publish", "receive", "confirm", "query")

#: kind → state → rights, written out by hand against DOMAIN's table: the code may not be its own judge.
EXPECTED = {
    ("TAX_BUREAU", "TESTING"): {"read_log", "enter"},
    ("TAX_BUREAU", "ACTIVE"): {"read_log", "enter", "publish"},
    ("TAX_BUREAU", "SUSPENDED"): {"read_log", "enter"},
    ("TAX_BUREAU", "TERMINATED"): {"read_log"},
    ("BANK", "TESTING"): {"read_log", "enter"},
    ("BANK", "ACTIVE"): {"read_log", "enter", "receive", "confirm"},
    ("BANK", "SUSPENDED"): {"read_log", "enter", "confirm"},
    ("BANK", "TERMINATED"): {"read_log", "confirm"},
    ("CITY", "TESTING"): {"read_log", "enter"},
    ("CITY", "ACTIVE"): {"read_log", "enter", "receive", "confirm"},
    ("CITY", "SUSPENDED"): {"read_log", "enter", "confirm"},
    ("CITY", "TERMINATED"): {"read_log", "confirm"},
    ("AUDITOR", "TESTING"): {"read_log", "enter"},
    ("AUDITOR", "ACTIVE"): {"read_log", "enter", "query"},
    ("AUDITOR", "SUSPENDED"): {"read_log", "enter"},
    ("AUDITOR", "TERMINATED"): {"read_log"},
}


@pytest.mark.parametrize(("kind", "state", "right"), list(itertools.product(KINDS, STATES, RIGHTS)))
def test_every_kind_state_and_right(kind: str, state: str, right: str) -> None:
    """Each combination is allowed or refused as the table says; nothing else is."""
    party = {"party": "c/p", "kind": kind, "state": state}
    if right in EXPECTED.get((kind, state), {"read_log"}):
        check_right(party, right)
    else:
        with pytest.raises(NotEntitled) as refused:
            check_right(party, right)
        assert refused.value.basis in ("partner.kind", f"partner.{state.lower()}")


def test_who_was_never_admitted_has_no_right() -> None:
    """Not even the log's heads."""
    with pytest.raises(NotEntitled) as refused:
        check_right(None, "read_log")
    assert refused.value.basis == "partner.unknown"


def test_a_state_or_right_nobody_knows_is_denied() -> None:
    """A row an administrator invented, or a right a programmer mistyped, opens nothing."""
    for party, right in (
        ({"kind": "BANK", "state": "VIP"}, "receive"),
        ({"kind": "BANK", "state": "ACTIVE"}, "recieve"),
    ):
        with pytest.raises(NotEntitled):
            check_right(party, right)


def test_every_transition() -> None:
    """Six transitions exist; every other pair of state and decision is a conflict."""
    allowed = {
        ("TESTING", "activate"): "ACTIVE",
        ("SUSPENDED", "activate"): "ACTIVE",
        ("ACTIVE", "suspend"): "SUSPENDED",
        ("TESTING", "terminate"): "TERMINATED",
        ("ACTIVE", "terminate"): "TERMINATED",
        ("SUSPENDED", "terminate"): "TERMINATED",
    }
    for state, decision in itertools.product(STATES, ("activate", "suspend", "terminate", "promote")):
        if (state, decision) in allowed:
            assert next_state(state, decision) == allowed[state, decision]
        else:
            with pytest.raises(Conflict):
                next_state(state, decision)


DAY = date(2018, 6, 1)
BANK = {"party": "c/bank", "kind": "BANK", "state": "ACTIVE"}
CITY = {"party": "c/bank", "kind": "CITY", "state": "ACTIVE"}
PUBLIC, AGREED, AUTHORISED, AUTHORITY = 1, 2, 3, 4


def agreement(**changes: Any) -> dict[str, Any]:
    return {
        "agreement_id": "a",
        "party": "c/bank",
        "valid_from": "2018-01-01",
        "valid_until": "2018-12-31",
        "disclosure_class": AGREED,
        "state": "IN_FORCE",
    } | changes


def product(**changes: Any) -> dict[str, Any]:
    return {"product": "grade-a", "enabled": 1, "disclosure_class": PUBLIC} | changes


WIDEST = agreement(disclosure_class=AUTHORITY)
ENTITLED = {"party": "c/bank", "product": "grade-a", "agreement_id": "a", "state": "ACTIVE"}


@pytest.mark.parametrize(
    ("basis", "party", "entitlement", "agreed", "what"),
    [
        ("partner.unknown", None, ENTITLED, agreement(), product()),
        ("product.unknown", BANK, ENTITLED, agreement(), None),
        ("product.disabled", BANK, ENTITLED, agreement(), product(enabled=0)),
        ("entitlement.missing", BANK, None, agreement(), product()),
        ("entitlement.ended", BANK, ENTITLED | {"state": "ENDED"}, agreement(), product()),
        ("agreement.missing", BANK, ENTITLED, None, product()),
        ("agreement.party", BANK, ENTITLED, agreement(party="c/other"), product()),
        ("agreement.suspended", BANK, ENTITLED, agreement(state="SUSPENDED"), product()),
        ("agreement.ended", BANK, ENTITLED, agreement(state="ENDED"), product()),
        ("agreement.not_yet", BANK, ENTITLED, agreement(valid_from="2018-06-02"), product()),
        ("agreement.expired", BANK, ENTITLED, agreement(valid_until="2018-05-31"), product()),
        ("disclosure.class", BANK, ENTITLED, agreement(disclosure_class=PUBLIC), product(disclosure_class=AGREED)),
        ("disclosure.class", BANK, ENTITLED, agreement(), product(disclosure_class=0)),
        ("disclosure.authorisation", BANK, ENTITLED, WIDEST, product(disclosure_class=AUTHORISED)),
        ("disclosure.authority", BANK, ENTITLED, WIDEST, product(disclosure_class=AUTHORITY)),
    ],
)  # fmt: skip
def test_each_reason_has_its_basis(basis: str, party: Any, entitlement: Any, agreed: Any, what: Any) -> None:
    """One thing wrong at a time is refused, and the refusal names that thing."""
    with pytest.raises(NotEntitled) as refused:
        check_entitlement(party, entitlement, agreed, what, DAY)
    assert refused.value.basis == basis


@pytest.mark.parametrize("day", [date(2018, 1, 1), DAY, date(2018, 12, 31)])
def test_first_and_last_day_count(day: date) -> None:
    """An agreement is in force on its first and on its last day."""
    check_entitlement(BANK, ENTITLED, agreement(), product(), day)


def test_authorities_share_what_banks_do_not_get() -> None:
    """The class between authorities opens for a city whose agreement permits it."""
    check_entitlement(
        CITY, ENTITLED, agreement(disclosure_class=AUTHORITY), product(disclosure_class=AUTHORITY), DAY
    )


def test_the_catalogue_begins_with_only_the_public_list_on() -> None:
    """Grades other than A leave nobody until a person switches them on."""
    on = {row["product"]: (bool(row["enabled"]), row["disclosure_class"]) for row in catalogue()}
    assert on == {
        "grade-a": (True, exchange_pb2.DISCLOSURE_CLASS_PUBLIC),
        "grade-all": (False, exchange_pb2.DISCLOSURE_CLASS_AGREEMENT),
    }


def test_the_field_set_is_the_records_whole() -> None:
    """A product's field set names exactly fields that the record has."""
    for row in catalogue():
        fields = json.loads(row["definition"])["fields"]
        assert fields == [field.name for field in records_pb2.GradeRecord.DESCRIPTOR.fields]


def definition(name: str) -> dict[str, Any]:
    return next(json.loads(row["definition"]) for row in catalogue() if row["product"] == name)


def test_only_the_product_s_own_grades() -> None:
    """A B-grade record never travels in the public list."""
    check_grades(definition("grade-a"), {records_pb2.GRADE_A: 3, records_pb2.GRADE_B: 0})
    check_grades(definition("grade-all"), dict.fromkeys(range(1, 8), 1))
    with pytest.raises(Invalid) as refused:
        check_grades(definition("grade-a"), {records_pb2.GRADE_A: 3, records_pb2.GRADE_B: 1})
    assert refused.value.basis == "product.grades"
    with pytest.raises(Invalid):
        check_grades({}, {records_pb2.GRADE_A: 1})


def test_thresholds_hold_at_their_edge() -> None:
    """Exactly one percent rejected passes; one row more is held, and the sentence names no row."""
    edge = edition_pb2.Quality(rows=10_000, accepted=9_900, rejected=100)
    assert quality_shortfall(definition("grade-a"), edge) == ""
    over = edition_pb2.Quality(rows=10_000, accepted=9_899, rejected=101)
    assert quality_shortfall(definition("grade-a"), over) == "rejected rows: 1.01 %, at most 1.00 %"
    assert quality_shortfall(definition("grade-a"), edition_pb2.Quality()) == "the source has no rows"


@pytest.mark.parametrize(
    ("published", "decided", "basis"),
    [
        ({"issuer", "k1", "holder"}, {"other", "k2"}, None),
        ({"issuer", "k1", "holder"}, {"issuer", "k2"}, "approval.second_person"),
        ({"issuer", "k1", "holder"}, {"holder", "k2"}, "approval.second_person"),
        ({"issuer", "k1", "holder"}, {"other", "k1"}, "approval.second_person"),
        ({"issuer", "k1", "holder"}, {"other", "k2", "holder", "k3"}, "approval.second_person"),
    ],
)
def test_the_second_person_shares_neither_name_nor_key(
    published: set[str], decided: set[str], basis: str | None
) -> None:
    """Every signer of the manifest is a publisher, and every signer of the decision decides."""
    if basis is None:
        check_second_person(published, decided, is_person=True)
        return
    with pytest.raises(NotEntitled) as refused:
        check_second_person(published, decided, is_person=True)
    assert refused.value.basis == basis
    with pytest.raises(NotEntitled, match="take a person"):
        check_second_person(set(), decided, is_person=False)
