"""Weights of image models as weights of video models, as numpy arrays.

Kernels: Carreira and Zisserman, CVPR 2017 ('repeat'), and Arnab et al., "ViViT: A Video Vision Transformer", ICCV 2021
('centre'). Positions: ViViT, section 3.4. The blocks of an image ViT fit as they are: all blocks of the spacetime and
the factorised dot-product model, the spatial ones of the factorised encoder, and the spatial attention and MLP of the
factorised self-attention.
"""

import jax
import numpy as np
from jaxtyping import Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.options import check_known, check_positive
from fakedetect_jax.models.published.vivit_encoders import ENCODERS


def inflate(
    kernel: Float[np.ndarray, "h w i o"], frames: int, *, how: str = "repeat"
) -> Float[np.ndarray, "{frames} h w i o"]:
    """Give an image convolution's kernel `frames` taps in time.

    A clip of one repeated image then gets what the image would get, except near zero padding at the ends of the clip.

    Args:
        kernel: of an image convolution, or of an image ViT's patches.
        frames: number of taps.
        how: 'repeat' divides the kernel among the taps, which blurs motion. 'centre' puts it on the tap at frames // 2
            and leaves the others zero, so that each frame of any clip is treated as an image until training changes it.
    """
    check_positive("inflate", frames=frames)
    check_known("inflate", ("repeat", "centre"), how=how)
    if how == "repeat":
        return np.repeat(kernel[None] / frames, frames, axis=0)
    inflated = np.zeros((frames, *kernel.shape), kernel.dtype)
    inflated[frames // 2] = kernel
    return inflated


def clip_positions(
    positions: Float[np.ndarray, "places d"],
    attention: str,
    *,
    steps: int,
    grid: tuple[int, int],
    image_grid: tuple[int, int],
) -> Float[np.ndarray, "... d"]:
    """Return an image ViT's positions in the shape that the encoder of a ViViT keeps.

    Args:
        positions: the class token's, then those of the places, by the rows of `image_grid`.
        attention: name of the encoder. The factorised one keeps the positions in its spatial part; encoders without a
            class token have none for it.
        steps: number of time steps; positions are repeated for each.
        grid: rows and columns of the ViViT's places, to which positions are interpolated.
        image_grid: rows and columns of the image ViT's places.
    """
    check_known("clip_positions", ENCODERS, attention=attention)
    places = image_grid[0] * image_grid[1]
    if positions.ndim != 2 or len(positions) != 1 + places:
        raise FakedetectError(
            f"positions of shape {positions.shape} do not fit a class token and an image_grid of {image_grid}"
        )
    dim = positions.shape[1]
    first, rest = np.asarray(positions[:1]), np.asarray(positions[1:])
    if tuple(grid) != tuple(image_grid):
        rest = jax.image.resize(rest.reshape((*image_grid, dim)), (*grid, dim), "linear", antialias=False)
        rest = np.asarray(rest).reshape((-1, dim))
    if attention == "factorised_encoder":
        return np.concatenate([first, rest])
    repeated = np.repeat(rest[None], steps, axis=0)
    if attention == "spacetime":
        return np.concatenate([first, repeated.reshape((-1, dim))])
    return repeated
