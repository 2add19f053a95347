"""Which frames of a clip are forged: all, or one run of them, as in a video of which only a passage was manipulated."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.augment.recipe import SelfBlendRecipe


def forged_run(draws: Float[Array, "3"], frames: int, *, recipe: SelfBlendRecipe) -> Bool[Array, " frames"]:
    """True for the frames to forge: with probability `recipe.segment` a run of a drawn length at a drawn place."""
    low, high = recipe.segment_share
    length = jnp.clip(jnp.round((low + draws[1] * (high - low)) * frames), 1, frames)
    start = jnp.floor(draws[2] * (frames - length + 1))
    place = jnp.arange(frames)
    return (draws[0] >= recipe.segment) | ((place >= start) & (place < start + length))
