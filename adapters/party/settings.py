"""party.toml: who this party is and where its gateway stands. Sections of the adapters are read by them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from xinyi.settings import LogSettings, Section, Settings, SettingsInvalid, load_settings

__all__ = [
    "GatewaySettings",
    "LogSettings",
    "PartySettings",
    "Section",
    "Settings",
    "SettingsInvalid",
    "load_settings",
]


class GatewaySettings(Section):
    address: str
    party: str
    #: C2SP verifier key of the gateway's log, pinned by `install --log-key`; empty before.
    log_key: str = ""
    #: DNS name in the gateway's certificate where it is not the usual one.
    server_name: str = ""


class PartySettings(Settings):
    #: "xinyi://<city>/<party>/<machine or person>/<name>"
    holder: str
    gateway: GatewaySettings
    logs: LogSettings = LogSettings()
    #: Each belongs to its adapter: `home.section("bank", BankSettings)`.
    bank: dict[str, Any] = Field(default_factory=dict)
    bureau: dict[str, Any] = Field(default_factory=dict)
    auditor: dict[str, Any] = Field(default_factory=dict)
