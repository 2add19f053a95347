"""Models by name and their table."""

import jax
import pytest

from fakedetect_jax import models
from fakedetect_jax.models.catalogue import CATALOGUE

# With the published number of classes, from the papers or their authors' code; ours has one logit, or none over maps.
PUBLISHED = {
    "convnext_tiny": 28_589_128 - 769_000 + 769,
    "efficientnet_b0": 5_288_548 - 1_281_000 + 1_281,
    "resnet_50": 25_557_032 - 2_049_000 + 2_049,
    "resnext_50": 25_028_904 - 2_049_000 + 2_049,
    "xception": 22_855_952 - 2_049_000 + 2_049,
    "meso4": 27_977,
    "meso_inception4": 28_615,
    "r2plus1d_18": 31_505_325 - 400 * 513 + 513,
    "i3d": 12_287_264 + 1_025,
}


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match="'resnet' is not known; use one of detector, frequency, convnext_atto"
    ):
        models.create("resnet")


def test_options_are_laid_over_those_of_the_name():
    model = models.create("convnext_nano", spatial={"drop_path": 0.2}, dropout=0.1)
    assert dict(model.spatial) == {"variant": "nano", "drop_path": 0.2}
    assert model.dropout == 0.1


def test_names_are_listed_in_the_order_of_the_catalogue():
    assert models.list_models() == list(CATALOGUE)
    assert models.list_models("resnet") == ["resnet_50", "resnet_101"]
    assert models.list_models("no such") == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_the_published_ones(name):
    entry = CATALOGUE[name]
    frames, size = entry.clip
    variables = jax.eval_shape(models.create(name).init, jax.random.key(0), models.clip_shapes(frames, size))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == PUBLISHED[name]


def test_the_table_counts_operations():
    (row,) = models.table(["convnext_tiny"])
    assert row.parameters == PUBLISHED["convnext_tiny"]
    # The published 4.5 G multiply-adds; norms and GELU come on top.
    assert 2 * 4.46e9 < row.flops < 2 * 4.46e9 * 1.1
    assert row.input == (1, 1, 224, 224, 3)
    assert "CVPR 2022" in row.source


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_model_is_hashable_and_has_a_source(name):
    model = models.create(name, **CATALOGUE[name].measured)
    assert hash(model) == hash(models.create(name, **CATALOGUE[name].measured))
    assert CATALOGUE[name].source
