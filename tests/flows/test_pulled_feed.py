"""S2: a bank pulls the A list since January; unchanged polls, a cut line, and what is refused to whom."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import threading
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

import pytest

from adapters.bank.client import BankClient
from adapters.bank.fetch import Receiver
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.bureau.editions import Edition
from adapters.party.home import Home
from audit import envelope
from audit.keys import keyid
from audit.records import CHUNK_RECORDS
from gateway import delivery
from gateway.office import catalogue, keys
from gateway.reception import DIRECTORY_AGE_S
from gateway.store import parties
from tests.flows.days import Days
from tests.flows.parties import Bank, Bureau, plain_state, shown_of
from tests.flows.test_delivery import until
from tests.flows.test_resumption import root_of
from tests.flows.test_rights import check_signed, entries
from tests.world import APPROVER, MAKER, OPERATOR, World, city, made_up_uscc
from xinyi import checks
from xinyi.days import CHINA
from xinyi.errors import NotEntitled, SignatureInvalid, TooManyRequests, Unavailable
from xinyi.v1 import exchange_pb2

ROWS, CUT_AT = 28_411, 14_000
FEBRUARY = {made_up_uscc(n): (f"示例企业{n}有限公司", "A", "ANNUAL", "2017-04-10") for n in range(ROWS)}
JANUARY = {who: FEBRUARY[who] for who in list(FEBRUARY)[:2000]}


class Line:
    """A TCP line to the gateway on which no more than a number of bytes comes down; it breaks when it is told to."""

    def __init__(self, port: int, carries: int) -> None:
        self._left, self._port = carries, port
        self.broken = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        near, _ = self._listener.accept()
        self._listener.close()
        with near, socket.create_connection(("127.0.0.1", self._port)) as far:
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()
            while self._left > 0 and (data := far.recv(min(65536, self._left))):
                self._left -= len(data)
                near.sendall(data)
            self.broken.wait(60)
            for end in (near, far):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)


def through(home: Home, port: int) -> None:
    """The bank dials the gateway at another port from now on."""
    file = home.path / "party.toml"
    file.write_text(re.sub(r'"127\.0\.0\.1:\d+"', f'"127.0.0.1:{port}"', file.read_text(), count=1))


async def test_a_cut_line_an_unchanged_feed_and_who_gets_nothing(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2018-02 comes whole after a cut at row 14,000; then nothing new, without a body; then too often."""
    days = Days(monkeypatch)
    days.on(date(2018, 1, 10))
    async with city(tmp_path, database_url=database_url) as world:
        bureau = Bureau(world)
        bank = Bank(await person(world, await world.bank("bank-2"), "chen-hao"))
        january = await bureau.full(JANUARY, "2018-01")
        assert (await bank.call()).level == 1
        days.on(date(2018, 2, 11))
        february = await bureau.full(FEBRUARY, "2018-02")
        await check_resumption(world, bank, january, february)
        assert (await bank.call()).level == 2
        assert bank.shown() == shown_of(FEBRUARY)
        assert len(bank.query("SELECT taxpayer_id FROM grade_a")) == ROWS
        check_log(world, bank, february)
        await check_polls(world, days, bank, february)
        await check_grade_c(world, bank)
        await check_former_employee(world, bank, february)


async def person(world: World, bank: Home, name: str) -> Home:
    """An employee who works for the bank with keys of their own."""
    home = await world.admit(f"xinyi://{bank.party}/person/{name}", "BANK")
    for one in (MAKER, APPROVER):
        world.pin(home, world.homes[one].signer().key)
    return home


async def check_resumption(world: World, bank: Bank, january: Edition, february: Edition) -> None:
    """The line breaks at row 14,000: what was verified stays, and the rest is asked for from there on."""
    whole = [data for _, data in february.chunks()]
    cut = CUT_AT // CHUNK_RECORDS
    inside = len(whole[cut]) * (CUT_AT % CHUNK_RECORDS) // CHUNK_RECORDS
    address = world.service.port
    # Beside the chunks the TLS handshake, the call's headers and the package go down this line.
    line = Line(address, sum(map(len, whole[:cut])) + inside + 9000)
    through(bank.home, line.port)
    broken = Bank(Home.open(bank.home.path))
    fetching = asyncio.create_task(broken.call())
    spool = Spool(BankSettings.of(bank.home).spool)

    async def stalled() -> bool:
        return len(list(spool.path.glob("incoming/*.part/chunks/*.chunk"))) == cut

    await until(stalled)
    line.broken.set()
    with pytest.raises(Unavailable):
        await fetching
    through(bank.home, address)
    held = spool.held("grade-a")
    assert held is not None
    assert held.manifest_digest == january.digest
    assert await stalled(), "what was verified stays"
    assert bank.shown() == shown_of(JANUARY), "readers see the edition before"

    def resume() -> list[int]:
        asked = []

        class Noting(BankClient):
            def chunks(self, package, from_chunk):  # type: ignore[no-untyped-def]
                asked.append(from_chunk)
                return super().chunks(package, from_chunk)

        with Noting(bank.home) as client:
            answer = client.ask("grade-a", january.digest)
            assert (answer.unchanged, answer.remaining) == (False, 0)
            Receiver(bank.home).receive(answer.package, client.chunks)
        return asked

    assert await asyncio.to_thread(resume) == [cut]
    taken = spool.find(checks.delivery_id(february.digest, bank.party))
    assert taken is not None
    chunks = [taken.chunk(number) for number in range(len(whole))]
    assert hashlib.sha256(b"".join(chunks)).digest() == hashlib.sha256(b"".join(whole)).digest()
    manifest = february.manifest
    assert root_of(manifest, february.blinding_key, chunks) == manifest.root
    assert (manifest.record_count, plain_state([february])[0]) == (ROWS, manifest.state_root)


async def check_polls(world: World, days: Days, bank: Bank, february: Edition) -> None:
    """Unchanged is said without a body and without an entry; too often is refused with the time to wait."""
    days.advance(hours=1)
    before = log_size(world)
    for _ in range(5):
        answer = await world.pull(bank.home, february.digest)
        assert (answer.unchanged, answer.HasField("package"), answer.remaining) == (True, False, 0)
        assert answer.retry_after_s > 0
    assert log_size(world) == before
    with pytest.raises(TooManyRequests) as refused:
        await world.pull(bank.home, february.digest)
    assert refused.value.basis == "poll.too_often"
    wait = re.search(r"ask again in (\d+) s", refused.value.explanation)
    assert wait is not None
    check_signed(world, refused.value)
    days.advance(hours=int(wait[1]) / 3600)
    assert (await world.pull(bank.home, february.digest)).unchanged


async def check_grade_c(world: World, bank: Bank) -> None:
    """Rows of other grades are another product: refused with the reason's code, never an empty list."""
    await world.gateway.door.run(lambda x: catalogue.switch(x, "grade-all", True, OPERATOR))
    with pytest.raises(NotEntitled) as refused:
        await world.pull(bank.home, product="grade-all")
    assert refused.value.basis == "entitlement.missing"
    check_signed(world, refused.value)
    last = entries(world, "refused")[-1]
    assert (last.actor, last.code) == (bank.home.settings.holder, NotEntitled.code)
    assert last.detail == "Pull: entitlement.missing: grade-all"


async def check_former_employee(world: World, bank: Bank, february: Edition) -> None:
    """A key that was retired opens nothing any more: refused by name, and the refusal is in the log."""
    employee = await person(world, bank.home, "zhou-jie")
    assert envelope.digest((await world.pull(employee)).package.manifest) == february.digest
    await world.gateway.door.run(
        lambda x: keys.retire(x, keyid(employee.signer().key), "left the bank", OPERATOR)
    )
    await asyncio.sleep(DIRECTORY_AGE_S)  # so long a gateway takes what it has read of the keys for true
    known = len(entries(world, "refused"))
    with pytest.raises(SignatureInvalid):
        await world.pull(employee)
    (logged,) = entries(world, "refused")[known:]
    assert (logged.actor, logged.code) == (employee.settings.holder, SignatureInvalid.code)


def log_size(world: World) -> int:
    world.gateway.log.sequence()
    with world.gateway.database.reading() as conn:
        head = world.gateway.log.head(conn)
    assert head is not None
    return head.size


def check_log(world: World, bank: Bank, february: Edition) -> None:
    """The person, the purpose (agreement and disclosure class of the sealed Delivery), the time, the edition."""
    (offer,) = [e for e in entries(world, "delivery.offered") if e.manifest_digest == february.digest]
    assert (offer.counterparty, offer.product, offer.channel) == (bank.party, "grade-a", exchange_pb2.CHANNEL_PULL)
    assert (offer.period.year, offer.period.month, offer.record_count) == (2018, 2, ROWS)
    with world.gateway.database.reading() as conn:
        given = delivery.package(conn, offer.delivery_id).delivery
        agreement = parties.find_agreement(conn, offer.agreement_id)
    assert envelope.digest(given) in offer.documents
    sealed = exchange_pb2.Delivery.FromString(given.payload)
    assert (sealed.agreement_id, sealed.disclosure_class) == (offer.agreement_id, exchange_pb2.DISCLOSURE_CLASS_PUBLIC)
    assert agreement is not None
    assert agreement["party"] == bank.party
    for kind in ("receipt.received", "receipt.accepted", "receipt.applied"):
        (said,) = [e for e in entries(world, kind) if e.manifest_digest == february.digest]
        assert (said.actor, said.record_count) == (bank.home.settings.holder, ROWS)
        assert said.recorded_at_ms >= offer.recorded_at_ms
        assert datetime.fromtimestamp(said.recorded_at_ms / 1000, CHINA).date() == date(2018, 2, 11)
