"""Anybody's own videos as records of face tracks."""

from __future__ import annotations

from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing
from fakedetect_jax.data_builders.video_folder import layout


class Builder(FaceSequenceBuilder):
    """A tree of real/ and fake/METHOD/, or a videos.csv; see README.md."""

    SOURCE_HINT = (
        "a folder with real/ and fake/METHOD/, or with a videos.csv (path,label,method,identity,split)"
    )

    def listing(self) -> Listing:
        """Return the videos of the user's folder."""
        return layout.list_videos(self.source)
