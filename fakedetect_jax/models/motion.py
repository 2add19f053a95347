"""Motion branch: where successive frames differ more, or less, than the face's own motion explains.

A face that was pasted or warped frame by frame drifts against the head that carries it (Yan et al., CVPR 2025, describe
the drift; `fakedetect_jax.augment.extensions` makes it). A person's looks say little about the drift, so few people
suffice to train this branch. Like pixel-wise temporal frequency (Kim et al., ICCV 2025), it looks at change over time
before anything is pooled over space.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.conv_stages import ConvStages, check_stages
from fakedetect_jax.models.frequency.spectral_filter import SpectralFilter
from fakedetect_jax.models.layers import masked_mean
from fakedetect_jax.models.options import check_dtype, check_positive

# Added to mean squares before the log; 8 bits resolve more of a normalised picture.
_ENERGY_FLOOR = 1e-3


class MotionBranch(nn.Module):
    """Local energy of the difference of successive frames, in each band of a spectral filter, then a conv net.

    The net also sees this energy relative to that of the frames themselves: a displacement of d pixels changes a
    texture of amplitude a by about a x d, so their ratio tells d.

    Attributes:
        widths, depth: options of the conv net (`ConvStages`); its first stage has the resolution of the cells.
        filters: number of spectral filters on the luminance.
        cell: side in pixels of the cells whose energy is measured.
        dtype: compute dtype of the conv net, 'float32' or 'bfloat16'. The energies are always float32.
    """

    widths: Sequence[int] = (16, 32, 64)
    depth: int = 1
    filters: int = 3
    cell: int = 8
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_stages("motion", self.widths)
        check_positive("motion", filters=self.filters, cell=self.cell)
        check_dtype("motion", dtype=self.dtype)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, clips: Float[Array, "b t h w c"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> Float[Array, "b t d"]:
        """Return features [b, t, widths[-1]] in float32.

        The features of a frame are the mean over its pairs with its neighbours. Pairs with an invalid frame do not
        count; a frame without any pair has features of zero.

        Raises:
            FakedetectError: the clip has a single frame, or the cells do not divide its frames.
        """
        b, t, h, w, _ = clips.shape
        if t < 2:
            raise FakedetectError(
                f"a clip of {t} frame has no motion: set config.clip.frames to 2 or more, or motion to None"
            )
        luminance = clips.mean(axis=-1).reshape((b * t, h, w, 1))
        bands = SpectralFilter(self.filters, name="filter")(luminance).reshape((b, t, h, w, self.filters))
        change = _energy(bands[:, 1:] - bands[:, :-1], self.cell)
        texture = _energy((bands[:, 1:] + bands[:, :-1]) / 2, self.cell)
        stages = ConvStages(self.widths, self.depth, first_stride=1, dtype=self.dtype, name="stages")
        pairs = stages(jnp.concatenate([change, change - texture], axis=-1))[0].reshape((b, t - 1, -1))
        return _of_frames(pairs, valid)


def local_energy(x: Float[Array, "n h w c"], cell: int) -> Float[Array, "n h_c w_c c"]:
    """Return the log of the mean square in each cell of `cell` x `cell` px, minus its mean over the picture.

    These are local frequency statistics as in F3-Net (Qian et al., ECCV 2020), but of filtered pictures instead of
    windowed transforms. Where a face was pasted, sharpness and grain change faster than within a face.
    """
    n, h, w, c = x.shape
    if h % cell or w % cell:
        raise FakedetectError(f"motion cell={cell} must divide the frames' height {h} and width {w}")
    power = jnp.square(x).reshape((n, h // cell, cell, w // cell, cell, c)).mean(axis=(2, 4))
    energy = jnp.log(power + _ENERGY_FLOOR)
    return energy - energy.mean(axis=(1, 2), keepdims=True)


def _energy(pictures: Float[Array, "b p h w c"], cell: int) -> Float[Array, "b*p h_c w_c c"]:
    return local_energy(pictures.reshape((-1, *pictures.shape[2:])), cell)


def _of_frames(pairs: Float[Array, "b p d"], valid: Bool[Array, "b p+1"]) -> Float[Array, "b p+1 d"]:
    """Return the mean, for each frame, over its one or two pairs of valid frames."""
    both = valid[:, 1:] & valid[:, :-1]
    sides = ((1, 0), (0, 1))
    features = jnp.stack([jnp.pad(pairs, ((0, 0), side, (0, 0))) for side in sides], axis=2)
    counted = jnp.stack([jnp.pad(both, ((0, 0), side)) for side in sides], axis=2)
    b, t = valid.shape
    mean = masked_mean(features.reshape((b * t, 2, -1)), counted.reshape((b * t, 2)))
    return mean.reshape((b, t, -1))
