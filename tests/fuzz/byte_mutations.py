"""Damage to bytes: what disks, networks, careless programs and attackers do to a file."""

from __future__ import annotations

import random
from collections.abc import Sequence

_BOUNDARIES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    1 << 24,
    0x7FFFFFFF,
    1 << 31,
    0xFFFFFFFF,
    1 << 62,
)
_MOST_CHANGES = 6


def damage(rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Return `data` with one to six changes; `others` are inputs of the same kind, whose parts may come into it."""
    for _ in range(rng.randint(1, _MOST_CHANGES) if rng.random() < 0.5 else 1):
        change = rng.choice(_CHANGES)
        data = _splice(rng, data, rng.choice(others)) if others and rng.random() < 0.06 else change(rng, data)
    return data


def damage_near(rng: random.Random, data: bytes, marks: Sequence[bytes]) -> bytes:
    """Return `data` with a change within 24 bytes of one of the marks, such as the names of a format's parts."""
    found = [mark for mark in marks if mark in data]
    if not found:
        return damage(rng, data)
    mark = rng.choice(found)
    places = []
    start = data.find(mark)
    while start >= 0 and len(places) < 1000:
        places.append(start)
        start = data.find(mark, start + 1)
    middle = rng.choice(places)
    start, end = max(0, middle - 8), middle + len(mark) + 16
    return data[:start] + rng.choice(_CHANGES)(rng, data[start:end]) + data[end:]


def cut(rng: random.Random, data: bytes) -> bytes:
    """Return the beginning of `data`."""
    return data[: rng.randrange(len(data) + 1)]


def _place(rng: random.Random, data: bytes) -> int:
    """Return a place in `data`, often in its first or last bytes, where formats have their tables."""
    size = len(data)
    where = rng.random()
    if where < 0.35:
        return rng.randrange(min(size, 256) + 1)
    if where < 0.5:
        return size - rng.randrange(min(size, 256) + 1)
    return rng.randrange(size + 1)


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = _place(rng, data)
    return start, min(len(data), start + rng.choice((1, 2, 4, 8, 16, 64, 256, 1024, 1 << 14)))


def _flip_bits(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8, 32)) if data else 0):
        changed[min(_place(rng, data), len(data) - 1)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    size = end - start
    new = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size), b" " * size))
    return data[:start] + new + data[end:]


def _write_boundary(rng: random.Random, data: bytes) -> bytes:
    """Write a number at which arithmetic goes wrong, as an integer of 1 to 8 bytes."""
    width = rng.choice((1, 2, 4, 8))
    value = (rng.choice(_BOUNDARIES) + rng.randint(-1, 1)) % (1 << 8 * width)
    start = _place(rng, data)
    return data[:start] + value.to_bytes(width, rng.choice(("big", "little"))) + data[start + width :]


def _add_to_byte(rng: random.Random, data: bytes) -> bytes:
    start = _place(rng, data)
    value = (data[start] + rng.randint(-16, 16)) % 256 if start < len(data) else 0
    return data[:start] + bytes([value]) + data[start + 1 :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    start = _place(rng, data)
    size = rng.choice((1, 2, 7, 64, 4096))
    return data[:start] + rng.choice((bytes(size), rng.randbytes(size))) + data[start:]


def _remove(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 3, 20)) + data[end:]


def _exchange(rng: random.Random, data: bytes) -> bytes:
    (first, first_end), (second, second_end) = sorted((_span(rng, data), _span(rng, data)))
    if first_end > second:
        return data
    parts = (
        data[:first],
        data[second:second_end],
        data[first_end:second],
        data[first:first_end],
        data[second_end:],
    )
    return b"".join(parts)


def _splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Return the beginning of one file and the end of another, or one within the other."""
    start, end = _place(rng, data), _place(rng, other)
    if rng.random() < 0.5:
        return data[:start] + other[end:]
    size = rng.choice((64, 1024, 1 << 14))
    return data[:start] + other[end : end + size] + data[start:]


_CHANGES = (
    _flip_bits,
    _flip_bits,
    _overwrite,
    _write_boundary,
    _add_to_byte,
    cut,
    _insert,
    _remove,
    _repeat,
    _exchange,
)
