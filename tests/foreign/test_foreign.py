"""Our checkpoints and proofs before verifiers that none of us wrote: what holds here holds there, and what is
changed is refused there, too.

Go needs the Debian packages golang-go and golang-golang-x-mod-dev; without them its tests skip and say so, and
continuous integration turns that into a failure.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audit import checkpoint, entries, envelope, merkle
from audit.checkpoint import TlogProof, VerifierKey
from tests.audit.story import ORIGIN, Cast, make_signer
from xinyi.v1 import edition_pb2, party_pb2

GO_PACKAGES = Path("/usr/share/gocode")
LEAVES = [entries.leaf(n.to_bytes(32, "big"), b"opening %d" % n) for n in range(1000)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


def node(level: int, index: int) -> bytes:
    return merkle.root(HASHES[index << level : (index + 1) << level])


@dataclass
class Log:
    key: VerifierKey
    cast: Cast

    def head(self, size: int) -> checkpoint.Checkpoint:
        return checkpoint.sign(ORIGIN, size, merkle.root(HASHES[:size]), self.cast.log)

    def proof(self, index: int, size: int) -> TlogProof:
        return TlogProof(index, tuple(merkle.inclusion_proof(node, index, size)), self.head(size).note)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    cast = Cast(tmp_path_factory.mktemp("foreign"))
    return Log(VerifierKey.of(ORIGIN, cast.log), cast)


def flipped(value: bytes, place: int = 7) -> bytes:
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]


# ── Go: golang.org/x/mod/sumdb ─────────────────────────────────────────────────────────────────────────────

Go = Callable[[dict[str, Any]], bool]


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    """Builds the driver once; a call says whether everything in its input holds."""
    if shutil.which("go") is None or not (GO_PACKAGES / "src/golang.org/x/mod/sumdb").is_dir():
        pytest.skip(
            "NO GO: apt-get install golang-go golang-golang-x-mod-dev, or this verifier checks nothing"
        )
    folder = tmp_path_factory.mktemp("go")
    environment = os.environ | {
        "GO111MODULE": "off",
        "GOPATH": str(GO_PACKAGES),
        "GOCACHE": str(folder / "cache"),
        "GOFLAGS": "",
    }
    program = folder / "logcheck"
    subprocess.run(
        ["go", "build", "-o", program, Path(__file__).with_name("logcheck.go")], env=environment, check=True
    )

    def holds(value: dict[str, Any]) -> bool:
        text = json.dumps(value, default=lambda raw: base64.b64encode(raw).decode())
        done = subprocess.run([program], input=text, text=True, capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert (done.returncode == 0) == (done.stdout == "holds\n")
        return done.returncode == 0

    return holds


@pytest.mark.parametrize("size", [1, 2, 3, 255, 256, 257, 737, 1000])
def test_go_accepts_our_inclusion_proofs_and_refuses_changed_ones(log: Log, go: Go, size: int) -> None:
    """First, last and a middle leaf; then another leaf, index, hash, signature, root."""
    for index in {0, size // 2, size - 1}:
        proof = log.proof(index, size)
        good = {
            "Key": str(log.key),
            "Checkpoint": proof.note.decode(),
            "Leaf": LEAVES[index],
            "Index": index,
            "Inclusion": list(proof.proof),
        }
        assert go(good)
        assert not go(good | {"Leaf": LEAVES[(index + 1) % 1000]})
        assert not go(good | {"Index": index + 1})
        assert not go(good | {"Inclusion": [*proof.proof, bytes(32)]})
        for place, value in enumerate(proof.proof):
            changed = list(proof.proof)
            changed[place] = flipped(value)
            assert not go(good | {"Inclusion": changed})
    other = log.head(size % 1000 + 1).note.decode()
    assert not go(good | {"Checkpoint": other})
    assert not go(good | {"Checkpoint": good["Checkpoint"].replace(f"\n{size}\n", f"\n{size + 1}\n", 1)})


@pytest.mark.parametrize(
    ("old", "new"), [(1, 2), (1, 1000), (256, 257), (600, 1000), (999, 1000), (512, 1000)]
)
def test_go_accepts_our_consistency_proofs_and_refuses_changed_ones(
    log: Log, go: Go, old: int, new: int
) -> None:
    """And heads of a tree that did not only grow."""
    proof = merkle.consistency_proof(node, old, new)
    good = {
        "Key": str(log.key),
        "Checkpoint": log.head(new).note.decode(),
        "Old": log.head(old).note.decode(),
        "Consistency": proof,
    }
    assert go(good)
    forged = checkpoint.sign(ORIGIN, old, merkle.root(HASHES[1 : old + 1]), log.cast.log)
    assert not go(good | {"Old": forged.note.decode()})
    for place in range(len(proof)):
        changed = list(proof)
        changed[place] = flipped(proof[place])
        assert not go(good | {"Consistency": changed})


def test_go_refuses_a_checkpoint_of_another_key(log: Log, go: Go, tmp_path: Path) -> None:
    """Same name, other key."""
    holder = f"xinyi://{ORIGIN.removesuffix('/log')}/machine/main"
    other = make_signer(tmp_path, holder, party_pb2.KEY_PURPOSE_LOG)
    assert go({"Key": str(log.key), "Checkpoint": log.head(5).note.decode()})
    assert not go({"Key": str(VerifierKey.of(ORIGIN, other)), "Checkpoint": log.head(5).note.decode()})


# ── proofbundle ────────────────────────────────────────────────────────────────────────────────────────────


def proofbundle(folder: Path, proof: bytes, leaf: bytes, key: VerifierKey) -> bool:
    (folder / "proof").write_bytes(proof)
    (folder / "leaf").write_bytes(leaf)
    program = Path(sys.executable).with_name("proofbundle")
    command = [program, "verify-proof", folder / "proof", "--payload-file", folder / "leaf"]
    done = subprocess.run(
        [*command, "--log-vkey", str(key), "--expected-origin", ORIGIN, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode == 0


def test_proofbundle_accepts_our_receipts_and_refuses_changed_ones(log: Log, tmp_path: Path) -> None:
    """A `.tlog-proof` as `xinyi-audit prove entry` writes it."""
    proof = log.proof(737, 1000)
    text = proof.encode()
    assert proofbundle(tmp_path, text, LEAVES[737], log.key)
    assert not proofbundle(tmp_path, text, LEAVES[738], log.key)
    assert not proofbundle(tmp_path, text.replace(b"index 737", b"index 736"), LEAVES[737], log.key)
    for line in text.splitlines()[2:12]:
        wrong = base64.b64encode(flipped(base64.b64decode(line))) if line else line
        if line:
            assert not proofbundle(tmp_path, text.replace(line, wrong), LEAVES[737], log.key)
    forged = TlogProof(737, proof.proof, log.head(999).note).encode()
    assert not proofbundle(tmp_path, forged, LEAVES[737], log.key)


# ── openssl ────────────────────────────────────────────────────────────────────────────────────────────────


def test_openssl_accepts_our_seals_and_refuses_changed_ones(log: Log, tmp_path: Path) -> None:
    """The signed bytes and the key in files, as docs/evidence-format.md says."""
    if shutil.which("openssl") is None:
        pytest.skip("NO OPENSSL: this verifier checks nothing")
    stop = edition_pb2.Stop(manifest_digest=bytes(32), stopped_by="x", reason="y", stopped_at_ms=1)
    sealed = envelope.seal(stop, log.cast.maker)
    (tmp_path / "key.der").write_bytes(log.cast.maker.key.spki)
    (tmp_path / "signature").write_bytes(sealed.signatures[0].sig)
    signed = envelope.pre_encoding(sealed.payload_type, sealed.payload)

    def openssl(message: bytes) -> bool:
        (tmp_path / "message").write_bytes(message)
        command = (
            "openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in message -sigfile signature"
        )
        return subprocess.run(command.split(), cwd=tmp_path, capture_output=True, check=False).returncode == 0

    assert openssl(signed)
    assert not openssl(flipped(signed))
