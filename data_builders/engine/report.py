"""What a download holds and what a build made of it, as text and figures."""

from __future__ import annotations

import collections
from typing import Any

from fakedetect_jax.data_builders.engine.file_names import as_text
from fakedetect_jax.data_builders.engine.main_person import MASK_UNREADABLE
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem

_COUNTS = ("videos", "failed", "damaged", "tracks", "frames", "seen", "missed")


def account(item: VideoItem, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return what the build report says about one video, as text that can be written anywhere."""
    about = {
        "video_id": item.video_id,
        "split": item.split,
        "method": item.method,
        "label": item.label,
        "identity": item.identity,
        "source_identity": item.source_identity,
        "mask": as_text(item.mask or ""),
        "state": item.state,
    }
    reasons = {name: as_text(outcome[name]) for name in ("failure", "damage")}
    return about | outcome | reasons


def summarise(videos: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Count by split and method, in the order of the videos.

    A row has the videos, the failed ones, those of which only a part could be decoded (`damaged`), the tracks and their
    frames, the frames of the videos that were to be kept (`seen`), and how many of these lack the main person
    (`missed`).
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for video in videos:
        key = (video["split"], video["method"])
        row = rows.setdefault(key, {"split": key[0], "method": key[1]} | dict.fromkeys(_COUNTS, 0))
        row["videos"] += 1
        row["failed"] += bool(video["failure"])
        row["damaged"] += bool(video["damage"])
        for name in ("tracks", "frames", "seen", "missed"):
            row[name] += video[name]
    return list(rows.values())


def describe_build(report: dict[str, Any]) -> str:
    """Return a build report as text: what is new, the table, and all that failed, was damaged or left out."""
    lines = [f"{'split':12} {'method':20} " + " ".join(f"{name:>8}" for name in _COUNTS)]
    for row in report["summary"]:
        counts = " ".join(f"{row[name]:8d}" for name in _COUNTS)
        lines.append(f"{row['split']:12} {row['method']:20} {counts}")
    lines += [
        f"{kind}: {video['split']}/{video['method']}/{video['video_id']}: {video[reason]}"
        for kind, reason in (("failed", "failure"), ("damaged", "damage"))
        for video in report["videos"]
        if video[reason]
    ]
    unreadable = [video for video in report["videos"] if video["main_by"] == MASK_UNREADABLE]
    if unreadable:
        lines.append(
            f"unreadable masks: {len(unreadable)}; in these videos the largest person counts as the main one"
        )
    lines += [f"unreadable mask: {video['mask']}" for video in unreadable]
    lines += [f"note: {note}" for note in report["notes"]]
    return "\n".join([report["news"], *lines])


def describe_listing(listing: Listing) -> str:
    """Return what a download holds, next to what its publisher states, and what to know about it."""
    absent = listing.missing()
    missing = collections.Counter((item.split, item.method) for item in absent)
    listed = collections.Counter((item.split, item.method) for item in listing.items)
    lines = [f"{'split':12} {'method':20} {'found':>8} {'missing':>8} {'published':>10}"]
    for key in dict.fromkeys([*listed, *listing.published]):
        found = listed[key] - missing[key]
        stated = listing.published.get(key)
        lines.append(
            f"{key[0]:12} {key[1]:20} {found:8d} {missing[key]:8d} {'-' if stated is None else stated:>10}"
        )
    lines += [f"missing: {as_text(item.source)}" for item in absent[:20]]
    if len(absent) > 20:
        lines.append(f"... and {len(absent) - 20} more")
    return "\n".join([*lines, *(f"note: {note}" for note in listing.notes)])
