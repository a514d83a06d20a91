"""Three years of one city: twelve editions each, told to every bank; then an auditor's questions about subjects.

    python -m bench.years prepare PLACE BANKS ROWS SUBJECTS
    python -m bench.years ask PLACE COUNT SUBJECTS

A FULL begins each year, eleven DELTAs of 1 % follow. `prepare` uses the gateway's own services and keeps names of
some taxpayers in the file SUBJECTS; `ask` prints how long the questions took.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from adapters.auditor.report.html import render
from adapters.auditor.report.page import page_of
from adapters.auditor.subject import SubjectClient
from adapters.party.gateway import GatewayClient
from adapters.party.home import Home
from audit import buckets, envelope, merkle, records
from audit.disclosure.account import Question
from audit.disclosure.report import Scope, report
from audit.verification.policy import Policy
from bench.founding import APPROVER, AUDITOR, CITY, MAKER, PRODUCT, bank, home_name
from bench.publishing import Sealed, now_ms, publish
from xinyi import checks, days, identifiers
from xinyi.v1 import edition_pb2, exchange_pb2, feed_service_pb2, records_pb2
from xinyi.v1 import subject_service_pb2 as pb
from xinyi.v1.feed_service_pb2_grpc import FeedServiceStub
from xinyi.v1.subject_service_pb2_grpc import SubjectServiceStub

YEARS = (2016, 2017, 2018)
#: A DELTA tells of one taxpayer in so many.
SHARE = 100
STAGES = (
    exchange_pb2.RECEIPT_STAGE_RECEIVED,
    exchange_pb2.RECEIPT_STAGE_ACCEPTED,
    exchange_pb2.RECEIPT_STAGE_APPLIED,
)


def _identifier(number: int) -> str:
    organisation = f"{number:08d}"
    code = f"91999999{organisation}{identifiers.organisation_check_character(organisation)}"
    return code + identifiers.uscc_check_character(code)


def _record(identifier: str, version: int) -> bytes:
    record = records_pb2.GradeRecord(
        taxpayer_id=identifier,
        identifier_kind=records_pb2.IDENTIFIER_KIND_USCC,
        names=[f"示例企业{version}有限公司"],
        evaluation_year=2018,
        grade=records_pb2.GRADE_A,
    )
    return record.SerializeToString(deterministic=True)


class Feed:
    """The editions of one product, sealed one behind the other."""

    def __init__(self, home: Home, rows: int) -> None:
        self._home = home
        self.names = [_identifier(number) for number in range(rows)]
        self._version, self._sequence, self._last = 0, 0, b""
        self._key = b""
        self._held: dict[int, bytes] = {}
        self._digests = buckets.Digests()

    def full(self, year: int) -> Sealed:
        """A new key and new salts; every record is told anew."""
        self._key, self._held, self._digests = os.urandom(32), {}, buckets.Digests()
        return self._seal(year, 1, self.names, edition_pb2.EDITION_KIND_FULL)

    def delta(self, year: int, month: int) -> Sealed:
        told = random.sample(self.names, max(1, len(self.names) // SHARE))
        return self._seal(year, month, told, edition_pb2.EDITION_KIND_DELTA)

    def _seal(
        self, year: int, month: int, told: Iterable[str], kind: edition_pb2.EditionKind
    ) -> Sealed:
        self._version, self._sequence = self._version + 1, self._sequence + 1
        blind, full = records.blinder(self._key), kind == edition_pb2.EDITION_KIND_FULL
        rows = sorted((blind(n.encode()), os.urandom(32), _record(n, self._version)) for n in told)
        sealed = records.commitments((row[2] for row in rows), (row[1] for row in rows))
        changes = [(row[0], commitment) for row, commitment in zip(rows, sealed, strict=True)]
        for number, own in buckets.by_bucket(changes).items():
            self._held[number] = buckets.changed(self._held.get(number, b""), own, strict=False)
            self._digests.update({number: buckets.digest(self._held[number])})
        hashes, size = records.leaf_hashes(key + c for key, c in changes), records.CHUNK_RECORDS
        coverage = edition_pb2.SOURCE_COVERAGE_WHOLE if full else edition_pb2.SOURCE_COVERAGE_CHANGES
        manifest = edition_pb2.Manifest(
            origin=self._home.party,
            issued_by=self._home.settings.holder,
            product=PRODUCT,
            period=edition_pb2.Period(year=year, month=month),
            kind=kind,
            sequence=self._sequence,
            predecessor=self._last,
            record_schema=checks.RECORD_SCHEMA,
            record_count=len(rows),
            root=merkle.root(hashes),
            chunk_roots=[merkle.root(hashes[i : i + size]) for i in range(0, len(hashes), size)],
            blinding_key_commitment=records.blinding_key_commitment(self._key),
            source=edition_pb2.SourceFile(
                sha256=hashlib.sha256(os.urandom(8)).digest(), size_bytes=1, encoding="utf-8",
                profile_sha256=b"\2" * 32, coverage=coverage,
            ),
            quality=edition_pb2.Quality(rows=len(rows), accepted=len(rows), rule_set="grade-rules/1"),
            grade_counts=[edition_pb2.GradeCount(grade=records_pb2.GRADE_A, records=len(rows))],
            issued_at_ms=now_ms(),
            state_root=self._digests.root(),
            state_count=len(self.names),
        )  # fmt: skip
        if self._last:
            same = 0 if full else len(self.names) - len(rows)
            manifest.comparison.CopyFrom(edition_pb2.Comparison(renamed=len(rows), unchanged=same))
        envelope_ = envelope.seal(manifest, self._home.signer())
        self._last = envelope.digest(envelope_)
        pieces = [rows[i : i + size] for i in range(0, len(rows), size)]
        return Sealed(envelope_, self._key, [records.chunk_bytes((salt, raw) for _, salt, raw in p) for p in pieces])


def _take(client: GatewayClient, held: bytes) -> None:
    """Pulls the next edition, and says that it was received, examined, applied."""
    request = exchange_pb2.PullRequest(
        recipient=client.home.party, product=PRODUCT, last_held=held, requested_at_ms=now_ms(), nonce=os.urandom(16)
    )
    stub = FeedServiceStub(client.channel)
    package = stub.Pull(feed_service_pb2.PullCall(call=client.call(request))).package
    manifest = edition_pb2.Manifest.FromString(package.manifest.payload)
    for stage in STAGES:
        receipt = exchange_pb2.DeliveryReceipt(
            delivery_id=checks.delivery_id(envelope.digest(package.manifest), client.home.party),
            delivery_digest=envelope.digest(package.delivery),
            manifest_digest=envelope.digest(package.manifest),
            stage=stage,
            root=manifest.root,
            accepted=manifest.record_count,
            signed_by=client.home.settings.holder,
            signed_at_ms=now_ms(),
        )
        stub.SubmitReceipt(feed_service_pb2.SubmitReceiptRequest(call=client.call(receipt)))


def prepare(place: Path, banks: str, rows: str, subjects: Path) -> None:
    clients = [GatewayClient(Home.open(place / home_name(bank(n)))) for n in range(1, int(banks) + 1)]
    maker, approver = (GatewayClient(Home.open(place / home_name(who))) for who in (MAKER, APPROVER))
    feed, held = Feed(maker.home, int(rows)), b""
    for year in YEARS:
        for month in range(1, 13):
            edition = feed.full(year) if month == 1 else feed.delta(year, month)
            digest = publish(maker, approver, edition)
            for client in clients:
                _take(client, held)
            held = digest
    subjects.write_text("\n".join(random.sample(feed.names, min(1000, len(feed.names)))))


def ask(place: Path, count: str, subjects: Path) -> None:
    """One bank, one day: the call alone, and with everything verified. Then whole reports."""
    names = subjects.read_text().split()
    home = Home.open(place / home_name(AUDITOR))
    banks = [Home.open(path) for path in place.glob("bank-*")]
    keys = (*home.keyring(), *(b.signer().key for b in banks))
    policy = Policy(home.log_key(), f"{CITY}/gateway", frozenset({f"{CITY}/tax-bureau"}), keys)
    recipient, moment = f"{CITY}/bank-1", days.end_of(days.today())
    with GatewayClient(home) as gateway:
        client, stub = SubjectClient(gateway), SubjectServiceStub(gateway.channel)
        calls, whole = [], []
        for turn in range(int(count) + 1):
            name, salt = names[turn % len(names)], os.urandom(32)
            started = time.perf_counter()
            query = exchange_pb2.SubjectQuery(
                asked_by=home.settings.holder,
                purpose="bench",
                subject_commitment=checks.subject_commitment(salt, name),
                product=PRODUCT,
                requested_at_ms=now_ms(),
                nonce=os.urandom(16),
            )
            request = pb.FindSubjectRequest(
                call=gateway.call(query), identifier=name, salt=salt, recipient=recipient
            )
            answers = list(stub.FindSubject(request))
            calls.append(time.perf_counter() - started)
            size = sum(answer.ByteSize() for answer in answers)
        for turn in range(int(count) // 4 + 1):
            started = time.perf_counter()
            _, history = client.find(Question(names[turn % len(names)], PRODUCT, recipient), "bench", policy)
            known = history.known_to(recipient, history.feeds[0], moment)
            if known is None or known.record is None or len(history.statements) != 12 * len(YEARS):
                raise ValueError("the history is not whole")
            whole.append(time.perf_counter() - started)
        reports = []
        for name in names[:4]:
            started = time.perf_counter()
            _, history = client.find(Question(name), "bench", policy)
            scope = Scope(home.settings.holder, "bench", "", policy)
            render(page_of(report(history, now_ms(), {}, scope)), "both")
            reports.append(time.perf_counter() - started)
    # The first of each reads what the others find in memory.
    found = {
        "first_ms": calls[0] * 1000,
        "median_ms": statistics.median(calls[1:]) * 1000,
        "p99_ms": _p99(calls[1:]) * 1000,
        "verified_ms": _p99(whole[1:]) * 1000,
        "report_s": max(reports[1:]),
        "bytes": size,
    }
    print(json.dumps(found))


def _p99(taken: list[float]) -> float:
    return sorted(taken)[max(0, -(-99 * len(taken) // 100) - 1)]


if __name__ == "__main__":
    command, place, *rest = sys.argv[1:]
    {"prepare": prepare, "ask": ask}[command](Path(place), *rest[:-1], Path(rest[-1]))
