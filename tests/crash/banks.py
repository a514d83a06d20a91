"""A bank's own programs in a crash test, by the channel that brings it editions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from adapters.bank.evidence import Evidence
from adapters.bank.folder import FolderReceipts
from adapters.bank.receipts import Receipts, read_envelope
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from tests.crash.accounts import check_bank
from tests.crash.city import City, Edition
from tests.crash.founding import FOLDER, PULL, PUSH, BankPlan
from tests.crash.programs import PATIENCE_S, Job, Point, Service, free_port, steps_noted


def plan(name: str, channel: int, place: Path) -> BankPlan:
    """A bank with a free port for its inbox, or a folder of its own."""
    targets = {PULL: "", FOLDER: str(place / f"front-end-node-{name}"), PUSH: f"127.0.0.1:{free_port()}"}
    return BankPlan(name, channel, targets[channel])  # type: ignore[arg-type, index]


class Bank:
    """A bank's programs; `inbox` where the gateway dials it."""

    def __init__(self, city: City, plan: BankPlan) -> None:
        self.name = plan.name
        self.home = city.place / plan.name
        self.channel = plan.channel
        self._account = city.account
        self._folder = Path(plan.target)
        folder = ("--folder", plan.target) if plan.channel == FOLDER else ()
        self.jobs = [
            Job(self.home, "xinyi-bank", "fetch", folder),
            Job(self.home, "xinyi-bank", "land"),
            Job(self.home, "xinyi-bank", "confirm", folder),
        ]
        self.inbox: Service | None = None
        if plan.channel == PUSH:
            del self.jobs[0]
            port = int(plan.target.rpartition(":")[2])
            self.inbox = Service(self.home, "xinyi-bank", "inbox", port)

    def arm(self, point: Point) -> None:
        if self.inbox is not None:
            self.inbox.arm(point)

    def wait_for(self, edition: Edition) -> None:
        """Until the gateway's part is done; a pulling bank needs no waiting."""
        if self.channel == PUSH:
            self._account.wait_for(edition.digest, self.name, "RECEIVED")
        if self.channel == FOLDER:
            self._account.wait_for_transfer(edition.digest, self.name)

    def count(self) -> list[int]:
        """Durable steps of each program, an inbox first, in a month without a death."""
        received = [len(steps_noted(self.inbox.notes))] if self.inbox is not None else []
        return received + [job.count() for job in self.jobs]

    def die(self, where: Sequence[Point]) -> int:
        """Dies once in every job, and does all its work nevertheless. Returns in how many it did die: a job may
        have fewer steps this time."""
        deaths = 0
        for job, point in zip(self.jobs, where, strict=True):
            deaths += job.die(point)
            job.finish()
        return deaths

    def live(self, edition: Edition) -> None:
        """A month in which the bank itself does not die."""
        self.wait_for(edition)
        for job in self.jobs:
            if job.command == "confirm" and self.channel == FOLDER:
                self._hand_in()
            job.finish()

    def check(self, edition: Edition) -> None:
        """The end of a month: this edition is here, once and whole, with the proofs of its receipts."""
        confirm = next(job for job in self.jobs if job.command == "confirm")
        deadline = time.monotonic() + PATIENCE_S
        while Evidence(self.home / "evidence").unproven() and time.monotonic() < deadline:
            time.sleep(0.3)  # a folder's proofs follow the answers in a later round of the gateway
            confirm.finish()
        check_bank(self.home, edition.digest, edition.list)

    def _hand_in(self) -> None:
        """All stages at once: the gateway's round over its folders takes a second, and `confirm` waits."""
        home = Home.open(self.home)
        way = FolderReceipts(self._folder, GatewayClient(home))
        for path in Receipts(self.home / "spool", home.signer()).waiting():
            way.submit(read_envelope(path))
