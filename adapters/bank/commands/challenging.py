"""challenges, open: what auditors ask of this bank's tables, and the rows they drew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.bank.commands.options import check_askable, confirmed
from adapters.bank.ending import end
from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import Exit, notices, outcome, print_json, progress, table

if TYPE_CHECKING:
    from adapters.bank.lending.opening import Draft
    from adapters.party.home import Home
    from audit.challenge import Drawn
    from xinyi.v1.challenge_service_pb2 import ChallengeStatus


def challenges(home: HomeOption, as_json: JsonOption = False) -> None:
    """List what auditors ask this bank to open, and until when. `open` opens it.

    Example: xinyi-bank challenges --home ./bank-1
    """
    from adapters.bank.lending.challenges import list_challenges
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home

    with GatewayClient(Home.open(home)) as gateway:
        listed = list_challenges(gateway)
    found = [_told(status) for status in listed.challenges]
    if listed.left_out:
        notices.print(f"{listed.left_out:,} that were answered are left out: those due longest ago")
    if as_json:
        print_json(found)
    elif found:
        columns = ("challenge", "period", "units", "by", "due_on", "state", "asked_by", "purpose")
        rows = [(one["challenge"][:16], *(one[name] for name in columns[1:])) for one in found]
        table("", [column.replace("_", " ") for column in columns], rows)
    end(bool(found), "nobody asks anything")


def _told(status: ChallengeStatus) -> dict[str, Any]:
    from audit.envelope import digest, parse_strict
    from xinyi.lending import period_name
    from xinyi.v1 import lending_pb2

    challenge = parse_strict(status.challenge.payload, lending_pb2.Challenge)
    sealed = parse_strict(status.table.payload, lending_pb2.LendingTable)
    return {
        "challenge": digest(status.challenge).hex(),
        "table": challenge.table.hex(),
        "period": period_name(sealed.period),
        "units": challenge.size,
        "by": lending_pb2.SampleUnit.Name(challenge.unit).removeprefix("SAMPLE_UNIT_").lower(),
        "due_on": challenge.due_on,
        "state": status.state.lower(),
        "asked_by": challenge.asked_by,
        "purpose": challenge.purpose,
    }


def open_rows(
    home: HomeOption,
    challenge: Annotated[str, typer.Argument(help="First digits of the challenge.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A file for the auditor, and for nobody else.")],
    yes: Annotated[bool, typer.Option("--yes", help="Open without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Open the rows that an auditor drew from a table: a file for the auditor, and word of it to the gateway.

    The gateway never sees the rows. Whoever repeats it gets the same file.

    Example: xinyi-bank open 3f0a9c -o ./opening.dsse --home ./bank-1
    """
    from adapters.bank.lending import opening
    from adapters.bank.lending.challenges import find_challenge, send_answer
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from audit.envelope import digest

    opened = Home.open(home)
    with GatewayClient(opened) as gateway:
        drawn = opening.drawn_of(opened, find_challenge(gateway, challenge))
        answer = opening.find_answer(opened, drawn)
        if answer is None:
            draft = _draft(opened, drawn)
            _say(draft)
            check_askable(yes=yes)
            if not yes and not confirmed("Open them?"):
                notices.print("not agreed: nothing was opened")
                raise typer.Exit(Exit.NOTHING)
            answer = opening.keep(opened, draft)
        _write(output, answer.opening.SerializeToString(deterministic=True))
        send_answer(gateway, answer.answer)
    value = {"challenge": drawn.challenge_digest, "opening": digest(answer.opening), "file": output}
    sentence = f"written: {output}; hand it to {drawn.challenge.asked_by}, the gateway knows that it was opened"
    outcome(value, sentence, as_json=as_json)


def _draft(home: Home, drawn: Drawn) -> Draft:
    from adapters.bank.lending.opening import draft

    with progress() as bar:
        task = bar.add_task("enterprises", total=2 * drawn.table.firms)
        return draft(home, drawn, lambda leaves: bar.advance(task, leaves))


def _say(draft: Draft) -> None:
    from xinyi.lending import period_name

    drawn, table_ = draft.drawn, draft.drawn.table
    notices.print(
        f"{drawn.challenge.asked_by} asks for {len(drawn.units)} of {drawn.population} units of the table of "
        f"{period_name(table_.period)} ({drawn.challenge.purpose})",
        markup=False,
    )
    notices.print(
        f"opened are {draft.rows} of {table_.rows} rows, those of {len(draft.opening.firms)} of {table_.firms} "
        "enterprises, with their identifiers; of up to 15 others beside each of them, amounts alone",
        markup=False,
    )
    if draft.wrong:
        notices.print(f"the auditor will find this wrong: {draft.wrong}", markup=False)


def _write(path: Path, data: bytes) -> None:
    """The same again is no fault. Raises FileExistsError for a file with anything else in it."""
    from xinyi import files

    if not path.exists() or path.read_bytes() != data:
        files.create(path, data)
