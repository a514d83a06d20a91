"""party.toml: who this party is and where its gateway stands. Sections of the adapters are read by them."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from audit.custody import CustodySettings, KeyName
from audit.envelope import MAX_SIGNATURES
from xinyi.settings import LogSettings, Section, Settings, SettingsInvalid, load_settings

__all__ = [
    "GatewaySettings",
    "LogSettings",
    "PartySettings",
    "Section",
    "Settings",
    "SettingsInvalid",
    "SigningSettings",
    "load_settings",
]


class GatewaySettings(Section):
    address: str
    party: str
    #: C2SP verifier key of the gateway's log, pinned by `install --log-key`; empty before.
    log_key: str = ""
    #: DNS name in the gateway's certificate where it is not the usual one.
    server_name: str = ""


class SigningSettings(CustodySettings):
    #: Keys that seal this home's documents (audit/custody.py). The first is the home's own, which signs
    #: whatever is registered anew; the others sign beside it.
    keys: tuple[KeyName, ...] = Field(default=("file:document",), min_length=1, max_length=MAX_SIGNATURES)

    @field_validator("keys")
    @classmethod
    def _each_once(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(keys)) != len(keys):
            raise ValueError("a key signs a document once")
        return keys


class PartySettings(Settings):
    #: "xinyi://<city>/<party>/<machine or person>/<name>"
    holder: str
    gateway: GatewaySettings
    logs: LogSettings = LogSettings()
    signing: SigningSettings = SigningSettings()
    #: Each belongs to its adapter: `home.section("bank", BankSettings)`.
    bank: dict[str, Any] = Field(default_factory=dict)
    bureau: dict[str, Any] = Field(default_factory=dict)
    auditor: dict[str, Any] = Field(default_factory=dict)
