"""Which rows an auditor asks for, and what finding nothing wrong in them tells.

Rows are drawn without repetition by a seed that nobody knew when the table was sealed.
"""

from __future__ import annotations

import hashlib

from xinyi.errors import Invalid

SEED_BYTES = 32
_WORD_BITS = 64
#: Domain of the draws: the same seed may serve other purposes.
_LABEL = b"xinyi/sample/1\0"


def draw(seed: bytes, count: int, size: int) -> list[int]:
    """`count` different places of 0 … size − 1, ascending; all of them where there are no more.

    Word i of the draw is the first 8 bytes, big-endian, of SHA-256(label ‖ seed ‖ i as 8 bytes, big-endian). Words
    from the largest multiple of `size` below 2^64 on are passed over, so that no place is likelier than another;
    a word gives the place word mod size, which is passed over where it was drawn already.

    Raises Invalid for a seed of another length, or for nothing to draw.
    """
    if len(seed) != SEED_BYTES or count < 1 or size < 1:
        raise Invalid("a sample needs a seed of 32 bytes, and at least one row of one", basis="sample.size")
    if count >= size:
        return list(range(size))
    fair = (1 << _WORD_BITS) // size * size
    drawn: set[int] = set()
    number = 0
    while len(drawn) < count:
        digest = hashlib.sha256(_LABEL + seed + number.to_bytes(8, "big")).digest()
        word, number = int.from_bytes(digest[:8], "big"), number + 1
        if word < fair:
            drawn.add(word % size)
    return sorted(drawn)


def chance_of_finding(wrong: int, count: int, size: int) -> float:
    """Probability that at least one of `wrong` rows among `size` is among `count` that are drawn (hypergeometric)."""
    if not 0 <= wrong <= size or not 0 <= count <= size:
        raise Invalid("more rows than there are", basis="sample.size")
    missed = 1.0
    for drawn in range(count):
        missed *= max(0, size - wrong - drawn) / (size - drawn)
    return 1.0 - missed


def fewest_found(confidence: float, count: int, size: int) -> int:
    """The smallest number of wrong rows of which a sample would have shown at least one with this confidence."""
    if not 0 < confidence < 1:
        raise Invalid("a confidence lies between 0 and 1", basis="sample.confidence")
    low, high = 1, size
    while low < high:
        middle = (low + high) // 2
        if chance_of_finding(middle, count, size) >= confidence:
            high = middle
        else:
            low = middle + 1
    return low
