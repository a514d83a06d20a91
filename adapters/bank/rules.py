"""The bank's own rules about records it takes, and the tally of what they did. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from adapters.bank.settings import RuleSettings
from xinyi.checks import MAX_ISSUES
from xinyi.grade_columns import GradeColumns
from xinyi.v1 import edition_pb2, exchange_pb2, records_pb2

IDENTIFIER_KIND = "bank.identifier_kind"
NAME_LENGTH = "bank.name_length"


class BankRules:
    def __init__(self, settings: RuleSettings) -> None:
        self._kinds = settings.kinds
        self._longest = settings.max_name_length
        self._max_percent = settings.max_refused_percent

    def verdicts(self, records: GradeColumns) -> list[str | None]:
        """Per record the rule that refuses it, or None."""
        if not self._kinds and not self._longest:
            return [None] * records.size
        return [self._verdict(records.record(place)) for place in range(records.size)]

    def _verdict(self, record: records_pb2.GradeRecord) -> str | None:
        if record.gone:
            return None
        if self._kinds and record.identifier_kind not in self._kinds:
            return IDENTIFIER_KIND
        if self._longest and max(map(len, record.names)) > self._longest:
            return NAME_LENGTH
        return None

    def too_many(self, tally: Tally, records: int) -> bool:
        """Whether the edition is refused as a whole. Args: records — that there are after it, at least one."""
        return tally.rejected == records or tally.rejected * 100 > self._max_percent * records


@dataclass
class Tally:
    accepted: int = 0
    rejected: int = 0
    #: The first 10,000, ascending by blinded key.
    issues: list[exchange_pb2.RecordIssue] = field(default_factory=list)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, size: int, refused: Iterable[tuple[str, bytes]]) -> None:
        """Counts the records of a chunk. Args: refused — rule and blinded key of each, ascending by key."""
        told = list(refused)
        self.accepted += size - len(told)
        self.rejected += len(told)
        self.rules.update(rule for rule, _ in told)
        room = MAX_ISSUES - len(self.issues)
        self.issues += [exchange_pb2.RecordIssue(blinded_key=key, rule=rule) for rule, key in told[:room]]

    def rule_counts(self) -> list[edition_pb2.RuleCount]:
        return [
            edition_pb2.RuleCount(rule=rule, outcome=edition_pb2.ROW_OUTCOME_REJECTED, rows=rows)
            for rule, rows in sorted(self.rules.items())
        ]
