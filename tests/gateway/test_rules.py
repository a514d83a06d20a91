"""Partners, entitlements, products: the whole tables, not samples of them."""

from __future__ import annotations

import itertools
import json
from datetime import date
from typing import Any

import pytest

from gateway.office.catalogue import shipped
from gateway.rules.editions import check_second_person
from gateway.rules.entitlement import check_entitlement
from gateway.rules.partners import check_right, next_state
from gateway.rules.products import (
    check_fields,
    check_follows,
    check_grades,
    check_schema,
    product_row,
    quality_shortfall,
)
from xinyi.errors import Conflict, Invalid, NotEntitled
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

STATES = ("TESTING", "ACTIVE", "SUSPENDED", "TERMINATED")
KINDS = ("TAX_BUREAU", "BANK", "CITY", "AUDITOR", "GATEWAY")
RIGHTS = ("read_log", "enter", "publish", "receive", "confirm", "be_recalled", "query")

#: kind → state → rights, written out by hand against DOMAIN's table: the code may not be its own judge.
EXPECTED = {
    ("TAX_BUREAU", "TESTING"): {"read_log", "enter"},
    ("TAX_BUREAU", "ACTIVE"): {"read_log", "enter", "publish"},
    ("TAX_BUREAU", "SUSPENDED"): {"read_log", "enter"},
    ("TAX_BUREAU", "TERMINATED"): {"read_log"},
    ("BANK", "TESTING"): {"read_log", "enter"},
    ("BANK", "ACTIVE"): {"read_log", "enter", "receive", "confirm", "be_recalled"},
    ("BANK", "SUSPENDED"): {"read_log", "enter", "confirm", "be_recalled"},
    ("BANK", "TERMINATED"): {"read_log", "confirm", "be_recalled"},
    ("CITY", "TESTING"): {"read_log", "enter"},
    ("CITY", "ACTIVE"): {"read_log", "enter", "receive", "confirm", "be_recalled"},
    ("CITY", "SUSPENDED"): {"read_log", "enter", "confirm", "be_recalled"},
    ("CITY", "TERMINATED"): {"read_log", "confirm", "be_recalled"},
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
    on = {row["product"]: (bool(row["enabled"]), row["disclosure_class"]) for row in shipped()}
    assert on == {
        "grade-a": (True, exchange_pb2.DISCLOSURE_CLASS_PUBLIC),
        "grade-all": (False, exchange_pb2.DISCLOSURE_CLASS_AGREEMENT),
    }


def test_the_field_set_is_the_records_whole() -> None:
    """A product's field set names exactly the fields that a record of a taxpayer who is there may have."""
    for row in shipped():
        fields = json.loads(row["definition"])["fields"]
        told = [field.name for field in records_pb2.GradeRecord.DESCRIPTOR.fields]
        assert fields == [name for name in told if name != "gone"]


def definition(name: str) -> dict[str, Any]:
    return next(json.loads(row["definition"]) for row in shipped() if row["product"] == name)


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


def test_records_say_nothing_beyond_the_field_set() -> None:
    """What is absent is no matter; what the product does not have is refused by the field's name."""
    narrow = definition("grade-a") | {"fields": ["taxpayer_id", "identifier_kind", "names", "grade"]}
    check_fields(narrow, ["taxpayer_id", "grade"])
    check_fields(narrow, [])
    with pytest.raises(Invalid, match="decided_on, valid_to") as refused:
        check_fields(narrow, ["grade", "valid_to", "decided_on"])
    assert refused.value.basis == "product.fields"
    with pytest.raises(Invalid):
        check_fields({}, ["grade"])
    record = records_pb2.GradeRecord(taxpayer_id="x", decided_on="2018-04-20")
    with pytest.raises(Invalid, match="decided_on"):
        check_fields(narrow, [field.name for field, _ in record.ListFields()])


def test_an_edition_is_of_the_product_s_schema() -> None:
    """Another kind of record is refused before a chunk of it is taken."""
    manifest = edition_pb2.Manifest(record_schema="xinyi.v1.GradeRecord")
    check_schema({"product": "grade-a", "record_schema": "xinyi.v1.GradeRecord"}, manifest)
    with pytest.raises(Invalid) as refused:
        check_schema({"product": "grade-a", "record_schema": "xinyi.v2.GradeRecord"}, manifest)
    assert refused.value.basis == "product.record_schema"


PRODUCT: dict[str, Any] = {
    "product": "grade-m",
    "version": 1,
    "title": "new enterprises",
    "legal_basis": "agreement",
    "disclosure_class": "agreement",
    "record_schema": "xinyi.v1.GradeRecord",
    "fields": ["taxpayer_id", "identifier_kind", "names", "evaluation_year", "grade"],
    "grades": ["M"],
    "thresholds_bp": {"rejected": 50},
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("product", "Grade M"),
        ("product", 7),
        ("version", 0),
        ("version", True),
        ("title", ""),
        ("legal_basis", "two\nlines"),
        ("disclosure_class", "secret"),
        ("record_schema", "xinyi.v9.GradeRecord"),
        ("fields", ["taxpayer_id"]),
        ("fields", [*PRODUCT["fields"], "score"]),
        ("fields", [*PRODUCT["fields"], "grade"]),
        ("fields", "grade"),
        ("grades", []),
        ("grades", ["E"]),
        ("grades", ["UNSPECIFIED"]),
        ("thresholds_bp", {"accepted": 1}),
        ("thresholds_bp", {"rejected": 10_001}),
        ("thresholds_bp", {"rejected": 0.5}),
        ("colour", "blue"),
    ],
)
def test_a_wrong_definition_is_refused_by_its_key(key: str, value: Any) -> None:
    """A product is data, and checked as such before it is in force."""
    assert product_row(PRODUCT)["enabled"] == 0
    with pytest.raises(Invalid, match=key) as refused:
        product_row(PRODUCT | {key: value})
    assert refused.value.basis == "product.definition"


@pytest.mark.parametrize("key", PRODUCT)
def test_every_key_of_a_definition_is_needed(key: str) -> None:
    """Nothing is taken for granted."""
    with pytest.raises(Invalid, match=key):
        product_row({k: v for k, v in PRODUCT.items() if k != key})


def test_versions_follow_each_other() -> None:
    """Two operators who change the same version: the second is told."""
    known = product_row(PRODUCT | {"version": 3})
    check_follows(product_row(PRODUCT | {"version": 4}), known)
    for version in (3, 5, 1):
        with pytest.raises(Conflict) as refused:
            check_follows(product_row(PRODUCT | {"version": version}), known)
        assert refused.value.basis == "product.version"
