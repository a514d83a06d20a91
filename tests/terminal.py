"""Runs a program as its console command does, in this process: exit code, standard output, standard error."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest
import typer

from xinyi.terminal import run


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class Terminal:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, app: typer.Typer, *arguments: object) -> Outcome:
        self._monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run(app)
        out, err = self._capsys.readouterr()
        return Outcome(int(ended.value.code or 0), out, err)

    def ok(self, app: typer.Typer, *arguments: object) -> Outcome:
        outcome = self(app, *arguments)
        assert outcome.code == 0, outcome.err
        return outcome
