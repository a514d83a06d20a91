"""The commands about banks' tables: challenge, challenges, verify-opening."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.auditor.offline import PolicyOption
from adapters.auditor.online import PurposeOption
from adapters.party.terminal import HomeOption, JsonOption
from xinyi import days
from xinyi.terminal import Exit, notices, outcome, print_json, table

#: What a bank gets where no day is named.
_DAYS = 14


class By(StrEnum):
    ROWS = "rows"
    GRANTED = "granted"
    BALANCE = "balance"


def add_commands(app: typer.Typer) -> None:
    app.command()(challenge)
    app.command()(challenges)
    app.command("verify-opening")(verify_opening)


def challenge(
    home: HomeOption,
    bank: Annotated[str, typer.Option(help="<city>/<party>, or the party's name in your city")],
    period: Annotated[str, typer.Option(help="2018-Q1, 2018-03 or 2018")],
    n: Annotated[int, typer.Option("--n", min=1, max=10_000, help="Units to draw.")],
    purpose: PurposeOption,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder to make")],
    by: Annotated[By, typer.Option(help="Rows, or fen granted or owed: larger loans are likelier then.")] = By.ROWS,
    due: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="until its end in China; two weeks without it")
    ] = None,
    currency: str = "CNY",
    other: Annotated[
        str, typer.Option("--table", help="first digits of one that does not count: held, or corrected since")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Draw a sample of a bank's table by the log's newest head, and ask the bank to open it.

    With a folder whose challenge was not answered by the gateway, that one is sent again.

    Example: xinyi-audit challenge --bank bank-1 --period 2018-Q1 --n 60 --purpose "annual audit" -o ./bank-1-2018-Q1
    """
    from adapters.auditor.challenge import ChallengeClient
    from adapters.auditor.sample import summary
    from adapters.auditor.subjects import full_party
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from audit.challenge_proof import ACKNOWLEDGEMENT, ChallengeProof
    from xinyi.lending import parse_period

    due_on = due.date() if due is not None else days.today() + timedelta(days=_DAYS)
    asked = parse_period(period)
    with GatewayClient(Home.open(home)) as gateway:
        client = ChallengeClient(gateway)
        if output.exists() and not (output / ACKNOWLEDGEMENT).exists():
            proof = ChallengeProof.read(output)
        else:
            _check_new(output)
            recorded = client.find_table(full_party(home, bank), asked, currency, purpose, other)
            proof = client.prepare(recorded, by, n, due_on, purpose)
        drawn = client.drawn(proof)
        client.ask(proof, output)
    told = {"folder": output, **summary(drawn)}
    sentence = (
        f"asked: {drawn.table.bank} opens {len(drawn.units)} of {drawn.population} units until "
        f"{drawn.challenge.due_on}; next: xinyi-audit verify-opening {output} OPENING --policy FILE"
    )
    outcome(told, sentence, as_json=json)


def _check_new(folder: Path) -> None:
    """Before anything is asked, and logged."""
    if folder.exists():
        raise FileExistsError(17, "it exists already; nothing was changed", str(folder))


def challenges(
    home: HomeOption,
    keep: Annotated[
        Path | None,
        typer.Option(help="What `challenge -o` wrote: takes what the bank told the log of its opening."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the challenges of your party: open, answered, answered late, or not answered.

    With --keep the answer to one of them goes into its folder, proven: `verify-opening` compares the opening with it.

    Example: xinyi-audit challenges --keep ./bank-1-2018-Q1 --home ./auditor
    """
    from adapters.auditor.challenge import ChallengeClient
    from adapters.auditor.folders import write_folder
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from audit.challenge_proof import ANSWER, ChallengeProof

    with GatewayClient(Home.open(home)) as gateway:
        client = ChallengeClient(gateway)
        if keep is not None and not (keep / ANSWER).exists():
            write_folder(keep / ANSWER, client.find_answer(ChallengeProof.read(keep)).files())
        listed = client.challenges()
    found = [_told(status) for status in listed.challenges]
    if listed.left_out:
        notices.print(f"{listed.left_out:,} that were answered are left out: those due longest ago")
    if json:
        print_json(found)
        return
    columns = ("challenge", "bank", "period", "units", "by", "due_on", "state", "asked_by")
    rows = [(one["challenge"].hex()[:16], *(one[name] for name in columns[1:])) for one in found]
    table("", [column.replace("_", " ") for column in columns], rows)


def _told(status: Any) -> dict[str, Any]:
    from audit.envelope import digest, parse_strict
    from xinyi.lending import period_name
    from xinyi.v1 import lending_pb2

    asked = parse_strict(status.challenge.payload, lending_pb2.Challenge)
    sealed = parse_strict(status.table.payload, lending_pb2.LendingTable)
    opening = parse_strict(status.answer.payload, lending_pb2.ChallengeAnswer).opening
    return {
        "challenge": digest(status.challenge),
        "bank": asked.bank,
        "period": period_name(sealed.period),
        "table": asked.table,
        "units": asked.size,
        "by": lending_pb2.SampleUnit.Name(asked.unit).removeprefix("SAMPLE_UNIT_").lower(),
        "due_on": asked.due_on,
        "overdue": status.state != "ANSWERED" and date.fromisoformat(asked.due_on) < days.today(),
        "state": status.state.lower(),
        "asked_by": asked.asked_by,
        "opening": opening,
    }


def verify_opening(
    folder: Annotated[Path, typer.Argument(help="What `challenge -o` wrote.")],
    opening: Annotated[Path, typer.Argument(help="What the bank opened.")],
    policy: PolicyOption,
    books: Annotated[
        Path | None,
        typer.Option(
            help="CSV with loan, granted, balance, class: what you saw in the bank's books; granted within the period."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Verify offline what a bank opened, and say how small an error it would have shown.

    Exit code 0 holds, 4 false, 5 cannot decide.

    Example: xinyi-audit verify-opening ./bank-1-2018-Q1 opening.dsse --policy policy.toml --books seen.csv
    """
    from adapters.auditor import books as seen
    from adapters.auditor.sample import failed, print_text, verdict_of
    from adapters.auditor.settings import load_policy
    from audit.challenge_proof import ChallengeProof, verify_answer
    from audit.verification.findings import EvidenceMissing, Verdict
    from xinyi.errors import Invalid, VerificationError

    trusted = load_policy(policy)
    booked = seen.read_books(books) if books is not None else None
    drawn = None
    try:
        proof = ChallengeProof.read(folder)
        drawn = proof.draw(trusted)
        verified = verify_answer(proof, drawn, opening, trusted)
    except (VerificationError, Invalid) as error:
        found = failed(Verdict.FALSE, [str(error)], drawn)
    except EvidenceMissing as error:
        found = failed(Verdict.UNDECIDED, [str(error)], drawn)
    else:
        compared = seen.compare(verified.rows, booked) if booked is not None else None
        found = verdict_of(drawn, verified, compared)
    if json:
        print_json(found)
    else:
        print_text(found)
    code = {Verdict.HOLDS: Exit.DONE, Verdict.FALSE: Exit.FALSE, Verdict.UNDECIDED: Exit.UNDECIDED}
    raise typer.Exit(code[found["verdict"]])
