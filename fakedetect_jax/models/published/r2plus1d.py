"""R(2+1)D (Tran, Wang, Torresani, Ray, LeCun and Paluri, "A Closer Look at Spatiotemporal Convolutions for Action
Recognition", CVPR 2018): a residual network whose 3-D convolutions are a spatial one, then a temporal one.

Layers are those of torchvision's `r2plus1d_18`. There the input of a block fixes the channels between space and time of
both its convolutions. In the paper, and in the published weights of 34 layers, each convolution has its own number, so
that it has as many parameters as the full 3-D convolution: `middle='conv'`.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from fakedetect_jax.models.clip import KINETICS, Clip, fill_invalid, normalise
from fakedetect_jax.models.layers import ConvNorm, spatial_mean
from fakedetect_jax.models.options import check_dtype, check_known, check_positive, check_rate, check_widths
from fakedetect_jax.models.published.steps import StepHead

# layers: blocks per stage
DEPTHS: dict[int, tuple[int, int, int, int]] = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
MIDDLES = ("block", "conv")


def middle_width(inputs: int, outputs: int) -> int:
    """Return the channels between space and time that give as many parameters as a full 3x3x3 convolution."""
    return (27 * inputs * outputs) // (9 * inputs + 3 * outputs)


class FactorisedConv(nn.Module):
    """A 3x3 convolution over space, batch norm, ReLU, then three taps over time and batch norm.

    Attributes:
        features: output channels.
        middle: channels between space and time.
        time_stride, space_stride: steps of the two convolutions.
        dtype: compute dtype.
    """

    features: int
    middle: int
    time_stride: int = 1
    space_stride: int = 1
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], *, train: bool = False) -> Float[Array, "b s h_s w_s d"]:
        """Return the map in the compute dtype."""
        stride = (1, self.space_stride, self.space_stride)
        space = ConvNorm(self.middle, (1, 3, 3), stride, dtype=self.dtype, name="space")
        x = jax.nn.relu(space(x, train=train))
        time = ConvNorm(self.features, (3, 1, 1), (self.time_stride, 1, 1), dtype=self.dtype, name="time")
        return time(x, train=train)


class FactorisedBlock(nn.Module):
    """Two factorised convolutions added to their input, which is projected where its shape changes.

    Attributes:
        features: output channels.
        time_stride, space_stride: steps of the first convolution.
        middle: 'block' or 'conv', as in `R2Plus1DTrunk`.
        dtype: compute dtype.
    """

    features: int
    time_stride: int = 1
    space_stride: int = 1
    middle: str = "block"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w c"], *, train: bool = False) -> Float[Array, "b s h_s w_s d"]:
        """Return the map in the compute dtype."""
        inputs, outputs = x.shape[-1], self.features
        first = middle_width(inputs, outputs)
        second = middle_width(outputs, outputs) if self.middle == "conv" else first
        y = FactorisedConv(
            outputs, first, self.time_stride, self.space_stride, dtype=self.dtype, name="conv0"
        )(x, train=train)
        y = jax.nn.relu(y)
        y = FactorisedConv(outputs, second, dtype=self.dtype, name="conv1")(y, train=train)
        stride = (self.time_stride, self.space_stride, self.space_stride)
        if inputs != outputs or max(stride) > 1:
            shortcut = ConvNorm(outputs, stride=stride, dtype=self.dtype, name="shortcut")
            x = shortcut(x, train=train)
        return jax.nn.relu(x + y)


class R2Plus1DTrunk(nn.Module):
    """Normalised clips to the map of the last stage, at stride 16 in space and the product of `time_strides` in time.

    Attributes:
        layers: 10, 18 or 34, a key of `DEPTHS`.
        width: channels of the first stage; each later one has twice as many.
        middle: 'block' (torchvision) or 'conv' (the paper); see the module's docstring.
        time_strides: of the four stages.
        dtype: compute dtype.
    """

    layers: int = 18
    width: int = 64
    middle: str = "block"
    time_strides: Sequence[int] = (1, 2, 2, 2)
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_known("R(2+1)D", DEPTHS, layers=self.layers)
        check_positive("R(2+1)D", width=self.width)
        check_known("R(2+1)D", MIDDLES, middle=self.middle)
        check_widths("R(2+1)D", len(DEPTHS[self.layers]), time_strides=self.time_strides)
        check_dtype("R(2+1)D", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "b t h w 3"], *, train: bool = False) -> Float[Array, "b s h_s w_s d"]:
        """Return the map in the compute dtype."""
        # The published stem has 45 channels before 64.
        stem = max(self.width * 45 // 64, 1)
        space = ConvNorm(stem, (1, 7, 7), (1, 2, 2), dtype=self.dtype, pixels=True, name="stem_space")
        x = jax.nn.relu(space(x, train=train))
        time = ConvNorm(self.width, (3, 1, 1), dtype=self.dtype, name="stem_time")
        x = jax.nn.relu(time(x, train=train))
        for stage, depth in enumerate(DEPTHS[self.layers]):
            for index in range(depth):
                first = index == 0
                block = FactorisedBlock(
                    self.width * 2**stage,
                    self.time_strides[stage] if first else 1,
                    2 if first and stage else 1,
                    self.middle,
                    self.dtype,
                    name=f"stage{stage}_block{index}",
                )
                x = block(x, train=train)
        return x


class R2Plus1D(nn.Module):
    """R(2+1)D with a linear head on each step in time; a clip scores the mean over its steps.

    Clips may have any length and frames any size.

    Attributes:
        layers, width, middle, time_strides: options of `R2Plus1DTrunk`.
        dropout: rate before the linear head.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    layers: int = 18
    width: int = 64
    middle: str = "block"
    time_strides: Sequence[int] = (1, 2, 2, 2)
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._trunk(parent=None)  # checks its options
        check_rate("R(2+1)D", dropout=self.dropout)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32."""
        frames, valid = fill_invalid(clip)
        steps = spatial_mean(self._trunk(name="trunk")(normalise(frames, KINETICS), train=train))
        return StepHead(self.dropout, name="head")(steps, valid, train=train)

    def _trunk(self, **names: object) -> R2Plus1DTrunk:
        return R2Plus1DTrunk(self.layers, self.width, self.middle, self.time_strides, self.dtype, **names)
