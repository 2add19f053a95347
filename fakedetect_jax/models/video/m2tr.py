"""M2TR (Wang, Wu, Ouyang, Han, Chen, Jiang and Li, "M2TR: Multi-modal Multi-scale Transformers for Deepfake Detection",
ICMR 2022): an EfficientNet with transformer layers on picture and spectrum between its second and third stage.

The composition is that of the authors' code: EfficientNet-B4 on 320 px, four layers on the map of 80 x 80 places and
32 channels, mean over the last map, dropout and a linear layer. Theirs has a logit for each of two classes; here is
one, and no decoder of the mask. It is an image model: a clip scores the mean of its valid frames' logits.
"""

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import IMAGENET, Clip, fill_invalid, normalise
from fakedetect_jax.models.spatial.efficientnet import EfficientNet
from fakedetect_jax.models.temporal.options import DTYPES, check_known, check_positive, check_rate
from fakedetect_jax.models.video.clips import StepHead
from fakedetect_jax.models.video.m2tr_layers import CUTS, M2TRLayer

# Number of the stage of EfficientNet behind which the layers are, and the stride of its map.
STAGE, STRIDE = 1, 4


class M2TR(nn.Module):
    """Frames through an EfficientNet with transformer layers in it; any number of frames.

    The size of the frames given to `init`, a multiple of 32 (320 px in the paper), fixes that of the spectral weights.

    Attributes:
        variant: of `EfficientNet`; leave it None when `width` and `depth` are given.
        width, depth: of `EfficientNet`, instead of a variant.
        padding_size: of `EfficientNet`. The authors' weights began with those of efficientnet-pytorch, which pads
            as images of 380 px need it.
        layers: number of transformer layers.
        drop_path: stochastic depth of the EfficientNet.
        dropout: rate on the pooled features.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    variant: str | None = "b4"
    width: float | None = None
    depth: float | None = None
    padding_size: int | None = 380
    layers: int = 4
    drop_path: float = 0.2
    dropout: float = 0.5
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self._trunk(parent=None)  # raises here rather than at init when an option is wrong
        check_positive("M2TR", layers=self.layers)
        check_rate("M2TR", dropout=self.dropout)
        check_known("M2TR", "dtype", self.dtype, DTYPES)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips of RGB frames in [0, 1].

        Returns the clip logit [b] and {'frame_logit': [b, t], 'features': [b, d]}. A frame that is not valid has
        the logit of the nearest one that is, whose content it is given.
        """
        b, t, h, w, c = clip.frames.shape
        step = STRIDE * CUTS[-1]
        if h % step or w % step:
            raise FakedetectError(f"M2TR needs frames of a multiple of {step} px a side, got {(h, w)}")
        frames, valid = fill_invalid(clip)
        images = normalise(frames, IMAGENET).reshape((b * t, h, w, c))
        layers = [M2TRLayer(self.dtype, name=f"layer{index}") for index in range(self.layers)]

        def transform(x: Array) -> Array:
            for layer in layers:
                x = layer(x, train=train)
            return x

        features, _ = self._trunk(name="trunk")(images, train=train, behind={STAGE: transform})
        return StepHead(self.dropout, name="head")(features.reshape((b, t, -1)), valid, train=train)

    def _trunk(self, **names: Any) -> EfficientNet:
        return EfficientNet(
            self.variant,
            self.width,
            self.depth,
            drop_path=self.drop_path,
            padding_size=self.padding_size,
            dtype=self.dtype,
            **names,
        )
