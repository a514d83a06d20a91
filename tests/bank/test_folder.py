"""A folder as a bank finds it: half copied, damaged, out of order, or made to hang its reader."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.bank.fetch import Fetched, Receiver, fetch_from_folder
from adapters.bank.folder import Folder, FolderReceipts
from adapters.party.gateway import GatewayClient
from audit.envelope import seal
from gateway import folder as gateways
from tests.bank.offers import Offers
from tests.world import SealedEdition
from xinyi.checks import delivery_id
from xinyi.errors import DigestMismatch, NotEntitled, Unavailable, Unknown
from xinyi.v1 import exchange_pb2


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    gateways.prepare(folder)
    return folder


def write(offers: Offers, place: Path, edition: SealedEdition) -> Path:
    """The gateway's own hand; returns the delivery's directory."""
    identity = delivery_id(edition.digest, offers.bank.party)
    package, evidence = offers.package(edition), exchange_pb2.LogEvidence()
    gateways.write_outgoing(str(place), identity, package, evidence, enumerate(edition.chunks))
    return place / "outgoing" / identity


def fetch(offers: Offers, place: Path) -> list[Fetched]:
    return fetch_from_folder(Receiver(offers.bank), Folder(place), offers.bank)


def test_nothing_is_taken_before_its_list_is_there(offers: Offers, place: Path) -> None:
    """A directory without a list, and one under its working name, are still on their way."""
    directory = write(offers, place, offers.edition(10))
    complete = directory.with_name(f"{directory.name}.complete")
    listed = complete.read_bytes()
    complete.unlink()
    directory.rename(directory.with_name(f"{directory.name}.part"))
    assert fetch(offers, place) == []
    directory.with_name(f"{directory.name}.part").rename(directory)
    assert fetch(offers, place) == []
    complete.write_bytes(listed)
    assert [f.sequence for f in fetch(offers, place)] == [1]


def test_editions_are_taken_in_their_order_whatever_times_the_files_have(
    offers: Offers, place: Path
) -> None:
    """A copy turned the times round; both editions arrive."""
    first, second = (write(offers, place, offers.edition(count)) for count in (10, 20))
    for age, directory in ((0, first), (1000, second)):
        os.utime(directory.with_name(f"{directory.name}.complete"), (10**9 - age, 10**9 - age))
    assert [f.sequence for f in fetch(offers, place)] == [1, 2]


def test_an_edition_older_than_the_one_held_is_nothing_to_do(offers: Offers, place: Path) -> None:
    """It came late: run after run ends well, and the newest stays held."""
    old, new = offers.edition(10), offers.edition(20)
    write(offers, place, new)
    assert [f.sequence for f in fetch(offers, place)] == [2]
    write(offers, place, old)
    assert fetch(offers, place) == []
    held = Receiver(offers.bank).spool.held("grade-a")
    assert held is not None
    assert held.sequence == 2


def test_a_damaged_or_missing_file_is_named_and_keeps_no_other_edition(offers: Offers, place: Path) -> None:
    """The first edition's chunk is damaged, then missing; the second is taken all the same."""
    directory = write(offers, place, offers.edition(10))
    write(offers, place, offers.edition(20))
    chunk = directory / "chunks" / "000000.chunk"
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(DigestMismatch) as damaged:
        fetch(offers, place)
    assert damaged.value.basis == "folder.digest"
    held = Receiver(offers.bank).spool.held("grade-a")
    assert held is not None
    assert held.sequence == 2
    chunk.unlink()
    with pytest.raises(Unknown) as missing:
        fetch(offers, place)
    assert missing.value.basis == "folder.missing"


@pytest.mark.parametrize("name", ["delivery.dsse", "chunks/000000.chunk", "evidence.bin"])
@pytest.mark.parametrize("kind", ["endless", "pipe"])
def test_a_link_or_a_pipe_is_neither_followed_nor_waited_for(
    offers: Offers, place: Path, name: str, kind: str
) -> None:
    """Whoever can write the folder cannot hang the bank or fill its memory."""
    path = write(offers, place, offers.edition(10)) / name
    path.unlink()
    if kind == "endless":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path)
    with pytest.raises(Unavailable) as refused:
        fetch(offers, place)
    assert refused.value.basis == "folder.unreadable"


def test_a_refusal_is_raised_once_and_the_receipt_handed_in_again(offers: Offers, place: Path) -> None:
    """The gateway's signed no, read from the folder; the next run asks again."""
    edition = offers.edition(10)
    directory = write(offers, place, edition)
    fetch(offers, place)
    receiver = Receiver(offers.bank)
    spooled = receiver.spool.find(directory.name)
    assert spooled is not None
    receipt = receiver.receipts.find(spooled, exchange_pb2.RECEIPT_STAGE_RECEIVED)
    assert receipt is not None
    way = FolderReceipts(place, GatewayClient(offers.bank))
    assert way.submit(receipt) is None
    refusal = exchange_pb2.Refusal(code="not_entitled", basis="partner.unknown", explanation="no")
    name = f"{directory.name}.1-received"
    (place / "answers" / f"{name}.refusal").write_bytes(
        seal(refusal, offers.gateway.signer()).SerializeToString()
    )
    (place / "incoming" / f"{name}.dsse").unlink()
    with pytest.raises(NotEntitled) as refused:
        way.submit(receipt)
    assert refused.value.basis == "partner.unknown"
    assert way.submit(receipt) is None
    assert (place / "incoming" / f"{name}.dsse").exists()
