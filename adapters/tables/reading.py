"""Reading somebody's table, CSV or XLSX, row by row in constant memory. Cells stay as they are written.
A database's is read by database.py as the same kind of Table.

Decides what a cell's text is; knows nothing of what it should be. The file's digest is taken before and
while it is read, so that what is published is what was read.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from adapters.tables.encoding import Encoding, find_encoding
from adapters.tables.profile import Profile
from xinyi.errors import Conflict, Invalid

ROWS_PER_BLOCK = 4096
_BYTES_PER_BLOCK = 1 << 20
#: A single line longer than this is no table.
_MAX_LINE = 16 << 20

#: Row number of the first row, then rows. Empty rows are there, as empty lists: row numbers stay true.
Block = tuple[int, list[list[str]]]


class Piece(Protocol):
    """Rows that lie together, perhaps not parsed yet: any process may do that."""

    def rows(self) -> list[list[str]]: ...


@dataclass(frozen=True)
class Parsed:
    _rows: list[list[str]]

    def rows(self) -> list[list[str]]:
        return self._rows


@dataclass(frozen=True)
class Text:
    """Whole lines of a text file without a quotation mark: no row goes over their end."""

    data: bytes
    encoding: str
    delimiter: str
    #: For errors: the file's name, the piece's first byte and first row.
    name: str
    offset: int
    first: int

    def rows(self) -> list[list[str]]:
        """Raises Invalid."""
        lines = io.StringIO(_decode(self.data, self.encoding, self.name, self.offset), newline="")
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        try:
            return list(reader)
        except csv.Error as error:
            line = self.first + reader.line_num - 1
            raise Invalid(f"{self.name}, line {line}: {error}", basis="source.csv") from error


class NumberCell(str):
    """A cell of an identifier column in which the spreadsheet keeps a number: its digits may be lost."""

    __slots__ = ("cell",)
    cell: str

    def __new__(cls, number: object, cell: str) -> NumberCell:
        text = super().__new__(cls, f"{number} (a number in cell {cell})")
        text.cell = cell
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return _number_cell, (str(self), self.cell)


def _number_cell(text: str, cell: str) -> NumberCell:
    made = str.__new__(NumberCell, text)
    made.cell = cell
    return made


@dataclass(frozen=True)
class Table(ABC):
    """One table, opened through a profile."""

    profile: Profile
    #: Of the raw file; of a database's rows, of their canonical form.
    sha256: bytes
    size_bytes: int
    #: "utf-8", "gb18030" or "xlsx"; "postgresql" or "sqlite".
    encoding: str
    #: How the encoding is known, see Encoding.how; "format" where there is no choice.
    how: str

    @property
    @abstractmethod
    def name(self) -> str:
        """For people."""

    @property
    def certain(self) -> bool:
        """False where the encoding was found by trial only."""
        return self.how != "found"

    def blocks(self) -> Iterator[Block]:
        """The heading row alone, then blocks of rows. Raises as `pieces`."""
        for first, piece in self.pieces():
            yield first, piece.rows()

    @abstractmethod
    def pieces(self) -> Iterator[tuple[int, Piece]]:
        """The same, each with its first row's number, and parsed only where that cannot wait.

        Raises Invalid, and Conflict where the table is not any more what it was when it was opened.
        """


@dataclass(frozen=True)
class FileTable(Table):
    """One table of one file."""

    path: Path
    mark: int = 0

    @property
    def name(self) -> str:
        return self.path.name

    def pieces(self) -> Iterator[tuple[int, Piece]]:
        """A piece without quotation marks is parsed by whoever takes it. From the first quotation mark on a row may
        go over any line's end, so everything is parsed here, in order.
        """
        if self.encoding == "xlsx":
            return ((first, Parsed(rows)) for first, rows in self._blocks_of_workbook())
        return self._pieces_of_text()

    def _pieces_of_text(self) -> Iterator[tuple[int, Piece]]:
        blocks = self._lines()
        offset, data = next(blocks, (self.mark, b""))
        number = self.profile.header_row + 1
        head = _head(data, self.profile.header_row)
        if head and b'"' not in head:
            yield number - 1, Parsed([self._text(head, offset, 1).rows()[-1]])
            blocks = chain([(offset + len(head), data[len(head) :])], blocks)
            for offset, data in blocks:
                if b'"' in data:
                    blocks = chain([(offset, data)], blocks)
                    break
                if data:
                    yield number, self._text(data, offset, number)
                    number += _line_count(data)
            else:
                return
            rest = self._reader(blocks, number - 1)
        else:
            rest = self._reader(chain([(offset, data)], blocks), 0)
            headings = list(islice(rest, self.profile.header_row))[self.profile.header_row - 1 :]
            yield number - 1, Parsed(headings or [[]])
        while rows := list(islice(rest, ROWS_PER_BLOCK)):
            yield number, Parsed(rows)
            number += len(rows)

    def _text(self, data: bytes, offset: int, first: int) -> Text:
        return Text(data, self.encoding, self.profile.delimiter, self.path.name, offset, first)

    def _reader(self, blocks: Iterator[tuple[int, bytes]], before: int) -> Iterator[list[str]]:
        """Rows of text in which a row may go over the end of a block. Args: before — lines already read."""
        texts = (_decode(data, self.encoding, self.path.name, offset) for offset, data in blocks)
        # newline="": csv itself knows which line ends are inside quotes.
        lines = chain.from_iterable(io.StringIO(text, newline="") for text in texts)
        reader = csv.reader(lines, delimiter=self.profile.delimiter, strict=True)
        try:
            yield from reader
        except csv.Error as error:
            line = before + reader.line_num
            raise Invalid(f"{self.path.name}, line {line}: {error}", basis="source.csv") from error

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """(offset, whole lines), cut behind newlines: in these encodings that byte is never part of a character."""
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
                yield offset, rest + block[:cut]
                offset += len(rest) + cut
                rest = block[cut:]
        if rest:
            yield offset, rest
        self._check_unchanged(digest.digest())

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
        headings = [cell_text(cell) for cell in next(islice(rows, header - 1, None), [])]
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


def open_table(path: Path, profile: Profile, *, encoding: str = "") -> FileTable:
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
        return FileTable(profile, digest.digest(), size, "xlsx", "format", path)
    found: Encoding = find_encoding(path, encoding or profile.encoding)
    return FileTable(profile, digest.digest(), size, found.name, found.how, path, found.mark)


def _decode(data: bytes, encoding: str, name: str, offset: int) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Invalid(
            f"{name} is not {encoding}: byte {offset + error.start} cannot be read; state what it is, "
            "--encoding utf-8 or gb18030, or in the profile",
            basis="source.encoding",
        ) from error


_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n)")


def _head(data: bytes, lines: int) -> bytes:
    """The first lines with their ends; nothing where there are fewer."""
    end = 0
    for _ in range(lines):
        found = _LINE.match(data, end)
        if found is None:
            return b""
        end = found.end()
    return data[:end]


def _line_count(data: bytes) -> int:
    """As the csv module counts: \\r\\n, \\n and \\r end a line; the last one may lack its end."""
    ends = data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")
    return ends if data.endswith((b"\n", b"\r")) else ends + 1


def _row(cells: Sequence[object], number: int, identifiers: Mapping[int, int]) -> list[str]:
    """Args: identifiers — position of each identifier column → columns of the sheet before the table."""
    row = [
        NumberCell(cell_text(cell), f"{_column(i + identifiers[i])}{number}")
        if i in identifiers and not isinstance(cell, str)
        else cell_text(cell)
        for i, cell in enumerate(cells)
    ]
    return row if any(row) else []


def cell_text(cell: object) -> str:
    """Of a value that is a text, a number, a date or a word."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float) and cell.is_integer():
        # A spreadsheet keeps 15 digits: what had more is no number of anything any more, and must not look like one.
        return str(int(cell)) if abs(cell) < 1e15 else f"{cell:.14e}"
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
