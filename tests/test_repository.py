"""What the repository as a whole must and must not hold."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]

#: Spelt so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(rb"(?<![\w./-])/(?:root|farm|work|tmp/design|home/[a-z]+)/")
REGISTRIES = re.compile(rb"py[p]i\.o|pythonhoste[d]|npmj[s]\.|deb\.debia[n]|index-ur[l]|find-link[s]")
#: Not text, or text of others that is kept as it came.
AS_IT_CAME = {".binpb", ".xlsx", ".csv", ".svg", ".db"}


def repository_files() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, so what belongs to the repository cannot be told")
    names = [name.decode() for name in listed.split(b"\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def _holding(pattern: re.Pattern[bytes]) -> list[str]:
    return [
        str(path.relative_to(ROOT))
        for path in repository_files()
        if path.suffix not in AS_IT_CAME and path != Path(__file__) and pattern.search(path.read_bytes())
    ]


def test_no_path_of_a_machine() -> None:
    """The repository runs wherever it lies: no file names a place on the machine it was written on."""
    assert not _holding(MACHINE_PATHS)


def test_no_registry_host() -> None:
    """Where packages come from is the machine's setting, never the repository's."""
    assert not _holding(REGISTRIES)


def test_lock_names_no_host_and_pins_every_hash() -> None:
    """requirements.lock holds names, versions and hashes alone."""
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|index-url|find-links|trusted-host|^-", lock, re.MULTILINE)
    pin = r"^([a-z0-9._-]+)==\S+.*\\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)"
    hashed = re.findall(pin, lock, re.MULTILINE)
    assert len(hashed) == len(re.findall(r"^\S+==", lock, re.MULTILINE)) > 40


def test_lock_satisfies_the_project() -> None:
    """What pyproject.toml asks for is in the lock, in a version it allows (make lock)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    lock = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock, re.MULTILINE))
    for asked in map(Requirement, lines):
        assert asked.specifier.contains(locked[canonicalize_name(asked.name)]), asked


def test_the_readme_s_commands_exist() -> None:
    """Every `make …` and console command that README and docs show is really there."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    texts = "\n".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
    shown = set(re.findall(r"(?:^|`|\$ )make ([a-z]+)", texts, re.MULTILINE))
    assert {"demo", "test"} <= shown
    assert shown <= targets
    assert set(re.findall(r"(?:^|`|\$ )(xinyi-[a-z]+)\b(?![-a-z]*/[0-9])", texts, re.MULTILINE)) == set(scripts)
