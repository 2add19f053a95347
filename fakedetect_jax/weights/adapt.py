"""Weights adapted to other inputs: another grid of positions, another number of input channels.

For kernels over time, and for ViViT from an image ViT, see `models.published.inflation`.
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
    """Resize an image ViT's position embeddings to another grid of patches, by cubic interpolation.

    Args:
        positions: embeddings of `leading` tokens, then of the patches in row order of `image_grid`.
        grid: rows and columns of patches to resize to.
        image_grid: rows and columns of patches that the weights were made for.
        leading: number of tokens without a place (the class token), whose embeddings stay.

    Returns:
        The embeddings of the leading tokens and the patches of `grid`.

    Raises:
        WeightsError: the number of positions does not match `leading` and `image_grid`.
    """
    count, dim = positions.shape
    if count != leading + image_grid[0] * image_grid[1]:
        raise WeightsError(
            f"{count} positions do not match {leading} leading tokens and image_grid={image_grid}; "
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
    """Adapt a first convolution's kernel to images with another number of channels.

    The channels' kernels are repeated in turn and scaled to keep the output's magnitude: images that repeat the old
    channels n times give exactly the old output. For a single channel they are summed: a grey image gives what it
    gave in colour. Raise WeightsError for fewer than one channel.
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
    """Apply `adapt_first_convolution` as a layout for `naming.Naming.with_layout`."""
    return adapt_first_convolution(kernel, shape[-2])
