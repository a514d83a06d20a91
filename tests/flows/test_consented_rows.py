"""Who sees single loans with consent: the bureau where the agreement says so, the enterprise in its report, nobody
else; and which of them relied on a grade that was corrected.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from adapters.party.home import Home
from audit.disclosure.account import verify
from audit.outcomes import commitment, withheld
from gateway.office import catalogue
from gateway.store import outcomes as store
from gateway.store import tables
from tests.chain import Chain
from tests.flows.test_outcomes import relied_on
from tests.flows.test_rights import entries
from tests.flows.test_subjects import WRONG, Story, tell
from tests.lending import WAN
from tests.outcomes import DISBURSED, SentBatch, list_outcomes, outcome, send_outcomes
from tests.programs import ok, run
from tests.world import (
    BUREAU,
    CITY,
    MAKER,
    OPERATOR,
    SealedEdition,
    World,
    city,
    made_up_records,
    made_up_uscc,
)
from xinyi.days import day_of
from xinyi.errors import NotEntitled, Unknown, VerificationError
from xinyi.terminal import Exit
from xinyi.v1 import records_pb2
from xinyi.v1 import subject_service_pb2 as pb

BANK_1 = f"xinyi://{CITY}/bank-1/machine/main"


async def lend(
    world: World, bank: Home, edition: SealedEdition, numbers: range, number: str = "1"
) -> SentBatch:
    """A loan to each of these enterprises, today, on what an edition told of it."""
    day = day_of(world.clock()).isoformat()
    rows = []
    for n in numbers:
        row = outcome(n, DISBURSED, day, reliance=relied_on(edition, n), taxpayer_id=made_up_uscc(n))
        row.authorisation.valid_to = "2099-12-31"
        rows.append(row)
    return await send_outcomes(world, bank, rows, number, issued_at_ms=world.clock())


@pytest.mark.processes
async def test_loans_that_relied_on_a_corrected_grade(tmp_path: Path, database_url: str) -> None:
    """S5: nine loans were granted on an A that was wrong; the bureau lists exactly these, with the true grade, of the
    bank whose agreement shows them; what it is given is logged before.
    """
    product = "grade-all"
    async with city(tmp_path, database_url=database_url) as world:
        await world.gateway.door.run(lambda x: catalogue.switch(x, product, True, OPERATOR))
        open_bank, closed_bank = await world.bank("bank-1"), await world.bank("bank-2")
        await world.report_terms(open_bank, outcomes_to_bureau=True)
        await world.report_terms(closed_bank)
        chain = Chain(world.homes[MAKER], product)
        full = chain.full(made_up_records(200))
        await world.publish(full)
        shown = await lend(world, open_bank, full, range(5, 35))
        assert shown.counts == (30, 0, 0, 0, 0)
        await lend(world, closed_bank, full, range(10))
        before = day_of(world.clock()).isoformat()
        world.clock.advance(days=1)

        wrong = made_up_records(14, records_pb2.GRADE_B)[:12]
        await world.publish(chain.correction(full.digest, wrong, gone=[made_up_uscc(12), made_up_uscc(13)]))
        home = ("--home", world.homes[MAKER].path)
        alone = await run("xinyi-bureau", "loans", "--recalled", "--bank", "bank-2", *home)
        assert alone.code == 3, alone
        assert not entries(world, "outcomes.offered")
        found = (await ok("xinyi-bureau", "loans", "--recalled", "--bank", "bank-1", *home, "--json")).json["loans"]
        told = [(f"L{n}", "A", "B") for n in range(5, 12)] + [("L12", "A", ""), ("L13", "A", "")]
        assert sorted((x["loan"], x["grade"], x["true_grade"]) for x in found) == sorted(told)
        assert len(found) == 9
        assert {x["granted"] for x in found} == {500 * WAN}
        assert not found[0]["verified"]
        (offered,) = entries(world, "outcomes.offered")
        assert (offered.actor, offered.counterparty, offered.record_count) == (MAKER, BUREAU, 30)
        world.pin(world.homes[MAKER], open_bank.signer().key)
        (one, *_) = (await ok("xinyi-bureau", "loans", "--recalled", "--bank", "bank-1", *home, "--json")).json["loans"]
        assert one["verified"]
        stripped = strip_row(world, shown.digest)
        lied = await run("xinyi-bureau", "loans", "--bank", "bank-1", *home)
        assert (lied.code, "1 rows is not shown" in lied.err) == (Exit.FALSE, True), lied
        replace_chunk(world, shown.digest, stripped)
        table = await ok("xinyi-bureau", "loans", "--bank", "bank-1", *home, "--recalled")
        assert "9 loans" in table.out
        then = await ok("xinyi-bureau", "loans", "--bank", "bank-1", "--recalled", "--as-of", before, *home, "--json")
        assert then.json["loans"] == []

        own = await list_outcomes(open_bank)
        assert sum(o.recalled for o in own) == 9
        with pytest.raises(NotEntitled):
            await list_outcomes(open_bank, bank=closed_bank.party)
        with pytest.raises(Unknown):
            await list_outcomes(world.homes[MAKER], bank=f"{CITY}/bank-9")


def replace_chunk(world: World, batch: bytes, data: bytes) -> None:
    c = tables.outcome_chunks.c
    with world.gateway.database.engine.begin() as conn:
        conn.execute(update(tables.outcome_chunks).where(c.document == batch).values(data=data))


def strip_row(world: World, batch: bytes) -> bytes:
    """What a gateway could do to hide a loan: its row stands as one that was refused. Returns the chunk as it was."""
    with world.gateway.database.reading() as conn:
        before = store.find_chunk(conn, batch, 0)
    assert before is not None
    chunk = records_pb2.Chunk.FromString(before)
    row = chunk.records[3]
    row.CopyFrom(withheld(commitment(row.salt, row.record)))
    replace_chunk(world, batch, chunk.SerializeToString(deterministic=True))
    return before


async def tell_and_lend(world: World) -> tuple[Story, SentBatch]:
    """The story of a wrong A, and a loan of bank-1 on it, among others."""
    story = await tell(world)
    bank = world.homes[BANK_1]
    await world.report_terms(bank)
    rows = range(5, 9)
    sent = await lend(world, bank, story.editions[0], rows)
    return story, sent


def _row(change: Callable[[Any], None]) -> Callable[[pb.SubjectOutcomes], None]:
    return lambda told: change(told.outcomes[0])


TAMPERED: list[Callable[[pb.SubjectOutcomes], None]] = [
    _row(lambda row: setattr(row.outcome, "salt", b"\1" * 32)),
    _row(lambda row: setattr(row.outcome, "record", row.outcome.record[:-1])),
    _row(lambda row: setattr(row, "index", row.index + 1)),
    _row(lambda row: row.path.__delitem__(0)),
    lambda told: told.outcomes.append(told.outcomes[0]),
    lambda told: told.ClearField("outcomes"),
    lambda told: told.ClearField("entries"),
    _row(lambda row: setattr(row.finding, "outcome_id", "O000006")),
    lambda told: setattr(told.batch, "payload", told.batch.payload[:-1] + b"\0"),
    lambda told: told.batch.signatures[0].__setattr__("sig", b"\0" * 64),
]


@pytest.mark.processes
async def test_the_subjects_report_shows_them(tmp_path: Path, database_url: str) -> None:
    """The enterprise's report shows the rows about it, and nobody else's, proven under the batch's root and the log's
    head; a bent proof is refused; an account without any still holds.
    """
    async with city(tmp_path, database_url=database_url) as world:
        story, sent = await tell_and_lend(world)
        folder, history = await story.ask(product="")
        ((reported,)) = history.reported
        assert [row.taxpayer_id for row in reported.outcomes] == [WRONG]
        assert (reported.batch.digest, reported.recorded.entry.kind) == (sent.digest, "outcomes.recorded")
        assert reported.finding(reported.outcomes[0].outcome_id) is None
        # Nothing of what came with it in the batch: neither rows nor their ids.
        shown = b"".join(a.SerializeToString() for a in folder.answers if a.HasField("outcomes"))
        assert not any(f"O{n:06d}".encode() in shown for n in (5, 6, 8))
        (_, narrow) = await story.ask()
        assert not narrow.reported

        asked = folder.asked.question
        for change in TAMPERED:
            answers = [pb.FindSubjectResponse.FromString(a.SerializeToString()) for a in folder.answers]
            change(next(a.outcomes for a in answers if a.HasField("outcomes")))
            with pytest.raises(VerificationError):
                verify(answers, asked, story.policy)
        without = [a for a in folder.answers if not a.HasField("outcomes")]
        assert not verify(without, asked, story.policy).reported

        settings = story.auditor.path / "party.toml"
        settings.write_text(settings.read_text() + f'\n[auditor]\nbureaus = ["{BUREAU}"]\n')
        report = ("subject-report", WRONG, "--home", story.auditor.path, "--purpose", "asked by the subject")
        (row,) = (await ok("xinyi-audit", *report, "--format", "json")).json["outcomes"]
        assert row["bank"] == f"{CITY}/bank-1"
        assert (row["outcome"]["loan"]["reference"], row["outcome"]["amount"]) == ("L7", "500000000")
        text = await ok("xinyi-audit", *report, "--lang", "en")
        assert "Single loans that banks reported with the subject's authorisation" in text.out
        assert "5,000,000.00 CNY" in text.out
        page = tmp_path / "report.html"
        await ok("xinyi-audit", *report, "--format", "html", "--lang", "zh", "-o", page)
        assert "经主体授权报送的信贷明细" in page.read_text()
        assert "放款" in page.read_text()

        # The bureau sees no loans here: the agreement does not show them to it.
        theirs = ("--home", world.homes[MAKER].path, "--purpose", "own records", "--format", "json")
        policy = tmp_path / "policy.toml"
        await ok("xinyi-audit", "policy", "--home", story.auditor.path, "--bureau", BUREAU, "-o", policy)
        own = await ok("xinyi-audit", "subject-report", WRONG, *theirs, "--policy", policy)
        assert own.json["outcomes"] == []
