"""A version as lines of figures in one language, without any form: what all five forms show.

A figure is a number, NO_FIGURE where nothing can be derived, or SUPPRESSED.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from adapters.figures import words
from adapters.figures.fetching import Fetched
from adapters.figures.words import Words, plain
from xinyi import figures
from xinyi.days import moment
from xinyi.figures import GROUP_OF, GROUPS, Lent, SmallMicro, margins_of, share, shown, small_micro
from xinyi.lending import period_name
from xinyi.margins import ALL, SIZES, TOTAL
from xinyi.suppression import CONSENTED
from xinyi.v1 import lending_pb2

Cell = lending_pb2.PublishedCell


class Gap(Enum):
    SUPPRESSED = "suppressed"
    NO_FIGURE = "no figure"


Figure = int | Decimal | Gap


@dataclass(frozen=True)
class Column:
    """Args: kind — count, amount (in the hundredth part of a unit), share (per cent) or mean (in 万)."""

    key: str
    kind: str
    figure: Callable[[Cell, Cell], Figure]


def _sum(name: str) -> Callable[[Cell, Cell], Figure]:
    def figure(cell: Cell, _: Cell) -> Figure:
        told = shown(cell, name)
        return Gap.SUPPRESSED if told is None else told

    return figure


def _share(part: str, whole: str, *, of_total: bool) -> Callable[[Cell, Cell], Figure]:
    def figure(cell: Cell, total: Cell) -> Figure:
        one, other = shown(cell, part), shown(total if of_total else cell, whole)
        if one is None or other is None:
            return Gap.SUPPRESSED
        return _or_gap(share(one, other))

    return figure


def _mean(cell: Cell, _: Cell) -> Figure:
    amount, loans = shown(cell, "granted"), shown(cell, "loans")
    if amount is None or loans is None:
        return Gap.SUPPRESSED
    return _or_gap(figures.mean_wan(amount, loans))


def _or_gap(figure: Decimal | None) -> Figure:
    return Gap.NO_FIGURE if figure is None else figure


_EVENTS = (
    Column("loans", "count", _sum("loans")),
    Column("firms", "count", _sum("firms")),
    Column("granted", "amount", _sum("granted")),
)
COLUMNS = (
    *_EVENTS,
    Column("share_loans", "share", _share("loans", "loans", of_total=True)),
    Column("share_granted", "share", _share("granted", "granted", of_total=True)),
    Column("mean", "mean", _mean),
    Column("outstanding_loans", "count", _sum("outstanding_loans")),
    Column("outstanding_firms", "count", _sum("outstanding_firms")),
    Column("balance", "amount", _sum("balance")),
    Column("bad_loans", "count", _sum("bad_loans")),
    Column("bad_firms", "count", _sum("bad_firms")),
    Column("bad_balance", "amount", _sum("bad_balance")),
    Column("bad_share", "share", _share("bad_balance", "balance", of_total=False)),
    Column("refused", "count", _sum("refused")),
    Column("refused_firms", "count", _sum("refused_firms")),
)
assert {column.key for column in COLUMNS} >= GROUP_OF.keys()


@dataclass(frozen=True)
class Line:
    value: str
    label: Words
    figures: tuple[Figure, ...]
    suppressed: tuple[str, ...]


@dataclass(frozen=True)
class Margin:
    dimension: str
    title: Words
    columns: tuple[Column, ...]
    heads: tuple[Words, ...]
    #: Of its amounts and means.
    unit: Words
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sheet:
    title: Words
    facts: tuple[tuple[Words, Words], ...]
    headlines: tuple[tuple[Words, Words], ...]
    margins: tuple[Margin, ...]
    notes: tuple[Words, ...] = words.NOTES

    def margin(self, dimension: str) -> Margin | None:
        return next((margin for margin in self.margins if margin.dimension == dimension), None)


def sheet_of(fetched: Fetched) -> Sheet:
    told = fetched.statistics
    total = margins_of(told)[TOTAL][ALL]
    return Sheet(
        title=Words(
            f"{words.TITLE.zh} {period_name(told.period)}", f"{words.TITLE.en}, {period_name(told.period)}"
        ),
        facts=tuple(_facts(fetched)),
        headlines=tuple(_headlines(told)),
        # Detail comes behind what it is detail of.
        margins=tuple(_margin(margin, total, told.currency) for margin in sorted(told.margins, key=_is_detail)),
    )


def _is_detail(margin: lending_pb2.PublishedMargin) -> bool:
    return margin.dimension.startswith(CONSENTED)


def _facts(fetched: Fetched) -> list[tuple[Words, Words]]:
    told, names = fetched.statistics, words.FACTS
    audience = words.AUDIENCES[lending_pb2.Audience.Name(told.audience)]
    leaf = words.LEAF
    found = [
        (names["period"], plain(period_name(told.period))),
        (names["currency"], plain(told.currency)),
        (names["audience"], audience),
        (names["version"], plain(told.version)),
        (names["restatement"], plain(told.restatement) if told.restatement else names["none"]),
        (names["counted_until"], plain(f"{moment(told.counted_until_ms):%Y-%m-%d %H:%M:%S.%f}"[:-3])),
        (names["banks"], plain(told.banks)),
    ]
    if told.audience == lending_pb2.AUDIENCE_BUREAU:
        found.append((names["missing"], plain(", ".join(told.missing)) if told.missing else names["none"]))
        tables = ", ".join(f"{table.bank} {table.table.hex()[:16]}" for table in told.tables)
        found.append((names["tables"], plain(tables) if tables else names["none"]))
    return [
        *found,
        (names["definitions"], plain(told.definitions)),
        (names["digest"], plain(fetched.digest.hex())),
        (names["predecessor"], plain(told.predecessor.hex()) if told.predecessor else names["none"]),
        (
            names["position"],
            Words(
                leaf.zh.format(fetched.position, fetched.log_size),
                leaf.en.format(fetched.position, fetched.log_size),
            ),
        ),
    ]


def _headlines(told: lending_pb2.Statistics) -> list[tuple[Words, Words]]:
    """The four figures that a quarter is told by, and what derives from them."""
    sizes = small_micro(told)
    if not sizes:
        cell = margins_of(told)[TOTAL][ALL]
        loans, granted = shown(cell, "loans"), shown(cell, "granted")
        whole = None if loans is None or granted is None else Lent(loans, granted)
        return [(words.HEADLINES["all"], _lent(whole, told.currency))]
    found = [(words.HEADLINES["all"], _lent(sizes[0].whole, told.currency))]
    for size in sizes:
        found += [
            (_of(size, "small"), _small(size, told.currency)),
            (_of(size, "others"), _lent(size.others, told.currency)),
        ]
        if size.unknown is None or size.unknown.loans:
            found.append((_of(size, "unknown"), _lent(size.unknown, told.currency)))
    return found


def _of(size: SmallMicro, word: str) -> Words:
    name, by = words.HEADLINES[word], words.HEADLINES["by"]
    return Words(
        f"{name.zh}（{by.zh.format(size.definition)}）", f"{name.en} ({by.en.format(size.definition)})"
    )


def _lent(lent: Lent | None, currency: str) -> Words:
    if lent is None:
        return words.SUPPRESSED
    said, yi, wan = words.HEADLINES, words.unit("yi", currency), words.unit("wan", currency)
    amount = f"{figures.in_yi(lent.granted):,}"
    zh = [f"{lent.loans:,} {said['loans'].zh}", f"{amount} {yi.zh}"]
    en = [f"{lent.loans:,} {said['loans'].en}", f"{amount} × {yi.en}"]
    if lent.mean is not None:
        zh.append(f"{said['mean'].zh} {lent.mean:,} {wan.zh}")
        en.append(f"{said['mean'].en} {lent.mean:,} × {wan.en}")
    return Words("，".join(zh), ", ".join(en))


def _small(size: SmallMicro, currency: str) -> Words:
    lent, said = _lent(size.small, currency), words.HEADLINES
    if size.share_of_loans is None or size.share_of_amount is None:
        return lent
    return Words(
        f"{lent.zh}；{said['of_loans'].zh} {size.share_of_loans} %，{said['of_amount'].zh} {size.share_of_amount} %",
        f"{lent.en}; {size.share_of_loans} % {said['of_loans'].en}, {size.share_of_amount} % {said['of_amount'].en}",
    )


def _margin(margin: lending_pb2.PublishedMargin, total: Cell, currency: str) -> Margin:
    events = _is_detail(margin)
    columns = _EVENTS if events else COLUMNS
    heads = words.EVENTS if events else words.COLUMNS
    cells = sorted(margin.cells, key=lambda cell: _order(margin.dimension, cell.value))
    return Margin(
        dimension=margin.dimension,
        title=dimension_words(margin.dimension),
        columns=columns,
        heads=tuple(heads[column.key] for column in columns),
        unit=words.unit("wan", currency),
        lines=tuple(
            Line(
                cell.value,
                value_words(margin.dimension, cell.value),
                tuple(column.figure(cell, total) for column in columns),
                tuple(group_word(group) for group in GROUPS if group in cell.suppressed),
            )
            for cell in cells
        ),
    )


def group_word(group: lending_pb2.SumGroup) -> str:
    return lending_pb2.SumGroup.Name(group).removeprefix("SUM_GROUP_")


def _order(dimension: str, value: str) -> tuple[int, str]:
    """Sizes from large to micro, what is not known last; all else by value."""
    sizes: Sequence[str] = SIZES.get(dimension.removeprefix("size/"), ())
    return (sizes.index(value) if value in sizes else len(sizes) + (value == "unknown"), value)


def dimension_words(dimension: str) -> Words:
    name, _, rest = dimension.partition("/")
    known = words.DIMENSIONS.get(name)
    if known is None:
        return plain(dimension)
    if name == "size":
        return Words(known.zh.format(rest), known.en.format(rest))
    if name == "consented":
        stage, _, kind = rest.partition("/")
        of, by = words.STAGES.get(stage, plain(stage)), dimension_words(kind)
        return Words(known.zh.format(of.zh, by.zh), known.en.format(of.en, by.en))
    return known


def value_words(dimension: str, value: str) -> Words:
    if dimension.endswith("/grade-pair"):
        relied, _, true = value.partition(">")
        one, other = value_words("grade", relied), value_words("grade", true)
        return Words(f"{one.zh} > {other.zh}", f"{one.en} > {other.en}")
    if dimension.startswith("rate/") and "-" in value:
        least, _, most = value.partition("-")
        bound = f"{Decimal(least).scaleb(-2)} %"
        return plain(f"≥ {bound}" if most == "up" else f"{bound} – < {Decimal(most).scaleb(-2)} %")
    if dimension == "industry" and value in words.INDUSTRIES:
        name = words.INDUSTRIES[value]
        return Words(f"{value} {name.zh}", f"{value} {name.en}")
    if dimension in ("bank", "district", "product"):
        return words.VALUES[value] if value == "unknown" else plain(value)
    return words.VALUES.get(value, plain(value))
