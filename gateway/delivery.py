"""What push, pull and folder have in common: a delivery is queued, offered, transferred, receipted.

One Delivery per edition and partner, by database uniqueness; it may take several transfers. Nothing leaves
before its `delivery.offered` entry is durable, and rights are decided at every attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from audit.keys import Signer
from gateway import disputes
from gateway.exchange import Exchange
from gateway.rules import deliveries as rules
from gateway.rules import editions as ways
from gateway.rules.entitlement import check_entitlement
from gateway.rules.partners import check_right
from gateway.store import deliveries as store
from gateway.store import editions, parties, tables
from xinyi import checks
from xinyi.days import DAY_MS, day_of
from xinyi.errors import Conflict, NotEntitled, Unavailable, Unknown
from xinyi.v1 import edition_pb2, exchange_pb2


def check_may_receive(x: Exchange, recipient: str, product: str) -> Mapping[str, Any]:
    """The entitlement under which this party gets this product today. Raises NotEntitled with its basis."""
    party = parties.find_party(x.conn, recipient)
    check_right(party, "receive")
    entitlement = parties.find_entitlement(x.conn, recipient, product)
    agreement = parties.find_agreement(x.conn, entitlement["agreement_id"]) if entitlement else None
    catalogued = parties.find_product(x.conn, product)
    check_entitlement(party, entitlement, agreement, catalogued, day_of(x.now_ms))
    assert entitlement is not None  # check_entitlement refused otherwise
    return entitlement


def queue_for_entitled(x: Exchange, edition: Mapping[str, Any]) -> None:
    """A QUEUED delivery for every active entitlement; rights are decided when it is offered.

    Where the gateway carries, what a recipient lacks to build this edition on is queued along.
    """
    known = editions.ever_published(x.conn, edition["product"])
    for entitlement in parties.entitled_parties(x.conn, edition["product"]):
        x.add(tables.deliveries, new_row(x, edition, entitlement))
        if entitlement["channel"] != exchange_pb2.CHANNEL_PULL and _may_receive(x, entitlement):
            _queue_behind(x, [dict(edition), *known], entitlement)


def _may_receive(x: Exchange, entitlement: Mapping[str, Any]) -> bool:
    """Whether more than the newest edition is worth an attempt: each would end at once, with an entry of its own."""
    try:
        check_may_receive(x, entitlement["party"], entitlement["product"])
    except NotEntitled:
        return False
    return True


def _queue_behind(x: Exchange, known: list[dict[str, Any]], entitlement: Mapping[str, Any]) -> None:
    """Args: known — the edition that is published now, and all before it, newest first."""
    given = store.deliveries_to(x.conn, entitlement["party"], entitlement["product"])
    taken = {digest for digest, row in given.items() if row["state"] in rules.TAKEN}
    newest = known[0]["manifest_digest"]
    for digest in ways.way(known, ways.held_of(known, taken)):
        row = given.get(digest)
        if row is None and digest != newest:
            missing = x.get(tables.editions, digest)
            assert missing is not None  # read a moment ago
            x.add(tables.deliveries, new_row(x, missing, entitlement))
        elif row is not None and rules.may_begin_anew(row):
            under = {name: entitlement[name] for name in ("agreement_id", "channel", "target")}
            x.replace(tables.deliveries, row | under | begun_anew(row, x.now_ms))


def new_row(x: Exchange, edition: Mapping[str, Any], entitlement: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "delivery_id": checks.delivery_id(edition["manifest_digest"], entitlement["party"]),
        "manifest_digest": edition["manifest_digest"],
        "recipient": entitlement["party"],
        "product": edition["product"],
        "agreement_id": entitlement["agreement_id"],
        "channel": entitlement["channel"],
        "target": entitlement["target"],
        "state": "QUEUED",
        "document": None,
        "attempts": 0,
        "generation": 0,
        "last_error": "",
        "changed_at_ms": x.now_ms,
    }


def stop_undelivered(x: Exchange, edition: Mapping[str, Any]) -> None:
    """Halts every delivery of the edition that has not reached its bank."""
    for row in store.deliveries_of_edition(x.conn, edition["manifest_digest"]):
        if row["state"] in rules.UNDELIVERED:
            x.replace(tables.deliveries, dict(row) | {"state": "STOPPED", "changed_at_ms": x.now_ms})


def offer(
    x: Exchange,
    manifest_digest: bytes,
    recipient: str,
    signer: Signer,
    holder: str,
    expires_days: int,
    *,
    asked: bool = False,
) -> str:
    """Seals and logs the Delivery if that has not happened yet, or the last one has expired untaken.

    Returns the delivery id, the same for every Delivery of this edition and recipient. Rights are checked each
    time, also for a delivery offered before. Raises NotEntitled, Conflict.

    Args:
        asked: the bank itself asks for it. Then what it had taken is offered anew, for it has lost it, and what it
            had rejected, for it thinks of it otherwise; and what was given up is taken up again.
    """
    edition = x.get(tables.editions, manifest_digest)
    assert edition is not None  # foreign key
    ground, entitlement = ground_now(x, recipient, edition)
    if edition["state"] not in ways.DELIVERABLE:
        raise Conflict(f"the edition is {edition['state']}", basis="edition.state")
    row = x.get(tables.deliveries, checks.delivery_id(manifest_digest, recipient))
    row = row if row is not None else new_row(x, edition, entitlement)
    if row["state"] == "STOPPED" or (row["state"] == "DEAD" and not asked):
        raise Conflict(f"this delivery is {row['state']}", basis="delivery.state")
    delivery_id = str(row["delivery_id"])
    if row["document"] is not None:
        if not _is_offered_anew(x, row, asked=asked):
            return delivery_id
        row |= {"generation": row["generation"] + 1, "attempts": 0, "last_error": ""}
    if row["state"] not in rules.ANSWERED:
        row["state"] = "OFFERED"
    product = parties.find_product(x.conn, edition["product"])
    assert product is not None  # foreign key
    period = edition_pb2.Period(year=edition["year"], month=edition["month"])
    row |= {"agreement_id": entitlement["agreement_id"], "changed_at_ms": x.now_ms}
    sealed = x.seal(
        exchange_pb2.Delivery(
            delivery_id=delivery_id,
            recipient=recipient,
            manifest_digest=manifest_digest,
            approval_digest=edition["approval"],
            product=edition["product"],
            period=period,
            agreement_id=row["agreement_id"],
            disclosure_class=product["disclosure_class"],
            offered_at_ms=x.now_ms,
            expires_at_ms=x.now_ms + expires_days * DAY_MS,
            ground=ground,
            disputes=disputes.marks(x.conn, edition, ground),
        ),
        signer,
    )
    row["document"] = x.document(sealed)
    x.replace(tables.deliveries, row)
    _log(x, "offered", row, holder, documents=[row["document"]], period=period, records=edition["record_count"])
    return delivery_id


def ground_now(
    x: Exchange, recipient: str, edition: Mapping[str, Any]
) -> tuple[exchange_pb2.DeliveryGround, Mapping[str, Any]]:
    """On what this delivery rests today, and a row with its agreement. Raises NotEntitled."""
    try:
        entitlement = check_may_receive(x, recipient, edition["product"])
    except NotEntitled:
        if not _is_recalled(x, recipient, edition):
            raise
        given = x.get(tables.deliveries, checks.delivery_id(edition["manifest_digest"], recipient))
        assert given is not None  # queued with the recall
        return exchange_pb2.DELIVERY_GROUND_RECALL, given
    return exchange_pb2.DELIVERY_GROUND_AGREEMENT, entitlement


def _is_recalled(x: Exchange, recipient: str, edition: Mapping[str, Any]) -> bool:
    recall = x.get(tables.recalls, edition["manifest_digest"], recipient)
    return recall is not None and recall["state"] == "OPEN"


def _is_offered_anew(x: Exchange, row: Mapping[str, Any], *, asked: bool) -> bool:
    """Whether a delivery that was offered is sealed once more.

    What the bank has it is not offered again: its receipts name the Delivery it took. But a bank that asks for what
    it took was restored from a backup, and one that asks for what it rejected reconsiders: it needs one that has not
    expired and that none of its receipts names.
    """
    expired = has_expired(x.conn, row, x.now_ms)
    if row["state"] in rules.ANSWERED:
        return asked and (expired or store.is_receipted(x.conn, row["delivery_id"], row["document"]))
    return expired and row["state"] in rules.UNDELIVERED


def has_expired(conn: Connection, row: Mapping[str, Any], now_ms: int) -> bool:
    """Whether an offered delivery may no longer be taken as new."""
    sealed = editions.get_document(conn, row["document"])
    return now_ms > exchange_pb2.Delivery.FromString(sealed.payload).expires_at_ms  # sealed by us


def ground_of(conn: Connection, row: Mapping[str, Any]) -> exchange_pb2.DeliveryGround:
    """On what a delivery rests, by the Delivery sealed last; UNSPECIFIED before the first: it is decided then."""
    if row["document"] is None:
        return exchange_pb2.DELIVERY_GROUND_UNSPECIFIED
    sealed = editions.get_document(conn, row["document"])
    return exchange_pb2.Delivery.FromString(sealed.payload).ground  # sealed by us


def _log(
    x: Exchange,
    word: str,
    row: Mapping[str, Any],
    holder: str,
    *,
    documents: Sequence[bytes] = (),
    period: edition_pb2.Period | None = None,
    records: int = 0,
    code: str = "",
    detail: str = "",
) -> None:
    x.log(
        f"delivery.{word}",
        actor=holder,
        counterparty=row["recipient"],
        product=row["product"],
        period=period,
        agreement_id=row["agreement_id"],
        manifest_digest=row["manifest_digest"],
        delivery_id=row["delivery_id"],
        documents=documents,
        record_count=records,
        channel=row["channel"],
        code=code,
        detail=detail,
    )


def due(conn: Connection, now_ms: int, backoff_ms: int) -> list[tuple[str, str, bool]]:
    """What the gateway itself has to carry now: a name for the next attempt at it, the recipient, and whether it is
    urgent.

    The name changes with every attempt that left a trace, so that two who look at once begin it once. A bank
    gets the editions of a product in their order, and those first behind which a CORRECTION waits. What lies
    in a folder is due again when it has expired there and the bank still has to take it.
    """
    found, urgent, taking_turns = [], set(), set()
    for row in store.carried_deliveries(conn, rules.WAITING):
        turn = (row["recipient"], row["product"])
        if row["edition_kind"] == edition_pb2.EDITION_KIND_CORRECTION:
            urgent.add(turn)
        if rules.is_handed_over(row):
            is_due = has_expired(conn, row, now_ms) and _is_on_way(conn, row)
        else:
            is_due = turn not in taking_turns and now_ms >= rules.next_attempt_ms(row, backoff_ms)
            taking_turns.add(turn)
        if is_due:
            found.append((turn, f"{row['delivery_id']}.{row['generation']}.{row['attempts']}"))
    found.sort(key=lambda one: one[0] not in urgent)
    return [(attempt, turn[0], turn in urgent) for turn, attempt in found]


def _is_on_way(conn: Connection, row: Mapping[str, Any]) -> bool:
    """Whether the recipient still needs this edition: to come to the newest one, or as a recall."""
    if row["manifest_digest"] in store.open_recalls(conn, row["recipient"], row["product"], rules.TAKEN):
        return True
    known = editions.ever_published(conn, row["product"])
    given = store.deliveries_to(conn, row["recipient"], row["product"])
    taken = {digest for digest, other in given.items() if other["state"] in rules.TAKEN}
    return row["manifest_digest"] in ways.way(known, ways.held_of(known, taken))


def package(conn: Connection, delivery_id: str) -> exchange_pb2.DeliveryPackage:
    """Everything of an offered delivery but its chunks."""
    row = store.find_delivery(conn, delivery_id)
    if row is None or row["document"] is None:
        raise Unknown("there is no such delivery", basis="delivery.unknown")
    edition = editions.find_edition(conn, row["manifest_digest"])
    assert edition is not None  # foreign key
    return exchange_pb2.DeliveryPackage(
        delivery=editions.get_document(conn, row["document"]),
        manifest=editions.get_document(conn, edition["manifest_digest"]),
        approval=editions.get_document(conn, edition["approval"]),
        blinding_key=edition["blinding_key"],
    )


def read_chunks(conn: Connection, manifest_digest: bytes, start: int) -> list[tuple[int, bytes]]:
    """The next chunks of an edition under way, (number, bytes), at least one.

    Raises Conflict where it was stopped, Unavailable where the store has lost them.
    """
    if editions.edition_state(conn, manifest_digest) == "STOPPED":
        raise Conflict("this delivery was stopped by the bureau", basis="delivery.stopped")
    found = editions.read_chunks(conn, manifest_digest, start, start + editions.READ_AHEAD)
    if not found or found[0][0] != start:
        raise Unavailable("chunks of this edition are missing at the gateway", basis="edition.chunks")
    return found


def note_transfer(x: Exchange, delivery_id: str, holder: str, *, sent: int, error: str = "") -> None:
    """Logs what became of one transfer: `delivery.transferred` or `.failed`.

    Args:
        sent: chunks that left in this transfer.
        error: code of what went wrong; empty where all chunks left.
    """
    row = x.get(tables.deliveries, delivery_id)
    assert row is not None
    row |= {"attempts": row["attempts"] + 1, "last_error": error, "changed_at_ms": x.now_ms}
    x.replace(tables.deliveries, row)
    _log(x, "failed" if error else "transferred", row, holder, code=error, detail=f"{sent} chunks")


def give_up(x: Exchange, delivery_id: str, signer: Signer, holder: str, *, sent: int, error: str) -> bool:
    """Nothing more is tried: the delivery is DEAD, by a sealed DeliveryFailure, until a person revives it.

    False, and nothing is written, where it is not the gateway's turn any more.
    """
    row = x.get(tables.deliveries, delivery_id)
    assert row is not None
    if row["state"] not in rules.WAITING:
        return False
    row |= {
        "state": "DEAD",
        "attempts": row["attempts"] + 1,
        "last_error": error,
        "changed_at_ms": x.now_ms,
    }
    failure = exchange_pb2.DeliveryFailure(
        delivery_id=delivery_id,
        recipient=row["recipient"],
        manifest_digest=row["manifest_digest"],
        attempts=row["attempts"],
        code=error,
        failed_at_ms=x.now_ms,
    )
    document = x.document(x.seal(failure, signer))
    x.replace(tables.deliveries, row)
    _log(x, "dead", row, holder, documents=[document], code=error, detail=f"{sent} chunks")
    return True


def revive(x: Exchange, delivery_id: str, holder: str, reason: str) -> str:
    """A person gives a DEAD delivery new attempts. Returns its state. Raises Unknown, Conflict."""
    found = store.find_delivery(x.conn, delivery_id)
    if found is None:
        raise Unknown("there is no such delivery", basis="delivery.unknown")
    if found["state"] != "DEAD":
        raise Conflict(
            f"only a DEAD delivery is retried by hand; this one is {found['state']}", basis="delivery.state"
        )
    row = dict(found) | begun_anew(found, x.now_ms)
    x.replace(tables.deliveries, row)
    _log(x, "retried", row, holder, detail=reason)
    return str(row["state"])


def begun_anew(row: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    """What becomes of a DEAD delivery that has all its attempts again."""
    return {
        "state": "QUEUED" if row["document"] is None else "OFFERED",
        "generation": row["generation"] + 1,
        "attempts": 0,
        "last_error": "",
        "changed_at_ms": now_ms,
    }
