"""The commands that need no gateway: verify, verify-entry, verify-record, prove record, policy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.party.terminal import HomeOption, JsonOption
from xinyi.terminal import Exit, emit, outcome, print_json, progress

PolicyOption = Annotated[Path, typer.Option(help="Your own policy: log key, gateway, bureaus, pinned keys.")]


def add_commands(app: typer.Typer, prove: typer.Typer) -> None:
    app.command()(verify)
    app.command("verify-entry")(verify_entry)
    app.command("verify-record")(verify_record)
    app.command()(policy)
    prove.command("record")(prove_record)


def verify(directory: Path, policy: PolicyOption, json: JsonOption = False) -> None:
    """Verify an export offline: every check, all findings. Exit code 0 holds, 4 false, 5 cannot decide.

    Example: xinyi-audit verify ./2018-05 --policy policy.toml --json
    """
    from adapters.auditor.settings import load_policy
    from adapters.auditor.show import report_text
    from audit.verification.findings import Verdict
    from audit.verification.procedure import verify as run

    with progress() as bar:
        tasks = {}

        def watch(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total or None)
            bar.update(tasks[step], completed=done)

        report = run(directory, load_policy(policy), watch)
    if json:
        print_json(report.to_json())
    else:
        report_text(report)
    code = {Verdict.HOLDS: Exit.DONE, Verdict.FALSE: Exit.FALSE, Verdict.UNDECIDED: Exit.UNDECIDED}
    raise typer.Exit(code[report.verdict])


def verify_entry(folder: Path, policy: PolicyOption, json: JsonOption = False) -> None:
    """Verify one entry that `prove entry` wrote.

    Example: xinyi-audit verify-entry ./entry-17 --policy policy.toml
    """
    from adapters.auditor.client import ShownEntry
    from adapters.auditor.settings import load_policy
    from adapters.auditor.show import entry_json, show
    from audit.entry_proof import EntryProof

    proof = EntryProof.read(folder)
    entry, head = proof.verify(load_policy(policy).log_key)
    shown = ShownEntry(proof.receipt.index, proof.salt, proof.opening, entry, list(proof.documents))
    show({"verdict": "holds", "log_size": head.size, **entry_json(shown)}, as_json=json)


def verify_record(
    folder: Path,
    policy: PolicyOption,
    taxpayer: Annotated[str, typer.Option(help="identifier of whom it has to be about")] = "",
    blinding_key: Annotated[
        Path | None, typer.Option(help="file with the edition's blinding key")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Verify one record that `prove record` wrote, or what a state holds of one taxpayer, and show it.

    Example: xinyi-audit verify-record ./record --policy policy.toml
    """
    from adapters.auditor.settings import load_policy
    from adapters.auditor.show import record_json, show
    from audit import state_proof
    from audit.record_proof import RecordProof
    from xinyi.errors import Invalid
    from xinyi.identifiers import normalise

    if bool(taxpayer) != (blinding_key is not None):
        raise Invalid("--taxpayer and --blinding-key go together", basis="proof.subject")
    trusted = load_policy(policy)
    if state_proof.lies_in(folder):
        proven = state_proof.StateProof.read(folder).verify(trusted)
    else:
        proven = RecordProof.read(folder).verify(trusted)
    if blinding_key is not None:
        proven.check_subject(normalise(taxpayer), blinding_key.read_bytes())
    manifest = proven.manifest.message
    shown = {
        "verdict": "holds",
        "edition": proven.manifest.digest,
        "product": manifest.product,
        "period": f"{manifest.period.year}-{manifest.period.month:02d}",
        "published_by": manifest.issued_by,
        "approved_by": proven.approval.message.approved_by,
        "blinded_key": proven.blinded_key,
        "record": "none" if proven.record is None else record_json(proven.record),
    }
    show(shown, as_json=json)


def prove_record(
    directory: Annotated[Path, typer.Argument(help="An export with records.")],
    policy: PolicyOption,
    output: Annotated[Path, typer.Option("-o", "--output", help="folder to make")],
    edition: Annotated[str, typer.Option(help="first digits of the manifest's digest")] = "",
    taxpayer: Annotated[
        str, typer.Option(prompt=True, help="identifier; asked for where it is not given")
    ] = "",
    json: JsonOption = False,
) -> None:
    """One record of an edition with its way to the sealed root, and nothing of any other taxpayer.

    Example: xinyi-audit prove record ./2018-05 --policy policy.toml --edition 3f0a -o ./record
    """
    from adapters.auditor import excerpt
    from adapters.auditor.folders import write_folder
    from adapters.auditor.settings import load_policy
    from xinyi.identifiers import normalise

    proof = excerpt.prove_record(directory, load_policy(policy), edition, normalise(taxpayer))
    write_folder(output, proof.files())
    outcome({"folder": output, "leaf": proof.index}, f"written: {output}", as_json=json)


def policy(
    home: HomeOption,
    bureau: Annotated[list[str], typer.Option(help="<city>/<party> whose editions count; may be repeated")],
    output: Annotated[Path | None, typer.Option("-o", "--output")] = None,
) -> None:
    """Write the policy file that `verify` takes, from the keys this home has pinned.

    Example: xinyi-audit policy --bureau demo-city/tax-bureau -o policy.toml
    """
    from adapters.auditor.settings import policy_of
    from adapters.party.home import Home

    emit(output, policy_of(Home.open(home), bureau).dump())
