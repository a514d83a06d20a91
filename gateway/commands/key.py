"""key show, list, retire, compromise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from gateway.commands import HomeOption, JsonOption, OutputOption, ReasonOption, act
from xinyi.terminal import emit, group, notices, outcome, print_json, table

app = group("Keys that seal documents: the gateway's own, and the partners'.")

Fingerprint = Annotated[str, typer.Argument(help="64 hex digits, as `key list` shows.")]


@app.command()
def show(home: HomeOption, output: OutputOption = None) -> None:
    """Write the gateway's public document key, for partners to pin, and say the log's key.

    Example: xinyi-gateway key show -o gateway.key.json
    """
    from audit import pins
    from gateway.config import Settings

    settings = Settings.load(home)
    key = pins.to_json(settings.signer().key)
    notices.print(f"fingerprint  {key['fingerprint']}")
    notices.print(f"log key      {settings.log_key()}", markup=False)
    emit(output, json.dumps(key, indent=2).encode() + b"\n")


@app.command("list")
def list_keys(home: HomeOption, party: str = "", as_json: JsonOption = False) -> None:
    """Every registered key with its state.

    Example: xinyi-gateway key list --party demo-city/bank-1
    """
    from gateway.office.inspection import read
    from gateway.store import parties

    rows = read(home, lambda conn: parties.list_keys(conn, party))
    if as_json:
        return print_json(rows)
    return table(
        "", ["holder", "state", "fingerprint"], [[r["holder"], r["state"], r["keyid"]] for r in rows]
    )


@app.command()
def retire(
    home: HomeOption, fingerprint: Fingerprint, reason: ReasonOption, as_json: JsonOption = False
) -> None:
    """The key signs nothing new from here on; what it signed stays valid.

    Example: xinyi-gateway key retire 3f0a… --reason "rotated"
    """
    from gateway.office import keys

    act(home, lambda gateway, x: keys.retire(x, fingerprint, reason, gateway.holder))
    outcome({"fingerprint": fingerprint, "state": "RETIRED"}, "retired", as_json=as_json)


@app.command()
def rotate(
    home: HomeOption,
    to: Annotated[
        str, typer.Option(help="Register this key, for instance token:document; a new file without it.")
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Give the gateway a new document key. Start it again, have partners pin the key, retire the old one.

    Example: xinyi-gateway key rotate --to token:document-2019
    """
    from audit.keys import keyid
    from gateway.app import open_gateway
    from gateway.config import Settings
    from gateway.office import keys

    settings = Settings.load(home)
    with open_gateway(settings) as gateway:
        if to:
            new = settings.custody.signer(to)
            keys.register_own(gateway.door, new, gateway.signer)
            notices.print(f'Registered. Put it into service: [signing] document = "{to}"', markup=False)
        else:
            new = keys.rotate_own(gateway.door, settings.custody, settings.signing.document)
    outcome({"fingerprint": keyid(new.key)}, f"fingerprint  {keyid(new.key)}", as_json=as_json)


@app.command()
def compromise(
    home: HomeOption,
    fingerprint: Fingerprint,
    reason: ReasonOption,
    since: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%dT%H:%M", "%Y-%m-%d"], help="UTC; doubt means earlier.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Somebody else may hold this key since then. Its party registers a new one afterwards.

    Example: xinyi-gateway key compromise 3f0a… --since 2018-04-20 --reason "token lost"
    """
    from gateway.office import keys

    since_ms = int(since.replace(tzinfo=UTC).timestamp() * 1000)
    act(home, lambda g, x: keys.report_compromised(x, fingerprint, since_ms, reason, g.holder))
    sentence = "compromised: nothing it seals is accepted any more"
    outcome({"fingerprint": fingerprint, "state": "COMPROMISED"}, sentence, as_json=as_json)
