"""`verify-record` on what a state holds of one taxpayer, and on whose record it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit.story import Cast
from tests.audit.test_state_proof import state_proof, written
from tests.audit.year import Year
from tests.programs import ok, run
from tests.world import made_up_uscc


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return Cast(tmp_path_factory.mktemp("cast"))


async def test_a_state_proof_shows_the_record_or_that_there_is_none(tmp_path: Path, cast: Cast) -> None:
    """With the blinding key it says whose; another taxpayer's is refused, and half a question."""
    told = Year.begin(cast)
    told.story.bring_out(told.february())
    told.story.bring_out(told.march())
    (tmp_path / "policy.toml").write_bytes(cast.policy().dump())
    (tmp_path / "key").write_bytes(told.chain.blinding_key)
    for number, grade in ((1, "GRADE_A"), (4, None)):
        folder = written(tmp_path / str(number), state_proof(told, "march", number))
        words = ("verify-record", folder, "--policy", tmp_path / "policy.toml", "--json")
        about = ("--taxpayer", made_up_uscc(number), "--blinding-key", tmp_path / "key")
        shown = (await ok("xinyi-audit", *words, *about)).json
        assert shown["edition"] == told["march"].digest.hex()
        assert shown["record"] == "none" if grade is None else shown["record"]["grade"] == grade
        stranger = ("--taxpayer", made_up_uscc(5), "--blinding-key", tmp_path / "key")
        assert (await run("xinyi-audit", *words, *stranger)).code == 4
        assert "go together" in (await run("xinyi-audit", *words, *about[:2])).err
