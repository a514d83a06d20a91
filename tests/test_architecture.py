"""The cut of the system as tests: who may import whom, and habits that nothing else enforces.

Folders follow trust and premises; an import that crosses them is a decision and gets a record in
docs/decisions before it gets a line here.
"""

from __future__ import annotations

import ast
import filecmp
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"xinyi": ROOT / "proto/xinyi", **{name: ROOT / name for name in ("audit", "gateway", "adapters")}}


@dataclass(frozen=True)
class Zone:
    """Modules with one right of import. The longest name that a module begins with decides its zone."""

    modules: tuple[str, ...]
    #: Zones of ours, besides itself.
    ours: frozenset[str] = field(default_factory=frozenset)
    #: Top-level names of other packages, besides the standard library and protobuf.
    theirs: frozenset[str] = field(default_factory=frozenset)
    #: False where modules of the zone may not even import each other.
    inward: bool = True


def _zone(modules: str, ours: str = "", theirs: str = "", *, inward: bool = True) -> Zone:
    return Zone(tuple(modules.split()), frozenset(ours.split()), frozenset(theirs.split()), inward)


SERVER_SIDE = "wire edge proof log rules store core"
PARTY_SIDE = "wire edge proof tables party"
ZONES = {
    # What every party has: the contract, the proof kit, and the edge (settings, terminal).
    "wire": _zone("xinyi", "", "grpc grpc_health grpc_reflection structlog"),
    "edge": _zone("xinyi.settings xinyi.terminal", "wire", "pydantic pydantic_settings typer rich"),
    "proof": _zone("audit", "wire", "cryptography pkcs11"),
    # Settings of keys: what every program with keys reads, so that it is read in one way.
    "custody": _zone("audit.custody", "wire edge proof", "cryptography pydantic"),
    "log": _zone("audit.log audit.bulk audit.inclusion", "wire proof", "psycopg sqlalchemy structlog"),
    # The gateway. A module outside these lists belongs to none yet: say where it belongs.
    "rules": _zone("gateway.rules", "wire"),
    "store": _zone("gateway.store", "wire", "sqlalchemy"),
    "migrations": _zone("gateway.store.migrations", "store log edge", "alembic sqlalchemy"),
    "core": _zone(
        "gateway.acts gateway.reports gateway.exchange gateway.row_cache gateway.delivery gateway.reception "
        "gateway.refusals gateway.receipts "
        "gateway.intake gateway.metrics gateway.work gateway.states gateway.preparation gateway.recalls "
        "gateway.catchup gateway.polls gateway.disputes gateway.row_answers gateway.watching "
        "gateway.judgement gateway.outcome_intake gateway.outcome_listing gateway.outcome_reports gateway.reliances "
        "gateway.bucket_paths gateway.subjects gateway.challenges gateway.statistics gateway.messages "
        "gateway.inquiries",
        "wire proof log rules store",
        "sqlalchemy structlog prometheus_client",
    ),
    "services": _zone(
        "gateway.services", "wire proof log rules store core", "grpc sqlalchemy structlog", inward=False
    ),
    "clocks": _zone(
        "gateway.push gateway.folder gateway.sequencer",
        "wire proof log rules store core",
        "grpc sqlalchemy structlog",
        inward=False,
    ),
    "workflows": _zone("gateway.workflows gateway.workers", "wire store core", "dbos sqlalchemy structlog"),
    "assembly": _zone(
        "gateway.app gateway.cli gateway.config gateway.authority gateway.commands gateway.office",
        f"{SERVER_SIDE} custody migrations services clocks workflows",
        "alembic cryptography grpc pydantic rich sqlalchemy structlog typer uvloop prometheus_client",
    ),
    # The counterparties' machines.
    "tables": _zone("adapters.tables", "wire edge proof", "pydantic pyarrow python_calamine sqlalchemy"),
    "party": _zone(
        "adapters.party", "wire edge proof custody", "cryptography grpc pydantic rich structlog typer"
    ),
    "figures": _zone("adapters.figures", "wire edge proof party", "rich typer"),
    "bureau": _zone("adapters.bureau", f"{PARTY_SIDE} figures", "grpc pydantic rich structlog typer"),
    "bank": _zone("adapters.bank", f"{PARTY_SIDE} figures", "grpc prometheus_client pydantic rich structlog typer"),
    "landing": _zone(
        "adapters.bank.landing adapters.bank.receiving adapters.bank.catch_up",
        f"{PARTY_SIDE} bank",
        "pydantic sqlalchemy structlog",
    ),
    "auditor": _zone("adapters.auditor", PARTY_SIDE, "cryptography grpc pydantic rich structlog typer"),
}

#: (importer, imported): why this one line may cross a border that its zone may not.
EXCEPTIONS = {
    ("gateway.store.tables", "audit.log"): "one metadata, so that foreign keys and migrations see all tables",
    ("gateway.store.lending_tables", "audit.log"): "the same",
    ("gateway.store.parties", "audit.keys"): "the registered keys of a party are read as a Keyring",
    ("gateway.rules.products", "audit.entries"): "a definition's text is the JSON that the log hashes",
    ("gateway.rules.reporting", "audit.entries"): "the text of terms is the JSON that the log hashes",
    ("adapters.bank.commands", "adapters.bank.landing"): "the command that lands, imported when it runs",
    ("adapters.bank.commands", "adapters.bank.receiving"): "the command that fetches and lands, the same",
    ("adapters.bank.commands", "adapters.bank.catch_up"): "the commands that do both until level, the same",
    ("gateway.push", "gateway.folder"): "a push to a folder writes the folder channel's files",
}

FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "manager", "base", "misc"}

#: Where a broad except is right, and why. It never only logs and goes on with half a result.
BROAD_EXCEPTS = {
    "xinyi.terminal": "the command line's entry: one clear line on stderr and an exit code",
    "xinyi.processes": "what a call raises in a child is raised to its caller",
    "gateway.exchange": "one exchange's failure is that exchange's answer, never its neighbours'",
    "gateway.workflows": "the clock must outlive a blink of the database",
    "gateway.folder": "the clock must outlive one bad folder",
    "gateway.sequencer": "what ends its thread must stop the gateway, whatever it is",
}

#: Lines a module may have; a longer one has its reason here.
LENGTH, COMMAND_LENGTH = 400, 150
LONGER = {
    "audit.log": "tables, tree, head store and sequencing are one argument about crashes",
    "xinyi.checks": "one short rule after another, in the order of the contract",
    "xinyi.lending": "the same",
}


def modules() -> Iterator[tuple[str, Path]]:
    """Every hand-written module of ours and its file."""
    for package, folder in SOURCES.items():
        for path in sorted(folder.rglob("*.py")):
            if not path.stem.endswith(("_pb2", "_pb2_grpc")):
                parts = path.relative_to(folder).with_suffix("").parts
                yield ".".join((package, *(part for part in parts if part != "__init__"))), path


MODULES = dict(modules())
OUR_PACKAGES = tuple(SOURCES)


def zone_of(module: str) -> str | None:
    found = [
        (len(prefix), name)
        for name, zone in ZONES.items()
        for prefix in zone.modules
        if module == prefix or module.startswith(prefix + ".")
    ]
    return max(found)[1] if found else None


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """(line, imported module) of every import, those inside functions and under TYPE_CHECKING too."""
    package = module if MODULES.get(module, Path()).name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                is_module = inner in MODULES or alias.name.endswith(("_pb2", "_pb2_grpc"))
                yield node.lineno, inner if is_module else base


def forbidden_imports(module: str, source: str) -> Iterator[str]:
    """One line per import that the zone of `module` does not allow."""
    name = zone_of(module)
    if name is None:
        if module in OUR_PACKAGES and not source.strip().strip('"'):
            return
        if [node for _, node in imports(module, source)]:
            yield f"{module} belongs to no zone; name it in ZONES"
        return
    zone = ZONES[name]
    for line, imported in imports(module, source):
        top = imported.split(".")[0]
        if top in OUR_PACKAGES:
            other = zone_of(imported)
            allowed = other in zone.ours or (other == name and (zone.inward or imported == module))
            if not allowed and not _excepted(module, imported):
                yield f"{module}:{line} imports {imported}: {name} may not import {other}"
        elif top not in sys.stdlib_module_names and top != "google" and top not in zone.theirs:
            yield f"{module}:{line} imports {imported}: {name} may not use {top}"


def _excepted(module: str, imported: str) -> bool:
    return any(
        (module == importer or module.startswith(importer + ".")) and imported == target
        for importer, target in EXCEPTIONS
    )


def test_imports_follow_the_premises() -> None:
    """No module imports what the table of zones does not allow it."""
    found = {line for name, path in MODULES.items() for line in forbidden_imports(name, path.read_text())}
    assert not found, "\n".join(sorted(found))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("adapters.bank.fetch", "import gateway.exchange"),
        ("adapters.bank.fetch", "def late():\n    from audit import log"),
        ("adapters.bank.fetch", "from adapters.bureau import publish"),
        ("adapters.bank.fetch", "from sqlalchemy import select"),
        ("adapters.auditor.verify", "from audit.log import Log"),
        ("audit.merkle", "import sqlalchemy"),
        ("xinyi.checks", "import pydantic"),
        ("xinyi.checks", "from audit import merkle"),
        ("gateway.rules.outcomes", "from gateway.store import tables"),
        ("gateway.store.parties", "from gateway import exchange"),
        ("gateway.services.feed", "from gateway.services import publication"),
        ("gateway.services.feed", "from gateway.push import Push"),
        ("gateway.delivery", "from gateway.services import feed"),
        ("gateway.newcomer", "import gateway.exchange"),
    ],
)
def test_forbidden_import_is_found(module: str, source: str) -> None:
    """The check itself fails on an import over each of the borders."""
    assert list(forbidden_imports(module, source))


def test_exceptions_are_used() -> None:
    """An exception that no line needs any more is taken out of the table."""
    used = {
        (importer, target)
        for importer, target in EXCEPTIONS
        for name, path in MODULES.items()
        if name == importer or name.startswith(importer + ".")
        for _, imported in imports(name, path.read_text())
        if imported == target
    }
    assert not EXCEPTIONS.keys() - used


def test_names_are_nouns_of_the_field() -> None:
    """No file or folder is named after nothing in particular."""
    found = [name for name in MODULES if FORBIDDEN_NAMES & {part.strip("_") for part in name.split(".")}]
    assert not found


def broad_excepts(source: str) -> list[int]:
    """Lines of `except:`, `except Exception`, `except BaseException` that do not raise unconditionally."""

    def broad(caught: ast.expr | None) -> bool:
        names = {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)} if caught else set()
        return caught is None or bool(names & {"Exception", "BaseException"})

    handlers = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ExceptHandler))
    return [h.lineno for h in handlers if broad(h.type) and not isinstance(h.body[-1], ast.Raise)]


def test_broad_excepts_stand_where_they_are_right() -> None:
    """A broad except stands only in the named files; `except …: clean up; raise` is no broad except."""
    assert broad_excepts("try:\n    f()\nexcept Exception:\n    pass") == [3]
    assert broad_excepts("try:\n    f()\nexcept BaseException:\n    undo()\n    raise") == []
    found = {name for name, path in MODULES.items() if broad_excepts(path.read_text())}
    assert not found - BROAD_EXCEPTS.keys()
    assert not BROAD_EXCEPTS.keys() - found, "no broad except stands there any more"


def _calls(path: Path, name: str) -> list[int]:
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


_WRITES = re.compile(r"x\.conn\.execute\(\s*(?:insert|update|delete|text|tables?\.)")


def test_exchanges_write_through_the_door_alone() -> None:
    """What an exchange wrote with its connection would stay when it fails beside others in one transaction."""
    assert _WRITES.search("x.conn.execute(\n    delete(tables.intakes))")
    assert not [name for name, path in MODULES.items() if _WRITES.search(path.read_text())]


def test_library_code_does_not_print() -> None:
    """What people read goes through the terminal, what operators read through the log."""
    assert not {name: lines for name, path in MODULES.items() if (lines := _calls(path, "print"))}


def test_only_settings_read_the_environment() -> None:
    """Configuration is read once at the edge."""
    allowed = {"xinyi.settings", "xinyi.terminal"}
    found = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    }
    assert not found - allowed


def test_every_module_says_what_it_is() -> None:
    """Each module with code opens with its docstring."""
    trees = {name: ast.parse(path.read_text()) for name, path in MODULES.items()}
    assert not [name for name, tree in trees.items() if tree.body and not ast.get_docstring(tree)]


def test_modules_stay_short() -> None:
    """A module is one noun's worth; command files only parse and call."""
    found = []
    for name, path in MODULES.items():
        length = len(path.read_text().splitlines())
        allowed = COMMAND_LENGTH if path.name == "cli.py" else LENGTH
        if length > allowed and name not in LONGER:
            found.append(f"{name}: {length} lines, {allowed} are allowed")
    assert not found


def test_tests_mock_nothing_of_ours() -> None:
    """No test uses unittest.mock: databases, servers and files are cheap enough to be real."""
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        for _, imported in imports("tests." + path.stem, path.read_text())
        if imported.startswith(("unittest.mock", "mock", "pytest_mock"))
    ]
    assert not found


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    """The committed generated code is what the committed .proto files generate: no more, no less."""
    sources = sorted((ROOT / "proto/xinyi/v1").glob("*.proto"))
    kinds = ("python_out", "pyi_out", "grpc_python_out")
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'proto'}"),
            *(f"--{kind}={tmp_path}" for kind in kinds),
            *map(str, sources),
        ],
        check=True,
    )
    made, kept = tmp_path / "xinyi/v1", ROOT / "proto/xinyi/v1"
    names = {path.name for path in made.iterdir()}
    assert names == {path.name for path in kept.glob("*_pb2*.py*")}, "make proto"
    _, differ, errors = filecmp.cmpfiles(made, kept, names, shallow=False)
    assert not differ + errors, "make proto"
