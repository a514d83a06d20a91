"""A month of real programs and its troubles: no name, no identifier in any line, metric or error."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest

from adapters.party.home import Home
from tests.flows.programs import run, serving
from tests.flows.test_delivery import until
from tests.world import (
    APPROVER,
    BUREAU,
    MAKER,
    SealedEdition,
    World,
    city,
    made_up_uscc,
    seal_edition,
)
from xinyi.errors import ExchangeError
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

HEADING = "纳税人识别号,纳税人名称,评价年度,税务机关"
#: identifier, name of rows that become records, and of those that must not.
GOOD = [(made_up_uscc(7_000_000 + n), f"鑫磊晟{n}号精密机械有限公司") for n in range(40)]
BAD = [
    (made_up_uscc(8_000_001)[:-1] + "I", "错码淼焱纺织有限公司"),  # rejected
    (made_up_uscc(8_000_002)[:12], "短号犇羴食品有限公司"),  # rejected
    ("11010119900101123X", "示意个体工商户"),  # withheld: a person's number
    (made_up_uscc(8_000_003), "欧阳明月"),  # withheld: a person's name
    (made_up_uscc(8_000_004), "两说骉麤贸易有限公司"),  # quarantined: two rows, two years
    (made_up_uscc(8_000_005).lower(), "小写毳掱运输有限公司"),  # warned
]
#: What an edition sealed by hand holds, to be refused by the gateway.
REFUSED = [(made_up_uscc(9_000_000 + n), f"拒收龘靐{n}号有限公司") for n in range(5)]


def listed(path: Path) -> Path:
    rows = [f"{i},{n},2018,示意税务局" for i, n in (*GOOD, *BAD)]
    rows.append(f"{BAD[4][0]},{BAD[4][1]},2017,示意税务局")
    path.write_text("\n".join([HEADING, *rows]) + "\n", encoding="gb18030")
    return path


def forms(text: str) -> Iterator[str]:
    """A text as it may stand in a log: normalised, in JSON, as bytes of either encoding, as hex."""
    for form in {text, text.upper(), text.lower(), *(normalize(how, text) for how in ("NFKC", "NFD"))}:
        yield form
        yield json.dumps(form)[1:-1]
        for encoding in ("utf-8", "gb18030"):
            yield repr(form.encode(encoding))[2:-1]
            yield form.encode(encoding).hex()


def told(text: str) -> list[str]:
    """Names and identifiers that a text gives away."""
    return [
        secret
        for row in (*GOOD, *BAD, *REFUSED)
        for secret in row
        if any(form in text or form in normalize("NFKC", text) for form in forms(secret))
    ]


def test_the_search_finds_what_is_there() -> None:
    """Raw, normalised, escaped, as bytes: the test below can fail."""
    identifier, name = GOOD[0]
    wide = "".join(chr(ord(c) + 0xFEE0) for c in identifier)
    for text in (
        name,
        json.dumps(name),
        repr(name.encode()),
        repr(name.encode("gb18030")),
        name.encode().hex(),
    ):
        assert told(f"… {text} …") == [name]
    assert told(wide) == told(identifier.lower()) == told(repr(identifier.encode())) == [identifier]


def refused_edition(world: World, sequence: int, predecessor: bytes, grade: int) -> SealedEdition:
    subjects = [
        records_pb2.GradeRecord(
            taxpayer_id=identifier,
            identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
            names=[name],
            evaluation_year=2018,
            grade=grade,  # type: ignore[arg-type]
        )
        for identifier, name in REFUSED
    ]
    return seal_edition(world.homes[MAKER], subjects, month=12, sequence=sequence, predecessor=predecessor)


async def troubles(world: World, predecessor: bytes) -> str:
    """What the gateway says to editions it refuses, and to one that its own disk refuses."""
    wrong_grade = refused_edition(world, 2, predecessor, records_pb2.GRADE_D)
    changed = refused_edition(world, 2, predecessor, records_pb2.GRADE_A)
    changed.chunks[0] = changed.chunks[0].replace(REFUSED[0][1].encode(), REFUSED[1][1].encode())
    twice = refused_edition(world, 2, predecessor, records_pb2.GRADE_A)
    twice.chunks[0] += twice.chunks[0]
    unplaced = refused_edition(world, 9, predecessor, records_pb2.GRADE_A)
    said = []

    async def refused(edition: SealedEdition) -> None:
        with pytest.raises(ExchangeError) as error:
            await world.submit(edition)
        said.append(f"{error.value} {error.value.sealed!r}")

    for edition in (wrong_grade, changed, twice, unplaced):
        await refused(edition)
    with sqlite3.connect(world.path / "gateway" / "gateway.db") as conn:
        conn.execute("CREATE TRIGGER full BEFORE INSERT ON chunks BEGIN SELECT RAISE(ABORT, 'disk'); END")
    await refused(refused_edition(world, 2, predecessor, records_pb2.GRADE_A))
    with sqlite3.connect(world.path / "gateway" / "gateway.db") as conn:
        conn.execute("DROP TRIGGER full")
    return "\n".join(said)


async def decide(world: World, digest: bytes) -> None:
    await world.decide(
        edition_pb2.HoldRelease(
            manifest_digest=digest, released_by=APPROVER, reason="known rows", released_at_ms=world.clock()
        )
    )
    approved = edition_pb2.Approval(
        manifest_digest=digest, origin=BUREAU, approved_by=APPROVER, approved_at_ms=world.clock()
    )
    await world.decide(approved)


def configure(home: Home, text: str) -> None:
    file = home.path / "party.toml"
    file.write_text(file.read_text() + text)


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.processes
async def test_nobody_is_named(tmp_path: Path, unused_tcp_ports: list[int]) -> None:
    """Gateway, inbox and every command at their most talkative; also where a database fails."""
    gateway_metrics, inbox_port, inbox_metrics = unused_tcp_ports
    async with city(tmp_path) as world:
        address = world.address
        push = await world.bank("bank-1", exchange_pb2.CHANNEL_PUSH, f"127.0.0.1:{inbox_port}")
        pull = await world.bank("bank-2")
    configure(
        push,
        f'\n[bank.inbox]\nlisten = "127.0.0.1:{inbox_port}"\nmetrics = "127.0.0.1:{inbox_metrics}"\n'
        "[bank.rules]\nmax_name_length = 12\nmax_refused_percent = 100\n",
    )
    loud = {"XINYI_LOGS__LEVEL": "DEBUG"}
    env = loud | {
        "XINYI_LISTEN": address,
        "XINYI_METRICS__LISTEN": f"127.0.0.1:{gateway_metrics}",
        "XINYI_DELIVERY__WORKER": "served",
    }
    said: list[str] = []

    async def command(*words: object, codes: tuple[int, ...] = (0,)) -> str:
        done: Any = await asyncio.to_thread(lambda: run(*words, env=loud))
        assert done.returncode in codes, done.stdout + done.stderr
        said.append(done.stdout + done.stderr)
        return str(done.stdout)

    served = (tmp_path / "gateway.log", "gateway.serving", "xinyi-gateway", "serve", "--home")
    dialled = (tmp_path / "inbox.log", "inbox.serving", "xinyi-bank", "inbox", "--home", push.path)
    with serving(*served, tmp_path / "gateway", env=env) as gateway, serving(*dialled, env=loud) as inbox:
        maker = world.homes[MAKER].path
        source = (listed(tmp_path / "list.csv"), "--profile", "jiangxi-2018")
        await command("xinyi-bureau", "inspect", *source)
        dated = ("--product", "grade-a", "--period", "2018-05", "--home", maker)
        await command("xinyi-bureau", "publish", *source, *dated)
        (shown,) = json.loads(await command("xinyi-bureau", "status", "--json", "--home", maker))
        digest = bytes.fromhex(shown["manifest"])
        await decide(world, digest)

        async def received() -> bool:
            return "inbox.received" in inbox.said

        await until(received, 30)
        await command("xinyi-bank", "fetch", "--home", pull.path)
        for bank in (push, pull):
            await command("xinyi-bank", "land", "--home", bank.path)
            await command("xinyi-bank", "confirm", "--home", bank.path)
            await command("xinyi-bank", "status", "--home", bank.path)
        said.append(await troubles(world, digest))
        said += [gateway.said, inbox.said, page(gateway_metrics), page(inbox_metrics)]
    text = "\n".join(said)
    for expected in ("quarantined", "withheld", "call.failed", "product.grades", "xinyi_deliveries_total"):
        assert expected in text, f"{expected}: this month was too quiet to prove anything"
    assert "partial" in text
    assert told(text) == []


@pytest.fixture
def unused_tcp_ports() -> list[int]:
    import socket

    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
