"""notice add, list."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.commands import HomeOption, JsonOption, act
from xinyi.terminal import group, outcome, print_json, table
from xinyi.v1 import notice_pb2

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.exchange import Exchange
    from xinyi.v1 import envelope_pb2

app = group("Notices: what changes, and when, told to every partner in time.")


class Kind(StrEnum):
    contract = "contract"
    certificate = "certificate"
    key = "key"
    product = "product"
    maintenance = "maintenance"

    @property
    def number(self) -> notice_pb2.NoticeKind:
        return notice_pb2.NoticeKind.Value(f"NOTICE_KIND_{self.name.upper()}")  # type: ignore[return-value]

    @classmethod
    def of(cls, number: notice_pb2.NoticeKind) -> str:
        return notice_pb2.NoticeKind.Name(number).removeprefix("NOTICE_KIND_").lower()


@app.command()
def add(
    home: HomeOption,
    number: Annotated[str, typer.Argument(help="Given once for ever: lower-case letters, digits, hyphens.")],
    kind: Annotated[Kind, typer.Option(help="What changes.")],
    effective: Annotated[
        datetime, typer.Option("--effective", formats=["%Y-%m-%d"], help="Day from which it holds, China.")
    ],
    chinese: Annotated[str, typer.Option("--zh", help="What partners have to do, in Chinese.")],
    english: Annotated[str, typer.Option("--en", help="The same in English.")],
    fingerprint: Annotated[
        Path | None, typer.Option(help="PEM of the new certificate or public key; its fingerprint is told.")
    ] = None,
    replaces: Annotated[str, typer.Option(help="Number of the notice whose place this takes.")] = "",
    urgent: Annotated[str, typer.Option(help="Why it comes later than the notice period allows.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Seal and announce a notice; partners read it with their next look at the gateway.

    Example: xinyi-gateway notice add 2018-3 --kind certificate --effective 2018-09-01 --fingerprint tls.crt
    --zh "更换服务器证书" --en "The server certificate changes."
    """
    from audit import envelope
    from gateway.office import notices

    notice = notice_pb2.ChangeNotice(
        number=number,
        kind=kind.number,
        effective_on=effective.date().isoformat(),
        text_zh=chinese,
        text_en=english,
        fingerprint=notices.fingerprint(kind.number, fingerprint),
        replaces=replaces,
        urgent=urgent,
    )

    def work(gateway: Gateway, x: Exchange) -> envelope_pb2.Envelope:
        days = gateway.settings.notices.days(notice.kind)
        return notices.announce(x, notice, days, gateway.signer, gateway.holder)

    sealed = act(home, work)
    told = notice.fingerprint.hex()
    shown = {"notice": number, "digest": envelope.digest(sealed).hex(), "fingerprint": told}
    sentence = f"announced: {kind} {number} from {notice.effective_on}"
    outcome(shown, f"{sentence}, fingerprint {told}" if told else sentence, as_json=as_json)


@app.command("list")
def list_notices(home: HomeOption, as_json: JsonOption = False) -> None:
    """Every notice that no later one replaces, by effective date.

    Example: xinyi-gateway notice list --json
    """
    from gateway.office.inspection import read
    from gateway.store import notices

    sealed = read(home, notices.standing_notices)
    standing = [notice_pb2.ChangeNotice.FromString(envelope.payload) for envelope in sealed]
    rows = [
        {
            "number": notice.number,
            "kind": Kind.of(notice.kind),
            "effective_on": notice.effective_on,
            "replaces": notice.replaces,
            "urgent": notice.urgent,
            "fingerprint": notice.fingerprint,
            "zh": notice.text_zh,
            "en": notice.text_en,
        }
        for notice in standing
    ]
    if as_json:
        return print_json(rows)
    columns = ["number", "kind", "effective_on", "urgent", "zh", "en", "fingerprint"]
    return table("", columns, [[row[name] for name in columns] for row in rows])
