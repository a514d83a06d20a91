"""A city of the stories: a gateway, a bureau of two persons, three banks and an auditor, each with a home.

The first bank has an inbox, the second pulls, the third has nothing but a folder.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from examples.story import BIN, Story, free_port

CITY = "demo-city"
GATEWAY = f"{CITY}/gateway"


class Party:
    """One home and the program that works in it."""

    def __init__(self, story: Story, program: str, name: str, kind: str, holder: str) -> None:
        self.story = story
        self.program = program
        self.kind = kind
        self.holder = f"xinyi://{CITY}/{holder}"
        self.party = "/".join(holder.split("/")[:1])
        self.home = story.work / name
        self.key = story.work / f"{name}.key.json"

    def run(self, *words: str | Path, quiet: bool = False, shown: bool = True) -> str:
        return self.story.run(self.program, *words, "--home", self.home, quiet=quiet, shown=shown)

    @property
    def fingerprint(self) -> str:
        return str(json.loads(self.key.read_text())["fingerprint"])

    def trust(self, *keys: Path) -> None:
        for key in keys:
            self.run("trust", key, "--fingerprint", json.loads(key.read_text())["fingerprint"], quiet=True)


def onboard(story: Story, gateway: Path, address: str, party: Party, log_key: str, *, first: bool) -> None:
    """Request out, admission in, the gateway's key pinned by its fingerprint."""
    request, admission = party.home.with_suffix(".request"), party.home.with_suffix(".admission")
    where = ("--gateway-address", address, "--gateway-party", GATEWAY)
    party.run("init", "--holder", party.holder, *where, quiet=True)
    party.run("key", "-o", party.key, quiet=True)
    party.run("request", "-o", request, quiet=True)
    compared = ("--kind", party.kind, "--fingerprint", party.fingerprint, "-o", admission, "--home", gateway)
    story.run("xinyi-gateway", "partner", "admit", request, *compared, quiet=True)
    if first:
        tested = ("--reason", "connection tested", "--home", gateway)
        story.run("xinyi-gateway", "partner", "activate", f"{CITY}/{party.party}", *tested, quiet=True)
    party.trust(story.work / "gateway.key.json")
    party.run("install", admission, "--log-key", log_key, quiet=True)


@dataclass(frozen=True)
class City:
    story: Story
    gateway: Path
    #: Agreement of each bank.
    agreements: list[str]
    #: What the third bank and the gateway share.
    folder: Path
    maker: Party
    approver: Party
    banks: list[Party]
    auditor: Party


def found(story: Story) -> City:
    """Founds the gateway, admits everybody, and leaves the gateway and the first bank's inbox serving."""
    work = story.work
    port, inbox_port = free_port(), free_port()
    address, inbox = f"127.0.0.1:{port}", f"127.0.0.1:{inbox_port}"
    gateway, folder = work / "gateway", work / "front-end-node"

    story.chapter("The city founds its gateway")
    story.run("xinyi-gateway", "init", "--city", CITY, "--home", gateway, "--listen", address)
    story.run("xinyi-gateway", "key", "show", "-o", work / "gateway.key.json", "--home", gateway, quiet=True)
    log_key = (
        subprocess.run(
            [BIN / "xinyi-gateway", "key", "show", "--home", gateway],
            capture_output=True,
            text=True,
            check=True,
        )
        .stderr.split("log key")[1]
        .split()[0]
    )
    story.serve(port, "xinyi-gateway", "serve", "--home", gateway)

    story.chapter("Two persons of the bureau, three banks and an auditor are admitted")
    maker = Party(story, "xinyi-bureau", "bureau-li-wei", "tax-bureau", "tax-bureau/person/li-wei")
    approver = Party(story, "xinyi-bureau", "bureau-wang-fang", "tax-bureau", "tax-bureau/person/wang-fang")
    banks = [Party(story, "xinyi-bank", f"bank-{n}", "bank", f"bank-{n}/machine/main") for n in (1, 2, 3)]
    auditor = Party(story, "xinyi-audit", "auditor", "auditor", "auditor/person/zhao-min")
    everybody = [maker, approver, *banks, auditor]
    for party in everybody:
        onboard(story, gateway, address, party, log_key, first=party is not approver)
    maker.trust(*(bank.key for bank in banks))
    approver.trust(maker.key)
    for party in (*banks, auditor):
        party.trust(maker.key, approver.key)
    # An auditor takes nobody's key from the log: those of the banks come from the agreements' annexes, too.
    auditor.trust(*(bank.key for bank in banks))

    story.chapter("Agreements and entitlements: push, pull, folder")
    channels = (("push", "--inbox", inbox), ("pull",), ("folder", "--folder", str(folder)))
    agreements = []
    for bank, channel in zip(banks, channels, strict=True):
        name = f"{CITY}/{bank.party}"
        terms = ("--number", "2018-1", "--from", "2018-01-01", "--until", "2099-12-31", "--class", "public")
        agreement = story.run("xinyi-gateway", "agreement", "add", name, *terms, "--home", gateway).split()[0]
        agreements.append(agreement)
        under = ("--agreement", agreement, "--channel", *channel, "--home", gateway)
        story.run("xinyi-gateway", "entitle", name, "grade-a", *under, quiet=True)
    settings = banks[0].home / "party.toml"
    settings.write_text(settings.read_text() + f'\n[bank.inbox]\nlisten = "{inbox}"\n')
    story.serve(inbox_port, "xinyi-bank", "inbox", "--home", banks[0].home)
    return City(story, gateway, agreements, folder, maker, approver, banks, auditor)
