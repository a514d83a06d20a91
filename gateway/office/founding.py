"""Founding: a gateway's home with its keys, its certificate, its two databases and its first log entry.

A home is made beside its place and renamed into it: a crash leaves no half home.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from audit import certificates, envelope, log
from audit.custody import is_file
from audit.keys import ECDSA_P256, generate_private_key, party_of
from gateway.app import Gateway
from gateway.authority import Authority
from gateway.config import Settings
from gateway.exchange import Exchange
from gateway.office import catalogue
from gateway.office.admission import key_row
from gateway.rules.partners import ACTIVE
from gateway.store import migrations, tables
from gateway.store.db import check_apart, open_engine
from xinyi import files
from xinyi.server import is_address
from xinyi.settings import SettingsInvalid
from xinyi.v1 import party_pb2

_GATEWAY_TOML = """\
# XINYI_<SECTION>__<KEY> in the environment wins over this file; unknown keys stop start-up.
party = {party}
mode = {mode}
listen = {listen}
# What partners dial, where it is not what is listened on.
address = {address}

# Files lie in this home; or postgresql://user@host/database.
database = {database}
# Holds the last signed log head. Never the database above, and never restored together with it.
head_store = {head_store}
workflows = {workflows}

[logs]
form = "json"  # or "readable"
level = "INFO"

[delivery]
max_attempts = 8
backoff_s = 5.0
expires_days = 30
# A bank that asks again and again where nothing is new is refused until so long has passed; 0 for no limit.
poll_seconds = 60.0
workers = 8
# Files in folders, and the record of finished attempts, are removed after this; 0 keeps them.
keep_days = 90
"""


@dataclass(frozen=True)
class Plan:
    """What a person decides about a new gateway."""

    party: str
    mode: str
    listen: str
    address: str
    database: str = "sqlite:///gateway.db"
    head_store: str = "sqlite:///head.db"
    workflows: str = "sqlite:///workflows.db"


def found(home: Path, plan: Plan, signing: str = "") -> Settings:
    """Raises SettingsInvalid rather than overwrite a home or a database.

    Args:
        signing: TOML of [signing], where keys do not lie in files; it becomes part of gateway.toml.
    """
    party_of(f"xinyi://{plan.party}/machine/main")
    for address in (plan.listen, plan.address or plan.listen):
        if not is_address(address):
            raise SettingsInvalid(f"{address!r} is not host:port; nothing was changed", basis="home.address")
    if home.exists() and any(home.iterdir()):
        raise SettingsInvalid(f"{home} is not empty; nothing was changed", basis="home.exists")
    draft = home.with_name(f".{home.name}.{os.getpid()}.init")
    try:
        _write_files(draft, plan, signing)
        settings = Settings.load(draft)
        _make_databases(settings)
        gateway = Gateway(settings)
        try:
            gateway.door.run_sync(lambda x: _found(x, settings))
        finally:
            gateway.close()
        draft.rename(home)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    files.sync(home.parent)
    return Settings.load(home)


def _write_files(home: Path, plan: Plan, signing: str) -> None:
    for directory in (home, home / "keys", home / "folders"):
        files.make_directory(directory)
    # A JSON string is a TOML string too.
    text = _GATEWAY_TOML.format(**{name: json.dumps(value) for name, value in vars(plan).items()})
    files.create(home / "gateway.toml", "\n".join(filter(None, (text, signing))).encode())
    settings = Settings.read(home)
    for name in filter(is_file, (settings.signing.document, settings.signing.log)):
        generate_private_key(settings.custody.path(name))
    generate_private_key(home / "keys/tls.pem", ECDSA_P256)
    if plan.mode == "demo":
        authority = Authority.create(home / "authority", plan.party.split("/")[0])
        holder = f"xinyi://{plan.party}/machine/main"
        certificate = authority.issue(certificates.request(home / "keys/tls.pem", holder), holder)
        files.create(home / "keys/tls.crt", certificate.encode())
        files.create(home / "keys/ca.crt", authority.pem)


def _make_databases(settings: Settings) -> None:
    engine = open_engine(settings.database_url)
    heads = open_engine(settings.head_store_url)
    try:
        with engine.execution_options(reading=True).connect() as conn:
            if migrations.current(conn) is not None:
                raise SettingsInvalid("the database holds a gateway already", basis="home.database")
        log.head_metadata.create_all(heads)
        check_apart(engine, heads)
        with heads.connect() as conn:
            known = select(log.heads.c.size).where(log.heads.c.origin == settings.log_origin)
            if conn.execute(known).scalar() is not None:
                raise SettingsInvalid(
                    f"the head store knows the log {settings.log_origin} already", basis="home.head_store"
                )
        migrations.upgrade(engine)
    finally:
        engine.dispose()
        heads.dispose()
    for url in (settings.database_url, settings.head_store_url, settings.workflows_url):
        _make_private(url)


def _make_private(url: str) -> None:
    """SQLite gives the files it adds to a database the mode of the database."""
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.touch()  # the workflow engine makes its own tables later
        for file in path.parent.glob(path.name + "*"):
            file.chmod(0o600)


def _found(x: Exchange, settings: Settings) -> None:
    """The first entry: who the gateway is, which key seals its documents, what it may ever deliver."""
    signer = settings.signer()
    registration = envelope.seal(
        party_pb2.KeyRegistration(
            key=signer.key, party_kind=party_pb2.PARTY_KIND_GATEWAY, requested_at_ms=x.now_ms
        ),
        signer,
    )
    digest = x.document(registration)
    x.add(
        tables.parties,
        {
            "party": settings.party,
            "kind": "GATEWAY",
            "display_name": "",
            "state": ACTIVE,
            "changed_at_ms": x.now_ms,
        },
    )
    x.add(tables.keys, key_row(signer.key, digest, x.now_ms))
    for product in catalogue.shipped():
        x.add(tables.products, product)
    x.log("gateway.founded", actor=settings.holder, documents=[digest])
