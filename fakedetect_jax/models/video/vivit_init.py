"""Initial values for ViViT from an image ViT (Arnab et al., ICCV 2021, section 3.4). Plain numpy arrays in and out.

The blocks of an image ViT fit as they are: all of the spacetime and the factorised dot-product model, the spatial ones
of the factorised encoder, and the spatial attention and MLP of the factorised self-attention.
"""

import jax
import numpy as np
from jaxtyping import Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.temporal.options import check_known
from fakedetect_jax.models.video.vivit_encoders import ENCODERS


def tubelet_kernel(
    patch: Float[np.ndarray, "p q c d"], frames: int, *, how: str = "central"
) -> Float[np.ndarray, "frames p q c d"]:
    """Kernel of the tubelet embedding from that of an image ViT's patches.

    'central' looks at frame frames // 2 of a tubelet alone, as the image model would; 'average' at the mean of all of
    them, the inflation of Carreira and Zisserman (CVPR 2017).
    """
    check_known("tubelet_kernel", "how", how, ("central", "average"))
    weights = np.full(frames, 1 / frames) if how == "average" else np.eye(frames)[frames // 2]
    return (weights.reshape((-1, 1, 1, 1, 1)) * np.asarray(patch)[None]).astype(np.float32)


def clip_positions(
    positions: Float[np.ndarray, "1+s d"],
    attention: str,
    *,
    steps: int,
    grid: tuple[int, int],
    image_grid: tuple[int, int],
) -> Float[np.ndarray, "..."]:
    """Positions in the shape in which the encoder of that name keeps them (of the factorised one: its spatial part).

    `positions` are an image ViT's, the class token's first, the others by the rows of `image_grid`. They are
    interpolated to `grid` and repeated for every step. Models without a class token get none.
    """
    check_known("clip_positions", "attention", attention, ENCODERS)
    places = image_grid[0] * image_grid[1]
    if positions.ndim != 2 or len(positions) != 1 + places:
        raise FakedetectError(
            f"positions of shape {positions.shape} are not those of a class token and an image_grid of {image_grid}"
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
