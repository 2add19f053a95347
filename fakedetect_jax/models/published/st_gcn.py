"""ST-GCN: graph convolutions over facial landmarks and convolutions over time, without a look at the pixels.

Yan, Xiong and Lin, "Spatial Temporal Graph Convolutional Networks for Skeleton-Based Action Recognition", AAAI 2018.
The layers are laid out as in the authors' release: ten blocks, strides of 2 at the fifth and eighth, a learned weight
on every edge of every block. The optional second stream sees differences between frames and is summed with the first,
as in Shi et al., "Skeleton-Based Action Recognition with Multi-Stream Adaptive Graph Convolutional Networks", TIP 2020.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.landmarks import LANDMARKS
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.layers import masked_mean, truncated_normal
from fakedetect_jax.models.options import check_dtype, check_known, check_positive, check_rate
from fakedetect_jax.models.published.face_graph import CENTRE, EDGES, PARTITIONS, partitioned

WIDTHS = (64, 64, 64, 64, 128, 128, 128, 256, 256, 256)
STRIDES = (1, 1, 1, 1, 2, 1, 1, 2, 1, 1)


def normalised_landmarks(
    landmarks: Float[Array, "b t p 2"], valid: Bool[Array, "b t"]
) -> Float[Array, "b t p 2"]:
    """Return landmarks about the clip's mean, in units of the face's size; zero in invalid frames.

    The size is the root mean square distance of points from the centre of their frame, over the whole clip. This
    removes where and how large the face is in the crop, and keeps how it moves and turns.
    """
    landmarks = jnp.where(valid[..., None, None], landmarks, 0).astype(jnp.float32)
    centres = landmarks.mean(axis=2, keepdims=True)
    squared = ((landmarks - centres) ** 2).sum(axis=-1).mean(axis=2)
    size = jnp.sqrt(jnp.maximum(masked_mean(squared, valid), 1e-12))[:, None, None, None]
    middle = masked_mean(centres, valid)[:, None]
    return jnp.where(valid[..., None, None], (landmarks - middle) / size, 0)


def differences(
    x: Float[Array, "b t p c"], valid: Bool[Array, "b t"]
) -> tuple[Float[Array, "b t p c"], Bool[Array, "b t"]]:
    """Return the way of the points from each frame to the next, zero unless both are valid, and where both are."""
    both = _successor(valid) & valid
    return jnp.where(both[..., None, None], _successor(x) - x, 0), both


def _successor(x: Array) -> Array:
    """Return for each frame the values of the next one; zero at the last."""
    # Here and below: with a symbolic batch, indexing would be exported as gathers.
    rest = jax.lax.slice_in_dim(x, 1, None, axis=1)
    return jnp.pad(rest, ((0, 0), (0, 1)) + ((0, 0),) * (x.ndim - 2))


class Norm(nn.Module):
    """Batch norm with PyTorch's defaults and the statistics of the valid frames."""

    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t *rest"], valid: Bool[Array, "b t"], *, train: bool
    ) -> Float[Array, "b t *rest"]:
        """Normalise the last axis."""
        # A batch without any valid frame takes the statistics of its zeros.
        counted = valid | ~valid.any()
        norm = nn.BatchNorm(
            use_running_average=not train, momentum=0.9, epsilon=1e-5, dtype=self.dtype, name="norm"
        )
        return norm(x, mask=counted.reshape(counted.shape + (1,) * (x.ndim - 2)))


class STGCNBlock(nn.Module):
    """Graph convolution, temporal convolution, residual.

    Invalid frames are zero before the temporal convolution and in the result.

    Attributes:
        width: output channels.
        stride: step of the temporal convolution.
        kernel: frames of the temporal convolution, odd.
        residual: whether to add the input.
        dropout: rate after the temporal convolution.
        dtype: compute dtype.
    """

    width: int
    stride: int = 1
    kernel: int = 9
    residual: bool = True
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "b t p c"],
        adjacency: Float[np.ndarray, "k p p"],
        valid: Bool[Array, "b t"],
        *,
        train: bool = False,
    ) -> tuple[Float[Array, "b steps p width"], Bool[Array, "b steps"]]:
        """Return every `stride`-th step, and which of them have a valid frame."""
        subsets, points = adjacency.shape[:2]
        mask = valid[..., None, None]
        weight = self.param("edge_weight", nn.initializers.ones, adjacency.shape)
        y = nn.Dense(subsets * self.width, dtype=self.dtype, name="graph")(x)
        y = y.reshape((*x.shape[:2], points, subsets, self.width))
        y = jnp.einsum("btvkc,kvw->btwc", y, (weight * adjacency).astype(self.dtype))
        y = jax.nn.relu(Norm(self.dtype, name="graph_norm")(y, valid, train=train))
        y = jnp.where(mask, y, 0)
        pad = self.kernel // 2
        y = nn.Conv(
            self.width,
            (self.kernel, 1),
            strides=(self.stride, 1),
            padding=((pad, pad), (0, 0)),
            dtype=self.dtype,
            name="temporal",
        )(y)
        steps = _any_of(valid, self.stride)
        y = Norm(self.dtype, name="temporal_norm")(y, steps, train=train)
        y = nn.Dropout(self.dropout, deterministic=not train)(y)
        if self.residual:
            if self.stride != 1 or x.shape[-1] != self.width:
                x = jax.lax.slice_in_dim(x, 0, None, self.stride, axis=1)
                x = nn.Dense(self.width, dtype=self.dtype, name="shortcut")(x)
                x = Norm(self.dtype, name="shortcut_norm")(x, steps, train=train)
            y = y + x
        return jnp.where(steps[..., None, None], jax.nn.relu(y), 0), steps


def _any_of(valid: Bool[Array, "b t"], stride: int) -> Bool[Array, "b steps"]:
    """Return which runs of `stride` frames have a valid one; the last run may be shorter."""
    b, t = valid.shape
    steps = -(-t // stride)
    padded = jnp.pad(valid, ((0, 0), (0, steps * stride - t)))
    return padded.reshape((b, steps, stride)).any(axis=2)


class STGCNTrunk(nn.Module):
    """Points over time to the features of steps, of four frames with the published strides.

    Attributes:
        edges: pairs of neighbouring points; None for those of facial landmarks.
        centre: the point from which the partition 'spatial' counts.
        partition: how a point's neighbours are told apart: 'uniform', 'distance' or 'spatial'.
        widths, strides: of the blocks; the first has no residual.
        kernel: frames of a temporal convolution, odd.
        dropout: rate after each temporal convolution; draws from the rng stream 'dropout'.
        dtype: compute dtype. Parameters and statistics are float32.
    """

    edges: Sequence[tuple[int, int]] | None = None
    centre: int = CENTRE
    partition: str = "spatial"
    widths: Sequence[int] = WIDTHS
    strides: Sequence[int] = STRIDES
    kernel: int = 9
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self, x: Float[Array, "b t p c"], valid: Bool[Array, "b t"], *, train: bool = False
    ) -> tuple[Float[Array, "b steps d"], Bool[Array, "b steps"]]:
        """Return the mean over points of every step in float32, and which steps have a valid frame.

        `x` must be zero where it is not valid.
        """
        b, t, points, channels = x.shape
        edges = EDGES[points] if self.edges is None else self.edges
        adjacency = partitioned(points, edges, partition=self.partition, centre=self.centre)
        # As published, every coordinate of every point has its own statistics. They are float32: half precision would
        # round away small movements before they are scaled up.
        flat = x.astype(jnp.float32).reshape((b, t, points * channels))
        flat = Norm(name="input_norm")(flat, valid, train=train).astype(self.dtype)
        x = jnp.where(valid[..., None, None], flat.reshape((b, t, points, channels)), 0)
        for index, (width, stride) in enumerate(zip(self.widths, self.strides, strict=True)):
            block = STGCNBlock(
                width, stride, self.kernel, index > 0, self.dropout, self.dtype, name=f"block{index}"
            )
            x, valid = block(x, adjacency, valid, train=train)
        return x.mean(axis=2, dtype=jnp.float32), valid


class STGCN(nn.Module):
    """Landmarks of clips to logits of being fake.

    Invalid frames are zero in every layer and count in no statistic and no mean. A frame has the logit of its step (of
    four frames with the published strides); a clip scores the mean over its steps with a valid frame.

    Attributes:
        points: number of landmarks: 81, or 68 to leave out the forehead, whose points are the least certain.
        partition: how a point's neighbours are told apart: 'uniform', 'distance' or 'spatial'.
        motion: whether a second trunk sees the differences between frames; the logits are summed.
        widths, strides, kernel, dropout, dtype: as in `STGCNTrunk`.
    """

    # The points of a single frame tell the shape of a face, which no forgery need change.
    motion_only = True

    points: int = LANDMARKS
    partition: str = "spatial"
    motion: bool = False
    widths: Sequence[int] = WIDTHS
    strides: Sequence[int] = STRIDES
    kernel: int = 9
    dropout: float = 0.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_known("ST-GCN", EDGES, points=self.points)
        check_known("ST-GCN", PARTITIONS, partition=self.partition)
        check_dtype("ST-GCN", dtype=self.dtype)
        check_positive("ST-GCN", kernel=self.kernel)
        check_rate("ST-GCN", dropout=self.dropout)
        self.widths, self.strides = widths, strides = tuple(self.widths), tuple(self.strides)
        if not widths or len(widths) != len(strides) or min(widths + strides) < 1:
            raise FakedetectError(
                f"ST-GCN widths={widths!r} and strides={strides!r} must have one positive entry a block each"
            )
        if self.kernel % 2 == 0:
            raise FakedetectError(f"ST-GCN kernel={self.kernel} must be odd")
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Return the logits [b] of clips, and {'frame_logit': [b, t], 'features': [b, d]}, all float32.

        Raises:
            FakedetectError: the clip has no landmarks, or too few.
        """
        landmarks, valid = clip.landmarks, clip.mask
        if landmarks is None:
            raise FakedetectError(f"ST-GCN needs landmarks [b, t, {LANDMARKS}, 2], got None")
        b, t = clip.frames.shape[:2]
        if landmarks.shape[2] < self.points:
            raise FakedetectError(
                f"ST-GCN with points={self.points} got {landmarks.shape[2]} landmarks a frame"
            )
        landmarks = jax.lax.slice_in_dim(landmarks, 0, self.points, axis=2)
        streams = {"joints": (normalised_landmarks(landmarks, valid), valid)}
        if self.motion:
            streams["motion"] = differences(*streams["joints"])
        logit, frame_logit, features = jnp.zeros((b,)), jnp.zeros((b, t)), []
        for name, (x, counted) in streams.items():
            trunk = STGCNTrunk(
                partition=self.partition,
                widths=self.widths,
                strides=self.strides,
                kernel=self.kernel,
                dropout=self.dropout,
                dtype=self.dtype,
                name=name,
            )
            found, steps = trunk(x, counted, train=train)
            features.append(masked_mean(found, steps))
            head = nn.Dense(1, kernel_init=truncated_normal, name=f"{name}_head")
            logit = logit + head(features[-1]).squeeze(-1)
            span = int(np.prod(self.strides))
            repeated = jnp.broadcast_to(head(found), (*found.shape[:2], span))
            repeated = repeated.reshape((b, found.shape[1] * span))
            frame_logit = frame_logit + jax.lax.slice_in_dim(repeated, 0, t, axis=1)
        return logit, {"frame_logit": frame_logit, "features": jnp.concatenate(features, axis=-1)}
