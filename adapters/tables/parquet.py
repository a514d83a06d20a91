"""Parquet files, where the extra `parquet` (pyarrow) is installed.

    grade_a.parquet            rows of a FULL
    grade_a_changes.parquet    rows of a DELTA or CORRECTION, each with U or D
    grade_a_disputes.parquet   records under objection
    grade_a_recalls.parquet    what was taken back

Row groups of 65,536 rows, written one by one. Words that thousands of rows share (grade, year, office, dates) are
dictionary-encoded. The metadata of the rows' file name the edition: xinyi.manifest_digest, .sequence, .root and more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from adapters.tables.columns import Value
from adapters.tables.loads import Load, Relation, Values
from adapters.tables.target import Columns
from xinyi.errors import Conflict, DigestMismatch, Invalid

_GROUP_ROWS = 65_536
_READ_ROWS = 8192
_COMPRESSION = "zstd"

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ModuleNotFoundError:  # said in the constructor: whoever does not write Parquet needs none of it
    pa = pq = None


class ParquetFiles:
    """A format of a LoadFolder. Raises Invalid where the extra is missing."""

    ending = "parquet"

    def __init__(self, columns: Columns) -> None:
        if pq is None:
            raise Invalid(
                "Parquet files need pyarrow: python -m pip install 'xinyi-gateway[bank,parquet]'",
                basis="settings.extra",
            )
        self._shared = {"operation", *(c.name for c in columns.shared)}

    def create(self, folder: Path, relation: Relation) -> _ParquetFile:
        return _ParquetFile(folder / _file(relation), relation, self._dictionaries(relation))

    def _dictionaries(self, relation: Relation) -> list[str]:
        return [c.name for c in relation.columns if c.name in self._shared]

    def read(self, folder: Path, relation: Relation, width: int) -> Iterator[tuple[Value, ...]]:
        path = folder / _file(relation)
        names = [c.name for c in relation.columns]
        try:
            with pq.ParquetFile(path) as file:
                if file.schema_arrow.names != names:
                    raise Conflict(f"{path} has other columns", basis="landing.table")
                for batch in file.iter_batches(_READ_ROWS, columns=names[:width]):
                    yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
        except (pa.ArrowException, OSError) as error:
            raise Conflict(f"{path} cannot be read as it was written", basis="landing.table") from error

    def finish(self, folder: Path, load: Load) -> None:
        """The metadata stand at a file's end, and are known when its rows have been compared: the rows' file is
        copied group by group, and every group of the copy compared with the first one's."""
        if load.landed is None:
            return
        rows = next(iter(load.files))
        landed = load.landed
        metadata = {
            f"xinyi.{name}": str(value)
            for name, value in {
                "product": landed.product, "origin": landed.origin, "sequence": landed.sequence,
                "manifest_digest": landed.manifest_digest, "root": landed.root, "load": load.number,
                "load_kind": load.kind, "load_after": load.after,
            }.items()
        }  # fmt: skip
        path = folder / _file(rows)
        bare = path.with_suffix(".bare")
        path.rename(bare)
        copy = self.create(folder, rows)
        with pq.ParquetFile(bare) as file:
            for number in range(file.num_row_groups):
                copy.take(file.read_row_group(number))
            copy.close(metadata)
            with pq.ParquetFile(path) as copied:
                groups = range(file.num_row_groups)
                if copied.num_row_groups != file.num_row_groups or not all(
                    copied.read_row_group(number).equals(file.read_row_group(number)) for number in groups
                ):
                    raise DigestMismatch(f"{path.name} was not written as it was compared", basis="landing.rows")
        bare.unlink()


class _ParquetFile:
    def __init__(self, path: Path, relation: Relation, dictionaries: list[str]) -> None:
        types = {"text": pa.string(), "integer": pa.int64()}
        self._schema = pa.schema([(c.name, types[c.kind]) for c in relation.columns])
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._writer = pq.ParquetWriter(
            self._file, self._schema, use_dictionary=dictionaries, compression=_COMPRESSION
        )
        self._rows: list[Values] = []

    def write(self, rows: Iterable[Values]) -> None:
        self._rows += rows
        while len(self._rows) >= _GROUP_ROWS:
            self._flush(_GROUP_ROWS)

    def _flush(self, count: int) -> None:
        rows, self._rows = self._rows[:count], self._rows[count:]
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, f.type) for values, f in zip(columns, self._schema, strict=True)]
        self.take(pa.table(arrays, schema=self._schema))

    def take(self, group: Any) -> None:
        """A table that becomes one row group."""
        self._writer.write_table(group, row_group_size=_GROUP_ROWS)

    def close(self, metadata: dict[str, str] | None = None) -> None:
        if self._rows:
            self._flush(len(self._rows))
        if metadata:
            self._writer.add_key_value_metadata(metadata)
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _file(relation: Relation) -> str:
    return f"{relation.name}.parquet"
