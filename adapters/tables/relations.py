"""The tables that a landed product consists of, as SQLAlchemy describes them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData, Table, Text
from sqlalchemy import Column as SqlColumn

from adapters.tables.target import Columns

#: The edition's column that names a row of its shared table, and that row's key.
SHARED, NUMBER = "shared", "number"
_TYPES = {"text": Text, "integer": BigInteger}


class Relations:
    """Args: name — of the view; columns — of its records."""

    def __init__(self, name: str, columns: Columns) -> None:
        self._columns = columns
        self._metadata = MetaData()
        self.landings = _landings(self._metadata)
        self.recalls = _recalls(self._metadata)
        self.disputes = Table(
            f"{name}__disputes",
            self._metadata,
            SqlColumn("taxpayer_id", Text, primary_key=True),
            SqlColumn("disputed_since", Text, nullable=False),
        )
        #: What stands whatever edition is shown.
        self.lasting = (self.landings, self.recalls, self.disputes)

    def edition(self, relation: str) -> tuple[Table, Table]:
        """An edition's table and the one of what its records share."""
        edition = Table(
            relation,
            self._metadata,
            SqlColumn("position", Integer, primary_key=True, autoincrement=False),
            SqlColumn("refused", Text),
            *(SqlColumn(c.name, _TYPES[c.kind]) for c in self._columns.own),
            SqlColumn(SHARED, Integer, nullable=False),
            extend_existing=True,
        )
        shared = Table(
            f"{relation}_shared",
            self._metadata,
            SqlColumn(NUMBER, Integer, primary_key=True, autoincrement=False),
            *(SqlColumn(c.name, _TYPES[c.kind]) for c in self._columns.shared),
            extend_existing=True,
        )
        return edition, shared


def _landings(metadata: MetaData) -> Table:
    return Table(
        "xinyi_landings",
        metadata,
        SqlColumn("product", Text, primary_key=True),
        SqlColumn("origin", Text, nullable=False),
        SqlColumn("delivery_id", Text, nullable=False),
        SqlColumn("manifest_digest", Text, nullable=False),
        SqlColumn("sequence", BigInteger, nullable=False),
        SqlColumn("relation", Text, nullable=False),
        SqlColumn("accepted", BigInteger, nullable=False),
        SqlColumn("rejected", BigInteger, nullable=False),
        SqlColumn("root", Text, nullable=False),
        SqlColumn("landed_at_ms", BigInteger, nullable=False),
    )


def _recalls(metadata: MetaData) -> Table:
    return Table(
        "xinyi_recalls",
        metadata,
        SqlColumn("product", Text, primary_key=True),
        SqlColumn("taxpayer_id", Text, primary_key=True),
        SqlColumn("correction", Text, primary_key=True),
        SqlColumn("corrects", Text, nullable=False),
        SqlColumn("sequence", BigInteger, nullable=False),
        SqlColumn("what", Text, nullable=False),
        SqlColumn("received_at_ms", BigInteger, nullable=False),
    )
