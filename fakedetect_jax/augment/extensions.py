"""Extensions of the published recipe: another clip's face as the source, a drifting source, a forged run of frames."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fakedetect_jax.augment.mask import Motion
from fakedetect_jax.augment.recipe import Draws, SelfBlendRecipe
from fakedetect_jax.faces.landmarks import FEATURES

OTHER_SCALE = (0.5, 2.0)
"""Range of another face's size relative to this one's: crops are stored alike, but faces fill them differently."""

# Range of the frames over which a drift is smooth: from jitter without memory to a slow slide.
_SMOOTHNESS = (0.3, 3.0)


class OtherFace(NamedTuple):
    """The clip of another person, shaped as the clip that it is blended into.

    `usable` tells which frames may serve: those of another person, without padding, with sane landmarks.
    """

    frames: Float[Array, "t h w 3"]
    landmarks: Float[Array, "t 81 2"]
    usable: Bool[Array, " t"]


class Alignment(NamedTuple):
    """Map from crop pixels of this clip to those of another, p -> scale * p + offset, for x and y of each frame."""

    scale: Float[Array, "t 2"]
    offset: Float[Array, "t 2"]


class Borrowed(NamedTuple):
    """The face of another clip, its alignment with this one, and the frames that use it."""

    face: OtherFace
    alignment: Alignment
    use: Bool[Array, " t"]


def borrow(
    draws: Draws,
    landmarks: Float[Array, "t 81 2"],
    usable: Bool[Array, " t"],
    other: OtherFace,
    recipe: SelfBlendRecipe,
) -> Borrowed:
    """Lay the face of another clip over finite `landmarks`, if drawn, in the frames where both faces are usable.

    Face X-ray (Li et al., CVPR 2020) blends the faces of two people; here the other face follows this one frame by
    frame.
    """
    use = usable & other.usable & (draws.other < recipe.other_face)
    others = jnp.where(use[:, None, None], other.landmarks, 0.0)
    alignment = align(landmarks, others, use)
    return Borrowed(other, Alignment(jnp.clip(alignment.scale, *OTHER_SCALE), alignment.offset), use)


def align(
    landmarks: Float[Array, "t 81 2"], other: Float[Array, "t 81 2"], use: Bool[Array, " t"]
) -> Alignment:
    """Fit an alignment of brows, nose, eyes and mouth by least squares; the identity where `use` is false.

    Landmarks are finite. Turned heads stay turned: a rotation is not separable, and faces in crops are nearly upright.
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


def drift(draws: Draws, motion: Motion, *, face_width: Float[Array, ""], recipe: SelfBlendRecipe) -> Motion:
    """Add a random path of place and size to the source's motion, as in forgeries made frame by frame.

    Yan et al., "Generalizing deepfake video detection with plug-and-play: video-level blending and spatiotemporal
    adapter tuning" (CVPR 2025), observe that forged features drift against the face that carries them, and blend real
    videos with such a drift to teach it.

    A path has a standard deviation within `recipe.drift` times the face's width, uniform in its logarithm, and a
    smoothness in time; both are drawn once a clip. A change of size moves the face's edge by as much as a shift does.

    Returns:
        A motion with an axis over frames.
    """
    low, high = recipe.drift
    strength = low * (high / low) ** draws.drift[0]
    shortest, longest = _SMOOTHNESS
    smoothness = shortest + (longest - shortest) * draws.drift[1]
    time = np.arange(draws.drift_noise.shape[0], dtype=np.float32)
    kernel = jnp.exp(-0.5 * jnp.square((time[:, None] - time) / smoothness))
    kernel = kernel / jnp.linalg.norm(kernel, axis=1, keepdims=True)
    path = strength * jnp.matmul(kernel, draws.drift_noise, precision="highest")
    return Motion(
        centre=motion.centre,
        scale=motion.scale * jnp.exp(path[:, 2:]),
        shift=motion.shift + face_width * path[:, :2],
    )


def forged_run(draws: Float[Array, "3"], frames: int, *, recipe: SelfBlendRecipe) -> Bool[Array, "{frames}"]:
    """Return which frames to forge: all or, with probability `recipe.segment`, one run of drawn length and place.

    Videos in which only a passage was manipulated look like the latter.
    """
    low, high = recipe.segment_share
    length = jnp.clip(jnp.round((low + draws[1] * (high - low)) * frames), 1, frames)
    start = jnp.floor(draws[2] * (frames - length + 1))
    place = jnp.arange(frames)
    return (draws[0] >= recipe.segment) | ((place >= start) & (place < start + length))
