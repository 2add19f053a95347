"""ConvNeXt (Liu et al., "A ConvNet for the 2020s", CVPR 2022).

Layers and widths of tiny to xlarge are the paper's; atto to nano are the small variants of timm. Inputs are normalised
images; the caller chooses the normalisation.
"""

from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.layers import DropPath, drop_path_rates, truncated_normal
from fakedetect_jax.models.options import check_dtype, check_known, check_layers, check_rate, check_widths
from fakedetect_jax.models.spatial.depthwise import depthwise_conv

# name: (blocks per stage, channels per stage)
VARIANTS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "atto": ((2, 2, 6, 2), (40, 80, 160, 320)),
    "femto": ((2, 2, 6, 2), (48, 96, 192, 384)),
    "pico": ((2, 2, 6, 2), (64, 128, 256, 512)),
    "nano": ((2, 2, 8, 2), (80, 160, 320, 640)),
    "tiny": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "small": ((3, 3, 27, 3), (96, 192, 384, 768)),
    "base": ((3, 3, 27, 3), (128, 256, 512, 1024)),
    "large": ((3, 3, 27, 3), (192, 384, 768, 1536)),
    "xlarge": ((3, 3, 27, 3), (256, 512, 1024, 2048)),
}
KERNEL_SIZE = 7
EPSILON = 1e-6


def gelu(kind: str) -> Callable[[Array], Array]:
    """Return GELU by name.

    'erf' is the exact form that published weights were trained with. 'tanh' approximates it (off by at most 5e-4) and
    is cheaper on every platform: take it when training from scratch.
    """
    if kind not in ("erf", "tanh"):
        raise FakedetectError(f"gelu={kind!r} is not known; use 'erf' (published weights) or 'tanh' (faster)")
    return lambda x: jax.nn.gelu(x, approximate=kind == "tanh")


class PatchConv(nn.Module):
    """Convolution whose stride is its kernel size, as one matmul over patches.

    Rows and columns at the bottom and right that do not fill a patch are dropped.

    Attributes:
        features: output channels.
        patch: side of the patches in pixels.
        dtype: compute dtype.
        precision: of the matmul, as in `jax.lax.Precision`.
    """

    features: int
    patch: int
    dtype: str = "float32"
    precision: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h_p w_p features"]:
        """Project every patch x patch square to `features` channels."""
        n, h, w, c = x.shape
        p = self.patch
        kernel = self.param("kernel", truncated_normal, (p, p, c, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = (jnp.asarray(v, self.dtype) for v in (x, kernel, bias))
        # Indexing would become a gather when the batch size is symbolic.
        for axis, size in ((1, h), (2, w)):
            x = lax.slice_in_dim(x, 0, size // p * p, axis=axis)
        x = x.reshape((n, h // p, p, w // p, p, c))
        x = jnp.einsum("nhpwqc,pqcf->nhwf", x, kernel, precision=self.precision)
        return x + bias[None, None, None]


class Block(nn.Module):
    """Depthwise 7x7 convolution, norm and a four times wider pointwise MLP, added to the input.

    The input and the sum are float32, whatever the compute dtype. A sum in bfloat16, which has 8 bits, forgets
    residuals below 1/256 of it, and at its initial value the layer scale makes all residuals that small.
    """

    drop_path: float = 0.0
    layer_scale: float | None = 1e-6
    gelu: str = "erf"
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"], *, train: bool = False) -> Float[Array, "n h w c"]:
        """Return float32 x plus the block's residual, in float32."""
        c = x.shape[-1]
        y = biased_depthwise(self, x.astype(self.dtype))
        y = nn.LayerNorm(epsilon=EPSILON, dtype=self.dtype, name="norm")(y)
        y = nn.Dense(4 * c, dtype=self.dtype, kernel_init=truncated_normal, name="expand")(y)
        y = gelu(self.gelu)(y)
        y = nn.Dense(c, dtype=self.dtype, kernel_init=truncated_normal, name="project")(y)
        if self.layer_scale is not None:
            scale = self.param("layer_scale", nn.initializers.constant(self.layer_scale), (c,))
            y = y.astype(jnp.float32) * scale[None, None, None]
        return x + DropPath(self.drop_path, name="drop_path")(y, train=train)


def biased_depthwise(block: nn.Module, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Apply the 7x7 convolution of a block, with its parameters `depthwise_kernel` and `depthwise_bias`."""
    c = x.shape[-1]
    kernel = block.param("depthwise_kernel", truncated_normal, (KERNEL_SIZE, KERNEL_SIZE, c))
    bias = block.param("depthwise_bias", nn.initializers.zeros, (c,))
    return depthwise_conv(x, kernel.astype(x.dtype)) + bias.astype(x.dtype)[None, None, None]


class ConvNeXt(nn.Module):
    """Images to pooled, normed features and the maps of the four stages.

    Attributes:
        variant: a name in `VARIANTS`; leave it None when `depths` and `dims` are given.
        depths, dims: blocks and channels of each stage, instead of a variant.
        drop_path: rate of the last block; rates rise linearly from 0 at the first.
        layer_scale: initial value of the per-channel scale of each residual (1e-6 in the paper); None for
            no scale.
        gelu: 'erf' (as published weights) or 'tanh' (faster).
        dtype: compute dtype, 'float32' or 'bfloat16'. Parameters are float32.
    """

    variant: str | None = None
    depths: Sequence[int] | None = None
    dims: Sequence[int] | None = None
    drop_path: float = 0.0
    layer_scale: float | None = 1e-6
    gelu: str = "erf"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        self.stages()
        gelu(self.gelu)
        check_rate("ConvNeXt", drop_path=self.drop_path)
        check_dtype("ConvNeXt", dtype=self.dtype)
        super().__post_init__()

    def stages(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return blocks and channels of each stage; raise for an unknown variant or a contradiction."""
        return chosen_stages("ConvNeXt", VARIANTS, self.variant, self.depths, self.dims)

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
        """Return float32 features [n, dims[-1]] and the maps at strides 4, 8, 16, 32 in the compute dtype."""
        depths, dims = self.stages()

        def block(rate: float, name: str) -> nn.Module:
            return Block(rate, self.layer_scale, self.gelu, self.dtype, name=name)

        return run_stages(images, depths, dims, self.drop_path, block, dtype=self.dtype, train=train)


def chosen_stages(
    model: str,
    variants: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    variant: str | None,
    depths: Sequence[int] | None,
    dims: Sequence[int] | None,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return blocks and channels of each stage, those of a variant or the given ones; raise for neither or both."""
    if variant is not None and (depths is not None or dims is not None):
        raise FakedetectError(f"give variant={variant!r} or depths and dims, not both")
    if variant is not None:
        check_known(model, variants, variant=variant)
        return variants[variant]
    if not depths or not dims or len(depths) != len(dims):
        raise FakedetectError(
            f"depths={depths!r} and dims={dims!r} must have one entry per stage each, or give a variant"
        )
    check_layers(model, depths=depths)
    check_widths(model, len(dims), dims=dims)
    return tuple(depths), tuple(dims)


def run_stages(
    images: Float[Array, "n h w c"],
    depths: Sequence[int],
    dims: Sequence[int],
    drop_path: float,
    block: Callable[[float, str], nn.Module],
    *,
    dtype: str,
    train: bool,
) -> tuple[Float[Array, "n d"], list[Float[Array, "n _ _ _"]]]:
    """Apply stem, stages and pooling of ConvNeXt, as submodules of the module whose compact method calls this.

    Args:
        images: normalised images.
        depths, dims: blocks and channels of each stage.
        drop_path: rate of the last block; rates rise linearly from 0 at the first.
        block: makes a block from its drop-path rate and its name.
        dtype: compute dtype.
        train: whether to drop residuals.

    Returns:
        Features in float32, and the maps of the stages in the compute dtype.

    Raises:
        FakedetectError: the images are too small.
    """
    smallest = 4 * 2 ** (len(dims) - 1)
    if min(images.shape[1:3]) < smallest:
        raise FakedetectError(
            f"ConvNeXt needs images of at least {smallest} px a side, got {images.shape[1:3]}"
        )
    rates = iter(drop_path_rates(drop_path, sum(depths)))
    x, maps = images, []
    for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
        if stage == 0:
            # In float32: bfloat16 would round pixels by up to half a grey level. It is 0.3 % of the operations.
            x = PatchConv(dim, 4, precision="high", name="stem")(x)
            x = nn.LayerNorm(epsilon=EPSILON, name="stem_norm")(x)
        else:
            x = nn.LayerNorm(epsilon=EPSILON, dtype=dtype, name=f"downsample{stage}_norm")(x)
            x = PatchConv(dim, 2, dtype=dtype, name=f"downsample{stage}")(x).astype(jnp.float32)
        for index in range(depth):
            x = block(next(rates), f"stage{stage}_block{index}")(x, train=train)
        maps.append(x.astype(dtype))
    pooled = x.mean(axis=(1, 2), dtype=jnp.float32)
    return nn.LayerNorm(epsilon=EPSILON, name="norm")(pooled), maps
