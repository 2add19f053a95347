"""Celeb-DF as records of face tracks."""

from __future__ import annotations

from fakedetect_jax.data_builders.celeb_df import layout
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.splits import TEST, TRAIN, VALIDATION
from fakedetect_jax.data_builders.engine.video_item import Listing


class Builder(FaceSequenceBuilder):
    """Face swaps of celebrities, with the official test list and a validation split of our own; see README.md."""

    VARIANTS = layout.VARIANTS
    SOURCE_HINT = (
        "the folder that holds Celeb-real/, YouTube-real/, Celeb-synthesis/ and List_of_testing_videos.txt; the form "
        "at https://github.com/yuezunli/celeb-deepfakeforensics gets you a download link"
    )
    # The publisher's test list holds other videos of the same people, so the check can only warn.
    SHARED_IDENTITIES = frozenset({(TRAIN, TEST), (VALIDATION, TEST)})

    def listing(self) -> Listing:
        """Return the videos of the chosen version."""
        return layout.list_videos(self.source, self.variant)
