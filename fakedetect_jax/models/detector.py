"""The detector: branches on the frames and their motion, fusion, a verdict over the clip. Each part is optional."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from flax.core import FrozenDict
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import NORMALISATIONS, Clip, fill_invalid, normalise
from fakedetect_jax.models.frequency import FREQUENCY
from fakedetect_jax.models.fusion import FUSIONS
from fakedetect_jax.models.mask_decoder import MaskDecoder
from fakedetect_jax.models.motion import MotionBranch
from fakedetect_jax.models.spatial import SPATIAL
from fakedetect_jax.models.temporal import TEMPORAL
from fakedetect_jax.models.temporal.pooling import masked_mean

DTYPES = ("float32", "bfloat16")
# part: (its kinds by name, the one that is meant without a name)
PARTS: dict[str, tuple[dict[str, type[nn.Module]], str]] = {
    "spatial": (SPATIAL, "convnext"),
    "frequency": (FREQUENCY, "spectral"),
    "motion": ({"energy": MotionBranch}, "energy"),
    "fusion": (FUSIONS, "concat"),
    "temporal": (TEMPORAL, "transformer"),
    "mask": ({"pyramid": MaskDecoder}, "pyramid"),
}

BRANCHES = ("spatial", "frequency", "motion")

_truncated_normal = nn.initializers.truncated_normal(0.02)


class Detector(nn.Module):
    """Clips of face crops to logits of being fake.

    A part is None (absent) or a mapping of that part's options, as {'variant': 'atto', 'drop_path': 0.1}, in which
    'name' chooses the kind: {'name': 'resnet', 'variant': '50'}. Without it a part is of its first kind, and an
    empty mapping takes all defaults. ValueError for a detector without any branch and for unknown options.

    Attributes:
        spatial: a kind of `SPATIAL` ('convnext' without a name) and its options.
        frequency: a kind of `FREQUENCY` ('spectral').
        motion: options of `MotionBranch`, which needs clips of at least two frames.
        fusion: how the branches are joined: a kind of `FUSIONS` and its options, or its name alone.
        temporal: a kind of `TEMPORAL` ('transformer'); None scores a clip by the mean of its valid frames'
            logits.
        methods: names of at least two forgery methods, as the datasets have them, between which the model is to tell
            by a head of its own; none for no such head.
        mask: options of `MaskDecoder`, which reads the maps of the spatial branch, or without one those of the
            frequency branch.
        frozen: branches that are not trained: without dropout or new statistics, and without gradients, which are
            not computed either. The optimiser must leave their parameters alone as well.
        dropout: rate on the features before the heads.
        normalisation: 'imagenet', 'half' or 'none'; a name in `NORMALISATIONS`.
        dtype: compute dtype of all parts, 'float32' or 'bfloat16'. Parameters and logits are float32.
    """

    spatial: Mapping[str, Any] | None = None
    frequency: Mapping[str, Any] | None = None
    motion: Mapping[str, Any] | None = None
    fusion: str | Mapping[str, Any] = "concat"
    temporal: Mapping[str, Any] | None = None
    mask: Mapping[str, Any] | None = None
    methods: Sequence[str] = ()
    frozen: Sequence[str] = ()
    dropout: float = 0.0
    normalisation: str = "imagenet"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if all(getattr(self, part) is None for part in BRANCHES):
            raise FakedetectError(
                "the detector has no branch: give spatial={'variant': 'tiny'}, frequency={}, motion={} or several"
            )
        if self.mask is not None and self.spatial is None and self.frequency is None:
            raise FakedetectError(
                "the part mask reads the maps of the spatial or the frequency branch: give one of them"
            )
        for field, known in (("normalisation", NORMALISATIONS), ("dtype", DTYPES)):
            if getattr(self, field) not in known:
                raise FakedetectError(
                    f"{field}={getattr(self, field)!r} is not known; use one of {', '.join(known)}"
                )
        object.__setattr__(self, "frozen", tuple(self.frozen))
        object.__setattr__(self, "methods", tuple(self.methods))
        if len(self.methods) == 1 or len(set(self.methods)) < len(self.methods):
            raise FakedetectError(f"methods={self.methods!r} must be at least two different names, or none")
        if isinstance(self.fusion, str):
            object.__setattr__(self, "fusion", {"name": self.fusion})
        for part in self.frozen:
            if part not in BRANCHES or getattr(self, part) is None:
                raise FakedetectError(
                    f"frozen={self.frozen!r} names {part!r}, which is no branch of this detector"
                )
        for part in PARTS:
            object.__setattr__(self, part, _checked(part, getattr(self, part)))
            if getattr(self, part) is not None:
                self._build(part, parent=None)  # raises here rather than at init when an option is wrong
        super().__post_init__()

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips of RGB frames in [0, 1]. `valid` (default: all) tells which frames count for a clip.

        Returns the clip logit [b] and {'frame_logit': [b, t], 'features': [b, d]}, all float32. With the part `mask`
        also 'blend_mask' [b, t, h_m, w_m], logits of how much of each cell's content was blended in; with `methods`
        also 'method_logit' [b, m]. A frame that is not valid is replaced by the nearest one that is, and its logit
        means nothing. `landmarks` are not used, `timestamps` (seconds) only by temporal parts with
        positions='timestamps'. Training draws from the rng stream 'dropout'.
        """
        b, t, h, w, c = clip.frames.shape
        # Statistics of batch norms must not see what is no frame.
        frames, valid = fill_invalid(clip)
        normalised = normalise(frames, NORMALISATIONS[self.normalisation])
        images = normalised.reshape((b * t, h, w, c))
        branches, maps = [], []
        for part in ("spatial", "frequency"):
            if getattr(self, part) is not None:
                pooled, stages = self._branch(part, images, train=train)
                branches.append(pooled)
                maps.append(stages)
        out = {}
        if self.mask is not None:
            logits = self._build("mask", name="mask")(maps[0])
            out["blend_mask"] = logits.reshape((b, t, *logits.shape[1:]))
        if self.motion is not None:
            motion = self._branch("motion", normalised, valid, train=train)
            branches.append(motion.reshape((b * t, -1)))
            maps.append([])
        features = self._build("fusion", name="fusion")(branches, maps, train=train).reshape((b, t, -1))
        dropped = nn.Dropout(self.dropout, deterministic=not train)(features)
        frame_logit = self._head("frame_head", dropped)
        out["frame_logit"] = frame_logit
        if self.temporal is None:
            pooled = masked_mean(features, valid)
            return masked_mean(frame_logit, valid), out | {"features": pooled} | self._attributed(pooled)
        last = maps[0][-1] if maps[0] else None
        last = None if last is None else last.reshape((b, t, *last.shape[1:]))
        temporal = self._build("temporal", name="temporal")
        pooled = temporal(dropped, valid, maps=last, timestamps=clip.timestamps, train=train)
        return self._head("clip_head", pooled), out | {"features": pooled} | self._attributed(pooled)

    def _branch(self, part: str, *inputs: Array, train: bool) -> Any:
        trained = part not in self.frozen
        out = self._build(part, name=part)(*inputs, train=train and trained)
        return out if trained else jax.lax.stop_gradient(out)

    def _build(self, part: str, **names: Any) -> Any:
        options = dict(getattr(self, part))
        kind = _kind(part, options.pop("name", None))
        _, deviation = NORMALISATIONS[self.normalisation]
        shared = {"dtype": self.dtype, "levels": 255 * sum(deviation) / len(deviation)}
        own = {name: value for name, value in shared.items() if name in option_names(kind)}
        return kind(**{**own, **options}, **names)

    def _head(self, name: str, features: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
        return nn.Dense(1, kernel_init=_truncated_normal, name=name)(features)[..., 0]

    def _attributed(self, features: Float[Array, "b d"]) -> dict[str, Array]:
        if not self.methods:
            return {}
        head = nn.Dense(len(self.methods), kernel_init=_truncated_normal, name="method_head")
        return {"method_logit": head(features)}


def option_names(module: type[nn.Module]) -> list[str]:
    """Names of a module's options."""
    return [field.name for field in dataclasses.fields(module) if field.name not in ("parent", "name")]


def _kind(part: str, name: str | None) -> type[nn.Module]:
    kinds, default = PARTS[part]
    if (name or default) not in kinds:
        raise FakedetectError(f"{part} has no kind {name!r}; known: {', '.join(kinds)}")
    return kinds[name or default]


def _checked(part: str, options: Any) -> FrozenDict | None:
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise FakedetectError(f"{part}={options!r} must be None or a mapping of options")
    known = option_names(_kind(part, options.get("name")))
    unknown = sorted(set(options) - set(known) - {"name"})
    if unknown:
        raise FakedetectError(f"{part} has no option {', '.join(unknown)}; known: {', '.join(known)}")
    # Flax compares and hashes modules by their attributes: lists would not be hashable.
    return FrozenDict({name: tuple(v) if isinstance(v, list) else v for name, v in options.items()})
