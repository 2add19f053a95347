"""All or nothing: what is missing, left over or of another shape is refused with every name."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax import models
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.spatial import ConvNeXt, ResNet, Xception
from fakedetect_jax.weights import (
    SOURCES,
    MismatchError,
    WeightsError,
    load_into,
    make_naming,
    own_files,
    read_metadata,
)
from fakedetect_jax.weights.adapt import to_channels_of
from fakedetect_jax.weights.naming import (
    TRUNKS,
    as_it_is,
    find_trunk,
    first_convolution,
    flat_leaves,
    torch_layout,
)
from tests.weights import foreign

DEPTHS, DIMS = (1, 1), (8, 16)
TINY = {"variant": None, "depths": DEPTHS, "dims": DIMS}


@pytest.fixture(scope="module")
def tensors():
    state = foreign.convnext("timm", DEPTHS, DIMS).state_dict()
    return {name: value.numpy() for name, value in state.items()}


def _shapes(model, shape=(1, 2, 32, 32, 3)):
    given = jax.ShapeDtypeStruct(shape, jnp.float32)
    return jax.eval_shape(model.init, jax.random.key(0), given if len(shape) == 4 else Clip(given))


@pytest.fixture(scope="module")
def detector():
    return _shapes(models.create("convnext_atto", spatial=TINY, temporal={}))


def _naming(variables, **options):
    return make_naming(SOURCES["timm"], variables, **options)


def test_a_detector_takes_a_backbone_where_its_other_modules_may_stay(detector, tensors):
    with pytest.raises(MismatchError) as refused:
        load_into(detector, tensors, _naming(detector))
    message = str(refused.value)
    assert "--allow-missing clip_head,frame_head,temporal" in message
    assert "params/frame_head/kernel" in message
    loaded, report = load_into(detector, tensors, _naming(detector), allow_missing=["head", "temporal"])
    flat = flat_leaves(loaded)
    assert {path.split("/")[1] for path in report.missing} == {"clip_head", "frame_head", "temporal"}
    assert all(isinstance(flat[path], jax.ShapeDtypeStruct) for path in report.missing)
    assert set(report.used) == set(flat) - set(report.missing)
    assert report.dropped == ("head.fc.bias", "head.fc.weight")
    assert set(report.used.values()) == set(tensors) - set(report.dropped)
    np.testing.assert_array_equal(
        flat["params/spatial/stage0_block0/expand/kernel"], tensors["stages.0.blocks.0.mlp.fc1.weight"].T
    )
    assert "not needed here: head.fc.bias; head.fc.weight" in report.describe()


def test_what_was_there_is_not_changed_and_what_is_missing_stays(tensors):
    class WithHead(nn.Module):
        @nn.compact
        def __call__(self, images):
            features, _ = ConvNeXt(depths=DEPTHS, dims=DIMS, name="spatial")(images)
            return nn.Dense(1, name="head")(features)

    shapes = _shapes(WithHead(), (1, 32, 32, 3))
    before = jax.tree.map(lambda leaf: np.full(leaf.shape, 7.0, np.float32), shapes)
    loaded, _ = load_into(before, tensors, _naming(before), allow_missing=["head"])
    assert all((leaf == 7).all() for leaf in jax.tree.leaves(before))
    assert (loaded["params"]["head"]["kernel"] == 7).all()
    assert not (loaded["params"]["spatial"]["stem"]["kernel"] == 7).any()


def test_a_missing_name_of_the_trunk_cannot_be_allowed(detector, tensors):
    less = {name: value for name, value in tensors.items() if name != "stem.0.bias"}
    with pytest.raises(
        MismatchError, match=r"1 missing.*params/spatial/stem/bias \(stem\.0\.bias\)"
    ) as refused:
        load_into(detector, less, _naming(detector), allow_missing=["head", "temporal"])
    assert "--allow-missing" not in str(refused.value)
    with pytest.raises(WeightsError, match="names 'spatial'; modules that may be missing: clip_head"):
        load_into(detector, less, _naming(detector), allow_missing=["spatial"])


def test_the_head_convolution_of_an_efficientnet_is_no_head_that_may_be_missing():
    module = foreign.efficientnet("timm")
    state = {n: v.numpy() for n, v in module.state_dict().items() if not n.startswith("conv_head")}
    model = models.spatial.EfficientNet(width=0.5, depth=0.3)
    shapes = _shapes(model, (1, 32, 32, 3))
    with pytest.raises(WeightsError, match="modules that may be missing: none"):
        load_into(shapes, state, _naming(shapes), allow_missing=["head"])
    with pytest.raises(
        MismatchError, match=r"1 missing from the file: params/head/kernel \(conv_head\.weight\)"
    ):
        load_into(shapes, state, _naming(shapes))


def test_names_that_nothing_corresponds_to_are_refused(detector, tensors):
    more = tensors | {"stages.0.blocks.1.norm.weight": np.ones(8, np.float32), "norm_pre.weight": np.ones(8)}
    with pytest.raises(
        MismatchError, match=r"2 in the file that the model has no place for: norm_pre\.weight; stages"
    ):
        load_into(detector, more, _naming(detector), allow_missing=["head", "temporal"])


def test_shapes_that_differ_are_named_with_both(detector, tensors):
    other = tensors | {"stem.0.weight": np.ones((8, 4, 4, 4), np.float32)}
    message = (
        r"params/spatial/stem/kernel is \[4, 4, 3, 8\], but stem\.0\.weight in the file is \[8, 4, 4, 4\]"
    )
    with pytest.raises(MismatchError, match=message):
        load_into(detector, other, _naming(detector), allow_missing=["head", "temporal"])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(detector, tensors, value):
    other = tensors | {"stem.0.bias": np.full(8, value, np.float32)}
    with pytest.raises(MismatchError, match=r"stem\.0\.bias holds values that are not finite"):
        load_into(detector, other, _naming(detector), allow_missing=["head", "temporal"])


def test_long_lists_are_cut_in_the_message_and_whole_in_the_report(detector):
    with pytest.raises(MismatchError, match=r"and \d+ more") as refused:
        load_into(detector, {"a": np.ones(1)}, _naming(detector))
    assert len(refused.value.report.missing) == len(flat_leaves(detector))
    assert len(str(refused.value)) < 2000


def test_values_of_any_dtype_become_float32(detector, tensors):
    for dtype in ("float16", "float64", "bfloat16"):
        cast = {name: value.astype(dtype) for name, value in tensors.items()}
        loaded, report = load_into(detector, cast, _naming(detector), allow_missing=["head", "temporal"])
        flat = flat_leaves(loaded)
        assert {flat[path].dtype for path in report.used} == {np.dtype(np.float32)}


def test_weights_of_another_kind_are_refused_with_what_the_model_has(detector):
    with pytest.raises(WeightsError, match="for meso4, meso_inception4; the model has convnext in spatial"):
        make_naming(SOURCES["mesonet"], detector)
    with pytest.raises(WeightsError, match="none of these in 'temporal'"):
        _naming(detector, into="temporal")


def test_of_two_trunks_one_must_be_named(tensors):
    class Two(nn.Module):
        @nn.compact
        def __call__(self, images):
            for name in ("spatial", "frequency"):
                ConvNeXt(depths=DEPTHS, dims=DIMS, name=name)(images)

    shapes = _shapes(Two(), (1, 32, 32, 3))
    with pytest.raises(WeightsError, match=r"convnext in frequency, convnext in spatial.*--into"):
        _naming(shapes)
    naming = _naming(shapes, into="frequency")
    _, report = load_into(shapes, tensors, naming, allow_missing=["spatial"])
    assert all(path.startswith("params/frequency/") for path in report.used)


def test_each_kind_of_trunk_is_known_by_its_signs():
    assert set().union(*SOURCES.values()) == set(TRUNKS)
    for kind, model in {
        "convnext": ConvNeXt(depths=DEPTHS, dims=DIMS),
        "resnet": ResNet(depths=(1,), stem=4),
        "xception": Xception((4,) * 8, 1),
        "meso4": models.published.Meso4(),
        "meso_inception4": models.published.MesoInception4(),
        "r2plus1d": models.published.R2Plus1D(layers=10, width=4),
    }.items():
        size = (1, 64, 64, 3) if kind in models.spatial.SPATIAL else (1, 2, 64, 64, 3)
        shapes = _shapes(model, size)
        trunk, found = find_trunk(flat_leaves(shapes), TRUNKS)
        assert found == kind
        naming = make_naming({kind: next(f[kind] for f in SOURCES.values() if kind in f)}, shapes)
        leaf = flat_leaves(shapes)[first_convolution(naming)]
        assert leaf.shape[-2] == 3
        assert naming.trunk == trunk


def test_the_first_convolution_can_be_adapted_on_the_way(tensors):
    shapes = _shapes(ConvNeXt(depths=DEPTHS, dims=DIMS), (1, 32, 32, 6))
    naming = _naming(shapes)
    with pytest.raises(MismatchError, match=r"stem/kernel is \[4, 4, 6, 8\]"):
        load_into(shapes, tensors, naming)
    loaded, _ = load_into(shapes, tensors, naming.with_layout(first_convolution(naming), to_channels_of))
    kernel = loaded["params"]["stem"]["kernel"]
    np.testing.assert_allclose(kernel[:, :, :3], tensors["stem.0.weight"].transpose(2, 3, 1, 0) / 2)
    np.testing.assert_array_equal(kernel[:, :, :3], kernel[:, :, 3:])


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ((5, 4, 3, 2), (3, 2, 4, 5)),
        ((5, 4, 2, 3, 3), (2, 3, 3, 4, 5)),
        ((5, 1, 3, 3), (3, 3, 5)),
        ((5, 4), (4, 5)),
        ((5, 4, 1, 1), (4, 5)),
        ((5, 4), (1, 1, 4, 5)),
        ((1, 1, 1, 5), (5,)),
        ((5, 1, 1), (5,)),
        ((5,), (5,)),
    ],
)
def test_torch_layouts(theirs, ours):
    array = np.arange(np.prod(theirs)).reshape(theirs)
    result = torch_layout(array, ours)
    assert result.shape == ours
    if len(ours) == 3:
        np.testing.assert_array_equal(result[1, 2], array[:, 0, 1, 2])
    elif len(theirs) > 1 and len(ours) > 1:
        np.testing.assert_array_equal(result[..., 1, 2].ravel(), array[2, 1].ravel())
    else:
        np.testing.assert_array_equal(result, array.ravel())


def test_layouts_that_cannot_be_are_left_for_the_check_of_shapes():
    for theirs, ours in (((5, 2, 3, 3), (3, 3, 5)), ((5,), (4, 5)), ((5, 4), (20,)), ((5, 4, 3, 3), (4, 5))):
        assert torch_layout(np.zeros(theirs), ours).shape != ours
    assert as_it_is(np.ones(2), (3,)).shape == (2,)


def test_our_own_files_come_back_whole_or_in_part(tmp_path, detector, tensors):
    loaded, report = load_into(detector, tensors, _naming(detector), allow_missing=["head", "temporal"])
    origin = own_files.Origin("convnext_atto", {"spatial": TINY}, "timm", "a.pth")
    path = own_files.save(tmp_path / "new" / "w.safetensors", loaded, origin)
    assert [file.name for file in path.parent.iterdir()] == ["w.safetensors"]
    assert read_metadata(path)["source"] == "timm"
    assert own_files.origin_of(path).options == {"spatial": {**TINY, "depths": [1, 1], "dims": [8, 16]}}
    start = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), detector)
    again, second = own_files.load(path, start, allow_missing=["head", "temporal"])
    assert set(second.used) == set(report.used)
    for name, leaf in flat_leaves(again).items():
        np.testing.assert_array_equal(leaf, flat_leaves(loaded)[name] if name in report.used else 0)
    with pytest.raises(MismatchError, match="--allow-missing clip_head,frame_head,temporal"):
        own_files.load(path, start)
