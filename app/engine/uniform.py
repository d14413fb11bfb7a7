"""One uniform number a token, from a counter: the same whatever else is being written.

SplitMix64 (Steele, Lea & Flood 2014), keyed by the seed and counted by the position: no state is kept, so a text that
is stopped and resumed, or shares its batch with others, draws the same numbers.
"""

from __future__ import annotations

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix(value: int) -> int:
    """Scramble 64 bits: the finaliser of SplitMix64."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def uniform(seed: int, position: int) -> float:
    """Give the number in [0, 1) that a sequence with this seed draws for its token at this position."""
    key = mix((seed + _GOLDEN) & _MASK)
    return (mix((key + (position + 1) * _GOLDEN) & _MASK) >> 11) / 2**53
