"""Runs the parties' programs as processes of their own: exit code, standard output, standard error."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

_ENTRIES = {
    "xinyi-bank": "adapters.bank.cli",
    "xinyi-bureau": "adapters.bureau.cli",
    "xinyi-audit": "adapters.auditor.cli",
    "xinyi-gateway": "gateway.cli",
}


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


async def run(program: str, *arguments: object) -> Outcome:
    """Beside a gateway that serves in this process's event loop."""
    command = [sys.executable, "-c", f"from {_ENTRIES[program]} import main; main()", *map(str, arguments)]

    def work() -> Outcome:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(work)


async def ok(program: str, *arguments: object) -> Outcome:
    done = await run(program, *arguments)
    assert done.code == 0, (program, arguments, done)
    return done
