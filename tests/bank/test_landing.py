"""Landing: what becomes visible, what is signed about it, and what is put aside."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from adapters.bank.evidence import Evidence
from adapters.bank.landing import Landing
from adapters.bank.outcome import Result
from adapters.bank.receipts import Receipts, read_envelope
from adapters.bank.rows import COLUMNS
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.party.home import Home
from adapters.tables.csv_file import CsvTarget
from adapters.tables.landing import SqlTarget
from adapters.tables.target import Landed, Target
from audit import records
from audit.envelope import open_sealed
from audit.keys import Keyring
from tests.bank.offers import Offers, flipped, reason
from tests.world import SealedEdition, made_up_records
from xinyi import checks
from xinyi.errors import Conflict, VerificationError
from xinyi.v1 import exchange_pb2, records_pb2

Receipt = exchange_pb2.DeliveryReceipt


class Cut(BaseException):
    """The process ends here."""


def land(home: Home, url: str, kind: Callable[..., Target] = SqlTarget) -> list[Result]:
    return Landing(home, lambda product: kind(url, product.replace("-", "_"), COLUMNS)).land_all()


def rows(url: str, query: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as conn:
        found = [tuple(row) for row in conn.execute(text(query))]
    engine.dispose()
    return found


def shown(url: str) -> list[str]:
    return [row[0] for row in rows(url, "SELECT taxpayer_id FROM grade_a ORDER BY taxpayer_id")]


def signed(home: Home, stages: Sequence[str]) -> list[Receipt]:
    """The receipts in the outbox, which are of these stages and hold as the contract has them."""
    waiting = Receipts(BankSettings.of(home).spool, ()).waiting()
    assert [path.name.split(".")[1] for path in waiting] == list(stages)
    own = Keyring([home.signer().key])
    receipts = [open_sealed(read_envelope(path), Receipt, own).message for path in waiting]
    for receipt in receipts:
        checks.check_delivery_receipt(receipt)
    return receipts


def subjects(*names: str) -> list[records_pb2.GradeRecord]:
    made = made_up_records(len(names))
    for record, name in zip(made, names, strict=True):
        record.names[:] = [name]
    return made


def test_an_edition_lands_whole(offers: Offers, database_url: str) -> None:
    """Every record is shown, the root is the sealed one, and both receipts say so."""
    edition = offers.edition(2500)
    fetched = offers.receive(edition)
    (result,) = land(offers.bank, database_url)
    assert (result.stage, result.accepted, result.rejected) == ("accepted", 2500, 0)
    assert result.root == offers.manifest(edition).root
    assert shown(database_url) == sorted(record.taxpayer_id for record in made_up_records(2500))
    assert rows(database_url, "SELECT DISTINCT grade, evaluation_year FROM grade_a") == [("A", 2018)]
    received, accepted, applied = signed(offers.bank, ["received", "accepted", "applied"])
    for receipt in (received, accepted, applied):
        assert (receipt.root, receipt.accepted, receipt.rejected) == (result.root, 2500, 0)
        assert receipt.manifest_digest == edition.digest
        assert receipt.signed_by == offers.bank.settings.holder
    spool = Spool(BankSettings.of(offers.bank).spool)
    assert spool.find(fetched.delivery_id, "landed") is not None
    assert land(offers.bank, database_url) == []


def test_the_next_edition_replaces_the_one_before(offers: Offers, database_url: str) -> None:
    """One view per product; the table of the edition before is dropped."""
    for count in (1500, 30):
        offers.receive(offers.edition(count))
        land(offers.bank, database_url)
    assert len(shown(database_url)) == 30
    with pytest.raises(Exception, match="grade_a__000001"):
        rows(database_url, "SELECT * FROM grade_a__000001")
    assert rows(database_url, "SELECT count(*) FROM grade_a__000002") == [(30,)]


def test_records_that_break_the_bank_s_rules_are_named_and_not_shown(
    offers: Offers, database_url: str
) -> None:
    """PARTIAL: counts, the rule, and the blinded key of each refused record; the record is kept, not shown."""
    home = offers.settings("\n[bank.rules]\nmax_name_length = 5\nmax_refused_percent = 50\n")
    made = subjects("甲公司", "很长很长的公司名称", "丙公司", "丁公司")
    edition = offers.edition(subjects=made)
    offers.receive(edition, home)
    (result,) = land(home, database_url)
    assert (result.stage, result.accepted, result.rejected) == ("partial", 3, 1)
    assert shown(database_url) == [made[place].taxpayer_id for place in (0, 2, 3)]
    assert rows(database_url, "SELECT refused FROM grade_a__000001 WHERE refused IS NOT NULL") == [
        ("bank.name_length",)
    ]
    _, partial, applied = signed(home, ["received", "partial", "applied"])
    blinded = records.blinder(edition.blinding_key)(made[1].taxpayer_id.encode())
    assert [(issue.blinded_key, issue.rule) for issue in partial.issues] == [(blinded, "bank.name_length")]
    assert [(count.rule, count.rows) for count in partial.rules] == [("bank.name_length", 1)]
    assert (applied.accepted, applied.rejected, len(applied.issues)) == (3, 1, 0)


def test_an_edition_that_breaks_the_rules_too_often_is_rejected(offers: Offers, database_url: str) -> None:
    """REJECTED as a whole: the edition before stays visible, this one is put aside with the reason."""
    offers.receive(offers.edition(7))
    land(offers.bank, database_url)
    home = offers.settings('\n[bank.rules]\nidentifier_kinds = ["registration_number"]\n')
    fetched = offers.receive(offers.edition(20), home)
    (result,) = land(home, database_url)
    assert (result.stage, result.accepted, result.rejected) == ("rejected", 0, 20)
    assert len(shown(database_url)) == 7
    assert reason(home, fetched.delivery_id)["basis"] == "bank.rules"
    waiting = Receipts(BankSettings.of(home).spool, ()).outbox
    rejected = read_envelope(waiting / f"{fetched.delivery_id}.rejected.dsse")
    receipt = open_sealed(rejected, Receipt, Keyring([home.signer().key])).message
    checks.check_delivery_receipt(receipt)
    assert (receipt.accepted, receipt.rejected, len(receipt.issues)) == (0, 20, 20)
    assert [(count.rule, count.rows) for count in receipt.rules] == [("bank.identifier_kind", 20)]
    with pytest.raises(Conflict, match="refused here before"):
        offers_again(offers, home, fetched.delivery_id)


def offers_again(offers: Offers, home: Home, delivery_id: str) -> None:
    """The gateway offers a refused delivery once more."""
    from adapters.bank.fetch import Receiver
    from adapters.bank.package import verify_package

    receiver = Receiver(home)
    spooled = receiver.spool.find(delivery_id)
    assert spooled is not None
    receiver.known(verify_package(spooled.package(), receiver.trust))


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_landing_in_a_file(offers: Offers, tmp_path: Path, encoding: str) -> None:
    """The same records in the encoding that was asked for; a further edition replaces the file whole."""
    file = tmp_path / "grade-a.csv"
    names = ("甲公司", "乙，公司", '丙"公司', "𠮷田公司")
    for made in (subjects("旧公司"), subjects(*names)):
        offers.receive(offers.edition(subjects=made))
        (result,) = Landing(offers.bank, lambda _: CsvTarget(file, encoding, COLUMNS)).land_all()
        assert (result.stage, result.accepted) == ("accepted", len(made))
    with file.open(encoding=encoding, newline="") as opened:
        lines = list(csv.DictReader(opened))
    assert {line["taxpayer_id"]: line["names"] for line in lines} == {
        record.taxpayer_id: record.names[0] for record in made
    }
    assert file.stat().st_mode & 0o077 == 0
    assert not list(tmp_path.glob("*.part"))


def test_a_file_that_was_edited_is_not_confirmed(offers: Offers, tmp_path: Path) -> None:
    """APPLIED stands for what lies in the file: a row changed between writing and signing is found."""
    file = tmp_path / "grade-a.csv"
    offers.receive(offers.edition(5))

    class Edited(CsvTarget):
        def written(self) -> None:
            super().written()
            part = file.with_name("grade-a.csv.part")
            part.write_text(part.read_text().replace(",A,", ",B,", 1))

    with pytest.raises(VerificationError) as refused:
        Landing(offers.bank, lambda _: Edited(file, "utf-8", COLUMNS)).land_all()
    assert refused.value.basis == "landing.rows"
    assert not file.exists()
    signed(offers.bank, ["received"])


@pytest.mark.parametrize("place", ["salt", "record", "cut", "missing"])
def test_a_tampered_chunk_in_the_spool_is_refused_by_name(
    offers: Offers, database_url: str, place: str
) -> None:
    """What lay in the spool is verified again: nothing of it becomes visible, the edition before stays."""
    offers.receive(offers.edition(7))
    land(offers.bank, database_url)
    fetched = offers.receive(offers.edition(1500))
    spool = Spool(BankSettings.of(offers.bank).spool)
    chunk = spool.path / "ready" / fetched.delivery_id / "chunks/000001.chunk"
    data = chunk.read_bytes()
    chunk.unlink()
    if place != "missing":
        changed = {"salt": flipped(data, 10), "record": flipped(data, 60), "cut": data[:-5]}
        chunk.write_bytes(changed[place])
    with pytest.raises(Exception, match=r"chunk|missing"):
        land(offers.bank, database_url)
    assert len(shown(database_url)) == 7
    if place != "missing":
        assert reason(offers.bank, fetched.delivery_id)["basis"] == "chunk"
        held = spool.held("grade-a")
        assert held is not None
        assert held.sequence == 1, "so that it can be fetched again"
    stages = {path.name.split(".")[1] for path in (spool.path / "outbox").glob(f"{fetched.delivery_id}*")}
    assert stages == {"received"}


@pytest.mark.parametrize("moment", ["staged", "written", "publishing", "published", "discarding"])
def test_a_crash_around_the_swap_is_made_good(offers: Offers, database_url: str, moment: str) -> None:
    """Wherever it broke off, readers saw one edition whole, and the next run ends as if nothing had been."""
    offers.receive(offers.edition(40))
    land(offers.bank, database_url)

    class Crashing(SqlTarget):
        def write(self, batch: Any) -> None:
            super().write(batch)
            if moment == "staged":
                raise Cut

        def written(self) -> None:
            super().written()
            if moment == "written":
                raise Cut

        def publish(self, landed: Landed, disputes: Mapping[str, str] | None) -> None:
            if moment == "publishing":
                raise Cut
            super().publish(landed, disputes)
            if moment == "published":
                raise Cut

        def discard(self) -> None:
            if moment == "discarding":
                raise Cut
            super().discard()

    fetched = offers.receive(offers.edition(1500))
    with pytest.raises(Cut):
        land(offers.bank, database_url, Crashing)
    assert len(shown(database_url)) == (1500 if moment in ("published", "discarding") else 40)
    results = land(offers.bank, database_url)
    assert [(r.stage, r.accepted) for r in results] == (
        [] if moment == "discarding" else [("accepted", 1500)]
    )
    assert len(shown(database_url)) == 1500
    spool = Spool(BankSettings.of(offers.bank).spool)
    assert spool.find(fetched.delivery_id, "landed") is not None
    stages = {path.name.split(".")[1] for path in (spool.path / "outbox").glob(f"{fetched.delivery_id}*")}
    assert stages == {"received", "accepted", "applied"}


def test_the_evidence_holds_the_three_documents(offers: Offers, sqlite_url: str) -> None:
    """Manifest, approval and delivery as they came, so that the bank can show them years later."""
    edition: SealedEdition = offers.edition(5)
    fetched = offers.receive(edition)
    land(offers.bank, sqlite_url)
    kept = Evidence(BankSettings.of(offers.bank).evidence).path / fetched.delivery_id
    assert {path.name for path in kept.iterdir()} == {"approval.dsse", "delivery.dsse", "manifest.dsse"}
    assert read_envelope(kept / "manifest.dsse") == edition.manifest


def test_a_table_of_somebody_else_is_left_alone(offers: Offers, database_url: str) -> None:
    """The bank's own table of that name is not replaced; the edition waits, unharmed."""
    engine = create_engine(database_url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE grade_a (mine INTEGER)"))
    engine.dispose()
    fetched = offers.receive(offers.edition(5))
    with pytest.raises(Conflict) as refused:
        land(offers.bank, database_url)
    assert refused.value.basis == "landing.table"
    assert Spool(BankSettings.of(offers.bank).spool).find(fetched.delivery_id, "ready") is not None
