"""Steps in time: the head of models that keep fewer steps than frames, and what belongs to which step."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.layers import head_normal, masked_mean


def valid_steps(valid: Bool[Array, "b t"], steps: int) -> Bool[Array, "b {steps}"]:
    """Return which of a clip's equal shares in time hold a valid frame."""
    return jnp.einsum("bt,ts->bs", valid.astype(jnp.float32), _shares(valid.shape[1], steps)) > 0


def spread(values: Float[Array, "b s"], frames: int) -> Float[Array, "b {frames}"]:
    """Give every frame the value of its share of the clip; `valid_steps` cuts in the same way."""
    return jnp.einsum("bs,ts->bt", values, _shares(frames, values.shape[1]), precision="highest")


def _shares(frames: int, steps: int) -> Float[np.ndarray, "{frames} {steps}"]:
    """Return one where the frame lies in the step. With more steps than frames some steps hold none."""
    return np.eye(steps, dtype=np.float32)[np.arange(frames) * steps // frames]


class StepHead(nn.Module):
    """A linear head on the features of each step; the clip's logit is the mean over steps with a valid frame.

    Attributes:
        dropout: rate on the features.
    """

    dropout: float = 0.0

    @nn.compact
    def __call__(
        self, steps: Float[Array, "b s d"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits of clips, their `frame_logit` and `features`; a frame has the logit of its step."""
        steps = steps.astype(jnp.float32)
        dropped = nn.Dropout(self.dropout, deterministic=not train)(steps)
        logit = jnp.squeeze(nn.Dense(1, kernel_init=head_normal, name="logit")(dropped), -1)
        counted = valid_steps(valid, steps.shape[1])
        return masked_mean(logit, counted), {
            "frame_logit": spread(logit, valid.shape[1]),
            "features": masked_mean(steps, counted),
        }
