"""What the whole video models share: frames that do not count, steps in time, normalisation, the linear head."""

from collections.abc import Iterable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.temporal.pooling import masked_mean

_small_normal = nn.initializers.normal(0.01)


def valid_steps(valid: Bool[Array, "b t"], steps: int) -> Bool[Array, "b s"]:
    """Which of a clip's equal shares in time hold a valid frame."""
    return jnp.einsum("bt,ts->bs", valid.astype(jnp.float32), _shares(valid.shape[1], steps)) > 0


def spread(values: Float[Array, "b s"], frames: int) -> Float[Array, "b {frames}"]:
    """Give every frame the value of its share of the clip; `valid_steps` cuts in the same way."""
    return jnp.einsum("bs,ts->bt", values, _shares(frames, values.shape[1]), precision="highest")


def _shares(frames: int, steps: int) -> np.ndarray:
    """[frames, steps]: one where the frame lies in the step; with more steps than frames some hold none."""
    return np.eye(steps, dtype=np.float32)[np.arange(frames) * steps // frames]


class StepHead(nn.Module):
    """A linear head on the features of each step in time; the clip's logit is the mean of steps with a valid frame.

    Attributes:
        dropout: rate on the features.
    """

    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, steps: Float[Array, "b s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logit and what a whole model returns beside it; a frame has the logit of its step."""
        steps = steps.astype(jnp.float32)
        dropped = nn.Dropout(self.dropout, deterministic=not train)(steps)
        logit = jnp.squeeze(nn.Dense(1, kernel_init=_small_normal, name="logit")(dropped), -1)
        counted = valid_steps(valid, steps.shape[1])
        return masked_mean(logit, counted), {
            "frame_logit": spread(logit, valid.shape[1]),
            "features": masked_mean(steps, counted),
        }


def check_widths(owner: str, option: str, values: Iterable[int], count: int) -> None:
    """Raise ValueError unless there are `count` whole numbers of at least one."""
    if len(tuple(values)) != count or any(not isinstance(value, int) or value < 1 for value in values):
        raise FakedetectError(f"{owner} {option}={values!r} must be {count} whole numbers of at least 1")


def check_size(owner: str, frames: Array, smallest: int) -> None:
    """Raise ValueError for frames that are too small for the model's poolings."""
    if min(frames.shape[2:4]) < smallest:
        raise FakedetectError(
            f"{owner} needs frames of at least {smallest} px a side, got {frames.shape[2:4]}"
        )
