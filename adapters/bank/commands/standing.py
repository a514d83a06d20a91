"""inbox, status, prove, purge, check: the bank's service, how it stands, what it can prove and what it keeps."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.party.onboarding import problems
from adapters.party.terminal import HomeOption, JsonOption
from audit.keys import is_person, party_of
from xinyi.errors import ExchangeError, Unavailable, VerificationError
from xinyi.terminal import console, findings, notices, print_json

if TYPE_CHECKING:
    from adapters.bank.settings import BankSettings
    from adapters.party.home import Home


def inbox(home: HomeOption) -> None:
    """Serve the inbox that the gateway dials, until SIGTERM.

    Example: xinyi-bank inbox --home ./bank-1
    """
    from adapters.bank.inbox import run as serve
    from adapters.bank.settings import BankSettings
    from adapters.party.home import Home
    from xinyi import logs

    opened = Home.open(home)
    logs.configure(opened.settings.logs.form, opened.settings.logs.level)
    asyncio.run(serve(opened, BankSettings.of(opened).inbox))


def status(home: HomeOption, as_json: JsonOption = False) -> None:
    """Say what lies in the spool, which edition is held, and what waits to be sent.

    Example: xinyi-bank status --home ./bank-1 --json
    """
    from adapters.bank.evidence import Evidence
    from adapters.bank.receipts import Receipts
    from adapters.bank.settings import BankSettings
    from adapters.bank.spool import STATES, Spool
    from adapters.party.home import Home

    opened = Home.open(home)
    settings = BankSettings.of(opened)
    spool, receipts = Spool(settings.spool), Receipts(settings.spool, ())  # signs nothing
    found: dict[str, Any] = {state: len(spool.editions(state)) for state in STATES}
    found["waiting_receipts"] = len(receipts.waiting())
    found["unproven"] = len(Evidence(settings.evidence).unproven())
    held = {product: spool.held(product) for product in settings.products}
    found["held"] = {product: edition.sequence for product, edition in held.items() if edition is not None}
    if as_json:
        print_json(found)
    for name, value in () if as_json else found.items():
        console.print(f"{name:18} {value}", markup=False)


def prove(
    home: HomeOption,
    taxpayer: Annotated[str, typer.Argument(help="The taxpayer's identifier.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A new folder for the proof.")],
    product: Annotated[str, typer.Option()] = "grade-a",
    edition: Annotated[str, typer.Option(help="First digits of the manifest's digest.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Prove one record alone: its bytes, its salt, and its way to the root the bureau sealed.

    Example: xinyi-bank prove 91999999000000000X -o ./record --home ./bank-1
    """
    from adapters.bank.proving import prove_record
    from adapters.party.home import Home
    from xinyi import files

    proven = prove_record(Home.open(home), product, taxpayer, edition=edition)
    proof = proven.proof
    output.mkdir(mode=0o700, parents=True)
    for name, data in proof.files().items():
        files.create(output / name, data)
    if as_json:
        return print_json(
            {
                "leaf": proof.index,
                "folder": output,
                "edition": proven.sequence,
                "manifest_digest": proven.manifest_digest,
                "unchanged_by": proven.unchanged_by,
            }
        )
    console.print(
        f"proven: leaf {proof.index} of edition {proven.sequence}; see {output}/README.txt", markup=False
    )
    if proven.unchanged_by:
        later = ", ".join(map(str, proven.unchanged_by))
        console.print(f"left as it is by the editions behind it: {later}", markup=False)
    return None


def purge(
    home: HomeOption,
    older_than: Annotated[int, typer.Option(min=1, help="Days since it was landed or handed over.")],
    as_json: JsonOption = False,
) -> None:
    """Drop the records of editions that a newer FULL has followed. Documents, receipts and evidence stay.

    A single record of what is dropped cannot be proven from here any more.

    Example: xinyi-bank purge --older-than 400 --home ./bank-1
    """
    from dataclasses import asdict

    from adapters.bank.ending import end
    from adapters.bank.purging import purge as drop
    from adapters.party.home import Home

    done = drop(Home.open(home), days=older_than)
    if as_json:
        print_json(asdict(done))
    else:
        console.print(
            f"dropped the records of {done.editions} editions and {done.transfers} broken transfers: "
            f"{done.bytes} bytes"
        )
    end(bool(done.editions or done.transfers), "nothing to purge")


def check(home: HomeOption, as_json: JsonOption = False) -> None:
    """Say what keeps this bank from working, and what to do; and what the gateway will change within 30 days.

    Example: xinyi-bank check --home ./bank-1
    """
    from adapters.bank.settings import BankSettings
    from adapters.bank.targets import target_problems
    from adapters.party.home import Home

    opened = Home.open(home)
    settings = BankSettings.of(opened)
    found = problems(opened) + (target_problems(settings) or _lost(settings))
    holders = {key.holder for key in opened.keyring()}
    known = {party_of(holder) for holder in holders} - {opened.party, opened.settings.gateway.party}
    if not known:
        found.append(
            "no bureau's keys are pinned, so no edition will be taken: `trust FILE --fingerprint HEX`"
        )
    elif not any(_two_may_sign(party, holders) for party in known):
        found.append(
            "an edition is sealed by its publisher and by a second person: `trust` the keys of both, "
            "or none will be taken"
        )
    if not found:
        _warn_of_changes(opened)
    findings(found, good="this bank can fetch, land and confirm", as_json=as_json)


def _lost(settings: BankSettings) -> list[str]:
    """A machine without a way to the database cannot know: it says so."""
    from adapters.bank.targets import lost_rows

    try:
        return lost_rows(settings)
    except Unavailable as error:
        notices.print(f"whether what landed is still there was not looked at: {error.explanation}", markup=False)
        return []


def _two_may_sign(party: str, holders: set[str]) -> bool:
    """Whether one could have published and another, a person, have approved."""
    own = {holder for holder in holders if holder.startswith(f"xinyi://{party}/")}
    return len(own) > 1 and any(map(is_person, own))


def _warn_of_changes(home: Home) -> None:
    """A machine without a way to the gateway cannot know: it says so."""
    from adapters.bank.client import BankClient
    from adapters.bank.notices import announced

    try:
        with BankClient(home) as client:
            soon = [one for one in announced(client) if one.soon]
    except VerificationError:
        raise
    except ExchangeError as error:
        notices.print(f"what changes was not asked for: {error.explanation}", markup=False)
        return
    for one in soon:
        notices.print(f"{one.when}, {one.effective_on}: {one.text_en} ({one.kind}, {one.number})", markup=False)
