"""Offline verification of an export, under the policy the auditor brings.

Every check runs to its end and every finding is reported; "false" (something contradicts what was signed or
committed to) is kept apart from "cannot decide" (evidence is missing). The procedure; the numbers stand again
at each place in this package:

 1. checkpoint   the pinned log key signed the head
 2. files        the directory holds the files of an export and no other
 3. tree         the leaves in the bundles make exactly the tiles, and lead to the root of the head
 4. openings     every leaf has the opening it commits to, or a logged erasure
 5. keys         every key registered in the log was registered by its holder
 6. documents    every kept document is named by the log, in the one encoding, and every named one is kept
 7. seals        every document is sealed by keys that counted at its place in the log, none of them suspect
 8. answers      every answer is for the exchange it names, and every exchange has the one it must have
 9. exchanges    editions, decisions, deliveries, receipts, recalls, objections, lending, challenges, statistics,
                 notices and queries say what they must say to each other
10. rows         every business row is as the log left it, none is missing, none is there besides
11. records      every chunk is the one its manifest or batch seals (exports with records)
12. states       every edition leads from the records before it to those it seals (exports with records)

It cannot tell that an exchange was never logged, that a time is right, or that another partner was shown
another head: docs/evidence-format.md §6. Memory is flat in the number of entries.
"""

from __future__ import annotations

from pathlib import Path

from audit import checkpoint
from audit.checkpoint import Checkpoint
from audit.keys import keyid
from audit.verification import chunks, meaning, outcomes, state, tree
from audit.verification.documents import Dossier
from audit.verification.exported import Description, Export, belongs
from audit.verification.findings import Report
from audit.verification.ledger import Ledger
from audit.verification.notes import Notes
from audit.verification.policy import Policy
from audit.verification.register import Register
from audit.verification.run import Run, Watch, unwatched
from xinyi.errors import EncodingInvalid, Invalid

CLAIMS = {
    "checkpoint": "the pinned log key signed the head",
    "files": "the directory holds the files of an export and no other",
    "tree": "leaves and tiles lead to the root of the head",
    "openings": "every leaf has the opening it commits to, or a logged erasure",
    "keys": "every key was registered by its holder",
    "documents": "every document the log names is kept, and no other",
    "seals": "every document is sealed by keys that counted at its place in the log",
    "answers": "every exchange has its answer, and no other has one",
    "editions": "every edition and every decision on it is the bureau's",
    "deliveries": "nothing was delivered without a second person's approval, or without its marks",
    "receipts": "every receipt is the recipient's, for the root and count that were sealed",
    "queries": "every look at the log was a person's, in their own name",
    "recalls": "every correction is told to everybody who took what it corrects",
    "objections": "every objection and its decision is the bureau's, by two persons",
    "lending": "every table is the bank's own, and one of a bank, period and currency counts",
    "challenges": "every sample was drawn behind its table, and answered by the bank",
    "statistics": "every figure is the sum of the tables that counted, and nothing is shown that tells of few",
    "notices": "every notice of changes is under a number of its own",
    "rows": "every business row is as the log left it",
    "records": "every chunk of records is the one its manifest or batch seals",
    "states": "every edition leads from the records before it to those it seals",
}


def verify(path: Path, policy: Policy, watch: Watch = unwatched) -> Report:
    """All findings about the export at `path`.

    Raises Invalid where the export is larger than the policy allows, OSError where the disk fails.
    """
    report = Report(CLAIMS)
    export = Export(path, line_bytes=policy.limits.line_bytes)
    head = _check_head(export, policy, report)  # 1
    description = _check_files(export, policy, report, head)  # 2
    with Notes() as notes, Register() as register, Ledger() as ledger:
        run = Run(export, policy, notes, register, ledger, report, watch, description)
        state.read_linked(run)
        tree.check(run, head)  # 3, 4
        with Dossier(run) as dossier:
            dossier.check_keys()  # 5
            dossier.check_documents()  # 6, 7
            meaning.check(run, dossier)  # 8, 9
            tree.check_erasures(run)  # 4
            state.check(run)  # 10
            if description.with_records:
                chunks.check(run, dossier)  # 11, 12
                outcomes.check(run, dossier)  # 11
            report.notes["keys_taken_from_log"] = [
                {"leaf": position, "holder": key.holder, "fingerprint": keyid(key)}
                for position, key in dossier.history.learned
            ]
    return report


# 1


def _check_head(export: Export, policy: Policy, report: Report) -> Checkpoint | None:
    with report["checkpoint"].examine("checkpoint"):
        head = checkpoint.verify(export.checkpoint(), policy.log_key)
        report.notes["head"] = {"origin": head.origin, "size": head.size, "root": head.root.hex()}
        return head
    return None


# 2


def _check_files(export: Export, policy: Policy, report: Report, head: Checkpoint | None) -> Description:
    """What the export says it is; what its head says where that cannot be read."""
    check = report["files"]
    size = head.size if head is not None else 0
    description = Description(policy.log_key.name, size, size, with_records=True)
    with check.examine("export.json"):
        description = export.description()
        if head is not None and description.size != head.size:
            raise EncodingInvalid(f"it says {description.size} leaves, the head says {head.size}")
        if description.origin != policy.log_key.name:
            raise EncodingInvalid("it is of another log than the policy's")
    if description.size > policy.limits.entries:
        raise Invalid(f"{description.size} leaves are more than the policy's limit", basis="policy.limits")
    report.notes["state_size"] = description.state_size
    if description.size - description.state_size > policy.limits.state_lag:
        check.undecide("export.json", "the state is too far behind the head")
    for name, regular in export.files():
        check.examined += 1
        if not regular or not belongs(name, description.size, with_records=description.with_records):
            check.refute(name.encode("utf-8", "backslashreplace").decode(), "the format has no place for it")
    return description
