"""C3D (Tran, Bourdev, Fergus, Torresani and Paluri, "Learning Spatiotemporal Features with 3D Convolutional Networks",
ICCV 2015): windows of 16 frames through eight 3x3x3 convolutions and two dense layers.

Layers are those of the published network; pool5 is padded in space by one on both sides (7 -> 4 at 112 px).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.models.clip import Clip, Statistics, check_size, fill_invalid, normalise
from fakedetect_jax.models.layers import max_pool
from fakedetect_jax.models.options import check_dtype, check_positive, check_rate, check_widths
from fakedetect_jax.models.published.steps import StepHead

WINDOW = 16
SMALLEST = 16
# The mean colour of the published networks, which see differences in levels of 0 to 255: to use such weights, multiply
# the first kernel by 255 / 4. A quarter is about the deviation, so no layer starts too big.
COLOURS: Statistics = ((102 / 255, 98 / 255, 90 / 255), (0.25, 0.25, 0.25))
# Convolutions of each stage, and the window of the pooling behind them.
STAGES = ((1, (1, 2, 2)), (1, (2, 2, 2)), (2, (2, 2, 2)), (2, (2, 2, 2)), (2, (2, 2, 2)))

# There is no norm to keep the size of the signal.
_he_normal = nn.initializers.he_normal()


class C3DTrunk(nn.Module):
    """Windows of 16 normalised frames to features.

    Attributes:
        widths: channels of the five stages.
        hidden: width of the two dense layers.
        dropout: rate behind the first dense layer.
        dtype: compute dtype.
    """

    widths: Sequence[int] = (64, 128, 256, 512, 512)
    hidden: int = 4096
    dropout: float = 0.5
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n t h w c"], *, train: bool = False) -> Float[Array, "n hidden"]:
        """Return the output of the second dense layer, after its ReLU, in float32."""
        x = x.astype(self.dtype)
        for stage, ((convs, window), width) in enumerate(zip(STAGES, self.widths, strict=True), start=1):
            for letter in "ab"[:convs]:
                conv = nn.Conv(
                    width, (3, 3, 3), kernel_init=_he_normal, dtype=self.dtype, name=f"conv{stage}{letter}"
                )
                x = jax.nn.relu(conv(x))
            x = max_pool(x, window, padding=(0, 1, 1) if stage == len(STAGES) else None)
        x = x.reshape((x.shape[0], -1))
        for name in ("fc6", "fc7"):
            x = jax.nn.relu(nn.Dense(self.hidden, kernel_init=_he_normal, dtype=self.dtype, name=name)(x))
            if name == "fc6":
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return x.astype(jnp.float32)


class C3D(nn.Module):
    """C3D on successive windows of 16 frames; a clip scores the mean over its windows with a valid frame.

    A clip whose length is not a multiple of 16 is continued with its last valid frame. The size of the frames given to
    `init` (112 px in the paper) fixes the size of the first dense layer.

    Attributes:
        widths, hidden: options of `C3DTrunk`.
        dropout: rate behind each dense layer.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    widths: Sequence[int] = (64, 128, 256, 512, 512)
    hidden: int = 4096
    dropout: float = 0.5
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_widths("C3D", len(STAGES), widths=self.widths)
        check_positive("C3D", hidden=self.hidden)
        check_rate("C3D", dropout=self.dropout)
        check_dtype("C3D", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32.

        Raises:
            FakedetectError: the frames are too small.
        """
        check_size("C3D", clip, SMALLEST)
        b, t, h, w, c = clip.frames.shape
        missing = -t % WINDOW
        if missing:
            valid = jnp.pad(clip.mask, ((0, 0), (0, missing)))
            frames = jnp.pad(clip.frames, ((0, 0), (0, missing), (0, 0), (0, 0), (0, 0)))
            clip = Clip(frames, valid=valid)
        frames, valid = fill_invalid(clip)
        count = (t + missing) // WINDOW
        windows = normalise(frames, COLOURS).reshape((b * count, WINDOW, h, w, c))
        trunk = C3DTrunk(self.widths, self.hidden, self.dropout, self.dtype, name="trunk")
        steps = trunk(windows, train=train).reshape((b, count, self.hidden))
        logit, out = StepHead(self.dropout, name="head")(steps, valid, train=train)
        return logit, out | {"frame_logit": lax.slice_in_dim(out["frame_logit"], 0, t, axis=1)}
