"""I3D (Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017):
Inception-v1 with every filter and pooling window inflated to three dimensions.

Layers are those of the RGB network as published: 'same' padding as TensorFlow pads, the last two steps averaged with
stride one, pixels in [-1, 1]. `inflation.inflate` turns image kernels into these.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import HALF, Clip, fill_invalid, normalise
from fakedetect_jax.models.temporal.options import DTYPES, check_known, check_rate
from fakedetect_jax.models.video.clips import StepHead, check_size
from fakedetect_jax.models.video.conv3d import ConvNorm, spatial_mean
from fakedetect_jax.models.video.max_pool import max_pool

EPSILON, MOMENTUM = 1e-3, 0.99
SMALLEST = 16
# Channels of an inception module: 1x1; reduction and 3x3; reduction and 3x3; 1x1 behind the pooling.
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
# Poolings before a module: window and stride.
POOLINGS = {
    "mixed3b": ((1, 3, 3), (1, 2, 2)),
    "mixed4b": ((3, 3, 3), (2, 2, 2)),
    "mixed5b": ((2, 2, 2), (2, 2, 2)),
}


class Inception3D(nn.Module):
    """Four branches side by side: 1x1, 3x3, another 3x3 (Inception's 5x5) and pooling, all in three dimensions."""

    widths: tuple[int, int, int, int, int, int]
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], *, train: bool = False) -> Float[Array, "b t h w d"]:
        """Return the branches' channels one after another."""
        alone, reduce1, out1, reduce2, out2, pooled = self.widths
        y1 = self._conv(reduce1, 1, "branch1_reduce")(x, train=train)
        y2 = self._conv(reduce2, 1, "branch2_reduce")(x, train=train)
        y3 = max_pool(x, (3, 3, 3), strides=(1, 1, 1), padding="SAME")
        branches = [
            self._conv(alone, 1, "branch0")(x, train=train),
            self._conv(out1, 3, "branch1")(y1, train=train),
            self._conv(out2, 3, "branch2")(y2, train=train),
            self._conv(pooled, 1, "branch3")(y3, train=train),
        ]
        return jnp.concatenate(branches, axis=-1)

    def _conv(self, width: int, side: int, name: str) -> ConvNorm:
        return _conv(width, (side, side, side), (1, 1, 1), self.dtype, name)


class I3DTrunk(nn.Module):
    """Normalised clips to the last inception module's map, at stride 8 in time and 32 in space.

    Attributes:
        width: factor on all widths; 1 is the published network.
        dtype: compute dtype.
    """

    width: float = 1.0
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w 3"], *, train: bool = False) -> Float[Array, "b s h_s w_s d"]:
        """Return the map in the compute dtype."""
        x = x.astype(self.dtype)
        x = _conv(self._scaled(64), (7, 7, 7), (2, 2, 2), self.dtype, "conv1a")(x, train=train)
        x = max_pool(x, (1, 3, 3), strides=(1, 2, 2), padding="SAME")
        x = _conv(self._scaled(64), (1, 1, 1), (1, 1, 1), self.dtype, "conv2b")(x, train=train)
        x = _conv(self._scaled(192), (3, 3, 3), (1, 1, 1), self.dtype, "conv2c")(x, train=train)
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

    Any number of frames (16 to 64 are usual) and any size of at least 16 px (224 in the paper): the map is
    averaged over the whole picture. Eight frames or fewer make a single step.

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
        check_known("I3D", "dtype", self.dtype, DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips of RGB frames in [0, 1].

        Returns the clip logit [b] and {'frame_logit': [b, t], 'features': [b, d]}; a frame has the logit of its
        share of the clip. Frames that are not valid are replaced by the nearest one that is.
        """
        check_size("I3D", clip.frames, SMALLEST)
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
    width: int, kernel: tuple[int, int, int], strides: tuple[int, int, int], dtype: str, name: str
) -> ConvNorm:
    return ConvNorm(
        width,
        kernel,
        strides,
        padding="SAME",
        epsilon=EPSILON,
        momentum=MOMENTUM,
        dtype=dtype,
        name=name,
    )
