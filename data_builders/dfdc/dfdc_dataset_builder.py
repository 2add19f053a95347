"""DFDC as records of face tracks."""

from __future__ import annotations

from fakedetect_jax.data_builders.dfdc import layout
from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing


class Builder(FaceSequenceBuilder):
    """The Deepfake Detection Challenge; README.md describes its layouts, protocols and traps."""

    VARIANTS = layout.VARIANTS
    SOURCE_HINT = (
        "the folder with dfdc_train_part_0 ... dfdc_train_part_49 and test/ (for preview: with dataset.json), "
        "unzipped, from https://ai.meta.com/datasets/dfdc/"
    )

    def listing(self) -> Listing:
        """Return the videos of the chosen variant."""
        return layout.list_videos(self.source, self.variant)
