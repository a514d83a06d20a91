"""What a gateway's home looks like: is it fit to serve, and where do things stand. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError

from audit import certificates, checkpoint, custody, log
from gateway.config import Settings
from gateway.store import migrations, tables
from gateway.store.db import check_apart, open_engine
from xinyi.errors import ExchangeError
from xinyi.server import is_address
from xinyi.v1 import exchange_pb2

T = TypeVar("T")

#: Days before its end at which a certificate is complained about.
RENEWAL_DAYS = 30


def read(home: Path, query: Callable[[Connection], T]) -> T:
    """Runs a query on the database of this home."""
    engine = open_engine(Settings.load(home).database_url)
    try:
        with engine.execution_options(reading=True).connect() as conn:
            return query(conn)
    finally:
        engine.dispose()


def problems(home: Path) -> list[str]:
    """What keeps this gateway from serving, each with what to do. Raises SettingsInvalid."""
    settings = Settings.load(home)
    found = (
        *_private_files(home),
        *_keys(settings),
        *_certificate(settings),
        *_databases(settings),
        *_address(settings),
    )
    return list(dict.fromkeys(found))


def _private_files(home: Path) -> Iterator[str]:
    for file in (*home.glob("keys/*.pem"), *home.glob("authority/*.pem"), *home.glob("*.db")):
        if file.stat().st_mode & 0o077:
            yield f"{file} can be read by others: chmod 600 {file}"
    if not os.access(home, os.W_OK):
        yield f"{home} cannot be written: give it to the account the gateway runs as"


def _keys(settings: Settings) -> Iterator[str]:
    for signer in (settings.signer, settings.log_signer):
        try:
            custody.probe(signer())
        except ExchangeError as error:
            yield error.explanation


def _certificate(settings: Settings) -> Iterator[str]:
    try:
        tls = settings.tls()
        key = certificates.load_key(tls.key).public_key()
        certificates.check(tls.certificate.read_bytes(), key, settings.holder, ca=tls.ca.read_bytes())
        if (days := certificates.days_left(tls.certificate.read_bytes())) < RENEWAL_DAYS:
            yield f"the certificate ends in {days} days: `certificate request`, `certificate install`"
    except ExchangeError as error:
        yield error.explanation


def _databases(settings: Settings) -> Iterator[str]:
    try:
        engine = open_engine(settings.database_url)
        migrations.check_current(engine)
    except ExchangeError as error:
        return (yield error.explanation)
    except SQLAlchemyError as error:
        return (yield f"the database cannot be opened ({type(error).__name__}): is it running, is the URL right?")
    try:
        heads = settings.open_head_store()
        check_apart(engine, heads)
        store = log.HeadStore(heads, settings.log_origin, settings.log_key())
        # What `serve` refuses: a restored or stale copy of the database.
        log.Log(engine, store, settings.log_origin, settings.log_signer()).check()
        heads.dispose()
    except ExchangeError as error:
        yield error.explanation
    except SQLAlchemyError as error:
        yield f"the log cannot be compared with the head store ({type(error).__name__})"
    engine.dispose()


def _address(settings: Settings) -> Iterator[str]:
    for name, address in (("listen", settings.listen), ("address", settings.partner_address)):
        if not is_address(address):
            yield f"{name} = {address!r} is not host:port"
    if settings.mode == "production" and settings.partner_address.startswith(("127.", "localhost", "0.")):
        yield f"partners cannot dial {settings.partner_address}: set address to what they dial"


def summary(settings: Settings) -> dict[str, Any]:
    """Head of the log, editions, deliveries by state and those that need a person."""
    engine = open_engine(settings.database_url)
    try:
        with engine.execution_options(reading=True).connect() as conn:
            return _summary(conn, settings)
    finally:
        engine.dispose()


def _summary(conn: Connection, settings: Settings) -> dict[str, Any]:
    note = conn.execute(
        select(log.log_checkpoints.c.note).order_by(log.log_checkpoints.c.size.desc()).limit(1)
    ).scalar()
    head = checkpoint.verify(note, settings.log_key()) if note is not None else None
    waiting = select(func.count()).where(log.log_entries.c.position.is_(None))
    editions, deliveries = tables.editions.c, tables.deliveries.c
    return {
        "log": f"{head.size} entries, root {head.root.hex()}" if head else "empty",
        "entries not sequenced yet": conn.execute(waiting).scalar_one(),
        "editions": [
            {
                "product": row.product,
                "period": f"{row.year}-{row.month:02d}",
                "sequence": row.sequence,
                "state": row.state,
                "records": row.record_count,
                "manifest": row.manifest_digest.hex(),
            }
            for row in conn.execute(select(*editions).order_by(editions.product, editions.sequence))
        ],
        "deliveries": [
            {
                "delivery": row.delivery_id,
                "recipient": row.recipient,
                "product": row.product,
                "channel": exchange_pb2.Channel.Name(row.channel).removeprefix("CHANNEL_"),
                "state": row.state,
                "attempts": row.attempts,
                "last error": row.last_error,
            }
            for row in conn.execute(select(*deliveries).order_by(deliveries.changed_at_ms))
        ],
    }
