"""The report as a page: headings, facts and tables, in both languages and without any form."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from adapters.auditor.report.words import (
    BASES,
    COLUMNS,
    COVERS_ALL,
    COVERS_OWN,
    COVERS_PRODUCT,
    FROM_EXPORT,
    KEYS,
    LEAF,
    NO_RECORD,
    NOT_PROVEN,
    NOTHING,
    OPEN_YET,
    RECALLED,
    REFUSED,
    SECTIONS,
    SEMICOLON,
    SPACE,
    TITLE,
    UNCERTAIN,
    UNCONFIRMED,
    VERIFIED,
    Cell,
    Several,
    Words,
    code,
    plain,
)
from xinyi import days

Json = dict[str, Any]


@dataclass(frozen=True)
class Table:
    columns: tuple[Words, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Section:
    title: Words
    #: Named values, a table, or sentences.
    facts: tuple[tuple[Words, Cell], ...] = ()
    table: Table | None = None
    sentences: tuple[Words, ...] = ()


@dataclass(frozen=True)
class Page:
    title: Words
    #: Stands on every sheet: whom it is about.
    subject: str
    sections: tuple[Section, ...]


def page_of(report: Json) -> Page:
    return Page(TITLE, report["subject"], tuple(_sections(report)))


def _sections(report: Json) -> Iterator[Section]:
    feeds = report["feeds"]
    names = sorted({name for feed in feeds for s in feed["disclosed"] for name in _names(s["record"])})
    yield Section(
        SECTIONS["subject"],
        facts=(
            (COLUMNS["identifier"], plain(report["subject"])),
            (COLUMNS["names"], plain("；".join(names)) if names else NOTHING),
            (COLUMNS["made_at"], _time(report["made_at_ms"])),
        ),
    )
    yield Section(SECTIONS["scope"], facts=tuple(_scope(report["scope"], report["head"])))
    yield _table("now", "product origin legal_basis grade year decision decided_on validity", map(_now, feeds))
    disclosed = [(feed, s) for feed in feeds for s in feed["disclosed"]]
    yield _table(
        "disclosed",
        "product edition news grade year decision decided_on validity published_by approved_by published_at leaves",
        (_disclosed(*found) for found in disclosed),
    )
    yield _table(
        "deliveries",
        "edition recipient basis offered received accepted applied signed_by marked",
        (_delivery(s, delivery) for _, s in disclosed for delivery in s["deliveries"]),
    )
    yield _table(
        "objections",
        "number product filed_on due_on term outcome correction persons leaves",
        map(_objection, report["objections"]),
    )
    yield _table(
        "recalls",
        "correction reason recipient state basis told confirmed signed_by",
        (_recall(recall, told) for recall in report["recalls"] for told in recall["recipients"]),
    )
    yield _table("holdings", "recipient product edition since signed_by record", map(_holding, report["holdings"]))
    yield _table(
        "outcomes",
        "bank loan stage event_date amount relied authorisation became reported batch",
        map(_outcome, report["outcomes"]),
    )
    yield _table(
        "silent", "product edition published_at", ((plain(s["product"]), _edition(s), _time(s["published_at_ms"]))
        for feed in feeds for s in feed["silent"]),
    )  # fmt: skip
    yield _table("documents", "document digest edition", _documented(report))
    said = [words for words in NOT_PROVEN if words.en in report["not_proven"]]
    yield Section(SECTIONS["not_proven"], sentences=tuple(said))


def _scope(scope: Json, head: Json) -> Iterator[tuple[Words, Cell]]:
    covers = [_with(COVERS_OWN, scope["editions_of"]) if scope["editions_of"] else COVERS_ALL]
    if scope["product"]:
        covers.append(_with(COVERS_PRODUCT, scope["product"]))
    yield COLUMNS["covers"], _joined(covers)
    yield COLUMNS["asked_by"], _holder(scope["asked_by"]) if scope["asked_by"] else FROM_EXPORT
    yield COLUMNS["purpose"], plain(scope["purpose"]) if scope["purpose"] else NOTHING
    policy = scope["policy"]
    trusted = [plain(name) for name in (policy["log"], policy["gateway"], *policy["bureaus"])]
    said = [*trusted, _with(KEYS, policy["keys"]), plain(f"SHA-256 {policy['sha256']}")]
    yield COLUMNS["policy"], _joined(said)
    yield COLUMNS["head"], plain(f"{head['origin']} {head['size']} {head['root']}")
    yield COLUMNS["verified"], VERIFIED


def _table(name: str, columns: str, rows: Iterable[tuple[Cell, ...]]) -> Section:
    found = tuple(rows)
    if not found:
        return Section(SECTIONS[name], sentences=(NOTHING,))
    return Section(SECTIONS[name], table=Table(tuple(COLUMNS[column] for column in columns.split()), found))


def _now(feed: Json) -> tuple[Cell, ...]:
    return plain(feed["product"]), plain(feed["origin"]), _basis(feed), *_decision(feed["true_now"])


def _basis(feed: Json) -> Cell:
    """The catalogue's own words where an export has them; else what the disclosure class rests on."""
    if feed["legal_basis"]:
        return plain(feed["legal_basis"])
    classes = {d["disclosure_class"] for s in feed["disclosed"] for d in s["deliveries"]}
    return _joined(BASES.get(word, code("class", word)) for word in sorted(classes))


def _disclosed(feed: Json, statement: Json) -> tuple[Cell, ...]:
    leaves = statement["leaves"]
    places = [_leaf(leaves[name]) for name in ("received", "published", "stopped") if leaves[name] is not None]
    return (
        plain(feed["product"]),
        _edition(statement),
        code("news", statement["news"]),
        *_decision(statement["record"]),
        _holder(statement["published_by"]),
        _holder(statement["approved_by"]),
        _time(statement["published_at_ms"]),
        _joined(places),
    )


def _delivery(statement: Json, delivery: Json) -> tuple[Cell, ...]:
    by_stage: dict[str, Json] = {}
    for receipt in delivery["receipts"]:
        by_stage.setdefault(receipt["stage"], receipt)
    examined = [by_stage[stage] for stage in ("ACCEPTED", "PARTIAL", "REJECTED") if stage in by_stage]
    signers = sorted({receipt["signed_by"] for receipt in delivery["receipts"]})
    basis: list[Cell] = [
        code("class", delivery["disclosure_class"]),
        plain(delivery["agreement_id"]),
        code("ground", delivery["ground"]),
    ]
    refused = [Words(REFUSED.zh + rule, REFUSED.en + rule) for rule in delivery["refused_under"]]
    return (
        _edition(statement),
        plain(delivery["recipient"]),
        _joined(basis),
        _moment(delivery["offered_at_ms"], delivery["leaf"]),
        _signed(by_stage.get("RECEIVED")),
        _joined([*map(_signed, examined), *refused]),
        _signed(by_stage.get("APPLIED")),
        _joined(map(_holder, signers)),
        plain(delivery["disputed_since"]) if delivery["disputed_since"] else NOTHING,
    )


def _objection(said: Json) -> tuple[Cell, ...]:
    term = said["term"]
    amount, unit, nature = term["amount"], code("unit", term["unit"]), code("nature", term["nature"])
    clock = Words(f"{amount} {unit.zh}，{nature.zh}", f"{amount} {unit.en}, {nature.en}")
    basis: list[Cell] = [clock, plain(f"{term['basis']} {term['calendar']}".strip())]
    if not term["confirmed"]:
        basis.append(UNCONFIRMED)
    outcome: list[Cell] = [OPEN_YET]
    if said["outcome"]:
        outcome = [code("outcome", said["outcome"]), _time(said["decided_at_ms"])]
    return (
        plain(said["number"]),
        plain(said["product"]),
        plain(said["filed_on"]),
        plain(said["due_on"]),
        _joined(basis),
        _joined(outcome),
        plain(said["correction"][:16]) if said["correction"] else NOTHING,
        _joined(_holder(said[name]) for name in ("received_by", "decided_by") if said[name]),
        _joined(_leaf(said[name]) for name in ("leaf", "decision_leaf") if said[name] is not None),
    )


def _recall(recall: Json, told: Json) -> tuple[Cell, ...]:
    return (
        _edition(recall),
        plain(recall["reason"]),
        plain(told["recipient"]),
        code("state", told["state"]),
        code("ground", told["ground"]) if told["ground"] else NOTHING,
        _time(told["told_at_ms"]),
        _time(told["confirmed_at_ms"]),
        _holder(told["confirmed_by"]) if told["confirmed_by"] else NOTHING,
    )


def _holding(holding: Json) -> tuple[Cell, ...]:
    said: list[Cell] = [_record(holding["record"])]
    if holding["refused_under"]:
        said = [Words(REFUSED.zh + rule, REFUSED.en + rule) for rule in holding["refused_under"]]
    if holding["recalled_by"]:
        said.append(RECALLED)
    if holding["uncertain"]:
        said.append(UNCERTAIN)
    return (
        plain(holding["recipient"]),
        plain(holding["product"]),
        _edition(holding["edition"]),
        _moment(holding["known_since_ms"], holding["receipt_leaf"]),
        _holder(holding["known_by"]),
        _joined(said),
    )


def _outcome(reported: Json) -> tuple[Cell, ...]:
    row, finding = reported["outcome"], reported["finding"]
    loan, consent = row["loan"], row["authorisation"]
    relied, amount = loan.get("reliance"), int(row.get("amount", 0))
    told = [plain(loan["reference"]), plain(loan["product"])]
    validity = f"{consent['valid_from']} – {consent['valid_to']}"
    digest = b64decode(consent["digest"]).hex()
    became: list[Cell] = [code("became", finding["state"] if finding else "COUNTED")]
    if finding and finding["rule"]:
        became.append(plain(finding["rule"]))
    return (
        plain(reported["bank"]),
        _joined(told),
        code("stage", row["stage"].removeprefix("STAGE_")),
        plain(row["event_date"]),
        plain(f"{amount // 100:,}.{amount % 100:02d} {loan['currency']}") if amount else NOTHING,
        _relied(relied) if relied else NOTHING,
        _joined([plain(digest), plain(consent["scope"]), plain(validity)]),
        _joined(became),
        _moment(reported["recorded_at_ms"], reported["leaf"]),
        plain(f"{reported['number']} {reported['batch'][:16]}"),
    )


def _relied(reliance: Json) -> Cell:
    grade = code("grade", reliance["grade"].removeprefix("GRADE_"))
    edition = b64decode(reliance["manifest_digest"]).hex()[:16]
    return _joined([grade, plain(reliance["evaluation_year"]), plain(edition)])


def _documented(report: Json) -> Iterator[tuple[Cell, ...]]:
    yield from map(_document, _documents(report))
    batches = {row["batch"]: row for row in report["outcomes"]}
    for digest, row in batches.items():
        yield code("document", "batch"), plain(digest), NOTHING
        yield code("document", "outcome receipt"), plain(row["receipt"]), NOTHING


def _documents(report: Json) -> Iterator[tuple[str, str, Json]]:
    """Kind and digest of each sealed document that the report rests on, with its edition."""
    for feed in report["feeds"]:
        for statement in feed["disclosed"]:
            yield "manifest", statement["edition"], statement
            yield "approval", statement["approval"], statement
            for delivery in statement["deliveries"]:
                yield "delivery", delivery["delivery"], statement
                yield from (("receipt", receipt["receipt"], statement) for receipt in delivery["receipts"])


def _document(found: tuple[str, str, Json]) -> tuple[Cell, ...]:
    kind, digest, statement = found
    return code("document", kind), plain(digest), _edition(statement)


def _decision(record: Json | None) -> tuple[Cell, ...]:
    """Grade, year, kind of decision, its day, validity."""
    if record is None:
        return NO_RECORD, NOTHING, NOTHING, NOTHING, NOTHING
    kind = record.get("decision_kind", "").removeprefix("DECISION_KIND_")
    valid = [record.get("valid_from", ""), record.get("valid_to", "")]
    return (
        code("grade", record["grade"].removeprefix("GRADE_")),
        plain(record["evaluation_year"]),
        code("decision", kind) if kind else NOTHING,
        plain(record["decided_on"]) if record.get("decided_on") else NOTHING,
        plain(" – ".join(valid)) if any(valid) else NOTHING,
    )


def _record(record: Json | None) -> Words:
    if record is None:
        return NO_RECORD
    grade, year = code("grade", record["grade"].removeprefix("GRADE_")), record["evaluation_year"]
    return Words(f"{grade.zh}（{year}）", f"{grade.en} ({year})")


def _names(record: Json | None) -> list[str]:
    return list(record.get("names", ())) if record else []


def _edition(edition: Json) -> Several:
    place = f"{edition['period']} #{edition['sequence']} {edition['edition'][:16]}"
    stopped = [COLUMNS["stopped"]] if edition["stopped_at_ms"] is not None else []
    return Several((code("kind", edition["kind"]), plain(place), *stopped), SPACE)


def _signed(receipt: Json | None) -> Cell:
    return NOTHING if receipt is None else _moment(receipt["signed_at_ms"], receipt["leaf"])


def _moment(milliseconds: int, leaf: int) -> Cell:
    return _joined([_time(milliseconds), _leaf(leaf)])


def _leaf(index: int) -> Words:
    return _with(LEAF, index)


def _with(words: Words, *values: object) -> Words:
    return Words(words.zh.format(*values), words.en.format(*values))


def _time(milliseconds: int | None) -> Words:
    if milliseconds is None:
        return NOTHING
    return plain(days.moment(milliseconds).strftime("%Y-%m-%d %H:%M:%S"))


def _holder(name: str) -> Words:
    return plain(name.removeprefix("xinyi://"))


def _joined(cells: Iterable[Cell]) -> Cell:
    found = tuple(cells)
    return Several(found, SEMICOLON) if found else NOTHING
