"""The [bank] table of party.toml: where things lie, and the bank's own rules. All has working defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from adapters.party.home import Home
from adapters.party.settings import Section, Settings
from xinyi.errors import Invalid
from xinyi.server import is_address
from xinyi.v1 import records_pb2

_KIND = "IDENTIFIER_KIND_"
#: Schemes of targets that are files.
FILES = ("sqlite", "csv", "parquet", "oracle-files")
_KINDS = {name.removeprefix(_KIND) for name in records_pb2.IdentifierKind.keys()}  # noqa: SIM118


class RuleSettings(Section):
    """The bank's own rules; a record that breaks one is kept, named in the receipt, and not shown."""

    #: Kinds of identifier the bank's systems take, for instance ["uscc"]; empty for all.
    identifier_kinds: tuple[str, ...] = ()
    #: Longest name the bank's systems take, in characters; 0 for any.
    max_name_length: int = Field(default=0, ge=0)
    #: More refused records than this share (per cent) and the edition is REJECTED as a whole.
    max_refused_percent: float = Field(default=10.0, ge=0, le=100)

    @field_validator("identifier_kinds")
    @classmethod
    def _known(cls, kinds: tuple[str, ...]) -> tuple[str, ...]:
        for kind in kinds:
            if not kind or kind.upper() not in _KINDS:
                raise ValueError(f"{kind!r} is no identifier kind")
        return kinds

    @property
    def kinds(self) -> frozenset[int]:
        return frozenset(
            records_pb2.IdentifierKind.Value(_KIND + kind.upper()) for kind in self.identifier_kinds
        )


class InboxSettings(Section):
    #: host:port the gateway dials.
    listen: str = "127.0.0.1:7543"
    #: host:port of the Prometheus page; empty for none.
    metrics: str = ""

    @field_validator("listen", "metrics")
    @classmethod
    def _place(cls, address: str) -> str:
        if address and not is_address(address):
            raise ValueError("it is not host:port")
        return address


class WatchSettings(Section):
    #: host:port of the Prometheus page; empty for none.
    metrics: str = ""


class ReportingSettings(Section):
    """What an agreement wants reported, as its annex says, where no network tells it."""

    #: "total" not among them.
    dimensions: tuple[str, ...]
    currency: str = "CNY"
    #: Of a period: 1, 3 or 12.
    months: int = 3


class BankSettings(Settings):
    #: Products `fetch` asks for where none is named.
    products: tuple[str, ...] = ("grade-a",)
    #: Bureaus whose editions are taken; empty: every pinned party but the gateway and ourselves.
    origins: tuple[str, ...] = ()
    #: Folders, relative to the home.
    spool: Path = Path("spool")
    evidence: Path = Path("evidence")
    #: Where `land` lands when it is not told (adapters/bank/targets.py). Relative paths begin at the home.
    database: str = "sqlite:///bank.db"
    #: product → where this one lands instead
    targets: dict[str, str] = Field(default_factory=dict)
    #: Name of the landed relation per product; by default the product's name with "_" for "-".
    tables: dict[str, str] = Field(default_factory=dict)
    rules: RuleSettings = RuleSettings()
    inbox: InboxSettings = InboxSettings()
    watch: WatchSettings = WatchSettings()
    #: agreement → what it wants; for `report --folder` alone
    reporting: dict[str, ReportingSettings] = Field(default_factory=dict)

    @classmethod
    def of(cls, home: Home) -> BankSettings:
        """The settings with every path made absolute."""
        settings = home.section("bank", cls)
        update: dict[str, Any] = {
            "spool": home.path / settings.spool,
            "evidence": home.path / settings.evidence,
            "database": _absolute("bank.database", settings.database, home.path),
            "targets": {
                product: _absolute(f"bank.targets.{product}", url, home.path)
                for product, url in settings.targets.items()
            },
        }
        return settings.model_copy(update=update)

    def table(self, product: str) -> str:
        return self.tables.get(product, product.replace("-", "_"))

    def target(self, product: str) -> str:
        """URL of where it lands."""
        return self.targets.get(product, self.database)


def _absolute(key: str, url: str, home: Path) -> str:
    scheme, separator, place = url.partition("://")
    if not separator:
        raise Invalid(f"{key} is no URL, for instance sqlite:///FILE or postgresql://…", basis="settings.keys")
    if scheme not in FILES:
        return url
    path = place.removeprefix("/")
    if not path or path == place:
        raise Invalid(f"{key} is no {scheme}:///PATH", basis="settings.keys")
    return url if path.startswith("/") else f"{scheme}:///{(home / path).resolve()}"
