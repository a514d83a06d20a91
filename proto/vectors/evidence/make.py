"""Writes ../evidence.json: `python -m proto.vectors.evidence.make`. A test compares it, and checks it again with
code and tools that are not ours.

Everything comes from fixed seeds: a city of its own with test keys, fictitious taxpayers, one edition, and a log of
eleven entries; then a year of three editions, and its log; then a quarter that two banks report, and its log.
docs/evidence-format.md says what each part is. A case has the exact bytes in hex (files in base64) and the error that
is expected; "" holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit import records
from proto.vectors.evidence import bundles, documents, log, quarter, states, trees
from proto.vectors.evidence.cast import BANK, SIGNERS
from proto.vectors.evidence.edition import APPROVAL, BLINDING_KEY, EDITION, SEALED
from xinyi import checks

FILE = Path(__file__).parents[1] / "evidence.json"


def content() -> dict[str, Any]:
    return {
        "about": "docs/evidence-format.md. TEST KEYS: every private key is published here. Fictitious taxpayers.",
        "keys": [signer.described() for signer in SIGNERS],
        "public_keys": documents.public_keys(),
        "payload_types": documents.payload_types(),
        "pre_encodings": documents.pre_encodings(),
        "envelopes": documents.envelopes(),
        "strict": documents.strict(),
        "edition": {
            "manifest": SEALED.SerializeToString(deterministic=True).hex(),
            "digest": EDITION.hex(),
            "approval": APPROVAL.SerializeToString(deterministic=True).hex(),
            "blinding_key": BLINDING_KEY.hex(),
            "blinding_key_commitment": records.blinding_key_commitment(BLINDING_KEY).hex(),
            "recipient": BANK,
            "delivery_id": checks.delivery_id(EDITION, BANK),
        },
        "record_leaves": documents.record_leaves(),
        "chunks": documents.chunks(),
        "chunk_trees": documents.chunk_trees(),
        "roots": trees.roots(),
        "inclusion": trees.inclusions(),
        "consistency": trees.consistencies(),
        "tile_paths": trees.tile_paths(),
        "tiles": trees.tile_files(),
        "canonical_rows": log.canonical_rows(),
        "log_leaves": log.log_leaves(),
        "openings": log.openings(),
        "verifier_keys": log.verifier_keys(),
        "checkpoints": log.notes(),
        "tlog_proofs": log.tlog_proofs(),
        "record_proof": bundles.record_proofs(),
        "entry_proof": bundles.entry_proofs(),
        "export": bundles.exports(),
        "buckets": states.bucket_digests(),
        "state_roots": states.state_roots(),
        "bucket_paths": states.bucket_paths(),
        "chain": states.chain(),
        "gone_proof": states.gone_proof(),
        "state_proofs": states.state_proofs(),
        "year": states.year(),
        "opened_firms": quarter.opened_firms(),
        "samples": quarter.samples(),
        "quarter": quarter.quarter(),
    }


def text() -> str:
    """The vector file's content. Raises AssertionError where our own verdict is not the expected one."""
    return json.dumps(content(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
