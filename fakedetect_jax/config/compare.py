"""The difference between two configs."""

from __future__ import annotations

from typing import Any


def differences(saved: dict[str, Any], current: dict[str, Any], prefix: str = "") -> list[str]:
    """Return a line `config.FIELD: SAVED -> CURRENT` for every field that differs. JSON's lists equal tuples."""
    rows = []
    for name in sorted(saved.keys() | current.keys()):
        before, now = saved.get(name, "absent"), current.get(name, "absent")
        if isinstance(before, dict) and isinstance(now, dict):
            rows += differences(before, now, f"{prefix}{name}.")
        elif _plain(before) != _plain(now):
            rows.append(f"config.{prefix}{name}: {before!r} -> {now!r}")
    return rows


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
