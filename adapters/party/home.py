"""A party's home: its keys, whom it trusts, and the last log head it verified.

Decides what a complete home is and when a head may advance. Knows nothing of the network.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from adapters.party.settings import PartySettings, Settings, SettingsInvalid, load_settings
from audit import checkpoint, pins
from audit.checkpoint import Checkpoint, VerifierKey
from audit.custody import Custody, is_file
from audit.keys import ECDSA_P256, Keyring, Signer, generate_private_key, keyid, party_of
from xinyi import files
from xinyi.errors import Conflict, EncodingInvalid, HeadConflict, ProofInvalid
from xinyi.server import TlsFiles, is_address
from xinyi.v1 import exchange_pb2, party_pb2

S = TypeVar("S", bound=Settings)

_PARTY_TOML = """\
# Who this is. One person or machine = one home. XINYI_<SECTION>__<KEY> in the environment wins.
holder = {holder}

[gateway]
address = {address}
party = {gateway}
# C2SP verifier key of the gateway's log, as on the agreement's annex; `install --log-key` writes it.
log_key = ""

[logs]
form = "readable"  # or "json"
level = "INFO"
"""


class Home:
    """Open with `Home.open`, make with `Home.create`."""

    def __init__(self, path: Path, settings: PartySettings) -> None:
        self.path = path
        self.settings = settings
        self.keys = path / "keys"
        self.trust = path / "trust"
        self.state = path / "state"

    @classmethod
    def create(cls, path: Path, holder: str, gateway_address: str, gateway_party: str) -> Home:
        """Makes a home with new keys. Raises SettingsInvalid rather than overwrite."""
        party_of(holder)
        party_of(f"xinyi://{gateway_party}/machine/main")
        if not is_address(gateway_address):
            raise SettingsInvalid(
                f"{gateway_address!r} is not host:port; nothing was changed", basis="home.address"
            )
        if (path / "party.toml").exists() or (path / "keys").exists():
            raise SettingsInvalid(f"{path} is a home already; nothing was changed", basis="home.exists")
        for directory in (path, path / "keys", path / "trust", path / "state"):
            files.make_directory(directory)
        generate_private_key(path / "keys/document.pem")
        generate_private_key(path / "keys/tls.pem", ECDSA_P256)
        files.create(path / "trust/keys.json", pins.dump([]))
        # A JSON string is a TOML string too.
        values = {"holder": holder, "address": gateway_address, "gateway": gateway_party}
        text = _PARTY_TOML.format(**{name: json.dumps(value) for name, value in values.items()})
        # Last: a home without party.toml is an unfinished one, and `open` says so.
        files.create(path / "party.toml", text.encode())
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Home:
        """Raises SettingsInvalid where something is missing or open to others, and says what to do."""
        if not (path / "party.toml").exists():
            raise SettingsInvalid(
                f"{path} is no home: run init first, or name it with --home", basis="home.missing"
            )
        home = cls(path, load_settings(path / "party.toml", PartySettings))
        party_of(home.settings.holder)
        private_files = [home.custody.path(name) for name in home.settings.signing.keys if is_file(name)]
        for private in (*private_files, home.keys / "tls.pem"):
            if not private.exists():
                raise SettingsInvalid(
                    f"{private} is missing: restore it or make a new home", basis="home.key"
                )
        return home

    @property
    def party(self) -> str:
        return party_of(self.settings.holder)

    def section(self, name: str, model: type[S]) -> S:
        """The adapter's own table of party.toml ([bank], [bureau], [auditor]), environment over it."""
        return load_settings(self.path / "party.toml", model, table=name)

    @cached_property
    def custody(self) -> Custody:
        return Custody(self.path, self.settings.signing, self.settings.holder)

    def signer(self, key: str = "") -> Signer:
        """Of one key by its name (audit/custody.py); the home's first where none is named. Raises like `Custody`."""
        return self.custody.signer(key or self.settings.signing.keys[0])

    def signers(self) -> tuple[Signer, ...]:
        """All that seal a document of this home, its own first. Raises as `Custody.signer` does."""
        return tuple(map(self.custody.signer, self.settings.signing.keys))

    def tls(self) -> TlsFiles:
        """Raises SettingsInvalid before the admission was installed."""
        tls = TlsFiles(self.keys / "tls.crt", self.keys / "tls.pem", self.keys / "ca.crt")
        if not tls.certificate.exists() or not tls.ca.exists():
            raise SettingsInvalid(
                "no certificate yet: have the operator admit what `request` writes, then install the answer",
                basis="home.certificate",
            )
        return tls

    # Trust: nothing gets in here but by a person's comparison of fingerprints.

    def keyring(self) -> Keyring:
        return Keyring(pins.load(self.trust / "keys.json"))

    def gateway_keyring(self) -> Keyring:
        """Pinned document keys of the gateway. Raises SettingsInvalid where there are none."""
        gateway = self.settings.gateway.party
        keys = [
            k for k in self.keyring() if k.party == gateway and k.purpose == party_pb2.KEY_PURPOSE_DOCUMENT
        ]
        if not keys:
            raise SettingsInvalid(
                f"no key of {gateway} is pinned: `trust FILE --fingerprint HEX`, as on the annex",
                basis="home.trust",
            )
        return Keyring(keys)

    def pin(self, key: party_pb2.PublicKey, fingerprint: str) -> None:
        """Trusts a key whose fingerprint a person typed. Raises Invalid where it does not match."""
        pins.check_fingerprint(key, fingerprint)
        held = {keyid(k): k for k in pins.load(self.trust / "keys.json")}
        files.write_atomically(self.trust / "keys.json", pins.dump((held | {keyid(key): key}).values()))

    def unpin(self, fingerprint: str) -> None:
        """Stops trusting a key (retired, or reported compromised)."""
        held = pins.load(self.trust / "keys.json")
        files.write_atomically(
            self.trust / "keys.json", pins.dump(k for k in held if keyid(k) != fingerprint)
        )

    def log_key(self) -> VerifierKey:
        """Raises SettingsInvalid before one is pinned."""
        text = self.settings.gateway.log_key
        if not text:
            raise SettingsInvalid(
                "the gateway's log key is not pinned: `install ADMISSION --log-key KEY`, as on the annex",
                basis="home.trust",
            )
        try:
            return VerifierKey.parse(text)
        except EncodingInvalid as error:
            raise SettingsInvalid(f"gateway.log_key: {error.explanation}", basis="settings.keys") from error

    def pin_log_key(self, log_key: str) -> None:
        """Writes the log's verifier key into party.toml. Raises Conflict where another one stands there."""
        VerifierKey.parse(log_key)
        held = self.settings.gateway.log_key
        if held == log_key:
            return
        text = (self.path / "party.toml").read_text(encoding="utf-8")
        if held or text.count('log_key = ""') != 1:
            raise Conflict(
                "party.toml pins another log key, and a log key is never replaced silently: "
                "compare with the annex and edit gateway.log_key by hand",
                basis="home.log_key",
            )
        files.write_atomically(
            self.path / "party.toml", text.replace('log_key = ""', f'log_key = "{log_key}"').encode()
        )
        self.settings = load_settings(self.path / "party.toml", PartySettings)

    # The log's head

    def head(self) -> Checkpoint | None:
        """The newest checkpoint this party has verified; None before the first."""
        try:
            note = (self.state / "head").read_bytes()
        except FileNotFoundError:
            return None
        return checkpoint.verify(note, self.log_key())

    def advance_head(self, evidence: exchange_pb2.LogEvidence, *, shown: bytes | None = None) -> Checkpoint:
        """Verifies that the log only grew, then keeps its new head.

        1. the checkpoint is signed by the pinned log key, 2. it extends the head that was shown,
        3. it is kept, unless another process of this home advanced meanwhile: the next call connects the two.

        Args:
            shown: the note that went out with the call; by default the head that is held now.

        Raises:
            HeadConflict: two truths, or one behind what was seen; both notes are kept for the auditor.
            ProofInvalid, SignatureInvalid, EncodingInvalid: the evidence does not hold.
        """
        log_key = self.log_key()
        with self._head_lock():
            held = self.head()
            before = held if shown is None else checkpoint.verify(shown, log_key) if shown else None
            new = checkpoint.verify(evidence.checkpoint, log_key)
            if evidence.from_size != (before.size if before else 0):
                raise ProofInvalid(
                    f"the log proves its growth from {evidence.from_size}, not from the head shown"
                )
            self._check_newer(before, new, evidence)
            if held is not None and held.note != (before.note if before else b""):
                if held.size == new.size and held.root != new.root:
                    self._keep(held, new)
                    raise HeadConflict(
                        f"the log shows two different roots for {new.size} leaves: both notes are kept"
                    )
                return new
            if held is None or held.note != new.note:
                files.write_atomically(self.state / "head", new.note)
            return new

    def _check_newer(
        self, before: Checkpoint | None, new: Checkpoint, evidence: exchange_pb2.LogEvidence
    ) -> None:
        try:
            checkpoint.check_newer(before, new, evidence.consistency)
        except (HeadConflict, ProofInvalid):
            if before is not None:
                self._keep(before, new)
            raise

    def _keep(self, held: Checkpoint, new: Checkpoint) -> None:
        """Two signed notes that contradict each other are the proof against the log's operator."""
        directory = self.state / "conflicts"
        files.make_directory(directory)
        for head in (held, new):
            files.write_atomically(directory / f"{head.size}-{head.root.hex()[:16]}.checkpoint", head.note)

    @contextmanager
    def _head_lock(self) -> Iterator[None]:
        with (self.state / "head.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
