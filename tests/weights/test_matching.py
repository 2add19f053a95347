"""Weights are found wherever a training script left them, by the names that the model's family expects."""

import itertools
import time

import jax
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from fakedetect_jax.models.spatial import ConvNeXt, EfficientNet
from fakedetect_jax.weights import SOURCES, MismatchError, WeightsError, load_file, make_naming, read_matching
from fakedetect_jax.weights.matching import best_matches, find_matches
from fakedetect_jax.weights.naming import flat_leaves
from fakedetect_jax.weights.other_sources import suggesting_sources
from tests.weights import foreign

HALVES = {"width": 0.5, "depth": 0.3}


@pytest.fixture(scope="module")
def shapes():
    images = jax.ShapeDtypeStruct((1, 44, 44, 3), np.float32)
    return jax.eval_shape(EfficientNet(**HALVES).init, jax.random.key(0), images)


@pytest.fixture(scope="module")
def plain():
    """The same numbers under the names of two sources."""
    torch.manual_seed(0)
    state = foreign.efficientnet("efficientnet-pytorch").state_dict()
    renamed = dict(zip(foreign.efficientnet("timm").state_dict(), state.values(), strict=True))
    return {"efficientnet-pytorch": dict(state), "timm": renamed}


@pytest.fixture(scope="module")
def imported(shapes, plain, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "w.pth"
    torch.save(plain["timm"], path)
    return flat_leaves(load_file(shapes, path, make_naming(SOURCES["timm"], shapes))[0])


def _load(shapes, tree, path, source="timm", **options):
    torch.save(tree, path)
    with suggesting_sources(shapes):
        return load_file(shapes, path, make_naming(SOURCES[source], shapes), **options)


def _below(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def _assert_same(loaded, imported):
    flat = flat_leaves(loaded)
    assert flat.keys() == imported.keys()
    for name, leaf in flat.items():
        np.testing.assert_array_equal(leaf, imported[name])


@pytest.mark.parametrize("source", ["timm", "efficientnet-pytorch"])
@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "net.",
        "backbone.efficientnet.",
        "efficientnet.",
        "encoder.",
        "_orig_mod.",
        "module._orig_mod.model.",
        "a-word.of 3.nobody_thought.of.",
    ],
)
def test_any_prefix_is_found_and_said(shapes, plain, imported, tmp_path, source, prefix):
    """Beside a head, and a loss and a metric of a training framework, which lie outside the network."""
    others = {"last_layer.weight": torch.ones(2, 9), "loss.weight": torch.ones(2), "auc.tp": torch.tensor(3)}
    outer = prefix.split(".")[0]
    tree = {"state_dict": _below(prefix, plain[source]) | _below(f"{outer}_other.", others), "epoch": 3}
    loaded, report = _load(shapes, tree, tmp_path / "w.ckpt", source)
    _assert_same(loaded, imported)
    assert report.prefix == f"state_dict.{prefix}"
    assert f"{len(imported)} tensors used, below 'state_dict.{prefix}' in the file" in report.describe()
    assert set(report.beside) == {f"state_dict.{outer}_other.{name}" for name in others}
    assert "3 beside them in the file: state_dict." in report.describe()


def test_a_safetensors_file_needs_no_state_dict_for_its_prefix(shapes, plain, imported, tmp_path):
    state = {name: value.numpy() for name, value in plain["timm"].items()}
    save_file(_below("module.encoder.", state), tmp_path / "W.SAFETENSORS", metadata={"format": "pt"})
    loaded, report = load_file(shapes, tmp_path / "W.SAFETENSORS", make_naming(SOURCES["timm"], shapes))
    _assert_same(loaded, imported)
    assert report.prefix == "module.encoder."


@pytest.mark.parametrize("wrapper", ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
def test_wrappers_of_single_blocks_are_seen_through(shapes, plain, imported, tmp_path, wrapper):
    """As where every block alone was compiled, or sharded."""
    state = {name.replace("blocks.1.", f"blocks.1.{wrapper}."): v for name, v in plain["timm"].items()}
    assert any(wrapper in name for name in state)
    loaded, report = _load(shapes, _below(f"{wrapper}.net.", state), tmp_path / "w.pth")
    _assert_same(loaded, imported)
    assert report.prefix == f"{wrapper}.net."


@pytest.mark.parametrize("change", ["half", "bfloat16", "double", "turned", "tied"])
def test_numbers_are_those_that_torch_has(shapes, plain, tmp_path, change):
    """In other precisions, laid out in another order, or as views of one storage."""
    state = plain["timm"]
    if change == "turned":
        state = {
            name: value.transpose(0, 1).contiguous().transpose(0, 1) if value.ndim > 1 else value
            for name, value in state.items()
        }
        assert sum(not value.is_contiguous() for value in state.values()) > 10
    elif change == "tied":
        floats = torch.cat([value.reshape(-1) for value in state.values() if value.is_floating_point()])
        parts = iter(torch.split(floats, [v.numel() for v in state.values() if v.is_floating_point()]))
        state = {n: next(parts).view(v.shape) if v.is_floating_point() else v for n, v in state.items()}
    else:
        state = {n: getattr(v, change)() if v.is_floating_point() else v for n, v in state.items()}
    loaded, report = _load(shapes, _below("module.", state), tmp_path / "w.pth")
    flat = flat_leaves(loaded)
    for path, name in report.used.items():
        expected = state[name].to(torch.float32)
        # Kernels change their layout; the test of each family compares what they compute.
        np.testing.assert_array_equal(np.sort(flat[path], axis=None), np.sort(expected.numpy(), axis=None))
        if expected.ndim == 1:
            np.testing.assert_array_equal(flat[path], expected)
    stem = state["conv_stem.weight"].to(torch.float32)
    np.testing.assert_array_equal(flat["params/stem/kernel"], stem.permute(2, 3, 1, 0))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            torch.full((8, 3, 3, 3), 1e300, dtype=torch.float64),
            "conv_stem.weight holds values that are not finite",
        ),
        (torch.ones(8, 3, 3, 3, dtype=torch.complex64), "conv_stem.weight holds complex numbers"),
    ],
)
def test_numbers_that_float32_cannot_hold_are_refused(shapes, plain, tmp_path, value, message):
    value = value[:1].expand(shapes["params"]["stem"]["kernel"].shape[-1], 3, 3, 3).clone()
    with pytest.raises(MismatchError, match=message):
        _load(shapes, plain["timm"] | {"conv_stem.weight": value}, tmp_path / "w.pth")


CONTAINERS = {
    "itself": lambda state: state,
    "among numbers": lambda state: {"epoch": 3, "best": torch.tensor(0.9), "lr": [0.1, 0.2], "net": state},
    "beside a lone tensor": lambda state: state | {"epoch": 3},
    "in a dict": lambda state: {"state": {"model": state, "step": torch.tensor(7)}},
    "in a list": lambda state: [{"epoch": torch.tensor(1)}, {"weights": state}],
    "in a tuple": lambda state: ("v2", 3, state),
    "under a number": lambda state: {0: {"weights": state}, 1: None},
    "beside an optimizer": lambda state: {
        "optimizer": {
            "state": {k: {"exp_avg": v, "step": torch.tensor(2.0)} for k, v in enumerate(state.values())},
            "param_groups": [{"lr": 0.1, "params": list(range(len(state)))}],
        },
        "model": state,
        "scheduler": {"last_lr": [0.1], "base": torch.ones(3)},
        "rng": torch.get_rng_state(),
    },
}  # fmt: skip


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_lies_beside_the_state_dict_does_not_hide_it(shapes, plain, imported, tmp_path, container):
    tree = CONTAINERS[container](_below("module.", plain["timm"]))
    loaded, report = _load(shapes, tree, tmp_path / "w.pth")
    _assert_same(loaded, imported)
    assert report.prefix.endswith("module.")


def _changed(state):
    return {name: value + 1 for name, value in state.items()}


PAIRS = {
    "student and teacher": (lambda a, b: _below("student.", a) | _below("teacher.", b), "student", "teacher"),
    "an average": (lambda a, b: {"model": a, "model_ema": b}, "model", "model_ema"),
    "timm's average": (lambda a, b: {"state_dict": a, "state_dict_ema": b}, "state_dict", "state_dict_ema"),
    "at the top and below": (lambda a, b: a | _below("ema.", b), "", "ema"),
    "in a list": (lambda a, b: {"models": [_below("module.", a), b]}, "models.0.module", "models.1"),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_of_two_equally_good_places_one_must_be_named(shapes, plain, imported, tmp_path, pair):
    make, first, second = PAIRS[pair]
    state = plain["timm"]
    tree = make(state, _changed(state))
    with pytest.raises(WeightsError, match=r"fit equally well in 2 places") as refused:
        _load(shapes, tree, tmp_path / "w.pth")
    assert f"{first!r}" in str(refused.value)
    assert f"{second!r}" in str(refused.value)
    assert f"--prefix {second}" in str(refused.value) or f"--prefix {first}" in str(refused.value)
    loaded, report = _load(shapes, tree, tmp_path / "w.pth", prefix=second)
    assert report.prefix == f"{second}."
    assert any(name.startswith(first) for name in report.beside)
    _assert_same(loaded, {name: leaf + 1 for name, leaf in imported.items()})


def test_a_part_of_the_prefix_is_enough_to_name_it(shapes, plain, imported, tmp_path):
    state = plain["timm"]
    tree = {"state_dict": _below("a.student.net.", _changed(state)) | _below("a.teacher.net.", state)}
    loaded, report = _load(shapes, tree, tmp_path / "w.pth", prefix="teacher")
    _assert_same(loaded, imported)
    assert report.prefix == "state_dict.a.teacher.net."
    with pytest.raises(WeightsError, match="fit equally well in 2 places"):
        _load(shapes, tree, tmp_path / "w.pth", prefix="net")
    with pytest.raises(WeightsError, match=r"too few are in the file below --prefix 'teach'") as refused:
        _load(shapes, tree, tmp_path / "w.pth", prefix="teach")
    assert "'state_dict.a.teacher.net.'" in str(refused.value)


def test_a_named_prefix_may_lead_to_the_network_by_more_words(shapes, plain, imported, tmp_path):
    """Though a single name fits right behind it; of equally good ones, the very prefix is meant."""
    state = _below("module.encoder.", plain["timm"]) | {"module.bn1.weight": torch.ones(16)}
    loaded, report = _load(shapes, state, tmp_path / "w.pth", prefix="module")
    _assert_same(loaded, imported)
    assert report.prefix == "module.encoder."
    states = {"": dict.fromkeys(["net.a", "net.ema.a", "a"]), "net": {"b": None}}
    for prefix, expected in (("net", "net."), ("net.ema", "net.ema."), ("ema", "net.ema."), ("", "")):
        assert [match.full_prefix for match in best_matches(states, {"a"}, prefix, "w")] == [expected]


@pytest.mark.parametrize("tied", [True, False], ids=["shared storage", "copies"])
def test_one_module_registered_twice_is_not_ambiguous(shapes, plain, imported, tmp_path, tied):
    """As where a script keeps a network, and a pair of the network and a head."""
    state = plain["timm"]
    again = state if tied else {name: value.clone() for name, value in state.items()}
    loaded, report = _load(shapes, _below("pair.0.", state) | _below("net.", again), tmp_path / "w.pth")
    _assert_same(loaded, imported)
    assert report.prefix == "net."


def test_the_whole_network_is_taken_before_a_part_of_one(shapes, plain, imported, tmp_path):
    state = plain["timm"]
    part = dict(itertools.islice(_changed(state).items(), 100))
    loaded, report = _load(shapes, _below("a.", part) | _below("much.longer.", state), tmp_path / "w.pth")
    _assert_same(loaded, imported)
    assert report.prefix == "much.longer."


def test_a_network_that_lacks_names_is_refused_by_them(shapes, plain, tmp_path):
    state = _below("module.", plain["timm"])
    del state["module.conv_stem.weight"]
    message = (
        r"names match below 'module\.'\)\. 1 missing from the file: params/stem/kernel \(conv_stem\.weight\)"
    )
    with pytest.raises(MismatchError, match=message):
        _load(shapes, state, tmp_path / "w.pth")


def test_names_within_the_network_that_it_has_no_place_for_are_refused(shapes, plain, tmp_path):
    """A deeper network has the names of a shallower one too."""
    state = _below("module.", plain["timm"] | {"blocks.9.0.conv_pw.weight": torch.ones(1)})
    with pytest.raises(MismatchError, match=r"no place for: blocks\.9\.0\.conv_pw\.weight"):
        _load(shapes, state, tmp_path / "w.pth")


def test_another_sources_names_are_recognised_under_a_prefix(shapes, plain, tmp_path):
    tree = {"model": _below("module.encoder.", plain["timm"])}
    with pytest.raises(WeightsError, match=r"It has all names of the source timm$"):
        _load(shapes, tree, tmp_path / "w.pth", "efficientnet-pytorch")
    tree = {"model": _below("module.encoder.", plain["efficientnet-pytorch"])}
    with pytest.raises(
        WeightsError, match=r"It has all names of the source efficientnet-pytorch and of sbi$"
    ):
        _load(shapes, tree, tmp_path / "w.pth", "transformers")


def test_where_nothing_fits_the_error_says_what_was_tried(shapes, plain, tmp_path):
    tree = {"encoder.blocks.0.0.bn1.weight": torch.ones(8), "encoder.conv_stem.weight": torch.ones(1)}
    with pytest.raises(WeightsError) as refused:
        _load(shapes, tree, tmp_path / "w.pth")
    for words in (
        "too few are in the file (2 below 'encoder.', 1 below 'encoder.blocks.0.0.')",
        "It has 2 tensors, such as encoder.blocks.0.0.bn1.weight, encoder.conv_stem.weight",
        "--prefix encoder lists what is missing there",
    ):
        assert words in str(refused.value)
    with pytest.raises(MismatchError, match=r"\(2 names match below 'encoder\.'\)"):
        _load(shapes, tree, tmp_path / "w.pth", prefix="encoder")


def test_a_file_of_this_project_is_called_one(shapes, tmp_path):
    save_file({name: np.ones(1) for name in flat_leaves(shapes)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"has the names of this project.*config\.model\.init_from"):
        load_file(shapes, tmp_path / "w.safetensors", make_naming(SOURCES["timm"], shapes))


WORD = st.text(st.sampled_from("ab1_"), min_size=1, max_size=3)
NAME = st.lists(WORD, min_size=1, max_size=3).map(".".join)


@given(
    expected=st.sets(NAME, min_size=1, max_size=6),
    prefix=st.lists(WORD, max_size=3),
    others=st.sets(NAME, max_size=6),
)
def test_counts_are_those_of_a_search_through_every_prefix(expected, prefix, others):
    """Every prefix that any name has, tried one by one."""
    before = "".join(f"{word}." for word in prefix)
    names = {before + name for name in expected} | others
    cuts = {name[: place + 1] for name in names for place, letter in enumerate(name) if letter == "."} | {""}
    counts = {cut: sum(cut + name in names for name in expected) for cut in cuts}
    found = find_matches({"": dict.fromkeys(names)}, expected)
    assert {match.prefix: match.count for match in found} == {cut: n for cut, n in counts.items() if n}
    assert found[0].count == len(expected)


def test_names_without_end_are_refused_before_they_are_compared(tmp_path):
    save_file({"a." * 100_000 + "b": np.ones(1, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="the name of a tensor has 200001 characters") as refused:
        read_matching(tmp_path / "w.safetensors", ["b"])
    assert len(str(refused.value)) < 1000


def test_names_of_many_parts_take_no_longer_than_others():
    """Every prefix of every name, tried one by one, would be billions of letters."""
    names = ["a." * 249 + str(number) for number in range(20_000)]
    started = time.monotonic()
    assert not find_matches({"": dict.fromkeys(names)}, ["stem.0.weight"])
    assert time.monotonic() - started < 30


def test_many_equally_good_places_are_not_compared(tmp_path):
    save_file({f"n{number}.a": np.ones(1, np.float32) for number in range(1000)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"in 1000 places.* and 994 more\. Remedy") as refused:
        read_matching(tmp_path / "w.safetensors", ["a"])
    assert len(str(refused.value)) < 1000


def test_another_model_of_the_source_is_named_by_what_is_missing(plain, tmp_path):
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    shapes = jax.eval_shape(ConvNeXt(depths=(1, 1), dims=(8, 16)).init, jax.random.key(0), images)
    with pytest.raises(WeightsError, match=r"of the 28 expected names, such as .*, too few are in the file"):
        _load(shapes, plain["timm"], tmp_path / "w.pth")
