"""WildDeepfake as records of face tracks."""

from __future__ import annotations

from typing import Any

from fakedetect_jax.data_builders.engine.base import FaceSequenceBuilder
from fakedetect_jax.data_builders.engine.video_item import Listing
from fakedetect_jax.data_builders.wild_deepfake import layout
from fakedetect_jax.data_builders.wild_deepfake.sequences import write_frames
from fakedetect_jax.errors import FakedetectError


class Builder(FaceSequenceBuilder):
    """Face sequences of 707 forged videos, and of real ones, found on the internet; see README.md."""

    SOURCE_HINT = (
        "the folder deepfake_in_the_wild with its archives left packed, from "
        "https://huggingface.co/datasets/xingjunm/WildDeepfake"
    )
    materialise = staticmethod(write_frames)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        if self.extraction.face_crops:
            raise FakedetectError(
                "wild_deepfake: --face-crops would give every image a second border, as the builder adds one itself; "
                "leave the option out"
            )

    def listing(self) -> Listing:
        """Return the face sequences of all archives."""
        return layout.list_videos(self.source)
