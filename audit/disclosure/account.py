"""The gateway's account of one subject, message by message, verified under the auditor's policy.

 1. head        the pinned log key signed it, and it extends the head that was seen before
 2. sequence    each feed's editions follow each other from 1 on, each naming its predecessor: none is missing
 3. seals       manifest and approval are two persons' of a bureau of the policy
 4. bucket      the subject's bucket is the one under the sealed state root: that it holds it, or that it does not
 5. record      is the one the bucket commits to, and the subject's
 6. deliveries  are sealed by the gateway, for a published edition; receipts by their recipient, for that delivery
 7. objections  are a person's of the bureau, about the subject's record; another person decided
 8. loans       are in a batch that their bank sealed, about the subject, with its authorisation; the gateway's receipt
 9. entries     each exchange stands in the log, under the head of 1, each place once

What it cannot prove: audit.disclosure.history.NOT_PROVEN. Raises VerificationError and names the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

from audit import buckets, checkpoint, exchanges
from audit.checkpoint import Checkpoint, TlogProof
from audit.disclosure.history import (
    Contest,
    Disclosure,
    Feed,
    Findings,
    History,
    Logged,
    Receipt,
    Reported,
    Statement,
    news_of,
)
from audit.disclosure.places import Places, check_kind, check_names, check_order
from audit.envelope import Opened, open_sealed, parse_strict, signer_of_party
from audit.keys import Keyring
from audit.outcomes import check_outcome as check_proven_outcome
from audit.records import blinder, check_blinding_key, commitment
from audit.verification.policy import DOCUMENT, Policy
from xinyi import checks, days
from xinyi.errors import DigestMismatch, EncodingInvalid, Invalid, ProofInvalid, VerificationError
from xinyi.lending import check_authorisation, check_outcome, check_outcome_batch
from xinyi.v1 import (
    edition_pb2,
    envelope_pb2,
    exchange_pb2,
    lending_pb2,
    objection_pb2,
    party_pb2,
    records_pb2,
)
from xinyi.v1 import subject_service_pb2 as pb

_FULL = edition_pb2.EDITION_KIND_FULL
#: Most that one account may hold: it is kept until its head has come.
MAX_MESSAGES = 1_000_000


@dataclass(frozen=True)
class Question:
    """What was asked, and so what the account must be about."""

    #: Empty where editions and deliveries alone are asked for: no buckets, no records.
    identifier: str
    #: Empty for all.
    product: str = ""
    recipient: str = ""


def verify(
    answers: Iterable[pb.FindSubjectResponse],
    question: Question,
    policy: Policy,
    seen: Checkpoint | None = None,
    further: Iterable[party_pb2.PublicKey] = (),
    receipts: Mapping[int, TlogProof] | None = None,
) -> History:
    """Args:
        answers: as they came; the last one is the evidence.
        seen: the head this auditor verified before and showed with the question.
        further: document keys of recipients that the policy does not pin, as the log registers them.
        receipts: leaf → its own receipt, where entries were proven one by one and not under one head.

    Raises VerificationError.
    """
    messages: list[pb.FindSubjectResponse] = []
    for answer in answers:
        messages.append(answer)
        if len(messages) > MAX_MESSAGES:
            raise EncodingInvalid(f"an account of more than {MAX_MESSAGES} messages")
    if not messages or messages[-1].WhichOneof("found") != "evidence":
        raise EncodingInvalid("the account ends without the head it stands under: it is not whole")
    head = _check_head(messages.pop().evidence, policy, seen)  # 1
    keyring = Keyring(_keys(policy, further))
    return _Account(question, policy, head, keyring, receipts or {}).read(messages)


def _check_head(
    evidence: exchange_pb2.LogEvidence, policy: Policy, seen: Checkpoint | None
) -> Checkpoint:
    with _at("head"):
        head = checkpoint.verify(evidence.checkpoint, policy.log_key)
        if seen is not None:
            if evidence.from_size != seen.size:
                raise ProofInvalid("the log does not prove its growth from the head shown")
            checkpoint.check_newer(seen, head, evidence.consistency)
        return head


def _keys(policy: Policy, further: Iterable[party_pb2.PublicKey]) -> Iterator[party_pb2.PublicKey]:
    yield from (key for key in policy.keys if key.purpose == DOCUMENT)
    pinned = policy.pinned_parties
    # For a party that the policy names no other key counts.
    yield from (key for key in further if key.party not in pinned and key.purpose == DOCUMENT)


class _Account:
    def __init__(
        self,
        question: Question,
        policy: Policy,
        head: Checkpoint,
        keyring: Keyring,
        receipts: Mapping[int, TlogProof],
    ) -> None:
        self._question = question
        self._policy = policy
        self._head = head
        self._places = Places(head, policy.log_key, receipts)
        self._keyring = keyring
        self._statements: dict[bytes, Statement] = {}
        #: The newest edition of each feed, and the bucket's commitment to the subject in it.
        self._newest: dict[Feed, tuple[Statement, bytes | None]] = {}

    def read(self, messages: list[pb.FindSubjectResponse]) -> History:
        order = ["edition", "delivery", "objection", "outcomes"]
        kinds = [str(message.WhichOneof("found")) for message in messages]
        if [order.index(kind) if kind in order else -1 for kind in kinds] != sorted(
            order.index(kind) if kind in order else len(order) for kind in kinds
        ):
            raise EncodingInvalid("the account is not in its order: editions, deliveries, objections, loans, head")
        disclosures, contests, reported = [], [], []
        for message in messages:
            if message.HasField("edition"):
                statement = self._edition(message.edition)
                self._statements[statement.manifest.digest] = statement
            elif message.HasField("delivery"):
                disclosures.append(self._delivery(message.delivery))
            elif message.HasField("objection"):
                contests.append(self._objection(message.objection))
            else:
                reported.append(self._reported(message.outcomes))
        _check_ascending(list(self._statements.values()))
        return History(
            self._question.identifier,
            tuple(self._statements.values()),
            tuple(disclosures),
            tuple(contests),
            self._head,
            self._question.recipient,
            reported=tuple(reported),
        )

    # 2, 3, 4, 5

    def _edition(self, message: pb.SubjectEdition) -> Statement:
        with _at("an edition's manifest"):
            manifest = open_sealed(message.manifest, edition_pb2.Manifest, self._keyring)
        sealed = manifest.message
        with _at(f"edition {sealed.sequence} of {sealed.product}"):
            # 3
            if sealed.origin not in self._policy.bureaus:
                raise Invalid(f"{sealed.origin} is no bureau of the policy", basis="policy.bureaus")
            if self._question.product not in ("", sealed.product):
                raise Invalid("it is of another product than was asked for", basis="subject.product")
            exchanges.check_manifest(manifest)
            approval = open_sealed(message.approval, edition_pb2.Approval, self._keyring)
            exchanges.check_approval(manifest, approval)
            # 2
            feed = sealed.origin, sealed.product
            before, known = self._newest.get(feed, (None, None))
            self._check_succession(manifest, before)
            # 4
            key, committed = self._bucket(message, sealed) if self._question.identifier else (b"", None)
            # 5
            record = self._record(message, committed)
            # 9
            received, published, stopped = self._places_of(message, manifest, approval)
            old = before.record if before else None
            # A DELTA or CORRECTION that names a record salts it anew, even where it says the same.
            news = news_of(old, record, same=record == old if sealed.kind == _FULL else committed == known)
            statement = Statement(manifest, approval, key, record, news, received, published, stopped)
            self._newest[feed] = statement, committed
            return statement

    def _check_succession(self, manifest: Opened[edition_pb2.Manifest], before: Statement | None) -> None:
        sealed = manifest.message
        if sealed.sequence != (before.sequence + 1 if before else 1):
            expected = before.sequence + 1 if before else 1
            raise ProofInvalid(f"edition {expected} is missing before it", basis="edition.sequence")
        if before is None:
            return
        if sealed.predecessor != before.manifest.digest:
            raise ProofInvalid("it names another predecessor", basis="edition.predecessor")
        exchanges.check_succession(sealed, before.manifest.message)
        if sealed.kind != _FULL and before.stopped is not None:
            raise ProofInvalid("it builds on an edition that was stopped", basis="edition.after_stop")
        if sealed.kind == edition_pb2.EDITION_KIND_CORRECTION:
            wrong = self._statements.get(sealed.corrects)
            if wrong is None:
                raise ProofInvalid("it corrects no earlier edition that is shown", basis="correction.corrects")
            exchanges.check_corrected(sealed, wrong.manifest.message)

    def _bucket(
        self, message: pb.SubjectEdition, sealed: edition_pb2.Manifest
    ) -> tuple[bytes, bytes | None]:
        """The subject's blinded key, and what its bucket commits to under it."""
        check_blinding_key(message.blinding_key, sealed)
        key = blinder(message.blinding_key)(self._question.identifier.encode())
        number = buckets.number_of(key)
        buckets.check_bucket(message.bucket, number, list(message.bucket_path), sealed.state_root)
        return key, buckets.find(message.bucket, key)

    def _record(
        self, message: pb.SubjectEdition, committed: bytes | None
    ) -> records_pb2.GradeRecord | None:
        if not message.HasField("record"):
            if committed is not None:
                raise ProofInvalid("its bucket holds the subject, and no record is shown", basis="state.record")
            return None
        salted = message.record
        if committed is None or len(salted.salt) != 32 or commitment(salted.salt, salted.record) != committed:
            raise DigestMismatch("the record is not the one its bucket commits to", basis="state.record")
        record = parse_strict(salted.record, records_pb2.GradeRecord)
        checks.check_grade_record(record)
        if record.taxpayer_id != self._question.identifier or record.gone:
            raise ProofInvalid("the record is not the subject's", basis="state.record")
        return record

    def _places_of(
        self,
        message: pb.SubjectEdition,
        manifest: Opened[edition_pb2.Manifest],
        approval: Opened[edition_pb2.Approval],
    ) -> tuple[Logged, Logged, Logged | None]:
        if not 2 <= len(message.entries) <= 3:
            raise ProofInvalid("it is not shown where the log tells of it", basis="evidence.entries")
        logged = [self._places.logged(proven) for proven in message.entries]
        received, published = logged[:2]
        stopped = logged[2] if len(logged) == 3 else None
        check_kind(received, "edition.ready", "edition.held")
        check_kind(published, "edition.published")
        exchanges.check_edition(received.entry, manifest)
        check_names(received, manifest.digest)
        check_names(published, approval.digest)
        for one in filter(None, (published, stopped)):
            if one.entry.manifest_digest != manifest.digest:
                raise ProofInvalid("its entry is of another edition", basis="evidence.manifest_digest")
        if stopped is not None:
            check_kind(stopped, "edition.stopped")
        check_order(logged)
        return received, published, stopped

    # 6

    def _delivery(self, message: pb.SubjectDelivery) -> Disclosure:
        with _at("a delivery"):
            delivery = open_sealed(message.delivery, exchange_pb2.Delivery, self._keyring)
        sealed = delivery.message
        with _at(f"delivery to {sealed.recipient}"):
            signer_of_party(delivery.signers, self._policy.gateway)
            if self._question.recipient not in ("", sealed.recipient):
                raise Invalid("it is another party's than was asked for", basis="subject.recipient")
            statement = self._statements.get(sealed.manifest_digest)
            if statement is None:
                raise ProofInvalid("it is of an edition that is not shown", basis="delivery.manifest_digest")
            if len(message.entries) != 1 + len(message.receipts):
                raise ProofInvalid("it is not shown where the log tells of it", basis="evidence.entries")
            offered, *confirmed = [self._places.logged(proven) for proven in message.entries]
            check_kind(offered, "delivery.offered")
            check_names(offered, delivery.digest)
            exchanges.check_delivery(offered.entry, delivery, statement.manifest, statement.approval)
            check_order([statement.published, offered, *confirmed])
            receipts = tuple(
                self._receipt(envelope, logged, delivery, statement)
                for envelope, logged in zip(message.receipts, confirmed, strict=True)
            )
            return Disclosure(statement, delivery, offered, receipts)

    def _receipt(
        self,
        envelope: envelope_pb2.Envelope,
        logged: Logged,
        delivery: Opened[exchange_pb2.Delivery],
        statement: Statement,
    ) -> Receipt:
        receipt = open_sealed(envelope, exchange_pb2.DeliveryReceipt, self._keyring)
        check_names(logged, receipt.digest)
        exchanges.check_receipt(logged.entry, receipt, delivery, statement.manifest)
        return Receipt(receipt, logged)

    # 7

    def _objection(self, message: pb.SubjectObjection) -> Contest:
        with _at("an objection"):
            objection = open_sealed(message.objection, objection_pb2.Objection, self._keyring)
        said = objection.message
        with _at(f"objection {said.number}"):
            statement = self._statements.get(said.manifest_digest)
            if statement is None:
                raise ProofInvalid("it is about an edition that is not shown", basis="objection.manifest_digest")
            if said.blinded_key != statement.blinded_key:
                raise ProofInvalid("it is about another subject", basis="objection.blinded_key")
            if len(message.entries) != 1 + message.HasField("decision"):
                raise ProofInvalid("it is not shown where the log tells of it", basis="evidence.entries")
            filed, *decided = [self._places.logged(proven) for proven in message.entries]
            check_kind(filed, "objection.filed")
            check_names(filed, objection.digest)
            exchanges.check_objection(filed.entry, objection, statement.manifest)
            check_order([statement.published, filed, *decided])
            contest = Contest(statement, objection, filed)
            return self._decision(contest, message.decision, decided[0]) if decided else contest

    def _decision(self, contest: Contest, envelope: envelope_pb2.Envelope, logged: Logged) -> Contest:
        decision = open_sealed(envelope, objection_pb2.ObjectionDecision, self._keyring)
        check_names(logged, decision.digest)
        exchanges.check_objection_decision(logged.entry, decision, contest.objection)
        if not (named := decision.message.correction):
            return replace(contest, decision=decision, decided=logged)
        correction = self._statements.get(named)
        if correction is None:
            raise ProofInvalid("it names an edition that is not shown", basis="objection_decision.correction")
        exchanges.check_remedy(contest.objection.message, correction.manifest.message)
        return replace(contest, decision=decision, decided=logged, correction=correction)

    # 8

    def _reported(self, message: pb.SubjectOutcomes) -> Reported:
        with _at("a batch of loans"):
            batch = open_sealed(message.batch, lending_pb2.OutcomeBatch, self._keyring)
        sealed = batch.message
        with _at(f"batch {sealed.number} of {sealed.bank}"):
            check_outcome_batch(sealed)
            exchanges.check_signer(batch, sealed.issued_by, sealed.bank)
            if self._question.product or self._question.recipient not in ("", sealed.bank):
                raise Invalid("it is not what was asked for", basis="subject.outcomes")
            if len(message.entries) != 1:
                raise ProofInvalid("it is not shown where the log tells of it", basis="evidence.entries")
            recorded = self._places.logged(message.entries[0])
            check_kind(recorded, "outcomes.recorded")
            if len(recorded.entry.documents) != 2 or recorded.entry.documents[0] != batch.digest:
                raise ProofInvalid(f"leaf {recorded.index} is of other documents", basis="evidence.document")
            places = [proven.index for proven in message.outcomes]
            if not places or places != sorted(set(places)):
                raise ProofInvalid("no rows, or not in the batch's order", basis="subject.outcomes")
            day = days.day_of(sealed.issued_at_ms)
            found = tuple(self._outcome(sealed, proven, day) for proven in message.outcomes)
            findings: Findings = {proven.finding.outcome_id: proven.finding for proven in message.outcomes}
            return Reported(batch, recorded, found, findings)

    def _outcome(
        self, batch: lending_pb2.OutcomeBatch, proven: pb.ProvenOutcome, day: date
    ) -> lending_pb2.LendingOutcome:
        outcome = check_proven_outcome(batch, proven.outcome, proven.index, list(proven.path))
        check_outcome(outcome)
        check_authorisation(outcome.authorisation, day)
        if outcome.taxpayer_id != self._question.identifier:
            raise ProofInvalid("a row is not about the subject", basis="subject.outcomes")
        if proven.HasField("finding") and proven.finding.outcome_id != outcome.outcome_id:
            raise ProofInvalid("what became of a row is told of another one", basis="subject.outcomes")
        return outcome


def _check_ascending(statements: list[Statement]) -> None:
    places = [(*s.feed, s.sequence) for s in statements]
    if places != sorted(places):
        raise EncodingInvalid("editions are not in the order of feed and sequence")


@contextmanager
def _at(name: str) -> Iterator[None]:
    """Names the message that does not hold. What a document does not say as it must is false here."""
    try:
        yield
    except VerificationError as error:
        raise type(error)(f"{name}: {error.explanation}", basis=error.basis) from error
    except Invalid as error:
        raise ProofInvalid(f"{name}: {error.explanation}", basis=error.basis) from error
