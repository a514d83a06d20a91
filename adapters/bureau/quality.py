"""What became of every row: the counts that the manifest seals and the report explains."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from adapters.bureau.assessment import Assessed, Draft
from adapters.bureau.rules import LOST, RULE_SET, RULES, outcome_of
from adapters.tables.rules import ACCEPTED, OUTCOMES, WARNED, outcome_word
from xinyi.v1 import edition_pb2, records_pb2

#: What an identifier is → in words.
GROUPS = {
    "uscc": "valid USCC",
    "uscc_check": "18 characters, wrong check character",
    "uscc_form": "18 characters, not the form of a USCC",
    "old": "15 characters, old taxpayer number only",
    "both": "15 characters, taxpayer number and registration number",
    "registration": "15 characters, registration number only",
    "neither": "15 characters, neither",
    "other": "other lengths",
    "number": "made a number by a spreadsheet",
    "person": "like a natural person's",
    "none": "none, or the row is broken",
}
#: Row numbers shown for each rule; all of them stand in the CSV of rows to mend.
_SHOWN = 10


class Tally:
    def __init__(self) -> None:
        self.rows = 0
        self.merged = 0
        #: Of a file of changes: rows, not counting merged ones, that say what stood already.
        self.unchanged = 0
        #: Of a DELTA from a whole file: taxpayers whose record stands, because their rows decide nothing.
        self.kept = 0
        self.outcomes: Counter[int] = Counter()
        self.rules: Counter[str] = Counter()
        self.first_rows: defaultdict[str, list[int]] = defaultdict(list)
        #: (group, outcome) → rows
        self.groups: Counter[tuple[str, int]] = Counter()
        #: Identifiers that stand in several rows which became drafts, by what those rows are.
        self.repeated: Counter[str] = Counter()

    def add(self, other: Tally) -> None:
        """Takes over what was counted of later rows."""
        self.rows += other.rows
        self.merged += other.merged
        self.unchanged += other.unchanged
        self.kept += other.kept
        for own, counts in (
            (self.outcomes, other.outcomes),
            (self.rules, other.rules),
            (self.groups, other.groups),
            (self.repeated, other.repeated),
        ):
            own.update(counts)  # type: ignore[arg-type]
        for rule, rows in other.first_rows.items():
            self.first_rows[rule] = (self.first_rows[rule] + rows)[:_SHOWN]

    def count_clean(self, rows: int) -> None:
        self.rows += rows
        self.outcomes[ACCEPTED] += rows
        self.groups["uscc", ACCEPTED] += rows

    def count(self, row: Assessed) -> None:
        self.rows += 1
        self.outcomes[row.outcome] += 1
        self.groups[row.group, row.outcome] += 1
        for rule in row.rules:
            self.count_rule(rule, row.number)

    def count_repeated(self, drafts: Sequence[Draft], rule: str) -> None:
        """Rows of one identifier: merged into one record, or none of them becomes one, under a rule."""
        distinct = len({fingerprint for _, _, fingerprint, *_ in drafts})
        self.repeated["identifiers"] += 1
        self.repeated["rows"] += len(drafts)
        self.repeated["all_identical"] += distinct == 1
        self.repeated["some_identical"] += distinct < len(drafts)
        if not rule:
            self.merged += len(drafts) - 1
            self.repeated["became_one_record"] += 1
        else:
            self.repeated["quarantined"] += 1

    def recount(self, drafts: Sequence[Draft], rule: str) -> None:
        """Rows of one identifier end under one rule more, with its outcome where that is graver."""
        for _, number, _, warnings, record, _ in drafts:
            before = outcome_of(warnings.split())
            after = max(before, RULES[rule].outcome)
            group = _group_of(record, warnings)
            self.outcomes[before] -= 1
            self.outcomes[after] += 1
            self.groups[group, before] -= 1
            self.groups[group, after] += 1
            self.count_rule(rule, number)

    def count_rule(self, rule: str, number: int) -> None:
        self.rules[rule] += 1
        if len(self.first_rows[rule]) < _SHOWN:
            self.first_rows[rule].append(number)

    @property
    def records(self) -> int:
        """As many as the rows come to: in a file of changes, those that say what stood already not among them."""
        return self.outcomes[ACCEPTED] + self.outcomes[WARNED] - self.merged - self.unchanged

    def sealed(self) -> edition_pb2.Quality:
        """As the manifest states it."""
        return edition_pb2.Quality(
            rows=self.rows,
            merged=self.merged,
            rules=[
                edition_pb2.RuleCount(rule=rule, outcome=RULES[rule].outcome, rows=self.rules[rule])
                for rule in sorted(self.rules)
            ],
            rule_set=RULE_SET,
            unchanged=self.unchanged,
            kept=self.kept,
            **{outcome_word(outcome): self.outcomes[outcome] for outcome in OUTCOMES},
        )

    def report(self) -> dict[str, Any]:
        """The same for people and programs, with what the manifest leaves out."""
        return {
            "rule_set": RULE_SET,
            "rows": self.rows,
            "outcomes": {outcome_word(outcome): self.outcomes[outcome] for outcome in OUTCOMES},
            "merged": self.merged,
            "unchanged": self.unchanged,
            "kept": self.kept,
            "records": self.records,
            "identifiers": [
                {"group": group, "what": what, "rows": sum(by_outcome.values()), "outcomes": by_outcome}
                for group, what in GROUPS.items()
                if sum((by_outcome := {outcome_word(o): self.groups[group, o] for o in OUTCOMES}).values())
            ],
            "repeated": {
                word: self.repeated[word]
                for word in (
                    "identifiers",
                    "rows",
                    "all_identical",
                    "some_identical",
                    "became_one_record",
                    "quarantined",
                )
            },
            "rules": [
                {
                    "rule": rule,
                    "outcome": outcome_word(RULES[rule].outcome),
                    "rows": self.rules[rule],
                    "says": RULES[rule].says,
                    "first_rows": self.first_rows[rule],
                }
                for rule in sorted(self.rules)
            ],
        }


def lost_of(quality: edition_pb2.Quality) -> int:
    """Taxpayers that stood before and are left out, because no row about them was accepted."""
    return sum(count.rows for count in quality.rules if count.rule == LOST)


def _group_of(record: bytes, warnings: str) -> str:
    kind = records_pb2.GradeRecord.FromString(record).identifier_kind
    if kind == records_pb2.IDENTIFIER_KIND_USCC:
        return "uscc"
    if "id.two_readings" in warnings.split():
        return "both"
    return "old" if kind == records_pb2.IDENTIFIER_KIND_OLD_TAXPAYER_NUMBER else "registration"
