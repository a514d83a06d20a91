"""An enterprise objects to its grade: taken in by one person, marked in every delivery, decided by another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.party.gateway import GatewayClient
from audit import envelope, records
from gateway import disputes
from gateway.store import editions
from tests.chain import Chain
from tests.flows.test_rights import check_signed, entries
from tests.world import (
    APPROVER,
    BUREAU,
    MAKER,
    SealedEdition,
    World,
    city,
    made_up_records,
    made_up_uscc,
)
from xinyi import terms
from xinyi.channel import errors_restored
from xinyi.errors import Conflict, Contradiction, ExchangeError, Invalid, NotEntitled, Unknown
from xinyi.v1 import exchange_pb2, objection_pb2, objection_service_pb2
from xinyi.v1.objection_service_pb2_grpc import ObjectionServiceStub

SUBJECT = made_up_uscc(7)


def objection(world: World, edition: SealedEdition, subject: str = SUBJECT, **other: Any) -> Any:
    """Filed on the day before the Spring Festival's eve of 2018: 15 working days end on 12 March."""
    filed = objection_pb2.Objection(
        number="2018-7",
        origin=BUREAU,
        product="grade-a",
        manifest_digest=edition.digest,
        blinded_key=records.blinder(edition.blinding_key)(subject.encode()),
        filed_on="2018-02-13",
        due_on="2018-03-12",
        term=terms.TERMS[terms.TAX_OBJECTION],
        received_by=MAKER,
        received_at_ms=world.clock(),
    )
    for name, value in other.items():
        setattr(filed, name, value)
    return filed


def decision(
    world: World,
    filed: bytes,
    outcome: objection_pb2.ObjectionOutcome = objection_pb2.OBJECTION_OUTCOME_DENIED,
    correction: bytes = b"",
    person: str = APPROVER,
) -> objection_pb2.ObjectionDecision:
    return objection_pb2.ObjectionDecision(
        objection=filed,
        outcome=outcome,
        correction=correction,
        decided_by=person,
        decided_at_ms=world.clock(),
    )


async def send(world: World, document: Any, holder: str) -> Any:
    """Files or decides; returns (digest of the document, opened acknowledgement)."""

    def run() -> Any:
        with GatewayClient(world.homes[holder]) as client, errors_restored():
            stub = ObjectionServiceStub(client.channel)
            call = client.call(document)
            if isinstance(document, objection_pb2.Objection):
                answer = stub.FileObjection(objection_service_pb2.FileObjectionRequest(call=call)).answer
            else:
                answer = stub.DecideObjection(objection_service_pb2.DecideObjectionRequest(call=call)).answer
            return envelope.digest(call.document), client.accept(answer, call.document)

    return await asyncio.to_thread(run)


async def listed(world: World, product: str = "", holder: str = MAKER) -> list[Any]:
    def run() -> list[Any]:
        with GatewayClient(world.homes[holder]) as client, errors_restored():
            request = objection_service_pb2.ListObjectionsRequest(product=product)
            return list(ObjectionServiceStub(client.channel).ListObjections(request).objections)

    return await asyncio.to_thread(run)


async def marked(world: World, bank: Any, held: bytes = b"") -> dict[bytes, exchange_pb2.DisputeMark]:
    """What the next delivery marks, by blinded key; keys ascend."""
    package = (await world.pull(bank, held)).package
    marks = exchange_pb2.Delivery.FromString(package.delivery.payload).disputes
    keys = [mark.blinded_key for mark in marks]
    assert keys == sorted(set(keys))
    return {mark.blinded_key: mark for mark in marks}


def key_in(edition: SealedEdition, subject: str = SUBJECT) -> bytes:
    return records.blinder(edition.blinding_key)(subject.encode())


async def test_an_objection_marks_later_deliveries_until_it_is_decided(
    tmp_path: Path, database_url: str
) -> None:
    """Filed by one person, marked in the next month, decided by another, gone in the month after."""
    async with city(tmp_path, database_url=database_url) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        first = chain.full(made_up_records(2000))
        await world.publish(first)
        assert not await marked(world, bank)

        document = objection(world, first)
        digest, acknowledged = await send(world, document, MAKER)
        assert acknowledged.message.outcome == "objection.filed"
        assert (await send(world, document, MAKER))[1].envelope == acknowledged.envelope
        second = chain.full(made_up_records(2000))
        await world.publish(second)
        marks = await marked(world, bank, first.digest)
        assert list(marks) == [key_in(second)]
        mark = marks[key_in(second)]
        assert (mark.objection, mark.filed_on, mark.due_on) == (digest, "2018-02-13", "2018-03-12")

        _, acknowledged = await send(world, decision(world, digest), APPROVER)
        assert acknowledged.message.outcome == "objection.denied"
        third = chain.full(made_up_records(2000))
        await world.publish(third)
        assert not await marked(world, bank, second.digest)

        (filed,) = entries(world, "objection.filed")
        (decided,) = entries(world, "objection.denied")
        assert (filed.actor, list(filed.documents), filed.manifest_digest) == (MAKER, [digest], first.digest)
        assert (decided.actor, [c.table for c in decided.changes]) == (APPROVER, ["objections"])
        assert SUBJECT not in str(filed) + str(decided)


async def test_marks_follow_the_record_into_the_next_year_and_leave_with_it(tmp_path: Path) -> None:
    """A new blinding key: the mark stands under the record's new key, and nowhere once the taxpayer has left."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        first = chain.full(made_up_records(20))
        await world.publish(first)
        await send(world, objection(world, first), MAKER)
        chain.year += 1
        second = chain.full(made_up_records(20), anew=True)
        await world.publish(second)
        assert key_in(second) != key_in(first)
        assert list(await marked(world, bank)) == [key_in(second)]
        third = chain.full(record for record in made_up_records(20) if record.taxpayer_id != SUBJECT)
        assert SUBJECT not in chain.truth
        await world.publish(third)
        assert not await marked(world, bank, second.digest)
        fourth = chain.full(made_up_records(20))
        await world.publish(fourth)
        assert list(await marked(world, bank, third.digest)) == [key_in(fourth)]


async def test_many_objections_are_listed_and_marked(tmp_path: Path) -> None:
    """Open ones first, then by due date; two about one enterprise are one mark, of the one that was filed first."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        edition = chain.full(made_up_records(1500))
        await world.publish(edition)
        later = chain.full(made_up_records(1500))
        await world.publish(later)
        filed = {}
        for number, subject, filed_on, due_on in (
            ("1", 3, "2018-02-12", "2018-03-09"),
            ("2", 1400, "2018-02-09", "2018-03-07"),
            ("3", 3, "2018-02-09", "2018-03-07"),
            ("4", 9, "2018-02-08", "2018-03-06"),
        ):
            of = later if number == "1" else edition
            document = objection(world, of, made_up_uscc(subject), number=number, filed_on=filed_on, due_on=due_on)
            filed[number], _ = await send(world, document, MAKER)
        await send(world, decision(world, filed["4"]), APPROVER)

        found = await listed(world, "grade-a", APPROVER)
        numbers = [objection_pb2.Objection.FromString(status.objection.payload).number for status in found]
        assert numbers == ["2", "3", "1", "4"]
        assert [status.HasField("decision") for status in found] == [False, False, False, True]
        assert not await listed(world, "grade-all")
        marks = await marked(world, bank)
        expected = {key_in(edition, made_up_uscc(3)): filed["3"], key_in(edition, made_up_uscc(1400)): filed["2"]}
        assert {key: mark.objection for key, mark in marks.items()} == expected


@pytest.mark.parametrize(
    ("change", "error", "basis"),
    [
        ({"due_on": "2018-03-13"}, Invalid, "objection.due_on"),
        ({"filed_on": "2999-01-04", "due_on": "2999-02-01"}, Invalid, "objection.filed_on"),
        ({"filed_on": "2003-12-01", "due_on": "2003-12-22"}, Invalid, "calendar.year"),
        ({"product": "grade-all"}, Invalid, "objection.product"),
        ({"manifest_digest": b"\7" * 32}, Unknown, "edition.unknown"),
        ({"blinded_key": b"\7" * 32}, Invalid, "objection.blinded_key"),
        ({"blinded_key": b"\xff" * 32}, Invalid, "objection.blinded_key"),
        ({"received_by": APPROVER}, NotEntitled, "objection.person"),
        ({"number": "2018 7"}, Invalid, "objection.number"),
    ],
)
async def test_an_objection_that_is_not_right_is_refused(
    tmp_path: Path, change: dict[str, Any], error: type[ExchangeError], basis: str
) -> None:
    """Each by its own basis, signed and logged; nothing of it is kept."""
    async with city(tmp_path) as world:
        edition = world.seal(20)
        await world.publish(edition)
        with pytest.raises(error) as refused:
            await send(world, objection(world, edition, **change), MAKER)
        assert refused.value.basis == basis
        check_signed(world, refused.value)
        assert not await listed(world)
        assert [entry.code for entry in entries(world, "refused")] == [refused.value.code]


async def test_only_a_published_edition_of_ones_own_is_objected_to(tmp_path: Path) -> None:
    """Neither one that awaits its approval nor another bureau's; a bank takes in nothing."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        edition = world.seal(20)
        await world.submit(edition)
        with pytest.raises(Conflict) as refused:
            await send(world, objection(world, edition), MAKER)
        assert refused.value.basis == "edition.state"
        await world.approve(edition)
        foreign = await world.admit("xinyi://test-city/other-bureau/person/sun-li", "TAX_BUREAU")
        theirs = objection(world, edition, origin=foreign.party, received_by=foreign.settings.holder)
        with pytest.raises(NotEntitled) as refused:
            await send(world, theirs, foreign.settings.holder)
        assert refused.value.basis == "edition.origin"
        with pytest.raises(NotEntitled) as refused:
            await listed(world, holder=bank.settings.holder)
        assert refused.value.basis == "partner.kind"


async def test_a_number_stands_for_one_objection(tmp_path: Path) -> None:
    """The same number with other content is a contradiction, and alarms."""
    async with city(tmp_path) as world:
        edition = world.seal(20)
        await world.publish(edition)
        await send(world, objection(world, edition), MAKER)
        with pytest.raises(Contradiction) as refused:
            await send(world, objection(world, edition, made_up_uscc(8)), MAKER)
        assert refused.value.basis == "objection.number"


async def test_a_record_is_objected_to_once_at_a_time(tmp_path: Path) -> None:
    """A second objection waits until the first one, which is named, is decided."""
    async with city(tmp_path) as world:
        edition = world.seal(20)
        await world.publish(edition)
        first, _ = await send(world, objection(world, edition), MAKER)
        again = objection(world, edition, number="2018-8")
        with pytest.raises(Conflict) as refused:
            await send(world, again, MAKER)
        assert refused.value.basis == "objection.open"
        assert "objection 2018-7 " in refused.value.explanation
        await send(world, decision(world, first), APPROVER)
        await send(world, again, MAKER)


async def test_who_took_it_in_does_not_decide_and_nobody_decides_twice(tmp_path: Path) -> None:
    """The second person is a rule of the gateway, judged by who sealed, not by what is written."""
    async with city(tmp_path) as world:
        edition = world.seal(20)
        await world.publish(edition)
        digest, _ = await send(world, objection(world, edition), MAKER)
        with pytest.raises(NotEntitled) as refused:
            await send(world, decision(world, digest, person=MAKER), MAKER)
        assert refused.value.basis == "objection.second_person"
        with pytest.raises(NotEntitled) as refused:
            await send(world, decision(world, digest, person=APPROVER), MAKER)
        assert refused.value.basis == "objection.person"
        with pytest.raises(Unknown) as refused:
            await send(world, decision(world, b"\7" * 32), APPROVER)
        assert refused.value.basis == "objection.unknown"
        outcome = objection_pb2.OBJECTION_OUTCOME_UNDECIDABLE
        document = decision(world, digest, outcome)
        _, first = await send(world, document, APPROVER)
        assert first.message.outcome == "objection.undecidable"
        assert (await send(world, document, APPROVER))[1].envelope == first.envelope
        with pytest.raises(Conflict) as refused:
            await send(world, decision(world, digest), APPROVER)
        assert refused.value.basis == "objection.state"


async def test_an_objection_that_is_upheld_names_the_correction_that_speaks_of_its_record(
    tmp_path: Path, database_url: str
) -> None:
    """Neither a FULL, nor a correction that is not published, nor one of other taxpayers."""
    upheld = objection_pb2.OBJECTION_OUTCOME_UPHELD
    async with city(tmp_path, database_url=database_url) as world:
        chain = Chain(world.homes[MAKER])
        subjects = made_up_records(1500)
        first = chain.full(subjects)
        await world.publish(first)
        digest, _ = await send(world, objection(world, first), MAKER)

        async def refused(correction: bytes) -> str:
            with pytest.raises((Invalid, Conflict, Unknown)) as error:
                await send(world, decision(world, digest, upheld, correction), APPROVER)
            return error.value.basis

        named = "objection_decision.correction"
        assert await refused(b"\7" * 32) == named
        assert await refused(first.digest) == named
        other = chain.correction(first.digest, gone=[made_up_uscc(9)])
        await world.publish(other)
        assert await refused(other.digest) == "objection_decision.subject"
        right = chain.correction(first.digest, gone=[SUBJECT])
        await world.submit(right)
        assert await refused(right.digest) == named
        await world.approve(right)
        _, acknowledged = await send(world, decision(world, digest, upheld, right.digest), APPROVER)
        assert acknowledged.message.outcome == "objection.upheld"
        (status,) = await listed(world)
        decided = objection_pb2.ObjectionDecision.FromString(status.decision.payload)
        assert decided.correction == right.digest


async def test_marks_follow_deltas(tmp_path: Path) -> None:
    """Told by a FULL, changed by a DELTA, gone by the next: marked as long as the record is in force."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        chain = Chain(world.homes[MAKER])
        first = chain.full(made_up_records(1500))
        await world.publish(first)
        await send(world, objection(world, first), MAKER)
        other = made_up_records(1600)[1550:]
        await world.publish(delta := chain.delta(other))
        assert list(await marked(world, bank, first.digest)) == [key_in(first)]
        with world.gateway.database.reading() as conn:
            row = editions.find_edition(conn, delta.digest)
            assert row is not None
            recall, agreement = exchange_pb2.DELIVERY_GROUND_RECALL, exchange_pb2.DELIVERY_GROUND_AGREEMENT
            assert not disputes.marks(conn, row, recall), "it is not told of whom this edition does not speak"
            assert len(disputes.marks(conn, row, agreement)) == 1
        await world.publish(last := chain.delta(gone=[SUBJECT]))
        assert not await marked(world, bank, delta.digest)
        with pytest.raises(Invalid) as refused:
            await send(world, objection(world, last, number="8"), MAKER)
        assert refused.value.basis == "objection.blinded_key"
