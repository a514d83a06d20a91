"""Single loans with consent, from a bank's file to the gateway's receipt and back, by the bank's own program."""

from __future__ import annotations

import asyncio
import csv
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.bank.client import BankClient
from adapters.bank.lending import submission
from adapters.bank.lending.batch import KeptBatch
from adapters.party.home import Home
from gateway.office import agreements
from tests.bank.lending.loan_files import event, write_csv
from tests.outcomes import Batch, batch_of, list_outcomes, outcome, standing
from tests.programs import ok, run
from tests.world import OPERATOR, city
from xinyi.days import today
from xinyi.errors import Contradiction, NotEntitled
from xinyi.lending import check_outcome
from xinyi.terminal import Exit
from xinyi.v1 import lending_pb2

COUNTS = ("counted", "held", "repeated", "conflicts", "refused")


async def test_what_has_no_consent_stays_and_the_rest_arrives(tmp_path: Path) -> None:
    """Refused at the bank by rule and article and kept there with its cells; the others arrive, stage by stage."""
    rows = [
        event(1),
        event(1, 阶段="还款", 发生日期="2018-09-01", 发生金额="200000.55", 余额="299999.45"),
        event(2, 阶段="拒绝", 发生金额="", 余额="", 五级分类="", 拒贷原因="负债过高", 放款日期=""),
        event(3, 授权书摘要=""),
        event(4, 授权到期日="2018-06-30"),
        event(5, 授权书摘要="abc"),
        # Ids come of the loan and the stage: the same event again, and one of which two rows tell otherwise.
        event(1),
        event(6, 阶段="逾期", 逾期天数="31", 发生金额="1000"),
        event(7, 事件编号="own-id-7", 发生金额="0"),
        event(8),
        event(8, 发生日期="2018-03-02"),
        event(9, 授权书摘要=f"{6:064x}", 阶段="申请", 发生金额="", 余额="", 五级分类=""),
        event(10, 发生日期=(today() + timedelta(2)).isoformat()),
    ]
    file = write_csv(tmp_path / "events.csv", rows, "gb18030")
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        order = ("report-loans", file, "--profile", "loan-events", "--encoding", "gb18030", "--home", bank.path)
        looked_at = (await ok("xinyi-bank", *order, "--dry-run", "--json")).json
        assert looked_at["stages"] == {
            "applied": {"events": 1, "amount": 0},
            "disbursed": {"events": 1, "amount": 50_000_000},
            "overdue": {"events": 1, "amount": 100_000},
            "rejected": {"events": 1, "amount": 0},
            "repaid": {"events": 1, "amount": 20_000_055},
        }
        rules = {rule["rule"]: rule for rule in looked_at["quality"]["rules"]}
        assert {rule: one["rows"] for rule, one in rules.items()} == {
            "outcome.authorisation": 3, "outcome.repeated": 3, "outcome.amount": 1, "outcome.event_date": 1,
            "authorisation.shared": 2, "reliance.none": 12,
        }  # fmt: skip
        assert rules["outcome.authorisation"]["basis"] == "征信业管理条例 art. 29 ¶2"
        assert rules["outcome.authorisation"]["first_rows"] == [5, 6, 7]
        assert looked_at["quality"]["outcomes"] == {
            "accepted": 3, "warned": 2, "quarantined": 3, "rejected": 5, "withheld": 0,
        }  # fmt: skip
        (path,) = bank.path.glob(f"lending/outcomes/left-out-{looked_at['number']}.csv")
        with path.open(encoding="utf-8-sig", newline="") as kept:
            left = {row["row"]: row for row in csv.DictReader(kept)}
        assert sorted(left, key=int) == ["5", "6", "7", "8", "10", "11", "12", "14"]
        assert (left["12"]["rules"].split()[-1], left["12"]["发生日期"]) == ("outcome.repeated", "2018-03-02")
        # Nobody can be asked, nothing was sealed; only looked at, nothing was sent.
        assert (await run("xinyi-bank", *order)).code == Exit.USAGE
        assert not list(bank.path.glob("lending/outcomes/*/batch.dsse"))

        receipt = (await ok("xinyi-bank", *order, "--yes", "--json")).json
        assert [receipt[name] for name in COUNTS] == [5, 0, 0, 0, 0]
        assert receipt["log_index"] is not None
        found = {
            (one := lending_pb2.LendingOutcome.FromString(status.outcome.record)).outcome_id: one
            for status in await list_outcomes(bank)
        }
        for one in found.values():
            check_outcome(one)
        assert set(found) == {
            "L-000001.disbursed", "L-000001.repaid", "L-000002.rejected", "L-000006.overdue", "L-000009.applied",
        }  # fmt: skip
        assert found["L-000001.repaid"].balance == 29_999_945
        assert found["L-000002.rejected"].reason_code == "debt"
        assert found["L-000006.overdue"].days_overdue == 31
        assert found["L-000001.repaid"].authorisation.digest == (1).to_bytes(32, "big")


async def test_a_job_that_runs_twice(tmp_path: Path) -> None:
    """S4: forty loans again, one with another amount: 39 are the same, one conflicts and the old value stands, until
    a correction names it. The same file again is the same batch."""
    rows = [event(number) for number in range(1, 41)]
    changed = [*rows[:39], event(40, 发生金额="600000")]
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)

        async def report(name: str, rows: list[dict[str, str]], *more: str) -> list[int]:
            file = write_csv(tmp_path / name, rows)
            order = ("report-loans", file, "--profile", "loan-events", "--home", bank.path, "--yes", "--json")
            told = (await ok("xinyi-bank", *order, *more)).json
            return [told[name] for name in COUNTS]

        assert await report("first.csv", rows) == [40, 0, 0, 0, 0]
        again = ("report-loans", tmp_path / "first.csv", "--profile", "loan-events", "--home", bank.path, "--yes")
        assert (await run("xinyi-bank", *again)).code == Exit.NOTHING
        assert await report("second.csv", changed, "--number", "second-run") == [0, 0, 39, 1, 0]
        conflict = (await ok("xinyi-bank", "outcomes", "--state", "conflict", "--json", "--home", bank.path)).lines
        assert [(one["outcome"], one["amount"]) for one in conflict] == [("L-000040.disbursed", 60_000_000)]
        correction = event(40, 发生金额="600000", 事件编号="L-000040.disbursed-2", 更正事件编号="L-000040.disbursed")
        assert await report("third.csv", [correction]) == [1, 0, 0, 0, 0]
        states = await standing(bank)
        assert states["L-000040.disbursed"][0] == "CORRECTED"
        assert states["L-000040.disbursed-2"][0] == "COUNTED"

        # A number that another file has.
        other = write_csv(tmp_path / "other.csv", [event(50)])
        refused = await run(
            "xinyi-bank", "report-loans", other, "--profile", "loan-events", "--number", "second-run", "--yes",
            "--home", bank.path,
        )  # fmt: skip
        assert refused.code == Exit.REFUSED
        assert "second-run" in refused.err


async def test_what_is_refused_for_now_goes_again(tmp_path: Path) -> None:
    """While the agreement is suspended nothing is taken; the same sealed batch goes when it is in force again. One
    whose number another batch has is refused for good."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        identity = await world.report_terms(bank)
        kept = kept_batch(bank, batch_of(bank, [outcome(1)], "one"), "one")

        async def decide(decision: str) -> None:
            await world.gateway.door.run(lambda x: agreements.change_state(x, identity, decision, "letter", OPERATOR))

        def send(kept: KeptBatch) -> None:
            with BankClient(bank) as client:
                submission.send(client, kept)

        await decide("suspend")
        with pytest.raises(NotEntitled):
            await asyncio.to_thread(send, kept)
        assert not kept.refused
        await decide("resume")
        await asyncio.to_thread(send, kept)
        assert kept.receipt is not None
        second = kept_batch(bank, batch_of(bank, [outcome(2)], "one"), "second")
        with pytest.raises(Contradiction):
            await asyncio.to_thread(send, second)
        assert second.refused


def kept_batch(bank: Home, batch: Batch, folder: str) -> KeptBatch:
    """As the bank's program leaves a batch that it sealed and has not sent."""
    path = bank.path / "lending/outcomes" / folder
    path.mkdir(parents=True)
    (path / "batch.dsse").write_bytes(batch.sealed.SerializeToString(deterministic=True))
    with closing(sqlite3.connect(path / "chunks.db")) as chunks, chunks:
        chunks.execute("CREATE TABLE chunks (number INTEGER PRIMARY KEY, data BLOB NOT NULL)")
        chunks.executemany("INSERT INTO chunks VALUES (?, ?)", enumerate(batch.chunks))
    return KeptBatch.open(path)


async def test_units_mixed_up_are_held_and_shown(tmp_path: Path) -> None:
    """万元 in a column of yuan: the gateway holds each with a question, and the bank sees which."""
    rows = [event(number, 发生金额="50", 余额="50") for number in range(1, 4)]
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        file = write_csv(tmp_path / "events.csv", rows)
        order = ("report-loans", file, "--profile", "loan-events", "--home", bank.path, "--yes", "--json")
        sent = await ok("xinyi-bank", *order)
        told = sent.json
        assert [told[name] for name in COUNTS] == [0, 3, 0, 0, 0]
        assert {one["rule"] for one in told["findings"]} == {"outcome.plausible_amount"}
        assert "nothing of this batch was counted" in sent.err
        held = (await ok("xinyi-bank", "outcomes", "--state", "held", "--json", "--home", bank.path)).lines
        assert [one["rule"] for one in held] == ["outcome.plausible_amount"] * 3
        [batch] = (await ok("xinyi-bank", "reports", "--json", "--home", bank.path)).json["batches"]
        assert [one["outcome"] for one in batch["questions"]] == [f"L-00000{n}.disbursed" for n in (1, 2, 3)]
        assert (await run("xinyi-bank", "outcomes", "--state", "counted", "--home", bank.path)).code == Exit.NOTHING


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--profile", "loans", "--yes"), Exit.USAGE, "authorisation_digest"),
        (("--profile", "loan-events"), Exit.USAGE, "--yes"),
        (("--profile", "loan-events", "--json"), Exit.USAGE, "--yes"),
        (("--profile", "no-such", "--yes"), Exit.USAGE, "loan-events"),
        (("--profile", "loan-events", "--number", "A B", "--yes"), Exit.REFUSED, "batch.number"),
    ],
)
async def test_what_is_asked_wrongly_is_said(tmp_path: Path, arguments: tuple[str, ...], code: Exit, says: str) -> None:
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        file = write_csv(tmp_path / "events.csv", [event(1)])
        done = await run("xinyi-bank", "report-loans", file, *arguments, "--home", bank.path)
        assert done.code == code
        assert says in done.err
