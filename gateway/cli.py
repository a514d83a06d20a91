"""xinyi-gateway: the gateway of one city."""

from __future__ import annotations

from typing import NoReturn

from gateway.commands import (
    agreement,
    delivery,
    home,
    key,
    lending,
    notice,
    partner,
    product,
    recall,
    statistics,
)
from xinyi.terminal import program, run

app = program(
    "The credit exchange gateway of one city.\n\n"
    "First hour: init, check, serve, partner admit, partner activate, agreement add, entitle, status.\n\n"
    "Exit codes: 0 done, 1 failure, 2 usage or settings, 3 refused, 4 verification failed, 6 later, "
    "7 nothing to do."
)
for command in (home.init, home.check, home.serve, home.status, home.purge, home.upgrade):
    app.command()(command)
app.add_typer(home.certificate, name="certificate")
app.add_typer(partner.app, name="partner")
app.add_typer(key.app, name="key")
app.add_typer(agreement.app, name="agreement")
app.add_typer(product.app, name="product")
app.command()(agreement.entitle)
app.command()(agreement.disentitle)
app.add_typer(delivery.app, name="delivery")
app.add_typer(recall.app, name="recall")
app.add_typer(notice.app, name="notice")
app.add_typer(statistics.app, name="statistics")
app.add_typer(lending.app, name="lending")


def main() -> NoReturn:
    run(app)
