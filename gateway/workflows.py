"""Durable execution: the only module that knows DBOS. An attempt at a delivery survives kill -9 at any point.

One workflow is one attempt; the pause before the next is no workflow, so that a bank that cannot be reached
takes no turn from the others. What is here proposes; uniqueness in the database disposes: an attempt that was
interrupted is made again. Step inputs are ids, never rows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID
from sqlalchemy import make_url

from xinyi.errors import ExchangeError

#: Bump only when the steps below change; work of another version is never recovered by itself.
WORKFLOW_VERSION = "2"
QUEUE = "deliveries"
#: A worker that gave no sign for this long is dead and its work is resumed here.
DEAD_AFTER_S = 30.0
#: How often an attempt is begun again that ended without saying how.
MAX_RESTARTS = 5
#: The database's blinks last seconds: so often, and so long, a step is repeated before its workflow fails.
BLINKS, BLINK_S = 3, 1.0
#: The engine takes lower numbers first.
URGENT, NORMAL = 1, 2
PURGE_EVERY_S = 3600.0
#: How often the engine asks its database for work: at a fifth of a second it took a core's twentieth, idle.
POLL_S = 0.5

_LIVING = ("ENQUEUED", "DELAYED", "PENDING", "SUCCESS")
_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")

log = structlog.get_logger()


@dataclass(frozen=True)
class Steps:
    """What is done about a delivery. Each takes a delivery id.

    `attempt` tries once; when it returns, what became of it is durable, and the delivery is due no more or
    under another name. `give_up` records, with a code, that nothing more is tried.
    """

    attempt: Callable[[str], None]
    give_up: Callable[[str, str], None]


class Workflows:
    """Args:
    url: database of its own for the workflow engine.
    worker: stable name of this process among those that share the database.
    workers: attempts at one time, over all banks; one bank has one at a time.
    due: what ought to be running, "<delivery id>.…" with its queue partition and whether it goes before what waits
        there: swept in regularly.
    beat: notes that this worker lives; returns the workers that do.
    keep: finished workflows are forgotten after this; None keeps them.
    """

    def __init__(
        self,
        url: str,
        worker: str,
        steps: Steps,
        *,
        workers: int,
        due: Callable[[], Sequence[tuple[str, str, bool]]],
        beat: Callable[[], set[str]],
        sweep_s: float = 5.0,
        keep: timedelta | None = None,
    ) -> None:
        self._steps = steps
        self._due = due
        self._beat = beat
        self._sweep_s = sweep_s
        self._keep = keep
        self._purged_at = float("-inf")
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._worker = worker
        engine = make_url(url)
        if engine.get_backend_name() == "postgresql":
            engine = engine.set(drivername="postgresql+psycopg")
        config: DBOSConfig = {
            "name": "xinyi-gateway",
            "system_database_url": engine.render_as_string(hide_password=False),
            "application_version": WORKFLOW_VERSION,
            "executor_id": worker,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "ERROR",
            "enable_otlp": False,
            "use_listen_notify": False,
        }
        DBOS(config=config)
        self._workflow = _register(steps, self.wake)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=workers, partition_concurrency=1, polling_interval_sec=POLL_S
        )
        self._thread = threading.Thread(target=self._supervise, name="workflow-supervisor", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Sweep now: something became due."""
        self._wake.set()

    def close(self) -> None:
        self._stopping.set()
        self._wake.set()
        self._thread.join(timeout=10)
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=0)

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                self.sweep()
            except Exception:  # the loop must outlive a blink of the database
                log.exception("workflows.sweep_failed")
            self._wake.wait(self._sweep_s)
            self._wake.clear()

    def sweep(self) -> None:
        """Starts what is due and not running, and resumes the work of dead workers.

        A crash between a delivery's commit and its start is mended here. Starting twice is harmless: a
        workflow id is the attempt's, so the second start finds the first.
        """
        living = self._beat()
        running = DBOS.list_workflows(status=["PENDING"], load_input=False, load_output=False)
        orphans = [w.workflow_id for w in running if w.executor_id and w.executor_id not in living]
        if orphans:
            log.warning("workflows.resumed", count=len(orphans))
            # Through the queue: it is the queue that keeps one bank to one attempt at a time.
            DBOS.resume_workflows(orphans, queue_name=QUEUE)
        for attempt, partition, urgent in self._due():
            self._start(attempt, partition, urgent=urgent)
        if self._keep is not None and time.monotonic() - self._purged_at > PURGE_EVERY_S:
            self._purge(self._keep)
            self._purged_at = time.monotonic()

    def _start(self, attempt: str, partition: str, *, urgent: bool) -> None:
        known = DBOS.list_workflows(workflow_id_prefix=f"{attempt}.", load_input=False, load_output=False)
        if any(workflow.status in _LIVING for workflow in known):
            return
        delivery_id = attempt.partition(".")[0]
        if known:
            log.error("alarm.attempt_lost", delivery=delivery_id, times=len(known))
        if len(known) > MAX_RESTARTS:
            self._steps.give_up(delivery_id, "internal")
            return
        options = SetEnqueueOptions(queue_partition_key=partition, priority=URGENT if urgent else NORMAL)
        with SetWorkflowID(f"{attempt}.{len(known)}"), options:
            DBOS.enqueue_workflow(QUEUE, self._workflow, delivery_id)

    def _purge(self, keep: timedelta) -> None:
        """Nothing is lost: what an attempt did stands in the log."""
        before = (datetime.now(UTC) - keep).isoformat()
        count = 0
        while old := DBOS.list_workflows(
            status=list(_ENDED), completed_before=before, limit=500, load_input=False, load_output=False
        ):
            DBOS.delete_workflows([workflow.workflow_id for workflow in old])
            count += len(old)
        if count:
            log.info("workflows.purged", count=count)


def _register(steps: Steps, ended: Callable[[], None]) -> Callable[[str], None]:
    @DBOS.step(
        name="attempt",
        retries_allowed=True,
        max_attempts=BLINKS,
        interval_seconds=BLINK_S,
        backoff_rate=2.0,
        should_retry=lambda error: not isinstance(error, ExchangeError),
    )
    def attempt(delivery_id: str) -> None:
        steps.attempt(delivery_id)

    @DBOS.workflow(name="deliver")
    def deliver(delivery_id: str) -> None:
        attempt(delivery_id)
        ended()  # another may have waited for its turn at this bank

    return deliver
