"""Damage to JSON documents: values that no writer means, and text that Python's parser takes or trips over."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from tests.fuzz.byte_mutations import damage

_ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**9, -(2**63), 2**64, 10**400, 0.5, -0.5, 1e308, 1e-320),
    *(float("nan"), float("inf"), float("-inf")),
    *("", " ", "x", "0", "1", "real", "fake", "REAL", "nan", "\0", "\x1b[2J", "\ud800", "é", "a" * 5000),
    *("../../x", "/etc/passwd", "~/x", "C:\\x", "a/b.mp4", "a\nb"),
    *([], {}, [[]], [None], {"": None}, ["x", "x"], {"x": {"x": {}}}, [0, 1, 2]),
)


def damage_json(rng: random.Random, text: str) -> bytes:
    """Return a JSON document that differs from `text` in one to three values, or in how it is written."""
    how = rng.random()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # it is damaged already
        how = 0.0
    if how < 0.15:
        return damage(rng, text.encode())
    for _ in range(rng.randint(1, 3)):
        document = damage_value(rng, document)
    written = json.dumps(document, ensure_ascii=rng.random() < 0.7)
    if how < 0.25:
        return _rewritten(rng, written)
    return written.encode("utf-8", "surrogatepass")


def damage_value(rng: random.Random, document: Any) -> Any:
    """Return a copy of a document with one value exchanged, removed, added, renamed, or moved."""
    document = copy.deepcopy(document)
    holders = [holder for holder in _containers(document) if holder]
    if not holders or rng.random() < 0.04:
        return odd_value(rng)
    holder = rng.choice(holders)
    key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    change = rng.random()
    if change < 0.6:
        holder[key] = _near(rng, holder[key])
    elif change < 0.75:
        del holder[key]
    elif change < 0.85 and isinstance(holder, dict):
        holder[rng.choice(("x", "", "é", "__class__", "../../x", "/etc/passwd", "a" * 300, "\ud800"))] = (
            holder.pop(key)
        )
    elif change < 0.95:
        holder[key] = rng.choice(list(_containers(document)))
        holder[key] = copy.deepcopy(holder[key]) if holder[key] is not holder else odd_value(rng)
    elif isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder["unknown"] = odd_value(rng)
    return _without_cycles(document)


def odd_value(rng: random.Random) -> Any:
    """Return a value that is seldom what a program expects."""
    return copy.deepcopy(rng.choice(_ODD))


def _near(rng: random.Random, value: Any) -> Any:
    """Return another value, often of the same type."""
    if isinstance(value, bool) or rng.random() < 0.6:
        return odd_value(rng)
    if isinstance(value, int | float) and abs(value) < 1e300:
        return rng.choice((-value, value + 1, value * 1000, value / 3, float(value), str(value), [value]))
    if isinstance(value, str):
        return rng.choice(
            (value.upper(), f" {value} ", f"{value}\0", value[: len(value) // 2], value * 100, [value])
        )
    return odd_value(rng)


def _containers(document: Any) -> list[Any]:
    if not isinstance(document, dict | list):
        return []
    inner = document.values() if isinstance(document, dict) else document
    return [document, *(found for value in inner for found in _containers(value))]


def _without_cycles(document: Any) -> Any:
    try:
        json.dumps(document)
    except (ValueError, RecursionError):
        return {"x": 1}
    return document


def _rewritten(rng: random.Random, written: str) -> bytes:
    match rng.randrange(8):
        case 0:
            return b"\xef\xbb\xbf" + written.encode("utf-8", "surrogatepass")
        case 1:
            return written.encode(rng.choice(("utf-16", "utf-32", "utf-16-le")), "surrogatepass")
        case 2:
            return b"[" * 100_000
        case 3:
            return b'{"a":' * 100_000
        case 4:
            place = written.find(":") + 1
            return (written[:place] + "9" * 5000 + "," + written[place:]).encode("utf-8", "surrogatepass")
        case 5:
            return written.encode("utf-8", "surrogatepass") * 2
        case 6:  # every name twice
            return (
                written.replace("{", '{"x": 1, "x": 2, ').replace(", }", "}").encode("utf-8", "surrogatepass")
            )
        case _:
            return written.encode("cp1252", "replace").replace(b"a", b"\xe9")
