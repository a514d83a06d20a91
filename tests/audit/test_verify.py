"""Offline verification: an honest export holds, and every lie is found by the check that is made for it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from audit import checkpoint, envelope
from audit.keys import keyid
from audit.verification.findings import Report, Verdict
from audit.verification.policy import Limits
from audit.verification.procedure import verify
from tests.audit.story import (
    AUDITOR,
    BANK,
    BUREAU,
    CITY,
    GATEWAY,
    NOW_MS,
    Cast,
    Story,
    approve,
    month,
    seal_edition,
)
from xinyi.errors import Invalid
from xinyi.v1 import exchange_pb2, log_pb2, party_pb2

BANK_KIND, BUREAU_KIND = party_pb2.PARTY_KIND_BANK, party_pb2.PARTY_KIND_TAX_BUREAU
FALSE, UNDECIDED, HOLDS = Verdict.FALSE, Verdict.UNDECIDED, Verdict.HOLDS

Check = Callable[[Story], Report]


@pytest.fixture
def check(tmp_path: Path, cast: Cast) -> Check:
    """Exports a story and verifies it under the honest policy."""
    return lambda story: verify(story.export(tmp_path / "export"), cast.policy())


def verdicts(report: Report) -> dict[str, Verdict]:
    """The checks that do not hold."""
    return {name: check.verdict for name, check in report.checks.items() if check.verdict != HOLDS}


# ── honest logs ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("noise", [0, 1, 240, 243, 500])
def test_an_honest_log_holds(cast: Cast, check: Check, noise: int) -> None:
    """Also where bundles are just full."""
    report = check(month(cast, noise=noise))
    assert report.verdict == HOLDS, report.findings


def test_an_empty_log_holds(cast: Cast, check: Check) -> None:
    """A log of no leaves has the root of the empty tree."""
    assert check(Story(cast)).verdict == HOLDS


def test_a_logged_erasure_holds(story: Story, check: Check) -> None:
    """An erased opening leaves every proof of the others as it was."""
    story.log("partner.active")
    story.erase(len(story.entries) - 1)
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    assert report.notes["erased_openings"] == 1


def test_a_rotated_key_counts_where_the_older_key_of_its_holder_introduced_it(
    cast: Cast, story: Story, check: Check
) -> None:
    """Also for a party that the policy pins; the report names what was taken from the log."""
    newer = cast.signer(cast.maker.key.holder, "-rotated")
    story.register(newer, cast.maker, kind=BUREAU_KIND)
    story.end_key(cast.maker)
    edition = story.seal(newer)
    story.take_in(edition)
    story.publish(edition, approve(edition, cast.approver))
    report = check(story)
    assert report.verdict == HOLDS, report.findings
    taken = {key["fingerprint"] for key in report.notes["keys_taken_from_log"]}
    assert keyid(newer.key) in taken


def test_what_was_sealed_before_a_key_ended_stays_good(cast: Cast, story: Story, check: Check) -> None:
    """Retirement and compromise are matters of log position; what came before the doubtful time is no matter."""
    story.end_key(cast.bank, "key.compromised", NOW_MS + len(story.entries))
    story.end_key(cast.auditor)
    assert check(story).verdict == HOLDS


def test_what_a_compromised_key_sealed_in_its_doubtful_time_is_suspect(
    cast: Cast, story: Story, check: Check
) -> None:
    """Its seal holds, and anybody may have made it: neither true nor false, for no other document than those."""
    receipt = next(d for d, e in story.documents.items() if e.payload_type.endswith("receipt.v1+protobuf"))
    position = next(
        n for n, (_, _, o) in enumerate(story.entries) if receipt in log_pb2.LogEntry.FromString(o).documents
    )
    story.end_key(cast.bank, "key.compromised", NOW_MS + position)
    report = check(story)
    assert verdicts(report) == {"seals": UNDECIDED}
    assert [f.subject for f in report.findings] == [f"document {receipt.hex()[:16]}…"]
    assert cast.bank.key.holder in report.findings[0].reason


def test_a_compromise_that_does_not_say_since_when_spoils_everything_of_its_key(
    cast: Cast, story: Story, check: Check
) -> None:
    """Doubt means earlier; a key that was retired before is no exception."""
    story.end_key(cast.bank)
    story.end_key(cast.bank, "key.compromised")
    report = check(story)
    assert verdicts(report) == {"seals": UNDECIDED}
    assert report["seals"].undecided == 2  # its registration and its receipt


def test_rows_of_an_earlier_moment_than_the_head_hold(cast: Cast, tmp_path: Path) -> None:
    """An export under traffic: the state is that of an earlier size, which the export names."""
    story = month(cast)
    size = len(story.entries)
    state = {table: dict(rows) for table, rows in story.state.items()}
    for _ in range(3):
        story.log("partner.suspended", rows=[("parties", {"party": BANK, "n": 1})])
    story.state = state
    report = verify(story.export(tmp_path / "export", state_size=size), cast.policy())
    assert report.verdict == HOLDS, report.findings
    stale = replace(cast.policy(), limits=Limits(state_lag=2))
    assert verdicts(verify(tmp_path / "export", stale)) == {"files": UNDECIDED}


# ── lies in the story, told under the right keys ───────────────────────────────────────────────────────────


def test_no_lawful_erasure_makes_anything_false(cast: Cast, tmp_path: Path) -> None:
    """Whichever opening is erased, what rested on it cannot be decided, and nothing else suffers."""
    for position in range(len(month(cast).entries)):
        story = month(cast)
        story.erase(position)
        report = verify(story.export(tmp_path / str(position)), cast.policy())
        assert report.verdict != FALSE, (position, report.findings)
        assert report.notes["erased_openings"] == 1


def test_an_erased_opening_hides_no_lie_about_what_came_before_it(cast: Cast, story: Story, check: Check) -> None:
    """A delivery that nothing before it published is false, whatever is erased behind it."""
    edition = story.seal(cast.maker)
    story.take_in(edition)
    edition.approval = approve(edition, cast.approver)
    story.offer(edition)
    story.publish(edition, edition.approval)
    story.log("partner.active")
    story.erase(len(story.entries) - 1)
    assert check(story)["deliveries"].verdict == FALSE


def test_an_unlogged_erasure_is_found(story: Story, check: Check) -> None:
    """An opening that is missing without a logged document is a finding."""
    story.log("partner.active")
    story.erase(len(story.entries) - 1, log=False)
    assert verdicts(check(story)) == {"openings": FALSE}


def test_an_erasure_that_another_party_ordered_does_not_count(cast: Cast, story: Story, check: Check) -> None:
    """Only the gateway, under its pinned key, erases."""
    leaf = story.log("partner.active")
    story.erase(len(story.entries) - 1, log=False)
    story.log("opening.erased", [envelope.seal(log_pb2.Erasure(leaves=[leaf]), cast.bank)])
    assert verdicts(check(story)) == {"openings": FALSE, "seals": FALSE}


def test_a_row_behind_an_erased_opening_cannot_be_decided(story: Story, check: Check) -> None:
    """What the erased entry did to a row is not known; "false" would be as much a guess as "holds"."""
    story.log("partner.active", rows=[("parties", {"party": BANK, "n": 1})])
    story.log("partner.active", rows=[("parties", {"party": BANK, "n": 2})])
    story.erase(len(story.entries) - 1)
    assert verdicts(check(story)) == {"rows": UNDECIDED}


def edit_row(story: Story) -> None:
    next(iter(story.state["deliveries"].values()))["state"] = "APPLIED"


def add_row(story: Story) -> None:
    story.state["receipts"]["x"] = {"document": b"\1" * 32, "delivery_id": "x", "stage": 5}


def delete_row(story: Story) -> None:
    story.state["receipts"].clear()


def show_row_twice(story: Story) -> None:
    story.state["keys"]["again"] = next(iter(story.state["keys"].values()))


def add_table(story: Story) -> None:
    story.state["secrets"] = {"x": {"party": BANK}}


@pytest.mark.parametrize("lie", [edit_row, add_row, delete_row, show_row_twice, add_table])
def test_an_administrators_change_of_a_row_is_found(
    story: Story, check: Check, lie: Callable[[Story], None]
) -> None:
    """SQL past the door leaves a row that no leaf of the log wrote."""
    lie(story)
    report = check(story)
    assert verdicts(report) == {"rows": FALSE}
    assert len(report.findings) == 1


def test_an_administrators_change_of_a_log_row_is_found(cast: Cast, story: Story, check: Check) -> None:
    """An opening that was edited is not the one its leaf commits to."""
    leaf, salt, opening = story.entries[-1]
    entry = log_pb2.LogEntry.FromString(opening)
    entry.detail = "never happened"
    story.entries[-1] = (leaf, salt, entry.SerializeToString(deterministic=True))
    assert verdicts(check(story))["openings"] == FALSE


def test_a_document_that_is_not_kept_is_found(story: Story, check: Check) -> None:
    """An entry names its documents; each must be there."""
    query = next(d for d, e in story.documents.items() if e.payload_type.endswith("log-query.v1+protobuf"))
    del story.documents[query]
    assert verdicts(check(story)) == {"documents": FALSE, "queries": UNDECIDED}


def test_a_document_that_no_entry_names_is_found(cast: Cast, story: Story, check: Check) -> None:
    """A document slipped in beside the log."""
    sealed = approve(story.editions[0], cast.approver, approved_at_ms=NOW_MS + 1)
    story.documents[envelope.digest(sealed)] = sealed
    assert verdicts(check(story)) == {"documents": FALSE}


def test_a_publisher_cannot_have_approved(cast: Cast, check: Check) -> None:
    """A gateway that published and delivered on the maker's own approval is found at both places."""
    story = month(cast)
    edition = story.seal(cast.maker)
    story.take_in(edition)
    story.publish(edition, approve(edition, cast.maker))
    story.offer(edition)
    report = check(story)
    assert verdicts(report) == {"editions": FALSE, "deliveries": FALSE}
    assert all("approval.second_person" in finding.reason for finding in report.findings)


def test_a_second_key_of_the_same_person_is_no_second_person(cast: Cast, story: Story, check: Check) -> None:
    """Persons approve, not keys."""
    second = cast.signer(cast.maker.key.holder, "-second")
    story.register(second, cast.maker, kind=BUREAU_KIND)
    edition = story.seal(cast.maker)
    story.take_in(edition)
    story.publish(edition, approve(edition, second))
    assert verdicts(check(story)) == {"editions": FALSE}


@pytest.mark.parametrize("introduced", [False, True])
def test_no_person_comes_out_of_the_gateways_or_a_colleagues_word(
    cast: Cast, story: Story, check: Check, introduced: bool
) -> None:
    """A person of the bureau that the policy does not pin approves nothing that holds, even if the maker vouches."""
    minted = cast.signer(f"xinyi://{BUREAU}/person/minted", f"-{introduced}")
    story.register(minted, *([cast.maker] if introduced else []), kind=BUREAU_KIND)
    edition = story.seal(cast.maker)
    story.take_in(edition)
    story.publish(edition, approve(edition, minted))
    story.offer(edition)
    found = verdicts(check(story))
    assert found == {"seals": UNDECIDED, "editions": UNDECIDED, "deliveries": UNDECIDED}


def test_a_further_holder_of_a_pinned_bank_is_undecided_until_pinned(
    cast: Cast, story: Story, tmp_path: Path
) -> None:
    """The gateway may have made the key, or the bank: nobody is shown to have lied."""
    spy = cast.signer(f"xinyi://{BANK}/person/spy", "")
    pinned = replace(cast.policy(), keys=(*cast.policy().keys, cast.bank.key))
    story.register(spy, kind=BANK_KIND)
    story.refuse(approve(story.editions[0], spy), spy.key.holder)
    report = verify(story.export(tmp_path / "export"), pinned)
    assert verdicts(report) == {"seals": UNDECIDED}
    (finding,) = report.findings
    assert f"pin the key of {spy.key.holder}, fingerprint {keyid(spy.key)}" in finding.reason
    assert f"or remove the pins of {BANK}" in finding.reason
    for policy in (replace(pinned, keys=(*pinned.keys, spy.key)), cast.policy()):
        assert verify(tmp_path / "export", policy).verdict == HOLDS


def test_a_false_seal_of_a_further_holder_stays_false(cast: Cast, story: Story, tmp_path: Path) -> None:
    """A signature that is not the key's, one after the key's end, one before its registration."""
    spy, late = (cast.signer(f"xinyi://{BANK}/person/{name}", "-false") for name in ("spy", "late"))
    pinned = replace(cast.policy(), keys=(*cast.policy().keys, cast.bank.key))
    story.register(spy, kind=BANK_KIND)
    wrong = approve(story.editions[0], spy)
    wrong.signatures[0].sig = bytes([wrong.signatures[0].sig[0] ^ 1]) + wrong.signatures[0].sig[1:]
    story.refuse(wrong, spy.key.holder)
    story.refuse(approve(story.editions[0], late, approved_by=late.key.holder), late.key.holder)
    story.register(late, kind=BANK_KIND)
    story.end_key(spy)
    story.refuse(approve(story.editions[0], spy, approved_at_ms=NOW_MS + 5), spy.key.holder)
    report = verify(story.export(tmp_path / "export"), pinned)
    assert verdicts(report) == {"seals": FALSE}
    assert [finding.verdict for finding in report.findings] == [FALSE] * 3
    said = " ".join(finding.reason for finding in report.findings)
    for reason in ("does not hold", "counts only from leaf", "was retired at leaf"):
        assert reason in said


def test_another_party_is_no_bureau(cast: Cast, story: Story, check: Check) -> None:
    """A manifest of a bank, approved within the bank, is nobody's edition."""
    person = cast.signer(f"xinyi://{BANK}/person/somebody", "-bureau")
    story.register(person, kind=BANK_KIND)
    edition = story.seal(cast.bank)
    story.take_in(edition)
    story.publish(edition, approve(edition, person))
    assert verdicts(check(story)) == {"editions": FALSE}


def test_a_delivery_before_publication_is_found(cast: Cast, story: Story, check: Check) -> None:
    """The approval exists and is good, but no earlier leaf published with it."""
    edition = story.seal(cast.maker)
    story.take_in(edition)
    edition.approval = approve(edition, cast.approver)
    story.offer(edition)
    story.publish(edition, edition.approval)
    assert verdicts(check(story)) == {"deliveries": FALSE}


def test_a_delivery_of_an_edition_never_taken_in_is_found(cast: Cast, story: Story, check: Check) -> None:
    """A manifest may not enter by the back door."""
    edition = story.seal(cast.maker)
    story.documents[edition.digest] = edition.manifest
    story.publish(edition, approve(edition, cast.approver))
    story.offer(edition)
    found = verdicts(check(story))
    assert found == {"documents": FALSE, "editions": FALSE, "deliveries": FALSE}


def test_a_delivery_that_the_gateway_did_not_seal_is_found(cast: Cast, story: Story, check: Check) -> None:
    """A bank's key under a Delivery is no Delivery."""
    story.offer(story.editions[0], recipient=f"{CITY}/bank-2", signer=cast.bank)
    assert verdicts(check(story)) == {"seals": FALSE, "deliveries": UNDECIDED}


def test_a_receipt_of_another_bank_is_found(cast: Cast, story: Story, check: Check) -> None:
    """A valid receipt of a valid but wrong partner."""
    other = cast.signer(f"xinyi://{CITY}/bank-2/machine/main", "-other")
    story.register(other, kind=BANK_KIND)
    edition = story.editions[0]
    story.receive(edition, story.offer(edition, f"{CITY}/bank-3"), other)
    assert verdicts(check(story)) == {"receipts": FALSE}


def test_a_valid_receipt_for_another_delivery_is_found(cast: Cast, story: Story, check: Check) -> None:
    """The receipt holds by itself, but stands under an entry for another delivery."""
    first = story.editions[0]
    second = story.seal(cast.maker, 4)
    story.take_in(second)
    story.publish(second, approve(second, cast.approver))
    receipt = story.receive(second, story.offer(second))
    delivery = story.offer(first, f"{CITY}/bank-2")
    message = exchange_pb2.Delivery.FromString(delivery.payload)
    leaf = story.log(
        "receipt.received", [receipt], delivery_id=message.delivery_id, manifest_digest=first.digest
    )
    story.acknowledge(receipt, leaf)
    found = verdicts(check(story))
    assert found["receipts"] == FALSE
    assert set(found) == {"receipts", "answers"}


@pytest.mark.parametrize(
    ("field", "value"), [("root", bytes(32)), ("accepted", 2), ("manifest_digest", bytes(32)), ("signed_by", f"xinyi://{BANK}/person/other")]
)  # fmt: skip
def test_a_receipt_for_something_else_is_found(story: Story, check: Check, field: str, value: object) -> None:
    """Root, count, edition and signer are those of the delivery."""
    edition = story.editions[0]
    delivery = next(e for e in story.documents.values() if "xinyi.delivery.v1" in e.payload_type)
    story.receive(edition, delivery, **{field: value, "signed_at_ms": NOW_MS + 9})
    found = verdicts(check(story))
    assert found["receipts"] in (FALSE, UNDECIDED)
    assert set(found) == {"receipts"}


def test_a_receipt_by_an_unregistered_key_is_found(cast: Cast, story: Story, check: Check) -> None:
    """Nobody registered this key before the leaf that uses it."""
    unknown = cast.signer(cast.bank.key.holder, "-unknown")
    delivery = story.offer(story.editions[0], f"{CITY}/bank-2")
    story.receive(story.editions[0], delivery, unknown)
    story.register(unknown, kind=BANK_KIND)
    report = check(story)
    assert verdicts(report) == {"seals": FALSE, "receipts": UNDECIDED}
    assert "counts only from leaf" in report.findings[0].reason


@pytest.mark.parametrize("kind", ["key.retired", "key.compromised"])
def test_a_key_that_ended_seals_nothing_new(cast: Cast, story: Story, check: Check, kind: str) -> None:
    """After its leaf, a retired or compromised key counts no more, pinned or not."""
    story.end_key(cast.maker, kind, NOW_MS + len(story.entries))
    story.take_in(story.seal(cast.maker))
    report = check(story)
    assert verdicts(report) == {"seals": FALSE, "editions": UNDECIDED, "records": UNDECIDED}
    assert "at leaf 11" in report.findings[0].reason


def test_a_registration_without_possession_is_found(cast: Cast, story: Story, check: Check) -> None:
    """Nobody registers a key that he does not hold."""
    foreign = cast.signer(f"xinyi://{CITY}/bank-2/machine/main", "-foreign")
    message = party_pb2.KeyRegistration(key=foreign.key, party_kind=BANK_KIND, requested_at_ms=NOW_MS)
    story.log("key.registered", [envelope.seal(message, cast.bank)])
    assert verdicts(check(story)) == {"keys": FALSE}


def test_a_registration_of_a_holder_of_another_party_is_found(cast: Cast, story: Story, check: Check) -> None:
    """A bank that registers a key for a person of the bureau, as its own party's."""
    signer = cast.signer(f"xinyi://{CITY}/bank-2/person/li-wei", "-crossed")
    key = party_pb2.PublicKey()
    key.CopyFrom(signer.key)
    key.holder = cast.maker.key.holder
    message = party_pb2.KeyRegistration(key=key, party_kind=BANK_KIND, requested_at_ms=NOW_MS)
    story.log("key.registered", [envelope.seal(message, signer)])
    assert verdicts(check(story)) == {"keys": FALSE}


def test_a_missing_answer_is_found(story: Story, check: Check) -> None:
    """Every receipt, edition and decision has its sealed acknowledgement."""
    answer = story.answers.pop()
    del story.documents[answer["answer"]]
    assert verdicts(check(story)) == {"answers": FALSE}


def test_an_answer_of_another_exchange_is_found(cast: Cast, story: Story, check: Check) -> None:
    """A valid acknowledgement that names the leaf of something else."""
    answer = story.answers.pop()
    del story.documents[answer["answer"]]
    document = story.documents[answer["document"]]
    story.acknowledge(document, story.entries[0][0])
    assert verdicts(check(story)) == {"answers": FALSE}


def test_swapped_answer_rows_are_found(story: Story, check: Check) -> None:
    """The table of answers is no row change of the log; it is found through document and leaf."""
    first, second = story.answers[0], story.answers[1]
    first["answer"], second["answer"] = second["answer"], first["answer"]
    assert verdicts(check(story)) == {"answers": FALSE}


@pytest.mark.parametrize(
    "change",
    [{"party": BANK}, {"basis": "another.rule"}, {"subject": ""}, {"day": "2018-04-30"}, {"leaf": bytes(33)}],
)
def test_an_edited_refusal_row_is_found(story: Story, check: Check, change: dict[str, object]) -> None:
    """So is the table of refusals."""
    story.refusals[0] |= change
    assert verdicts(check(story)) == {"answers": FALSE}


def test_an_acknowledgement_for_what_was_refused_is_found(cast: Cast, story: Story, check: Check) -> None:
    """One exchange, one outcome."""
    document = approve(story.editions[0], cast.maker, approved_at_ms=NOW_MS + 5)
    story.refuse(document, cast.maker.key.holder)
    story.acknowledge(document, story.entries[-1][0])
    assert verdicts(check(story))["answers"] == FALSE


def test_a_query_in_anothers_name_is_found(cast: Cast, story: Story, check: Check) -> None:
    """Looking is logged under the name of the one who looked."""
    query = exchange_pb2.LogQuery(
        asked_by=f"xinyi://{AUDITOR}/person/somebody", purpose="x", requested_at_ms=NOW_MS, nonce=bytes(16)
    )
    story.log("log.queried", [envelope.seal(query, cast.auditor)], actor=query.asked_by)
    assert verdicts(check(story)) == {"queries": FALSE}


def test_what_is_not_known_here_cannot_be_decided(cast: Cast, story: Story, check: Check) -> None:
    """A later gateway's kinds of entries and documents are beyond this verifier, and it says so."""
    unknown = envelope.seal(exchange_pb2.Acknowledgement(document_digest=b"x"), cast.gateway)
    unknown.payload_type = "application/vnd.xinyi.oracle.v1+protobuf"
    story.log("oracle.asked", [unknown])
    found = verdicts(check(story))
    assert found["openings"] == UNDECIDED
    assert UNDECIDED in found.values()
    assert FALSE not in [found.get("seals"), found.get("rows")]


def test_a_seal_of_an_algorithm_not_available_here_cannot_be_decided(
    cast: Cast, story: Story, check: Check
) -> None:
    """SM2 beside another signature is counted as absent; alone it decides nothing."""
    policy = cast.policy()
    sm2 = party_pb2.PublicKey(
        algorithm=party_pb2.KEY_ALGORITHM_SM2_SM3, purpose=party_pb2.KEY_PURPOSE_DOCUMENT, spki=b"sm2",
        party=BUREAU, holder=f"xinyi://{BUREAU}/person/sm2",
    )  # fmt: skip
    edition = story.seal(cast.maker)
    sealed = approve(edition, cast.approver, approved_by=sm2.holder)
    sealed.signatures[0].keyid = keyid(sm2)
    story.take_in(edition)
    story.publish(edition, sealed)
    report = verify(
        story.export(cast.folder / f"sm2-{os.urandom(4).hex()}"), replace(policy, keys=(*policy.keys, sm2))
    )
    assert verdicts(report) == {"seals": UNDECIDED, "editions": UNDECIDED}


# ── lies under other keys, and other heads ─────────────────────────────────────────────────────────────────


def test_a_coherent_log_under_the_attackers_keys_is_refused(tmp_path: Path, cast: Cast) -> None:
    """Everything fits together and is wholly re-signed; trust comes from the policy alone."""
    attacker = Cast(tmp_path / "attacker")
    path = month(attacker).export(tmp_path / "export")
    assert verify(path, attacker.policy()).verdict == HOLDS
    found = verdicts(verify(path, cast.policy()))
    assert found["checkpoint"] == FALSE
    assert found["seals"] == UNDECIDED


def test_an_insider_with_the_logs_key_cannot_mint_the_bureaus_documents(tmp_path: Path, cast: Cast) -> None:
    """The log and gateway keys are real, the bureau's are not: its registrations in the log do not help."""
    insider = Cast(tmp_path / "insider")
    insider.log, insider.gateway = cast.log, cast.gateway
    found = verdicts(verify(month(insider).export(tmp_path / "export"), cast.policy()))
    assert {found[name] for name in ("seals", "editions", "deliveries", "receipts")} == {UNDECIDED}
    assert "checkpoint" not in found


def test_another_logs_export_is_refused(tmp_path: Path, cast: Cast, story: Story) -> None:
    """The same key under another origin is another log."""
    path = story.export(tmp_path / "export")
    other = replace(cast.policy(), log_key=checkpoint.VerifierKey.of(f"{GATEWAY}/log-2027", cast.log))
    assert verdicts(verify(path, other)) == {"checkpoint": FALSE, "files": FALSE}


@pytest.mark.parametrize("leaves", [-1, 1])
def test_a_validly_signed_head_of_another_size_is_found(
    tmp_path: Path, cast: Cast, story: Story, leaves: int
) -> None:
    """A real checkpoint of the same log, but not of these leaves."""
    path = story.export(tmp_path / "export")
    if leaves > 0:
        story.log("partner.active")
    else:
        story.entries.pop()
    (path / "checkpoint").write_bytes(story.head().note)
    found = verdicts(verify(path, cast.policy()))
    assert found["files"] == FALSE
    assert found["tree"] == FALSE


def test_two_leaves_alike_are_found(story: Story, check: Check) -> None:
    """A replayed leaf: the salt makes every honest one different."""
    story.entries.append(story.entries[-1])
    assert verdicts(check(story))["tree"] == FALSE


# ── changed, missing, strange files ────────────────────────────────────────────────────────────────────────


def files_of(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file())


def test_any_changed_byte_is_found(tmp_path: Path, cast: Cast, story: Story) -> None:
    """Seeded flips of one bit in every file of an export, every byte of the small ones: none holds."""
    path, chosen, tried = story.export(tmp_path / "export"), random.Random(20180420), 0
    for file in files_of(path):
        data = file.read_bytes()
        places = range(len(data)) if len(data) <= 33 else chosen.sample(range(len(data)), min(len(data), 60))
        for place in places:
            changed = bytearray(data)
            changed[place] ^= 1 << chosen.randrange(8)
            file.write_bytes(changed)
            tried += 1
            assert verify(path, cast.policy()).verdict != HOLDS, (file, place)
        file.write_bytes(data)
    assert tried > 600
    assert verify(path, cast.policy()).verdict == HOLDS


def test_any_missing_file_is_found(tmp_path: Path, cast: Cast, story: Story) -> None:
    """Evidence that is not there is never taken for evidence that holds."""
    path = story.export(tmp_path / "export")
    for file in files_of(path):
        aside = file.rename(tmp_path / "aside")
        # An empty table whose file is gone says the same as the file does.
        expected = {HOLDS} if aside.stat().st_size == 0 else {UNDECIDED, FALSE}
        assert verify(path, cast.policy()).verdict in expected, file
        aside.rename(file)


def test_a_truncated_file_is_found(tmp_path: Path, cast: Cast, story: Story) -> None:
    """Cut at any third of its bytes."""
    path = story.export(tmp_path / "export")
    for file in files_of(path):
        data = file.read_bytes()
        for cut in {len(data) // 3, 2 * len(data) // 3, len(data) - 1} - {-1, len(data)}:
            file.write_bytes(data[:cut])
            assert verify(path, cast.policy()).verdict != HOLDS, (file, cut)
        file.write_bytes(data)


def repeated_lines(path: Path) -> Iterator[Path]:
    for file in files_of(path):
        if file.suffix == ".jsonl" and file.stat().st_size:
            yield file


def test_repeated_and_reordered_lines_are_found(tmp_path: Path, cast: Cast, story: Story) -> None:
    """Every line stands once; openings stand in order."""
    path = story.export(tmp_path / "export")
    for file in repeated_lines(path):
        data = file.read_bytes()
        file.write_bytes(data + data.splitlines(keepends=True)[0])
        assert verify(path, cast.policy()).verdict == FALSE, file
        file.write_bytes(data)
    openings = path / "openings.jsonl"
    lines = openings.read_bytes().splitlines(keepends=True)
    openings.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    assert verdicts(verify(path, cast.policy()))["openings"] == FALSE


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "tile/0/001", "tile/0/000.p/3", "tile/9/000", "chunks/readme", "state/../x", "state/A.jsonl",
     "chunks/" + "0" * 64 + "/000000.chunk", "blinding/" + "0" * 64 + ".key", "\udcff"],
)  # fmt: skip
def test_a_file_without_a_place_is_found(tmp_path: Path, cast: Cast, story: Story, name: str) -> None:
    """Nothing travels in an export that the format does not know."""
    path = story.export(tmp_path / "export")
    (path / name).parent.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(b"x")
    report = verify(path, cast.policy())
    assert report.verdict == FALSE
    assert {finding.check for finding in report.findings} <= {"files", "records"}


def test_links_and_pipes_are_not_followed(tmp_path: Path, cast: Cast, story: Story) -> None:
    """An export is somebody else's directory: only regular files in it are opened."""
    path = story.export(tmp_path / "export")
    moved = (path / "documents.jsonl").rename(tmp_path / "documents.jsonl")
    (path / "documents.jsonl").symlink_to(moved)
    assert verdicts(verify(path, cast.policy()))["files"] == FALSE
    (path / "documents.jsonl").unlink()
    os.mkfifo(path / "documents.jsonl")
    assert verdicts(verify(path, cast.policy()))["files"] == FALSE


def test_records_of_an_export_without_records_have_no_place(tmp_path: Path, cast: Cast, story: Story) -> None:
    """What was asked for without records must hold none."""
    path = story.export(tmp_path / "export", with_records=False)
    assert verify(path, cast.policy()).verdict == HOLDS
    name = story.editions[0].digest.hex()
    (path / "blinding").mkdir()
    (path / f"blinding/{name}.key").write_bytes(story.editions[0].blinding_key)
    assert verify(path, cast.policy()).verdict == FALSE


# ── records ────────────────────────────────────────────────────────────────────────────────────────────────


def test_chunks_are_those_the_manifest_seals(tmp_path: Path, cast: Cast) -> None:
    """Swapped, replaced and missing chunks, and another edition's key, each by name."""
    story = month(cast, count=2500)
    other = seal_edition(cast.maker, 2500)
    name = story.editions[0].digest.hex()

    def told(file: str, data: bytes | None) -> dict[str, Verdict]:
        path = story.export(tmp_path / os.urandom(4).hex())
        if data is None:
            (path / file).unlink()
        else:
            (path / file).write_bytes(data)
        return verdicts(verify(path, cast.policy()))

    chunks = story.editions[0].chunks
    assert told(f"chunks/{name}/000001.chunk", chunks[0]) == {"records": FALSE}
    assert told(f"chunks/{name}/000001.chunk", other.chunks[1]) == {"records": FALSE}
    assert told(f"chunks/{name}/000001.chunk", None) == {"records": UNDECIDED}
    assert told(f"chunks/{name}/000003.chunk", chunks[0]) == {"records": FALSE}
    assert told(f"blinding/{name}.key", other.blinding_key) == {"records": FALSE}
    assert told(f"blinding/{name}.key", None) == {"records": UNDECIDED}


def test_the_counts_by_grade_are_those_of_the_records(cast: Cast, story: Story, check: Check) -> None:
    """A manifest that counts other grades than it holds."""
    edition = story.seal(cast.maker)
    manifest = edition.message
    manifest.grade_counts[0].grade = 2
    edition.manifest = envelope.seal(manifest, cast.maker)
    story.take_in(edition)
    assert verdicts(check(story)) == {"records": FALSE}


# ── limits ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_log_beyond_the_policys_limit_is_not_begun(tmp_path: Path, cast: Cast, story: Story) -> None:
    """A verifier is not made to work without end."""
    small = replace(cast.policy(), limits=Limits(entries=3))
    with pytest.raises(Invalid, match="limit"):
        verify(story.export(tmp_path / "export"), small)


def test_a_line_beyond_the_policys_limit_is_a_finding(tmp_path: Path, cast: Cast, story: Story) -> None:
    """And it is not read whole."""
    small = replace(cast.policy(), limits=Limits(line_bytes=300))
    assert verify(story.export(tmp_path / "export"), small).verdict == FALSE


def test_findings_hold_no_taxpayer_data(tmp_path: Path, cast: Cast, story: Story) -> None:
    """However a file is broken, what is reported is places and rules."""
    path = story.export(tmp_path / "export")
    for file in files_of(path):
        file.write_bytes(file.read_bytes()[:-5] + b"xxxxx")
    report = verify(path, cast.policy())
    assert report.verdict == FALSE
    assert "示例企业" not in str(report.to_json())
    assert "91999999" not in str(report.to_json())


def test_the_report_for_machines_names_every_check(story: Story, check: Check) -> None:
    """One entry per check, with its verdict, how much was examined, and the findings."""
    edit_row(story)
    report = check(story).to_json()
    assert report["verdict"] == "false"
    assert report["head"]["size"] == len(story.entries)
    rows = next(found for found in report["checks"] if found["check"] == "rows")
    assert rows["verdict"] == "false"
    assert rows["findings"][0]["subject"].startswith("deliveries ")
