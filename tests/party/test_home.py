"""A party's head of the gateway's log: it only grows, and two that cannot both be true are kept as proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.party.home import Home
from audit import checkpoint, merkle
from audit.checkpoint import Checkpoint
from tests.audit.story import GATEWAY, ORIGIN, Cast
from xinyi.errors import HeadConflict, ProofInvalid, SignatureInvalid
from xinyi.v1 import exchange_pb2

LEAVES = [merkle.leaf_hash(bytes([n])) for n in range(20)]
OTHERS = [merkle.leaf_hash(bytes([n, n])) for n in range(20)]


@pytest.fixture
def cast(tmp_path: Path) -> Cast:
    return Cast(tmp_path / "cast")


@pytest.fixture
def home(tmp_path: Path, cast: Cast) -> Home:
    made = Home.create(tmp_path / "home", "xinyi://test-city/bank-1/machine/main", "127.0.0.1:1", GATEWAY)
    made.pin_log_key(str(checkpoint.VerifierKey.of(ORIGIN, cast.log)))
    return made


def head(cast: Cast, size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return checkpoint.sign(ORIGIN, size, merkle.root(leaves[:size]), cast.log)


def grown(cast: Cast, old: int, new: int, leaves: list[bytes] = LEAVES) -> exchange_pb2.LogEvidence:
    """What a gateway shows of a log that grew."""

    def node(level: int, index: int) -> bytes:
        return merkle.root(leaves[index << level : (index + 1) << level])

    proof = merkle.consistency_proof(node, old, new) if 0 < old < new else []
    return exchange_pb2.LogEvidence(checkpoint=head(cast, new, leaves).note, from_size=old, consistency=proof)


def kept(home: Home) -> set[bytes]:
    return {file.read_bytes() for file in (home.state / "conflicts").glob("*.checkpoint")}


def test_a_log_that_grows_is_followed(home: Home, cast: Cast) -> None:
    """From nothing, on, and where nothing is new; no conflict is ever noted."""
    for old, new in ((0, 5), (5, 12), (12, 12), (12, 20)):
        assert home.advance_head(grown(cast, old, new)).size == new
    assert home.head() == head(cast, 20)
    assert kept(home) == set()


@pytest.mark.parametrize(
    ("size", "leaves", "error"),
    [(12, OTHERS, HeadConflict), (5, LEAVES, HeadConflict), (15, OTHERS, ProofInvalid)],
)
def test_two_truths_are_kept_and_the_head_stays(
    home: Home, cast: Cast, size: int, leaves: list[bytes], error: type[Exception]
) -> None:
    """Another root for the same size, a log that shrank, a fork that goes on: both notes are the proof."""
    home.advance_head(grown(cast, 0, 12))
    evidence = grown(cast, 12, size, leaves)
    with pytest.raises(error):
        home.advance_head(evidence)
    assert kept(home) == {head(cast, 12).note, evidence.checkpoint}
    assert home.head() == head(cast, 12)


def test_two_processes_of_one_home_do_not_take_each_other_for_a_fork(home: Home, cast: Cast) -> None:
    """The head advanced while a call was under way: the answer connects to what was shown, and is not kept."""
    home.advance_head(grown(cast, 0, 5))
    shown = head(cast, 5).note
    home.advance_head(grown(cast, 5, 12), shown=shown)
    assert home.advance_head(grown(cast, 5, 12), shown=shown).size == 12
    assert home.advance_head(grown(cast, 5, 9), shown=shown).size == 9
    assert home.head() == head(cast, 12)
    with pytest.raises(HeadConflict):
        home.advance_head(grown(cast, 0, 12, OTHERS), shown=b"")
    assert kept(home) == {head(cast, 12).note, head(cast, 12, OTHERS).note}


def test_evidence_that_proves_nothing_is_refused(home: Home, cast: Cast) -> None:
    """Growth from elsewhere than the head shown, a missing proof, another log's signature."""
    home.advance_head(grown(cast, 0, 12))
    with pytest.raises(ProofInvalid):
        home.advance_head(grown(cast, 5, 20))
    with pytest.raises(ProofInvalid):
        home.advance_head(exchange_pb2.LogEvidence(checkpoint=head(cast, 20).note, from_size=12))
    forged = checkpoint.sign(ORIGIN, 20, merkle.root(LEAVES), cast.gateway)
    with pytest.raises(SignatureInvalid):
        home.advance_head(exchange_pb2.LogEvidence(checkpoint=forged.note, from_size=12))
    assert home.head() == head(cast, 12)
