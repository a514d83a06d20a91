"""Two programs of one bank learn of the log's growth at the same moment."""

from __future__ import annotations

import asyncio
import fcntl
import threading
from pathlib import Path

from adapters.bank.evidence import note_head
from tests.flows.test_changed_bytes import exchanged


async def test_a_head_that_another_program_took_meanwhile_is_no_lie(tmp_path: Path) -> None:
    """An offer's growth was proven from the head the bank held when it looked, and that is what counts."""
    async with exchanged(tmp_path) as x:
        state, evidence = x.bank.state / "head", x.answer.evidence
        state.write_bytes(x.head)

        def race() -> None:
            failures: list[Exception] = []

            def note() -> None:
                try:
                    note_head(x.bank, evidence)
                except Exception as error:
                    failures.append(error)

            with (x.bank.state / "head.lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                noting = threading.Thread(target=note)
                noting.start()
                noting.join(0.5)  # it has looked, and waits for the lock
                assert noting.is_alive()
                state.write_bytes(evidence.checkpoint)
            noting.join(10)
            assert failures == []

        await asyncio.to_thread(race)
        assert state.read_bytes() == evidence.checkpoint
