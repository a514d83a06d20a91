"""Durable execution: the only module that knows DBOS. A delivery's workflow survives kill -9 at any step.

What is here proposes; uniqueness in the database disposes: running a step twice must be harmless, because
a step that was interrupted runs again. Step inputs are ids, never rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID
from sqlalchemy import make_url

from xinyi.errors import Unavailable

#: Bump only when the steps below change; work of another version is never recovered by itself.
WORKFLOW_VERSION = "1"
QUEUE = "deliveries"
#: A worker that gave no sign for this long is dead and its work is resumed here.
DEAD_AFTER_S = 30.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Steps:
    """What a delivery consists of. Each takes a delivery id.

    `offer` and `transfer` return "" or the code of an error that no retry will mend; `transfer` raises
    Unavailable where a retry may help; `bury` records that nothing more is tried.
    """

    offer: Callable[[str], str]
    transfer: Callable[[str], str]
    bury: Callable[[str, str], None]


@dataclass(frozen=True)
class Retrying:
    max_attempts: int
    backoff_s: float
    #: Deliveries at one time, over all banks; one bank has one at a time.
    workers: int


class Workflows:
    """Args:
    url: database of its own for the workflow engine.
    worker: stable name of this process among those that share the database.
    due: ids that ought to be running, with their queue partition: swept in regularly.
    beat: notes that this worker lives; returns the workers that do.
    """

    def __init__(
        self,
        url: str,
        worker: str,
        steps: Steps,
        retrying: Retrying,
        *,
        due: Callable[[], Sequence[tuple[str, str]]],
        beat: Callable[[], set[str]],
        sweep_s: float = 5.0,
    ) -> None:
        self._due = due
        self._beat = beat
        self._sweep_s = sweep_s
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
        self._workflow = _register(steps, retrying)
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=retrying.workers, partition_concurrency=1, polling_interval_sec=0.2
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

        A crash between a delivery's commit and its start is mended here. Starting twice is harmless: the
        workflow id is the delivery's, so the second start finds the first.
        """
        living = self._beat()
        running = DBOS.list_workflows(status=["PENDING"], load_input=False, load_output=False)
        orphans = [w.workflow_id for w in running if w.executor_id and w.executor_id not in living]
        if orphans:
            log.warning("workflows.resumed", count=len(orphans))
            DBOS.resume_workflows(orphans, queue_name=None)
        for workflow_id, partition in self._due():
            if DBOS.get_workflow_status(workflow_id) is not None:
                continue
            with SetWorkflowID(workflow_id), SetEnqueueOptions(queue_partition_key=partition):
                DBOS.enqueue_workflow(QUEUE, self._workflow, workflow_id.partition(".")[0])


def _register(steps: Steps, retrying: Retrying) -> Callable[[str], str]:
    @DBOS.step(name="offer")
    def offer(delivery_id: str) -> str:
        return steps.offer(delivery_id)

    @DBOS.step(
        name="transfer",
        retries_allowed=True,
        max_attempts=retrying.max_attempts,
        interval_seconds=retrying.backoff_s,
        backoff_rate=2.0,
        should_retry=lambda error: isinstance(error, Unavailable),
    )
    def transfer(delivery_id: str) -> str:
        return steps.transfer(delivery_id)

    @DBOS.step(name="bury")
    def bury(delivery_id: str, code: str) -> None:
        steps.bury(delivery_id, code)

    @DBOS.workflow(name="deliver")
    def deliver(delivery_id: str) -> str:
        code = offer(delivery_id)
        if not code:
            try:
                code = transfer(delivery_id)
            except Exception as error:  # attempts are used up, or replayed as a portable error
                log.warning("delivery.given_up", delivery=delivery_id, error=type(error).__name__)
                code = "unavailable"
        if code:
            bury(delivery_id, code)
        return code

    return deliver
