"""What a failing disk or memory does to a file."""

import random


def with_a_flipped_bit(data: bytes, draw: random.Random) -> bytes:
    """Return the bytes with one bit changed, at a place that is drawn."""
    place = draw.randrange(8 * len(data))
    changed = bytearray(data)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)
