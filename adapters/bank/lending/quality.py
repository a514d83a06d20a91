"""What became of every row of a loan file, and how each value that is not what it says was read.

Rows that are not reported are kept with their cells in a private file, for the bank's operator to mend.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from adapters.bank.lending.rules import RULE_SET, RULES, outcome_of
from adapters.tables.rules import ACCEPTED, OUTCOMES, WARNED, WITHHELD, outcome_word
from xinyi import files
from xinyi.v1 import edition_pb2

#: Row numbers shown for each rule.
_SHOWN = 10


class Tally:
    def __init__(self) -> None:
        self.rows = 0
        self.outcomes: Counter[int] = Counter()
        self.rules: Counter[str] = Counter()
        self.first_rows: defaultdict[str, list[int]] = defaultdict(list)
        #: A bit for each row that is reported with a warning.
        self._warned = bytearray()
        #: (field, how it was read) → rows
        self.readings: Counter[tuple[str, str]] = Counter()

    def count_clean(self, rows: int) -> None:
        """Rows that broke no rule."""
        self.rows += rows
        self.outcomes[ACCEPTED] += rows

    def count(self, number: int, rules: Sequence[str]) -> edition_pb2.RowOutcome:
        outcome = outcome_of(rules)
        self.rows += 1
        self.outcomes[outcome] += 1
        if outcome == WARNED:
            place, bit = divmod(number, 8)
            if place >= len(self._warned):
                self._warned.extend(bytes(place + 1 - len(self._warned)))
            self._warned[place] |= 1 << bit
        for rule in rules:
            self.count_rule(rule, number)
        return outcome

    def recount(self, number: int, rule: str) -> None:
        """A row that was reported ends under one rule more, which other rows decide."""
        place, bit = divmod(number, 8)
        warned = place < len(self._warned) and self._warned[place] >> bit & 1
        before = WARNED if warned else ACCEPTED
        self.outcomes[before] -= 1
        self.outcomes[max(before, RULES[rule].outcome)] += 1
        self.count_rule(rule, number)

    def count_rule(self, rule: str, number: int) -> None:
        self.rules[rule] += 1
        if len(self.first_rows[rule]) < _SHOWN:
            self.first_rows[rule].append(number)

    def read(self, field: str, how: str, rows: int = 1) -> None:
        """Values that were interpreted. Args: how — quotes the profile, never a row."""
        if rows:
            self.readings[field, how] += rows

    def sealed(self) -> list[edition_pb2.RuleCount]:
        """As a table states it."""
        return [
            edition_pb2.RuleCount(rule=rule, outcome=RULES[rule].outcome, rows=self.rules[rule])
            for rule in sorted(self.rules)
        ]

    def report(self) -> dict[str, Any]:
        return {
            "rule_set": RULE_SET,
            "rows": self.rows,
            "outcomes": {outcome_word(outcome): self.outcomes[outcome] for outcome in OUTCOMES},
            "rules": [
                {
                    "rule": rule,
                    "outcome": outcome_word(RULES[rule].outcome),
                    "rows": self.rules[rule],
                    "says": RULES[rule].says,
                    "basis": RULES[rule].basis,
                    "first_rows": self.first_rows[rule],
                }
                for rule in sorted(self.rules)
            ],
            "readings": [
                {"field": field, "how": how, "rows": rows} for (field, how), rows in sorted(self.readings.items())
            ],
        }


class KeptRows:
    """A CSV of rows that are not reported, with what to do about each; of a person the mask alone.

    For its owner only. Written as the rows are read; where they were, the file of an earlier run is replaced.
    """

    def __init__(self, path: Path) -> None:
        files.make_directory(path.parent)
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._begun = False
        self._part.unlink(missing_ok=True)
        self._part.touch(mode=0o600)
        # With a mark: spreadsheets then read it.
        self._file = self._part.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)

    def __enter__(self) -> KeptRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if kind is None and self._begun:
            self._part.replace(self._path)
        else:
            self._part.unlink()

    def headings(self, headings: Iterable[str]) -> None:
        self._begun = True
        self._writer.writerow(["row", "outcome", "rules", "what to do", *headings])

    def add(self, number: int, rules: Sequence[str], cells: Sequence[str], identifier: int) -> None:
        """Args: identifier — place of the identifier among the cells."""
        outcome = outcome_of(rules)
        if outcome == WITHHELD:
            shown: Sequence[str] = [cells[identifier][:2] + "…"] if identifier < len(cells) else []
        else:
            shown = cells
        says = "; ".join(RULES[rule].says for rule in rules)
        with files.named(self._part):
            self._writer.writerow([number, outcome_word(outcome), " ".join(rules), says, *shown])
