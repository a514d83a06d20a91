"""`watch`: a bank that nobody may dial is told at once, by a stream it holds open itself.

    stream open → catch up → told of something due → catch up → …
    stream cut, or no sign of life in time → poll, and try the stream again after growing pauses

Nothing is missed in between: what was published before the stream opened is found by catching up once it is open,
and what is published after that is told. A line that a firewall cuts in silence shows by the sign of life that
stays out.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import grpc
import structlog

from adapters.bank import metrics
from adapters.bank.client import BankClient, Watching
from xinyi.channel import restore
from xinyi.errors import ExchangeError, Unavailable, VerificationError
from xinyi.v1 import feed_service_pb2

log = structlog.get_logger()

#: Seconds until the stream is tried again after it broke, doubled each time it breaks early, up to the last.
PAUSE_S, LONGEST_PAUSE_S = 2.0, 600.0
#: Grace for a sign of life, and how long the first response may take.
GRACE_S, FIRST_S = 10.0, 30.0
#: A stream that held so long did not break early: firewalls that cut long ones leave it that.
HELD_S = 60.0


@dataclass(frozen=True)
class _Ended:
    """The stream is over. `error`: why, where it did not end by itself."""

    error: ExchangeError | None


_Item = feed_service_pb2.WatchResponse | _Ended | None


class Watch:
    """
    Args:
        open_client: a channel of its own for each time the stream is tried.
        catch_up: fetches, lands and confirms what there is; returns after how many seconds to ask again, at most.
    """

    def __init__(
        self,
        open_client: Callable[[], BankClient],
        products: Iterable[str],
        catch_up: Callable[[], float],
        *,
        pause_s: float = PAUSE_S,
        grace_s: float = GRACE_S,
    ) -> None:
        self._open_client = open_client
        self._products = list(products)
        self._catch_up = catch_up
        self._first_pause_s, self._pause_s = pause_s, pause_s / 2
        self._grace_s = grace_s
        self._stopping = threading.Event()
        #: Of the stream that is open; `None` in it says stop.
        self._told: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._newest_notice = b""

    def stop(self) -> None:
        """From a signal's handler or another thread: what is under way is finished first."""
        self._stopping.set()
        self._told.put(None)

    def run(self) -> None:
        """Until `stop`. Raises VerificationError: whoever is lied to calls a person."""
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                with self._open_client() as client:
                    self._hold(client)
            except VerificationError:
                raise
            except ExchangeError as error:
                log.warning("watch.broken", code=error.code, basis=error.basis, explanation=error.explanation)
            metrics.WATCHING.set(0)
            held_s = time.monotonic() - began
            self._pause_s = self._first_pause_s if held_s >= HELD_S else min(self._pause_s * 2, LONGEST_PAUSE_S)
            self._poll(self._pause_s)
        log.info("watch.stopped")

    def _hold(self, client: BankClient) -> None:
        """One stream, from its first response to its end. Raises Unavailable where it breaks."""
        told: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._told = told
        stream = client.watch(self._products)
        threading.Thread(target=_read, args=(stream, told), name="watch", daemon=True).start()
        within_s, opened = FIRST_S, False
        try:
            while not self._stopping.is_set():
                try:
                    item = told.get(timeout=within_s)
                except queue.Empty:
                    raise Unavailable("the stream gave no sign of life in time", basis="watch.silent") from None
                if item is None:
                    return
                if isinstance(item, _Ended):
                    raise item.error or Unavailable("the gateway ended the stream", basis="watch.ended")
                within_s = item.next_within_s + self._grace_s
                if not opened:
                    log.info("watch.open", products=self._products)
                    metrics.WATCHING.set(1)
                self._note(item.newest_notice)
                if item.due or not opened:
                    self._level()
                opened = True
        finally:
            stream.cancel()

    def _poll(self, pause_s: float) -> None:
        """Until the stream is tried again."""
        until = time.monotonic() + pause_s
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._stopping.wait(min(left, self._level()))

    def _level(self) -> float:
        """What fails now is tried again: a refusal of today may be none tomorrow, and a recall must still arrive.

        Returns seconds until then. Raises VerificationError.
        """
        try:
            again_s = self._catch_up()
        except VerificationError as error:
            metrics.CATCH_UPS.labels("false").inc()
            log.error("alarm.verification", code=error.code, basis=error.basis)
            raise
        except ExchangeError as error:
            metrics.CATCH_UPS.labels("later").inc()
            log.warning("watch.later", code=error.code, basis=error.basis, explanation=error.explanation)
            return max(self._pause_s, self._first_pause_s)
        metrics.CATCH_UPS.labels("level").inc()
        metrics.LEVEL_AT.set_to_current_time()
        return again_s

    def _note(self, newest: bytes) -> None:
        if newest and newest != self._newest_notice:
            log.info("watch.notice", notice=newest.hex()[:16], see="xinyi-bank notices")
        self._newest_notice = newest


def _read(stream: Watching, told: queue.SimpleQueue[_Item]) -> None:
    """Its own thread: reading cannot be given a time, waiting for what was read can."""
    error: ExchangeError | None = None
    try:
        for response in stream:
            told.put(response)
    except grpc.RpcError as broken:
        error = restore(broken)
    told.put(_Ended(error))
