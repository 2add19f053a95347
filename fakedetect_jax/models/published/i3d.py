"""I3D (Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017):
Inception-v1 with every filter and pooling window inflated to three dimensions.

Layers are those of the published RGB network: TensorFlow's 'same' padding, neighbouring last steps averaged with stride
one, pixels in [-1, 1]. `inflation.inflate` turns image kernels into these.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import HALF, Clip, check_size, fill_invalid, normalise
from fakedetect_jax.models.layers import ConvNorm, max_pool, spatial_mean
from fakedetect_jax.models.options import check_dtype, check_rate
from fakedetect_jax.models.published.steps import StepHead

EPSILON, MOMENTUM = 1e-3, 0.99
SMALLEST = 16
# Channels of each inception module: 1x1; reduction and 3x3; reduction and 3x3; 1x1 behind the pooling.
MODULES: dict[str, tuple[int, int, int, int, int, int]] = {
    "mixed3b": (64, 96, 128, 16, 32, 32),
    "mixed3c": (128, 128, 192, 32, 96, 64),
    "mixed4b": (192, 96, 208, 16, 48, 64),
    "mixed4c": (160, 112, 224, 24, 64, 64),
    "mixed4d": (128, 128, 256, 24, 64, 64),
    "mixed4e": (112, 144, 288, 32, 64, 64),
    "mixed4f": (256, 160, 320, 32, 128, 128),
    "mixed5b": (256, 160, 320, 32, 128, 128),
    "mixed5c": (384, 192, 384, 48, 128, 128),
}
# Windows and strides of the poolings before some modules.
POOLINGS = {
    "mixed3b": ((1, 3, 3), (1, 2, 2)),
    "mixed4b": ((3, 3, 3), (2, 2, 2)),
    "mixed5b": ((2, 2, 2), (2, 2, 2)),
}


class Inception3D(nn.Module):
    """Four branches side by side: 1x1, 3x3, another 3x3 (Inception's 5x5) and pooling, all in three dimensions.

    Attributes:
        widths: a row of `MODULES`.
        dtype: compute dtype.
    """

    widths: tuple[int, int, int, int, int, int]
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], *, train: bool = False) -> Float[Array, "b t h w d"]:
        """Return the branches' channels one after another."""
        alone, reduce1, out1, reduce2, out2, pooled = self.widths
        conv = functools.partial(_conv, dtype=self.dtype, train=train)
        y1 = conv(x, reduce1, name="branch1_reduce")
        y2 = conv(x, reduce2, name="branch2_reduce")
        y3 = max_pool(x, (3, 3, 3), strides=(1, 1, 1), padding="SAME")
        branches = [
            conv(x, alone, name="branch0"),
            conv(y1, out1, 3, name="branch1"),
            conv(y2, out2, 3, name="branch2"),
            conv(y3, pooled, name="branch3"),
        ]
        return jnp.concatenate(branches, axis=-1)


class I3DTrunk(nn.Module):
    """Normalised clips to the map of the last inception module, at stride 8 in time and 32 in space.

    Attributes:
        width: factor on all widths; 1 is the published network.
        dtype: compute dtype.
    """

    width: float = 1.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w 3"], *, train: bool = False) -> Float[Array, "b s h_s w_s d"]:
        """Return the map in the compute dtype."""
        conv = functools.partial(_conv, dtype=self.dtype, train=train)
        x = conv(x.astype(self.dtype), self._scaled(64), 7, 2, name="conv1a")
        x = max_pool(x, (1, 3, 3), strides=(1, 2, 2), padding="SAME")
        x = conv(x, self._scaled(64), name="conv2b")
        x = conv(x, self._scaled(192), 3, name="conv2c")
        for name, widths in MODULES.items():
            if name in POOLINGS:
                window, strides = POOLINGS[name]
                x = max_pool(x, window, strides=strides, padding="SAME")
            scaled = tuple(self._scaled(width) for width in widths)
            x = Inception3D(scaled, self.dtype, name=name)(x, train=train)
        return x

    def _scaled(self, width: int) -> int:
        return max(round(width * self.width), 1)


class I3D(nn.Module):
    """I3D with one logit for each pair of neighbouring steps, and their mean for the clip.

    Clips may have any length (16 to 64 frames are usual) and frames any size of at least 16 px (224 in the paper): the
    map is averaged over the whole picture. Eight frames or fewer make a single step.

    Attributes:
        width: factor on all widths; 1 is the published network.
        dropout: rate before the linear head.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    width: float = 1.0
    dropout: float = 0.5
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.width <= 0:
            raise FakedetectError(f"I3D width={self.width!r} must be positive")
        check_rate("I3D", dropout=self.dropout)
        check_dtype("I3D", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32.

        Raises:
            FakedetectError: the frames are too small.
        """
        check_size("I3D", clip, SMALLEST)
        frames, valid = fill_invalid(clip)
        maps = I3DTrunk(self.width, self.dtype, name="trunk")(normalise(frames, HALF), train=train)
        steps = spatial_mean(maps)
        count = steps.shape[1]
        if count > 1:
            # Indexing would become a gather when the batch size is symbolic.
            first, second = (lax.slice_in_dim(steps, k, count - 1 + k, axis=1) for k in (0, 1))
            steps = (first + second) / 2
        return StepHead(self.dropout, name="head")(steps, valid, train=train)


def _conv(
    x: Array, width: int, kernel: int = 1, stride: int = 1, *, dtype: str, name: str, train: bool
) -> Array:
    """Apply convolution, batch norm and ReLU, as a submodule of the module whose compact method calls this."""
    conv = ConvNorm(
        width,
        kernel,
        stride,
        padding="SAME",
        epsilon=EPSILON,
        momentum=MOMENTUM,
        dtype=dtype,
        name=name,
    )
    return jax.nn.relu(conv(x, train=train))
