"""Keeps the log's published head close behind its newest entry, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, TimeoutError

from audit.log import Log
from gateway.metrics import LOG_SIGNED_AT, LOG_SIZE
from xinyi.errors import Unavailable, VerificationError

#: Entries that come together are signed together: a checkpoint covers whatever gathered in this time.
GATHER_S = 0.1
#: Without a wake-up (another process logged something) the log is looked at this often.
IDLE_S = 0.5

#: The database is away, full or read-only: tried again, nothing is lost, `age_s` grows.
_AWAY = (OperationalError, InterfaceError, InternalError, TimeoutError)

logger = structlog.get_logger()


class Sequencer:
    """Args: fatal — called once when the log may no longer be signed; the gateway must stop."""

    def __init__(self, log: Log, fatal: Callable[[Exception], None]) -> None:
        self._log = log
        self._fatal = fatal
        self._wake = threading.Event()
        self._stopping = False
        self._succeeded_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

    @property
    def age_s(self) -> float:
        """Seconds since the log was last found signed up to its newest entry."""
        return time.monotonic() - self._succeeded_at

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        """Signs what is left, then stops."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            stopping = self._stopping
            try:
                head = self._log.sequence()
                self._succeeded_at = time.monotonic()
                if head is not None:
                    LOG_SIZE.set(head.size)
                    LOG_SIGNED_AT.set(time.time())
            except _AWAY:
                logger.exception("log.database_away")
            except Unavailable as error:  # the log key's token or server; the same
                logger.error("log.signer_away", explanation=error.explanation)
            except Exception as error:  # a thread that ends unheard leaves a gateway that never signs again
                conflict = isinstance(error, VerificationError)
                logger.critical(
                    "alarm.log_conflict" if conflict else "alarm.log_stopped", exc_info=not conflict,
                    explanation=str(error) if conflict else type(error).__name__,
                )  # fmt: skip
                self._fatal(error)
                return
            if stopping:
                return
            self._wake.wait(IDLE_S)
            self._wake.clear()
            time.sleep(GATHER_S)
