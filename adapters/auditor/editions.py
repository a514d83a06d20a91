"""Which editions a party knew, without any subject: from entries of the log, each proven by its own receipt.

Makes the same account as the gateway gives of a subject, but for buckets and records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from adapters.auditor.client import LogClient, ShownEntry
from adapters.party.gateway import GatewayClient
from audit.checkpoint import TlogProof
from audit.disclosure.account import Question
from audit.disclosure.folder import Asked, KnownFolder
from audit.disclosure.history import History
from audit.entry_proof import EntryProof
from audit.verification.policy import Policy
from xinyi.errors import Unavailable
from xinyi.v1 import edition_pb2, exchange_pb2
from xinyi.v1 import subject_service_pb2 as pb

_INTAKES = ("edition.ready", "edition.held")


def find_editions(
    gateway: GatewayClient,
    question: Question,
    purpose: str,
    policy: Policy,
    *,
    day: str = "",
    registrations: tuple[EntryProof, ...] = (),
) -> tuple[KnownFolder, History]:
    """The account, and what it proves. Two looks at the log, each logged in this person's name.

    Raises VerificationError; the gateway's refusals; Unavailable.
    """
    log = LogClient(gateway)
    asked = exchange_pb2.LogQuery(purpose=purpose, party=question.recipient, product=question.product)
    looked = log.sealed(asked)
    exchanged = [e for e in log.answered(looked) if e.entry.kind == "delivery.offered" or _is_receipt(e)]
    query = exchange_pb2.LogQuery(purpose=purpose, kind="edition", product=question.product)
    editions = list(log.entries(query))
    answers = [*_editions(editions), *(_deliveries(exchanged) if question.recipient else ())]
    places = [proven for answer in answers for proven in _entries(answer)]
    shown = {entry.index: entry for entry in (*editions, *exchanged)}
    receipts: dict[int, TlogProof] = {
        proven.index: log.prove(shown[proven.index].leaf) for proven in places
    }
    head = gateway.home.head()
    if head is None:
        raise Unavailable("the log has published nothing yet")
    answers.append(
        pb.FindSubjectResponse(evidence=exchange_pb2.LogEvidence(checkpoint=head.note))
    )
    found = KnownFolder(
        Asked(question, b"", day), looked.document, tuple(answers), b"", registrations, receipts
    )
    return found, found.verify(policy)


def _is_receipt(shown: ShownEntry) -> bool:
    return shown.entry.kind.startswith("receipt.")


def _editions(entries: Iterable[ShownEntry]) -> Iterator[pb.FindSubjectResponse]:
    """Published ones, by origin, product and sequence."""
    found: dict[bytes, dict[str, ShownEntry]] = {}
    for shown in entries:
        kind = "edition.ready" if shown.entry.kind in _INTAKES else shown.entry.kind
        found.setdefault(shown.entry.manifest_digest, {})[kind] = shown
    published = [of for of in found.values() if "edition.published" in of and "edition.ready" in of]
    for of in sorted(published, key=_place):
        kinds = ("edition.ready", "edition.published", "edition.stopped")
        yield pb.FindSubjectResponse(
            edition=pb.SubjectEdition(
                manifest=of["edition.ready"].documents[0],
                approval=of["edition.published"].documents[0],
                entries=[_proven(of[kind]) for kind in kinds if kind in of],
            )
        )


def _place(of: dict[str, ShownEntry]) -> tuple[str, str, int]:
    manifest = edition_pb2.Manifest.FromString(of["edition.ready"].documents[0].payload)
    return manifest.origin, manifest.product, manifest.sequence


def _deliveries(entries: Iterable[ShownEntry]) -> list[pb.FindSubjectResponse]:
    offers: dict[bytes, pb.SubjectDelivery] = {}
    for shown in entries:
        document = shown.documents[0]
        if not _is_receipt(shown):
            offers[shown.entry.documents[0]] = pb.SubjectDelivery(delivery=document, entries=[_proven(shown)])
            continue
        named = exchange_pb2.DeliveryReceipt.FromString(document.payload).delivery_digest
        if named in offers:  # else it is of another product than was asked for
            offers[named].receipts.append(document)
            offers[named].entries.append(_proven(shown))
    return [pb.FindSubjectResponse(delivery=offer) for offer in offers.values()]


def _entries(answer: pb.FindSubjectResponse) -> Iterable[pb.ProvenEntry]:
    return answer.edition.entries if answer.HasField("edition") else answer.delivery.entries


def _proven(shown: ShownEntry) -> pb.ProvenEntry:
    return pb.ProvenEntry(index=shown.index, salt=shown.salt, opening=shown.opening)
