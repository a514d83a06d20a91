"""What a bank opens is taken from its rows leaf by leaf: its memory does not grow with them."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

from adapters.bank.lending.kept import KeptTable, KeptTables
from adapters.bank.lending.opening import draft, find_answer, keep
from adapters.bank.lending.reporting import Order, make
from adapters.party.home import Home
from audit import checkpoint
from audit.challenge import Drawn
from audit.envelope import digest, seal
from audit.lending_tree import SealedTable, verify_firm
from tests.audit.story import make_signer
from tests.bank.reports import Given, loan_lines
from tests.bank.test_reporting import Q1, TERMS
from xinyi.v1 import lending_pb2, party_pb2

LOG = "test-city/gateway/log"


def kept_table(path: Path, rows: int) -> tuple[Home, KeptTable]:
    path.mkdir()
    home = Home.create(path / "bank-1", "xinyi://test-city/bank-1/machine/main", "127.0.0.1:1", "test-city/gateway")
    with (home.path / "party.toml").open("a") as settings:
        settings.write('\n[bank]\norigins = ["test-city/tax-bureau"]\n')
    lines = loan_lines(rows)
    for line in lines:
        line.row.loan.ClearField("reliance")
    tables = KeptTables(home)
    with tables.lock(), tables.making() as place:
        return home, tables.keep(place, make(place, home, Order(TERMS, Q1), Given(lines)), home.signer())


def drawn_from(path: Path, kept: KeptTable, size: int) -> Drawn:
    log = make_signer(path, "xinyi://test-city/gateway/machine/main", party_pb2.KEY_PURPOSE_LOG)
    person = make_signer(path, "xinyi://test-city/auditor/person/zhao-min", party_pb2.KEY_PURPOSE_DOCUMENT)
    head = checkpoint.sign(LOG, 7, b"\7" * 32, log)
    challenge = lending_pb2.Challenge(
        table=kept.digest, bank=kept.message.bank, unit=lending_pb2.SAMPLE_UNIT_BALANCE, size=size,
        checkpoint=head.note, due_on="2099-12-31", asked_by=person.key.holder, purpose="annual audit",
        asked_at_ms=int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000),
    )  # fmt: skip
    return Drawn.of(kept.sealed, seal(challenge, person), head)


def peak(path: Path, rows: int) -> int:
    """Bytes of Python's at most while 20 units of so many rows are opened."""
    home, kept = kept_table(path, rows)
    drawn = drawn_from(path, kept, 20)
    seen: list[int] = []
    tracemalloc.start()
    made = draft(home, drawn, seen.append)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(seen) == 2 * (kept.message.firms // 10_000 * 10_000)
    table = SealedTable.of(kept.message)
    for firm in made.opening.firms:
        verify_firm(table, firm)
    assert 1 <= len(made.opening.firms) <= 20
    return most


def test_memory_is_flat_however_many_leaves_there_are(tmp_path: Path) -> None:
    small, large = peak(tmp_path / "small", 2_000), peak(tmp_path / "large", 16_000)
    assert large < small + (2 << 20), (small, large)


def test_what_was_sealed_once_is_what_leaves(tmp_path: Path) -> None:
    """A crash between the two files leaves an opening that nobody saw; it is made anew."""
    home, kept = kept_table(tmp_path / "home", 300)
    drawn = drawn_from(tmp_path, kept, 10)
    first = keep(home, draft(home, drawn))
    known = find_answer(home, drawn)
    assert known is not None
    assert (digest(known.opening), digest(known.answer)) == (digest(first.opening), digest(first.answer))
    assert digest(keep(home, draft(home, drawn)).answer) == digest(first.answer), "drafted twice, sealed once"
    answer = lending_pb2.ChallengeAnswer.FromString(first.answer.payload)
    assert (answer.challenge, answer.opening) == (drawn.challenge_digest, digest(first.opening))
    (kept.path / "openings" / f"{drawn.challenge_digest.hex()}.answer.dsse").unlink()
    assert find_answer(home, drawn) is None
    assert digest(keep(home, draft(home, drawn)).opening) == digest(first.opening)
