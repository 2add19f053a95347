"""A training that begins from weights of elsewhere."""

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from fakedetect_jax import experiment, models
from fakedetect_jax.weights import WeightsError
from fakedetect_jax.weights.naming import flat_leaves
from fakedetect_jax.weights.start import start_from
from tests import tiny_config


@pytest.fixture(scope="module")
def config():
    config = tiny_config.get_config()
    config.model.options = {
        "spatial": {"name": "resnet", "variant": None, "depths": (1, 1), "stem": 8},
        "temporal": {"name": "gru", "dim": 8},
    }
    return config


def make(config, place="", source=""):
    config = config.copy_and_resolve_references()
    config.model.init_from, config.model.init_source = str(place), source
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    return experiment.make_state(config, model, optimizer)


def test_a_backbone_of_a_file_replaces_the_drawn_one(config, tmp_path):
    drawn = make(config)
    spatial = {
        name: np.asarray(leaf) + 1
        for name, leaf in flat_leaves(drawn.evaluated).items()
        if "/spatial/" in name
    }
    save_file(spatial, tmp_path / "backbone.safetensors")
    begun = make(config, tmp_path / "backbone.safetensors")
    expected = jax.tree.map(lambda leaf: leaf + 1, (drawn.params["spatial"], drawn.statistics["spatial"]))
    for got in (
        (begun.params["spatial"], begun.statistics["spatial"]),
        (begun.average["spatial"], begun.statistics["spatial"]),
    ):
        jax.tree.map(np.testing.assert_array_equal, got, expected)
    jax.tree.map(np.testing.assert_array_equal, begun.params["temporal"], drawn.params["temporal"])


def test_a_file_of_a_backbone_alone_goes_where_the_model_has_it(config, tmp_path):
    drawn = make(config)
    alone = {
        name.replace("/spatial/", "/", 1): np.asarray(leaf) + 1
        for name, leaf in flat_leaves(drawn.evaluated).items()
        if "/spatial/" in name
    }
    save_file(alone, tmp_path / "alone.safetensors")
    begun = make(config, tmp_path / "alone.safetensors")
    jax.tree.map(
        lambda got, before: np.testing.assert_array_equal(got, before + 1),
        (begun.params["spatial"], begun.statistics["spatial"]),
        (drawn.params["spatial"], drawn.statistics["spatial"]),
    )
    jax.tree.map(np.testing.assert_array_equal, begun.params["temporal"], drawn.params["temporal"])


def test_a_file_that_fits_two_modules_equally_well_is_refused(tmp_path):
    variables = {"params": {module: {"kernel": np.ones(2, np.float32)} for module in ("a", "b", "head")}}
    save_file({"params/kernel": np.zeros(2, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"fits a and b and head of the model equally well.*--into"):
        start_from(variables, str(tmp_path / "w.safetensors"), "")
    del variables["params"]["a"], variables["params"]["head"]
    loaded, _ = start_from(variables, str(tmp_path / "w.safetensors"), "")
    np.testing.assert_array_equal(loaded["params"]["b"]["kernel"], [0, 0])


def test_foreign_names_without_a_source_are_refused_with_the_option(config, tmp_path):
    save_file({"conv1.weight": np.ones(1)}, tmp_path / "w.safetensors")
    with pytest.raises(
        WeightsError, match=r"but such as conv1\.weight.*config\.model\.init_source, one of timm"
    ):
        make(config, tmp_path / "w.safetensors")


def test_half_a_backbone_is_refused(config, tmp_path):
    drawn = make(config)
    spatial = [name for name in flat_leaves(drawn.evaluated) if "/spatial/" in name]
    half = {name: np.asarray(flat_leaves(drawn.evaluated)[name]) for name in spatial[::2]}
    save_file(half, tmp_path / "half.safetensors")
    with pytest.raises(WeightsError, match="missing"):
        make(config, tmp_path / "half.safetensors")


def test_the_pretrained_lite0_is_named_by_its_name():
    config = tiny_config.get_config()
    config.model.options = {"spatial": {"name": "efficientnet", "variant": "lite0"}}
    model, clip = experiment.make_model(config), models.clip_shapes(2, 32)
    drawn = jax.eval_shape(model.init, jax.random.key(0), clip)
    variables, _ = start_from(drawn, "efficientnet_lite0", "")
    # Means of learned statistics; drawn ones are zero.
    means = [leaf for name, leaf in flat_leaves(variables).items() if name.endswith("mean")]
    assert np.abs(np.concatenate([np.ravel(mean) for mean in means])).mean() > 0.01


@pytest.mark.parametrize(
    ("place", "source", "message"),
    [
        ("nowhere.safetensors", "", "nowhere.safetensors: no such file. Remedy: check the path"),
        ("nowhere.safetensors", "tim", "init_source='tim' is not known; use one of timm"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(config, place, source, message):
    with pytest.raises(WeightsError, match=message):
        make(config, place, source)
