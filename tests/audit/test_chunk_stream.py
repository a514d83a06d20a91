"""Chunks that several processes verify reach the sink in order, and the first lie stops the stream where it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.chunk_stream import ChunkStream, SealedChunk
from audit.records import ExaminedChunk, examine_chunk
from tests.audit.story import Cast, Edition, seal_edition
from xinyi.errors import EncodingInvalid, ProofInvalid, Unavailable, VerificationError
from xinyi.processes import Crew, Inline, Processes, in_order

CHUNKS = 12


@pytest.fixture(scope="module")
def edition(cast: Cast) -> Edition:
    return seal_edition(cast.maker, (CHUNKS - 1) * 1024 + 7)


@pytest.fixture(scope="module", params=["here", "processes"])
def crew(request: pytest.FixtureRequest) -> Iterator[Crew]:
    if request.param == "here":
        yield Inline()
        return
    with Processes(2) as processes:
        yield processes


def stream(edition: Edition, crew: Crew) -> tuple[ChunkStream[ExaminedChunk], list[SealedChunk[ExaminedChunk]]]:
    reached: list[SealedChunk[ExaminedChunk]] = []
    return ChunkStream(edition.message, edition.blinding_key, examine_chunk, reached.append, crew), reached


def put_all(taking: ChunkStream[ExaminedChunk], chunks: list[bytes]) -> None:
    for number, data in enumerate(chunks):
        assert taking.next_chunk == number
        taking.put(number, data)
    taking.drain()


def test_every_chunk_reaches_the_sink_in_order(edition: Edition, crew: Crew) -> None:
    """With its own bytes and the counts of its records."""
    taking, reached = stream(edition, crew)
    put_all(taking, edition.chunks)
    assert taking.complete
    assert [chunk.number for chunk in reached] == list(range(CHUNKS))
    assert [chunk.data for chunk in reached] == edition.chunks
    assert sum(sum(chunk.examined.grades.values()) for chunk in reached) == edition.message.record_count


@pytest.mark.parametrize("broken", [0, 1, 5, CHUNKS - 1])
def test_the_first_chunk_that_does_not_hold_stops_the_stream(
    edition: Edition, crew: Crew, broken: int
) -> None:
    """All before it reached the sink, none behind it does, and it can be sent again rightly."""
    taking, reached = stream(edition, crew)
    changed = list(edition.chunks)
    changed[broken] = changed[broken][:-1] + bytes([changed[broken][-1] ^ 1])
    with pytest.raises(VerificationError) as refused:
        put_all(taking, changed)
    assert refused.value.basis == "chunk"
    assert f"chunk {broken}" in refused.value.explanation
    assert taking.next_chunk == len(reached) == broken
    for number in range(broken, CHUNKS):
        taking.put(number, edition.chunks[number])
    taking.drain()
    assert taking.complete


def test_a_chunk_out_of_turn_is_refused(edition: Edition, crew: Crew) -> None:
    """Left out, repeated, or one too many."""
    taking, reached = stream(edition, crew)
    taking.put(0, edition.chunks[0])
    for number in (0, 2):
        with pytest.raises(ProofInvalid):
            taking.put(number, edition.chunks[number])
    assert len(reached) == 1
    for number in range(1, CHUNKS):
        taking.put(number, edition.chunks[number])
    with pytest.raises(ProofInvalid):
        taking.put(CHUNKS, edition.chunks[0])
    assert taking.complete


def test_a_dead_process_is_trouble_and_no_lie() -> None:
    """Its call may be made again, and a new process takes its place."""
    with Processes(1) as processes:
        with pytest.raises(Unavailable):
            processes.submit(exec, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)").result()
        assert processes.submit(len, b"four").result() == 4


def test_what_is_raised_there_is_raised_here() -> None:
    """With its class, its words and its basis; what is printed there disturbs nothing."""
    with Processes(1) as processes:
        with pytest.raises(EncodingInvalid) as raised:
            processes.submit(exec, _REFUSE).result()
        assert (raised.value.explanation, raised.value.basis) == ("words", "some.rule")
        assert list(in_order(processes, divmod, ((n, 3) for n in range(20)))) == [divmod(n, 3) for n in range(20)]


_REFUSE = """
from xinyi.errors import EncodingInvalid
print("noise")
raise EncodingInvalid("words", basis="some.rule")
"""


def test_nothing_is_imported_from_the_folder_it_is_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partner may write there, into a folder of files that are exchanged."""
    (tmp_path / "queue.py").write_text("raise SystemExit('the file of another')\n")
    monkeypatch.chdir(tmp_path)
    with Processes(1) as processes:
        assert processes.submit(len, b"four").result() == 4
