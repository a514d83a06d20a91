"""Which key counted at which leaf of the log: pinned by the policy, or registered, retired and reported
compromised by the log itself. A signature made before a key ended stays good, but for those since the key may
have been somebody else's: they are suspect, neither true nor false. One after its end never counts.

A key that the log registers for a party with other pins does not count: a gateway could register one of its own.
It may as well be the party's, so that what it sealed is undecided until the auditor pins it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audit.envelope import Opened
from audit.keys import SM2, Keyring, keyid, party_of
from audit.verification.policy import DOCUMENT, Policy
from xinyi.errors import Invalid, SignatureInvalid
from xinyi.v1 import envelope_pb2, party_pb2


class KeyHistory:
    """Keys of the policy count from leaf 0 on; the others from the leaf that registers them."""

    def __init__(self, policy: Policy) -> None:
        self.keyring = Keyring(key for key in policy.keys if key.purpose == DOCUMENT)
        self._pinned = policy.pinned_parties
        self._needs_pins = policy.bureaus | {policy.gateway}
        self._since: dict[str, int] = {keyid(key): 0 for key in self.keyring}
        #: Registered for a pinned party, and not pinned: they count for nothing, and may be genuine.
        self.unpinned = Keyring()
        self._registered: dict[str, int] = {}
        self._ended: dict[str, tuple[int, str]] = {}
        self._suspect_from: dict[str, int] = {}
        self._kinds: set[tuple[str, int]] = set()
        #: Keys taken from the log, in order: for the reader to compare with the agreements' annexes.
        self.learned: list[tuple[int, party_pb2.PublicKey]] = []

    def register(self, position: int, registration: Opened[party_pb2.KeyRegistration]) -> None:
        """Takes a key from the log, where the policy leaves its party to the log.

        For a party the policy pins, only an older key of the same holder can introduce a new one: a second
        person must not come out of the first one's key, nor any person out of the gateway's word.
        """
        key = registration.message.key
        name = keyid(key)
        if party_of(key.holder) != key.party:
            raise Invalid("the key names a holder of another party", basis="keys.holder")
        if name not in {keyid(s) for s in registration.signers}:
            raise SignatureInvalid("the registration is not sealed by the key it registers")
        self._kinds.add((key.party, registration.message.party_kind))
        if name in self._since or key.purpose != DOCUMENT:
            return
        introduced = any(
            keyid(s) != name and s.holder == key.holder and self.counts(keyid(s), position)
            for s in registration.signers
        )
        if key.party in self._pinned and not introduced:
            if name not in self._registered:
                self.unpinned.add(key)
                self._registered[name] = position
            return
        self.keyring.add(key)
        self._since[name] = position
        self.learned.append((position, key))

    def is_kind(self, party: str, kind: party_pb2.PartyKind) -> bool:
        """Whether the log registers any key of this party as one of this kind."""
        return (party, kind) in self._kinds

    def end(self, position: int, key_id: str, how: str, suspect_from: int | None) -> None:
        """Args: suspect_from — first leaf recorded when a compromised key may have been somebody else's."""
        self._ended.setdefault(key_id, (position, how))
        if suspect_from is not None:
            self._suspect_from[key_id] = suspect_from

    def is_suspect(self, key_id: str, position: int) -> bool:
        """Whether a key, which counted at this leaf, was reported compromised since before it."""
        return self._suspect_from.get(key_id, position + 1) <= position

    def counts(self, key_id: str, position: int) -> bool:
        return self._is_between(self._since.get(key_id), key_id, position)

    def is_registered(self, key_id: str, position: int) -> bool:
        """Whether it would count at this leaf if it were pinned."""
        return self._is_between(self._registered.get(key_id), key_id, position)

    def _is_between(self, since: int | None, key_id: str, position: int) -> bool:
        ended, _ = self._ended.get(key_id, (position, ""))
        return since is not None and since <= position <= ended

    def at(self, position: int, *, beside: party_pb2.PublicKey | None = None) -> KeysAt:
        """The keys that count at a leaf, and one more beside them: the one that is being registered there."""
        return KeysAt(self.keyring, position, self.counts, Keyring([beside] if beside is not None else []))

    def unpinned_at(self, position: int) -> KeysAt:
        """Those that would count at a leaf if they were pinned."""
        return KeysAt(self.unpinned, position, self.is_registered, Keyring())

    def find(self, key_id: str) -> party_pb2.PublicKey | None:
        """A key of either kind."""
        return self.keyring.find(key_id) or self.unpinned.find(key_id)

    def how_to_pin(self, key: party_pb2.PublicKey) -> str:
        """What an auditor can do about a key that is registered and not pinned."""
        said = (
            f"the log registers its key for {key.party}, of which the policy pins others: "
            f"pin the key of {key.holder}, fingerprint {keyid(key)}, if its annex says the same"
        )
        if key.party in self._needs_pins:
            return said
        return f"{said}, or remove the pins of {key.party} so that its registrations in the log count"

    def explain(self, sealed: envelope_pb2.Envelope, position: int) -> str:
        """Why none of a document's keys counts at this leaf."""
        reasons = []
        for signature in sealed.signatures:
            name, key = f"{signature.keyid[:16]}…", self.find(signature.keyid)
            ended = self._ended.get(signature.keyid)
            if key is None:
                reasons.append(f"key {name} is neither pinned nor registered in a way that counts")
            elif ended is not None and ended[0] < position:
                reasons.append(f"key {name} of {key.holder} was {ended[1]} at leaf {ended[0]}")
            else:
                since = self._since.get(signature.keyid, self._registered.get(signature.keyid))
                reasons.append(f"key {name} of {key.holder} counts only from leaf {since}")
        return "; ".join(reasons)

    def only_unavailable(self, sealed: envelope_pb2.Envelope) -> bool:
        """Whether a known key sealed it with an algorithm that is not available here."""
        keys = [self.keyring.find(s.keyid) for s in sealed.signatures]
        return any(key is not None and key.algorithm == SM2 for key in keys)


@dataclass(frozen=True)
class KeysAt:
    """The keys of a ring that count at one leaf, and some beside them; used like a keyring."""

    ring: Keyring
    position: int
    counts: Callable[[str, int], bool]
    beside: Keyring

    def verify(self, key_id: str, signature: bytes, message: bytes) -> party_pb2.PublicKey | None:
        ring = self.ring if self.counts(key_id, self.position) else self.beside
        return ring.verify(key_id, signature, message)
