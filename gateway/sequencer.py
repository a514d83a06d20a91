"""Keeps the log's published head close behind its newest entry, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import OperationalError

from audit.log import Log
from gateway.metrics import LOG_SIGNED_AT, LOG_SIZE
from xinyi.errors import VerificationError

#: Entries that come together are signed together: a checkpoint covers whatever gathered in this time.
GATHER_S = 0.05
#: Without a wake-up (another process logged something) the log is looked at this often.
IDLE_S = 0.5

logger = structlog.get_logger()


class Sequencer:
    """Args: fatal — called once when the log may no longer be signed; the gateway must stop."""

    def __init__(self, log: Log, fatal: Callable[[Exception], None]) -> None:
        self._log = log
        self._fatal = fatal
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)

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
                if head is not None:
                    LOG_SIZE.set(head.size)
                    LOG_SIGNED_AT.set(time.time())
            except OperationalError:
                logger.exception("log.database_away")  # tried again; nothing is lost
            except VerificationError as error:
                logger.critical("alarm.log_conflict", explanation=error.explanation)
                self._fatal(error)
                return
            except Exception as error:  # whatever it is: this thread never ends by itself
                logger.exception("alarm.log_stopped")
                self._fatal(error)
                return
            if stopping:
                return
            self._wake.wait(IDLE_S)
            self._wake.clear()
            time.sleep(GATHER_S)
