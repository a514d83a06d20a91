"""The subject's report as a page: whatever a name or a reason holds, it is text; and it prints on A4."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from adapters.auditor.report import html, text
from adapters.auditor.report.page import page_of
from adapters.auditor.report.words import CODES, COLUMNS, COVERS_ALL, NOT_PROVEN, SECTIONS
from audit.disclosure import history
from xinyi.v1 import edition_pb2, exchange_pb2, objection_pb2, records_pb2

HOSTILE = "<script>document.title='taken'</script>\"'&amp;<img src=x onerror=alert(1)>\x1b[2J\u202e"
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "section", "h1", "h2", "dl", "dt", "dd"),
    *("ul", "li", "div", "table", "thead", "tbody", "tr", "th", "td"),
}
SUBJECT = "91999999000000078G"


def edition(kind: str, sequence: int, **more: Any) -> dict[str, Any]:
    return {
        "edition": f"{sequence:064x}",
        "approval": f"{sequence + 1000:064x}",
        "origin": "test-city/tax-bureau",
        "product": "grade-all",
        "period": "2018-04",
        "kind": kind,
        "sequence": sequence,
        "corrects": "",
        "reason": HOSTILE if kind == "CORRECTION" else "",
        "published_by": "xinyi://test-city/tax-bureau/person/li-wei",
        "approved_by": "xinyi://test-city/tax-bureau/person/wang-fang",
        "published_at_ms": 1524189600000,
        "stopped_at_ms": None,
        "leaves": {"received": 3, "published": 4, "stopped": None},
        **more,
    }


def record(grade: str) -> dict[str, Any]:
    return {
        "taxpayer_id": SUBJECT,
        "names": [f"示例企业{HOSTILE}"],
        "evaluation_year": 2017,
        "grade": f"GRADE_{grade}",
        "decided_on": "2018-04-18",
        "valid_from": "2018-04-20",
    }


def delivery(recipient: str, ground: str) -> dict[str, Any]:
    signer = f"xinyi://test-city/{recipient}/machine/main"
    return {
        "delivery_id": "a" * 64,
        "delivery": "b" * 64,
        "recipient": f"test-city/{recipient}",
        "edition": "c" * 64,
        "agreement_id": HOSTILE,
        "disclosure_class": "AGREEMENT",
        "ground": ground,
        "channel": "PULL",
        "offered_at_ms": 1524193200000,
        "leaf": 5,
        "disputed_since": "2018-05-02",
        "refused_under": ["name.length"],
        "receipts": [
            {"receipt": "d" * 64, "stage": stage, "signed_by": signer, "signed_at_ms": 1524196800000, "leaf": 6}
            for stage in ("RECEIVED", "PARTIAL", "APPLIED")
        ],
    }


def reported() -> dict[str, Any]:
    """A loan that a bank reported with the subject's authorisation."""
    reliance = {"manifest_digest": "AAAA", "grade": "GRADE_A", "evaluation_year": 2017}
    return {
        "bank": "test-city/bank-1",
        "batch": "a" * 64,
        "receipt": "b" * 64,
        "number": "2018-05",
        "agreement_id": "agreement-1",
        "issued_by": "xinyi://test-city/bank-1/machine/main",
        "recorded_at_ms": 1525275000000,
        "leaf": 12,
        "outcome": {
            "outcome_id": "O1",
            "loan": {"reference": f"L1{HOSTILE}", "product": "tax-loan", "currency": "CNY", "reliance": reliance},
            "stage": "STAGE_DISBURSED",
            "event_date": "2018-05-02",
            "amount": "500000000",
            "authorisation": {
                "digest": "BBBB", "scope": "lending-outcomes", "valid_from": "2018-01-01", "valid_to": "2018-12-31"
            },
        },
        "finding": {"state": "HELD", "rule": "outcome.plausible_amount"},
    }  # fmt: skip


def scope(**more: Any) -> dict[str, Any]:
    return {
        "source": "gateway",
        "asked_by": "xinyi://test-city/auditor/person/zhao-min",
        "purpose": "asked by the subject",
        "editions_of": "",
        "product": "",
        "policy": {
            "log": "test-city/gateway/log",
            "gateway": "test-city/gateway",
            "bureaus": ["test-city/tax-bureau"],
            "keys": 4,
            "sha256": "9" * 64,
        },
        **more,
    }


def sample(banks: int = 2) -> dict[str, Any]:
    first = edition("FULL", 1, news="new", record=record("A"))
    first["deliveries"] = [delivery(f"bank-{n}", "AGREEMENT") for n in range(banks)]
    second = edition("CORRECTION", 3, news="changed", record=record("B"), deliveries=[delivery("bank-1", "RECALL")])
    told = {"ground": "RECALL", "told_at_ms": 1, "confirmed_at_ms": None, "confirmed_by": None}
    return {
        "subject": SUBJECT,
        "made_at_ms": 1526810400000,
        "scope": scope(),
        "feeds": [
            {
                "origin": "test-city/tax-bureau",
                "product": "grade-all",
                "legal_basis": "",
                "true_now": record("B"),
                "disclosed": [first, second],
                "silent": [edition("DELTA", 2)],
            }
        ],
        "objections": [
            {
                "number": "2018-7",
                "objection": "e" * 64,
                "edition": "1" * 64,
                "product": "grade-all",
                "filed_on": "2018-05-02",
                "due_on": "2018-05-23",
                "received_by": "xinyi://test-city/tax-bureau/person/li-wei",
                "term": {
                    "nature": "STATUTORY_DUTY",
                    "basis": HOSTILE,
                    "amount": 15,
                    "unit": "WORKING_DAYS",
                    "confirmed": False,
                    "calendar": "cn-2026.1",
                },
                "leaf": 9,
                "outcome": "UPHELD",
                "decided_by": "xinyi://test-city/tax-bureau/person/wang-fang",
                "decided_at_ms": 1526810400000,
                "decision_leaf": 12,
                "correction": "3" * 64,
            }
        ],
        "recalls": [{**second, "recipients": [{"recipient": "test-city/bank-1", "state": "OPEN", **told}]}],
        "holdings": [
            {
                "recipient": "test-city/bank-1",
                "origin": "test-city/tax-bureau",
                "product": "grade-all",
                "edition": first,
                "delivery": first["deliveries"][0],
                "known_since_ms": 1524196800000,
                "known_by": "xinyi://test-city/bank-1/machine/main",
                "receipt_leaf": 6,
                "record": record("A"),
                "refused_under": [],
                "recalled_by": None,
                "uncertain": True,
            }
        ],
        "outcomes": [reported()],
        "head": {"origin": "test-city/gateway/log", "size": 13, "root": "f" * 64},
        "not_proven": list(history.NOT_PROVEN),
    }


class Tags(HTMLParser):
    """Every tag and its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("language", ["zh", "en", "both"])
def test_the_page_holds_no_markup_of_anybody(language: str) -> None:
    """No script, image, link or handler; nothing that is fetched; no control characters."""
    page = html.render(page_of(sample()), language).decode()
    found = Tags()
    found.feed(page)
    assert {tag for tag, _ in found.tags} <= TAGS
    assert {name for _, attributes in found.tags for name in attributes} <= {
        "lang", "charset", "http-equiv", "content", "name", "class", "scope",
    }  # fmt: skip
    assert "&lt;script&gt;" in page
    assert "url(" not in page
    assert "@import" not in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", page)
    assert "A4" in page
    spoken = text.render(page_of(sample()), language).decode()
    assert "\x1b" not in spoken
    assert "\u202e" not in spoken


def test_both_languages_say_everything() -> None:
    """Each section and column in each language; every code of the contract has its words."""
    for language, other in (("zh", "en"), ("en", "zh")):
        page = html.render(page_of(sample()), language).decode()
        for section in SECTIONS.values():
            assert section.show(language) in page
            assert section.show(other) not in page
        unused = {name for name, column in COLUMNS.items() if column.show(language) not in page}
        assert unused <= {"stopped"}
    assert [words.en for words in NOT_PROVEN] == list(history.NOT_PROVEN)
    enums: list[tuple[str, Any, str]] = [
        ("kind", edition_pb2.EditionKind, "EDITION_KIND_"),
        ("decision", records_pb2.DecisionKind, "DECISION_KIND_"),
        ("class", exchange_pb2.DisclosureClass, "DISCLOSURE_CLASS_"),
        ("ground", exchange_pb2.DeliveryGround, "DELIVERY_GROUND_"),
        ("outcome", objection_pb2.ObjectionOutcome, "OBJECTION_OUTCOME_"),
        ("nature", objection_pb2.TermNature, "TERM_NATURE_"),
        ("unit", objection_pb2.TermUnit, "TERM_UNIT_"),
    ]
    for name, enum, prefix in enums:
        assert {code.removeprefix(prefix) for code in enum.keys()[1:]} == set(CODES[name]), name
    assert set(CODES["news"]) == {str(news) for news in history.News}


def test_it_says_whose_editions_it_covers_who_asked_and_how_it_was_verified() -> None:
    """A bureau's own report covers its editions alone, and says so; an export needs no export to prove more."""
    asked = sample()
    for language in ("zh", "en"):
        spoken = text.render(page_of(asked), language).decode()
        for said in ("test-city/auditor/person/zhao-min", "asked by the subject", "9" * 64, "f" * 64):
            assert said in spoken
        assert COVERS_ALL.show(language) in spoken
    own = {**asked, "scope": scope(editions_of="test-city/tax-bureau", product="grade-all")}
    spoken = text.render(page_of(own), "en").decode()
    assert "Covers: editions of test-city/tax-bureau alone; not those of other bureaus; of product grade-all" in spoken
    assert "仅涵盖test-city/tax-bureau的期次" in text.render(page_of(own), "zh").decode()
    exported = {**asked, "scope": scope(source="export", asked_by="", purpose="")}
    exported["not_proven"] = [said for said in history.NOT_PROVEN if said not in history.EXPORT_PROVES]
    spoken = text.render(page_of(exported), "en").decode()
    assert "no gateway was asked" in spoken
    assert "that the gateway shows every delivery" not in spoken
    assert "rightly decided" in spoken


def test_digests_are_named_and_no_two_sections_are_called_the_same() -> None:
    page = page_of(sample())
    titles = [section.title.en for section in page.sections]
    assert len(titles) == len(set(titles))
    documents = next(section.table for section in page.sections if section.title == SECTIONS["documents"])
    assert documents is not None
    kinds = [(kind.show("en"), digest.show("en")[0]) for kind, digest, _ in documents.rows]
    batch = {("batch of single loans", "a"), ("receipt for a batch", "b")}
    assert {*kinds} == {("manifest", "0"), ("approval", "0"), ("delivery", "b"), ("receipt", "d"), *batch}


def test_whom_it_is_about_stands_on_every_sheet_and_breaks_no_style() -> None:
    """A style sheet stands in the page as it is: nothing of anybody's may end it."""
    hostile = html.render(page_of({**sample(), "subject": '</style>";}x'}), "en").decode()
    assert hostile.count("</style>") == 1
    assert f'content: "{SUBJECT}"' in html.render(page_of(sample()), "en").decode()


def chromium(*arguments: str) -> str:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here: the page was looked at by no browser (.ci/run installs one)")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    done = subprocess.run([program, *flags, *arguments], capture_output=True, text=True, timeout=180, check=True)
    return done.stdout


@pytest.mark.processes
def test_a_browser_shows_and_prints_it(tmp_path: Path) -> None:
    """A real browser finds the tables and runs nothing of them; printed, every page is A4 and none is empty."""
    page = tmp_path / "report.html"
    page.write_bytes(html.render(page_of(sample(banks=60)), "both"))
    own = f"--user-data-dir={tmp_path / 'profile'}"
    shown = chromium(own, "--dump-dom", page.as_uri())
    assert "<title>税收信用信息披露报告" in shown, "no text of the page ran as a script"
    assert shown.count("<table>") == 9
    assert "<script" not in shown
    assert "<img" not in shown

    printed = tmp_path / "report.pdf"
    chromium(own, "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.as_uri())
    data = printed.read_bytes()
    boxes = re.findall(rb"/MediaBox ?\[ ?0 0 ([0-9.]+) ([0-9.]+) ?\]", data)
    assert len(boxes) >= 3, "sixty deliveries take more than two pages"
    assert {(round(float(width)), round(float(height))) for width, height in boxes} == {(842, 595)}
    assert b"/ToUnicode" in data, "the text can be searched and copied"
    fonts = set(re.findall(rb"/FontName ?/[A-Z]{6}\+([A-Za-z0-9-]+)", data))
    assert any(b"CJK" in font or b"Han" in font or b"Hei" in font for font in fonts), fonts
