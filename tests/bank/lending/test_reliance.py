"""What loans relied on, by taxpayer and day: editions as this bank held them, and what was taken back since."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from adapters.bank.chain import Chain as Spooled
from adapters.bank.lending.events import EventRows
from adapters.bank.lending.lines import LoanLines
from adapters.bank.lending.quality import Tally
from adapters.bank.lending.reading import open_loans
from adapters.bank.lending.reliance import open_reliances
from adapters.bank.receipts import read_envelope
from adapters.bank.settings import BankSettings
from adapters.bank.spool import Spool
from adapters.party.home import Home
from audit import envelope, records
from proto.vectors.make import uscc
from tests.bank.lending.loan_files import event, loan, write_csv
from tests.bank.offers import Offers
from tests.bank.test_changes import land
from tests.bank.test_recalls import receive as receive_recall
from tests.chain import Chain
from tests.world import SealedEdition, made_up_records
from xinyi.days import begin_of, today
from xinyi.lending import parse_period
from xinyi.v1 import exchange_pb2, lending_pb2, records_pb2

A, B, GONE = records_pb2.GRADE_A, records_pb2.GRADE_B, 0


def firms(first: int, last: int, grade: records_pb2.Grade = A) -> list[records_pb2.GradeRecord]:
    """Made-up enterprises of division 990100."""
    made = made_up_records(last, grade)[first:]
    for number, record in enumerate(made, first):
        record.taxpayer_id = uscc(number)
    return made


def held_since(home: Home, edition: SealedEdition, day: date) -> None:
    """The bank's own receipts of an edition, signed anew on another day."""
    link = Spooled(Spool(BankSettings.of(home).spool), "grade-a").find(edition.digest)
    assert link is not None
    for path in link.edition.receipts.glob("*.dsse"):
        receipt = exchange_pb2.DeliveryReceipt.FromString(read_envelope(path).payload)
        receipt.signed_at_ms = begin_of(day)
        path.write_bytes(envelope.seal(receipt, home.signer()).SerializeToString(deterministic=True))


def found(home: Home, *asked: tuple[int, date]) -> list[tuple[str, int, bool, int]]:
    with open_reliances(home) as reliances:
        answers = reliances.find([(uscc(number), day.isoformat()) for number, day in asked])
    return [
        (one.rule, one.reliance.grade if one.reliance is not None else 0, one.recalled, one.true_grade)
        for one in answers
    ]


def test_the_edition_that_was_held_on_the_day_of_the_loan(offers: Offers, tmp_path: Path) -> None:
    """From a FULL over changes to the next FULL and a late correction: each loan relied on what its day knew, bound
    to the record's own proof; corrected ones know the true grade."""
    bank, url = offers.bank, f"sqlite:///{tmp_path / 'bank.db'}"
    days = [date(2018, 1, 10) + timedelta(30 * number) for number in range(4)]
    chain = Chain(offers.maker)
    editions = [chain.full(firms(0, 1500))]
    editions.append(chain.delta(firms(1500, 1501), gone=[uscc(7)]))
    editions.append(chain.full([*firms(0, 5), *firms(10, 1400)]))
    for edition in editions:
        offers.receive(edition)
    (other_year,) = firms(22, 23, B)
    other_year.evaluation_year = 2017
    editions.append(chain.correction(editions[1].digest, [*firms(20, 21, B), other_year], gone=[uscc(21)]))
    receive_recall(offers, editions[3])
    land(bank, url)
    for edition, day in zip(editions, days, strict=True):
        held_since(bank, edition, day)
    before, first, second, third, told = date(2018, 1, 9), *days

    none, stands = ("reliance.none", 0, False, 0), ("", A, False, 0)
    assert found(bank, (1, before), (1, first), (1500, first), (1500, second), (9, third)) == [
        none, stands, none, stands, none,
    ]  # fmt: skip
    assert found(bank, (7, first), (7, second)) == [stands, ("reliance.gone", 0, False, 0)]
    # The first edition was not wrong yet; loans between are recalled, also on the day on which the bank was told.
    assert found(bank, (20, first), (20, second), (20, third), (20, told), (20, told + timedelta(1))) == [
        stands, *[("reliance.recalled", A, True, B)] * 3, ("", B, False, 0),
    ]  # fmt: skip
    # Of another evaluation year it tells another decision: the one that was relied on stands.
    assert found(bank, (22, third)) == [stands]
    assert found(bank, (21, third), (21, told + timedelta(1))) == [
        ("reliance.recalled", A, True, GONE), ("reliance.gone", 0, False, 0),
    ]  # fmt: skip

    with open_reliances(bank) as reliances:
        (relied,) = reliances.find([(uscc(3), second.isoformat())])
    reliance = relied.reliance
    assert reliance is not None
    assert reliance.manifest_digest == editions[0].digest
    assert reliance.blinded_key == records.blinder(chain.blinding_key)(uscc(3).encode())
    sealed = next(
        records.commitment(entry.salt, entry.record)
        for chunk in editions[0].chunks
        for entry in records_pb2.Chunk.FromString(chunk).records
        if records_pb2.GradeRecord.FromString(entry.record).taxpayer_id == uscc(3)
    )
    assert reliance.commitment == sealed
    assert reliance.evaluation_year == 2018


def test_the_edition_counts_and_not_the_rows_word(offers: Offers, tmp_path: Path) -> None:
    """A grade noted otherwise is reported; records that were purged before they were read in are not guessed."""
    bank = offers.bank
    edition = offers.edition(subjects=firms(0, 10))
    offers.receive(edition)
    land(bank, f"sqlite:///{tmp_path / 'bank.db'}")
    now = today()
    day = now.isoformat()
    rows = [
        loan(1, 放款日期=day, 纳税信用级别="B级"),
        loan(2, 放款日期=day, 纳税信用级别="A级"),
        loan(300, 放款日期=day, 纳税信用级别="A级"),
    ]
    period = parse_period(day[:7])
    source = str(write_csv(tmp_path / "loans.csv", rows))

    def read() -> tuple[list[lending_pb2.LoanRow], Tally]:
        with open_reliances(bank) as reliances, open_loans(source, "loans") as file:
            return [line.row for line in LoanLines(file, period, reliances)], file.tally

    # The application of a loan came before the edition that the grant relied on.
    before = (now - timedelta(3)).isoformat()
    events = [event(1, 阶段="申请", 发生日期=before, 放款日期=day), event(1, 发生日期=day, 放款日期=day)]
    told = str(write_csv(tmp_path / "events.csv", events))
    with open_reliances(bank) as reliances, open_loans(told, "loan-events") as file:
        found = [outcome for row in EventRows(file, reliances, now) for outcome in row.outcomes]
        readings = file.tally.readings
    assert [outcome.loan.HasField("reliance") for outcome in found] == [False, True]
    assert readings["reliance", "of no grade: the event lies before the edition came"] == 1

    lines, tally = read()
    assert [row.loan.reliance.grade for row in lines] == [A, A, 0]
    assert tally.rules == {"grade.differs": 1, "grade.unproven": 1, "reliance.none": 1}
    # Read in once: what is purged later is known still, but not to an index that is made anew.
    link = next(iter(Spooled(Spool(BankSettings.of(bank).spool), "grade-a")))
    for chunk in (link.edition.path / "chunks").iterdir():
        chunk.unlink()
    (link.edition.path / "chunks").rmdir()
    assert [row.loan.reliance.grade for row in read()[0]] == [A, A, 0]
    (bank.path / "lending/reliance/grade-a.db").unlink()
    lines, tally = read()
    assert not any(row.loan.HasField("reliance") for row in lines)
    assert tally.rules["reliance.purged"] == 3
