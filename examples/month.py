"""The first month in the life of a city: real processes over mTLS on this machine, real input.

A gateway, a bureau of two persons, a bank with an inbox, one that pulls, one that has a folder, an auditor.
Every step is a command that a person could type; it is printed before it runs.
"""

from __future__ import annotations

import json
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SOURCE = ROOT / "examples" / "data" / "jiangxi_2018_A.csv"
PROFILE = ROOT / "adapters" / "bureau" / "profiles" / "jiangxi-2018.toml"
CITY = "demo-city"
GATEWAY = f"{CITY}/gateway"


class Story:
    """Runs commands one after the other, shows them, and stops at the first that fails."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._stack = ExitStack()
        self.started = time.monotonic()

    def __enter__(self) -> Story:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def chapter(self, title: str) -> None:
        print(f"\n━━ {title} ({time.monotonic() - self.started:.0f} s)", flush=True)

    def run(self, *words: str | Path, quiet: bool = False) -> str:
        """Output of a command; shown unless quiet."""
        line = [str(word) for word in words]
        print("$ " + shlex.join(word.replace(f"{self.work}/", "") for word in line), flush=True)
        done = subprocess.run([str(BIN / line[0]), *line[1:]], capture_output=True, text=True, cwd=self.work)
        if done.returncode or not quiet:
            print(done.stdout + (done.stderr if done.returncode else ""), end="", flush=True)
        if done.returncode:
            print(done.stderr)
            raise SystemExit(f"the step above ended with {done.returncode}")
        return done.stdout

    def serve(self, port: int, *words: str | Path) -> None:
        """A process that stays until the story ends; waits until its port answers."""
        line = [str(word) for word in words]
        print("$ " + shlex.join(word.replace(f"{self.work}/", "") for word in line) + " &", flush=True)
        log = self._stack.enter_context((self.work / f"{line[0]}-{port}.log").open("w"))
        process = subprocess.Popen([str(BIN / line[0]), *line[1:]], stdout=log, stderr=log, cwd=self.work)
        self._stack.callback(process.wait, 30)
        self._stack.callback(process.terminate)
        for _ in range(300):
            if process.poll() is not None:
                raise SystemExit(f"{line[0]} stopped: {Path(log.name).read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"{line[0]} does not listen on port {port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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

    def run(self, *words: str | Path, quiet: bool = False) -> str:
        return self.story.run(self.program, *words, "--home", self.home, quiet=quiet)

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


def main() -> None:
    work = ROOT / ".demo"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    with Story(work) as story:
        tell(story)


def tell(story: Story) -> None:
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

    story.chapter("Agreements and entitlements: push, pull, folder")
    channels = (("push", "--inbox", inbox), ("pull",), ("folder", "--folder", str(folder)))
    for bank, channel in zip(banks, channels, strict=True):
        name = f"{CITY}/{bank.party}"
        terms = ("--number", "2018-1", "--from", "2018-01-01", "--until", "2099-12-31", "--class", "public")
        agreement = story.run("xinyi-gateway", "agreement", "add", name, *terms, "--home", gateway).split()[0]
        under = ("--agreement", agreement, "--channel", *channel, "--home", gateway)
        story.run("xinyi-gateway", "entitle", name, "grade-a", *under, quiet=True)
    settings = banks[0].home / "party.toml"
    settings.write_text(settings.read_text() + f'\n[bank.inbox]\nlisten = "{inbox}"\n')
    story.serve(inbox_port, "xinyi-bank", "inbox", "--home", banks[0].home)

    story.chapter("The bureau inspects and publishes the 2018 list of A-grade taxpayers (real, GBK)")
    story.run("xinyi-bureau", "inspect", SOURCE, "--profile", PROFILE)
    inspected = story.run("xinyi-bureau", "inspect", SOURCE, "--profile", PROFILE, "--json", quiet=True)
    check_classified(json.loads(inspected))
    dated = ("--product", "grade-a", "--period", "2018-05")
    maker.run("publish", SOURCE, "--profile", PROFILE, *dated, quiet=True)
    digest = json.loads(maker.run("status", "--json", quiet=True))[0]["manifest"][:12]

    story.chapter("A second person reviews and approves")
    approver.run("review", digest)
    approver.run("approve", digest, "--yes", quiet=True)

    story.chapter("Three banks receive, land and confirm")
    wait_for(story, banks[0].home / "spool" / "ready")
    wait_for(story, folder / "outgoing", "*.complete")
    banks[1].run("fetch")
    banks[2].run("fetch", "--folder", folder)
    for bank in banks:
        bank.run("land")
    banks[0].run("confirm")
    banks[1].run("confirm")
    banks[2].run("confirm", "--folder", folder)
    maker.run("status")
    check_counts(json.loads(maker.run("status", "--json", quiet=True))[0], banks)

    story.chapter("The auditor exports the log, verifies it offline, and proves one record alone")
    policy = work / "policy.toml"
    auditor.run("policy", "--bureau", f"{CITY}/tax-bureau", "-o", policy)
    auditor.run("export", work / "export", "--records", "--purpose", "monthly review")
    story.run("xinyi-audit", "verify", work / "export", "--policy", policy)
    # The list is public by law; its first row is a real A-grade taxpayer.
    subject = ("--edition", digest, "--taxpayer", "91360200787252585L", "-o", work / "record")
    story.run("xinyi-audit", "prove", "record", work / "export", "--policy", policy, *subject)
    story.run("xinyi-audit", "verify-record", work / "record", "--policy", policy)
    story.chapter("What everybody now knows, and where it lies")
    print(PARTIES.format(place=work.relative_to(ROOT)))


#: The bundled list, counted by hand and by others: identifiers by what they are, and those that occur repeatedly.
CLASSIFIED = {
    "uscc": 3941,
    "uscc_check": 4,
    "old": 896,
    "both": 82,
    "neither": 7,
    "other": 5,
}
REPEATED = {
    "identifiers": 48,
    "rows": 100,
    "all_identical": 14,
    "some_identical": 16,
    "became_one_record": 48,
    "quarantined": 0,
}
ROWS, RECORDS = 4935, 4867

PARTIES = """\
party     knows                                                               where, in {place}/
bureau    which records it sealed, who approved them, that three banks        bureau-li-wei/state/editions/
          applied exactly these; which rows need mending, and why             …/mend.csv, …/report.json
gateway   the sealed bytes, every exchange, nothing it could have sealed      gateway/ (gateway.db; head.db apart)
          in the bureau's or a bank's place
banks     4,867 A-grade taxpayers, each provable alone; what was sealed,      bank-N/bank.db (view grade_a),
          approved and delivered to them; that the log holds their receipts   bank-N/evidence/, bank-N/spool/
auditor   that all of this is one history, from files alone and under keys    export/, policy.toml, record/
          it brought itself: no database, no network, no trust in the gateway
"""


def expect(what: str, found: object, wanted: object) -> None:
    """The story goes on only where it is true."""
    if found != wanted:
        raise SystemExit(f"{what}: {found} instead of {wanted}")


def check_classified(report: dict[str, Any]) -> None:
    found = {group["group"]: group["rows"] for group in report["identifiers"]}
    expect("identifiers by what they are", found, CLASSIFIED)
    expect("identifiers that occur more than once", report["repeated"], REPEATED)
    expect("rows and records", (report["rows"], report["records"]), (ROWS, RECORDS))
    outcomes = report["outcomes"]
    print(
        f"✓ {ROWS:,} rows, each with one outcome: {outcomes['accepted']:,} accepted, {outcomes['warned']} accepted "
        f"with a warning, {outcomes['rejected']} rejected and kept to be mended; {report['merged']} of the "
        f"{REPEATED['rows']} repeated rows went into the record of another: {RECORDS:,} records"
    )


def check_counts(edition: dict[str, Any], banks: list[Party]) -> None:
    """Bureau, gateway and banks count the same, and every receipt holds under the bank's own pinned key."""
    expect("records as the gateway lists them", edition["records"], RECORDS)
    expect("deliveries", len(edition["deliveries"]), len(banks))
    for delivery in edition["deliveries"]:
        name = delivery["recipient"]
        expect(f"state of {name}", delivery["state"], "APPLIED")
        stages = [receipt["stage"] for receipt in delivery["receipts"]]
        expect(f"receipts of {name}", stages, ["RECEIVED", "ACCEPTED", "APPLIED"])
        for receipt in delivery["receipts"]:
            expect(f"seal of {name}'s {receipt['stage']}", receipt["verdict"], "true")
            expect(f"records in {name}'s {receipt['stage']}", receipt["accepted"], RECORDS)
    for bank in banks:
        with closing(sqlite3.connect(bank.home / "bank.db")) as database:
            landed = database.execute("SELECT count(*) FROM grade_a").fetchone()[0]
        expect(f"rows landed at {bank.party}", landed, RECORDS)
    print(
        f"✓ {RECORDS:,} records sealed by the bureau, listed by the gateway, receipted three times by each of "
        "three banks, and counted in each bank's own table"
    )


def wait_for(story: Story, place: Path, pattern: str = "*") -> None:
    """Until the gateway's push has arrived there."""
    for _ in range(600):
        if place.is_dir() and any(place.glob(pattern)):
            return
        time.sleep(0.1)
    raise SystemExit(f"nothing arrived in {place}")


if __name__ == "__main__":
    main()
