"""Leaves of the exchange log: a salted commitment to an entry whose opening lives beside the tree.

Leaf (33 bytes) = 0x01 ‖ SHA-256("xinyi-log-entry-v1" NUL ‖ salt (32) ‖ exact LogEntry bytes)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from xinyi.errors import DigestMismatch

#: Every kind of entry (docs/evidence-format.md §4).
KINDS = (
    "gateway.founded",
    "key.registered",
    "certificate.issued",
    "key.retired",
    "key.compromised",
    *(f"partner.{word}" for word in ("active", "suspended", "terminated")),
    *(f"agreement.{word}" for word in ("registered", "suspended", "in_force", "ended", "annexed", "terms")),
    *(f"product.{word}" for word in ("added", "changed", "enabled", "disabled")),
    "entitlement.granted",
    "entitlement.ended",
    *(f"edition.{word}" for word in ("ready", "held", "published", "released", "cancelled", "purged")),
    *(f"edition.{word}" for word in ("abandoned", "stopped", "rows_answered")),
    *(f"delivery.{word}" for word in ("offered", "transferred", "failed", "dead", "retried")),
    *(f"receipt.{word}" for word in ("received", "accepted", "partial", "rejected", "applied", "repeated")),
    *(f"objection.{word}" for word in ("filed", "upheld", "partly", "denied", "undecidable")),
    "notice.announced",
    *(f"lending.{word}" for word in ("counted", "held", "confirmed")),
    *(f"outcomes.{word}" for word in ("recorded", "confirmed", "offered", "abandoned")),
    *(f"challenge.{word}" for word in ("asked", "answered", "unanswered")),
    *(f"statistics.{word}" for word in ("run", "offered", "received")),
    "subject.queried",
    "log.queried",
    "log.exported",
    "refused",
    "refused.counted",
    "opening.erased",
)

LEAF_BYTES = 33
LEAF_VERSION = b"\1"
_DOMAIN = b"xinyi-log-entry-v1\0"


def leaf(salt: bytes, opening: bytes) -> bytes:
    return LEAF_VERSION + hashlib.sha256(_DOMAIN + salt + opening).digest()


def check_opening(expected_leaf: bytes, salt: bytes, opening: bytes) -> None:
    """Raises DigestMismatch unless salt and opening are those the leaf commits to."""
    if len(salt) != 32 or leaf(salt, opening) != expected_leaf:
        raise DigestMismatch("the opening is not the one its leaf commits to")


def canonical_json(value: Mapping[str, Any] | Sequence[Any]) -> str:
    """Sorted keys, no blanks, UTF-8 unescaped, bytes as lower-case hex: one text for one value."""
    return _ENCODER.encode(value)


def row_digest(row: Mapping[str, Any]) -> bytes:
    """SHA-256 of a business row as canonical JSON: what LogEntry.changes records and an export shows."""
    return hashlib.sha256(canonical_json(row).encode()).digest()


def _plain(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    raise TypeError(f"a row holds text, numbers, bytes and nulls, not {type(value).__name__}")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
