"""The embedded dataset: a few people, filmed or photographed, and three classical forgeries of them."""

from __future__ import annotations

from pathlib import Path

from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing, VideoItem
from fakedetect_jax.data_builders.mini_forensics.footage import plan
from fakedetect_jax.data_builders.mini_forensics.render import render


def render_item(item: VideoItem, folder: Path) -> Path:
    """Render the planned clip of an item to a video in `folder`."""
    return render(item.source, folder)


class Builder(FaceSequenceBuilder):
    """Small enough to build in a minute and to live with the code; README.md says who is in it."""

    materialise = staticmethod(render_item)

    def listing(self) -> Listing:
        """Return the planned clips of all splits."""
        return Listing(
            [
                VideoItem(
                    video_id=clip.video_id,
                    split=clip.split,
                    method=clip.method,
                    source=clip,
                    identity=clip.identity,
                    source_identity=clip.source_identity,
                )
                for clip in plan()
            ]
        )
