"""Reading somebody's table, CSV or XLSX, row by row in constant memory. Cells stay as they are written.

Decides what a cell's text is; knows nothing of what it should be. The file's digest is taken before and
while it is read, so that what is published is what was read.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from adapters.tables.encoding import Encoding, find_encoding
from adapters.tables.profile import Profile
from xinyi.errors import Conflict, Invalid

ROWS_PER_BLOCK = 4096
_BYTES_PER_BLOCK = 1 << 20
#: A single line longer than this is no table.
_MAX_LINE = 16 << 20

#: Row number of the first row, then rows. Empty rows are there, as empty lists: row numbers stay true.
Block = tuple[int, list[list[str]]]


class NumberCell(str):
    """A cell of an identifier column in which the spreadsheet keeps a number: its digits may be lost."""

    __slots__ = ("cell",)
    cell: str

    def __new__(cls, number: object, cell: str) -> NumberCell:
        text = super().__new__(cls, f"{number} (a number in cell {cell})")
        text.cell = cell
        return text


@dataclass(frozen=True)
class Table:
    """One table of one file, opened through a profile."""

    path: Path
    profile: Profile
    #: Of the raw file.
    sha256: bytes
    size_bytes: int
    #: "utf-8", "gb18030" or "xlsx".
    encoding: str
    #: How the encoding is known, see Encoding.how; "format" for a workbook.
    how: str
    mark: int = 0

    @property
    def certain(self) -> bool:
        """False where the encoding was found by trial only."""
        return self.how != "found"

    def blocks(self) -> Iterator[Block]:
        """The heading row alone, then blocks of rows. Raises Invalid, Conflict."""
        if self.encoding == "xlsx":
            return self._blocks_of_workbook()
        return self._blocks_of_text()

    def _blocks_of_text(self) -> Iterator[Block]:
        profile = self.profile
        texts = self._texts()
        # newline="": csv itself knows which line ends are inside quotes.
        lines = chain.from_iterable(io.StringIO(text, newline="") for text in texts)
        reader = csv.reader(lines, delimiter=profile.delimiter, strict=True)
        try:
            for _ in range(profile.header_row - 1):
                next(reader, None)
            yield profile.header_row, [next(reader, [])]
            number = profile.header_row + 1
            while rows := list(islice(reader, ROWS_PER_BLOCK)):
                yield number, rows
                number += len(rows)
        except csv.Error as error:
            raise Invalid(f"{self.path.name}, line {reader.line_num}: {error}", basis="source.csv") from error

    def _texts(self) -> Iterator[str]:
        """The file's text, cut behind newlines: in these encodings that byte is never part of a character."""
        digest = hashlib.sha256()
        rest = b""
        with self.path.open("rb", buffering=0) as file:
            offset = self.mark
            digest.update(file.read(self.mark))
            while block := file.read(_BYTES_PER_BLOCK):
                digest.update(block)
                cut = block.rfind(b"\n") + 1
                if not cut:
                    rest += block
                    if len(rest) > _MAX_LINE:
                        raise Invalid(f"{self.path.name} has a line of {len(rest)} bytes", basis="source.csv")
                    continue
                yield self._decode(rest + block[:cut], offset)
                offset += len(rest) + cut
                rest = block[cut:]
        if rest:
            yield self._decode(rest, offset)
        self._check_unchanged(digest.digest())

    def _decode(self, data: bytes, offset: int) -> str:
        try:
            return data.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise Invalid(
                f"{self.path.name} is not {self.encoding}: byte {offset + error.start} cannot be read",
                basis="source.encoding",
            ) from error

    def _blocks_of_workbook(self) -> Iterator[Block]:
        from python_calamine import CalamineError, CalamineWorkbook

        data = self.path.read_bytes()
        self._check_unchanged(hashlib.sha256(data).digest())
        try:
            workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
            names = workbook.sheet_names
            wanted = self.profile.sheet or (names[0] if len(names) == 1 else "")
            if wanted not in names:
                raise Invalid(
                    f"{self.path.name} has the sheets {', '.join(names)}: name one in the profile",
                    basis="source.sheet",
                )
            sheet = workbook.get_sheet_by_name(wanted)
        except CalamineError as error:
            raise Invalid(
                f"{self.path.name} is no readable workbook: {error}", basis="source.xlsx"
            ) from error
        # Rows count from the sheet's top, columns from its first used one.
        first_column = sheet.start[1] if sheet.start else 0
        rows = sheet.iter_rows()
        header = self.profile.header_row
        headings = [_text(cell) for cell in next(islice(rows, header - 1, None), [])]
        yield header, [headings]
        positions = self.profile.positions(headings)
        identifiers = {positions[field]: first_column for field in self.profile.identifiers}
        number = header + 1
        while block := list(islice(rows, ROWS_PER_BLOCK)):
            yield number, [_row(row, number + i, identifiers) for i, row in enumerate(block)]
            number += len(block)

    def _check_unchanged(self, digest: bytes) -> None:
        if digest != self.sha256:
            raise Conflict(f"{self.path.name} changed while it was read: start again", basis="source.changed")


def open_table(path: Path, profile: Profile, *, encoding: str = "") -> Table:
    """Takes the file's digest and finds out how to read it.

    Args:
        encoding: as the operator states it; wins over the profile.
    """
    digest, head, size = hashlib.sha256(), b"", 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BYTES_PER_BLOCK):
            head = head or block[:8]
            digest.update(block)
            size += len(block)
    if not size:
        raise Invalid(f"{path.name} is empty", basis="source.empty")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise Invalid(f"{path.name} is an old XLS workbook: save it as XLSX", basis="source.xlsx")
    if head.startswith(b"PK\x03\x04"):
        return Table(path, profile, digest.digest(), size, "xlsx", "format")
    found: Encoding = find_encoding(path, encoding or profile.encoding)
    return Table(path, profile, digest.digest(), size, found.name, found.how, found.mark)


def _row(cells: Sequence[object], number: int, identifiers: Mapping[int, int]) -> list[str]:
    """Args: identifiers — position of each identifier column → columns of the sheet before the table."""
    row = [
        NumberCell(_text(cell), f"{_column(i + identifiers[i])}{number}")
        if i in identifiers and not isinstance(cell, str)
        else _text(cell)
        for i, cell in enumerate(cells)
    ]
    return row if any(row) else []


def _text(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    if isinstance(cell, datetime.date | datetime.time):
        return cell.isoformat()
    return str(cell)


def _column(index: int) -> str:
    """0 → A, 26 → AA."""
    name = ""
    index += 1
    while index:
        index, letter = divmod(index - 1, 26)
        name = chr(ord("A") + letter) + name
    return name
