"""The record that every dataset is built into: one face track of one video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import FaceSequence

REAL = "real"
LANDMARKS = 81
FRAMES = "frames"
_TEXT_FIELDS = ("video_id", "dataset", "split", "method", "compression", "identity", "source_identity")


def features() -> tfds.features.FeaturesDict:
    """Returns the TFDS features of a record, as stored in ArrayRecord.

    `frames` holds JPEG bytes, so that a reader decodes only the frames that it samples. T, the number of
    kept frames, is the first axis of every per-frame field.
    """
    text = {name: tfds.features.Text() for name in _TEXT_FIELDS}
    return tfds.features.FeaturesDict(
        text
        | {
            "label": np.int32,  # 1 = fake
            "main": np.bool_,  # the track whose face the label is about
            "track": np.int32,
            "fps": np.float32,
            "frame_size": tfds.features.Tensor(shape=(2,), dtype=np.int32),  # height, width
            "frames": tfds.features.Sequence(tfds.features.Text()),
            "frame_index": tfds.features.Tensor(shape=(None,), dtype=np.int32),
            "timestamp": tfds.features.Tensor(shape=(None,), dtype=np.float32),  # seconds
            "box": tfds.features.Tensor(shape=(None, 4), dtype=np.float32),
            "landmarks": tfds.features.Tensor(shape=(None, LANDMARKS, 2), dtype=np.float32),
            "confidence": tfds.features.Tensor(shape=(None,), dtype=np.float32),
            "affine": tfds.features.Tensor(shape=(None, 2, 3), dtype=np.float32),
        }
    )


def to_record(
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
) -> dict[str, Any]:
    """Joins a face track with what the dataset says of its video.

    Raises:
      FakedetectError: `label` is not 0 or 1, or contradicts `method` ('real' and only 'real' has label 0).
    """
    if label not in (0, 1) or (label == 0) != (method == REAL):
        raise FakedetectError(
            f"{dataset}/{video_id}: label={label!r} with method={method!r}; label is 1 for fake and 0 for "
            f"real, and only method {REAL!r} is real"
        )
    return {
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
        "fps": sequence.fps,
        "frame_size": np.asarray(sequence.frame_size, np.int32),
        "frames": sequence.frames,
        "frame_index": sequence.frame_index,
        "timestamp": sequence.timestamp,
        "box": sequence.box,
        "landmarks": sequence.landmarks,
        "confidence": sequence.confidence,
        "affine": sequence.affine,
    }


def describe(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a stored record that say what it is, as plain Python values."""
    out: dict[str, Any] = {name: _as_text(record[name]) for name in _TEXT_FIELDS}
    out["label"] = int(record["label"])
    out["main"] = bool(record["main"])
    out["track"] = int(record["track"])
    out["frames"] = len(record["frames"])
    return out


def _as_text(value: bytes | str) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else value
