"""Records under objection: which record it is, and how deliveries mark it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from audit import buckets
from audit.records import blinder, split_chunk
from gateway import states
from gateway.store import editions
from gateway.store import objections as store
from xinyi.grade_columns import GradeColumns
from xinyi.v1 import exchange_pb2, records_pb2

Row = Mapping[str, Any]

#: (edition, objection) → key of its record in that edition; None where it holds none. What an edition holds never
#: changes, and every bank's delivery asks for the same.
_keys: dict[tuple[bytes, bytes], bytes | None] = {}
_MOST_KEYS = 100_000


def marks(
    conn: Connection, edition: Row, ground: exchange_pb2.DeliveryGround
) -> list[exchange_pb2.DisputeMark]:
    """Records in force after the edition that are under objection now, ascending by blinded key.

    Where a record has several objections, the one that was filed first stands for them all. On the ground of a
    recall a recipient learns nothing of taxpayers that the correction itself does not speak of.
    """
    recall = ground == exchange_pb2.DELIVERY_GROUND_RECALL
    found: dict[bytes, exchange_pb2.DisputeMark] = {}
    for objection in store.open_objections(conn, edition["origin"], edition["product"]):
        key = _key_in(conn, objection, edition)
        if key is None or key in found:
            continue
        if not recall or tells(conn, edition, key):
            found[key] = exchange_pb2.DisputeMark(
                blinded_key=key,
                objection=objection["objection"],
                filed_on=objection["filed_on"],
                due_on=objection["due_on"],
            )
    return [found[key] for key in sorted(found)]


def _key_in(conn: Connection, objection: Row, edition: Row) -> bytes | None:
    place = (edition["manifest_digest"], objection["objection"])
    if place not in _keys:
        if len(_keys) >= _MOST_KEYS:
            _keys.clear()
        key = key_under(conn, objection, edition)
        _keys[place] = key if in_force(conn, edition, key) else None
    return _keys[place]


def key_under(conn: Connection, objection: Row, edition: Row) -> bytes:
    """The blinded key of an objection's record in the year of an edition."""
    objected = editions.find_edition(conn, objection["manifest_digest"])
    assert objected is not None  # foreign key
    if objected["blinding_key"] == edition["blinding_key"]:
        return bytes(objection["blinded_key"])
    found = states.find_record(conn, objection["manifest_digest"], objection["blinded_key"])
    assert found is not None  # it was looked for when the objection was filed
    record = records_pb2.GradeRecord.FromString(found.record)
    return blinder(edition["blinding_key"])(record.taxpayer_id.encode())


def in_force(conn: Connection, edition: Row, key: bytes) -> bool:
    """Whether the records after an edition hold one under this blinded key."""
    bucket = states.bucket(conn, edition["manifest_digest"], buckets.number_of(key))
    return buckets.find(bucket, key) is not None


def tells(conn: Connection, edition: Row, key: bytes) -> bool:
    """Whether an edition itself says something under this blinded key, be it that the taxpayer is gone."""
    chunk = editions.find_chunk(conn, edition["manifest_digest"], key)
    if chunk is None:
        return False
    blind = blinder(edition["blinding_key"])
    return key in map(blind, GradeColumns(split_chunk(chunk[1])[1]).keys())
