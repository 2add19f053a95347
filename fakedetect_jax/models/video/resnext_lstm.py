"""ResNeXt-50 (32x4d) on each frame and an LSTM over the frames: the deepfake detector that most tutorials build.

Features of a ResNeXt (Xie et al., CVPR 2017) through an LSTM of 2048 (Hochreiter and Schmidhuber, 1997), a linear layer
on the mean of its outputs. In the widely copied code the LSTM runs over the batch instead of over time, which makes the
score of a clip depend on its neighbours, lacks its biases, and dropout acts on the logits; here it runs over time, has
them, and dropout acts on the outputs. Sizes are the same.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from fakedetect_jax.models.clip import IMAGENET, Clip, fill_invalid, normalise
from fakedetect_jax.models.spatial.resnet import ResNet
from fakedetect_jax.models.temporal.options import DTYPES, check_known, check_positive, check_rate
from fakedetect_jax.models.temporal.recurrent import RecurrentPass
from fakedetect_jax.models.video.clips import StepHead


class ResNeXtLSTM(nn.Module):
    """Frames through a ResNeXt, its pooled features through an LSTM; a clip scores the mean of its frames' logits.

    Any number of frames and any size (112 px are usual).

    Attributes:
        variant: of `ResNet`; leave it None when `depths` is given.
        depths, groups, group_width, stem: of `ResNet`, instead of a variant.
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
        self._trunk(parent=None)  # raises here rather than at init when an option is wrong
        check_positive("ResNeXtLSTM", dim=self.dim)
        check_rate("ResNeXtLSTM", dropout=self.dropout)
        check_known("ResNeXtLSTM", "dtype", self.dtype, DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips of RGB frames in [0, 1].

        Returns the clip logit [b] and {'frame_logit': [b, t], 'features': [b, dim]}; a frame's logit knows those
        before it. Frames that are not valid leave the LSTM as it is, and the batch norms see the nearest valid one in
        their place.
        """
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
