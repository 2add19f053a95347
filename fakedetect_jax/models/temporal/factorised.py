"""ViViT's factorised encoder over a backbone's maps: space within each frame first, then time.

After model 2 of Arnab et al., "ViViT: A Video Vision Transformer", ICCV 2021, with the places of the backbone's last
map as tokens in place of patches of the frame.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.temporal.options import DTYPES, check_known, check_positive, check_rate
from fakedetect_jax.models.temporal.transformer import TemporalTransformer, TransformerBlock

_normal = nn.initializers.normal(0.02)


class FactorisedEncoder(nn.Module):
    """The last maps of a clip's frames to one clip feature.

    A spatial transformer reads a class token off the places of each frame's map; a `TemporalTransformer` goes over
    these. Pooled frame features are not used. The size of the maps given to `init` fixes the number of spatial
    positions.

    Attributes:
        spatial_layers, layers: blocks of the spatial and of the temporal transformer.
        heads, dim, mlp_ratio, dropout, dtype: of both, as in `TemporalTransformer`.
        positions, max_frames: of the temporal one, as in `TemporalTransformer`.
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
        check_positive("factorised", spatial_layers=self.spatial_layers, layers=self.layers)
        check_rate("factorised", dropout=self.dropout)
        check_known("factorised", "dtype", self.dtype, DTYPES)
        self._temporal(parent=None)  # raises here rather than at init when an option is wrong
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
        """Return the clip feature in float32; frames that are not valid never change it.

        `maps` are the last maps of the frames, `timestamps` needed for positions='timestamps' only.
        """
        if maps is None:
            raise FakedetectError("the temporal part 'factorised' needs maps [b, t, h, w, c], got None")
        t, h, w, c = maps.shape[1:]
        maps = jnp.where(valid[..., None, None, None], maps, 0)
        tokens = maps.reshape((-1, h * w, c))
        tokens = nn.Dense(self.dim, dtype=self.dtype, name="embed")(tokens).astype(jnp.float32)
        class_token = self.param("class_token", _normal, (1, 1, self.dim))
        class_token = jnp.broadcast_to(class_token, (tokens.shape[0], 1, self.dim))
        position = self.param("position", _normal, (1 + h * w, self.dim))
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
