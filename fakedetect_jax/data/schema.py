"""The record of all built datasets: one kept frame of a face track."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import FaceSequence
from fakedetect_jax.faces.landmarks import LANDMARKS

REAL = "real"
YOUTUBE = "youtube-"
"""How an identity begins that means the same person in every dataset: the videos of FaceForensics++."""
FORMAT = 4
"""Number of the format of built datasets; others are refused."""

TEXT_FIELDS = ("video_id", "dataset", "split", "method", "compression", "identity", "source_identity")


def features() -> tfds.features.FeaturesDict:
    """Return the TFDS features of a record, as stored in ArrayRecord.

    Records are read whole. The frames of a clip lie some frames apart, at a distance that the experiment chooses, so
    that with one frame a record nothing is read in vain. The frames of a track follow each other in the files.
    """
    text = {name: tfds.features.Text() for name in TEXT_FIELDS}
    array = tfds.features.Tensor
    return tfds.features.FeaturesDict(
        text
        | {
            "label": np.int32,  # 1 = fake
            "main": np.bool_,  # whether it shows the person whom the label is about
            "track": np.int32,
            "person": np.int32,
            "offset": np.int32,  # place in the track, from 0
            "fps": np.float32,
            "frame_size": array(shape=(2,), dtype=np.int32),  # height, width
            "jpeg": tfds.features.Text(),
            "frame_index": np.int32,
            "timestamp": np.float32,  # seconds
            "box": array(shape=(4,), dtype=np.float32),
            "landmarks": array(shape=(LANDMARKS, 2), dtype=np.float32, encoding="bytes"),
            "confidence": np.float32,
            "affine": array(shape=(2, 3), dtype=np.float32),
        }
    )


def to_records(
    sequence: FaceSequence,
    *,
    video_id: str,
    dataset: str,
    split: str,
    method: str,
    label: int,
    main: bool,
    compression: str = "",
    identity: str = "",
    source_identity: str = "",
    offset: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield the records of a face track, or of the part of it that begins at `offset`, frame by frame.

    Raises:
        FakedetectError: `label` is not 0 or 1, or contradicts `method`: 'real', and only 'real', has label 0.
    """
    if label not in (0, 1) or (label == 0) != (method == REAL):
        raise FakedetectError(
            f"{dataset}/{video_id}: label={label!r} with method={method!r}; label is 1 for fake and 0 for "
            f"real, and only method {REAL!r} is real"
        )
    about = {
        "video_id": video_id,
        "dataset": dataset,
        "split": split,
        "method": method,
        "label": label,
        "main": main,
        "compression": compression,
        "identity": identity,
        "source_identity": source_identity,
        "track": sequence.track,
        "person": sequence.person,
        "fps": sequence.fps,
        "frame_size": np.asarray(sequence.frame_size, np.int32),
    }
    for place, jpeg in enumerate(sequence.frames):
        yield about | {
            "offset": offset + place,
            "jpeg": jpeg,
            "frame_index": sequence.frame_index[place],
            "timestamp": sequence.timestamp[place],
            "box": sequence.box[place],
            "landmarks": sequence.landmarks[place],
            "confidence": sequence.confidence[place],
            "affine": sequence.affine[place],
        }
