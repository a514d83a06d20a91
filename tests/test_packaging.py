"""What a party must install: a bank or an auditor imports its adapter without the gateway's dependencies."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

#: Imports every module of a package where some top-level names do not exist.
IMPORT_ALL = """
import importlib, pkgutil, sys

package, *missing = sys.argv[1:]

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in missing:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Missing())
found = importlib.import_module(package)
for module in pkgutil.walk_packages(found.__path__, package + "."):
    if not module.name.endswith("migrations.env"):  # Alembic runs that one, nobody imports it
        importlib.import_module(module.name)
"""


def installed_with(*extras: str) -> set[str]:
    """Names of the distributions that `pip install xinyi-gateway[extras]` brings."""
    seen: set[tuple[str, str]] = set()
    waiting = [("xinyi-gateway", extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                child = canonicalize_name(requirement.name)
                waiting += [(child, wanted) for wanted in ("", *requirement.extras)]
    return {name for name, _ in seen}


def not_installed(*extras: str) -> set[str]:
    """Top-level names that exist here but not where only these extras were installed."""
    here = installed_with(*extras)
    return {
        top
        for top, owners in importlib.metadata.packages_distributions().items()
        if not {canonicalize_name(owner) for owner in owners} & here
    }


@pytest.mark.parametrize(
    ("package", "extras"),
    [
        ("adapters.auditor", ()),
        ("adapters.bank", ("bank",)),
        ("adapters.bureau", ("bureau",)),
        ("gateway", ("gateway",)),
    ],
)
def test_party_needs_only_its_extra(package: str, extras: tuple[str, ...]) -> None:
    """Every module of the package imports where nothing but its own extra is installed."""
    missing = not_installed(*extras)
    assert "mypy" in missing
    if package.startswith("adapters"):
        assert {"dbos", "alembic", "grpc_reflection"} <= missing
        missing.add("gateway")
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, package, *sorted(missing)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
