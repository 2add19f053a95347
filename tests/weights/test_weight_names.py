"""Imported weights against what the networks that they come from compute."""

import functools

import flax.linen as nn
import jax
import numpy as np
import pytest
import torch
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    ConvNextV2Config,
    ConvNextV2Model,
    EfficientNetConfig,
    EfficientNetForImageClassification,
    ResNetConfig,
    ResNetForImageClassification,
)

from fakedetect_jax.models.clip import KINETICS, Clip
from fakedetect_jax.models.published.r2plus1d import R2Plus1D
from fakedetect_jax.models.spatial import ConvNeXt, ConvNeXtV2, EfficientNet, ResNet, Xception
from fakedetect_jax.weights import SOURCES, load_file, make_naming
from tests.models.published.parity import channels_first, randomised
from tests.models.spatial.parity import randomise
from tests.weights import foreign

DEPTHS, DIMS = (1, 2), (8, 16)
WIDTHS = (4, 6, 8, 12, 16, 20, 24, 28)
SIZE = 44
HALVES = {"width": 0.5, "depth": 0.3}


def _images(size=SIZE):
    return np.random.default_rng(0).normal(size=(2, size, size, 3)).astype(np.float32)


def _imported(source, model, module, tmp_path, inputs, **options):
    """Variables of our model with the weights of a torch module, by way of a file."""
    torch.save({"epoch": 3, "state_dict": module.state_dict()}, tmp_path / "weights.pth")
    variables = _shapes(model, inputs.shape)
    naming = make_naming(SOURCES[source], variables)
    return load_file(variables, tmp_path / "weights.pth", naming, **options)


@functools.cache
def _shapes(model, inputs):
    given = jax.ShapeDtypeStruct(inputs, np.float32)
    return jax.eval_shape(model.init, jax.random.key(0), given if len(inputs) == 4 else Clip(given))


def _assert_close(got, want, tolerance=1e-4):
    want = want.detach().numpy()
    scale = abs(want).max()
    assert abs(want - want[:1]).max() > 1e-2 * scale  # the images do matter
    np.testing.assert_allclose(got, want, atol=tolerance * scale, rtol=0)


def _with_pooler(features):
    return lambda module, x: features(module)(x).pooler_output.flatten(1)


def _itself(module, x):
    return module(x)


CONVNEXT = {"depths": DEPTHS, "dims": DIMS}
HF_CONVNEXT = {"num_stages": 2, "depths": list(DEPTHS), "hidden_sizes": list(DIMS)}
HF_EFFICIENTNET = {"width_coefficient": 0.5, "depth_coefficient": 0.3, "hidden_dim": 640}
# source, our model, their network, their features of images
CASES = {
    "convnext timm": ("timm", ConvNeXt(**CONVNEXT), lambda: foreign.convnext("timm", DEPTHS, DIMS), _itself),
    "convnext timm, 1x1 convolutions": (
        "timm",
        ConvNeXt(**CONVNEXT),
        lambda: foreign.convnext("timm", DEPTHS, DIMS, conv_mlp=True),
        _itself,
    ),
    "convnext torchvision": (
        "torchvision",
        ConvNeXt(**CONVNEXT),
        lambda: foreign.convnext("torchvision", DEPTHS, DIMS),
        _itself,
    ),
    "convnext authors": (
        "convnext",
        ConvNeXt(**CONVNEXT),
        lambda: foreign.convnext("convnext", DEPTHS, DIMS),
        _itself,
    ),
    "convnext transformers": (
        "transformers",
        ConvNeXt(**CONVNEXT),
        lambda: ConvNextForImageClassification(ConvNextConfig(**HF_CONVNEXT)),
        _with_pooler(lambda module: module.convnext),
    ),
    "convnext_v2 timm": (
        "timm",
        ConvNeXtV2(**CONVNEXT),
        lambda: foreign.convnext("timm", DEPTHS, DIMS, v2=True),
        _itself,
    ),
    "convnext_v2 authors": (
        "convnext",
        ConvNeXtV2(**CONVNEXT),
        lambda: foreign.convnext("convnext", DEPTHS, DIMS, v2=True),
        _itself,
    ),
    "convnext_v2 transformers, no classifier": (
        "transformers",
        ConvNeXtV2(**CONVNEXT),
        lambda: ConvNextV2Model(ConvNextV2Config(**HF_CONVNEXT)),
        _with_pooler(lambda module: module),
    ),
    "resnext torchvision": (
        "torchvision",
        ResNet(depths=(2, 1), groups=2, group_width=2, stem=4),
        foreign.ResNeXt,
        _itself,
    ),
    "resnext timm": (
        "timm",
        ResNet(depths=(2, 1), groups=2, group_width=2, stem=4),
        foreign.ResNeXt,
        _itself,
    ),
    "resnet transformers": (
        "transformers",
        ResNet(depths=(2, 1), stem=4),
        lambda: ResNetForImageClassification(
            ResNetConfig(embedding_size=4, hidden_sizes=[16, 32], depths=[2, 1])
        ),
        _with_pooler(lambda module: module.resnet),
    ),
    "efficientnet timm": (
        "timm",
        EfficientNet(**HALVES),
        lambda: foreign.efficientnet("timm"),
        _itself,
    ),
    "efficientnet-pytorch": (
        "efficientnet-pytorch",
        EfficientNet(**HALVES),
        lambda: foreign.efficientnet("efficientnet-pytorch", classes=10),
        _itself,
    ),
    "xception": ("timm", Xception(WIDTHS, 1), lambda: foreign.Xception(WIDTHS), _itself),
}
_APPLY = jax.jit(lambda model, variables, images: model.apply(variables, images)[0], static_argnums=0)


@pytest.mark.parametrize("case", CASES)
def test_imported_backbones_compute_what_the_foreign_network_does(case, tmp_path):
    source, model, make, features = CASES[case]
    module = randomise(make()).float()
    images = _images()
    variables, report = _imported(source, model, module, tmp_path, images)
    with torch.no_grad():
        expected = features(module, torch.tensor(images.transpose(0, 3, 1, 2)))
    _assert_close(_APPLY(model, variables, images), expected)
    assert not report.missing
    assert set(report.used.values()).isdisjoint(report.dropped)


def test_every_value_of_a_transformers_efficientnet_has_its_place(tmp_path):
    """Only the placing: its padding goes by its config, which the model's own tests compare."""
    module = EfficientNetForImageClassification(EfficientNetConfig(**HF_EFFICIENTNET))
    with torch.no_grad():
        for number, value in enumerate(module.state_dict().values()):
            value.fill_(number)
    variables, report = _imported("transformers", EfficientNet(**HALVES), module, tmp_path, _images())
    order = {name.removeprefix("efficientnet."): n for n, name in enumerate(module.state_dict())}
    flat = {
        "/".join(str(key.key) for key in path): leaf for path, leaf in jax.tree.leaves_with_path(variables)
    }
    assert {path: order[name] for path, name in report.used.items()} == {
        path: leaf.flat[0] for path, leaf in flat.items()
    }
    place = "batch_stats/stage1_block0/depthwise/norm/mean"
    assert report.used[place] == "encoder.blocks.1.depthwise_conv.depthwise_norm.running_mean"
    assert "image_size" in report.note


class FrameDetector(nn.Module):
    """A detector whose trunk is an EfficientNet, with a linear head as ours have."""

    @nn.compact
    def __call__(self, images):
        features, _ = EfficientNet(**HALVES, name="spatial")(images)
        return nn.Dense(1, name="frame_head")(features)[:, 0]


class Wrapped(torch.nn.Module):
    """SBI's detector keeps its net as an attribute, and DataParallel puts another name before."""

    def __init__(self, net):
        super().__init__()
        self.module = torch.nn.Module()
        self.module.net = net


def test_sbi_detector_gives_the_same_probability_of_being_fake(tmp_path):
    module = randomise(foreign.efficientnet("efficientnet-pytorch")).float()
    model, images = FrameDetector(), _images()
    torch.save({"model": Wrapped(module).state_dict(), "epoch": 3}, tmp_path / "sbi.tar")
    shapes = _shapes(model, images.shape)
    naming = make_naming(SOURCES["sbi"], shapes)
    variables, report = load_file(shapes, tmp_path / "sbi.tar", naming)
    with torch.no_grad():
        logits = module["_fc"](module(torch.tensor(images.transpose(0, 3, 1, 2))))
    # The same as the whole detector, with the trunk that another test has compiled.
    trunk = {collection: tree["spatial"] for collection, tree in variables.items()}
    head = variables["params"]["frame_head"]
    features = _APPLY(EfficientNet(**HALVES), trunk, images)
    probability = jax.nn.sigmoid(features @ head["kernel"] + head["bias"])[:, 0]
    np.testing.assert_allclose(probability, logits.softmax(1)[:, 1], atol=1e-4)
    assert not report.missing
    assert report.used["params/frame_head/kernel"] == "_fc.weight"


def test_a_backbone_alone_takes_sbi_without_its_head(tmp_path):
    module = foreign.efficientnet("efficientnet-pytorch")
    _, report = _imported("sbi", EfficientNet(**HALVES), module, tmp_path, _images())
    assert {"_fc.weight", "_fc.bias"} <= set(report.dropped)


def test_r2plus1d_computes_what_torchvision_names_do(tmp_path):
    module = randomised(foreign.R2Plus1D())
    clips = np.random.default_rng(0).random((2, 4, 16, 16, 3)).astype(np.float32)
    model = R2Plus1D(layers=10, width=8)
    variables, report = _imported("torchvision", model, module, tmp_path, clips, allow_missing=["head"])
    assert report.missing == ("params/head/logit/bias", "params/head/logit/kernel")
    dense = variables["params"]["head"]["logit"]
    variables["params"]["head"]["logit"] = {
        name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in dense.items()
    }
    _, out = jax.jit(model.apply)(variables, Clip(clips))
    with torch.no_grad():
        expected = module(channels_first(torch.tensor(clips, dtype=torch.float64), KINETICS))
    _assert_close(out["features"], expected)
