"""Ways to join what was found in the frames of a clip.

Every part is called as `part(features [b, t, d], valid [b, t], *, maps=None, timestamps=None, train=False)` and returns
the clip feature [b, dim] in float32, which frames that are not valid never change. A part that needs the last maps
[b, t, h, w, c] or the timestamps [b, t] says so; the others take and ignore them.
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
