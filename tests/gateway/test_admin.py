"""The operator's commands, as the operator types them; everything they do is in the log."""

from __future__ import annotations

import json
import re
import stat
import tomllib
from pathlib import Path

import pytest
from sqlalchemy import select, update

from adapters.party import admission as onboarding
from adapters.party.home import Home
from audit import certificates, entries, envelope, log, pins
from audit.keys import Keyring, keyid
from gateway import delivery
from gateway.app import Gateway
from gateway.cli import app
from gateway.config import Settings
from gateway.office import reporting
from gateway.office.founding import Plan, found
from gateway.store import parties, tables
from gateway.store.db import open_engine
from tests.gateway.conftest import GATEWAY
from tests.outside_ca import OutsideCa
from tests.terminal import Terminal
from xinyi.errors import NotEntitled
from xinyi.settings import SettingsInvalid
from xinyi.v1 import envelope_pb2, log_pb2, party_pb2

BANK = "test-city/bank-1"
HOLDER = f"xinyi://{BANK}/machine/main"

CLASS = ("--class", "public")
TERMS = Path(reporting.__file__).with_name("reporting-terms.toml")


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINYI_HOME", str(home))


def request_file(path: Path, holder: str = HOLDER) -> tuple[Home, Path]:
    bank = Home.create(path / holder.replace("/", "_"), holder, "127.0.0.1:1", GATEWAY)
    file = path / "bank.request"
    file.write_bytes(onboarding.request(bank, party_pb2.PARTY_KIND_BANK, "示范银行"))
    return bank, file


@pytest.fixture
def bank(tmp_path: Path, terminal: Terminal) -> Home:
    """An active bank."""
    made, file = request_file(tmp_path)
    terminal.ok(app, "partner", "admit", file, "-o", tmp_path / "bank.admission")
    terminal.ok(app, "partner", "activate", BANK, "--reason", "tested")
    return made


def agree(terminal: Terminal, permits: str = "public", number: str = "2018-5") -> str:
    dates = ("--from", "2018-01-01", "--until", "2020-12-31")
    return terminal.ok(
        app, "agreement", "add", BANK, "--number", number, *dates, "--class", permits
    ).out.strip()


def log_of(home: Path) -> list[log_pb2.LogEntry]:
    engine = open_engine(Settings.load(home).database_url)
    with engine.connect() as conn:
        openings = (
            conn.execute(select(log.log_entries.c.opening).order_by(log.log_entries.c.id)).scalars().all()
        )
    engine.dispose()
    return [log_pb2.LogEntry.FromString(opening) for opening in openings]


def check_state_is_the_log_s(home: Path) -> None:
    """The whole-state checker: every logged row equals the last change the log holds of it, and none is missing."""
    last = {(c.table, c.key): c.row_sha256 for entry in log_of(home) for c in entry.changes}
    engine = open_engine(Settings.load(home).database_url)
    with engine.connect() as conn:
        rows = {
            (table.name, entries.canonical_json({c.name: row[c.name] for c in table.primary_key})): dict(row)
            for table in tables.LOGGED
            for row in conn.execute(select(table)).mappings()
        }
    engine.dispose()
    assert {key: entries.row_digest(row) for key, row in rows.items()} == last


# ── founding ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_founded_home_is_private_and_logged(home: Path) -> None:
    """Every file is its owner's alone; the first entry holds the gateway, its key and the catalogue."""
    for path in home.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert [entry.kind for entry in log_of(home)] == ["gateway.founded"]
    check_state_is_the_log_s(home)


def test_the_first_head_is_signed_and_stored_apart(home: Path) -> None:
    """The head store alone tells a log of one entry, under the key that `key show` tells partners."""
    settings = Settings.load(home)
    engine = open_engine(settings.head_store_url)
    heads = log.HeadStore(engine, settings.log_origin, settings.log_key())
    head = heads.read()
    assert head is not None
    assert head.size == 1
    engine.dispose()


def test_init_does_not_overwrite(home: Path, terminal: Terminal) -> None:
    """A second init changes no byte and says so."""
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    refused = terminal(app, "init", "--city", "test-city")
    assert refused.code == 2
    assert "is not empty; nothing was changed" in refused.err
    assert before == {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", ["--listen", "--address"])
def test_init_takes_no_address_without_a_port(tmp_path: Path, terminal: Terminal, place: str) -> None:
    """gRPC would listen on, or have partners dial, a port that nobody named."""
    home = tmp_path / "new"
    refused = terminal(app, "init", "--home", home, "--city", "test-city", place, "127.0.0.1")
    assert (refused.code, "is not host:port" in refused.err) == (2, True)
    assert not home.exists()


def test_init_takes_no_database_that_is_a_gateway_s(home: Path, tmp_path: Path) -> None:
    """Neither another gateway's database nor its head store is taken over, and no half home is left."""
    settings = Settings.load(home)
    for field in ("database", "head_store"):
        plan = Plan(GATEWAY, "demo", "127.0.0.1:1", "", **{field: getattr(settings, f"{field}_url")})
        with pytest.raises(SettingsInvalid):
            found(tmp_path / "second", plan)
    assert not (tmp_path / "second").exists()
    assert not list(tmp_path.glob(".second*"))


def test_init_prints_what_partners_compare(tmp_path: Path, terminal: Terminal) -> None:
    """Fingerprint and log key on the screen are those of the files."""
    out = terminal.ok(app, "init", "--city", "other-city", "--home", tmp_path / "new").out
    settings = Settings.load(tmp_path / "new")
    assert settings.party == "other-city/gateway"
    assert keyid(settings.signer().key) in out
    assert str(settings.log_key()) in out


@pytest.mark.postgresql
def test_a_gateway_on_postgresql(tmp_path: Path, postgresql_url: str, terminal: Terminal) -> None:
    """The same founding and the same checks; the password-bearing URL survives the settings file."""
    home = tmp_path / "pg"
    arguments = ("--database", postgresql_url, "--home", home)
    terminal.ok(app, "init", "--city", "test-city", *arguments)
    terminal.ok(app, "check", "--home", home)
    check_state_is_the_log_s(home)
    assert "1 entries" in terminal.ok(app, "status", "--home", home).out


def test_production_takes_an_outside_ca(tmp_path: Path, terminal: Terminal) -> None:
    """init, request, install; the demonstration CA's certificate is refused on the way."""
    home, demo = tmp_path / "production", tmp_path / "demo"
    terminal.ok(
        app,
        "init",
        "--city",
        "test-city",
        "--mode",
        "production",
        "--home",
        home,
        "--address",
        "gw.example:7443",
    )
    assert not (home / "authority").exists()
    assert terminal(app, "check", "--home", home).code == 2
    csr = tmp_path / "gateway.csr"
    terminal.ok(app, "certificate", "request", "--home", home, "-o", csr)
    holder = "xinyi://test-city/gateway/machine/main"

    found(demo, Plan(GATEWAY, "demo", "127.0.0.1:1", ""))
    from gateway.authority import Authority

    issued = tmp_path / "demo.crt"
    issued.write_text(Authority(demo / "authority").issue(csr.read_text(), holder))
    refused = terminal(
        app, "certificate", "install", issued, "--ca", demo / "authority/ca.crt", "--home", home
    )
    assert (refused.code, "demonstration CA" in refused.err) == (2, True)

    ca = OutsideCa()
    (tmp_path / "chain.pem").write_bytes(ca.issue(csr.read_text(), holder))
    (tmp_path / "root.pem").write_bytes(ca.root)
    terminal.ok(
        app, "certificate", "install", tmp_path / "chain.pem", "--ca", tmp_path / "root.pem", "--home", home
    )
    terminal.ok(app, "check", "--home", home)


# ── partners ───────────────────────────────────────────────────────────────────────────────────────────


def test_admitting_compares_the_fingerprint(tmp_path: Path, home: Path, terminal: Terminal) -> None:
    """A typed fingerprint that is not the key's stops the admission; with spaces and capitals it holds."""
    bank, file = request_file(tmp_path)
    fingerprint = keyid(bank.signer().key)
    refused = terminal(app, "partner", "admit", file, "--fingerprint", "0" * 64)
    assert (refused.code, "keys.fingerprint" in refused.err) == (3, True)
    refused = terminal(app, "partner", "admit", file, "--kind", "auditor", "--fingerprint", fingerprint)
    assert "kinds differ: the request says BANK, you AUDITOR [" in refused.err
    assert len(log_of(home)) == 1
    typed = " ".join(re.findall("....", fingerprint.upper()))
    shown = terminal.ok(app, "partner", "admit", file, "--fingerprint", typed, "-o", tmp_path / "out")
    assert fingerprint in shown.err
    listed = json.loads(terminal.ok(app, "partner", "list", "--json").out)
    assert {(p["party"], p["state"]) for p in listed} == {(BANK, "TESTING"), (GATEWAY, "ACTIVE")}
    check_state_is_the_log_s(home)


def test_a_bank_installs_what_the_operator_handed_back(
    tmp_path: Path, bank: Home, terminal: Terminal
) -> None:
    """The file of `partner admit -o` and the key of `key show -o` are all a bank needs to come in."""
    terminal.ok(app, "key", "show", "-o", tmp_path / "gateway.key.json")
    key = pins.load(tmp_path / "gateway.key.json")[0]
    bank.pin(key, keyid(key))
    message = onboarding.install(bank, (tmp_path / "bank.admission").read_bytes())
    bank.pin_log_key(message.log_verifier_key)
    assert bank.tls().certificate.exists()


def test_states_change_with_a_reason(bank: Home, home: Path, terminal: Terminal) -> None:
    """Each step is one entry that names the reason; an impossible step is refused and leaves none."""
    for decision, state in (("suspend", "SUSPENDED"), ("activate", "ACTIVE"), ("terminate", "TERMINATED")):
        assert state in terminal.ok(app, "partner", decision, BANK, "--reason", f"because {decision}").out
        last = log_of(home)[-1]
        assert (last.kind, last.counterparty, last.detail) == (
            f"partner.{state.lower()}",
            BANK,
            f"because {decision}",
        )
    before = len(log_of(home))
    assert terminal(app, "partner", "activate", BANK, "--reason", "please").code == 3
    assert terminal(app, "partner", "suspend", GATEWAY, "--reason", "x").code == 3
    assert terminal(app, "partner", "suspend", "test-city/nobody", "--reason", "x").code == 3
    assert terminal(app, "partner", "suspend", BANK).code == 2
    assert terminal(app, "partner", "suspend", BANK, "--reason", " ").code == 2
    named = terminal(app, "partner", "suspend", BANK, "--reason", "about 91110108MA00000070")
    assert (named.code, "text.identifier" in named.err, "MA0000" in named.err) == (3, True, False)
    assert len(log_of(home)) == before
    check_state_is_the_log_s(home)


# ── agreements, products, entitlements ─────────────────────────────────────────────────────────────────


def test_entitled_under_an_agreement(bank: Home, home: Path, gateway: Gateway, terminal: Terminal) -> None:
    """Agreement and entitlement together open the product, on the days of the agreement, and nothing else."""
    identity = agree(terminal)
    terminal.ok(
        app, "entitle", BANK, "grade-a", "--agreement", identity, "--channel", "push", "--inbox", "b:7444"
    )

    def basis_on(day: str, product: str = "grade-a") -> str:
        from datetime import date

        from gateway.rules.entitlement import check_entitlement

        with gateway.database.reading() as conn:
            try:
                check_entitlement(
                    parties.find_party(conn, BANK),
                    parties.find_entitlement(conn, BANK, product),
                    parties.find_agreement(conn, identity),
                    parties.find_product(conn, product),
                    date.fromisoformat(day),
                )
            except NotEntitled as refused:
                return refused.basis
        return ""

    assert basis_on("2018-01-01") == basis_on("2020-12-31") == ""
    assert basis_on("2017-12-31") == "agreement.not_yet"
    assert basis_on("2021-01-01") == "agreement.expired"
    assert basis_on("2019-01-01", "grade-all") == "product.disabled"
    terminal.ok(app, "product", "enable", "grade-all")
    assert basis_on("2019-01-01", "grade-all") == "entitlement.missing"
    terminal.ok(app, "agreement", "suspend", identity, "--reason", "audit")
    assert basis_on("2019-01-01") == "agreement.suspended"
    terminal.ok(app, "agreement", "resume", identity, "--reason", "done")
    terminal.ok(app, "product", "disable", "grade-a")
    assert basis_on("2019-01-01") == "product.disabled"
    terminal.ok(app, "product", "enable", "grade-a")
    terminal.ok(app, "disentitle", BANK, "grade-a", "--reason", "cancelled")
    assert basis_on("2019-01-01") == "entitlement.ended"
    terminal.ok(app, "agreement", "end", identity, "--reason", "over")
    check_state_is_the_log_s(home)


def test_what_an_agreement_does_not_permit_cannot_be_entitled(
    bank: Home, home: Path, terminal: Terminal
) -> None:
    """The class is checked when the operator types the entitlement, not only when the first edition leaves."""
    public = agree(terminal)
    pull = ("--channel", "pull")
    refused = terminal(app, "entitle", BANK, "grade-all", "--agreement", public, *pull)
    assert (refused.code, "disclosure.class" in refused.err) == (3, True)
    wider = agree(terminal, "agreement", "2018-6")
    terminal.ok(app, "entitle", BANK, "grade-all", "--agreement", wider, *pull)
    for wrong in (
        ("entitle", BANK, "grade-a", "--agreement", "000000000000", *pull),
        ("entitle", BANK, "grade-x", "--agreement", public, *pull),
        ("entitle", GATEWAY, "grade-a", "--agreement", public, *pull),
        ("agreement", "add", BANK, "--number", "2018-5", "--from", "2018-01-01", "--until", "2019-01-01", *CLASS),
        ("product", "enable", "grade-a"),
        ("product", "enable", "grade-x"),
        ("agreement", "end", "000000000000", "--reason", "x"),
        ("disentitle", BANK, "grade-a", "--reason", "x"),
    ):  # fmt: skip
        assert terminal(app, *wrong).code == 3, wrong
    for slip in (
        ("entitle", BANK, "grade-a", "--agreement", public, "--channel", "push"),
        ("entitle", BANK, "grade-a", "--agreement", public, "--channel", "push", "--inbox", "b"),
        ("entitle", BANK, "grade-a", "--agreement", public, *pull, "--inbox", "b:1"),
        ("agreement", "add", BANK, "--number", "7", "--from", "2018-02-01", "--until", "2018-01-01", *CLASS),
    ):
        assert terminal(app, *slip).code == 2, slip
    check_state_is_the_log_s(home)


def test_the_catalogue_is_data(bank: Home, home: Path, terminal: Terminal, tmp_path: Path) -> None:
    """show, change, add: each version in force is a logged row, and a new product is off until a person says so."""
    file = tmp_path / "product.toml"
    terminal.ok(app, "product", "show", "grade-a", "-o", file)
    text = file.read_text()
    assert terminal(app, "product", "change", file).code == 3, "the version in force is no change"
    file.write_text(text.replace("version = 1", "version = 2").replace("rejected = 100", "rejected = 50"))
    terminal.ok(app, "product", "change", file)
    last = log_of(home)[-1]
    assert (last.kind, last.product, last.detail) == ("product.changed", "grade-a", "version 2")
    row = json.loads(terminal.ok(app, "product", "show", "grade-a", "--json").out)
    assert (row["version"], row["enabled"]) == (2, 1)
    assert json.loads(row["definition"])["thresholds_bp"]["rejected"] == 50
    assert terminal(app, "product", "change", file).code == 3, "nor is the same file again"

    file.write_text(text.replace('"grade-a"', '"grade-m"').replace('["A"]', '["M"]'))
    assert terminal(app, "product", "change", file).code == 3
    terminal.ok(app, "product", "add", file)
    assert log_of(home)[-1].kind == "product.added"
    assert terminal(app, "product", "add", file).code == 3
    listed = json.loads(terminal.ok(app, "product", "list", "--json").out)
    assert {row["product"]: row["enabled"] for row in listed} == {"grade-a": 1, "grade-all": 0, "grade-m": 0}
    for wrong, told in (("fields = 3\n", "keys"), ("= [", "not TOML"), ("colour = 1\n" + text, "colour")):
        file.write_text(wrong)
        refused = terminal(app, "product", "add", file)
        assert (refused.code, told in refused.err) == (3, True), wrong
    assert terminal(app, "product", "show", "grade-x").code == 3
    check_state_is_the_log_s(home)


def test_what_is_shown_can_be_read_again(home: Path) -> None:
    """A product as TOML is the same product, whatever characters stand in it."""
    from gateway.office import catalogue

    for row in catalogue.shipped():
        (home / "shown.toml").write_text(catalogue.to_toml(row), encoding="utf-8")
        assert catalogue.read(home / "shown.toml") | {"enabled": row["enabled"]} == row


def test_the_folder_is_an_absolute_path(
    bank: Home, home: Path, gateway: Gateway, terminal: Terminal, tmp_path: Path
) -> None:
    """The serving process may stand elsewhere than the operator's shell."""
    identity = agree(terminal)
    folder = tmp_path / "shared" / ".." / "exchange"
    terminal.ok(
        app, "entitle", BANK, "grade-a", "--agreement", identity, "--channel", "folder", "--folder", folder
    )
    with gateway.database.reading() as conn:
        row = parties.find_entitlement(conn, BANK, "grade-a")
    assert row is not None
    assert row["target"] == str(tmp_path / "exchange")


def test_the_annex_pins_keys_and_method(bank: Home, home: Path, terminal: Terminal, tmp_path: Path) -> None:
    """Sealed by the gateway, with the partner's and the gateway's keys, and readable on paper."""
    identity = agree(terminal)
    shown = terminal.ok(app, "agreement", "annex", identity, "-o", tmp_path / "annex.dsse").out
    settings = Settings.load(home)
    sealed = envelope_pb2.Envelope.FromString((tmp_path / "annex.dsse").read_bytes())
    opened = envelope.open_sealed(sealed, party_pb2.AgreementAnnex, Keyring([settings.signer().key]))
    assert {key.holder for key in opened.message.keys} == {HOLDER, settings.holder}
    assert opened.message.log_verifier_key == str(settings.log_key())
    assert opened.message.verification_method.startswith("xinyi-audit verify ")
    for key in opened.message.keys:
        assert keyid(key) in shown.replace(" ", "")
    assert log_of(home)[-1].documents == [opened.digest]
    check_state_is_the_log_s(home)


# ── keys ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_compromised_key_is_out_at_once(
    bank: Home, home: Path, gateway: Gateway, terminal: Terminal
) -> None:
    """It leaves the gateway's keyring, with the time since when; it never comes back."""
    fingerprint = keyid(bank.signer().key)

    def known() -> bool:
        with gateway.database.reading() as conn:
            return parties.keyring(conn).find(fingerprint) is not None

    assert known()
    terminal.ok(app, "key", "compromise", fingerprint, "--since", "2018-04-20", "--reason", "token lost")
    assert not known()
    assert log_of(home)[-1].since_ms == 1524182400000
    row = next(
        k for k in json.loads(terminal.ok(app, "key", "list", "--json").out) if k["keyid"] == fingerprint
    )
    assert (row["state"], row["compromised_since_ms"]) == ("COMPROMISED", 1524182400000)
    assert terminal(app, "key", "retire", fingerprint, "--reason", "x").code == 3
    assert terminal(app, "key", "compromise", "0" * 64, "--since", "2018-04-20", "--reason", "x").code == 3
    assert terminal(app, "key", "compromise", fingerprint, "--since", "2999-01-01", "--reason", "x").code == 2
    check_state_is_the_log_s(home)


def test_the_gateway_s_own_key(home: Path, terminal: Terminal) -> None:
    """The only key it seals with cannot be retired; rotated, the old one can."""
    old = keyid(Settings.load(home).signer().key)
    refused = terminal(app, "key", "retire", old, "--reason", "x")
    assert (refused.code, "key.own" in refused.err) == (3, True)
    new = terminal.ok(app, "key", "rotate").out.split()[-1]
    assert keyid(Settings.load(home).signer().key) == new != old
    terminal.ok(app, "key", "retire", old, "--reason", "rotated")
    documents = log_of(home)[-2].documents
    engine = open_engine(Settings.load(home).database_url)
    with engine.connect() as conn:
        data = conn.execute(
            select(tables.documents.c.envelope).where(tables.documents.c.digest == documents[0])
        ).scalar()
    engine.dispose()
    assert {s.keyid for s in envelope_pb2.Envelope.FromString(data or b"").signatures} == {old, new}
    check_state_is_the_log_s(home)


def test_a_rotation_that_was_cut_off_goes_on(home: Path, terminal: Terminal) -> None:
    """A crash after the entry and before the files: the waiting key is the one that comes into service."""
    from audit.keys import generate_private_key
    from gateway.app import open_gateway
    from gateway.office import keys

    settings = Settings.load(home)
    with open_gateway(settings) as gateway:
        waiting = home / "keys/document-next.pem"
        generate_private_key(waiting)
        new = type(settings.signer()).load(
            waiting, holder=settings.holder, purpose=party_pb2.KEY_PURPOSE_DOCUMENT
        )
        gateway.door.run_sync(lambda x: keys._register_own(x, new, settings.signer()))
    assert terminal.ok(app, "key", "rotate").out.split()[-1] == keyid(new.key)
    assert len([entry for entry in log_of(home) if entry.kind == "key.registered"]) == 1


# ── the rest ───────────────────────────────────────────────────────────────────────────────────────────


def test_only_a_dead_delivery_is_retried(bank: Home, home: Path, terminal: Terminal) -> None:
    """One nobody knows is refused by name."""
    refused = terminal(app, "delivery", "retry", "ab" * 32, "--reason", "again")
    assert (refused.code, "delivery.unknown" in refused.err) == (3, True)
    assert callable(delivery.revive)


def test_check_finds_what_an_administrator_changed_in_the_checker_s_eyes(bank: Home, home: Path) -> None:
    """The whole-state checker of these tests can fail: a row edited by SQL is found."""
    check_state_is_the_log_s(home)
    engine = open_engine(Settings.load(home).database_url)
    with engine.begin() as conn:
        conn.execute(update(tables.parties).where(tables.parties.c.party == BANK).values(state="TERMINATED"))
    engine.dispose()
    with pytest.raises(AssertionError):
        check_state_is_the_log_s(home)


def test_without_a_home_every_command_says_what_to_do(tmp_path: Path, terminal: Terminal) -> None:
    """Exit code 2 and one line, wherever the operator begins."""
    for command in (("check",), ("serve",), ("status",), ("key", "show"), ("partner", "list"), ("upgrade",)):
        outcome = terminal(app, *command, "--home", tmp_path / "nowhere")
        assert (outcome.code, "run init first" in outcome.err) == (2, True), command


def test_the_gateway_s_request_names_itself(home: Path) -> None:
    """What an outside CA signs is for the gateway's own key."""
    request = certificates.request(home / "keys/tls.pem", Settings.load(home).holder)
    assert certificates.requested_key(request) == certificates.load_key(home / "keys/tls.pem").public_key()


@pytest.mark.usefixtures("bank")
def test_the_operator_sets_terms_by_version(home: Path, tmp_path: Path, terminal: Terminal) -> None:
    """Set, shown, changed with the next version; everything stands in the log and in the row it seals."""
    identity, told = agree(terminal), tomllib.loads(TERMS.read_text(encoding="utf-8"))
    missing = terminal(app, "agreement", "terms", identity)
    assert (missing.code, "no reporting terms" in missing.err) == (3, True)
    shown = terminal.ok(app, "agreement", "terms", identity, TERMS, "--json")
    assert json.loads(shown.out) == {"agreement": identity, "version": 1}
    assert tomllib.loads(terminal.ok(app, "agreement", "terms", identity).out) == told | {
        "dimensions": sorted(told["dimensions"])
    }
    again = terminal(app, "agreement", "terms", identity, TERMS)
    assert (again.code, "the next is 2" in again.err) == (3, True)
    second = tmp_path / "second.toml"
    written = terminal.ok(app, "agreement", "terms", identity, "-o", second)
    assert written.out == ""
    second.write_text(second.read_text().replace("version = 1", "version = 2").replace("= 15", "= 20"))
    terminal.ok(app, "agreement", "terms", identity, second)
    assert json.loads(terminal.ok(app, "agreement", "terms", identity, "--json").out)["due_days"] == 20
    assert terminal(app, "agreement", "terms", "nobody", TERMS).code == 3
    broken = tmp_path / "broken.toml"
    broken.write_text("version = ")
    assert terminal(app, "agreement", "terms", identity, broken).code == 3

    changed = [entry for entry in log_of(home) if entry.kind == "agreement.terms"]
    assert [entry.detail for entry in changed] == ["version 1", "version 2"]
    assert {(entry.counterparty, entry.agreement_id) for entry in changed} == {(BANK, identity)}
    check_state_is_the_log_s(home)

    owed = json.loads(terminal.ok(app, "lending", "status", "--period", "2018-Q1", "--json").out)
    (line,) = owed
    assert (line["bank"], line["state"], line["due_on"], line["late"]) == (BANK, "MISSING", "2018-04-20", True)
    assert "MISSING" in terminal.ok(app, "lending", "status", "--period", "2018-Q1").out
    then = ("--as-of", "2018-04-20", "--json")
    (line,) = json.loads(terminal.ok(app, "lending", "status", "--period", "2018-Q1", *then).out)
    assert (line["state"], line["late"]) == ("DUE", False)
    assert json.loads(terminal.ok(app, "lending", "status", "--period", "2021-Q1", "--json").out) == []
    assert terminal(app, "lending", "status", "--period", "spring").code == 2
