"""Parts that join the frames of a clip.

Every part is called as `part(features, valid, *, maps=None, timestamps=None, train=False)`:

- `features` [b, t, d] are those of the frames, `valid` [b, t] tells which frames count.
- `maps` [b, t, h, w, c] are the last maps of the frames, `timestamps` [b, t] their times in seconds. Parts ignore what
  they do not need and refuse a call without what they need.

It returns the clip feature [b, dim] in float32, which invalid frames never change.
"""

import flax.linen as nn

from fakedetect_jax.models.temporal.convolution import TemporalConvolution
from fakedetect_jax.models.temporal.factorised import FactorisedEncoder
from fakedetect_jax.models.temporal.pooling import Max, Mean
from fakedetect_jax.models.temporal.recurrent import GRU, LSTM
from fakedetect_jax.models.temporal.transformer import TemporalTransformer

# name: the part
TEMPORAL: dict[str, type[nn.Module]] = {
    "mean": Mean,
    "max": Max,
    "lstm": LSTM,
    "gru": GRU,
    "conv": TemporalConvolution,
    "transformer": TemporalTransformer,
    "factorised": FactorisedEncoder,
}
