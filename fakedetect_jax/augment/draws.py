"""Every random number of one clip, made in one go: each call of the generator costs seconds to compile."""

import math
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Key

from fakedetect_jax.augment.elastic import KNOTS


class Draws(NamedTuple):
    """Uniform numbers in [0, 1) for each stage; those of `elastic` have mean 0 and variance 1."""

    view: Float[Array, "5"]
    change: Float[Array, "5"]
    change_colour: Float[Array, "11"]
    motion: Float[Array, "4"]
    mask: Float[Array, "7"]
    shared_colour: Float[Array, "11"]
    jpeg: Float[Array, "2"]
    elastic: Float[Array, "2 knots knots"]


def draw(key: Key[Array, ""]) -> Draws:
    """The numbers of one clip. They depend on the key alone, not on the recipe."""
    uniform = jax.random.uniform(key, (45 + 2 * KNOTS * KNOTS,))
    return Draws(
        view=uniform[0:5],
        change=uniform[5:10],
        change_colour=uniform[10:21],
        motion=uniform[21:25],
        mask=uniform[25:32],
        shared_colour=uniform[32:43],
        jpeg=uniform[43:45],
        elastic=math.sqrt(12.0) * (uniform[45:].reshape(2, KNOTS, KNOTS) - 0.5),
    )
