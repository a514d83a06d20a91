"""xinyi-bureau: the tax bureau's side. One home is one person: who publishes and who approves have two."""

from __future__ import annotations

from typing import NoReturn

from adapters.bureau.commands import asking, deciding, lending, publishing, recalling, watching
from adapters.bureau.commands.objecting import objection
from adapters.figures.command import statistics
from adapters.party.onboarding import add_commands
from xinyi.terminal import program, run
from xinyi.v1 import party_pb2

app = program(
    "The tax bureau publishes its grade editions and watches what becomes of them.\n\n"
    "First hour: init, request, trust, install, check, inspect, publish; then, as another person with a home "
    "of their own: review, approve.\n\n"
    "Exit codes: 0 done, 1 failure, 2 usage or settings, 3 refused, 4 verification failed, 6 try again later, "
    "7 nothing to do, or not confirmed by whoever was asked."
)
add_commands(app, kind=party_pb2.PARTY_KIND_TAX_BUREAU)
app.command()(publishing.inspect)
app.command()(publishing.publish)
app.command()(publishing.correct)
app.command()(deciding.review)
app.command()(deciding.approve)
app.command()(deciding.release)
app.command()(deciding.cancel)
app.command()(deciding.stop)
app.command()(asking.questions)
app.command()(asking.answer)
app.add_typer(objection, name="objection")
app.command()(recalling.recall)
app.command()(recalling.comparison)
app.command()(lending.loans)
app.command()(statistics)
app.command()(watching.status)
app.command()(watching.check)


def main() -> NoReturn:
    run(app)


if __name__ == "__main__":
    main()
