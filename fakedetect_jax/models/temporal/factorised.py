"""ViViT's factorised encoder over a backbone's maps: space within each frame first, then time.

After model 2 of Arnab et al., "ViViT: A Video Vision Transformer", ICCV 2021. The tokens are the places of the
backbone's last map instead of patches of the frame.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.attention import TransformerBlock
from fakedetect_jax.models.layers import normal
from fakedetect_jax.models.options import check_dtype, check_layers, check_rate
from fakedetect_jax.models.temporal.transformer import TemporalTransformer


class FactorisedEncoder(nn.Module):
    """The last maps of a clip's frames to one clip feature.

    A spatial transformer reads the places of each frame's map into a class token, and a `TemporalTransformer` reads the
    class tokens. Pooled frame features are ignored. The size of the maps given to `init` fixes the number of spatial
    positions.

    Attributes:
        spatial_layers: number of blocks of the spatial transformer.
        layers: number of blocks of the temporal transformer.
        heads, dim, mlp_ratio, dropout, dtype: options of both, as in `TemporalTransformer`.
        positions, max_frames: options of the temporal one, as in `TemporalTransformer`.
    """

    spatial_layers: int = 2
    layers: int = 2
    heads: int = 4
    dim: int = 128
    mlp_ratio: int = 4
    max_frames: int = 64
    dropout: float = 0.0
    positions: str = "learned"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_layers("factorised", spatial_layers=self.spatial_layers, layers=self.layers)
        check_rate("factorised", dropout=self.dropout)
        check_dtype("factorised", dtype=self.dtype)
        self._temporal(parent=None)  # checks its options
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "b t d"],
        valid: Bool[Array, "b t"],
        *,
        maps: Float[Array, "b t h w c"] | None = None,
        timestamps: Float[Array, "b t"] | None = None,
        train: bool = False,
    ) -> Float[Array, "b dim"]:
        """Return the clip feature in float32.

        Raises:
            FakedetectError: there are no `maps`, or no `timestamps` for positions='timestamps'.
        """
        if maps is None:
            raise FakedetectError("the temporal part 'factorised' needs maps [b, t, h, w, c], got None")
        t, h, w, c = maps.shape[1:]
        maps = jnp.where(valid[..., None, None, None], maps, 0)
        tokens = maps.reshape((-1, h * w, c))
        tokens = nn.Dense(self.dim, dtype=self.dtype, name="embed")(tokens).astype(jnp.float32)
        class_token = self.param("class_token", normal, (1, 1, self.dim))
        class_token = jnp.broadcast_to(class_token, (tokens.shape[0], 1, self.dim))
        position = self.param("position", normal, (1 + h * w, self.dim))
        x = jnp.concatenate([class_token, tokens], axis=1) + position[None]
        for index in range(self.spatial_layers):
            block = TransformerBlock(
                self.heads, self.mlp_ratio, self.dropout, self.dtype, name=f"spatial_block{index}"
            )
            x = block(x, None, train=train)
        frames = nn.LayerNorm(name="spatial_norm")(jax.lax.index_in_dim(x, 0, axis=1, keepdims=False))
        frames = frames.reshape((-1, t, self.dim))
        return self._temporal(name="temporal")(frames, valid, timestamps=timestamps, train=train)

    def _temporal(self, **names: str | None) -> TemporalTransformer:
        return TemporalTransformer(
            layers=self.layers,
            heads=self.heads,
            dim=self.dim,
            mlp_ratio=self.mlp_ratio,
            max_frames=self.max_frames,
            dropout=self.dropout,
            positions=self.positions,
            dtype=self.dtype,
            **names,
        )
