"""What a verification found: one verdict per check, and every finding that is not "holds".

A finding names the check, the subject (a leaf, a document, a file, a row's key) and the reason, and holds
no taxpayer data.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from xinyi.errors import ExchangeError, Refused, VerificationError

#: Findings of one check that are listed; the others are counted.
LISTED = 1000


class Verdict(StrEnum):
    HOLDS = "holds"
    #: Something shown contradicts what was signed or committed to.
    FALSE = "false"
    #: Evidence is missing: neither true nor false.
    UNDECIDED = "cannot decide"


class EvidenceMissing(Exception):
    """What a check needs is not there, so that it cannot decide."""


@dataclass(frozen=True)
class Finding:
    check: str
    verdict: Verdict
    subject: str
    reason: str


@dataclass
class Check:
    name: str
    #: What is claimed, as a sentence.
    claim: str
    examined: int = 0
    false: int = 0
    undecided: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        if self.false:
            return Verdict.FALSE
        return Verdict.UNDECIDED if self.undecided else Verdict.HOLDS

    @contextmanager
    def examine(self, subject: str) -> Iterator[None]:
        """Examines one thing: what is raised inside becomes a finding, and verification goes on."""
        self.examined += 1
        try:
            yield
        except EvidenceMissing as error:
            self.undecide(subject, str(error))
        except FileNotFoundError:
            self.undecide(subject, "the file is missing")
        except (VerificationError, Refused) as error:
            self.refute(subject, _reason(error))

    def refute(self, subject: str, reason: str) -> None:
        self.false += 1
        self._list(Verdict.FALSE, subject, reason)

    def undecide(self, subject: str, reason: str) -> None:
        self.undecided += 1
        self._list(Verdict.UNDECIDED, subject, reason)

    def _list(self, verdict: Verdict, subject: str, reason: str) -> None:
        if len(self.findings) < LISTED:
            self.findings.append(Finding(self.name, verdict, subject, reason))


def _reason(error: ExchangeError) -> str:
    return f"{error.explanation} [{error.basis}]" if error.basis else error.explanation


class Report:
    """All checks of one run, in the order in which they are made."""

    def __init__(self, claims: dict[str, str]) -> None:
        self.checks = {name: Check(name, claim) for name, claim in claims.items()}
        #: What the reader should know besides: the head, keys taken from the log.
        self.notes: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Check:
        return self.checks[name]

    @property
    def verdict(self) -> Verdict:
        """False if anything is false; else "cannot decide" if anything cannot be decided."""
        verdicts = {check.verdict for check in self.checks.values()}
        for worst in (Verdict.FALSE, Verdict.UNDECIDED):
            if worst in verdicts:
                return worst
        return Verdict.HOLDS

    @property
    def findings(self) -> list[Finding]:
        return [finding for check in self.checks.values() for finding in check.findings]

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            **self.notes,
            "checks": [
                {
                    "check": check.name,
                    "claim": check.claim,
                    "verdict": check.verdict,
                    "examined": check.examined,
                    "false": check.false,
                    "undecided": check.undecided,
                    "findings": [
                        {"verdict": f.verdict, "subject": f.subject, "reason": f.reason}
                        for f in check.findings
                    ],
                }
                for check in self.checks.values()
            ],
        }
