"""agreement add, annex, terms, suspend, resume, end, list; entitle, disentitle."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from gateway.commands import Disclosure, HomeOption, JsonOption, OutputOption, ReasonOption, act
from xinyi.terminal import console, emit, group, outcome, print_json, table
from xinyi.v1 import exchange_pb2, party_pb2

app = group("Agreements: what they permit, from when until when, and their annexes.")

_DAY = ["%Y-%m-%d"]


class ChannelName(StrEnum):
    push = "push"
    pull = "pull"
    folder = "folder"

    @property
    def number(self) -> exchange_pb2.Channel:
        return exchange_pb2.Channel.Value(f"CHANNEL_{self.name.upper()}")  # type: ignore[return-value]


@app.command()
def add(
    home: HomeOption,
    party: str,
    number: Annotated[str, typer.Option(help="As the parties know it.")],
    first: Annotated[datetime, typer.Option("--from", formats=_DAY, help="First day in force, China.")],
    last: Annotated[datetime, typer.Option("--until", formats=_DAY, help="Last day in force.")],
    permits: Annotated[Disclosure, typer.Option("--class", help="The widest class it permits.")],
    as_json: JsonOption = False,
) -> None:
    """Register an agreement; prints its id.

    Example: xinyi-gateway agreement add demo-city/bank-1 --number 2018-5 --from 2018-01-01
    --until 2020-12-31 --class public
    """
    from gateway.office import agreements

    identity = act(
        home,
        lambda g, x: agreements.add(x, party, number, first.date(), last.date(), permits.number, g.holder),
    )
    outcome({"agreement": identity}, identity, as_json=as_json)


@app.command()
def annex(
    home: HomeOption, identity: Annotated[str, typer.Argument(metavar="ID")], output: OutputOption = None
) -> None:
    """Seal the annex: the keys to pin and the method of verification. Print it, sign it on paper.

    Example: xinyi-gateway agreement annex 3f0a12345678 -o annex.dsse
    """
    from audit.keys import keyid
    from gateway.office import agreements

    method = f"xinyi-audit verify {version('xinyi-gateway')}"
    sealed = act(
        home,
        lambda g, x: agreements.annex(x, identity, g.signer, str(g.settings.log_key()), method, g.holder),
    )
    document = party_pb2.AgreementAnnex.FromString(sealed.payload)
    if output is not None:
        for key in document.keys:
            console.print(f"{key.holder}\n  {_grouped(keyid(key))}", markup=False)
        console.print(f"log key  {document.log_verifier_key}\nmethod   {method}", markup=False)
    emit(output, sealed.SerializeToString(deterministic=True))


@app.command()
def terms(
    home: HomeOption,
    identity: Annotated[str, typer.Argument(metavar="ID")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="TOML; without it the terms in force are shown.")
    ] = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what a bank has to report under an agreement, and what it gets; or show it, to be read or changed.

    Example: xinyi-gateway agreement terms 3f0a12345678 terms.toml
    """
    from gateway.office import reporting
    from gateway.office.inspection import read
    from gateway.store import lending
    from xinyi.errors import Unknown

    if file is not None:
        row = reporting.read_terms(file, identity)
        act(home, lambda g, x: reporting.set_terms(x, row, g.holder))
        shown = {"agreement": identity, "version": row["version"]}
        return outcome(shown, f"version {row['version']} of the terms is in force", as_json=as_json)
    known = read(home, lambda conn: lending.find_terms(conn, identity))
    if known is None:
        raise Unknown(f"agreement {identity} has no reporting terms", basis="reporting.unknown")
    if as_json:
        return print_json(reporting.values_of(known))
    return emit(output, reporting.to_toml(known).encode())


def _grouped(fingerprint: str) -> str:
    """In fours, to be compared on paper."""
    return " ".join(fingerprint[i : i + 4] for i in range(0, len(fingerprint), 4))


def _change(home: Path, identity: str, decision: str, reason: str, as_json: bool) -> None:
    from gateway.office import agreements

    state = act(home, lambda g, x: agreements.change_state(x, identity, decision, reason, g.holder))
    outcome({"agreement": identity, "state": state}, f"{identity} is {state}", as_json=as_json)


@app.command()
def suspend(home: HomeOption, identity: str, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Nothing flows under it until it is resumed.

    Example: xinyi-gateway agreement suspend 3f0a12345678 --reason "supervisor's letter 2018-17"
    """
    _change(home, identity, "suspend", reason, as_json)


@app.command()
def resume(home: HomeOption, identity: str, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Put a suspended agreement in force again.

    Example: xinyi-gateway agreement resume 3f0a12345678 --reason "settled"
    """
    _change(home, identity, "resume", reason, as_json)


@app.command()
def end(home: HomeOption, identity: str, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """End an agreement before its last day.

    Example: xinyi-gateway agreement end 3f0a12345678 --reason "both sides agreed"
    """
    _change(home, identity, "end", reason, as_json)


@app.command("list")
def list_agreements(home: HomeOption, as_json: JsonOption = False) -> None:
    """Every agreement with its dates, class and state.

    Example: xinyi-gateway agreement list --json
    """
    from gateway.office.inspection import read
    from gateway.store import parties

    rows = read(home, parties.list_agreements)
    if as_json:
        return print_json(rows)
    columns = ["agreement_id", "party", "number", "valid_from", "valid_until", "class", "state"]
    rows = [row | {"class": Disclosure.of(row["disclosure_class"])} for row in rows]
    return table("", columns, [[row[name] for name in columns] for row in rows])


def entitle(
    home: HomeOption,
    party: str,
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    agreement: Annotated[str, typer.Option(help="Id of the agreement it rests on.")],
    channel: Annotated[ChannelName, typer.Option()],
    inbox: Annotated[str, typer.Option(help="host:port of the bank's inbox (push).")] = "",
    folder: Annotated[Path | None, typer.Option(help="Directory the two sides share (folder).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Entitle a partner to a product under an agreement, by one channel; again to change the channel.

    Example: xinyi-gateway entitle demo-city/bank-1 grade-a --agreement 3f0a12345678
    --channel push --inbox 10.0.0.7:7444
    """
    from gateway.office import agreements

    target = str(folder.resolve()) if folder is not None else inbox
    act(home, lambda g, x: agreements.entitle(x, party, name, agreement, channel.number, target, g.holder))
    shown = {"party": party, "product": name, "agreement": agreement, "channel": channel.name}
    outcome(shown, f"{party} receives {name} by {channel}", as_json=as_json)


def disentitle(
    home: HomeOption,
    party: str,
    name: Annotated[str, typer.Argument(metavar="PRODUCT")],
    reason: ReasonOption,
    as_json: JsonOption = False,
) -> None:
    """End a partner's entitlement to a product.

    Example: xinyi-gateway disentitle demo-city/bank-1 grade-a --reason "contract ended"
    """
    from gateway.office import agreements

    act(home, lambda g, x: agreements.end_entitlement(x, party, name, reason, g.holder))
    shown = {"party": party, "product": name, "state": "ENDED"}
    outcome(shown, f"{party} no longer receives {name}", as_json=as_json)
