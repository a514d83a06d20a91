"""What an operator's tools see: health, metrics, reflection, logs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sqlalchemy import text

from audit.keys import FileSigner, generate_private_key
from gateway import app
from gateway.app import Gateway, Service
from gateway.config import DOCUMENT
from tests.gateway.conftest import founded, home
from tests.world import GATEWAY, World, city
from xinyi.channel import dial_sync, server_name
from xinyi.errors import SignatureInvalid

__all__ = ["founded", "home"]  # fixtures


def channel(world: World) -> grpc.Channel:
    """The gateway's own certificate is one of its CA: enough for whoever watches it."""
    return dial_sync(world.address, world.gateway.settings.tls(), name=server_name(GATEWAY))


async def health(world: World) -> str:
    def ask() -> str:
        with channel(world) as open_channel:
            answer = health_pb2_grpc.HealthStub(open_channel).Check(
                health_pb2.HealthCheckRequest(), timeout=5
            )
            return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    return await asyncio.to_thread(ask)


async def until(world: World, status: str, patience_s: float = 15) -> None:
    for _ in range(int(patience_s / 0.2)):
        if await health(world) == status:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"health is not {status}")


async def test_health_says_what_the_gateway_can_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serving from the start; not while the log falls behind or the database cannot be read; never at the end."""
    async with city(tmp_path, bureau=False) as world:
        assert await health(world) == "SERVING"
        with monkeypatch.context() as patched:
            patched.setattr(app, "STALE_S", -1.0)
            await until(world, "NOT_SERVING")
        await until(world, "SERVING")
        with world.gateway.database.writing() as conn:
            conn.execute(text("ALTER TABLE parties RENAME TO elsewhere"))
        await until(world, "NOT_SERVING")
        with world.gateway.database.writing() as conn:
            conn.execute(text("ALTER TABLE elsewhere RENAME TO parties"))
        await until(world, "SERVING")

        watching = await asyncio.to_thread(channel, world)
        stream = health_pb2_grpc.HealthStub(watching).Watch(health_pb2.HealthCheckRequest(), timeout=20)
        seen = [(await asyncio.to_thread(next, stream)).status]
        stopping = asyncio.create_task(world.service.stop(grace_s=1))
        seen.append((await asyncio.to_thread(next, stream)).status)
        await stopping
        watching.close()
        status = health_pb2.HealthCheckResponse
        assert seen == [status.SERVING, status.NOT_SERVING]
        # What `city` stops at its end.
        world.service = Service(world.gateway)
        await world.service.start()


async def test_a_gateway_whose_seal_counts_nowhere_does_not_start(tmp_path: Path) -> None:
    """A key file that was exchanged on disk: nobody could verify an answer, so none is given."""
    async with city(tmp_path, bureau=False) as world:
        settings = world.gateway.settings
    generate_private_key(tmp_path / "other.pem")
    other = FileSigner.load(tmp_path / "other.pem", holder=settings.holder, purpose=DOCUMENT)
    (settings.home / "keys/document.pem").write_bytes((tmp_path / "other.pem").read_bytes())
    gateway = Gateway(settings)
    try:
        assert gateway.signer.key == other.key
        with pytest.raises(SignatureInvalid):
            await Service(gateway).start()
    finally:
        gateway.close()


async def test_reflection_shows_the_services_where_it_is_switched_on(tmp_path: Path) -> None:
    """And is not there otherwise."""

    def services(world: World) -> set[str]:
        with channel(world) as open_channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(open_channel)
            answers = stub.ServerReflectionInfo(
                iter([reflection_pb2.ServerReflectionRequest(list_services="")]), timeout=5
            )
            return {service.name for answer in answers for service in answer.list_services_response.service}

    async with city(tmp_path, bureau=False) as world:
        with pytest.raises(grpc.RpcError) as refused:
            await asyncio.to_thread(services, world)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        await world.service.stop(grace_s=0)
        world.gateway.settings = world.gateway.settings.model_copy(update={"reflection": True})
        world.service = Service(world.gateway)
        await world.service.start()
        assert await asyncio.to_thread(services, world) >= {"xinyi.v1.FeedService", "xinyi.v1.LogService"}


@pytest.mark.processes
@pytest.mark.parametrize("form", ["json", "readable"])
async def test_a_served_gateway_logs_and_counts(
    tmp_path: Path, home: Path, free_port: int, form: str
) -> None:
    """One event a line on standard error, in either form; Prometheus reads the log's age and the calls."""
    toml = (home / "gateway.toml").read_text().replace("127.0.0.1:7443", "127.0.0.1:0")
    toml = toml.replace('form = "json"', f'form = "{form}"')
    (home / "gateway.toml").write_text(f'{toml}\n[metrics]\nlisten = "127.0.0.1:{free_port}"\n')
    program = [sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--home", str(home)]
    process = subprocess.Popen(program, stderr=subprocess.PIPE, text=True)
    try:
        lines = await asyncio.to_thread(read_until, process, "gateway.fit")
        text_ = await asyncio.to_thread(scrape, free_port)
    finally:
        process.terminate()
        rest = process.communicate(timeout=30)[1]
    assert process.returncode == 0, rest
    if form == "json":
        events = [json.loads(line) for line in lines]
        assert {"gateway.serving", "gateway.fit"} <= {event["event"] for event in events}
        assert all({"level", "timestamp"} <= event.keys() for event in events)
    else:
        assert any("gateway.serving" in line and not line.startswith("{") for line in lines)
    assert "xinyi_log_signed_timestamp_seconds" in text_
    assert "xinyi_log_size 1.0" in text_


def read_until(process: subprocess.Popen[str], word: str) -> list[str]:
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError("".join(lines))


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text_: str = answer.read().decode()
    return text_
