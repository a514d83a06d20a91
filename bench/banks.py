"""Banks one after the other, each pulling the newest edition and taking its chunks off the wire, unread.

    python -m bench.banks PLACE FIRST LAST      prints the mean seconds of a bank

What it costs the gateway to serve one bank more; what a bank does with the chunks is measured elsewhere.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import grpc

from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from bench.founding import PRODUCT, bank, home_name
from xinyi.v1 import exchange_pb2, feed_service_pb2
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub


def take(home: Home) -> float:
    """Seconds from the bank's call to its last chunk; a connection that stands is not counted."""
    with GatewayClient(home) as client:
        stub = FeedServiceStub(client.channel)
        request = exchange_pb2.PullRequest(
            recipient=home.party,
            product=PRODUCT,
            requested_at_ms=time.time_ns() // 1_000_000,
            nonce=os.urandom(16),
        )
        call = client.call(request)
        grpc.channel_ready_future(client.channel).result(10)
        started = time.perf_counter()
        package = stub.Pull(feed_service_pb2.PullCall(call=call)).package
        delivery = exchange_pb2.Delivery.FromString(package.delivery.payload)
        chunks = stub.FetchChunks(feed_service_pb2.FetchChunksRequest(delivery_id=delivery.delivery_id))
        if not sum(1 for _ in chunks):
            raise ValueError("nothing was delivered")
        return time.perf_counter() - started


if __name__ == "__main__":
    place, first, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    numbers = range(first, last + 1)
    taken = [take(Home.open(place / home_name(bank(number)))) for number in numbers]
    print(json.dumps(sum(taken) / len(taken)))
