"""Every random number of one clip, made in one go: each call of the generator costs seconds to compile."""

import math
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key

from fakedetect_jax.augment.elastic import KNOTS


class Draws(NamedTuple):
    """Uniform numbers in [0, 1) for each stage; `elastic` and `wander_noise` have mean 0 and variance 1."""

    view: Float[Array, "5"]
    change: Float[Array, "5"]
    change_colour: Float[Array, "11"]
    motion: Float[Array, "4"]
    mask: Float[Array, "7"]
    shared_colour: Float[Array, "11"]
    jpeg: Float[Array, "2"]
    elastic: Float[Array, "2 knots knots"]
    wander: Float[Array, "2"]
    wander_noise: Float[Array, "t 4"]
    segment: Float[Array, "3"]
    other: Float[Array, ""]


def draw(key: Key[Array, ""], frames: int) -> Draws:
    """The numbers of one clip of so many frames. They depend on the key alone, not on the recipe."""
    elastic = 45 + 2 * KNOTS * KNOTS
    noise = elastic + 2 + 4 * frames
    uniform = jax.random.uniform(key, (noise + 4,))
    return Draws(
        view=uniform[0:5],
        change=uniform[5:10],
        change_colour=uniform[10:21],
        motion=uniform[21:25],
        mask=uniform[25:32],
        shared_colour=uniform[32:43],
        jpeg=uniform[43:45],
        elastic=_standardised(uniform[45:elastic]).reshape(2, KNOTS, KNOTS),
        wander=uniform[elastic : elastic + 2],
        wander_noise=_standardised(uniform[elastic + 2 : noise]).reshape(frames, 4),
        segment=uniform[noise : noise + 3],
        other=uniform[noise + 3],
    )


def _standardised(uniform: Float[Array, " n"]) -> Float[Array, " n"]:
    return math.sqrt(12.0) * (uniform - 0.5)
