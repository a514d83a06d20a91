"""Prometheus metrics of a bank's services. No label ever holds a party's data or a taxpayer's."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CALLS = Histogram(
    "xinyi_inbox_call_seconds",
    "Finished calls by method and gRPC status",
    ["method", "status"],
    buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 300),
)
EDITIONS = Counter("xinyi_inbox_editions_total", "Editions received whole and verified")
CHUNKS = Counter("xinyi_inbox_chunks_total", "Chunks verified and written")
BYTES = Counter("xinyi_inbox_bytes_total", "Bytes of these chunks")
WATCHING = Gauge("xinyi_watch_open", "1 while the stream of `watch` is open")
CATCH_UPS = Counter("xinyi_watch_catch_ups_total", "How catching up ended: level, later, false", ["end"])
LEVEL_AT = Gauge("xinyi_watch_level_timestamp_seconds", "When this bank was last level with the gateway")


def observe(method: str, status: str, seconds: float) -> None:
    CALLS.labels(method, status).observe(seconds)
