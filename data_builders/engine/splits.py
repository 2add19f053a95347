"""What splits must not share."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from fakedetect_jax.data.index import Entry
from fakedetect_jax.data_builders.engine.listing import VideoItem
from fakedetect_jax.errors import FakedetectError


def check_disjoint(
    entries: Sequence[VideoItem | Entry], *, dataset: str, shared: Collection[tuple[str, str]] = ()
) -> None:
    """Checks that no identity, as the target or the source of a face, stands in two splits.

    Args:
      dataset: its name, for the message.
      shared: pairs of splits that may share people, because their publisher made them so.

    Raises:
      FakedetectError: names the identity and two of its videos.
    """
    allowed = {frozenset(pair) for pair in shared}
    first: dict[str, dict[str, VideoItem | Entry]] = {}
    for entry in entries:
        for identity in {entry.identity, entry.source_identity} - {""}:
            known = first.setdefault(identity, {})
            known.setdefault(entry.split, entry)
            for split, other in known.items():
                if split != entry.split and frozenset((split, entry.split)) not in allowed:
                    raise FakedetectError(
                        f"{dataset}: identity {identity!r} is in split {split!r} "
                        f"({other.method}/{other.video_id}) and in split {entry.split!r} "
                        f"({entry.method}/{entry.video_id}); splits must not share people"
                    )
