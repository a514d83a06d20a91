"""Step 9, the rest: who looked at what, what the gateway announced, what was erased."""

from __future__ import annotations

from audit import exchanges
from audit.verification.entry import Entry
from xinyi.errors import Invalid, ProofInvalid
from xinyi.notices import check_change_notice
from xinyi.v1 import exchange_pb2, log_pb2, notice_pb2


def log_query(entry: Entry) -> None:
    exchanges.check_query(entry.message, entry.first(exchange_pb2.LogQuery))


def subject_query(entry: Entry) -> None:
    exchanges.check_query(entry.message, entry.first(exchange_pb2.SubjectQuery))


def notice(entry: Entry) -> None:
    message = entry.first(notice_pb2.ChangeNotice).message
    unique = entry.register.announce(message.number)
    check_change_notice(message)
    if not unique:
        raise Invalid("an earlier leaf gives another notice this number", basis="notice.number")
    if message.replaces and not entry.register.is_announced(message.replaces):
        entry.contradict("no earlier leaf announces the notice whose place it takes", "notice.replaces")


def erasure(entry: Entry) -> None:
    for leaf in entry.first(log_pb2.Erasure).message.leaves:
        known = entry.notes.find_leaf(leaf)
        if known is None or known.position >= entry.position:
            raise ProofInvalid("it erases what does not stand in the log before it")
        entry.notes.erase(leaf)
