"""What the gateway reads of its parties' keys."""

from __future__ import annotations

from sqlalchemy import update

from audit.keys import keyid
from gateway.app import Gateway
from gateway.store import parties, tables


def test_a_damaged_key_hinders_no_other(gateway: Gateway) -> None:
    """An administrator's edit of one party's key must not refuse the calls of all."""
    own = gateway.signer.key
    with gateway.database.reading() as conn:
        row = parties.find_key(conn, keyid(own))
    assert row is not None
    with gateway.database.writing() as conn:
        conn.execute(tables.keys.insert().values(dict(row) | {"keyid": "0" * 64, "spki": b"no key"}))
    with gateway.database.reading() as conn:
        assert list(parties.keyring(conn)) == [own]
    with gateway.database.writing() as conn:
        conn.execute(update(tables.keys).values(spki=own.spki[:-1] + b"\0" * 2))
    with gateway.database.reading() as conn:
        assert len(parties.keyring(conn)) == 0
