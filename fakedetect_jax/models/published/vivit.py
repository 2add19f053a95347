"""ViViT: transformers over tubelets of a clip.

Arnab, Dehghani, Heigold, Sun, Lučić and Schmid, "ViViT: A Video Vision Transformer", ICCV 2021. The paper's four models
differ in which tokens attend to which (`vivit_encoders`). The layers are laid out as in the authors' release; its first
model is VivitModel in transformers.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.layers import truncated_normal
from fakedetect_jax.models.options import (
    check_dtype,
    check_known,
    check_layers,
    check_positive,
    check_rate,
    check_widths,
)
from fakedetect_jax.models.published.vivit_encoders import ENCODERS

# name: (layers, heads, width); base and large are the paper's, the others those of image ViTs
VARIANTS: dict[str, tuple[int, int, int]] = {
    "tiny": (12, 3, 192),
    "small": (12, 6, 384),
    "base": (12, 12, 768),
    "large": (24, 16, 1024),
}


class TubeletEmbedding(nn.Module):
    """Boxes of frames x rows x columns of a clip to tokens, as one matmul.

    Rows and columns at the bottom and right that do not fill a box are dropped.

    Attributes:
        dim: width of the tokens.
        tubelet: frames, rows and columns of a box.
    """

    dim: int
    tubelet: tuple[int, int, int]

    @nn.compact
    def __call__(self, clips: Float[Array, "b t h w c"]) -> Float[Array, "b steps places dim"]:
        """Return the tokens by step and place; the length of the clip must be a multiple of the tubelet's."""
        b, t, h, w, c = clips.shape
        i, p, q = self.tubelet
        kernel = self.param("kernel", truncated_normal, (i, p, q, c, self.dim))
        bias = self.param("bias", nn.initializers.zeros, (self.dim,))
        x = clips
        for axis, filled in ((2, h // p * p), (3, w // q * q)):
            x = jax.lax.slice_in_dim(x, 0, filled, axis=axis)
        x = x.reshape((b, t // i, i, h // p, p, w // q, q, c))
        # Always in float32: bfloat16 would round pixels by up to half a grey level.
        x = jnp.einsum("btihpwqc,ipqcd->bthwd", x, kernel, precision="high") + bias[None, None, None, None]
        return x.reshape((b, t // i, (h // p) * (w // q), self.dim))


class ViViT(nn.Module):
    """Clips of frames to logits of being fake.

    The size of the clip given to `init` fixes the number of positions. Later clips must have as many frames; `valid`
    marks the missing ones. Invalid frames are mid-grey, and no token attends to a tubelet without a valid frame.

    A frame has the logit of its step, which is the head on the mean of the step's tokens, or on its class token in the
    factorised encoder. A clip scores the head on the encoder's class token, or with the last two models the mean of its
    valid steps' logits.

    Attributes:
        attention: the paper's models 1 to 4: 'spacetime', 'factorised_encoder', 'factorised_self_attention' or
            'factorised_dot_product'.
        variant: a name in `VARIANTS`, which gives `layers`, `heads` and `dim` where they are None.
        layers: number of blocks; of those over space in the factorised encoder.
        heads, dim: attention heads and width of the tokens.
        temporal_layers: number of blocks over time in the factorised encoder; the other models ignore it.
        mlp_ratio: width of each block's MLP over `dim`.
        tubelet: frames, rows and columns of a tubelet.
        dropout: rate on the tokens and within the blocks; draws from the rng stream 'dropout'.
        drop_path: stochastic depth of the last block; rates rise linearly from 0 at the first.
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    attention: str = "factorised_encoder"
    variant: str = "base"
    layers: int | None = None
    heads: int | None = None
    dim: int | None = None
    temporal_layers: int = 4
    mlp_ratio: int = 4
    tubelet: Sequence[int] = (2, 16, 16)
    dropout: float = 0.0
    drop_path: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_known("ViViT", ENCODERS, attention=self.attention)
        check_known("ViViT", VARIANTS, variant=self.variant)
        check_dtype("ViViT", dtype=self.dtype)
        layers, heads, dim = self.size()
        check_positive("ViViT", heads=heads, dim=dim)
        check_layers("ViViT", layers=layers, temporal_layers=self.temporal_layers)
        check_positive("ViViT", mlp_ratio=self.mlp_ratio)
        check_rate("ViViT", dropout=self.dropout, drop_path=self.drop_path)
        if dim % heads:
            raise FakedetectError(f"ViViT dim={dim} must be a multiple of heads={heads}")
        if self.attention == "factorised_dot_product" and heads % 2:
            raise FakedetectError(f"ViViT heads={heads} must be even for attention='factorised_dot_product'")
        self.tubelet = tuple(self.tubelet)
        check_widths("ViViT", 3, tubelet=self.tubelet)
        super().__post_init__()

    def size(self) -> tuple[int, int, int]:
        """Return layers, heads and width: those of the variant, or the given ones."""
        layers, heads, dim = VARIANTS[self.variant]
        return (
            layers if self.layers is None else self.layers,
            heads if self.heads is None else self.heads,
            dim if self.dim is None else self.dim,
        )

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32.

        Raises:
            FakedetectError: the clip does not fit the tubelets.
        """
        b, t, h, w, _ = clip.frames.shape
        i, p, q = self.tubelet
        if t % i:
            raise FakedetectError(
                f"a clip of {t} frames is not a multiple of the {i} frames of tubelet={self.tubelet}"
            )
        if h < p or w < q:
            raise FakedetectError(f"frames of {(h, w)} px are smaller than tubelet={self.tubelet}")
        valid = clip.mask
        x = jnp.where(valid[..., None, None, None], clip.frames.astype(jnp.float32) * 2 - 1, 0)
        layers, heads, dim = self.size()
        tokens = TubeletEmbedding(dim, (i, p, q), name="tubelets")(x)
        options = {"temporal_layers": self.temporal_layers} if self.attention == "factorised_encoder" else {}
        encoder = ENCODERS[self.attention](
            layers=layers,
            heads=heads,
            mlp_ratio=self.mlp_ratio,
            dropout=self.dropout,
            drop_path=self.drop_path,
            dtype=self.dtype,
            name="encoder",
            **options,
        )
        features, steps = encoder(tokens, valid.reshape((b, t // i, i)).any(axis=2), train=train)
        head = nn.Dense(1, kernel_init=truncated_normal, name="head")
        frame_logit = jnp.broadcast_to(head(steps), (b, t // i, i)).reshape((b, t))
        return head(features).squeeze(-1), {"frame_logit": frame_logit, "features": features}
