"""Image kernels as kernels over time too (Carreira and Zisserman, CVPR 2017; 'centre': Arnab et al., "ViViT: A Video
Vision Transformer", ICCV 2021).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError

HOWS = ("repeat", "centre")


def inflate(
    kernel: Float[Array, "h w i o"], frames: int, *, how: str = "repeat"
) -> Float[Array, "t h w i o"]:
    """Give an image convolution's kernel `frames` taps in time.

    Either way a clip of one repeated image gets, away from the zero padding at its ends, what the image would get.

    - 'repeat': every tap is the kernel over `frames`. Motion is blurred.
    - 'centre': the tap at frames // 2 is the kernel and the others are zero. Each frame of any clip is treated as
      an image until training says otherwise.
    """
    if frames < 1:
        raise FakedetectError(f"frames={frames!r} must be at least 1")
    if how not in HOWS:
        raise FakedetectError(f"how={how!r} is not known; use one of {', '.join(HOWS)}")
    if how == "repeat":
        return jnp.repeat(kernel[None] / frames, frames, axis=0)
    after = frames - 1 - frames // 2
    return jnp.pad(kernel[None], ((frames // 2, after), (0, 0), (0, 0), (0, 0), (0, 0)))
