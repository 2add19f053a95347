"""ConvNeXt (Liu et al., "A ConvNet for the 2020s", CVPR 2022): an image to features and maps.

Layers and widths of tiny to xlarge are the paper's; atto to nano are the small ones that timm made known.
Inputs are normalised images; what normalisation is up to the caller.
"""

from collections.abc import Callable, Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.spatial.conv_norm import DTYPES, check_known
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

truncated_normal = nn.initializers.truncated_normal(0.02)


def gelu(kind: str) -> Callable[[Array], Array]:
    """GELU by name: 'erf' is the exact form that published weights were trained with.

    'tanh' is its approximation (off by at most 5e-4), cheaper on every platform: take it when training from
    scratch.
    """
    if kind not in ("erf", "tanh"):
        raise FakedetectError(f"gelu={kind!r} is not known; use 'erf' (published weights) or 'tanh' (faster)")
    return lambda x: jax.nn.gelu(x, approximate=kind == "tanh")


class PatchConv(nn.Module):
    """Convolution whose stride is its kernel size, as one matmul over patches.

    Rows and columns at the bottom and right that do not fill a patch are dropped.
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
        # Indexing with slices would become a gather when the batch size is symbolic.
        for axis, size in ((1, h), (2, w)):
            x = lax.slice_in_dim(x, 0, size // p * p, axis=axis)
        x = x.reshape((n, h // p, p, w // p, p, c))
        x = jnp.einsum("nhpwqc,pqcf->nhwf", x, kernel, precision=self.precision)
        return x + bias[None, None, None]


class DropPath(nn.Module):
    """Stochastic depth (Huang et al., ECCV 2016): drop a residual per example, scale up the kept ones."""

    rate: float

    @nn.compact
    def __call__(self, x: Float[Array, "n *rest"], *, train: bool) -> Float[Array, "n *rest"]:
        """Draw from the rng stream 'dropout'; flax folds the module's path in: each block has its own key."""
        if not train or self.rate == 0:
            return x
        keep = 1 - self.rate
        mask = jax.random.bernoulli(self.make_rng("dropout"), keep, (x.shape[0],) + (1,) * (x.ndim - 1))
        return jnp.where(mask, x / keep, 0).astype(x.dtype)


class Block(nn.Module):
    """Depthwise 7x7, norm, and a four times wider pointwise MLP, added to the input.

    The input and the sum are float32 whatever the compute dtype: bfloat16 has 8 bits, and a sum in it forgets residuals
    below 1/256 of it, which all are as long as the layer scale is what it starts at.
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
    """The 7x7 depthwise convolution of a block, with the parameters `depthwise_kernel` and `depthwise_bias`."""
    c = x.shape[-1]
    kernel = block.param("depthwise_kernel", truncated_normal, (KERNEL_SIZE, KERNEL_SIZE, c))
    bias = block.param("depthwise_bias", nn.initializers.zeros, (c,))
    return depthwise_conv(x, kernel.astype(x.dtype)) + bias.astype(x.dtype)[None, None, None]


class ConvNeXt(nn.Module):
    """The feature extractor: images to pooled, normed features and the maps of the four stages.

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
        if not 0 <= self.drop_path < 1:
            raise FakedetectError(f"drop_path={self.drop_path!r} must be in [0, 1)")
        check_known("dtype", self.dtype, DTYPES)
        super().__post_init__()

    def stages(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Blocks and channels of each stage; ValueError for an unknown variant or a contradiction."""
        return chosen_stages("ConvNeXt", VARIANTS, self.variant, self.depths, self.dims)

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w 3"], *, train: bool = False
    ) -> tuple[Float[Array, "n d"], list[Float[Array, "n h_s w_s d_s"]]]:
        """Return float32 features [n, dims[-1]] and the maps at strides 4, 8, 16, 32 in the compute dtype."""
        depths, dims = self.stages()

        def block(rate: float, name: str) -> nn.Module:
            return Block(rate, self.layer_scale, self.gelu, self.dtype, name=name)

        return run_stages(images, depths, dims, self.drop_path, block, dtype=self.dtype, train=train)


class ConvNeXtClassifier(nn.Module):
    """ConvNeXt with a linear head, laid out as the published ImageNet classifiers.

    Attributes:
        num_classes: number of logits.
        backbone: the ConvNeXt.
    """

    num_classes: int
    backbone: ConvNeXt

    @nn.compact
    def __call__(self, images: Float[Array, "n h w 3"], *, train: bool = False) -> Float[Array, "n classes"]:
        """Return float32 logits."""
        features, _ = self.backbone(images, train=train)
        return nn.Dense(self.num_classes, kernel_init=truncated_normal, name="head")(features)


def chosen_stages(
    model: str,
    variants: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
    variant: str | None,
    depths: Sequence[int] | None,
    dims: Sequence[int] | None,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Blocks and channels of each stage, from a variant's name or as given; ValueError for neither or both."""
    if variant is not None and (depths is not None or dims is not None):
        raise FakedetectError(f"give variant={variant!r} or depths and dims, not both")
    if variant is not None:
        if variant not in variants:
            raise FakedetectError(
                f"{model} variant={variant!r} is not known; use one of {', '.join(variants)}"
            )
        return variants[variant]
    if not depths or not dims or len(depths) != len(dims):
        raise FakedetectError(
            f"depths={depths!r} and dims={dims!r} must have one entry per stage each, or give a variant"
        )
    return tuple(depths), tuple(dims)


def run_stages(
    images: Float[Array, "n h w 3"],
    depths: Sequence[int],
    dims: Sequence[int],
    drop_path: float,
    block: Callable[[float, str], nn.Module],
    *,
    dtype: str,
    train: bool,
) -> tuple[Float[Array, "n d"], list[Float[Array, "n h_s w_s d_s"]]]:
    """Stem, stages and pooling of ConvNeXt, as submodules of the module whose compact method calls this.

    `block(rate, name)` makes a block with its drop-path rate; the rates rise linearly from 0 to `drop_path`.
    """
    smallest = 4 * 2 ** (len(dims) - 1)
    if min(images.shape[1:3]) < smallest:
        raise FakedetectError(
            f"ConvNeXt needs images of at least {smallest} px a side, got {images.shape[1:3]}"
        )
    rates = iter(_rising(drop_path, sum(depths)))
    x, maps = images, []
    for stage, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
        if stage == 0:
            # In float32: bfloat16 would round pixels by up to half a grey level, and this is 0.3 % of the operations.
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


def _rising(last: float, count: int) -> list[float]:
    return [last * index / max(count - 1, 1) for index in range(count)]
