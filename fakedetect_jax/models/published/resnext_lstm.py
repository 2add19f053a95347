"""ResNeXt-50 (32x4d) on each frame and an LSTM over the frames: the deepfake detector that most tutorials build.

Features of a ResNeXt (Xie et al., CVPR 2017) go through an LSTM of 2048 (Hochreiter and Schmidhuber, 1997), and a
linear layer scores the mean of its outputs. Sizes are those of the widely copied code. There the LSTM runs over the
batch instead of over time, so that the score of a clip depends on its neighbours; it lacks biases, and dropout acts on
the logits. Here the LSTM runs over time and has biases, and dropout acts on its outputs.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from fakedetect_jax.models.clip import IMAGENET, Clip, fill_invalid, normalise
from fakedetect_jax.models.options import check_dtype, check_positive, check_rate
from fakedetect_jax.models.published.steps import StepHead
from fakedetect_jax.models.spatial.resnet import ResNet
from fakedetect_jax.models.temporal.recurrent import RecurrentPass


class ResNeXtLSTM(nn.Module):
    """Frames through a ResNeXt, its pooled features through an LSTM; a clip scores the mean of its frames' logits.

    Clips may have any length and frames any size (112 px are usual). A frame's logit depends on the frames before it.
    Invalid frames leave the state of the LSTM as it is.

    Attributes:
        variant: option of `ResNet`; leave it None when `depths` is given.
        depths, groups, group_width, stem: options of `ResNet`, instead of a variant.
        dim: width of the LSTM.
        dropout: rate on its outputs.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    variant: str | None = "resnext50_32x4d"
    depths: Sequence[int] | None = None
    groups: int | None = None
    group_width: int | None = None
    stem: int = 64
    dim: int = 2048
    dropout: float = 0.4
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._trunk(parent=None)  # checks its options
        check_positive("ResNeXtLSTM", dim=self.dim)
        check_rate("ResNeXtLSTM", dropout=self.dropout)
        check_dtype("ResNeXtLSTM", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32."""
        b, t, h, w, c = clip.frames.shape
        frames, valid = fill_invalid(clip)
        images = normalise(frames, IMAGENET).reshape((b * t, h, w, c))
        features, _ = self._trunk(name="trunk")(images, train=train)
        lstm = RecurrentPass("lstm", self.dim, dtype=self.dtype, name="lstm")
        outputs, _ = lstm(features.reshape((b, t, -1)), valid)
        return StepHead(self.dropout, name="head")(outputs, valid, train=train)

    def _trunk(self, **names: Any) -> ResNet:
        return ResNet(
            self.variant,
            self.depths,
            self.groups,
            self.group_width,
            self.stem,
            dtype=self.dtype,
            **names,
        )
