"""Another clip's face as the source: laid over this one by its landmarks, and given its colours.

Face X-ray (Li et al., CVPR 2020) blends the faces of two people; here the other face follows this one frame by frame.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.faces.landmarks import FEATURES


class OtherFace(NamedTuple):
    """The clip of another person, shaped as the clip that it is blended into.

    `usable` says which frames may serve: of another person, no padding, with sane landmarks.
    """

    frames: Float[Array, "t h w 3"]
    landmarks: Float[Array, "t 81 2"]
    usable: Bool[Array, " t"]


class Alignment(NamedTuple):
    """Crop pixels of this clip to crop pixels of the other's: p -> scale * p + offset, for x and y of each frame."""

    scale: Float[Array, "t 2"]
    offset: Float[Array, "t 2"]


def align(
    landmarks: Float[Array, "t 81 2"], other: Float[Array, "t 81 2"], use: Bool[Array, " t"]
) -> Alignment:
    """Least squares for each axis, from finite landmarks; the identity where `use` is false.

    Turned heads stay turned: a rotation is not separable, and faces in crops are nearly upright.
    """
    points, others = landmarks[:, FEATURES], other[:, FEATURES]
    middle, others_middle = jnp.mean(points, axis=1), jnp.mean(others, axis=1)
    centred = points - middle[:, None]
    variance = jnp.sum(jnp.square(centred), axis=1)
    scale = jnp.sum(centred * (others - others_middle[:, None]), axis=1) / jnp.maximum(variance, 1e-6)
    scale = jnp.where(use[:, None], scale, 1.0)
    offset = jnp.where(use[:, None], others_middle - scale * middle, 0.0)
    return Alignment(scale, offset)


def match_colours(
    source: Float[Array, "3 t h w"], target: Float[Array, "3 t h w"], mask: Float[Array, "t h w"]
) -> Float[Array, "3 t h w"]:
    """Give the source the target's mean and standard deviation of each channel within each frame's mask."""

    def moments(planes: Array) -> tuple[Array, Array]:
        total = jnp.maximum(jnp.sum(mask, axis=(1, 2)), 1e-6)
        mean = jnp.sum(planes * mask, axis=(2, 3)) / total
        spread = jnp.sum(jnp.square(planes - mean[..., None, None]) * mask, axis=(2, 3)) / total
        return mean[..., None, None], jnp.sqrt(spread)[..., None, None]

    mean, deviation = moments(source)
    wanted_mean, wanted_deviation = moments(target)
    # A face without contrast, or a mask without pixels, has nothing to stretch.
    gain = jnp.where(deviation > 1e-3, wanted_deviation / jnp.maximum(deviation, 1e-3), 1.0)
    return jnp.clip((source - mean) * gain + wanted_mean, 0.0, 1.0)
