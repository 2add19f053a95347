"""Recurrent networks over the features of a clip's frames: LSTM and GRU.

LSTM: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 1997, with the forget gate of Gers et
al., 2000. GRU: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014, in the form whose
reset gate acts after the matrix. Gates, their order and both biases are the same as in torch.nn.LSTM (input, forget,
cell, output) and torch.nn.GRU (reset, update, new), so PyTorch's weights only need transposing.
"""

from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.options import check_dtype, check_layers, check_positive, check_rate

State = tuple[Array, ...]


def _lstm_step(state: State, given: Array, recurrent: Array) -> State:
    _, c = state
    i, f, g, o = jnp.split(given + recurrent, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def _gru_step(state: State, given: Array, recurrent: Array) -> State:
    (h,) = state
    reset_given, update_given, new_given = jnp.split(given, 3, axis=-1)
    reset_recurrent, update_recurrent, new_recurrent = jnp.split(recurrent, 3, axis=-1)
    reset = jax.nn.sigmoid(reset_given + reset_recurrent)
    update = jax.nn.sigmoid(update_given + update_recurrent)
    new = jnp.tanh(new_given + reset * new_recurrent)
    return ((1 - update) * new + update * h,)


# cell: (gates, arrays in the state, one step); the first array is the output
_CELLS: dict[str, tuple[int, int, Callable[[State, Array, Array], State]]] = {
    "lstm": (4, 2, _lstm_step),
    "gru": (3, 1, _gru_step),
}


class RecurrentPass(nn.Module):
    """One recurrent layer in one direction.

    Matmuls are in `dtype` and the state is float32. An invalid frame leaves the state as it is.

    Attributes:
        cell: 'lstm' or 'gru'.
        dim: width of the state.
        reverse: whether to run from the last frame to the first.
        dtype: dtype of the matmuls.
    """

    cell: str
    dim: int
    reverse: bool = False
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t d"], valid: Bool[Array, "b t"]
    ) -> tuple[Float[Array, "b t dim"], Float[Array, "b dim"]]:
        """Return the state after each frame, in the order of the frames, and the state at the end of the pass."""
        gates, arrays, step = _CELLS[self.cell]
        width = gates * self.dim

        def uniform(key: Array, shape: tuple[int, ...]) -> Array:
            return jax.random.uniform(key, shape, minval=-(self.dim**-0.5), maxval=self.dim**-0.5)

        input_kernel = self.param("input_kernel", uniform, (x.shape[-1], width)).astype(self.dtype)
        input_bias = self.param("input_bias", uniform, (width,)).astype(self.dtype)
        hidden_kernel = self.param("hidden_kernel", uniform, (self.dim, width)).astype(self.dtype)
        hidden_bias = self.param("hidden_bias", uniform, (width,)).astype(self.dtype)
        # The frames' share does not depend on the state: one matmul for all of them.
        given = x.astype(self.dtype) @ input_kernel + input_bias[None, None]

        def advance(state: State, frame: tuple[Array, Array]) -> tuple[State, Array]:
            given, counts = frame
            recurrent = state[0].astype(self.dtype) @ hidden_kernel + hidden_bias[None]
            stepped = step(state, given.astype(jnp.float32), recurrent.astype(jnp.float32))
            state = tuple(jnp.where(counts, new, old) for new, old in zip(stepped, state, strict=True))
            return state, state[0]

        start = tuple(jnp.zeros((x.shape[0], self.dim), jnp.float32) for _ in range(arrays))
        frames = (given.swapaxes(0, 1), valid.swapaxes(0, 1)[..., None])
        last, states = jax.lax.scan(advance, start, frames, reverse=self.reverse)
        return states.swapaxes(0, 1), last[0]


class _Recurrent(nn.Module):
    """Stacked layers in one or both directions.

    Attributes:
        cell: kind of the layers; the subclass names it.
        dim: width of the state of one direction; the result has this width, or twice it if bidirectional.
        layers: number of stacked layers.
        bidirectional: whether a second pass runs from the last frame to the first.
        dropout: rate between layers; draws from the rng stream 'dropout'.
        dtype: dtype of the matmuls, 'float32' or 'bfloat16'. Parameters and the state are float32.
    """

    cell: ClassVar[str]

    dim: int = 128
    layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_positive(self.cell, dim=self.dim)
        check_layers(self.cell, layers=self.layers)
        check_rate(self.cell, dropout=self.dropout)
        check_dtype(self.cell, dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b t d"],
        valid: Bool[Array, "b t"],
        *,
        maps: Array | None = None,
        timestamps: Array | None = None,
        train: bool = False,
    ) -> Float[Array, "b width"]:
        """Return the state after the last valid frame, in float32; zero for a clip without any.

        With two directions the second half is the backward state after the first valid frame. The clip is read as if
        it had no invalid frames.
        """
        x = jnp.where(valid[..., None], features, 0)
        directions = ("forward", "backward") if self.bidirectional else ("forward",)
        last = []
        for layer in range(self.layers):
            if layer:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            passes = [
                RecurrentPass(self.cell, self.dim, way == "backward", self.dtype, name=f"layer{layer}_{way}")(
                    x, valid
                )
                for way in directions
            ]
            x = jnp.concatenate([states for states, _ in passes], axis=-1)
            last = [state for _, state in passes]
        return jnp.concatenate(last, axis=-1)


class LSTM(_Recurrent):
    """Long short-term memory over frame features."""

    cell: ClassVar[str] = "lstm"


class GRU(_Recurrent):
    """Gated recurrent unit over frame features."""

    cell: ClassVar[str] = "gru"
