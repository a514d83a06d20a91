"""partner admit, activate, suspend, terminate, list."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands import HomeOption, JsonOption, OutputOption, ReasonOption, act
from xinyi.terminal import emit, group, notices, outcome, print_json, table

if TYPE_CHECKING:
    from audit.keys import Signer
    from gateway.app import Gateway
    from gateway.exchange import Exchange
    from xinyi.v1 import envelope_pb2

app = group("Partners: who they are and what state they are in.")


class Kind(StrEnum):
    bank = "bank"
    tax_bureau = "tax-bureau"
    auditor = "auditor"
    city = "city"


@app.command()
def admit(
    home: HomeOption,
    request: Annotated[Path, typer.Argument(help="What the party's `request` wrote.")],
    kind: Annotated[Kind | None, typer.Option(help="Needed where the request does not say it.")] = None,
    fingerprint: Annotated[str, typer.Option(help="As the party told it by another way; compared.")] = "",
    certificate: Annotated[Path | None, typer.Option(help="Chain of an outside CA (PEM).")] = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Admit a party, a further person of it, or a rotated key; a new party begins in TESTING.

    Example: xinyi-gateway partner admit bank-1.request --kind bank --fingerprint 3f0a… -o bank-1.admission
    """
    from audit import pins
    from audit.keys import keyid
    from gateway.office.admission import admit as enter
    from gateway.office.admission import certifier, open_registration, read_request

    if as_json and output is None:
        raise typer.BadParameter("--json takes -o: both would go to standard output")
    sealed = read_request(request.read_bytes())
    word = kind.name.upper() if kind is not None else ""
    chain = certificate.read_text() if certificate is not None else ""

    def work(gateway: Gateway, x: Exchange) -> tuple[envelope_pb2.Envelope, str, str]:
        key = open_registration(x.conn, sealed).message.key
        if fingerprint:
            pins.check_fingerprint(key, fingerprint)
        signer: Signer = gateway.signer
        admission = enter(x, sealed, word, certifier(gateway.settings, chain), signer, gateway.holder)
        return admission, key.holder, keyid(key)

    admission, holder, found = act(home, work)
    if as_json:
        print_json(
            {"holder": holder, "fingerprint": found, "compared": bool(fingerprint), "admission": output}
        )
    else:
        notices.print(f"admitted     {holder}", markup=False)
        notices.print(f"fingerprint  {found}")
    if not fingerprint:
        notices.print("Compare this fingerprint with the party by another way before you activate it.")
    emit(output, admission.SerializeToString(deterministic=True))


def _decide(home: Path, party: str, decision: str, reason: str, as_json: bool) -> None:
    from gateway.office import partners

    state = act(home, lambda gateway, x: partners.decide(x, party, decision, reason, gateway.holder))
    outcome({"party": party, "state": state}, f"{party} is {state}", as_json=as_json)


@app.command()
def activate(home: HomeOption, party: str, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Let a partner use its rights.

    Example: xinyi-gateway partner activate demo-city/bank-1 --reason "connection test passed"
    """
    _decide(home, party, "activate", reason, as_json)


@app.command()
def suspend(home: HomeOption, party: str, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """No new data; the partner may still confirm what it got.

    Example: xinyi-gateway partner suspend demo-city/bank-1 --reason "supervisor's letter 2018-17"
    """
    _decide(home, party, "suspend", reason, as_json)


@app.command()
def terminate(home: HomeOption, party: str, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """For good. The duty, and the right, to confirm stays.

    Example: xinyi-gateway partner terminate demo-city/bank-1 --reason "licence returned"
    """
    _decide(home, party, "terminate", reason, as_json)


@app.command("list")
def list_partners(home: HomeOption, as_json: JsonOption = False) -> None:
    """Every party with its kind and state.

    Example: xinyi-gateway partner list --json
    """
    from gateway.office.inspection import read
    from gateway.store import parties

    rows = read(home, parties.list_parties)
    if as_json:
        return print_json(rows)
    columns = ["party", "kind", "state", "display_name"]
    return table("", columns, [[row[name] for name in columns] for row in rows])
