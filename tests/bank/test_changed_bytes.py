"""A changed byte of what a bank takes in, or shows to others, is refused by its name."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.bank.fetch import Receiver
from adapters.bank.package import VerifiedPackage
from adapters.bank.settings import BankSettings
from audit.checkpoint import VerifierKey
from audit.keys import FileSigner, generate_private_key
from audit.record_proof import RecordProof, make
from audit.verification.policy import Policy
from tests.bank.offers import GATEWAY, Offers, flipped
from tests.world import made_up_uscc
from xinyi.errors import Invalid, VerificationError
from xinyi.v1 import party_pb2


def test_any_changed_byte_of_a_chunk_is_refused_before_it_is_written(offers: Offers) -> None:
    """Every byte of a small one, one bit each; then the chunk as it was is taken."""
    edition = offers.edition(3)
    package, (chunk,) = offers.package(edition), edition.chunks
    receiver, chosen = Receiver(offers.bank), random.Random(20180420)
    spool = BankSettings.of(offers.bank).spool
    for place in range(len(chunk)):
        changed = flipped(chunk, place)
        if chosen.random() < 0.5:
            changed = chunk[:place] + bytes([chunk[place] ^ 0x80]) + chunk[place + 1 :]

        def source(_: VerifiedPackage, start: int, data: bytes = changed) -> Iterator[tuple[int, bytes]]:
            yield start, data

        with pytest.raises(VerificationError) as refused:
            receiver.receive(package, source)
        assert refused.value.basis == "chunk"
    assert list(spool.glob("incoming/*/chunks/*")) == []
    assert list((spool / "outbox").iterdir()) == []
    assert receiver.receive(package, lambda _, start: [(start, chunk)]).records == 3


@pytest.fixture
def proven(offers: Offers, tmp_path: Path) -> tuple[Path, Policy]:
    """A record's proof as a folder, and the policy of who checks it."""
    edition = offers.edition(5)
    proof = make(
        edition.manifest, offers.approval(edition), edition.blinding_key, edition.chunks, made_up_uscc(3)
    )
    folder = tmp_path / "record"
    folder.mkdir()
    for name, data in proof.files().items():
        (folder / name).write_bytes(data)
    generate_private_key(tmp_path / "log.pem")
    log = FileSigner.load(
        tmp_path / "log.pem",
        holder=offers.gateway.settings.holder,
        purpose=party_pb2.KEY_PURPOSE_LOG,
    )
    policy = Policy(
        log_key=VerifierKey.of(f"{GATEWAY}/log", log),
        gateway=GATEWAY,
        bureaus=frozenset({offers.maker.party}),
        keys=tuple(home.signer().key for home in (offers.gateway, offers.maker, offers.approver)),
    )
    return folder, policy


def test_any_changed_byte_of_a_record_proof_is_refused(proven: tuple[Path, Policy]) -> None:
    """Every byte of every file that is evidence, every bit of the description; README.txt explains only."""
    folder, policy = proven
    assert RecordProof.read(folder).verify(policy).record.taxpayer_id == made_up_uscc(3)
    tried = 0
    for path in sorted(folder.iterdir()):
        if path.name == "README.txt":
            continue
        data = path.read_bytes()
        for place in range(len(data)):
            for bit in range(8) if path.suffix == ".json" else (place % 8,):
                path.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
                with pytest.raises((VerificationError, Invalid)):
                    RecordProof.read(folder).verify(policy)
                tried += 1
        path.write_bytes(data)
    assert tried > 1000
    assert RecordProof.read(folder).verify(policy).record.taxpayer_id == made_up_uscc(3)
