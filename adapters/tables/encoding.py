"""How a text file is encoded: stated, marked, or found and reported; never guessed in silence."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

from xinyi.errors import Invalid

_BLOCK = 1 << 20
#: What a newline byte cannot be part of another character of: such files can be cut at newlines.
_KNOWN = {"utf-8": "utf-8", "gb18030": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030"}


@dataclass(frozen=True)
class Encoding:
    #: "utf-8" or "gb18030" (which contains GBK and GB 2312).
    name: str
    #: "stated", "marked" (byte order mark), "verified" (UTF-8 proves itself), "found" (it could be another).
    how: str
    #: Bytes of the mark to skip.
    mark: int = 0

    @property
    def certain(self) -> bool:
        return self.how != "found"


def find_encoding(path: Path, stated: str = "") -> Encoding:
    """Raises Invalid where the statement and the file contradict each other, or nothing fits."""
    with path.open("rb") as file:
        head = file.read(4)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Invalid(
            f"{path.name} is UTF-16 text: save it as CSV in {stated or 'UTF-8'}", basis="source.encoding"
        )
    marked = head.startswith(codecs.BOM_UTF8)
    if stated:
        name = canonical(stated)
        if marked and name != "utf-8":
            raise Invalid(f"{path.name} is marked as UTF-8, but {stated} was stated", basis="source.encoding")
        return Encoding(name, "stated", 3 if marked else 0)
    if marked:
        return Encoding("utf-8", "marked", 3)
    if _decodes(path, "utf-8"):
        return Encoding("utf-8", "verified")
    if _decodes(path, "gb18030"):
        return Encoding("gb18030", "found")
    raise Invalid(
        f"{path.name} is neither UTF-8 nor GB18030: state its encoding or convert it", basis="source.encoding"
    )


def canonical(stated: str) -> str:
    """Raises Invalid for an encoding that is not read here."""
    name = _KNOWN.get(stated.lower().replace("_", "-").replace("utf8", "utf-8").removesuffix("-sig"))
    if name is None:
        raise Invalid(f"{stated}: known encodings are utf-8 and gb18030 (gbk)", basis="source.encoding")
    return name


def _decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                decoder.decode(block)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
