"""Proofs of many entries at once are those that one at a time gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import log as logs
from audit import merkle
from audit.bulk import insert_rows
from audit.inclusion import Prover
from audit.keys import FileSigner, generate_private_key
from audit.log import Log
from gateway.store.db import open_engine
from xinyi.errors import ProofInvalid, Unavailable, Unknown
from xinyi.v1 import party_pb2

ORIGIN = "test-city/gateway/log"


def test_many_proofs_are_those_of_one_at_a_time(tmp_path: Path, database_url: str) -> None:
    """At every size up to the second tile, with one prover over all of them; a tile that was changed is found."""
    generate_private_key(tmp_path / "log.pem")
    signer = FileSigner.load(
        tmp_path / "log.pem", holder="xinyi://test-city/gateway/machine/log", purpose=party_pb2.KEY_PURPOSE_LOG
    )
    engine, head_engine = open_engine(database_url), open_engine(f"sqlite:///{tmp_path / 'heads.db'}")
    logs.metadata.create_all(engine, tables=[logs.log_entries, logs.log_tiles, logs.log_checkpoints])
    logs.head_metadata.create_all(head_engine)
    key = logs.VerifierKey.of(ORIGIN, signer)
    log = Log(engine, logs.HeadStore(head_engine, ORIGIN, key), ORIGIN, signer)
    log.start()
    prover, leaves = Prover(), []
    before = None
    for count in (1, 1, 1, 4, 120, 129, 1, 3, 290):
        rows = [logs.new_entry(bytes([n % 256]) * 32, b"%d" % (len(leaves) + n)) for n in range(count)]
        with engine.begin() as conn:
            insert_rows(conn, logs.log_entries, rows)
        leaves += [row["leaf"] for row in rows]
        head = log.sequence()
        assert head is not None
        with engine.connect() as conn:
            asked = leaves[:: max(1, len(leaves) // 40)] + leaves[-3:]
            for leaf, found in zip(asked, prover.prove(conn, head, asked), strict=True):
                one = log.prove(conn, leaf)
                assert one is not None
                assert (found.index, found.proof) == (one.index, one.proof)
            if before is not None:  # a head that was signed before its last tile was complete
                for found in prover.prove(conn, before, leaves[: before.size][-3:]):
                    hashed = merkle.leaf_hash(leaves[found.index])
                    merkle.check_inclusion(hashed, found.index, before.size, found.proof, before.root)
        before = head

    pending = logs.new_entry(b"\1" * 32, b"pending")
    with engine.begin() as conn:
        insert_rows(conn, logs.log_entries, [pending])
    with engine.connect() as conn:
        with pytest.raises(Unavailable):
            prover.prove(conn, head, [leaves[0], pending["leaf"]])
        with pytest.raises(Unknown):
            prover.prove(conn, head, [b"\1" * 33])
    tile = logs.log_tiles.c
    with engine.begin() as conn:
        conn.execute(
            logs.update(logs.log_tiles).where(tile.level == 0, tile.number == 2).values(hashes=bytes(8192))
        )
    with engine.connect() as conn, pytest.raises(ProofInvalid):
        prover.prove(conn, head, [leaves[-1]])
    engine.dispose()
    head_engine.dispose()
