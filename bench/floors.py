"""Floors: the least that any program of this language must do for the same job. Each runs as its own process.

They verify nothing, sign nothing, log nothing and know no contract; where they read an edition's chunks they
split them into records, because a leaf is made of one record.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import os
import sqlite3
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

CHUNK = 1024
METHOD = "/bench.Floor/Call"
MAX_MESSAGE_BYTES = 8 << 20
_sha256 = hashlib.sha256


def _blinder(key: bytes) -> Callable[[bytes], bytes]:
    inner = _sha256(bytes(b ^ 0x36 for b in key.ljust(64, b"\0")))
    outer = _sha256(bytes(b ^ 0x5C for b in key.ljust(64, b"\0")))

    def blind(identifier: bytes) -> bytes:
        first = inner.copy()
        first.update(identifier)
        second = outer.copy()
        second.update(first.digest())
        return second.digest()

    return blind


def _root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        paired = [_sha256(b"\1" + a + b).digest() for a, b in zip(hashes[::2], hashes[1::2], strict=False)]
        if len(hashes) & 1:
            paired.append(hashes[-1])
        hashes = paired
    return hashes[0]


def _leaf_hash(key: bytes, salt: bytes, record: bytes) -> bytes:
    return _sha256(b"\0\1" + key + _sha256(b"xinyi-record-v1\0" + salt + record).digest()).digest()


def _database(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    for setting in ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL"):
        db.execute(f"PRAGMA {setting}")
    return db


def publish(source: str, database: str, column: str) -> None:
    """Reads the csv, makes salted leaves and the tree, inserts the same bytes into SQLite."""
    db = _database(database)
    db.execute("CREATE TABLE chunks (number INTEGER PRIMARY KEY, data BLOB)")
    blind, identifier = _blinder(os.urandom(32)), int(column)
    roots: list[bytes] = []

    def store(rows: list[list[str]]) -> None:
        salts = os.urandom(32 * len(rows))
        hashes, kept = [], []
        for number, row in enumerate(rows):
            salt, record = salts[32 * number : 32 * number + 32], "\t".join(row).encode()
            hashes.append(_leaf_hash(blind(row[identifier].encode()), salt, record))
            kept += (salt, record)
        db.execute("INSERT INTO chunks VALUES (?, ?)", (len(roots), b"".join(kept)))
        roots.append(_root(hashes))

    db.execute("BEGIN")
    with Path(source).open(encoding="gb18030", newline="") as file:
        rows: list[list[str]] = []
        for row in csv.reader(file):
            rows.append(row)
            if len(rows) == CHUNK:
                store(rows)
                rows = []
        if rows:
            store(rows)
    _root(roots)
    db.execute("COMMIT")


def read_chunks(path: str) -> Iterator[bytes]:
    """Chunks of a file: each is its length, then its bytes."""
    with Path(path).open("rb") as file:
        while head := file.read(4):
            yield file.read(struct.unpack(">I", head)[0])


def dump(database: str, chunks: str) -> None:
    """Writes the chunks of a gateway's newest edition to a file, for the floors to stream."""
    db = sqlite3.connect(database)
    newest = "SELECT manifest_digest FROM editions ORDER BY sequence DESC LIMIT 1"
    with Path(chunks).open("wb") as file:
        for (data,) in db.execute(
            f"SELECT data FROM chunks WHERE manifest_digest = ({newest}) ORDER BY number"
        ):
            file.write(struct.pack(">I", len(data)) + data)


def serve(chunks: str, tls: str = "") -> None:
    """Streams the chunks of a file to whoever calls, and echoes; insecure, or with mutual TLS."""
    import grpc
    import grpc.aio

    held = list(read_chunks(chunks)) if chunks else []

    async def stream(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for chunk in held:
            yield chunk

    async def echo(request: bytes, context: Any) -> bytes:
        return request

    async def main() -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "bench.Floor",
                    {
                        "Stream": grpc.unary_stream_rpc_method_handler(stream),
                        "Call": grpc.unary_unary_rpc_method_handler(echo),
                    },
                ),
            )
        )
        if tls:
            key, certificate, ca = (Path(tls, name).read_bytes() for name in ("tls.pem", "tls.crt", "ca.crt"))
            credentials = grpc.ssl_server_credentials([(key, certificate)], ca, require_client_auth=True)
            port = server.add_secure_port("127.0.0.1:0", credentials)
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        print(f"serving {port}", flush=True)
        await server.wait_for_termination()

    asyncio.run(main())


def _channel(port: str, tls: str) -> Any:
    import grpc

    options = [("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
    if not tls:
        return grpc.insecure_channel(f"127.0.0.1:{port}", options)
    key, certificate, ca = (Path(tls, name).read_bytes() for name in ("tls.pem", "tls.crt", "ca.crt"))
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)


def deliver(port: str, database: str) -> None:
    """Receives the stream, makes leaves and tree, inserts a row per record into SQLite."""
    from xinyi.v1.records_pb2 import Chunk

    db = _database(database)
    db.execute("CREATE TABLE records (key BLOB, record BLOB)")
    blind = _blinder(os.urandom(32))
    roots = []
    db.execute("BEGIN")
    with _channel(port, "") as channel:
        for data in channel.unary_stream("/bench.Floor/Stream")(b""):
            hashes, rows = [], []
            for salted in Chunk.FromString(data).records:
                record = salted.record
                key = blind(record[2:20])  # the identifier stands first in a record
                hashes.append(_leaf_hash(key, salted.salt, record))
                rows.append((key, record))
            roots.append(_root(hashes))
            db.executemany("INSERT INTO records VALUES (?, ?)", rows)
    _root(roots)
    db.execute("COMMIT")


def outcomes(chunks: str, database: str) -> None:
    """Parses single loans, makes leaves and tree, inserts a row per record into SQLite, by its id."""
    from xinyi.v1.lending_pb2 import LendingOutcome
    from xinyi.v1.records_pb2 import Chunk

    db = _database(database)
    db.execute("CREATE TABLE outcomes (outcome_id TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID")
    roots = []
    db.execute("BEGIN")
    for data in read_chunks(chunks):
        hashes, rows = [], []
        for salted in Chunk.FromString(data).records:
            record = salted.record
            hashes.append(_sha256(b"\0\1" + _sha256(b"xinyi-outcome-v1\0" + salted.salt + record).digest()).digest())
            rows.append((LendingOutcome.FromString(record).outcome_id, record))
        roots.append(_root(hashes))
        db.executemany("INSERT INTO outcomes VALUES (?, ?)", rows)
    _root(roots)
    db.execute("COMMIT")


def receive(port: str, tls: str, times: str) -> None:
    """Receives the stream and throws it away; prints the mean seconds of all times but the first."""
    with _channel(port, tls) as channel:
        stream = channel.unary_stream("/bench.Floor/Stream")
        taken = []
        for _ in range(int(times) + 1):
            started = time.perf_counter()
            for _chunk in stream(b""):
                pass
            taken.append(time.perf_counter() - started)
    print(sum(taken[1:]) / int(times))


def echo(port: str, calls: str, concurrency: str, size: str) -> None:
    """Unary calls over one insecure grpc.aio channel; prints calls per second."""
    import grpc.aio

    async def main() -> None:
        payload = os.urandom(int(size))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(METHOD)
            for _ in range(50):
                await call(payload)
            left = iter(range(int(calls)))

            async def caller() -> None:
                for _ in left:
                    await call(payload)

            started = time.perf_counter()
            await asyncio.gather(*(caller() for _ in range(int(concurrency))))
            print(int(calls) / (time.perf_counter() - started))

    asyncio.run(main())


#: By dimension of a bank's table: its value in the plain table below.
DIMENSIONS = {
    "total": "'all'", "district": "district", "first-time": "first_time", "grade": "grade", "guarantee": "guarantee",
    "industry": "industry", "product": "product", "size/GXB300": "size", "true-grade": "grade",
    "rate/350-435-500-600": "CASE WHEN rate < 350 THEN 0 WHEN rate < 435 THEN 1 WHEN rate < 500 THEN 2 "
    "WHEN rate < 600 THEN 3 ELSE 4 END",
}  # fmt: skip
_PLAIN = (
    "reference, taxpayer, product, guarantee, size, inclusive, industry, district, first_time, rate, term, branch, "
    "grade, granted_on, refused_on, granted, balance, class"
)
_BAD = "class IN ('次级', '可疑', '损失')"
#: The eleven sums of each cell; enterprises count once.
_SUMS = """
    SELECT value, sum(loans), sum(loans > 0), sum(granted), sum(outstanding), sum(outstanding > 0), sum(balance),
        sum(bad), sum(bad > 0), sum(bad_balance), sum(refused), sum(refused > 0)
    FROM (
        SELECT {value} AS value, sum(granted > 0) AS loans, sum(granted) AS granted, sum(balance > 0) AS outstanding,
            sum(balance) AS balance, sum({bad}) AS bad, sum(CASE WHEN {bad} THEN balance ELSE 0 END) AS bad_balance,
            sum(refused_on <> '') AS refused
        FROM loans GROUP BY {value}, taxpayer
    ) GROUP BY value
"""


def table(source: str, database: str) -> None:
    """Reads the csv of loans into a plain table with salted leaf hashes beside; the GROUP BYs; the tree over sums that
    lie ready, as many leaves as there are enterprises. Prints the cells."""
    db = sqlite3.connect(database, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF"):
        db.execute(f"PRAGMA {setting}")
    db.execute(f"CREATE TABLE loans ({_PLAIN})")
    hashes = 0

    def rows() -> Iterator[list[Any]]:
        nonlocal hashes
        with Path(source).open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            next(reader)
            for row in reader:
                _sha256(b"xinyi-lending-v1\0" + os.urandom(32) + "\t".join(row).encode()).digest()
                hashes += 1
                row[9:10] = [int(row[9].replace(".", ""))]  # type: ignore[list-item]
                row[15:17] = [int(amount.replace(".", "")) for amount in row[15:17]]  # type: ignore[misc]
                yield row

    db.execute("BEGIN")
    db.executemany(f"INSERT INTO loans VALUES ({', '.join('?' * 18)})", rows())
    db.execute("COMMIT")
    cells = 0
    for value in DIMENSIONS.values():
        cells += len(db.execute(_SUMS.format(value=value, bad=_BAD)).fetchall())
    (firms,) = db.execute("SELECT count(DISTINCT taxpayer) FROM loans").fetchone()
    _sum_tree(-(-firms // 16), 1 + 11 * cells)
    print(cells)


def _sum_tree(pages: int, lanes: int) -> bytes:
    """Over pages of 16 enterprises whose entries (about 60 lanes each) and sums lie ready."""
    entries = os.urandom(16 * 600)
    sums = sum(lane << 64 * lane for lane in range(lanes))
    size = 8 * lanes + 8
    waiting: list[tuple[int, bytes, int]] = []
    for _ in range(pages):
        digest = _sha256(b"\0" + sums.to_bytes(size, "little") + _sha256(entries).digest()).digest()
        grown = (0, digest, sums)
        while waiting and waiting[-1][0] == grown[0]:
            height, left, of_left = waiting.pop()
            told = (b"\1", of_left.to_bytes(size, "little"), left, grown[2].to_bytes(size, "little"), grown[1])
            grown = (height + 1, _sha256(b"".join(told)).digest(), of_left + grown[2])
        waiting.append(grown)
    return waiting[0][1]


def lookup(database: str, recipient: str, times: str) -> None:
    """The rows of one as-of by primary key, from a gateway's SQLite; prints the 99th percentile in ms."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    editions = db.execute("SELECT manifest_digest, approval FROM editions ORDER BY sequence").fetchall()
    delivered = "SELECT delivery_id, document FROM deliveries WHERE manifest_digest = ? AND recipient = ?"
    taken = []
    for _ in range(int(times)):
        number = int.from_bytes(os.urandom(2), "big") >> 2
        started = time.perf_counter()
        for digest, approval in editions:
            bucket = "SELECT entries FROM buckets WHERE manifest_digest = ? AND number = ?"
            db.execute(bucket, (digest, number)).fetchall()
            first = 32 * (number & ~127) + 1
            path = "SELECT substr(digests, ?, 4096) FROM states WHERE manifest_digest = ?"
            db.execute(path, (first, digest)).fetchall()
            delivery_id, document = db.execute(delivered, (digest, recipient)).fetchone()
            receipts = db.execute("SELECT document FROM receipts WHERE delivery_id = ?", (delivery_id,)).fetchall()
            for name in (digest, approval, document, *(row[0] for row in receipts)):
                db.execute("SELECT envelope FROM documents WHERE digest = ?", (name,)).fetchone()
        taken.append(time.perf_counter() - started)
    print(1000 * sorted(taken)[-(-99 * len(taken) // 100) - 1])


COMMANDS: dict[str, Callable[..., None]] = {
    "publish": publish,
    "dump": dump,
    "serve": serve,
    "deliver": deliver,
    "outcomes": outcomes,
    "receive": receive,
    "echo": echo,
    "lookup": lookup,
    "table": table,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])
