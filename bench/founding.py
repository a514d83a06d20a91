"""Founds a city for the bench: a gateway, a bureau of two persons, banks; everybody admitted and pinned.

    python -m bench.founding PLACE PORT BANKS DATABASE-URL [INBOX]

With INBOX (host:port) there is one bank more, which the gateway dials, and an auditor.

Uses the gateway's own office rather than a hundred commands; from here on only real programs run.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from adapters.party import admission as onboarding
from adapters.party.home import Home
from audit.keys import keyid
from bench.city import NAME as CITY
from gateway.app import Gateway, open_gateway
from gateway.config import Settings
from gateway.office import admission, agreements, partners
from gateway.office.founding import Plan, found
from xinyi.v1 import exchange_pb2, party_pb2

MAKER, APPROVER = (f"xinyi://{CITY}/tax-bureau/person/{name}" for name in ("li-wei", "wang-fang"))
AUDITOR = f"xinyi://{CITY}/auditor/person/zhao-min"
PRODUCT = "grade-a"


def bank(number: int) -> str:
    return f"xinyi://{CITY}/bank-{number}/machine/main"


def home_name(holder: str) -> str:
    """Folder of a home under the city's place."""
    return "-".join(holder.split("/")[3::2])


def _admit(place: Path, gateway: Gateway, settings: Settings, holder: str, kind: str) -> Home:
    home = Home.create(place / home_name(holder), holder, settings.partner_address, settings.party)
    request = onboarding.request(home, party_pb2.PartyKind.Value(f"PARTY_KIND_{kind}"))
    certify = admission.certifier(settings, "")
    sealed = gateway.door.run_sync(
        lambda x: admission.admit(
            x, admission.read_request(request), kind, certify, gateway.signer, gateway.holder
        )
    )
    _pin(home, gateway.signer.key)
    onboarding.install(home, sealed.SerializeToString(deterministic=True))
    home.pin_log_key(str(settings.log_key()))
    return home


def _pin(home: Home, key: party_pb2.PublicKey) -> None:
    home.pin(key, keyid(key))


def _activate(gateway: Gateway, party: str) -> None:
    gateway.door.run_sync(lambda x: partners.decide(x, party, "activate", "bench", gateway.holder))


def _entitle(gateway: Gateway, party: str, inbox: str = "") -> None:
    permits = exchange_pb2.DISCLOSURE_CLASS_PUBLIC
    first, last = date(2018, 1, 1), date(2099, 12, 31)
    identity = gateway.door.run_sync(
        lambda x: agreements.add(x, party, "bench", first, last, permits, gateway.holder)
    )
    channel = exchange_pb2.CHANNEL_PUSH if inbox else exchange_pb2.CHANNEL_PULL
    gateway.door.run_sync(
        lambda x: agreements.entitle(x, party, PRODUCT, identity, channel, inbox, gateway.holder)
    )


def main(place: Path, port: str, banks: int, database: str, inbox: str = "") -> None:
    address = f"127.0.0.1:{port}"
    plan = Plan(party=f"{CITY}/gateway", mode="demo", listen=address, address=address, database=database)
    settings = found(place / "gateway", plan)
    with open_gateway(settings) as gateway:
        persons = [_admit(place, gateway, settings, holder, "TAX_BUREAU") for holder in (MAKER, APPROVER)]
        _activate(gateway, persons[0].party)
        keys = [person.signer().key for person in persons]
        for person in persons:
            for key in keys:
                _pin(person, key)
        for number in range(1, banks + 1 + bool(inbox)):
            home = _admit(place, gateway, settings, bank(number), "BANK")
            _activate(gateway, home.party)
            _entitle(gateway, home.party, inbox if number > banks else "")
            for key in keys:
                _pin(home, key)
        if inbox:
            file = home.path / "party.toml"
            file.write_text(file.read_text() + f'\n[bank.inbox]\nlisten = "{inbox}"\n')
            auditor = _admit(place, gateway, settings, AUDITOR, "AUDITOR")
            _activate(gateway, auditor.party)
            for key in keys:
                _pin(auditor, key)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
