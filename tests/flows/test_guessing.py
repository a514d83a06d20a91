"""Who sees leaves, tiles and heads of a real gateway, and knows every taxpayer, still learns nobody's grade."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

from adapters.auditor.client import LogClient
from adapters.party.gateway import GatewayClient
from audit import records
from tests.flows.test_audit import auditor
from tests.world import SealedEdition, city, made_up_records, receipt_for
from xinyi.v1 import exchange_pb2, log_pb2, records_pb2

GRADES = [value for value in records_pb2.Grade.values() if value]
COUNT = 300


def windows(data: bytes) -> set[bytes]:
    return {data[i : i + 32] for i in range(len(data) - 31)}


def record_leaves(edition: SealedEdition) -> Iterator[bytes]:
    """What a proof of a neighbour's record shows of this one, and more: its whole leaf, and its hash."""
    blind = records.blinder(edition.blinding_key)
    for chunk in edition.chunks:
        yield from records.read_chunk(chunk, blind).leaf_hashes
        for salted in records_pb2.Chunk.FromString(chunk).records:
            key = blind(records_pb2.GradeRecord.FromString(salted.record).taxpayer_id.encode())
            yield records.leaf(key, records.commitment(salted.salt, salted.record))


def hashes(identifier: str, record: bytes, grade: int, salt: bytes, key: bytes) -> Iterator[bytes]:
    """Whatever might stand for a taxpayer, a grade, or both."""
    sha256 = hashlib.sha256
    subject = identifier.encode()
    yield from (sha256(guess).digest() for guess in (subject, record, subject + bytes([grade])))
    yield from (sha256(f"{identifier}{join}{grade}".encode()).digest() for join in ("", "|", ":", "\0"))
    yield hmac.digest(key, subject, "sha256")
    yield records.commitment(salt, record)
    yield sha256(b"\0" + record).digest()
    yield sha256(
        b"\0" + records.leaf(hmac.digest(key, subject, "sha256"), records.commitment(salt, record))
    ).digest()


def found(shown: set[bytes], salts: dict[str, bytes], key: bytes) -> set[tuple[str, int]]:
    """(identifier, grade) of every guess that matches anything that was shown."""
    hits = set()
    for record in made_up_records(COUNT):
        for grade in GRADES:
            record.grade = grade
            wire = record.SerializeToString(deterministic=True)
            salt = salts.get(record.taxpayer_id, b"")
            for made in hashes(record.taxpayer_id, wire, grade, salt, key):
                if made in shown:
                    hits.add((record.taxpayer_id, grade))
    return hits


def entry_guesses(openings: list[bytes], salt: bytes) -> Iterator[bytes]:
    """Leaves of log entries whose every field an attacker guessed right, but for the salt."""
    for opening in openings:
        yield hashlib.sha256(b"xinyi-log-entry-v1\0" + salt + opening).digest()
        yield hashlib.sha256(opening).digest()
        for document in log_pb2.LogEntry.FromString(opening).documents:
            yield bytes(document)
            yield hashlib.sha256(document).digest()


async def test_trying_every_taxpayer_and_grade_finds_nothing(tmp_path: Path, database_url: str) -> None:
    """All identifiers times all grades, and every log entry but its salt; with the salts all are found."""
    async with city(tmp_path, database_url=database_url) as world:
        home = await auditor(world)
        bank = await world.bank("bank-1")
        edition = world.seal(COUNT)
        await world.publish(edition)
        package = (await world.pull(bank)).package
        stage = exchange_pb2.RECEIPT_STAGE_RECEIVED
        await world.confirm(bank, receipt_for(package, bank, stage, world.clock()))

        def export() -> dict[str, bytes]:
            files: dict[str, bytes] = {}
            with GatewayClient(home) as client:
                query = exchange_pb2.LogQuery(purpose="audit", export=True)
                for path, data in LogClient(client).export(query):
                    files[path] = files.get(path, b"") + data
            return files

        files = await asyncio.to_thread(export)
        with world.gateway.database.reading() as conn:
            log = list(world.gateway.log.openings(conn, 0, 10_000))
    public = [data for path, data in files.items() if path.startswith("tile/") or path == "checkpoint"]
    assert len(public) == 3
    shown = set().union(*map(windows, (*public, *record_leaves(edition))))
    assert len(shown) > COUNT

    assert found(shown, {}, b"") == set()
    assert (
        found(shown, dict.fromkeys((r.taxpayer_id for r in made_up_records(COUNT)), bytes(32)), bytes(32))
        == set()
    )
    openings = [opening for *_, opening in log]
    for salt in (b"", bytes(32)):
        assert shown.isdisjoint(entry_guesses(openings, salt))

    salts = {
        records_pb2.GradeRecord.FromString(salted.record).taxpayer_id: salted.salt
        for chunk in edition.chunks
        for salted in records_pb2.Chunk.FromString(chunk).records
    }
    told = found(shown, salts, b"")
    assert told == {(record.taxpayer_id, records_pb2.GRADE_A) for record in made_up_records(COUNT)}
    assert {i for i, _ in found(shown, {}, edition.blinding_key)} == set(salts)
    for _, _, salt, opening in log:
        assert not shown.isdisjoint(entry_guesses([opening], salt))
