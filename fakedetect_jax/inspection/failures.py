"""The videos that a build could not use, by reason."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class FailureGroup(NamedTuple):
    """The videos, as split/method/video_id, that failed for one reason."""

    reason: str
    videos: list[str]


def group_failures(videos: Sequence[Mapping[str, Any]]) -> list[FailureGroup]:
    """Groups the failed ones among the videos of a build report, the most common reason first."""
    groups: dict[str, list[str]] = collections.defaultdict(list)
    for video in videos:
        if video["failure"]:
            name = f"{video['split']}/{video['method']}/{video['video_id']}"
            groups[generalise(video["failure"])].append(name)
    return sorted((FailureGroup(*group) for group in groups.items()), key=lambda group: -len(group.videos))


def generalise(reason: str) -> str:
    """Returns a reason without what is the single video's: paths become '…' and numbers 'N'."""
    without_paths = re.sub(r"\S*[/\\][^\s:;,]*", "…", reason)
    return re.sub(r"\b\d+(\.\d+)?\b", "N", without_paths)
