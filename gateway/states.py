"""The records as they stand after an edition, as buckets: derived from the chunks of its chain."""

from __future__ import annotations

from sqlalchemy import Connection

from audit import buckets
from audit.records import blinder, commitment, split_chunk
from gateway.store import editions
from xinyi.errors import Unknown
from xinyi.v1 import edition_pb2, records_pb2

Found = tuple[bytes, int, bytes, bytes]


def _chain(conn: Connection, manifest_digest: bytes) -> list[bytes]:
    found, row = [], editions.find_edition(conn, manifest_digest)
    while row is not None:
        found.append(row["manifest_digest"])
        if row["kind"] == edition_pb2.EDITION_KIND_FULL:
            return found[::-1]
        sealed = editions.get_document(conn, row["manifest_digest"])
        row = editions.find_edition(conn, edition_pb2.Manifest.FromString(sealed.payload).predecessor)
    raise Unknown("there is no such edition", basis="edition.unknown")


_kept: dict[bytes, dict[bytes, Found]] = {}


def _state(conn: Connection, manifest_digest: bytes) -> dict[bytes, Found]:
    if manifest_digest in _kept:
        return _kept[manifest_digest]
    state: dict[bytes, Found] = {}
    for edition in _chain(conn, manifest_digest):
        row = editions.find_edition(conn, edition)
        assert row is not None
        blind = blinder(row["blinding_key"])
        for number, data in editions.stream_chunks(conn, edition):
            for salt, raw in zip(*split_chunk(data), strict=True):
                record = records_pb2.GradeRecord.FromString(raw)
                key = blind(record.taxpayer_id.encode())
                if record.gone:
                    state.pop(key, None)
                else:
                    state[key] = (edition, number, salt, raw)
    _kept[manifest_digest] = state
    return state


def bucket(conn: Connection, manifest_digest: bytes, number: int) -> bytes:
    state = _state(conn, manifest_digest)
    keys = sorted(key for key in state if buckets.number_of(key) == number)
    return b"".join(key + commitment(state[key][2], state[key][3]) for key in keys)


def digests(conn: Connection, manifest_digest: bytes) -> buckets.Digests:
    return _digests(conn, manifest_digest)


def _digests(conn: Connection, manifest_digest: bytes) -> buckets.Digests:
    state = _state(conn, manifest_digest)
    return buckets.state_of([key + commitment(state[key][2], state[key][3]) for key in sorted(state)])


def find_record(conn: Connection, manifest_digest: bytes, key: bytes) -> Found | None:
    return _state(conn, manifest_digest).get(key)
