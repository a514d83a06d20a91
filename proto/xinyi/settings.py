"""One TOML file per party plus environment (XINYI_<SECTION>__<KEY>, which wins), read once at the edge.

Unknown keys stop start-up, in the file and in the environment. Messages name the key, never its value.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from xinyi.errors import Invalid

PREFIX = "XINYI_"
#: Keys that only the environment may carry: a settings file is backed up, mailed and shown.
_SECRETS = {"pin"}
#: Password of the database that a bureau's table is read from: `inspect` needs no home, so it is no setting of one.
SOURCE_PASSWORD = "XINYI_BUREAU_SOURCE_PASSWORD"  # noqa: S105 - the variable's name
#: The same of a bank's database of loans.
LOANS_PASSWORD = "XINYI_BANK_SOURCE_PASSWORD"  # noqa: S105 - the variable's name
#: Variables of the programs themselves, not of the settings file.
_RESERVED = {"XINYI_HOME", "XINYI_TRACE", SOURCE_PASSWORD, LOANS_PASSWORD}


class SettingsInvalid(Invalid):
    """The settings or the home of this program are not usable: mend them and start again."""

    code = "invalid.settings"


class Section(BaseModel):
    """A table of the settings file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Settings(BaseSettings):
    """A settings file, or one table of it that is read by itself."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_nested_delimiter="__", env_prefix=PREFIX
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


class LogSettings(Section):
    form: Literal["json", "readable"] = "readable"
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


S = TypeVar("S", bound=Settings)


def load_settings(path: Path, model: type[S], *, table: str = "") -> S:
    """Reads a settings file, or one table of it, with the environment over it.

    Raises SettingsInvalid naming every key that is unknown, missing or wrong.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsInvalid(f"{path} does not exist", basis="settings.file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path} is not TOML: {error}", basis="settings.file") from error
    _check_secrets(path, values)
    prefix = PREFIX
    if table:
        values = values.get(table, {})
        prefix = f"{PREFIX}{table.upper()}__"
    _check_environment(model, prefix)
    try:
        return model(_env_prefix=prefix, **values)  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsInvalid(f"{path}: {_explain(error, model, table)}", basis="settings.keys") from error


def secret(variable: str) -> str:
    """What only the environment may carry; empty where it does not."""
    return os.environ.get(variable, "")


def _check_environment(model: type[Settings], prefix: str) -> None:
    """pydantic-settings passes over variables whose first word it does not know."""
    known = set(model.model_fields)
    for name in os.environ:
        if not name.startswith(prefix) or name in _RESERVED:
            continue
        word = name.removeprefix(prefix).split("__")[0].lower()
        if word not in known:
            raise SettingsInvalid(
                f"environment variable {name} is no setting{_hint(word, known)}", basis="settings.keys"
            )


def _check_secrets(path: Path, values: dict[str, Any], place: str = "") -> None:
    for name, value in values.items():
        if name in _SECRETS:
            raise SettingsInvalid(
                f"{path}: {place}{name} is a secret and has no place in this file: take it out, give it as "
                f"{PREFIX}{(place + name).replace('.', '__').upper()} or in the file that {place}{name}_file names",
                basis="settings.secret",
            )
        if isinstance(value, dict):
            _check_secrets(path, value, f"{place}{name}.")


def _explain(error: ValidationError, model: type[BaseModel], table: str) -> str:
    sentences = []
    for problem in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in ([table] if table else []) + list(problem["loc"]))
        if problem["type"] == "extra_forbidden":
            sentences.append(f"{place} is no setting{_hint(str(problem['loc'][-1]), _names(model))}")
        elif problem["type"] == "missing":
            sentences.append(f"{place} is missing")
        else:
            sentences.append(f"{place}: {problem['msg']}")
    return "; ".join(sentences)


def _names(model: type[BaseModel]) -> set[str]:
    names = set(model.model_fields)
    for field in model.model_fields.values():
        for kind in (
            field.annotation,
            *get_args(field.annotation),
        ):  # a table, or a table that may be missing
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                names |= _names(kind)
    return names


def _hint(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""
