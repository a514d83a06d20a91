"""xinyi-audit: look into a gateway's log, carry it away, and verify it offline.

Exit codes: 0 holds · 2 usage · 3 refused · 4 false · 5 cannot decide · 6 try again (docs/operations.md).
"""

from __future__ import annotations

from typing import NoReturn

from adapters.auditor import offline, online
from adapters.party.onboarding import add_commands
from adapters.party.terminal import program, run
from xinyi.v1 import party_pb2

app = program("An auditor's program: checkpoint, entries, prove, export (online); verify (offline).")
prove = program("One entry of the log, or one record of an edition, proven alone.")
app.add_typer(prove, name="prove")
add_commands(app, kind=party_pb2.PARTY_KIND_AUDITOR)
online.add_commands(app, prove)
offline.add_commands(app, prove)


def main() -> NoReturn:
    run(app)
