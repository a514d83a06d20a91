"""xinyi-bureau as scripts run it: real processes, exit codes, one line of JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import generate
from tests.programs import ok, run
from tests.world import APPROVER, MAKER, city

pytestmark = pytest.mark.processes


async def test_an_edition_by_commands(tmp_path: Path) -> None:
    """publish, review, approve, stop: each says in JSON what it did; a refusal has code 3 and prints nothing."""
    async with city(tmp_path) as world:
        bank = await world.bank("bank-1")
        maker, approver = (("--home", world.homes[person].path) for person in (MAKER, APPROVER))
        assert (await ok("xinyi-bureau", "check", *approver, "--json")).json == {"good": True, "problems": []}
        file = tmp_path / "list.csv"
        generate.write(file, 60, 1)
        of = ("--profile", "city-grades", "--product", "grade-a", "--period", "2019-04")
        published = (await ok("xinyi-bureau", "publish", file, *of, *maker, "--json")).json
        edition = published["manifest"]
        if published["outcome"] == "edition.held":
            released = await ok("xinyi-bureau", "release", edition, "--reason", "known", *approver, "--json")
            assert released.json == {"outcome": "edition.released", "manifest": edition}

        source = ("--source", file, "--profile", "city-grades")
        reviewed = (await ok("xinyi-bureau", "review", edition, *source, *approver, "--json")).json
        assert (reviewed["manifest"], reviewed["state"]) == (edition, "READY")
        assert (reviewed["counted_here"], reviewed["report_agrees"]) == (True, False)
        assert int(reviewed["record_count"]) == published["records"]

        nobody = await run("xinyi-bureau", "approve", edition, *approver, "--json")
        assert (nobody.code, nobody.out.strip(), "not approved" in nobody.err) == (7, "", True), "nobody to answer"
        needless = await run("xinyi-bureau", "approve", edition, "--yes", "--accept-lost", 5, *approver)
        assert (needless.code, "leave --accept-lost out" in needless.err) == (3, True)
        own = await run("xinyi-bureau", "approve", edition, "--yes", *maker, "--json")
        assert (own.code, own.out) == (3, "")
        approved = await ok("xinyi-bureau", "approve", edition, "--yes", *approver, "--json")
        assert approved.json == {"outcome": "edition.published", "manifest": edition}
        await ok("xinyi-bank", "fetch", "--home", bank.path)
        stopped = (
            await ok("xinyi-bureau", "stop", edition, "--reason", "wrong month", *maker, "--json")
        ).json
        assert (stopped["outcome"], stopped["manifest"]) == ("edition.stopped", edition)
        ((shown,),) = ([d["recipient"] for d in e["deliveries"]] for e in stopped["editions"])
        assert shown == bank.party
        for slip in (
            ("publish", file, *of[:-1], "April"),
            ("publish", file, *of, "--table", "grades"),
            ("publish", file, "--profile", "no-such", *of[2:]),
            ("review", edition[:3]),
        ):
            assert (await run("xinyi-bureau", *slip, *maker)).code == 2, slip
        for words, said in (
            (("publish", file, *of[:-1], "1999-01"), "periods begin with 2014-01"),
            (("publish", file, *of[:-1], "2999-01"), "that is to come"),
            (("publish", file, *of, "--kind", "quarterly"), "quarterly: an edition is full or delta"),
            (("comparison", "0" * 64), "no edition of this home begins so"),
            (("comparison", "0" * 5), "give six digits"),
        ):
            refused = await run("xinyi-bureau", *words, *maker)
            assert (refused.code, said in " ".join(refused.err.replace("│", " ").split())) == (2, True), refused.err
        cancelled = await run("xinyi-bureau", "cancel", edition, "--reason", "late", *maker, "--json")
        assert (cancelled.code, cancelled.out) == (3, "")
