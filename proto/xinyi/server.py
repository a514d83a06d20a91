"""How any party serves: mutual TLS, caller identity, errors → status, health, log context.

The order of the pieces is the order in `serve`. Domain code below raises `ExchangeError`; nothing else
writes a status.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from xinyi.errors import ExchangeError, Invalid, NotAuthenticated, Unavailable

CODE_KEY = "xinyi-code"
BASIS_KEY = "xinyi-basis-bin"
REFUSAL_KEY = "xinyi-refusal-bin"
MAX_MESSAGE_BYTES = 8 << 20

# Every part is a DNS label: what is no name of a party never gets as far as a log entry.
_NAME = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
_HOLDER = re.compile(rf"xinyi://{_NAME}/{_NAME}/(?:machine|person)/{_NAME}")

log = structlog.get_logger()

#: Called once per finished call: method, gRPC status name, seconds.
Observer = Callable[[str, str, float], None]


@dataclass(frozen=True)
class TlsFiles:
    """PEM files of one party's TLS identity; `ca` is what the other side's certificate must chain to."""

    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True)
class Caller:
    """Who is on the other end of the TLS connection: the certificate says, never a field."""

    #: "xinyi://<city>/<party>/<machine or person>/<name>"
    holder: str

    @property
    def party(self) -> str:
        city, party = self.holder.removeprefix("xinyi://").split("/")[:2]
        return f"{city}/{party}"

    @property
    def is_person(self) -> bool:
        return self.holder.split("/")[-2] == "person"


def caller(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """Raises NotAuthenticated where the certificate names no party."""
    names = [
        name.decode("utf-8", "replace")
        for name in context.auth_context().get("x509_subject_alternative_name", ())
        if name.startswith(b"xinyi://")
    ]
    if len(names) != 1 or _HOLDER.fullmatch(names[0]) is None:
        raise NotAuthenticated("the TLS certificate names no party", basis="certificate.uri")
    return Caller(names[0])


class _Border(grpc.aio.ServerInterceptor):
    """Turns a raised ExchangeError into a status with trailers, and anything else into a bare INTERNAL.

    One of the places where a broad except is right: nothing of an unexpected error may reach the peer.
    """

    def __init__(self, observe: Observer | None) -> None:
        self._observe = observe

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:
            return None
        method = details.method
        if handler.response_streaming:
            wrap = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            inner = handler.stream_stream or handler.unary_stream
            if iscoroutinefunction(inner):  # gRPC's own Health.Watch: it writes its answers itself
                return handler
            return wrap(
                self._streaming(method, inner), handler.request_deserializer, handler.response_serializer
            )
        wrap = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        inner = handler.stream_unary or handler.unary_unary
        return wrap(self._unary(method, inner), handler.request_deserializer, handler.response_serializer)

    def _unary(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            started = time.perf_counter()
            try:
                response = await inner(request, context)
            except Exception as error:
                await self._abort(method, context, error, started)
                raise
            self._seen(method, "OK", started)
            return response

        return call

    def _streaming(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            started = time.perf_counter()
            try:
                async with aclosing(inner(request, context)) as responses:
                    async for response in responses:
                        yield response
            except Exception as error:
                await self._abort(method, context, error, started)
                raise
            self._seen(method, "OK", started)

        return call

    def _seen(self, method: str, status: str, started: float) -> None:
        if self._observe is not None:
            self._observe(method, status, time.perf_counter() - started)

    async def _abort(self, method: str, context: Any, error: Exception, started: float) -> None:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        if isinstance(error, ExchangeError):
            self._seen(method, error.status.name, started)
            log.info(
                "call.refused",
                method=method,
                code=error.code,
                basis=error.basis,
                explanation=error.explanation,
            )
            trailers: list[tuple[str, str | bytes]] = [
                (CODE_KEY, error.code),
                (BASIS_KEY, error.basis.encode()),
            ]
            if error.sealed:
                trailers.append((REFUSAL_KEY, error.sealed))
            await context.abort(error.status, error.explanation, trailing_metadata=tuple(trailers))
        self._seen(method, "INTERNAL", started)
        log.exception("call.failed", method=method)
        await context.abort(grpc.StatusCode.INTERNAL, "internal error; the operator's log says more")


class Health:
    """What gRPC health says of a server: not serving until its owner says so, and never again after `end`."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()

    async def set(self, *, serving: bool) -> None:
        status = health_pb2.HealthCheckResponse
        await self.servicer.set("", status.SERVING if serving else status.NOT_SERVING)

    async def end(self) -> None:
        await self.servicer.enter_graceful_shutdown()


#: add_…Servicer_to_server function and the servicer it registers.
Registration = tuple[Callable[[Any, Any], None], Any]


async def serve(
    address: str,
    tls: TlsFiles,
    services: Sequence[Registration],
    *,
    observe: Observer | None = None,
    reflection: Sequence[str] = (),
    healthy: Health | None = None,
) -> tuple[grpc.aio.Server, int]:
    """Starts a server that demands a client certificate of our CA. Returns it and the bound port.

    Raises what `listening` raises.

    Args:
        address: "host:port"; port 0 takes a free one.
        reflection: full service names to reflect; empty (the default) switches reflection off.
        healthy: what health says, where the owner knows better than "it serves from the start".
    """
    server = grpc.aio.server(
        interceptors=[_Border(observe)],
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.so_reuseport", 0),
            ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    for register, servicer in services:
        register(servicer, server)
    told = healthy if healthy is not None else Health()
    await told.set(serving=healthy is None)
    health_pb2_grpc.add_HealthServicer_to_server(told.servicer, server)
    if reflection:
        from grpc_reflection.v1alpha import reflection as grpc_reflection

        grpc_reflection.enable_server_reflection((*reflection, grpc_reflection.SERVICE_NAME), server)
    credentials = grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=tls.ca.read_bytes(),
        require_client_auth=True,
    )
    with listening(address):
        port = server.add_secure_port(address, credentials)
    await server.start()
    return server, port


def is_address(text: str) -> bool:
    """Whether it is host:port. gRPC takes a port of its own choice where none is named."""
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdecimal() and int(port) <= 65535


@contextmanager
def listening(address: str) -> Iterator[None]:
    """Around what binds it. Raises Invalid for what is no address, Unavailable where another has it."""
    if not is_address(address):
        raise Invalid(f"{address!r} is not host:port", basis="listen")
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError is all that gRPC tells
        raise Unavailable(
            f"{address} cannot be listened on: another process has it, or it is no address of this machine",
            basis="listen",
        ) from error
