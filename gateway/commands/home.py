"""init, check, upgrade, serve, status, and the gateway's own certificate."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands import HomeOption, JsonOption, OutputOption
from xinyi.settings import SettingsInvalid
from xinyi.terminal import console, emit, findings, group, notices, outcome, print_json, table

certificate = group("The gateway's own TLS certificate.")


class Mode(StrEnum):
    demo = "demo"
    production = "production"


def init(
    home: HomeOption,
    city: Annotated[str, typer.Option(help="Name of the city, for instance demo-city.")],
    party: Annotated[str, typer.Option(help="<city>/<name>; <city>/gateway without it.")] = "",
    mode: Annotated[Mode, typer.Option(help="production takes certificates of an outside CA.")] = Mode.demo,
    listen: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:7443",
    address: Annotated[str, typer.Option(help="host:port that partners dial, where it differs.")] = "",
    database: Annotated[
        str, typer.Option(help="SQLite file in the home, or postgresql://…")
    ] = "sqlite:///gateway.db",
    head_store: Annotated[str, typer.Option(help="Another database than that.")] = "sqlite:///head.db",
    workflows: Annotated[
        str, typer.Option(help="Database of the durable workflows.")
    ] = "sqlite:///workflows.db",
    signing: Annotated[
        Path | None, typer.Option(help="TOML of the table signing: where keys lie in a token or at a server.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a gateway's home: keys, certificate, databases, first log entry.

    Example: xinyi-gateway init --city demo-city --home ./gateway
    """
    from audit.keys import keyid
    from gateway.office.founding import Plan, found

    plan = Plan(party or f"{city}/gateway", mode, listen, address, database, head_store, workflows)
    settings = found(home, plan, signing.read_text(encoding="utf-8") if signing else "")
    shown = {
        "party": settings.party,
        "fingerprint": keyid(settings.signer().key),
        "log key": str(settings.log_key()),
    }
    sentence = "\n".join(f"{name:13}{value}" for name, value in shown.items())
    outcome({name.replace(" ", "_"): value for name, value in shown.items()}, sentence, as_json=as_json)
    if mode is Mode.production:
        notices.print("Next: `certificate request`, have your CA sign it, `certificate install`.")


def check(home: HomeOption, as_json: JsonOption = False) -> None:
    """Say what keeps this gateway from serving, and what to do.

    Example: xinyi-gateway check --home ./gateway
    """
    from gateway.office.inspection import problems

    try:
        found = problems(home)
    except SettingsInvalid as error:
        found = [error.explanation]
    findings(found, good=f"{home}: ready to serve", as_json=as_json)


def upgrade(home: HomeOption, as_json: JsonOption = False) -> None:
    """Move the database's schema to what this program needs. Stop the gateway and back up before.

    Example: xinyi-gateway upgrade --home ./gateway
    """
    from gateway.config import Settings
    from gateway.store import migrations
    from gateway.store.db import open_engine

    engine = open_engine(Settings.load(home).database_url)
    migrations.upgrade(engine)
    engine.dispose()
    outcome({"schema": migrations.newest()}, f"schema {migrations.newest()}", as_json=as_json)


def serve(home: HomeOption) -> None:
    """Serve until SIGTERM.

    Example: xinyi-gateway serve --home ./gateway
    """
    from gateway.app import serve_forever
    from gateway.config import Settings
    from gateway.store import migrations
    from gateway.store.db import open_engine
    from xinyi import logs

    settings = Settings.load(home)
    logs.configure(settings.logs.form, settings.logs.level)
    engine = open_engine(settings.database_url)
    migrations.check_current(engine)
    engine.dispose()
    serve_forever(settings)


def status(home: HomeOption, as_json: JsonOption = False) -> None:
    """Editions, deliveries by state, and the head of the log.

    Example: xinyi-gateway status --home ./gateway --json
    """
    from gateway.config import Settings
    from gateway.office.inspection import summary

    found = summary(Settings.load(home))
    if as_json:
        return print_json(found)
    for title, rows in found.items():
        if isinstance(rows, list):
            table(title, list(rows[0]) if rows else ["nothing"], [list(row.values()) for row in rows])
        else:
            console.print(f"{title}: {rows}", markup=False)
    return None


def purge(
    home: HomeOption,
    older_than: Annotated[
        int, typer.Option(min=1, help="Days since the upload was begun, or it was cancelled.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Drop the chunks of uploads that were left, and of cancelled editions. What is published is never touched.

    Example: xinyi-gateway purge --older-than 30 --home ./gateway
    """
    from dataclasses import asdict

    from gateway.app import open_gateway
    from gateway.config import Settings
    from gateway.office.purging import purge as drop

    with open_gateway(Settings.load(home)) as gateway:
        done = drop(gateway, days=older_than)
    sentence = (
        f"dropped {done.chunks} chunks of {done.uploads} uploads that were left and "
        f"{done.editions} cancelled editions"
    )
    outcome(asdict(done), sentence, as_json=as_json)


@certificate.command("request")
def request_certificate(home: HomeOption, output: OutputOption = None) -> None:
    """Write the PKCS#10 request for an outside CA.

    Example: xinyi-gateway certificate request -o gateway.csr
    """
    from audit import certificates
    from gateway.config import Settings

    emit(output, certificates.request(home / "keys/tls.pem", Settings.load(home).holder).encode())


@certificate.command("install")
def install_certificate(
    home: HomeOption,
    chain: Annotated[Path, typer.Argument(help="PEM, leaf first.")],
    ca: Annotated[Path, typer.Option(help="PEM of the CA that partners' certificates are of.")],
) -> None:
    """Install an outside CA's certificate; takes effect when the gateway starts again.

    Example: xinyi-gateway certificate install gateway.crt --ca ca.crt
    """
    from audit import certificates
    from gateway.authority import check_not_demo
    from gateway.config import Settings
    from xinyi import files

    settings = Settings.load(home)
    key = certificates.load_key(home / "keys/tls.pem").public_key()
    certificates.check(chain.read_bytes(), key, settings.holder, ca=ca.read_bytes())
    if settings.mode == "production":
        check_not_demo(home, chain, ca)
    files.write_atomically(home / "keys/ca.crt", ca.read_bytes())
    files.write_atomically(home / "keys/tls.crt", chain.read_bytes())
    console.print("installed")
