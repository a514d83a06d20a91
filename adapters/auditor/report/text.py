"""The page as plain text: facts and records line by line, so that it reads on any terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from adapters.auditor.report.page import Page, Section


def render(page: Page, language: str) -> bytes:
    """UTF-8. Args: language — zh, en or both."""
    return "\n".join(_lines(page, language)).encode() + b"\n"


def _lines(page: Page, language: str) -> Iterator[str]:
    yield _safe(page.title.show(language))
    for section in page.sections:
        yield ""
        yield f"== {_safe(section.title.show(language))}"
        yield from map(_safe, _section(section, language))


def _section(section: Section, language: str) -> Iterator[str]:
    for name, value in section.facts:
        yield f"{name.show(language)}: {value.show(language)}"
    for sentence in section.sentences:
        yield f"- {sentence.show(language)}"
    if section.table is None:
        return
    for row in section.table.rows:
        yield ""
        for column, cell in zip(section.table.columns, row, strict=True):
            yield f"  {column.show(language)}: {cell.show(language)}"


def _safe(line: str) -> str:
    """Without control characters: a reason or a name must not drive somebody's terminal."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in ("Cc", "Cf") else c for c in line)
