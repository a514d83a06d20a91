"""What a bank knew on a day, and what was disclosed about one subject: as-of, verify-known, subject-report."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi import days
from xinyi.errors import Invalid, Unknown, UsageInvalid
from xinyi.fields import check_party
from xinyi.terminal import Exit, emit, notices, print_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from audit.disclosure.account import Question
    from audit.disclosure.folder import KnownFolder
    from audit.disclosure.history import History
    from audit.disclosure.report import Scope
    from audit.verification.policy import Policy

PolicyOption = Annotated[
    Path | None, typer.Option("--policy", help="Your own policy; this home's pins where none is named.")
]
PurposeOption = Annotated[str, typer.Option(help="Why you look: it stands in the log beside your name.")]
ExportOption = Annotated[
    Path | None, typer.Option("--export", help="An export with records instead of the gateway; verified first.")
]
KeysOption = Annotated[
    bool,
    typer.Option(
        "--keys-from-log", help="Take the keys of parties that you do not pin from the log; they are listed."
    ),
]


class Language(StrEnum):
    ZH = "zh"
    EN = "en"
    BOTH = "both"


class Form(StrEnum):
    TEXT = "text"
    HTML = "html"
    JSON = "json"


def add_commands(app: typer.Typer) -> None:
    app.command("as-of")(as_of)
    app.command("verify-known")(verify_known)
    app.command("subject-report")(subject_report)


def as_of(
    home: HomeOption,
    bank: Annotated[str, typer.Option(help="<city>/<party>, or the party's name in your city")] = "",
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="until its end in China")] = None,
    product: Annotated[str, typer.Option(help="all of them without one")] = "",
    subject: Annotated[
        str | None, typer.Option(help="the taxpayer's identifier; editions alone without one")
    ] = None,
    true: Annotated[bool, typer.Option("--true", help="What is held true today, corrections included.")] = False,
    purpose: PurposeOption = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="folder to make for the proofs")] = None,
    policy: PolicyOption = None,
    export: ExportOption = None,
    keys_from_log: KeysOption = False,
    json: JsonOption = False,
) -> None:
    """What a bank knew on a day, with proof; with --true what is held true today.

    Example: xinyi-audit as-of --bank bank-1 --day 2018-05-03 --product grade-all --subject 91… --purpose "dispute 7"
    """
    from adapters.auditor.known import answer_text
    from audit.disclosure.account import Question
    from audit.disclosure.answer import as_of as answer

    if not bank and not true:
        raise typer.BadParameter("name a bank with --bank and a day with --day, or ask for --true")
    if bool(bank) != (day is not None):
        raise typer.BadParameter("--bank and --day belong together")
    asked = day.date() if day is not None else days.today()
    if asked > days.today():
        raise UsageInvalid(f"--day {asked} is yet to come: nobody knows what will be known then", basis="day")
    identifier = _identifier(subject) if subject is not None else ""
    question = Question(identifier, product, full_party(home, bank) if bank else "")
    with _source(home, policy, export, purpose, keys_from_log=keys_from_log) as source:
        history = source.ask(question, asked if bank else None, output)
    found = answer(history, question.recipient, asked, truth=true)
    if json:
        print_json(found)
    else:
        answer_text(found)
        if output is not None:
            notices.print(f"written: {output}; it verifies alone: xinyi-audit verify-known", markup=False)


def verify_known(
    folder: Path,
    policy: Annotated[Path, typer.Option(help="Your own policy: log key, gateway, bureaus, pinned keys.")],
    json: JsonOption = False,
) -> None:
    """Verify a folder that `as-of -o` wrote, and answer its question again from it alone, and what was held true then.

    Example: xinyi-audit verify-known ./dispute-7 --policy policy.toml
    """
    from adapters.auditor.known import answer_text
    from adapters.auditor.settings import load_policy
    from audit.disclosure.answer import as_of as answer
    from audit.disclosure.folder import KnownFolder

    kept, trusted = KnownFolder.read(folder), load_policy(policy)
    history = kept.verify(trusted)
    _check_published(history, kept.asked.question.product)
    day = date.fromisoformat(kept.asked.day) if kept.asked.day else days.today()
    found = answer(history, kept.asked.question.recipient, day, truth=True)
    if not kept.shows_asker(trusted):
        found["not_proven"].append("who asked: the policy pins no key of theirs")
    if json:
        print_json({"verdict": "holds", **found})
    else:
        answer_text(found, now="when it was asked")
        notices.print("holds", markup=False)


def subject_report(
    home: HomeOption,
    subject: Annotated[str, typer.Argument(metavar="USCC", help="the taxpayer's identifier")],
    purpose: PurposeOption = "",
    product: Annotated[str, typer.Option(help="all of them without one")] = "",
    lang: Language = Language.BOTH,
    format: Form = Form.TEXT,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="file to make")] = None,
    policy: PolicyOption = None,
    export: ExportOption = None,
    keys_from_log: KeysOption = False,
) -> None:
    """Everything that was disclosed about one subject: what, to whom, when, on which basis, by whom, with proofs.

    Example: xinyi-audit subject-report 91… --purpose "asked by the subject" --lang zh --format html -o report.html
    """
    from adapters.auditor.report.html import render as as_html
    from adapters.auditor.report.page import page_of
    from adapters.auditor.report.text import render as as_text
    from audit.disclosure.account import Question
    from audit.disclosure.report import report
    from audit.entries import canonical_json

    question = Question(_identifier(subject), product)
    with _source(home, policy, export, purpose, keys_from_log=keys_from_log) as source:
        history = source.ask(question, None, None)
        found = report(history, _now_ms(), source.legal_basis(), source.scope(product))
    if format is Form.JSON:
        written = canonical_json(found).encode() + b"\n"
    elif format is Form.HTML:
        written = as_html(page_of(found), lang)
    else:
        written = as_text(page_of(found), lang)
    emit(output, written)


# ── where the account comes from ───────────────────────────────────────────────────────────────────────


@dataclass
class _Online:
    client: Any
    policy: Policy
    purpose: str
    keys_from_log: bool

    def ask(self, question: Question, day: date | None, output: Path | None) -> History:
        from adapters.auditor.editions import find_editions
        from adapters.auditor.folders import write_folder
        from adapters.auditor.known import say_keys
        from adapters.auditor.subject import SubjectClient

        subjects = SubjectClient(self.client)
        registrations = (
            subjects.registrations(self.purpose, question.recipient) if self.keys_from_log else ()
        )
        told = day.isoformat() if day is not None else ""
        kept: KnownFolder
        if question.identifier:
            kept, history = subjects.find(
                question, self.purpose, self.policy, day=told, registrations=registrations
            )
        else:
            kept, history = find_editions(
                self.client, question, self.purpose, self.policy, day=told, registrations=registrations
            )
        say_keys(registrations, self.policy)
        _check_published(history, question.product)
        # A bureau's person may not search the log: for them a party without deliveries just knew nothing.
        may_search = not self.scope(question.product).bureau
        if question.recipient and not history.disclosures and may_search:
            _check_known(question.recipient, known=subjects.is_registered(self.purpose, question.recipient))
        if output is not None:
            write_folder(output, dict(kept.files()))
        return history

    def legal_basis(self) -> dict[str, str]:
        return {}

    def scope(self, product: str) -> Scope:
        from audit.disclosure.report import Scope

        return Scope(self.client.home.settings.holder, self.purpose, product, self.policy)


@dataclass
class _Exported:
    directory: Path
    policy: Policy
    purpose: str

    def ask(self, question: Question, day: date | None, output: Path | None) -> History:
        from adapters.auditor.exported import history, is_registered

        if output is not None:
            raise UsageInvalid("an export is its own proof: keep it; -o is for accounts of a gateway", basis="output")
        found = history(self.directory, self.policy, question)
        _check_published(found, question.product)
        if question.recipient and not found.disclosures:
            known = is_registered(self.directory, self.policy, question.recipient)
            _check_known(question.recipient, known=known)
        return found

    def legal_basis(self) -> dict[str, str]:
        from adapters.auditor.exported import legal_basis

        return legal_basis(self.directory, self.policy)

    def scope(self, product: str) -> Scope:
        from audit.disclosure.report import Scope

        return Scope("", self.purpose, product, self.policy)


@contextmanager
def _source(
    home: Path, policy: Path | None, export: Path | None, purpose: str, *, keys_from_log: bool
) -> Iterator[_Online | _Exported]:
    """Raises Exit where an export does not hold: nothing is answered from it."""
    from adapters.auditor.settings import load_policy, policy_of
    from adapters.party.gateway import GatewayClient
    from adapters.party.home import Home
    from audit.keys import is_person

    if export is None and not is_person(machine := Home.open(home).settings.holder):
        raise UsageInvalid(
            f"this home is {machine}'s, and openings are shown to persons alone: ask from the home of an auditor's or "
            "the bureau's person (xinyi-audit init --holder xinyi://<city>/<party>/person/<name>)",
            basis="query.person",
        )
    trusted = load_policy(policy) if policy is not None else policy_of(Home.open(home))
    if export is not None:
        _check_export(export, trusted)
        yield _Exported(export, trusted, purpose)
        return
    if not purpose:
        raise typer.BadParameter("say why with --purpose: it stands in the log beside your name")
    with GatewayClient(Home.open(home)) as client:
        yield _Online(client, trusted, purpose, keys_from_log)


def _check_export(directory: Path, policy: Policy) -> None:
    from adapters.auditor.show import report_text
    from audit.verification.findings import Verdict
    from audit.verification.procedure import verify

    report = verify(directory, policy)
    if report.verdict is not Verdict.HOLDS:
        report_text(report)
        raise typer.Exit(Exit.FALSE if report.verdict is Verdict.FALSE else Exit.UNDECIDED)


def _identifier(typed: str) -> str:
    """Normalised. Raises UsageInvalid for what no record can hold: the gateway takes in none with another."""
    from xinyi.identifiers import broken_rule, normalise

    identifier = normalise(typed)
    if broken := broken_rule(identifier):
        raise UsageInvalid(
            f"what you typed is no identifier of an enterprise: {broken}; no edition can hold it", basis="subject"
        )
    return identifier


def _check_published(history: History, product: str) -> None:
    """Raises Unknown: that nobody ever knew anything of a product that is none would be no answer."""
    if product and not history.statements:
        raise Unknown(f"no edition of {product} was ever published that may be shown here", basis="product")


def _check_known(party: str, *, known: bool) -> None:
    """Raises Unknown, as for products."""
    if not known:
        raise Unknown(
            f"no such party is known to the log: no delivery and no key registration names {party}", basis="party"
        )


def full_party(home: Path, name: str) -> str:
    """A name without a city is one of the gateway's city. Raises UsageInvalid."""
    from adapters.party.home import Home

    if "/" not in name:
        name = f"{Home.open(home).settings.gateway.party.split('/')[0]}/{name}"
    try:
        check_party(name, "party")
    except Invalid as error:
        raise UsageInvalid(f"--bank: {error.explanation}", basis=error.basis) from error
    return name


def _now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000
