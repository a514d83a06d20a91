"""Asks a gateway for everything that was said of one subject, and verifies the account before anything is shown."""

from __future__ import annotations

import os
import time
from functools import cached_property

from adapters.auditor.client import STREAM_DEADLINE_S, LogClient
from adapters.party.gateway import GatewayClient
from audit.disclosure.account import Question
from audit.disclosure.folder import Asked, KnownFolder
from audit.disclosure.history import History
from audit.entry_proof import EntryProof
from audit.verification.policy import Policy
from xinyi import checks
from xinyi.channel import errors_restored
from xinyi.v1 import exchange_pb2
from xinyi.v1 import subject_service_pb2 as pb
from xinyi.v1.subject_service_pb2_grpc import SubjectServiceStub


class SubjectClient:
    """Use within the GatewayClient it is made from."""

    def __init__(self, gateway: GatewayClient) -> None:
        self._gateway = gateway
        self._home = gateway.home

    @cached_property
    def _stub(self) -> SubjectServiceStub:
        return SubjectServiceStub(self._gateway.channel)  # type: ignore[no-untyped-call]

    def find(
        self,
        question: Question,
        purpose: str,
        policy: Policy,
        *,
        day: str = "",
        registrations: tuple[EntryProof, ...] = (),
    ) -> tuple[KnownFolder, History]:
        """The account as it came, and what it proves. The query is logged in this person's name.

        Raises VerificationError; the gateway's refusals; Unavailable.
        """
        salt = os.urandom(32)
        query = exchange_pb2.SubjectQuery(
            asked_by=self._home.settings.holder,
            purpose=purpose,
            subject_commitment=checks.subject_commitment(salt, question.identifier),
            product=question.product,
            requested_at_ms=time.time_ns() // 1_000_000,
            nonce=os.urandom(16),
        )
        # Before it is sealed: a purpose that names the subject does not leave this machine.
        checks.check_subject_query(query)
        call = self._gateway.call(query)
        request = pb.FindSubjectRequest(
            call=call, identifier=question.identifier, salt=salt, recipient=question.recipient
        )
        with errors_restored():
            answers = tuple(self._stub.FindSubject(request, timeout=STREAM_DEADLINE_S))
        found = KnownFolder(Asked(question, salt, day), call.document, answers, call.head, registrations)
        history = found.verify(policy)
        self._gateway.advance(answers[-1].evidence, call.document)
        return found, history

    def is_registered(self, purpose: str, party: str) -> bool:
        """Whether the log registers any key of a party. A look at the log by itself."""
        query = exchange_pb2.LogQuery(purpose=purpose, kind="key.registered", party=party)
        return any(entry.entry.counterparty == party for entry in LogClient(self._gateway).entries(query))

    def registrations(self, purpose: str, party: str = "") -> tuple[EntryProof, ...]:
        """Entries that register keys, of one party or of all, each with its proof. A look at the log by itself."""
        log = LogClient(self._gateway)
        query = exchange_pb2.LogQuery(purpose=purpose, kind="key.registered", party=party)
        return tuple(
            EntryProof(entry.salt, entry.opening, tuple(entry.documents), log.prove(entry.leaf))
            for entry in list(log.entries(query))
        )
