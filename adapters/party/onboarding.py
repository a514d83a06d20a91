"""How any party comes to its gateway: init, request, trust, install, key, check's common part.

init → request → (the operator admits) → trust the gateway's key → install → trust the partners' keys
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from adapters.party import admission
from adapters.party.home import Home
from adapters.party.terminal import HomeOption, JsonOption
from audit import certificates, custody, pins
from audit.keys import keyid
from xinyi.errors import ExchangeError, Invalid
from xinyi.server import is_address
from xinyi.terminal import emit, notices, outcome
from xinyi.v1 import envelope_pb2, party_pb2


def add_commands(app: typer.Typer, *, kind: party_pb2.PartyKind = party_pb2.PARTY_KIND_UNSPECIFIED) -> None:
    """Adds the onboarding commands, the same in every party's program.

    Args:
        kind: what this program's party is; the gateway's operator decides where it is not told.
    """

    @app.command()
    def init(
        home: HomeOption,
        holder: Annotated[str, typer.Option(help="xinyi://<city>/<party>/<machine or person>/<name>")],
        gateway_address: Annotated[str, typer.Option(help="host:port of the gateway")],
        gateway_party: Annotated[str, typer.Option(help="<city>/<party> of the gateway")],
        as_json: JsonOption = False,
    ) -> None:
        """Make a home with new keys.

        Example: init --home ./home --holder xinyi://demo-city/bank-1/machine/main
        --gateway-address 127.0.0.1:7443 --gateway-party demo-city/gateway
        """
        made = Home.create(home, holder, gateway_address, gateway_party)
        fingerprint = keyid(made.signer().key)
        shown = {"holder": holder, "fingerprint": fingerprint}
        outcome(shown, f"{holder}\nfingerprint {fingerprint}", as_json=as_json)
        notices.print(
            "Next: request -o FILE, and tell the gateway's operator the fingerprint by another way."
        )

    @app.command()
    def request(
        home: HomeOption,
        output: Annotated[Path | None, typer.Option("-o", "--output")] = None,
        display_name: Annotated[str, typer.Option(help="Name of the party in its own words.")] = "",
        rotate: Annotated[
            bool, typer.Option(help="Ask for a new document key; the old one signs beside it.")
        ] = False,
        key: Annotated[
            str,
            typer.Option(help="Another of signing.keys, for instance token:document; the first without it."),
        ] = "",
    ) -> None:
        """Write the signing request for the gateway's operator.

        Example: request --home ./home -o bank-1.request --display-name 示范银行
        """
        sealed = admission.request(Home.open(home), kind, display_name, rotate=rotate, key=key)
        emit(output, sealed)
        envelope = envelope_pb2.Envelope.FromString(sealed)
        registered = party_pb2.KeyRegistration.FromString(envelope.payload).key
        notices.print(
            f"fingerprint {keyid(registered)}: tell it to the gateway's operator by another way", markup=False
        )

    @app.command()
    def trust(
        home: HomeOption,
        file: Annotated[Path, typer.Argument(help="A key as `key -o` writes it.")],
        fingerprint: Annotated[str, typer.Option(help="The 64 digits on the agreement's annex.")],
        as_json: JsonOption = False,
    ) -> None:
        """Pin a key, only when the typed fingerprint is its own.

        Example: trust li-wei.key.json --fingerprint 3f0a…
        """
        keys = pins.load(file)
        if len(keys) != 1:
            raise Invalid("name a file with one key: each is compared by itself", basis="keys.file")
        Home.open(home).pin(keys[0], fingerprint)
        outcome({"pinned": keys[0].holder}, f"pinned: {keys[0].holder}", as_json=as_json)

    @app.command()
    def untrust(
        home: HomeOption, fingerprint: Annotated[str, typer.Argument()], as_json: JsonOption = False
    ) -> None:
        """Stop trusting a key that was reported compromised. What a retired key signed stays valid: keep it.

        Example: untrust 3f0a… --home ./home
        """
        Home.open(home).unpin(fingerprint)
        outcome({"unpinned": fingerprint}, "no longer trusted", as_json=as_json)

    @app.command()
    def install(
        home: HomeOption,
        answer: Annotated[Path, typer.Argument(metavar="ADMISSION", help="What the operator handed back.")],
        log_key: Annotated[str, typer.Option(help="Verifier key of the gateway's log, from the annex.")] = "",
        certificate: Annotated[Path | None, typer.Option(help="Chain of an outside CA (PEM).")] = None,
        ca: Annotated[Path | None, typer.Option(help="The outside CA (PEM).")] = None,
        as_json: JsonOption = False,
    ) -> None:
        """Install the admission: certificate, CA, the log's key, a rotated key.

        Example: install bank-1.admission --log-key demo-city/gateway/log+1a2b3c4d+AbC…
        """
        opened = Home.open(home)
        message = admission.install(
            opened,
            answer.read_bytes(),
            chain=certificate.read_bytes() if certificate else b"",
            ca=ca.read_bytes() if ca else b"",
        )
        if log_key:
            if log_key != message.log_verifier_key:
                raise Invalid(
                    "the gateway names another log key than the annex: do not go on, ask its operator",
                    basis="home.log_key",
                )
            opened.pin_log_key(log_key)
        elif not opened.settings.gateway.log_key:
            notices.print(
                "The log's key is not pinned yet. Compare with the annex, then give it as --log-key:"
            )
            notices.print(message.log_verifier_key, markup=False)
        shown = {"holder": message.holder, "log_key": message.log_verifier_key, "pinned": bool(log_key)}
        outcome(shown, f"admitted: {message.holder}", as_json=as_json)

    @app.command()
    def key(
        home: HomeOption,
        output: Annotated[Path | None, typer.Option("-o", "--output")] = None,
        name: Annotated[str, typer.Option(help="Another of signing.keys; the first without it.")] = "",
    ) -> None:
        """Write this home's public document key, for others to pin.

        Example: key -o li-wei.key.json
        """
        public = pins.to_json(Home.open(home).signer(name).key)
        emit(output, json.dumps(public, indent=2, ensure_ascii=False).encode() + b"\n")


def problems(home: Home) -> list[str]:
    """What keeps this home from working, each with what to do. The common part of every `check`."""
    found = []
    probes: list[Callable[[], object]] = [
        partial(_check_key, home, key) for key in home.settings.signing.keys
    ]
    probes += [partial(_check_certificate, home), home.gateway_keyring, home.log_key, home.head]
    for probe in probes:
        try:
            probe()
        except ExchangeError as error:
            found.append(error.explanation)
    if not is_address(home.settings.gateway.address):
        found.append(f"gateway.address = {home.settings.gateway.address!r} is not host:port")
    for private in home.keys.glob("*.pem"):
        said = f"{private} can be read by others: chmod 600 {private}"
        if private.stat().st_mode & 0o077 and said not in found:  # the key that was tried said so itself
            found.append(said)
    certificate = home.keys / "tls.crt"
    if certificate.exists() and (days := certificates.days_left(certificate.read_bytes())) < 30:
        found.append(
            f"the certificate ends in {days} days: `request` a new one, have it admitted, `install` it"
        )
    return found


def _check_certificate(home: Home) -> None:
    """Otherwise each call ends as if the gateway were away."""
    tls = home.tls()
    key = certificates.load_key(tls.key).public_key()
    certificates.check(tls.certificate.read_bytes(), key, home.settings.holder, ca=tls.ca.read_bytes())


def _check_key(home: Home, key: str) -> None:
    custody.probe(home.signer(key))
