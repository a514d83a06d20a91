"""xinyi-bank: fetch, land, confirm on one to three machines; or inbox or watch as a service."""

from __future__ import annotations

from typing import NoReturn

from adapters.bank.commands import challenging, levelling, moving, outcomes, reporting, standing, telling
from adapters.figures.command import statistics
from adapters.party.onboarding import add_commands
from xinyi.terminal import program, run
from xinyi.v1 import party_pb2

app = program(
    "A bank's side of the credit exchange.\n\n"
    "Every month: fetch, land, confirm; each may run on a machine of its own (handover). "
    "On one machine: receive, confirm. Every quarter: report. After a pause or a restored backup: catch-up, confirm. "
    "Or watch, which does it all at once.\n\n"
    "Exit codes: 0 done, 1 failure, 2 usage or settings, 3 refused, 4 verification failed, "
    "5 evidence missing, 6 try again later, 7 nothing to do or outside the time window."
)
add_commands(app, kind=party_pb2.PARTY_KIND_BANK)
app.command()(moving.fetch)
app.command()(moving.handover)
app.command()(moving.land)
app.command()(moving.reconsider)
app.command()(moving.receive)
app.command()(moving.confirm)
app.command("catch-up")(levelling.catch_up)
app.command()(levelling.watch)
app.command()(standing.inbox)
app.command()(standing.status)
app.command()(standing.prove)
app.command()(standing.purge)
app.command()(standing.check)
app.command()(telling.recalls)
app.command()(telling.notices)
app.command()(reporting.report)
app.command()(reporting.reports)
app.command("report-loans")(outcomes.report_loans)
app.command()(outcomes.outcomes)
app.command("answer-question")(reporting.answer_question)
app.command()(challenging.challenges)
app.command("open")(challenging.open_rows)
app.command()(statistics)


def main() -> NoReturn:
    run(app)
