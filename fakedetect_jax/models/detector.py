"""The detector: branches on frames and motion, their fusion, a verdict over the clip. Each part is optional."""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
from flax.core import FrozenDict
from jaxtyping import Array, Float

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.models.clip import NORMALISATIONS, Clip, fill_invalid, levels_of, normalise
from fakedetect_jax.models.frequency import FREQUENCY
from fakedetect_jax.models.fusion import FUSIONS
from fakedetect_jax.models.layers import masked_mean, truncated_normal
from fakedetect_jax.models.mask_decoder import MaskDecoder
from fakedetect_jax.models.motion import MotionBranch
from fakedetect_jax.models.options import (
    check_dtype,
    check_known,
    check_names,
    check_rate,
    hashable,
    option_names,
)
from fakedetect_jax.models.spatial import SPATIAL
from fakedetect_jax.models.temporal import TEMPORAL

# part: (its kinds by name, the kind without a name)
PARTS: dict[str, tuple[dict[str, type[nn.Module]], str]] = {
    "spatial": (SPATIAL, "convnext"),
    "frequency": (FREQUENCY, "spectral"),
    "motion": ({"energy": MotionBranch}, "energy"),
    "fusion": (FUSIONS, "concat"),
    "temporal": (TEMPORAL, "transformer"),
    "mask": ({"pyramid": MaskDecoder}, "pyramid"),
}

BRANCHES = ("spatial", "frequency", "motion")


class Detector(nn.Module):
    """Clips of face crops to logits of being fake.

    A part is None (absent) or a mapping of its options, such as {'variant': 'atto', 'drop_path': 0.1}. The option
    'name' chooses the kind, as in {'name': 'resnet', 'variant': '50'}; without it a part has the kind in `PARTS`. An
    empty mapping takes all defaults. At least one branch (spatial, frequency or motion) must be present.

    Attributes:
        spatial: a kind of `SPATIAL` ('convnext' without a name) and its options.
        frequency: a kind of `FREQUENCY` ('spectral' without a name) and its options.
        motion: options of `MotionBranch`, which needs clips of at least two frames.
        fusion: a kind of `FUSIONS` and its options, or only its name; joins the branches.
        temporal: a kind of `TEMPORAL` ('transformer' without a name) and its options; None scores a clip by the mean
            of its valid frames' logits.
        mask: options of `MaskDecoder`, which reads the maps of the spatial branch, or without one those of the
            frequency branch.
        methods: names of at least two forgery methods, as in the datasets, which an own head tells apart; empty for
            no such head.
        frozen: branches that are not trained. They have no dropout, no new statistics and no gradients, which are not
            computed either. The optimiser must leave their parameters alone, too.
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
        check_known("detector", NORMALISATIONS, normalisation=self.normalisation)
        check_rate("detector", dropout=self.dropout)
        check_dtype("detector", dtype=self.dtype)
        self.frozen, self.methods = tuple(self.frozen), tuple(self.methods)
        if len(self.methods) == 1 or len(set(self.methods)) < len(self.methods):
            raise FakedetectError(f"methods={self.methods!r} must be at least two different names, or none")
        if isinstance(self.fusion, str):
            self.fusion = {"name": self.fusion}
        for part in self.frozen:
            if part not in BRANCHES or getattr(self, part) is None:
                raise FakedetectError(
                    f"frozen={self.frozen!r} names {part!r}, which is not a branch of this detector"
                )
        for part in PARTS:
            setattr(self, part, _checked(part, getattr(self, part)))
            if getattr(self, part) is not None:
                self._build(part, parent=None)  # checks its options
        super().__post_init__()

    @property
    def motion_only(self) -> bool:
        """Whether frames are only compared with each other: nothing is seen in a frame by itself."""
        return self.spatial is None and self.frequency is None

    @nn.compact
    def __call__(self, clip: Clip, *, train: bool = False) -> tuple[Float[Array, "b"], dict[str, Array]]:
        """Score clips. Training draws from the rng stream 'dropout'.

        Returns:
            The logits [b] of clips, and a dictionary of float32 arrays:

            - 'frame_logit' [b, t]. An invalid frame is replaced by the nearest valid one, and its logit means nothing.
            - 'features' [b, d] of the clips.
            - 'blend_mask' [b, t, h_m, w_m] with the part `mask`: logits of how much of each cell was blended in.
            - 'method_logit' [b, m] with `methods`.
        """
        b, t, h, w, c = clip.frames.shape
        # The statistics of batch norms must not see invalid frames.
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
        shared = {"dtype": self.dtype, "levels": levels_of(NORMALISATIONS[self.normalisation])}
        own = {name: value for name, value in shared.items() if name in option_names(kind)}
        return kind(**{**own, **options}, **names)

    def _head(self, name: str, features: Float[Array, "*batch d"]) -> Float[Array, "*batch"]:
        return nn.Dense(1, kernel_init=truncated_normal, name=name)(features)[..., 0]

    def _attributed(self, features: Float[Array, "b d"]) -> dict[str, Array]:
        if not self.methods:
            return {}
        head = nn.Dense(len(self.methods), kernel_init=truncated_normal, name="method_head")
        return {"method_logit": head(features)}


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
    check_names(part, _kind(part, options.get("name")), set(options) - {"name"})
    return hashable(options)
