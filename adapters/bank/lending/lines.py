"""The loans of a file as they stand at a period's end: what was granted or refused in it, and what is owed then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from adapters.bank.lending.reading import Block, LoanFile, LoanLine, Loans, Reliances, fill, rely
from xinyi.lending import first_day, last_day
from xinyi.v1 import lending_pb2

#: Days on which a loan was decided about.
_DECIDED = frozenset({"granted_on", "refused_on"})


class LoanLines:
    """The loans of a file as they stand at a period's end. Iterate once; `file.tally` is whole then.

    Raises Invalid where the profile is none of totals, and as the table does.
    """

    def __init__(self, file: LoanFile, period: lending_pb2.LendingPeriod, reliances: Reliances) -> None:
        file.profile.check_table()
        self.file = file
        self._reliances = reliances
        self._loans = Loans(file.profile.given)
        self._within = (first_day(period).isoformat(), last_day(period).isoformat())
        within = file.profile.within_period
        #: Days of which none lies behind the period's end.
        self._dated = sorted({*within.values(), *(_DECIDED & file.profile.given)})
        #: Of them those that say in which period a loan was granted.
        self._granted_on = sorted({day for flag, day in within.items() if flag != "refused"})

    def __iter__(self) -> Iterator[LoanLine]:
        for block in self.file.blocks():
            yield from self._lines(block)

    def _lines(self, block: Block) -> Iterator[LoanLine]:
        profile, tally = self.file.profile, self.file.tally
        self._find_later(block)
        shared = self._loans.shared(block)
        relied = rely(block, profile, self._reliances)
        flags = {field: self._in_period(block, date) for field, date in profile.within_period.items()}
        newly = self._flag(block, "newly_granted", flags)
        refused = self._flag(block, "refused", flags)
        counted = flags.get("granted")
        names, kinds = block.values["taxpayer_id"], block.kinds
        undated = self._find_undated(block)
        dismissed = [day is not None for day in block.column(profile.within_period.get("refused", ""))]
        columns = [block.column(name) for name in ("granted", "balance", "loan_class", "reference", "rate", "term")]
        clean = 0
        for place, (granted, balance, loan_class, reference, rate, term) in enumerate(zip(*columns, strict=True)):
            row = lending_pb2.LoanRow(newly_granted=newly[place], refused=refused[place], loan_class=loan_class)
            fill(row.loan, shared[place], reference, rate, term, relied[place])
            told = granted or balance
            if counted is not None and not counted[place]:
                if granted:
                    tally.read("granted", f"0: {profile.within_period['granted']} is not in the period")
                granted = 0
            row.granted, row.balance = granted or 0, balance or 0
            if relied[place].recalled:
                row.recalled, row.true_grade = True, relied[place].true_grade  # type: ignore[assignment]
            rules = block.rules.get(place, ())
            if place not in block.void:
                empty = dismissed[place] and not told
                broken = _standing(row, granted, balance, undated=bool(told) and undated[place], empty=empty)
                if broken:
                    rules = (*rules, broken)
            number = block.numbers[place]
            if not rules:
                clean += 1
            elif not self.file.end(number, rules, block.rows[place]) or rules[-1] == "row.nothing":
                continue
            yield LoanLine(number, names[place], kinds[place], row)
        tally.count_clean(clean)

    def _find_later(self, block: Block) -> None:
        """What was decided behind the period's end is of another export, or belongs to a later one."""
        last = self._within[1]
        for dated in self._dated:
            for place, day in enumerate(block.values[dated]):
                if day is not None and day > last and place not in block.void:
                    block.breaks(place, "row.after_period")

    def _find_undated(self, block: Block) -> list[bool]:
        """Rows that do not say when the loan was granted, though that decides what counts."""
        found = [False] * len(block.numbers)
        for dated in self._granted_on:
            found = [lacks or day is None for lacks, day in zip(found, block.values[dated], strict=True)]
        return found

    def _in_period(self, block: Block, field: str) -> list[bool]:
        first, last = self._within
        return [day is not None and first <= day <= last for day in block.values[field]]

    def _flag(self, block: Block, field: str, flags: Mapping[Any, list[bool]]) -> list[bool]:
        """By a column's word, by a date in the period, or by both."""
        told, dated = block.values.get(field), flags.get(field)
        if dated is None:
            return [bool(flag) for flag in told] if told is not None else [False] * len(block.numbers)
        date = self.file.profile.within_period[field]  # type: ignore[index]
        yes = sum(dated)
        self.file.tally.read(field, f"yes: {date} lies in the period", yes)
        self.file.tally.read(field, f"no: {date} does not lie in the period, or is not told", len(dated) - yes)
        return dated if told is None else [bool(flag) and day for flag, day in zip(told, dated, strict=True)]


def _standing(
    row: lending_pb2.LoanRow, granted: int | None, balance: int | None, *, undated: bool, empty: bool
) -> str:
    """The rule that the fields of a row break together; none where they hold.

    Args: undated — an amount without the day that says where it counts; empty — no amount, and refused some day.
    """
    if row.refused:
        return "row.refused" if row.granted or row.balance or row.newly_granted else ""
    if undated:
        return "row.granted_on"
    if empty and not row.newly_granted:
        return "row.nothing"
    if granted is None or balance is None:
        return "amount.missing"
    if row.newly_granted and not granted:
        return "row.granted"
    if balance and not row.loan_class:
        return "row.loan_class"
    return "" if granted or balance else "row.nothing"
