"""Every pair of parts that a config may name builds, and what makes no sense is refused."""

import itertools

import jax
import numpy as np
import pytest

from fakedetect_jax import models
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.frequency import FREQUENCY
from fakedetect_jax.models.fusion import FUSIONS
from fakedetect_jax.models.spatial import SPATIAL
from fakedetect_jax.models.temporal import TEMPORAL

CLIP = Clip(jax.ShapeDtypeStruct((2, 3, 64, 64, 3), np.float32))
# Small ones of each kind.
SMALL_SPATIAL = {
    "convnext": {"depths": (1, 1), "dims": (8, 16)},
    "convnext_v2": {"depths": (1, 1), "dims": (8, 16)},
    "efficientnet": {"width": 0.1, "depth": 0.1},
    "resnet": {"depths": (1, 1), "stem": 8},
    "xception": {"widths": (4, 4, 8, 8, 8, 8, 8, 8), "middle_blocks": 1},
}
SMALL_TEMPORAL = {"transformer": {"layers": 1}, "factorised": {"layers": 1, "spatial_layers": 1}}


def spatial(name):
    options = SMALL_SPATIAL[name]
    return {"name": name, **({} if name == "xception" else {"variant": None}), **options}


def shapes(**parts):
    model = models.create("detector", **parts)
    (logit, out), _ = jax.eval_shape(model.init_with_output, jax.random.key(0), CLIP)
    return logit.shape, out["frame_logit"].shape, out["features"].shape


def test_every_kind_has_a_small_one():
    assert set(SMALL_SPATIAL) == set(SPATIAL)


@pytest.mark.parametrize(("space", "time"), list(itertools.product(SPATIAL, TEMPORAL)))
def test_every_backbone_with_every_temporal_part(space, time):
    temporal = {"name": time, **SMALL_TEMPORAL.get(time, {})}
    logit, frames, features = shapes(spatial=spatial(space), temporal=temporal)
    assert (logit, frames, len(features)) == ((2,), (2, 3), 2)


@pytest.mark.parametrize(("frequency", "fusion"), list(itertools.product(FREQUENCY, FUSIONS)))
def test_every_frequency_branch_with_every_fusion(frequency, fusion):
    logit, frames, _ = shapes(
        spatial=spatial("convnext"), frequency={"name": frequency}, fusion={"name": fusion}
    )
    assert (logit, frames) == ((2,), (2, 3))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"spatial": {"name": "vgg"}}, "spatial has no kind 'vgg'; known: convnext"),
        ({"spatial": {"name": "resnet", "layers": 50}}, "spatial has no option layers; known: variant"),
        ({"spatial": {"variant": "atto"}, "fusion": {"name": "cross_attention"}}, "two branches"),
        ({"motion": {}, "temporal": {"name": "factorised"}}, "maps"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(parts, message):
    with pytest.raises(ValueError, match=message):
        shapes(**parts)
