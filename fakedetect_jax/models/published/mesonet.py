"""Meso4 and MesoInception4 (Afchar, Nozick, Yamagishi and Echizen, "MesoNet: a Compact Facial Video Forgery Detection
Network", WIFS 2018).

Layers are those of the authors' Keras classifiers: batch norm behind the ReLU, Keras' epsilon and momentum, the map
flattened as height, width, channels. Pixels enter as they are, in [0, 1]. A frame is scored alone, and a clip scores
the mean of its valid frames' logits.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.models.clip import Clip, check_size, fill_invalid
from fakedetect_jax.models.layers import max_pool
from fakedetect_jax.models.options import check_dtype, check_rate
from fakedetect_jax.models.published.steps import StepHead

EPSILON, MOMENTUM = 1e-3, 0.99
# Channels of the four branches in MesoInception4's two inception modules.
INCEPTIONS = ((1, 4, 4, 2), (2, 4, 4, 2))
HIDDEN = 16
LEAK = 0.1
POOLED = 32

_glorot = nn.initializers.glorot_uniform()


class DilatedInception(nn.Module):
    """A 1x1 convolution beside three that continue with a 3x3 of dilation 1, 2 and 3; a ReLU behind each."""

    widths: tuple[int, int, int, int]
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w d"]:
        """Return the branches side by side."""
        branches = []
        for index, width in enumerate(self.widths):
            y = _conv(width, 1, self.dtype, f"branch{index}_reduce" if index else "branch0")(x)
            if index:
                y = _conv(width, 3, self.dtype, f"branch{index}", dilation=index)(jax.nn.relu(y))
            branches.append(jax.nn.relu(y))
        return jnp.concatenate(branches, axis=-1)


class Meso4(nn.Module):
    """Four convolutions, each with batch norm and pooling, and two dense layers on the flattened map.

    The size of the frames given to `init` (256 px in the paper) fixes the size of the first dense layer.

    Attributes:
        dropout: rate before each dense layer.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    dropout: float = 0.5
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_rate(type(self).__name__, dropout=self.dropout)
        check_dtype(type(self).__name__, dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32.

        Raises:
            FakedetectError: the frames are too small.
        """
        check_size(type(self).__name__, clip, POOLED)
        b, t, h, w, c = clip.frames.shape
        frames, valid = fill_invalid(clip)
        x = self.convolve(frames.reshape((b * t, h, w, c)).astype(self.dtype), train=train)
        x = x.reshape((b, t, -1))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = nn.Dense(HIDDEN, kernel_init=_glorot, dtype=self.dtype, name="hidden")(x)
        x = jax.nn.leaky_relu(x, LEAK)
        return StepHead(self.dropout, name="head")(x, valid, train=train)

    def convolve(self, x: Float[Array, "n h w 3"], *, train: bool) -> Float[Array, "n h_s w_s 16"]:
        """Return the map at stride 32."""
        for index, (width, side, window) in enumerate(((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4))):
            x = jax.nn.relu(_conv(width, side, self.dtype, f"conv{index}")(x))
            x = _norm_and_pool(x, window, self.dtype, f"norm{index}", train=train)
        return x


class MesoInception4(Meso4):
    """Meso4 whose first two convolutions are inception modules with dilated branches."""

    def convolve(self, x: Float[Array, "n h w 3"], *, train: bool) -> Float[Array, "n h_s w_s 16"]:
        """Return the map at stride 32."""
        for index, window in enumerate((2, 2, 2, 4)):
            if index < len(INCEPTIONS):
                x = DilatedInception(INCEPTIONS[index], self.dtype, name=f"inception{index}")(x)
            else:
                x = jax.nn.relu(_conv(16, 5, self.dtype, f"conv{index}")(x))
            x = _norm_and_pool(x, window, self.dtype, f"norm{index}", train=train)
        return x


def _conv(width: int, side: int, dtype: str, name: str, dilation: int = 1) -> nn.Conv:
    return nn.Conv(width, (side, side), kernel_dilation=dilation, kernel_init=_glorot, dtype=dtype, name=name)


def _norm_and_pool(x: Array, window: int, dtype: str, name: str, *, train: bool) -> Array:
    x = nn.BatchNorm(
        use_running_average=not train, epsilon=EPSILON, momentum=MOMENTUM, dtype=dtype, name=name
    )(x)
    return max_pool(x, (window, window), padding="SAME")
