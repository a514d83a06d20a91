"""Public keys as people exchange them: a JSON object per key, and the file of those a party has pinned.

A pin is a decision of its holder, made by comparing the fingerprint with the one on the agreement's annex.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from audit.keys import check_public_key, keyid, party_of
from xinyi.errors import Invalid
from xinyi.v1 import party_pb2

_ALGORITHM, _PURPOSE = "KEY_ALGORITHM_", "KEY_PURPOSE_"
_FIELDS = {"algorithm", "purpose", "spki", "party", "holder", "fingerprint"}


def to_json(key: party_pb2.PublicKey) -> dict[str, str]:
    return {
        "algorithm": party_pb2.KeyAlgorithm.Name(key.algorithm).removeprefix(_ALGORITHM).lower(),
        "purpose": party_pb2.KeyPurpose.Name(key.purpose).removeprefix(_PURPOSE).lower(),
        "spki": base64.b64encode(key.spki).decode(),
        "party": key.party,
        "holder": key.holder,
        "fingerprint": keyid(key),
    }


def from_json(value: Any) -> party_pb2.PublicKey:
    """Raises Invalid where a field is missing, the fingerprint is not the key's, or the key is weak."""
    if (
        not isinstance(value, dict)
        or set(value) != _FIELDS
        or not all(isinstance(v, str) for v in value.values())
    ):
        raise Invalid("a key file holds exactly " + ", ".join(sorted(_FIELDS)), basis="keys.file")
    try:
        key = party_pb2.PublicKey(
            algorithm=_ALGORITHM + value["algorithm"].upper(),
            purpose=_PURPOSE + value["purpose"].upper(),
            spki=base64.b64decode(value["spki"], validate=True),
            party=value["party"],
            holder=value["holder"],
        )
    except (ValueError, binascii.Error) as error:
        raise Invalid(
            "a key file has an unknown algorithm or purpose, or no base64", basis="keys.file"
        ) from error
    check_public_key(key)
    if keyid(key) != value["fingerprint"]:
        raise Invalid("the key file's fingerprint is not that of its key", basis="keys.fingerprint")
    if party_of(key.holder) != key.party:
        raise Invalid("the key file names a holder of another party", basis="keys.file")
    return key


def load(path: Path) -> list[party_pb2.PublicKey]:
    """Keys of a file that holds one object or a list of them. Raises Invalid."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is no key file", basis="keys.file") from error
    return [from_json(item) for item in (value if isinstance(value, list) else [value])]


def dump(keys: Iterable[party_pb2.PublicKey]) -> bytes:
    """A list of keys for a file, ordered by holder and fingerprint."""
    described = sorted((to_json(key) for key in keys), key=lambda k: (k["holder"], k["fingerprint"]))
    return json.dumps(described, indent=2, ensure_ascii=False).encode() + b"\n"


def check_fingerprint(key: party_pb2.PublicKey, typed: str) -> None:
    """Compares with what a person typed; spaces, colons and capitals do not matter. Raises Invalid."""
    if typed.replace(":", "").replace(" ", "").lower() != keyid(key):
        raise Invalid(
            f"the fingerprint does not match; the file's key has {keyid(key)}: compare it with the annex",
            basis="keys.fingerprint",
        )
