"""Schema changes of the gateway's database: Alembic, the same on SQLite and PostgreSQL.

`serve` never changes a schema: `init` makes it and `upgrade` moves it on, both by a person's command.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from audit import log
from gateway.store.tables import metadata
from xinyi.settings import SettingsInvalid

#: Serialises two `upgrade` commands on one PostgreSQL.
_UPGRADE_LOCK = 0x58494E03


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    # '%' begins an interpolation in Alembic's configuration.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def newest() -> str:
    """Revision the program at hand expects."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current(connection: Connection) -> str | None:
    """Revision the database is at; None where it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Moves the schema on, in one transaction: a crash leaves it as it was."""
    with engine.begin() as connection:
        log.lock(connection, _UPGRADE_LOCK)
        command.upgrade(_config(connection), revision)


def check_current(engine: Engine) -> None:
    """Raises SettingsInvalid unless the database is at the revision this program expects."""
    with engine.execution_options(reading=True).connect() as connection:
        at = current(connection)
    if at != newest():
        raise SettingsInvalid(
            f"the database's schema is {at or 'empty'}, this program needs {newest()}: stop it, back up, "
            "run `xinyi-gateway upgrade`",
            basis="settings.schema",
        )


def differences(connection: Connection) -> list[object]:
    """What the migrated schema lacks of the tables as declared; empty where they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def draft(engine: Engine, message: str) -> Path:
    """For developers: writes a new revision from what the declared tables have and this database lacks."""
    with engine.begin() as connection:
        script = command.revision(_config(connection), message=message, autogenerate=True)
    assert script is not None
    assert not isinstance(script, list)
    return Path(script.path)
