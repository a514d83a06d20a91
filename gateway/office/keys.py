"""Registered keys: retired, reported compromised, and the gateway's own document key rotated.

A key's validity is a matter of log position: every change here is an entry.
"""

from __future__ import annotations

from audit import envelope
from audit.custody import Custody, is_file
from audit.keys import Signer, generate_private_key, keyid, replace_private_key
from gateway.exchange import Door, Exchange
from gateway.office.admission import key_row
from gateway.office.partners import check_reason
from gateway.store import parties, tables
from xinyi.errors import Conflict, Invalid, Unknown, UsageInvalid
from xinyi.v1 import party_pb2


def retire(x: Exchange, key_id: str, reason: str, actor: str) -> None:
    """The key signs nothing new from here on; what it signed stays valid."""
    _change(x, key_id, {"state": "RETIRED"}, "key.retired", reason, actor)


def report_compromised(x: Exchange, key_id: str, since_ms: int, reason: str, actor: str) -> None:
    """Somebody else may hold the key since then: what it signed afterwards is void or suspect."""
    if since_ms > x.now_ms:
        raise UsageInvalid("a key cannot be compromised since a time to come", basis="key.since")
    change = {"state": "COMPROMISED", "compromised_since_ms": since_ms}
    _change(x, key_id, change, "key.compromised", reason, actor, since_ms)


def _change(
    x: Exchange, key_id: str, change: dict[str, object], word: str, reason: str, actor: str, since_ms: int = 0
) -> None:
    row = parties.find_key(x.conn, key_id)
    if row is None:
        raise Unknown("there is no such key: `key list` shows them all", basis="key.unknown")
    if row["state"] in (change["state"], "COMPROMISED"):
        raise Conflict(f"this key is {row['state']} already", basis="key.state")
    active = [key for key in parties.list_keys(x.conn, row["party"]) if key["state"] == "ACTIVE"]
    if row["holder"] == actor and len(active) < 2:
        raise Conflict("the gateway seals with this key itself: `key rotate` first", basis="key.own")
    check_reason(reason)
    x.replace(tables.keys, row | change)
    detail = f"{row['holder']} {key_id}: {reason}"
    x.log(word, actor=actor, counterparty=row["party"], detail=detail, since_ms=since_ms)


def register_own(door: Door, new: Signer, old: Signer) -> None:
    """A further document key of the gateway's own, for instance in a token; settings put it into service."""
    door.run_sync(lambda x: _register_own(x, new, old))


def rotate_own(door: Door, custody: Custody, name: str) -> Signer:
    """A new document key for the gateway: registered under the old key's signature, then put into service.

    Partners pin it by its fingerprint, as they did the old one; the old one is retired afterwards. A crash
    after the entry and before the files changed leaves `document-next.pem`: the next run goes on with it.

    Args:
        name: of the key in service. Raises Invalid where it lies in no file.
    """
    if not is_file(name):
        raise Invalid(
            f"{name} is no file: make the new key there and name it, `key rotate --to`",
            basis="signing.rotate",
        )
    waiting = custody.path(f"{name}-next")
    if not waiting.exists():
        generate_private_key(waiting)
    old, new = custody.signer(name), custody.signer(f"{name}-next")
    register_own(door, new, old)
    replace_private_key(custody.path(name), waiting, keyid(old.key))
    return new


def _register_own(x: Exchange, new: Signer, old: Signer) -> None:
    if parties.find_key(x.conn, keyid(new.key)) is not None:
        return
    registration = party_pb2.KeyRegistration(
        key=new.key, party_kind=party_pb2.PARTY_KIND_GATEWAY, requested_at_ms=x.now_ms
    )
    digest = x.document(envelope.seal(registration, new, old))
    x.add(tables.keys, key_row(new.key, digest, x.now_ms))
    x.log(
        "key.registered",
        actor=new.key.holder,
        counterparty=new.key.party,
        documents=[digest],
        detail=f"{new.key.holder} {keyid(new.key)}",
    )
