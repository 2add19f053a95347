"""Weights made for other inputs: another grid of positions, another number of input channels.

For kernels over time and for ViViT from an image ViT see `models.published.inflation`.
"""

import jax
import numpy as np
from jaxtyping import Float

from fakedetect_jax.weights.errors import WeightsError


def resize_positions(
    positions: Float[np.ndarray, "p d"],
    grid: tuple[int, int],
    *,
    image_grid: tuple[int, int],
    leading: int = 1,
) -> Float[np.ndarray, "q d"]:
    """Position embeddings of an image ViT on another grid of patches, by cubic interpolation.

    `positions` are those of `leading` tokens without a place (the class token), which stay, and then of the patches by
    the rows of `image_grid`.
    """
    count, dim = positions.shape
    if count != leading + image_grid[0] * image_grid[1]:
        raise WeightsError(
            f"{count} positions are not those of {leading} leading tokens and image_grid={image_grid}; "
            "give the grid that the weights were made for"
        )
    if tuple(grid) == tuple(image_grid):
        return positions
    places = positions[leading:].reshape((*image_grid, dim)).astype(np.float32)
    resized = jax.image.resize(places, (*grid, dim), "cubic")
    return np.concatenate([positions[:leading], np.asarray(resized).reshape((-1, dim))])


def adapt_first_convolution(
    kernel: Float[np.ndarray, "*window c o"], channels: int
) -> Float[np.ndarray, "..."]:
    """A first convolution's kernel for images of another number of channels.

    The channels' kernels are repeated in turn and scaled, so that what comes out stays of one size: images whose
    channels are the old ones n times over give just what the old ones gave. For a single channel they are summed: a
    grey image gives what it gave in colour.
    """
    before = kernel.shape[-2]
    if channels < 1:
        raise WeightsError(f"channels={channels!r} must be at least 1")
    if channels == before:
        return kernel
    if channels == 1:
        return kernel.sum(axis=-2, keepdims=True)
    repeated = np.take(kernel, np.arange(channels) % before, axis=-2)
    return (repeated * (before / channels)).astype(kernel.dtype)


def to_channels_of(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`adapt_first_convolution` as a layout of `naming.Naming.with_layout`."""
    return adapt_first_convolution(kernel, shape[-2])
