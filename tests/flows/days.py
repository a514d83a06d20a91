"""One clock for everybody in this process: gateway, bureau, banks, auditor live on the same day in China."""

from __future__ import annotations

import time
from datetime import date

import pytest

from xinyi.days import begin_of, today


class Days:
    """Moves the clock that all programs read; it runs on from there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._shift_ns, real = 0, time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() + self._shift_ns)

    def on(self, day: date, hour: int = 10, minute: int = 0) -> None:
        moment_ms = begin_of(day) + (hour * 60 + minute) * 60_000
        self._shift_ns += moment_ms * 1_000_000 - time.time_ns()

    def advance(self, *, hours: float) -> None:
        self._shift_ns += int(hours * 3_600_000_000_000)

    @property
    def today(self) -> date:
        return today()
