"""Commands of xinyi-gateway, one file per noun. They parse, call, and print; nothing is decided here."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from xinyi.v1 import exchange_pb2

if TYPE_CHECKING:
    from gateway.app import Gateway
    from gateway.exchange import Exchange

T = TypeVar("T")

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="XINYI_HOME", help="The gateway's home directory.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One line of JSON for machines.")]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", help="File; standard output without it.")
]
ReasonOption = Annotated[str, typer.Option(help="Stands in the log; no taxpayer data.")]


class Disclosure(StrEnum):
    public = "public"
    agreement = "agreement"
    authorised = "authorised"
    authority = "authority"

    @property
    def number(self) -> int:
        return exchange_pb2.DisclosureClass.Value(f"DISCLOSURE_CLASS_{self.name.upper()}")

    @classmethod
    def of(cls, number: int) -> str:
        return exchange_pb2.DisclosureClass.Name(number).removeprefix("DISCLOSURE_CLASS_").lower()


def act(home: Path, work: Callable[[Gateway, Exchange], T]) -> T:
    """Runs one exchange on the gateway of this home; a serving gateway may run beside it."""
    from gateway.app import open_gateway
    from gateway.config import Settings

    with open_gateway(Settings.load(home)) as gateway:
        return gateway.door.run_sync(lambda x: work(gateway, x))
