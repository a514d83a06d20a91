"""The list of kinds of entries that programs know is the one that the format documents, and every rule's."""

from __future__ import annotations

import re
from pathlib import Path

from audit.entries import KINDS
from audit.verification.meaning import _RULES

FORMAT = Path(__file__).parents[2] / "docs/evidence-format.md"


def test_the_kinds_are_those_of_the_format() -> None:
    """First column of the table of §4, and nothing else."""
    text = FORMAT.read_text(encoding="utf-8")
    table = text[text.index("| `gateway.founded`") : text.index("A pull names no `PullRequest`")]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    told = [kind for row in rows for kind in re.findall(r"`([a-z_.]+)`", row)]
    assert sorted(KINDS) == sorted(told)
    assert set(_RULES) <= set(KINDS)
