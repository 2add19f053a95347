"""A 3-D convolutional network with a recurrent network or a transformer over its steps in time.

The network is R(2+1)D (Tran et al., CVPR 2018) without strides in time, so that each frame stays a step. The parts over
time are those of `fakedetect_jax.models.temporal`. The convolutions see short motion and the temporal part the whole
clip, as in Molchanov et al., "Online Detection and Classification of Dynamic Hand Gestures with Recurrent 3D
Convolutional Neural Networks", CVPR 2016.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import KINETICS, Clip, fill_invalid, normalise
from fakedetect_jax.models.layers import head_normal, spatial_mean
from fakedetect_jax.models.options import check_known, check_names, check_rate, hashable
from fakedetect_jax.models.published.r2plus1d import R2Plus1DTrunk
from fakedetect_jax.models.published.steps import spread, valid_steps
from fakedetect_jax.models.temporal import TEMPORAL


class CNN3D(nn.Module):
    """R(2+1)D, then a temporal part; one head scores its result for the clip, another each step for its frames.

    Frames may have any size and clips any length that the temporal part takes. The temporal part skips steps without a
    valid frame.

    Attributes:
        layers, width, middle, time_strides: options of `R2Plus1DTrunk`.
        temporal: a name in `TEMPORAL`, such as 'gru', 'lstm' or 'transformer'.
        temporal_options: options of that part; None for the defaults.
        dropout: rate on the features before the temporal part and the frames' head.
        dtype: compute dtype of all parts, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    layers: int = 18
    width: int = 64
    middle: str = "block"
    time_strides: Sequence[int] = (1, 1, 1, 1)
    temporal: str = "gru"
    temporal_options: Mapping[str, Any] | None = None
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_known("CNN3D", TEMPORAL, temporal=self.temporal)
        check_rate("CNN3D", dropout=self.dropout)
        options = {} if self.temporal_options is None else self.temporal_options
        if not isinstance(options, Mapping):
            raise FakedetectError(f"CNN3D temporal_options={options!r} must be None or a mapping of options")
        check_names(f"the temporal part {self.temporal!r}", TEMPORAL[self.temporal], options)
        self.temporal_options = hashable(options)
        self._trunk(parent=None)  # checks its options, as does the next line
        self._temporal(parent=None)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32."""
        frames, valid = fill_invalid(clip)
        maps = self._trunk(name="trunk")(normalise(frames, KINETICS), train=train)
        steps = nn.Dropout(self.dropout, deterministic=not train)(spatial_mean(maps))
        frame_logit = jnp.squeeze(nn.Dense(1, kernel_init=head_normal, name="frame_head")(steps), -1)
        counted = valid_steps(valid, steps.shape[1])
        features = self._temporal(name="temporal")(steps, counted, maps=maps, train=train)
        logit = nn.Dense(1, kernel_init=head_normal, name="clip_head")(features)
        return jnp.squeeze(logit, -1), {
            "frame_logit": spread(frame_logit, frames.shape[1]),
            "features": features,
        }

    def _trunk(self, **names: Any) -> R2Plus1DTrunk:
        return R2Plus1DTrunk(self.layers, self.width, self.middle, self.time_strides, self.dtype, **names)

    def _temporal(self, **names: Any) -> Any:
        return TEMPORAL[self.temporal](**{"dtype": self.dtype, **(self.temporal_options or {})}, **names)
