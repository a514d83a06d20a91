"""Opening what an operator names as a source: a file, or a database's table or query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.tables.profile import Profile
from adapters.tables.reading import Table, open_table
from xinyi import settings
from xinyi.errors import UsageInvalid


@contextmanager
def opened(
    source: str, profile: Profile, encoding: str = "", *, table: str = "", query: Path | None = None, secret: str = ""
) -> Iterator[Table]:
    """
    Args:
        source: a file, or the URL of a database, which is read by `table` or by `query` for as long as this is open.
        secret: name of the environment variable with the database's password.

    Raises Invalid where they do not fit together, and as the readers do.
    """
    if "://" not in source:
        if table or query is not None:
            raise UsageInvalid(f"{source} is a file: --table and --query are for databases", basis="source.table")
        yield open_table(Path(source), profile, encoding=encoding)
        return
    if encoding:
        raise UsageInvalid("a database says its encoding itself: leave --encoding out", basis="source.encoding")
    # Loads SQLAlchemy: where it is wanted only.
    from adapters.tables.database import Source, open_database

    password = settings.secret(secret) if secret else ""
    with open_database(Source(source, table, query, password, secret), profile) as opened:
        yield opened
