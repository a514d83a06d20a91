"""Agreements, their annexes and entitlements, as the operator changes them."""

from __future__ import annotations

import hashlib
from datetime import date

from audit.keys import Signer
from gateway.exchange import Exchange
from gateway.office.partners import check_reason
from gateway.rules.entitlement import check_disclosure, check_in_force
from gateway.store import parties, tables
from xinyi.errors import Conflict, Invalid, Unknown
from xinyi.server import is_address
from xinyi.v1 import envelope_pb2, exchange_pb2, party_pb2

DOCUMENT = party_pb2.KEY_PURPOSE_DOCUMENT


def agreement_id(party: str, number: str) -> str:
    """The same wherever it is computed: 12 hex digits of SHA-256 over party, NUL, number."""
    return hashlib.sha256(f"{party}\0{number}".encode()).hexdigest()[:12]


def add(
    x: Exchange, party: str, number: str, first: date, last: date, disclosure_class: int, actor: str
) -> str:
    """In force from its first to its last day. Returns its id. Raises Unknown, Invalid, Conflict."""
    if parties.find_party(x.conn, party) is None:
        raise Unknown(f"there is no partner {party}: admit it first", basis="partner.unknown")
    if last < first:
        raise Invalid("the agreement ends before it begins", basis="agreement.dates")
    identity = agreement_id(party, number)
    if parties.find_agreement(x.conn, identity) is not None:
        raise Conflict(
            f"agreement {number} with {party} is registered as {identity}", basis="agreement.known"
        )
    row = {
        "agreement_id": identity,
        "party": party,
        "number": number,
        "valid_from": first.isoformat(),
        "valid_until": last.isoformat(),
        "disclosure_class": disclosure_class,
        "state": "IN_FORCE",
        "annex": None,
    }
    x.add(tables.agreements, row)
    x.log("agreement.registered", actor=actor, counterparty=party, agreement_id=identity)
    return identity


def change_state(x: Exchange, identity: str, decision: str, reason: str, actor: str) -> str:
    """suspend, resume, end; returns the new state. Entitlements count only under an agreement in force."""
    row = parties.find_agreement(x.conn, identity)
    if row is None:
        raise Unknown(f"there is no agreement {identity}", basis="agreement.unknown")
    check_reason(reason)
    after = {
        ("IN_FORCE", "suspend"): "SUSPENDED",
        ("SUSPENDED", "resume"): "IN_FORCE",
        ("IN_FORCE", "end"): "ENDED",
        ("SUSPENDED", "end"): "ENDED",
    }.get((row["state"], decision))
    if after is None:
        raise Conflict(f"an agreement that is {row['state']} cannot {decision}", basis="agreement.state")
    x.replace(tables.agreements, row | {"state": after})
    word = f"agreement.{after.lower()}"
    x.log(word, actor=actor, counterparty=row["party"], agreement_id=identity, detail=reason)
    return after


def annex(
    x: Exchange, identity: str, signer: Signer, log_key: str, method: str, actor: str
) -> envelope_pb2.Envelope:
    """Seals the annex: every key the partner is to pin, and how the parties verify evidence.

    Its keys are the bureaus', the gateway's and the partner's own that are active now. It is compared on
    paper; nobody pins a key because this document says so.
    """
    row = parties.find_agreement(x.conn, identity)
    if row is None:
        raise Unknown(f"there is no agreement {identity}", basis="agreement.unknown")
    kinds = {party["party"]: party["kind"] for party in parties.list_parties(x.conn)}
    keys = [
        parties.public_key(key)
        for key in parties.list_keys(x.conn)
        if key["state"] == "ACTIVE"
        and key["purpose"] == DOCUMENT
        and (key["party"] == row["party"] or kinds[key["party"]] in ("TAX_BUREAU", "GATEWAY"))
    ]
    sealed = x.seal(
        party_pb2.AgreementAnnex(
            agreement_id=identity, keys=keys, log_verifier_key=log_key, verification_method=method
        ),
        signer,
    )
    digest = x.document(sealed)
    x.replace(tables.agreements, row | {"annex": digest})
    x.log(
        "agreement.annexed",
        actor=actor,
        counterparty=row["party"],
        agreement_id=identity,
        documents=[digest],
    )
    return sealed


def entitle(
    x: Exchange,
    party: str,
    product: str,
    identity: str,
    channel: exchange_pb2.Channel,
    target: str,
    actor: str,
) -> None:
    """Entitles a partner to a product under an agreement, by one channel; again to change it.

    Refused at once where the agreement could never permit it. Raises NotEntitled, Unknown, Invalid.
    """
    partner = parties.find_party(x.conn, party)
    row = parties.find_product(x.conn, product)
    if partner is None or row is None:
        raise Unknown(f"there is no {'partner ' + party if partner is None else 'product ' + product}")
    if partner["kind"] not in ("BANK", "CITY"):
        raise Invalid(f"a party of kind {partner['kind']} receives no products", basis="entitlement.kind")
    agreement = parties.find_agreement(x.conn, identity)
    first_day = date.fromisoformat(agreement["valid_from"]) if agreement is not None else date.min
    check_in_force(agreement, party, first_day)
    assert agreement is not None  # check_in_force refused otherwise
    check_disclosure(agreement, row, partner["kind"])
    if (channel == exchange_pb2.CHANNEL_PULL) == bool(target):
        raise Invalid(
            "push takes --inbox, folder takes --folder, pull takes neither", basis="entitlement.target"
        )
    if channel == exchange_pb2.CHANNEL_PUSH and not is_address(target):
        raise Invalid(f"{target!r} is not host:port", basis="entitlement.target")
    x.replace(
        tables.entitlements,
        {
            "party": party,
            "product": product,
            "agreement_id": identity,
            "channel": channel,
            "target": target,
            "state": "ACTIVE",
        },
    )
    x.log(
        "entitlement.granted",
        actor=actor,
        counterparty=party,
        product=product,
        agreement_id=identity,
        channel=channel,
    )


def end_entitlement(x: Exchange, party: str, product: str, reason: str, actor: str) -> None:
    row = parties.find_entitlement(x.conn, party, product)
    if row is None or row["state"] != "ACTIVE":
        raise Unknown(f"{party} has no active entitlement to {product}", basis="entitlement.missing")
    check_reason(reason)
    x.replace(tables.entitlements, row | {"state": "ENDED"})
    x.log(
        "entitlement.ended",
        actor=actor,
        counterparty=party,
        product=product,
        agreement_id=row["agreement_id"],
        detail=reason,
    )
