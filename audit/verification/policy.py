"""What an auditor trusts, in one TOML file the auditor brings: nothing in an export can add to it.

log_key = "demo-city/gateway/log+1a2b3c4d+AbC…"
gateway = "demo-city/gateway"
bureaus = ["demo-city/tax-bureau"]
[[keys]]                       # as `key -o` writes them, compared with the agreement's annex
holder = "xinyi://…"
…
[limits]                       # optional
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from audit import pins
from audit.checkpoint import VerifierKey
from xinyi.errors import EncodingInvalid, Invalid
from xinyi.v1 import party_pb2

DOCUMENT = party_pb2.KEY_PURPOSE_DOCUMENT


@dataclass(frozen=True)
class Limits:
    """What a verifier takes before it stops: an export is somebody else's file."""

    #: Leaves of the log.
    entries: int = 100_000_000
    #: One line of a file, and one file that is read whole.
    line_bytes: int = 8 << 20
    #: How many leaves the exported state may be behind the exported head.
    state_lag: int = 10_000


@dataclass(frozen=True)
class Policy:
    #: The log, and the key its checkpoints are signed with.
    log_key: VerifierKey
    #: Party whose acknowledgements and deliveries count.
    gateway: str
    #: Parties whose manifests and approvals count.
    bureaus: frozenset[str]
    #: Pinned document keys. For a party that is named here no other key counts, but for one that an older
    #: key of the same holder introduced in the log: what others sealed is undecided.
    keys: tuple[party_pb2.PublicKey, ...]
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        pinned = {key.party for key in self.keys if key.purpose == DOCUMENT}
        for party in sorted({self.gateway, *self.bureaus} - pinned):
            raise Invalid(f"the policy pins no document key of {party}", basis="policy.keys")
        if not self.bureaus or self.gateway in self.bureaus:
            raise Invalid("the policy names the bureaus, and the gateway is none", basis="policy.bureaus")

    @property
    def pinned_parties(self) -> frozenset[str]:
        return frozenset(key.party for key in self.keys)

    @classmethod
    def load(cls, path: Path) -> Policy:
        """Raises Invalid, naming what is missing, unknown or wrong."""
        try:
            value = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise Invalid(f"{path} is no TOML file: {error}", basis="policy.file") from error
        return cls.from_json(value)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Policy:
        needed = {"log_key": str, "gateway": str, "bureaus": list, "keys": list}
        for name, kind in needed.items():
            if not isinstance(value.get(name), kind):
                raise Invalid(f"the policy lacks {name}, or it is no {kind.__name__}", basis="policy.file")
        limits = value.get("limits", {})
        if not isinstance(limits, dict):
            raise Invalid("limits of the policy are a table", basis="policy.limits")
        known = {limit.name for limit in fields(Limits)}
        for unknown in sorted((value.keys() - needed.keys() - {"limits"}) | (limits.keys() - known)):
            raise Invalid(f"the policy has an unknown setting {unknown!r:.60}", basis="policy.file")
        if not all(type(n) is int and n > 0 for n in limits.values()):
            raise Invalid("limits of the policy are positive whole numbers", basis="policy.limits")
        try:
            log_key = VerifierKey.parse(value["log_key"])
        except EncodingInvalid as error:
            raise Invalid(f"log_key of the policy: {error.explanation}", basis="policy.log_key") from error
        return cls(
            log_key=log_key,
            gateway=value["gateway"],
            bureaus=frozenset(str(party) for party in value["bureaus"]),
            keys=tuple(pins.from_json(key) for key in value["keys"]),
            limits=Limits(**limits),
        )

    def dump(self) -> bytes:
        """The policy as a file. JSON strings of these values are TOML strings as well."""
        lines = [
            "# What this auditor trusts; compare every fingerprint with the agreement's annex.",
            f"log_key = {json.dumps(str(self.log_key))}",
            f"gateway = {json.dumps(self.gateway)}",
            f"bureaus = {json.dumps(sorted(self.bureaus))}",
        ]
        for key in sorted(self.keys, key=lambda k: (k.holder, k.spki)):
            lines += ["", "[[keys]]"]
            lines += [f"{name} = {json.dumps(text)}" for name, text in pins.to_json(key).items()]
        return "\n".join(lines).encode() + b"\n"
