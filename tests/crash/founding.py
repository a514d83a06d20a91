"""A city for crashes: a gateway, a bureau of two persons, an auditor and any number of banks, on disk.

Everybody is admitted and pinned by the gateway's own office; from here on only real programs run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from adapters.party import admission as onboarding
from adapters.party.home import Home
from audit.keys import keyid
from gateway.app import Gateway, open_gateway
from gateway.config import Settings
from gateway.office import admission, agreements, partners
from gateway.office.founding import Plan, found
from xinyi.v1 import exchange_pb2, party_pb2

CITY = "test-city"
BUREAU = f"{CITY}/tax-bureau"
PRODUCT = "grade-a"
MAKER, APPROVER = (f"xinyi://{BUREAU}/person/{name}" for name in ("li-wei", "wang-fang"))
AUDITOR = f"xinyi://{CITY}/auditor/person/zhao-min"
PULL, PUSH, FOLDER = exchange_pb2.CHANNEL_PULL, exchange_pb2.CHANNEL_PUSH, exchange_pb2.CHANNEL_FOLDER


@dataclass(frozen=True)
class BankPlan:
    """A bank to found, and how editions reach it."""

    name: str
    channel: exchange_pb2.Channel = PULL
    #: Address of its inbox, or its folder.
    target: str = ""


def home_of(place: Path, holder: str) -> Path:
    """The folder of a home: by the party, and for a person by the name."""
    _, _, _, party, kind, name = holder.split("/")
    return place / (name if kind == "person" else party)


def found_city(place: Path, port: int, banks: Iterable[BankPlan], *, database: str = "") -> None:
    address = f"127.0.0.1:{port}"
    urls = {"database": database} if database else {}
    settings = found(place / "gateway", Plan(f"{CITY}/gateway", "demo", address, address, **urls))
    file = settings.home / "gateway.toml"
    hasty = file.read_text().replace("backoff_s = 5.0", "backoff_s = 0.2")
    # Banks that come again and again are what is tried here.
    file.write_text(hasty.replace("poll_seconds = 60.0", "poll_seconds = 0"))
    with open_gateway(settings) as gateway:
        office = _Office(place, gateway, settings)
        persons = [office.admit(holder, "TAX_BUREAU") for holder in (MAKER, APPROVER)]
        others = [office.admit(AUDITOR, "AUDITOR")]
        for plan in banks:
            home = office.admit(f"xinyi://{CITY}/{plan.name}/machine/main", "BANK")
            office.entitle(home.party, plan.channel, plan.target)
            others.append(home)
            if plan.channel == PUSH:
                toml = home.path / "party.toml"
                toml.write_text(f'{toml.read_text()}\n[bank.inbox]\nlisten = "{plan.target}"\n')
        for home in (*persons, *others):
            for person in persons:
                _pin(home, person.signer().key)


class _Office:
    def __init__(self, place: Path, gateway: Gateway, settings: Settings) -> None:
        self._place = place
        self._gateway = gateway
        self._settings = settings
        self._certify = admission.certifier(settings, "")
        self._active: set[str] = set()

    def admit(self, holder: str, kind: str) -> Home:
        """A home as after onboarding, its party active."""
        settings, gateway = self._settings, self._gateway
        path = home_of(self._place, holder)
        home = Home.create(path, holder, settings.partner_address, settings.party)
        request = onboarding.request(home, party_pb2.PartyKind.Value(f"PARTY_KIND_{kind}"))
        sealed = gateway.door.run_sync(
            lambda x: admission.admit(
                x, admission.read_request(request), kind, self._certify, gateway.signer, gateway.holder
            )
        )
        _pin(home, gateway.signer.key)
        onboarding.install(home, sealed.SerializeToString(deterministic=True))
        home.pin_log_key(str(settings.log_key()))
        if home.party not in self._active:
            self._active.add(home.party)
            gateway.door.run_sync(
                lambda x: partners.decide(x, home.party, "activate", "connection tested", gateway.holder)
            )
        return home

    def entitle(self, party: str, channel: exchange_pb2.Channel, target: str) -> None:
        door, holder = self._gateway.door, self._gateway.holder
        permits = exchange_pb2.DISCLOSURE_CLASS_PUBLIC
        first, last = date(2018, 1, 1), date(2099, 12, 31)
        identity = door.run_sync(lambda x: agreements.add(x, party, "1", first, last, permits, holder))
        door.run_sync(lambda x: agreements.entitle(x, party, PRODUCT, identity, channel, target, holder))


def _pin(home: Home, key: party_pb2.PublicKey) -> None:
    home.pin(key, keyid(key))
