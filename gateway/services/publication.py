"""PublicationService: the bureau's editions arrive, are decided on, and their deliveries are watched."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from sqlalchemy import Connection

from audit import envelope
from audit.bulk import insert_rows
from audit.keys import keyid
from audit.records import blinding_key_commitment, check_blinding_key, check_manifest_tree
from gateway import delivery, recalls, row_answers
from gateway.exchange import Exchange
from gateway.intake import Intake, check_complete, check_counts, check_staged_state
from gateway.preparation import stage
from gateway.reception import Received, Reception
from gateway.rules import editions as rules
from gateway.rules.partners import check_right
from gateway.rules.products import check_schema, quality_shortfall
from gateway.store import deliveries as delivery_store
from gateway.store import editions as store
from gateway.store import parties, tables
from xinyi import checks
from xinyi.errors import Invalid, NotEntitled, Unknown
from xinyi.processes import Crew
from xinyi.server import Caller, caller
from xinyi.v1 import edition_pb2, envelope_pb2, exchange_pb2
from xinyi.v1 import publication_service_pb2 as pb
from xinyi.v1.publication_service_pb2_grpc import PublicationServiceServicer

log = structlog.get_logger()


class Publication(PublicationServiceServicer):
    """Args:
    decided: called with the manifest digest once an edition was published or stopped.
    crew: who verifies the chunks of large editions; this process where None.
    """

    def __init__(
        self, reception: Reception, decided: Callable[[bytes], None], crew: Crew | None = None
    ) -> None:
        self._reception = reception
        self._decided = decided
        self._crew = crew

    # ── intake ─────────────────────────────────────────────────────────────────────────────────────────

    async def BeginEdition(self, request: pb.BeginEditionRequest, context: Any) -> pb.BeginEditionResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "BeginEdition", request.call.document):
            received = await self._open_manifest(request.call, who)
            if (known := await self._reception.find_answer(received.digest)) is not None:
                return pb.BeginEditionResponse(answer=await self._reception.answer(known, received.head))
            check_blinding_key(request.blinding_key, received.message)
            staged = await self._reception.database.write(
                lambda conn: _begin(conn, received, request.blinding_key, self._reception.door.now())
            )
            return pb.BeginEditionResponse(next_chunk=staged)

    async def PutChunks(
        self, requests: AsyncIterator[pb.PutChunksRequest], context: Any
    ) -> pb.PutChunksResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "PutChunks") as asked:
            first = await anext(aiter(requests), None)
            if first is None:
                raise Invalid("the stream holds no chunk", basis="chunks.empty")
            asked.subject = first.manifest_digest.hex()
            intake = await Intake.open(self._reception.database, who.party, first.manifest_digest, self._crew)
            try:
                await intake.take(first.number, first.data)
                async for request in requests:
                    await intake.take(request.number, request.data)
                await intake.settle()
            finally:
                # Also where the line broke, or a chunk does not hold: those before it are kept.
                await intake.stage()
            return pb.PutChunksResponse(next_chunk=intake.next_chunk)

    async def CommitEdition(self, request: pb.CommitEditionRequest, context: Any) -> pb.CommitEditionResponse:
        who = caller(context)
        async with self._reception.refusals_signed(who, "CommitEdition", request.call.document):
            received = await self._open_manifest(request.call, who)
            sealed = await self._reception.find_answer(received.digest)
            if sealed is None:
                await self._reception.database.in_thread(lambda: self._keep_state(received))
                sealed = await self._reception.door.run(lambda x: self._commit(x, received))
                log.info(
                    "edition.received", manifest=received.digest.hex(), records=received.message.record_count
                )
            return pb.CommitEditionResponse(answer=await self._reception.answer(sealed, received.head))

    async def _open_manifest(self, call: exchange_pb2.Call, who: Caller) -> Received[edition_pb2.Manifest]:
        received = await self._reception.open(call, edition_pb2.Manifest, who)
        manifest = received.message
        checks.check_manifest(manifest)
        check_manifest_tree(manifest)
        if manifest.origin != who.party:
            raise NotEntitled("a bureau publishes its own editions only", basis="edition.origin")
        if not any(key.holder == manifest.issued_by for key in received.signers):
            raise NotEntitled(
                "the manifest is not sealed by the one who issued it", basis="edition.issued_by"
            )
        return received

    def _keep_state(self, received: Received[edition_pb2.Manifest]) -> None:
        """Ahead of the door, where nobody waits for it. A crash behind it leaves what the next commit writes again."""
        manifest, database = received.message, self._reception.database
        if manifest.kind == edition_pb2.EDITION_KIND_FULL:
            return
        with database.reading() as conn:
            if store.find_edition(conn, received.digest) is not None:  # another upload was faster
                return
            _check_place(conn, manifest)
            key = check_complete(conn, received.digest, manifest)
        stage(database, received.digest, manifest, key, self._crew)

    def _commit(self, x: Exchange, received: Received[edition_pb2.Manifest]) -> envelope_pb2.Envelope:
        manifest = received.message
        if (known := store.find_answer(x.conn, received.digest)) is not None:
            return known
        product = _check_place(x.conn, manifest)
        blinding_key = check_complete(x.conn, received.digest, manifest)
        check_counts(x.conn, received.digest, manifest)
        check_staged_state(x.conn, received.digest, manifest)
        shortfall = "" if _says_nothing(manifest) else quality_shortfall(
            json.loads(product["definition"]), manifest.quality
        )
        state = "HELD" if shortfall else "READY"
        x.document(received.envelope)
        x.add(
            tables.editions,
            {
                "manifest_digest": received.digest,
                "origin": manifest.origin,
                "product": manifest.product,
                "year": manifest.period.year,
                "month": manifest.period.month,
                "kind": manifest.kind,
                "sequence": manifest.sequence,
                "state": state,
                "record_count": manifest.record_count,
                "root": manifest.root,
                "blinding_key": blinding_key,
                "issued_by": manifest.issued_by,
                "approval": None,
                "changed_at_ms": x.now_ms,
                "note": shortfall,
                "sequence_slot": manifest.sequence,
            },
        )
        x.remove(tables.intakes, received.digest)
        leaf = x.log(
            f"edition.{state.lower()}",
            actor=received.caller.holder,
            product=manifest.product,
            period=manifest.period,
            manifest_digest=received.digest,
            documents=[received.digest],
            record_count=manifest.record_count,
            detail="; ".join(filter(None, (shortfall, _same_state(x.conn, manifest)))),
        )
        return self._reception.acknowledge(x, received.digest, f"edition.{state.lower()}", leaf)

    # ── decisions ──────────────────────────────────────────────────────────────────────────────────────

    async def DecideEdition(self, request: pb.DecideEditionRequest, context: Any) -> pb.DecideEditionResponse:
        who = caller(context)
        document = request.call.document
        async with self._reception.refusals_signed(who, "DecideEdition", document):
            if document.payload_type == row_answers.PAYLOAD_TYPE:
                answer = await row_answers.accept_row_answer(self._reception, request.call, who)
                return pb.DecideEditionResponse(answer=answer)
            decision = _DECISIONS.get(document.payload_type)
            if decision is None:
                raise Invalid(
                    "a decision is an Approval, HoldRelease, Cancellation, Stop or RowAnswer",
                    basis="decision.kind",
                )
            word, kind, check, person_field = decision
            received = await self._reception.open(request.call, kind, who)
            check(received.message)
            if getattr(received.message, person_field) != who.holder or not who.is_person:
                raise NotEntitled(
                    "a decision is made and sealed by a person in their own name", basis="approval.person"
                )
            sealed = await self._reception.find_answer(received.digest)
            if sealed is None:
                sealed = await self._reception.door.run(lambda x: self._decide(x, received, word))
                log.info("edition.decided", decision=word, manifest=received.message.manifest_digest.hex())
                self._decided(received.message.manifest_digest)
            return pb.DecideEditionResponse(answer=await self._reception.answer(sealed, received.head))

    def _decide(self, x: Exchange, received: Received[Any], word: str) -> envelope_pb2.Envelope:
        if (known := store.find_answer(x.conn, received.digest)) is not None:
            return known
        row = store.find_edition(x.conn, received.message.manifest_digest)
        if row is None:
            raise Unknown("there is no such edition", basis="edition.unknown")
        if row["origin"] != received.caller.party:
            raise NotEntitled("a bureau decides on its own editions only", basis="edition.origin")
        check_right(parties.find_party(x.conn, received.caller.party), "publish")
        edition = dict(row)
        edition["state"] = rules.next_state(row["state"], word)
        edition["changed_at_ms"] = x.now_ms
        edition["note"] = getattr(received.message, "reason", "")
        if word in ("approve", "release"):
            decided = {name for key in received.signers for name in (key.holder, keyid(key))}
            rules.check_second_person(
                store.publishers(x.conn, row), decided, is_person=received.caller.is_person
            )
        if word == "cancel":
            edition["sequence_slot"] = None
        x.document(received.envelope)
        if word == "approve":
            edition["approval"] = received.digest
            self._supersede(x, edition)
            delivery.queue_for_entitled(x, edition)
            recalls.queue(x, edition)
        if word == "stop":
            delivery.stop_undelivered(x, edition)
        x.replace(tables.editions, edition)
        outcome = _OUTCOMES[word]
        leaf = x.log(
            outcome,
            actor=received.caller.holder,
            product=edition["product"],
            period=edition_pb2.Period(year=edition["year"], month=edition["month"]),
            manifest_digest=edition["manifest_digest"],
            documents=[received.digest],
            record_count=edition["record_count"],
            detail=edition["note"],
        )
        return self._reception.acknowledge(x, received.digest, outcome, leaf)

    def _supersede(self, x: Exchange, edition: dict[str, Any]) -> None:
        previous = store.newest_published(x.conn, edition["product"])
        if previous is not None and previous["origin"] == edition["origin"]:
            state = rules.next_state(previous["state"], "supersede")
            x.replace(tables.editions, dict(previous) | {"state": state, "changed_at_ms": x.now_ms})

    # ── watching ───────────────────────────────────────────────────────────────────────────────────────

    async def ListEditions(self, request: pb.ListEditionsRequest, context: Any) -> pb.ListEditionsResponse:
        who = caller(context)

        def query(conn: Connection) -> pb.ListEditionsResponse:
            check_right(parties.find_party(conn, who.party), "publish")
            rows = store.list_editions(conn, who.party, request.product)
            return pb.ListEditionsResponse(
                editions=[
                    _status(conn, row)
                    for row in rows
                    if not request.manifest_digest or row["manifest_digest"] == request.manifest_digest
                ]
            )

        async with self._reception.refusals_signed(who, "ListEditions"):
            return await self._reception.database.read(query)


#: payload type → (decision, message, check, field that names the person)
_DECISIONS: dict[str, tuple[str, Any, Callable[[Any], None], str]] = {
    envelope.payload_type(edition_pb2.Approval): (
        "approve", edition_pb2.Approval, checks.check_approval, "approved_by"
    ),
    envelope.payload_type(edition_pb2.HoldRelease): (
        "release", edition_pb2.HoldRelease, checks.check_hold_release, "released_by"
    ),
    envelope.payload_type(edition_pb2.Cancellation): (
        "cancel", edition_pb2.Cancellation, checks.check_cancellation, "cancelled_by"
    ),
    envelope.payload_type(edition_pb2.Stop): ("stop", edition_pb2.Stop, checks.check_stop, "stopped_by"),
}  # fmt: skip

_OUTCOMES = {
    "approve": "edition.published",
    "release": "edition.released",
    "cancel": "edition.cancelled",
    "stop": "edition.stopped",
}


def _begin(
    conn: Connection, received: Received[edition_pb2.Manifest], blinding_key: bytes, now_ms: int
) -> int:
    """Notes the intake, and when it was begun last; returns how many chunks are here already."""
    if store.find_edition(conn, received.digest) is None:  # else another upload was faster
        _check_place(conn, received.message)
        row = {
            "manifest_digest": received.digest,
            "envelope": received.envelope.SerializeToString(),
            "blinding_key": blinding_key,
            "begun_at_ms": now_ms,
        }
        insert_rows(conn, tables.intakes, [row], "replace")
    return store.staged(conn, received.digest)[0]


def _check_place(conn: Connection, manifest: edition_pb2.Manifest) -> Any:
    """The product's row, where the origin may publish it and the manifest is next in sequence."""
    check_right(parties.find_party(conn, manifest.origin), "publish")
    product = parties.find_product(conn, manifest.product)
    if product is None:
        raise Unknown(f"there is no product {manifest.product!r:.60}", basis="product.unknown")
    if not product["enabled"]:
        raise NotEntitled(f"product {manifest.product} is switched off", basis="product.disabled")
    check_schema(product, manifest)
    chain = store.chain(conn, store.newest_edition(conn, manifest.origin, manifest.product))
    same_key = (
        bool(chain) and blinding_key_commitment(chain[0]["blinding_key"]) == manifest.blinding_key_commitment
    )
    rules.check_place(manifest, chain, same_key=same_key)
    if manifest.kind == edition_pb2.EDITION_KIND_CORRECTION:
        rules.check_corrects(manifest, store.find_edition(conn, manifest.corrects))
    return product


def _says_nothing(manifest: edition_pb2.Manifest) -> bool:
    """A file of changes without a row: nothing changed, which is no bad quality."""
    changes = manifest.source.coverage == edition_pb2.SOURCE_COVERAGE_CHANGES
    return changes and manifest.kind == edition_pb2.EDITION_KIND_DELTA and not manifest.quality.rows


def _same_state(conn: Connection, manifest: edition_pb2.Manifest) -> str:
    """What is noted of a FULL that comes to the records that stood before it."""
    if manifest.kind != edition_pb2.EDITION_KIND_FULL or not manifest.predecessor:
        return ""
    before = edition_pb2.Manifest.FromString(store.get_document(conn, manifest.predecessor).payload)
    return "state unchanged" if before.state_root == manifest.state_root else ""


def _status(conn: Connection, edition: Any) -> pb.EditionStatus:
    return pb.EditionStatus(
        manifest_digest=edition["manifest_digest"],
        product=edition["product"],
        period=edition_pb2.Period(year=edition["year"], month=edition["month"]),
        sequence=edition["sequence"],
        state=edition["state"],
        record_count=edition["record_count"],
        kind=edition["kind"],
        manifest=store.get_document(conn, edition["manifest_digest"]),
        deliveries=[
            pb.DeliveryStatus(
                delivery_id=row["delivery_id"],
                recipient=row["recipient"],
                state=row["state"],
                channel=row["channel"],
                attempts=row["attempts"],
                receipts=delivery_store.receipts_of(conn, row["delivery_id"]),
                last_error=row["last_error"],
                ground=delivery.ground_of(conn, row),
            )
            for row in delivery_store.deliveries_of_edition(conn, edition["manifest_digest"])
        ],
        row_answers=store.row_answers_of(conn, edition["manifest_digest"]),
    )
