"""The field rules: vectors for other languages, and the shortcut for whole chunks."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from proto.vectors import make
from xinyi import checks, fields
from xinyi.errors import Invalid
from xinyi.grade_columns import GradeColumns
from xinyi.v1 import records_pb2

PROTO = Path(__file__).parents[2] / "proto"


@pytest.mark.parametrize("name", sorted(make.FILES))
def test_vectors_are_what_the_checks_say(name: str) -> None:
    """The files for other languages are fresh, and every verdict in them is this implementation's."""
    assert (make.HERE / f"{name}.json").read_text(encoding="utf-8") == make.text(name)


@pytest.mark.parametrize("name", sorted(make.FILES))
def test_vectors_can_be_read_from_their_bytes(name: str) -> None:
    """Another implementation gets nothing but the bytes: they parse and give the verdict."""
    make_message, check, _ = make.FILES[name]
    for case in json.loads((make.HERE / f"{name}.json").read_text(encoding="utf-8"))["cases"]:
        message = type(make_message()).FromString(bytes.fromhex(case["bytes"]))
        assert make.verdict(check, message) == case["rule"], case["case"]


def test_every_rule_in_the_contract_has_a_vector_and_every_vector_a_rule() -> None:
    """Rule names in the .proto comments and in the vectors are the same set."""
    contract = "".join(path.read_text(encoding="utf-8") for path in (PROTO / "xinyi/v1").glob("*.proto"))
    stated = set()
    for sentence in re.findall(r"[Rr]ules? ((?:[a-z_]+\.[a-z_]+(?:, | and )?)+)", contract):
        stated.update(re.findall(r"[a-z_]+\.[a-z_]+", sentence))
    covered = {
        case["rule"]
        for name in make.FILES
        for case in json.loads((make.HERE / f"{name}.json").read_text(encoding="utf-8"))["cases"]
    }
    periods = {"manifest.period", "delivery.period", "table.period"}  # stated once, at the period
    stated -= {"outcome.authorisation"}  # how the gateway calls what breaks a rule of the authorisation
    assert covered - {""} - periods == stated & {
        r for r in stated if r.split(".")[0] in {c.split(".")[0] for c in covered}
    }


def chunk(records: list[records_pb2.GradeRecord]) -> GradeColumns:
    return GradeColumns([record.SerializeToString(deterministic=True) for record in records])


def test_a_chunk_passes_exactly_where_each_of_its_records_does() -> None:
    """Chunks of random valid and broken records: the shortcut by columns never differs from the single check."""
    chance = random.Random(1)
    cases = make.GRADE_RECORD
    for _ in range(400):
        records = []
        for _ in range(chance.randrange(1, 12)):
            record = make.grade_record()
            changes: dict[str, Any] = chance.choice(cases)[2] if chance.random() < 0.15 else {}
            for field, value in changes.items():
                make.change(record, field, value)
            records.append(record)
        expected = next(
            (rule for rule in (make.verdict(checks.check_grade_record, r) for r in records) if rule), ""
        )
        assert make.verdict(checks.check_grade_records, chunk(records)) == expected


def test_a_refusal_names_the_place_and_no_taxpayer() -> None:
    """Explanations go to others: they hold no name and no identifier."""
    broken = make.grade_record()
    broken.names[:] = ["某某公司\n"]
    with pytest.raises(Invalid) as refused:
        checks.check_grade_records(chunk([make.grade_record(), broken]))
    assert refused.value.basis == "grade.names"
    assert "record 1 " in refused.value.explanation
    assert "某某" not in str(refused.value)
    assert broken.taxpayer_id not in str(refused.value)


@pytest.mark.parametrize("size", [0, 1025])
def test_a_chunk_has_1_to_1024_records(size: int) -> None:
    """More would not be one node of the tree."""
    with pytest.raises(Invalid) as refused:
        checks.check_grade_records(chunk([make.grade_record()] * size))
    assert refused.value.basis == "chunk.records"


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("row 17, taxpayer {uscc}", True),
        ("纳税人{uscc}的等级有误", True),
        ("taxpayer{lower}x", True),
        ("{wide}", True),
        ("old number {old}.", True),
        ("number:{old_wide}", True),
        ("ID{old}", True),
        ("registered as 110108000000016", True),
        ("person 11010519491231002X", True),
        ("sole trader 11010519491231002X01", True),
        ("grades of one district are wrong", False),
        ("supervisor's letter 2018-17 of 2018-04-25, 1,024 rows", False),
        ("manifest {digest}", False),
        ("edition {digest:.16}", False),
        ("letter 20180425123456789012345", False),
    ],
)
def test_free_text_names_no_taxpayer(text: str, holds: bool) -> None:
    """In whatever width and case, within other text; digests, dates and counts pass, and nothing is quoted."""
    uscc, old = make.uscc(), make.old_number()
    wide = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
    for n in range(200):
        digest = random.Random(n).randbytes(32).hex()
        parts = {"uscc": uscc, "lower": uscc.lower(), "wide": uscc.translate(wide), "digest": digest}
        written = text.format(old=old, old_wide=old.translate(wide), **parts)
        if not holds:
            fields.check_sentence(written, "stop.reason")
            continue
        with pytest.raises(Invalid) as refused:
            fields.check_sentence(written, "stop.reason")
        assert refused.value.basis == "text.identifier"
        assert "stop.reason" in refused.value.explanation
        assert not re.search("[0-9]{3}", str(refused.value))
