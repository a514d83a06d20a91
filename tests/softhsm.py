"""A PKCS#11 token for tests: SoftHSM, in a folder of its own; keys are made by OpenSC's pkcs11-tool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pkcs11
import pytest

PIN = "314159"
LABEL = "bank-1"
_PLACES = (
    "/usr/lib/softhsm",
    "/usr/lib/x86_64-linux-gnu/softhsm",
    "/usr/lib64/pkcs11",
    "/usr/local/lib/softhsm",
)


class SoftToken:
    """One initialised token. Make keys before or while it is in use."""

    def __init__(self, module: Path, place: Path) -> None:
        self.module = module
        self.place = place
        self.pin_file = place / "pin"
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(PIN + "\n")
        _run("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "271828")

    def make(self, label: str, kind: str = "EC:prime256v1") -> None:
        """kind: EC:prime256v1, EC:edwards25519, rsa:2048, …"""
        self.tool("--keypairgen", "--key-type", kind, "--label", label)

    def remove(self, label: str, kind: str) -> None:
        self.tool("--delete-object", "--type", kind, "--label", label)

    def tool(self, *arguments: str) -> None:
        _run(
            "pkcs11-tool",
            "--module",
            str(self.module),
            "--token-label",
            LABEL,
            "--login",
            "--pin",
            PIN,
            *arguments,
        )

    def restart(self) -> None:
        """The library forgets every session, as when a token is pulled out and put back."""
        pkcs11.lib(str(self.module)).reinitialize()

    def toml(self, *keys: str, **changes: str) -> str:
        """[signing] of a party's home whose keys are these."""
        listed = ", ".join(f'"{key}"' for key in keys)
        return f"[signing]\nkeys = [{listed}]\n\n{self.place_toml(**changes)}"

    def place_toml(self, **changes: str) -> str:
        """[signing.token] alone."""
        place = {"module": str(self.module), "label": LABEL, "pin_file": str(self.pin_file)} | changes
        lines = [f'{name} = "{value}"' for name, value in place.items() if value]
        return "\n".join(["[signing.token]", *lines, ""])


@contextmanager
def soft_token(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftToken]:
    """Skips, with the reason, where SoftHSM or OpenSC is missing."""
    module = next((path for name in _PLACES if (path := Path(name) / "libsofthsm2.so").exists()), None)
    if module is None or not shutil.which("softhsm2-util") or not shutil.which("pkcs11-tool"):
        pytest.skip("no PKCS#11 token to test on: apt-get install softhsm2 opensc")
    (place / "tokens").mkdir(parents=True)
    settings = place / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {place / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    token = SoftToken(module, place)
    token.restart()  # the library reads its settings when it starts
    yield token
    pkcs11.lib(str(module)).finalize()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
