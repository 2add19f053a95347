"""A 3-D network with a recurrent network or a transformer over what it keeps of time.

The network is R(2+1)D (Tran et al., CVPR 2018) without strides in time, so that each frame stays a step; the parts
over time are those of `fakedetect_jax.models.temporal`. Short motion is the business of the convolutions and the whole
clip that of the temporal part, as with Molchanov et al., "Online Detection and Classification of Dynamic Hand Gestures
with Recurrent 3D Convolutional Neural Networks", CVPR 2016.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import KINETICS, Clip, fill_invalid, normalise
from fakedetect_jax.models.temporal import TEMPORAL
from fakedetect_jax.models.temporal.options import check_known, check_rate
from fakedetect_jax.models.video.clips import spread, valid_steps
from fakedetect_jax.models.video.conv3d import spatial_mean
from fakedetect_jax.models.video.r2plus1d import R2Plus1DTrunk

_small_normal = nn.initializers.normal(0.01)


class CNN3D(nn.Module):
    """R(2+1)D, then a temporal part; a head on its result for the clip, another on each step for its frames.

    Any size and any number of frames that the temporal part takes.

    Attributes:
        layers, width, middle, time_strides: of `R2Plus1DTrunk`.
        temporal: a name in `TEMPORAL`, such as 'gru', 'lstm' or 'transformer'.
        temporal_options: options of that part; an empty mapping or None takes the defaults.
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
        check_known("CNN3D", "temporal", self.temporal, TEMPORAL)
        check_rate("CNN3D", dropout=self.dropout)
        object.__setattr__(self, "temporal_options", self._checked(self.temporal_options))
        self._trunk(parent=None)  # both raise here rather than at init when an option is wrong
        self._temporal(parent=None)
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips of RGB frames in [0, 1].

        Returns the clip logit [b] and {'frame_logit': [b, t], 'features': [b, d]}; a frame has the logit of its step.
        Frames that are not valid are replaced by the nearest one that is, and the temporal part passes over steps of
        such alone.
        """
        frames, valid = fill_invalid(clip)
        maps = self._trunk(name="trunk")(normalise(frames, KINETICS), train=train)
        steps = nn.Dropout(self.dropout, deterministic=not train)(spatial_mean(maps))
        frame_logit = jnp.squeeze(nn.Dense(1, kernel_init=_small_normal, name="frame_head")(steps), -1)
        counted = valid_steps(valid, steps.shape[1])
        features = self._temporal(name="temporal")(steps, counted, maps=maps, train=train)
        logit = nn.Dense(1, kernel_init=_small_normal, name="clip_head")(features)
        return jnp.squeeze(logit, -1), {
            "frame_logit": spread(frame_logit, frames.shape[1]),
            "features": features,
        }

    def _checked(self, options: Any) -> FrozenDict:
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            raise FakedetectError(f"CNN3D temporal_options={options!r} must be None or a mapping of options")
        fields = dataclasses.fields(TEMPORAL[self.temporal])
        known = [field.name for field in fields if field.name not in ("parent", "name")]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise FakedetectError(
                f"the temporal part {self.temporal!r} has no option {', '.join(unknown)}; "
                f"known: {', '.join(known)}"
            )
        # Flax compares and hashes modules by their attributes: lists would not be hashable.
        return FrozenDict({name: tuple(v) if isinstance(v, list) else v for name, v in options.items()})

    def _trunk(self, **names: Any) -> R2Plus1DTrunk:
        return R2Plus1DTrunk(self.layers, self.width, self.middle, self.time_strides, self.dtype, **names)

    def _temporal(self, **names: Any) -> Any:
        return TEMPORAL[self.temporal](**{"dtype": self.dtype, **(self.temporal_options or {})}, **names)
