"""Prometheus metrics of the gateway. No label ever holds a party's data or a taxpayer's."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CALLS = Histogram(
    "xinyi_call_seconds",
    "Finished calls by method and gRPC status",
    ["method", "status"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60),
)
REFUSALS = Counter("xinyi_refusals_total", "Refused calls by method and error code", ["method", "code"])
DELIVERIES = Counter("xinyi_deliveries_total", "Deliveries by what became of them", ["outcome"])
WATCHES = Gauge("xinyi_watches_open", "Streams on which banks wait for what there is to pull")
LOG_SIZE = Gauge("xinyi_log_size", "Leaves covered by the newest signed checkpoint")
LOG_SIGNED_AT = Gauge(
    "xinyi_log_signed_timestamp_seconds", "When the newest checkpoint was signed or confirmed"
)


def observe(method: str, status: str, seconds: float) -> None:
    CALLS.labels(method, status).observe(seconds)
