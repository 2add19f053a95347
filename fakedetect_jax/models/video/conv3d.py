"""Layers of the 3-D networks: a convolution with its batch norm, and the mean over space."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from fakedetect_jax.models.video.max_pool import max_pool

he_normal = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


class ConvNorm(nn.Module):
    """Convolution without bias over (time, height, width), batch norm, ReLU. A 1x1x1 one is a matmul.

    Attributes:
        features: output channels.
        kernel, strides: in time, height and width.
        padding: 'SAME' (as TensorFlow's: more at the end) or the amount on both sides of each axis.
        epsilon, momentum: of the batch norm; flax's momentum is one minus torch's.
        relu: whether a ReLU follows.
        pool: side of the spatial windows whose maximum is taken before the ReLU.
        zero: whether the norm's scale starts at zero, so that a residual branch starts as nothing.
        dtype: compute dtype.
        pixels: whether it convolves the frames themselves, in float32: bfloat16 would round by up to half a grey level.
    """

    features: int
    kernel: tuple[int, int, int] = (1, 1, 1)
    strides: tuple[int, int, int] = (1, 1, 1)
    padding: str | tuple[int, int, int] = (0, 0, 0)
    epsilon: float = 1e-5
    momentum: float = 0.9
    relu: bool = True
    pool: int = 1
    zero: bool = False
    dtype: str = "float32"
    pixels: bool = False

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t h w c"], *, train: bool = False
    ) -> Float[Array, "b t_o h_o w_o d"]:
        """Return the map in the compute dtype."""
        kernel = self.param("kernel", he_normal, (*self.kernel, x.shape[-1], self.features))
        width, precision = ("float32", "high") if self.pixels else (self.dtype, None)
        x, kernel = x.astype(width), kernel.astype(width)
        if max(self.kernel) == 1:
            # Indexing with a step would become a gather when the batch size is symbolic.
            for axis, stride in enumerate(self.strides, start=1):
                x = lax.slice_in_dim(x, 0, None, stride, axis)
            x = jnp.einsum("bthwc,cd->bthwd", x, kernel[0, 0, 0])
        else:
            padding = self.padding if isinstance(self.padding, str) else [(p, p) for p in self.padding]
            layout = ("NTHWC", "THWIO", "NTHWC")
            x = lax.conv_general_dilated(
                x, kernel, self.strides, padding, dimension_numbers=layout, precision=precision
            ).astype(self.dtype)
        x = nn.BatchNorm(
            use_running_average=not train,
            epsilon=self.epsilon,
            momentum=self.momentum,
            scale_init=nn.initializers.zeros if self.zero else nn.initializers.ones,
            dtype=self.dtype,
            name="norm",
        )(x)
        if self.pool > 1:
            x = max_pool(x, (1, self.pool, self.pool))
        return jax.nn.relu(x) if self.relu else x


def spatial_mean(x: Float[Array, "b t h w c"]) -> Float[Array, "b t c"]:
    """Mean over height and width, summed in float32."""
    return x.mean(axis=(2, 3), dtype=jnp.float32)
