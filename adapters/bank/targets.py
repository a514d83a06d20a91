"""Which target a URL means.

    sqlite:///FILE   postgresql://…            a view
    csv:///FILE      csv:///FILE?encoding=gb18030
    parquet:///FOLDER                          Parquet files, in FOLDER/<table>/
    oracle-files:///FOLDER                     files for SQL*Loader, in FOLDER/<table>/

Three slashes and a relative path, or four and an absolute one, as SQLAlchemy has it for SQLite.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs

from adapters.bank.rows import COLUMNS
from adapters.bank.settings import FILES, BankSettings
from adapters.tables.csv_file import CsvTarget
from adapters.tables.landing import SqlTarget
from adapters.tables.load_folder import LoadFolder
from adapters.tables.loads import Format
from adapters.tables.oracle import OracleFiles
from adapters.tables.target import Target
from xinyi.errors import Invalid, UsageInvalid


def open_target(url: str, table: str) -> Target:
    """Touches neither a file nor the network yet. Raises Invalid.

    Args: table — name of the view, or of the table that a loader fills.
    """
    scheme, _, rest = url.partition(":///")
    if scheme == "csv":
        path, encoding = _csv(rest)
        return CsvTarget(path, encoding, COLUMNS)
    if scheme not in ("parquet", "oracle-files"):
        return SqlTarget(url, table, COLUMNS)
    if not rest:
        raise UsageInvalid(f"{scheme}:///FOLDER names a folder", basis="settings.database")
    return LoadFolder(Path(rest) / table, table, COLUMNS, _format(scheme, table))


def _csv(rest: str) -> tuple[Path, str]:
    path, _, query = rest.partition("?")
    options = parse_qs(query, keep_blank_values=True)
    encoding = options.pop("encoding", ["utf-8"])
    if not path or options or len(encoding) != 1:
        raise UsageInvalid("a CSV target is csv:///FILE or csv:///FILE?encoding=gb18030", basis="settings.database")
    return Path(path), encoding[0]


def _format(scheme: str, table: str) -> Format:
    if scheme == "oracle-files":
        return OracleFiles(table, COLUMNS)
    # Loads pyarrow, which is large: where it is wanted only.
    from adapters.tables.parquet import ParquetFiles

    return ParquetFiles(COLUMNS)


def is_there(url: str) -> bool:
    """Whether a target that is a file exists. Of a database that is reached by a network nothing is known: True."""
    scheme, separator, rest = url.partition(":///")
    return scheme not in FILES or not separator or Path(rest.partition("?")[0]).exists()


def lost_rows(settings: BankSettings) -> list[str]:
    """What somebody took away of what landed; each with what to do. Raises Unavailable where a database is away."""
    found = []
    for product in sorted({*settings.products, *settings.tables, *settings.targets}):
        url = settings.target(product)
        if url.startswith("csv:") or is_there(url):
            with closing(open_target(url, settings.table(product))) as target:
                if missing := target.lost(product):
                    found.append(
                        f"{product}: {missing} is missing, though an edition landed there: "
                        "run xinyi-bank catch-up, which lands it again out of the spool"
                    )
    return found


def target_problems(settings: BankSettings) -> list[str]:
    """What keeps editions from landing, as far as it can be told without a connection; each with what to do."""
    found, files = [], dict[Path, str]()
    for product in sorted({*settings.products, *settings.tables, *settings.targets}):
        url = settings.target(product)
        try:
            open_target(url, settings.table(product)).close()
        except Invalid as error:
            found.append(f"{product}: {error.explanation}")
            continue
        scheme, separator, rest = url.partition(":///")
        path = Path(rest.partition("?")[0])
        if scheme not in FILES or not separator:
            continue
        folder = path if path.is_dir() else path.parent
        if not os.access(folder, os.W_OK | os.X_OK):
            found.append(f"{product}: {folder} is no folder that this account may write: make it, or name another")
        if scheme == "csv" and files.setdefault(path, product) != product:
            found.append(f"{product}: {path} is for {files[path]} already, and a file holds one product")
    return found
