"""The input of every model, and what the models do to it first: normalise colours, replace invalid frames."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.landmarks import LANDMARKS

# (mean, standard deviation) of red, green and blue in [0, 1]
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]

IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
KINETICS: Statistics = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
# To [-1, 1].
HALF: Statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Pixels stay as they are, as the published SBI detector takes them.
NONE: Statistics = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

NORMALISATIONS: dict[str, Statistics] = {"imagenet": IMAGENET, "half": HALF, "none": NONE}


# The leaves of a pytree are not always arrays: jax puts shapes, shardings and None there too.
@typing.no_type_check
@flax.struct.dataclass
class Clip:
    """A batch of clips of face crops: what every model sees.

    Only the frames are required. A model ignores what it does not need and refuses a clip that lacks what it needs:
    ST-GCN needs landmarks, temporal parts with positions='timestamps' need timestamps.

    Attributes:
        frames: RGB pixels in [0, 1], any float dtype.
        landmarks: facial landmarks (x, y) in pixels of the frames; points 0 to 67 are in iBUG order, 68 to 80 run
            along the forehead.
        timestamps: times of the frames in seconds, from any origin.
        valid: whether each frame counts; None if all do. The content of an invalid frame, its landmarks and its
            timestamp never change the logit of a clip.
    """

    frames: Float[Array, "b t h w 3"]
    _: dataclasses.KW_ONLY
    landmarks: Float[Array, "b t 81 2"] | None = None
    timestamps: Float[Array, "b t"] | None = None
    valid: Bool[Array, "b t"] | None = None

    @classmethod
    def from_batch(cls, batch: Mapping[str, Any]) -> "Clip":
        """Take the four fields, all of them present, from a batch of examples."""
        return cls(**{field.name: batch[field.name] for field in dataclasses.fields(cls)})

    @property
    def mask(self) -> Bool[Array, "b t"]:
        """`valid`, or all true without it."""
        return jnp.ones(self.frames.shape[:2], bool) if self.valid is None else jnp.asarray(self.valid, bool)


def clip_shapes(frames: int, size: int) -> Clip:
    """Return the shapes of one clip, as `jax.ShapeDtypeStruct`, for `jax.eval_shape` and `jit(...).lower`.

    Args:
        frames: length of the clip.
        size: side of the frames in pixels.

    Returns:
        A clip with float32 `frames`, `landmarks` and `timestamps`, and `valid` None.
    """

    def shape(*sizes: int) -> Any:
        return jax.ShapeDtypeStruct((1, frames, *sizes), jnp.float32)

    return Clip(shape(size, size, 3), landmarks=shape(LANDMARKS, 2), timestamps=shape())


def levels_of(statistics: Statistics) -> float:
    """Return how many 8-bit levels one unit of pictures normalised by `statistics` has, on average over the colours."""
    _, deviation = statistics
    return 255 * sum(deviation) / len(deviation)


def check_size(owner: str, clip: Clip, smallest: int) -> None:
    """Raise for frames that are too small for the poolings of a model."""
    size = clip.frames.shape[2:4]
    if min(size) < smallest:
        raise FakedetectError(f"{owner} needs frames of at least {smallest} px a side, got {size}")


def normalise(frames: Float[Array, "b t h w 3"], statistics: Statistics) -> Float[Array, "b t h w 3"]:
    """Subtract the mean colour and divide by the standard deviations."""
    mean, std = (jnp.array(values)[None, None, None, None] for values in statistics)
    return (frames - mean) / std


def fill_invalid(clip: Clip) -> tuple[Float[Array, "b t h w 3"], Bool[Array, "b t"]]:
    """Replace each invalid frame by the nearest valid one, the earlier of two.

    Neither a convolution over time nor the statistics of a batch norm then sees the content of an invalid frame, and
    a clip does not jump. A clip without valid frames becomes black.

    Returns:
        The frames in float32, and `clip.mask`.
    """
    frames, valid = jnp.asarray(clip.frames, jnp.float32), clip.mask
    if clip.valid is None:
        return frames, valid
    t = frames.shape[1]
    place = np.arange(t)
    # Twice the distance, plus one for a later frame: no two are equal.
    distance = 2 * abs(place[:, None] - place[None]) + (place[None] > place[:, None])
    distance = jnp.where(valid[:, None], distance[None], 2 * t)
    nearest = (distance == distance.min(axis=-1, keepdims=True)) & valid[:, None]
    frames = jnp.where(valid[:, :, None, None, None], frames, 0)
    # The default precision of TPUs and GPUs would round the pixels.
    return jnp.einsum("bts,bshwc->bthwc", nearest.astype(jnp.float32), frames, precision="highest"), valid
