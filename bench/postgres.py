"""A durable throw-away PostgreSQL server for the bench; prints the URL of an empty database and waits."""

from __future__ import annotations

import signal
import sys

from tests.postgres import NoServer, Server

if __name__ == "__main__":
    try:
        server = Server(durable=True)
    except NoServer as reason:
        sys.exit(str(reason))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    print(f"database {server.create()}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()
