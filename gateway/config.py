"""Settings of a gateway: one frozen object from <home>/gateway.toml and the environment, read once.

Decides which settings are acceptable together. Only the composition root and the commands read it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator
from sqlalchemy import Engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from audit.checkpoint import VerifierKey
from audit.custody import Custody, CustodySettings, KeyName
from audit.keys import Signer
from gateway.authority import check_not_demo
from gateway.store.db import open_engine, same_database
from xinyi.errors import EncodingInvalid, Invalid
from xinyi.server import TlsFiles, is_address
from xinyi.settings import LogSettings, Section, SettingsInvalid, load_settings
from xinyi.settings import Settings as SettingsFile
from xinyi.v1 import notice_pb2, party_pb2

DOCUMENT, LOG = party_pb2.KEY_PURPOSE_DOCUMENT, party_pb2.KEY_PURPOSE_LOG


class SigningSettings(CustodySettings):
    #: Names of the gateway's keys (audit/custody.py): one seals its documents, one signs log checkpoints.
    document: KeyName = "file:document"
    log: KeyName = "file:log"

    @field_validator("log")
    @classmethod
    def _apart(cls, log: str, info: ValidationInfo) -> str:
        if log == info.data.get("document"):
            raise ValueError("the log's key signs nothing but the log")
        return log


class MetricsSettings(Section):
    #: host:port of the Prometheus endpoint; plain HTTP, so keep it on loopback or a management network.
    listen: str

    @field_validator("listen")
    @classmethod
    def _place(cls, address: str) -> str:
        if not is_address(address):
            raise ValueError("it is not host:port")
        return address


class DeliverySettings(Section):
    max_attempts: int = Field(default=8, ge=1)
    #: First pause after a failed attempt; it doubles up to an hour.
    backoff_s: float = Field(default=5.0, gt=0)
    expires_days: int = Field(default=30, ge=1)
    #: How often a bank may ask for a product where nothing is new; 0 for no limit.
    poll_seconds: float = Field(default=60.0, ge=0)
    #: Attempts at a time, at different banks.
    workers: int = Field(default=8, ge=1)
    #: Finished attempts, and a folder's files of deliveries that ended, are removed after this; 0 keeps them.
    keep_days: int = Field(default=90, ge=0)
    #: Stable name of this process among those that share the database: its work is found again by it.
    worker: str = Field(default="gateway-1", min_length=1)


class WatchSettings(Section):
    #: Banks are told that the next response of a watch comes within so many seconds.
    next_within_s: int = Field(default=30, ge=1, le=3600)
    #: Watches of one party at a time; one more ends its oldest.
    per_party: int = Field(default=4, ge=1)


class NoticeSettings(Section):
    """Calendar days between the announcement of a change and the day it holds, by kind, at least."""

    contract_days: int = Field(default=90, ge=0)
    certificate_days: int = Field(default=30, ge=0)
    key_days: int = Field(default=30, ge=0)
    product_days: int = Field(default=30, ge=0)
    maintenance_days: int = Field(default=3, ge=0)

    def days(self, kind: notice_pb2.NoticeKind) -> int:
        word = notice_pb2.NoticeKind.Name(kind).removeprefix("NOTICE_KIND_").lower()
        days: int = getattr(self, f"{word}_days")
        return days


class Settings(SettingsFile):
    party: str
    mode: Literal["demo", "production"]
    listen: str
    #: host:port that partners dial; `listen` where it is not given.
    address: str = ""
    # URLs may carry a password: never part of a printed settings object.
    database: str = Field(repr=False)
    head_store: str = Field(repr=False)
    workflows: str = Field(repr=False)
    logs: LogSettings = LogSettings(form="json")
    metrics: MetricsSettings | None = None
    delivery: DeliverySettings = DeliverySettings()
    watch: WatchSettings = WatchSettings()
    notices: NoticeSettings = NoticeSettings()
    signing: SigningSettings = SigningSettings()
    reflection: bool = False

    _home: Path = PrivateAttr(default=Path())

    @classmethod
    def load(cls, home: Path) -> Settings:
        """Raises SettingsInvalid: unknown keys, a head store inside the database, a demo CA in production."""
        settings = cls.read(home)
        settings._check()
        return settings

    @classmethod
    def read(cls, home: Path) -> Settings:
        """The file alone: nothing it names need be there. Raises SettingsInvalid."""
        if not (home / "gateway.toml").exists():
            raise SettingsInvalid(
                f"{home} is no home of a gateway: run init first, or name it with --home",
                basis="home.missing",
            )
        settings = load_settings(home / "gateway.toml", cls)
        settings._home = home
        return settings

    def _check(self) -> None:
        try:
            VerifierKey.of(self.log_origin, self.log_signer())
            urls = {"database": self.database_url, "workflows": self.workflows_url}
        except (Invalid, EncodingInvalid) as error:
            raise SettingsInvalid(error.explanation, basis="settings.keys") from error
        for name, url in urls.items():
            if same_database(url, self.head_store_url):
                raise SettingsInvalid(
                    f"head_store is the same database as {name}: a restore would take the last signed head "
                    "along and hide that entries are missing",
                    basis="settings.head_store",
                )
        if self.mode == "production":
            check_not_demo(self.home)

    @property
    def home(self) -> Path:
        return self._home

    @property
    def holder(self) -> str:
        """Whole name of the gateway itself, the actor of what it does."""
        return f"xinyi://{self.party}/machine/main"

    @property
    def partner_address(self) -> str:
        return self.address or self.listen

    @property
    def log_origin(self) -> str:
        return f"{self.party}/log"

    @property
    def database_url(self) -> str:
        return self._resolve(self.database)

    @property
    def head_store_url(self) -> str:
        return self._resolve(self.head_store)

    def open_head_store(self) -> Engine:
        """An engine for the head store, which is there: opening never makes one, as it would make a SQLite file.

        Raises SettingsInvalid.
        """
        why, parsed = "its tables are missing", make_url(self.head_store_url)
        try:
            if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
                why = "its file is missing"
            else:
                engine = open_engine(self.head_store_url)
                if inspect(engine.execution_options(reading=True)).has_table("heads"):
                    return engine
                engine.dispose()
        except SQLAlchemyError as error:
            why = type(error).__name__
        raise SettingsInvalid(
            f"the head store cannot be read ({why}): it is made once, by `init`. Bring it back; never replace it by "
            "an empty one (docs/operations.md)",
            basis="settings.head_store",
        )

    @property
    def workflows_url(self) -> str:
        return self._resolve(self.workflows)

    def _resolve(self, url: str) -> str:
        """SQLite files that are not absolute lie in the home."""
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return url
        if not parsed.database or parsed.database == ":memory:":
            raise SettingsInvalid(f"{url} is no file: what is logged must last", basis="settings.database")
        return parsed.set(database=str(self.home / parsed.database)).render_as_string(hide_password=False)

    @cached_property
    def custody(self) -> Custody:
        return Custody(self.home, self.signing, self.holder)

    def signer(self) -> Signer:
        """Seals the gateway's documents."""
        return self.custody.signer(self.signing.document, DOCUMENT)

    def log_signer(self) -> Signer:
        """Signs checkpoints, and nothing else."""
        return self.custody.signer(self.signing.log, LOG)

    def log_key(self) -> VerifierKey:
        return VerifierKey.of(self.log_origin, self.log_signer())

    def tls(self) -> TlsFiles:
        """Raises SettingsInvalid before a certificate was installed."""
        tls = TlsFiles(self.home / "keys/tls.crt", self.home / "keys/tls.pem", self.home / "keys/ca.crt")
        for file in (tls.certificate, tls.key, tls.ca):
            if not file.exists():
                raise SettingsInvalid(
                    f"{file} is missing: `certificate request`, have your CA sign it, `certificate install`",
                    basis="home.certificate",
                )
        return tls
