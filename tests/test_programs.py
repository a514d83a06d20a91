"""The four programs at the terminal: every command explains itself, and machines can read what it did."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

import click
import pytest
import typer
from typer.testing import CliRunner

from adapters.auditor.cli import app as audit
from adapters.bank.cli import app as bank
from adapters.bureau.cli import app as bureau
from gateway.cli import app as gateway

PROGRAMS = {"xinyi-gateway": gateway, "xinyi-bureau": bureau, "xinyi-bank": bank, "xinyi-audit": audit}

#: Commands whose result is a file, a stream or a service; everything else prints one line of JSON when asked.
WITHOUT_JSON = {
    "xinyi-gateway": {
        "serve",
        "certificate request",
        "certificate install",
        "agreement annex",
    },
    "xinyi-bureau": {"request"},
    "xinyi-bank": {"request", "inbox", "watch"},
    "xinyi-audit": {"request", "policy", "subject-report"},  # which has --format json
}
#: These write JSON whether asked or not: a public key for others to pin.
ALWAYS_JSON = {"key", "key show"}


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below a program, by the words a person types."""
    below: dict[str, click.Command] | None = getattr(group, "commands", None)
    if below is None:
        yield " ".join(path), group
        return
    for name, command in below.items():
        yield from commands(command, (*path, name))


ALL = [
    pytest.param(program, words, command, id=f"{program} {words}")
    for program, app in PROGRAMS.items()
    for words, command in commands(typer.main.get_command(app))
]


@pytest.mark.parametrize(("program", "words", "command"), ALL)
def test_every_command_shows_an_example(program: str, words: str, command: click.Command) -> None:
    """The example is the command as a person types it, with the program's name."""
    text = " ".join((command.help or "").split())
    assert "Example: " in text
    named = text.partition("Example: ")[2]
    assert named.startswith((f"{program} {words}", words)), named
    assert text.partition("Example: ")[0].strip(), "what it does comes first"


@pytest.mark.parametrize(("program", "words", "command"), ALL)
def test_machines_can_read_what_a_command_did(program: str, words: str, command: click.Command) -> None:
    """--json on every command, but where the result is no statement."""
    if words in ALWAYS_JSON:
        return
    options = {option for parameter in command.params for option in parameter.opts}
    assert ("--json" in options) != (words in WITHOUT_JSON[program])


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_of_a_program_tells_its_exit_codes(program: str) -> None:
    """A job scheduler's author finds them where the program is looked up first."""
    text = " ".join((typer.main.get_command(PROGRAMS[program]).help or "").split())
    listed = text.partition("Exit codes: ")[2]
    for number in (0, 1, 2, 3, 4, 6):
        assert f"{number} " in listed, number


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_tells_its_version(program: str) -> None:
    told = CliRunner().invoke(PROGRAMS[program], ["--version"])
    assert (told.exit_code, told.output.strip()) == (0, version("xinyi-gateway"))
