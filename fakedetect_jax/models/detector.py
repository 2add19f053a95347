"""The detector: branches on the frames and their motion, fusion, a verdict over the clip. Each part is optional."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.core import FrozenDict
from jaxtyping import Array, Bool, Float

from fakedetect_jax.models.frequency.spectral_filter import FrequencyBranch
from fakedetect_jax.models.fusion import FUSIONS
from fakedetect_jax.models.mask_decoder import MaskDecoder
from fakedetect_jax.models.motion import MotionBranch
from fakedetect_jax.models.spatial.convnext import ConvNeXt
from fakedetect_jax.models.temporal.pooling import masked_mean
from fakedetect_jax.models.temporal.transformer import TemporalTransformer

# name: (mean, standard deviation) of red, green and blue in [0, 1]
NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
DTYPES = ("float32", "bfloat16")
PARTS: dict[str, type[nn.Module]] = {
    "spatial": ConvNeXt,
    "frequency": FrequencyBranch,
    "motion": MotionBranch,
    "temporal": TemporalTransformer,
    "mask": MaskDecoder,
}

BRANCHES = ("spatial", "frequency", "motion")

_truncated_normal = nn.initializers.truncated_normal(0.02)


class Detector(nn.Module):
    """Clips of face crops to logits of being fake.

    A part is None (absent) or a mapping of that part's options, as {'variant': 'atto', 'drop_path': 0.1};
    an empty mapping takes the defaults. ValueError for a detector without any branch and for unknown
    options.

    Attributes:
        spatial: options of `ConvNeXt`.
        frequency: options of `FrequencyBranch`.
        motion: options of `MotionBranch`, which needs clips of at least two frames.
        fusion: how the branches' features are joined; a name in `FUSIONS`.
        temporal: options of `TemporalTransformer`; None scores a clip by the mean of its valid frames'
            logits.
        mask: options of `MaskDecoder`, which reads the maps of the spatial branch, or without one those of the
            frequency branch.
        dropout: rate on the features before the heads.
        normalisation: 'imagenet' or 'half'; a name in `NORMALISATIONS`.
        dtype: compute dtype of all parts, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    spatial: Mapping[str, Any] | None = None
    frequency: Mapping[str, Any] | None = None
    motion: Mapping[str, Any] | None = None
    fusion: str = "concat"
    temporal: Mapping[str, Any] | None = None
    mask: Mapping[str, Any] | None = None
    dropout: float = 0.0
    normalisation: str = "imagenet"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if all(getattr(self, part) is None for part in BRANCHES):
            raise ValueError(
                "the detector has no branch: give spatial={'variant': 'tiny'}, frequency={}, motion={} or several"
            )
        if self.mask is not None and self.spatial is None and self.frequency is None:
            raise ValueError(
                "the part mask reads the maps of the spatial or the frequency branch: give one of them"
            )
        for field, known in (("fusion", FUSIONS), ("normalisation", NORMALISATIONS), ("dtype", DTYPES)):
            if getattr(self, field) not in known:
                raise ValueError(
                    f"{field}={getattr(self, field)!r} is not known; use one of {', '.join(known)}"
                )
        for part in PARTS:
            object.__setattr__(self, part, _checked(part, getattr(self, part)))
            if getattr(self, part) is not None:
                self._build(part, parent=None)  # raises here rather than at init when an option is wrong
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        frames: Float[Array, "b t h w 3"],
        *,
        landmarks: Float[Array, "b t p 2"] | None = None,
        valid: Bool[Array, "b t"] | None = None,
        train: bool = False,
    ) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips of RGB frames in [0, 1]; `valid` (default: all) tells which frames count for a clip.

        Returns the clip logit [b] and {'frame_logit': [b, t], 'features': [b, d]}, all float32. The frame
        logits of frames that are not valid mean nothing. With the part `mask` also 'blend_mask' [b, t, h_m, w_m],
        logits of how much of each cell's content was blended in. `landmarks` is not used. Training draws from the
        rng stream 'dropout'.
        """
        b, t, h, w, c = frames.shape
        valid = jnp.ones((b, t), bool) if valid is None else valid.astype(bool)
        clips = _normalise(frames.astype(jnp.float32), self.normalisation)
        images = clips.reshape((b * t, h, w, c))
        branches, maps = [], []
        for part in ("spatial", "frequency"):
            if getattr(self, part) is not None:
                pooled, stages = self._build(part, name=part)(images, train=train)
                branches.append(pooled)
                maps.append(stages)
        out = {}
        if self.mask is not None:
            logits = self._build("mask", name="mask")(maps[0])
            out["blend_mask"] = logits.reshape((b, t, *logits.shape[1:]))
        if self.motion is not None:
            motion = self._build("motion", name="motion")(clips, valid, train=train)
            branches.append(motion.reshape((b * t, -1)))
            maps.append([])
        fuse = FUSIONS[self.fusion](dtype=self.dtype, name="fusion")
        features = fuse(branches, maps, train=train).reshape((b, t, -1))
        dropped = nn.Dropout(self.dropout, deterministic=not train)(features)
        frame_logit = self._head("frame_head", dropped)
        out["frame_logit"] = frame_logit
        if self.temporal is None:
            return masked_mean(frame_logit, valid), out | {"features": masked_mean(features, valid)}
        clip = self._build("temporal", name="temporal")(dropped, valid, train=train)
        return self._head("clip_head", clip), out | {"features": clip}

    def _build(self, part: str, **names: Any) -> Any:
        return PARTS[part](**{"dtype": self.dtype, **getattr(self, part)}, **names)

    def _head(self, name: str, features: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
        return nn.Dense(1, kernel_init=_truncated_normal, name=name)(features)[..., 0]


def option_names(module: type[nn.Module]) -> list[str]:
    """Names of a module's options."""
    return [field.name for field in dataclasses.fields(module) if field.name not in ("parent", "name")]


def _checked(part: str, options: Any) -> FrozenDict | None:
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise ValueError(f"{part}={options!r} must be None or a mapping of options")
    known = option_names(PARTS[part])
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{part} has no option {', '.join(unknown)}; known: {', '.join(known)}")
    # Flax compares and hashes modules by their attributes: lists would not be hashable.
    return FrozenDict({name: tuple(v) if isinstance(v, list) else v for name, v in options.items()})


def _normalise(frames: Float[Array, "b t h w 3"], normalisation: str) -> Float[Array, "b t h w 3"]:
    mean, std = (jnp.array(values)[None, None, None, None] for values in NORMALISATIONS[normalisation])
    return (frames - mean) / std
