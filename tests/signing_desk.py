"""A bank's signature server for tests: real HTTP or HTTPS in a thread, honest unless told otherwise."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from audit import certificates
from audit.keys import ECDSA_P256, FileSigner, generate_private_key
from gateway.authority import Authority
from xinyi.v1 import party_pb2

HOLDER = "xinyi://test-city/signing-desk/machine/main"


@dataclass
class Desk:
    """What a running server does, and what it was asked to sign."""

    url: str
    place: Path
    signers: dict[str, FileSigner]
    asked: list[bytes] = field(default_factory=list)
    #: Answered instead of a signature, with its status.
    answer: tuple[int, bytes] | None = None
    pause_s: float = 0.0

    def toml(self, *keys: str, **changes: str | float) -> str:
        """[signing] of a home whose keys are these."""
        place: dict[str, str | float] = {"url": self.url}
        if self.url.startswith("https"):
            place |= {
                n: str(self.place / f)
                for n, f in zip(PINS, ("ca.crt", "client.crt", "client.pem"), strict=True)
            }
        lines = [f"{n} = {v if isinstance(v, float) else repr(v)}" for n, v in (place | changes).items()]
        listed = ", ".join(f'"{key}"' for key in keys)
        public = [f'{n} = "{base64.b64encode(s.key.spki).decode()}"' for n, s in self.signers.items()]
        return "\n".join(
            [
                f"[signing]\nkeys = [{listed}]\n\n[signing.server]",
                *lines,
                "\n[signing.server.public_keys]",
                *public,
                "",
            ]
        )


PINS = ("ca", "certificate", "private_key")


@contextmanager
def signing_desk(
    place: Path,
    *names: str,
    algorithm: party_pb2.KeyAlgorithm = party_pb2.KEY_ALGORITHM_ED25519,
    tls: bool = True,
) -> Iterator[Desk]:
    """Serves the keys of these names; with TLS it admits nobody without a certificate of its CA."""
    place.mkdir()
    for name in names:
        generate_private_key(place / f"{name}.pem", algorithm)
    signers = {
        name: FileSigner.load(place / f"{name}.pem", holder=HOLDER, purpose=party_pb2.KEY_PURPOSE_DOCUMENT)
        for name in names
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = self.rfile.read(int(self.headers["Content-Length"]))
            time.sleep(desk.pause_s)
            name = self.path.removeprefix("/sign/")
            status, body = desk.answer or (404, b"")
            if desk.answer is None and name in desk.signers:
                desk.asked.append(message)
                status, body = 200, desk.signers[name].sign(message)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # the caller lost patience

        def log_message(self, format: str, *args: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            return  # a handshake that was refused

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        _certify(place)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place / "server.crt", place / "server.pem")
        context.load_verify_locations(place / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    desk = Desk(f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}/sign", place, signers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield desk
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certify(place: Path) -> None:
    authority = Authority.create(place / "authority", "test-city")
    (place / "ca.crt").write_bytes(authority.pem)
    for name in ("server", "client"):
        generate_private_key(place / f"{name}.pem", ECDSA_P256)
        chain = authority.issue(certificates.request(place / f"{name}.pem", HOLDER), HOLDER)
        (place / f"{name}.crt").write_text(chain)
