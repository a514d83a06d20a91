"""xinyi-bank report, reports, answer-question as a job scheduler and a person run them: files, exit codes, JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.bank.lending.kept import KeptTables
from audit import envelope
from tests.bank.lending.loan_files import loan, write_csv, write_sqlite
from tests.flows.test_delivery import until
from tests.flows.test_rights import entries
from tests.lending import firms_of, table_of
from tests.programs import ok, run
from tests.world import CITY, city
from xinyi.files import write_atomically
from xinyi.v1 import exchange_pb2

pytestmark = pytest.mark.processes

PROFILE = ("--profile", "loans")
Q1, Q2 = ("--period", "2018-Q1"), ("--period", "2018-Q2")


async def test_a_quarter_by_commands(tmp_path: Path) -> None:
    """A dry run sends nothing, where nobody can be asked nothing is sealed, a report is receipted once; one that
    corrects it follows."""
    rows = [loan(n) for n in range(1, 41)] + [
        loan(41, 放款日期="", 拒贷日期="2018-03-01", 放款金额="0", 贷款余额="0", 五级分类=""),
        loan(42, 放款金额="12.345"),
        loan(7),
    ]
    file = write_csv(tmp_path / "loans.csv", rows)
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        home, tables = ("--home", bank.path), KeptTables(bank)
        assert (await run("xinyi-bank", "reports", *home)).code == 7

        dry = (await ok("xinyi-bank", "report", file, *Q1, *PROFILE, "--dry-run", "--json", *home)).json
        assert dry["quality"]["outcomes"]["rejected"] == 1
        assert {one["rule"]: one["rows"] for one in dry["table"]["rules"]}["row.repeated"] == 1
        assert (dry["table"]["rows"], dry["table"]["firms"]) == (41, 41)
        total = dry["table"]["margins"]["total"]["all"]
        assert (total["loans"], total["granted"], total["refused"]) == (40, 40 * 100_000_000, 1)
        url = write_sqlite(tmp_path / "bank.db", rows)
        same = await ok("xinyi-bank", "report", url, "--table", "loans", *Q1, *PROFILE, "--dry-run", "--json", *home)
        assert same.json["table"]["margins"] == dry["table"]["margins"]
        shown = await ok("xinyi-bank", "report", file, *Q1, *PROFILE, "--dry-run", *home)
        assert "4,000" in shown.out, "40 loans of 100 万元"

        unasked = await run("xinyi-bank", "report", file, *Q1, *PROFILE, *home)
        assert (unasked.code, tables.all()) == (2, [])
        assert "--yes" in unasked.err

        report = ("report", file, *Q1, *PROFILE, "--yes", "--json", *home)
        sent = (await ok("xinyi-bank", *report)).json
        assert sent["state"] == "counted"
        assert isinstance(sent["log_index"], int)
        again = await run("xinyi-bank", *report)
        assert (again.code, again.json) == (7, sent)
        assert len(entries(world, "lending.counted")) == 1

        late = write_csv(tmp_path / "late.csv", rows[:40])
        command = ("report", late, *Q1, *PROFILE, "--yes", "--json", *home)
        conflict = await run("xinyi-bank", *command)
        assert conflict.code == 3
        assert "lending.conflict" in conflict.err
        assert (await run("xinyi-bank", *command, "--corrects", "f" * 5, "--reason", "?")).code == 3
        assert (await run("xinyi-bank", *command, "--corrects", sent["document"][:9])).code == 2
        corrects = ("--corrects", sent["document"][:9], "--reason", "an application was no one's")
        second = (await ok("xinyi-bank", *command, *corrects)).json
        listed = (await ok("xinyi-bank", "reports", *Q1, "--json", *home)).json
        assert [(one["document"], one["state"]) for one in listed["tables"]] == [
            (sent["document"], "corrected"),
            (second["document"], "counted"),
        ]
        assert (await run("xinyi-bank", "reports", "--as-of", "2018-01-01", *home)).code == 7
        for wrong in (("reports", "--as-of", "bogus"), ("outcomes", "--as-of", "2018-1-1")):
            assert (await run("xinyi-bank", *wrong, *home)).code == 2
        early = await run("xinyi-bank", "reports", "--period", "1800-Q1", *home)
        assert (early.code, "2014 to 2100" in early.err) == (2, True)


async def test_what_a_file_lacks_is_not_sealed_in_silence(tmp_path: Path) -> None:
    """Nothing but broken rows seals nothing; no row at all, and many that are left out, take somebody's word."""
    broken = [loan(n, 放款金额="12.345") for n in range(1, 4)]
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        tables = KeptTables(bank)

        async def report(rows: list[dict[str, str]], *more: object) -> tuple[int, str]:
            file = write_csv(tmp_path / "loans.csv", rows or [loan(1)])
            if not rows:
                file.write_text(file.read_text().splitlines()[0] + "\n")
            done = await run("xinyi-bank", "report", file, *PROFILE, "--home", bank.path, "--yes", *more)
            return done.code, done.err

        code, said = await report(broken, *Q1, "--nothing-lent")
        assert (code, "none of the 3 rows" in said) == (3, True)
        code, said = await report([], *Q1)
        assert (code, "--nothing-lent" in said) == (2, True)
        good = [loan(n) for n in range(10, 20)]
        assert (await report(good, *Q1, "--nothing-lent"))[0] == 2
        code, said = await report([*good, *broken], *Q1)
        assert (code, "--left-out-accepted 3" in said) == (3, True)
        assert (await report([*good, *broken], *Q1, "--left-out-accepted", 2))[0] == 3
        assert tables.all() == []
        assert (await report([*good, *broken], *Q1, "--left-out-accepted", 3))[0] == 0
        sealed = (bank.path / "lending/left-out-2018-Q1.csv").read_bytes()
        await report(good, *Q1, "--dry-run")
        assert (bank.path / "lending/left-out-2018-Q1.csv").read_bytes() == sealed
        assert (await report([], *Q2, "--nothing-lent"))[0] == 0
        assert [kept.message.rows for kept in tables.all()] == [10, 0]


async def test_a_question_is_answered_by_a_person(tmp_path: Path) -> None:
    """万元 in a 元 field: held, listed with its question, and counted once a person of the bank says it is right."""
    small = {"放款日期": "2018-05-02", "放款金额": "100.00", "贷款余额": "90"}
    file = write_csv(tmp_path / "loans.csv", [loan(n, **small) for n in range(1, 9)])
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        await world.report_terms(bank)
        person = await world.admit(f"xinyi://{CITY}/bank-1/person/liu-yang", "BANK")
        machine, home = ("--home", bank.path), ("--home", person.path)
        sent = await ok("xinyi-bank", "report", file, *Q2, *PROFILE, "--yes", *machine)
        assert "HELD" in sent.err
        assert "万元 in a 元 field" in sent.err
        [table] = (await ok("xinyi-bank", "reports", "--json", *machine)).json["tables"]
        assert table["state"] == "held"
        assert {question["rule"] for question in table["questions"]} == {"lending.plausible_amount"}
        assert "lending.plausible_amount" in (await ok("xinyi-bank", "reports", *machine)).out

        answer = ("answer-question", table["document"][:12], "--reason", "very small loans to stalls")
        assert (await run("xinyi-bank", *answer, *machine)).code == 3, "a machine cannot say so"
        done = (await ok("xinyi-bank", *answer, "--json", *home)).json
        assert done == {"outcome": "lending.confirmed", "document": table["document"]}
        assert (await ok("xinyi-bank", *answer, "--json", *home)).json == done, "the same bytes went out again"
        [table] = (await ok("xinyi-bank", "reports", "--json", *machine)).json["tables"]
        assert (table["state"], table["questions"]) == ("counted", [])


async def test_a_report_goes_by_folder(tmp_path: Path) -> None:
    """The same table, receipt and log proof, where files are all that travels."""
    file = write_csv(tmp_path / "loans.csv", [loan(n) for n in range(1, 9)])
    async with city(tmp_path) as world:
        folder = tmp_path / "front-end-node"
        folder.mkdir()
        bank = await world.bank("bank-1", exchange_pb2.CHANNEL_FOLDER, str(folder))
        agreement = await world.report_terms(bank)
        way = ("--wait", 30, "--folder", folder, "--home", bank.path)
        command = ("report", file, *Q1, *PROFILE, "--yes", "--json", *way)
        assert (await run("xinyi-bank", *command)).code == 2, "nobody tells what the agreement wants"
        with (bank.path / "party.toml").open("a") as toml:
            toml.write(f'\n[bank.reporting."{agreement}"]\ndimensions = ["grade", "guarantee", "size/GXB300"]\n')
        sent = (await ok("xinyi-bank", *command)).json
        assert sent["state"] == "counted"
        assert (await run("xinyi-bank", *command)).code == 7
        [kept] = KeptTables(bank).all()
        assert kept.path.name == sent["document"]
        [entry] = entries(world, "lending.counted")
        assert entry.documents[0] == kept.digest
        assert entry.actor == bank.settings.holder
        assert not list((folder / "answers").glob("*.refusal"))

        # A table of another bank is no report of this one, whoever sealed it.
        stranger = await world.bank("bank-2")
        table = envelope.seal(table_of(stranger, firms_of([500_000_000])), bank.signer())
        name = f"{envelope.digest(table).hex()}.1-table"
        write_atomically(folder / f"incoming/{name}.dsse", table.SerializeToString(deterministic=True))

        async def refused() -> bool:
            return (folder / f"answers/{name}.refusal").exists()

        await until(refused)
        assert len(entries(world, "lending.counted")) == 1
