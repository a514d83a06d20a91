"""xinyi-audit: look into a gateway's log, carry it away, and verify it offline."""

from __future__ import annotations

from typing import NoReturn

from adapters.auditor import challenges, offline, online, subjects
from adapters.party.onboarding import add_commands
from xinyi.terminal import group, program, run
from xinyi.v1 import party_pb2

app = program(
    "An auditor's program: checkpoint, entries, prove, export, as-of, subject-report, challenge (online); verify, "
    "verify-opening (offline).\n\n"
    "Exit codes: 0 done, holds; 1 failure, 2 usage or settings, 3 refused, 4 false, 5 cannot decide, "
    "6 try again later."
)
prove = group("One entry of the log, or one record of an edition, proven alone.")
app.add_typer(prove, name="prove")
add_commands(app, kind=party_pb2.PARTY_KIND_AUDITOR)
online.add_commands(app, prove)
offline.add_commands(app, prove)
subjects.add_commands(app)
challenges.add_commands(app)


def main() -> NoReturn:
    run(app)
