"""What a state holds of one taxpayer, proven alone: a record, none, or who is gone; and no changed byte passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import buckets, envelope, record_proof, records
from audit.record_proof import RecordProof
from audit.state_proof import StateProof, lies_in, make
from tests.audit.story import Cast, Edition, approve, record_of
from tests.audit.year import Year
from tests.world import made_up_uscc
from xinyi.errors import DigestMismatch, EncodingInvalid, Invalid, ProofInvalid, Unknown, VerificationError


@pytest.fixture
def told(cast: Cast) -> Year:
    """A FULL of six, a DELTA with one new, one renamed, one gone, and a CORRECTION that takes one back."""
    year = Year.begin(cast)
    year.story.bring_out(year.february())
    year.story.bring_out(year.march(), recalled=())
    return year


def state_proof(told: Year, name: str, number: int) -> StateProof:
    """Of a taxpayer after the newest edition, whose manifest is `name`'s."""
    chain, edition = told.chain, told[name]
    assert edition.approval is not None
    entries = chain.entries()
    key = records.blinder(chain.blinding_key)(made_up_uscc(number).encode())
    place = buckets.number_of(key)
    held = dict(buckets.cut([entry[:32] for entry in entries], b"".join(entries)))
    record = chain.truth.get(made_up_uscc(number))
    salted = None
    if record is not None:
        salted = (chain.salts[made_up_uscc(number)], record.SerializeToString(deterministic=True))
    path = buckets.state_of(entries).path(place)
    return make(
        edition.manifest,
        edition.approval,
        chain.blinding_key,
        made_up_uscc(number),
        held.get(place, b""),
        path,
        salted,
    )


def written(folder: Path, proof: StateProof | RecordProof) -> Path:
    folder.mkdir()
    for name, data in proof.files().items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("number", [0, 1, 5, 7])
def test_a_record_in_force_is_proven(tmp_path: Path, cast: Cast, told: Year, number: int) -> None:
    """One of January that nothing has changed, one that is renamed, one that came later."""
    folder = written(tmp_path / "proof", state_proof(told, "march", number))
    assert lies_in(folder)
    proven = StateProof.read(folder).verify(cast.policy())
    assert proven.record == told.chain.truth[made_up_uscc(number)]
    assert proven.manifest.digest == told["march"].digest
    proven.check_subject(made_up_uscc(number), told.chain.blinding_key)
    with pytest.raises(DigestMismatch):
        proven.check_subject(made_up_uscc(number + 1), told.chain.blinding_key)
    with pytest.raises(DigestMismatch):
        proven.check_subject(made_up_uscc(number), bytes(32))


@pytest.mark.parametrize("number", [2, 4, 99])
def test_absence_is_proven(tmp_path: Path, cast: Cast, told: Year, number: int) -> None:
    """Of who has left, who was taken back, and who never was there."""
    folder = written(tmp_path / "proof", state_proof(told, "march", number))
    assert not (folder / "record.bin").exists()
    proven = StateProof.read(folder).verify(cast.policy())
    assert proven.record is None
    proven.check_subject(made_up_uscc(number), told.chain.blinding_key)


def test_a_record_cannot_be_hidden_or_slipped_in(cast: Cast, told: Year) -> None:
    """Absence of a record that is there, and presence of one that is not, or not so."""
    policy, proof = cast.policy(), state_proof(told, "march", 1)
    with pytest.raises(ProofInvalid):
        replace(proof, salted=None).verify(policy)
    assert proof.salted is not None
    salt, _ = proof.salted
    old = record_of(1).SerializeToString(deterministic=True)
    with pytest.raises(DigestMismatch):
        replace(proof, salted=(salt, old)).verify(policy)
    with pytest.raises(DigestMismatch):
        replace(state_proof(told, "march", 99), salted=proof.salted).verify(policy)
    gone = record_of(1)
    gone.gone = True
    with pytest.raises(Invalid):
        replace(proof, salted=(salt, gone.SerializeToString(deterministic=True))).verify(policy)


def test_another_states_bucket_is_refused(cast: Cast, told: Year) -> None:
    """The state after March is not January's; nor is a bucket in another place."""
    proof = state_proof(told, "march", 1)
    january = told["january"]
    assert january.approval is not None
    with pytest.raises(ProofInvalid):
        replace(proof, manifest=january.manifest, approval=january.approval).verify(cast.policy())
    with pytest.raises(VerificationError):
        replace(proof, blinded_key=bytes(32)).verify(cast.policy())
    with pytest.raises(ProofInvalid):
        replace(proof, path=proof.path[:-1]).verify(cast.policy())


def test_an_edition_that_its_publisher_approved_proves_nothing(cast: Cast, told: Year) -> None:
    own = approve(told["march"], cast.maker)
    with pytest.raises(Invalid) as refused:
        replace(state_proof(told, "march", 1), approval=own).verify(cast.policy())
    assert refused.value.basis == "approval.second_person"


@pytest.mark.parametrize("number", [1, 99])
def test_any_changed_byte_of_a_state_proof_is_refused(
    tmp_path: Path, cast: Cast, told: Year, number: int
) -> None:
    """Every byte of every file that is evidence; README.txt explains only.

    Absence under another key of the bucket is true as well: whose key it is, is part of the question.
    """
    folder, policy, tried = written(tmp_path / "proof", state_proof(told, "march", number)), cast.policy(), 0
    subject = (made_up_uscc(number), told.chain.blinding_key)
    for path in sorted(folder.iterdir()):
        if path.name == "README.txt":
            continue
        data = path.read_bytes()
        for place in range(len(data)):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
            with pytest.raises((VerificationError, Invalid)):
                StateProof.read(folder).verify(policy).check_subject(*subject)
            tried += 1
        path.write_bytes(data)
    assert tried > 1000
    StateProof.read(folder).verify(policy).check_subject(*subject)


def test_a_missing_or_added_file_is_refused(tmp_path: Path, cast: Cast, told: Year) -> None:
    """A record's bytes taken away do not turn its presence into absence."""
    folder = written(tmp_path / "proof", state_proof(told, "march", 1))
    (folder / "record.bin").unlink()
    with pytest.raises(EncodingInvalid):
        StateProof.read(folder)
    absent = written(tmp_path / "absent", state_proof(told, "march", 99))
    (absent / "record.bin").write_bytes(b"x")
    with pytest.raises(EncodingInvalid):
        StateProof.read(absent)


@given(st.lists(st.binary(max_size=200), min_size=4, max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for name, data in zip(
        ("approval.dsse", "bucket.bin", "manifest.dsse", "proof.json"), contents, strict=True
    ):
        (folder / name).write_bytes(data)
    with pytest.raises(EncodingInvalid):
        StateProof.read(folder)


# ── one record of an edition of changes ────────────────────────────────────────────────────────────────────


def proof_in(edition: Edition, number: int) -> RecordProof:
    assert edition.approval is not None
    return record_proof.make(
        edition.manifest, edition.approval, edition.blinding_key, edition.chunks, made_up_uscc(number)
    )


def test_a_record_of_a_delta_is_proven(tmp_path: Path, cast: Cast, told: Year) -> None:
    folder = written(tmp_path / "proof", proof_in(told["february"], 7))
    assert not lies_in(folder)
    proven = RecordProof.read(folder).verify(cast.policy())
    assert proven.record == record_of(7)
    proven.check_subject(made_up_uscc(7), told.chain.blinding_key)


@pytest.mark.parametrize(("name", "number"), [("february", 2), ("march", 4)])
def test_who_is_gone_is_proven_and_why_is_not_told(
    tmp_path: Path, cast: Cast, told: Year, name: str, number: int
) -> None:
    """In a DELTA and in a CORRECTION; the README says what that means."""
    folder = written(tmp_path / "proof", proof_in(told[name], number))
    record = RecordProof.read(folder).verify(cast.policy()).record
    assert record is not None
    assert (record.gone, record.taxpayer_id) == (True, made_up_uscc(number))
    assert {field.name for field, _ in record.ListFields()} == {"taxpayer_id", "identifier_kind", "gone"}
    assert "has left the product" in (folder / "README.txt").read_text()


def test_an_edition_of_changes_tells_nothing_of_the_others(told: Year) -> None:
    with pytest.raises(Unknown):
        proof_in(told["february"], 0)
    empty = Edition.of(told.chain.delta())
    empty.approval = envelope.seal(told["march"].message)
    with pytest.raises(Unknown):
        proof_in(empty, 0)
