"""ResNet against Hugging Face transformers, ResNeXt against plain torch layers, and their published sizes."""

import pytest
import torch
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification, ResNetModel

from fakedetect_jax.models.spatial.resnet import VARIANTS, ResNet
from tests.models.spatial.parity import Weights, assert_parity, parameters_with_head, randomise

PUBLISHED = {"50": 25_557_032, "101": 44_549_160, "resnext50_32x4d": 25_028_904}
PARTS = ("reduce", "spatial", "expand")


def _from_transformers(model, depths):
    weights = Weights(model)

    def conv_norm(prefix):
        return weights.conv_norm(f"{prefix}.convolution", f"{prefix}.normalization")

    tree = {"stem": conv_norm("embedder.embedder")}
    for stage, depth in enumerate(depths):
        for index in range(depth):
            block = f"encoder.stages.{stage}.layers.{index}"
            parts = {part: conv_norm(f"{block}.layer.{place}") for place, part in enumerate(PARTS)}
            if index == 0:
                parts["shortcut"] = conv_norm(f"{block}.shortcut")
            tree[f"stage{stage}_block{index}"] = parts
    return weights.variables(tree)


def test_resnet_equals_the_torch_implementation():
    depths, stem = (1, 2, 2), 4
    config = ResNetConfig(embedding_size=stem, hidden_sizes=[16, 32, 64], depths=list(depths))
    torch_model = randomise(ResNetModel(config))

    def reference(x):
        out = torch_model(x, output_hidden_states=True)
        return out.pooler_output.flatten(1), out.hidden_states[1:]

    variables = _from_transformers(torch_model, depths)
    assert_parity(ResNet(depths=depths, stem=stem), variables, reference, size=(37, 50))


class TorchBlock(nn.Module):
    """The block of ResNeXt's figure 3c."""

    def __init__(self, inputs, width, outputs, stride, groups):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs or stride != 1:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class TorchResNeXt(nn.Module):
    """Two stages: 4 groups of 2 channels, then of 4; two blocks, then one."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 7, 2, padding=3, bias=False), nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(TorchBlock(4, 8, 16, 1, 4), TorchBlock(16, 8, 16, 1, 4))
        self.layer2 = nn.Sequential(TorchBlock(16, 16, 32, 2, 4))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        maps = [self.layer1(nn.functional.max_pool2d(x, 3, 2, padding=1))]
        maps.append(self.layer2(maps[0]))
        return maps[-1].mean(dim=(2, 3)), maps


def test_resnext_equals_plain_torch_layers():
    torch_model = randomise(TorchResNeXt())
    weights = Weights(torch_model)
    tree = {"stem": weights.conv_norm("conv1", "bn1")}
    for stage, depth in enumerate((2, 1)):
        for index in range(depth):
            block = f"layer{stage + 1}.{index}"
            parts = {
                part: weights.conv_norm(f"{block}.conv{place}", f"{block}.bn{place}")
                for place, part in enumerate(PARTS, start=1)
            }
            if index == 0:
                parts["shortcut"] = weights.conv_norm(f"{block}.downsample.0", f"{block}.downsample.1")
            tree[f"stage{stage}_block{index}"] = parts
    model = ResNet(depths=(2, 1), groups=4, group_width=2, stem=4)
    assert_parity(model, weights.variables(tree), torch_model, size=(33, 26))


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_are_the_published_ones(variant):
    assert parameters_with_head(ResNet(variant)) == PUBLISHED[variant]
    depths, groups, _ = VARIANTS[variant]
    if groups == 1:
        with torch.device("meta"):
            reference = ResNetForImageClassification(ResNetConfig(depths=list(depths), num_labels=1000))
        assert count_torch(reference) == PUBLISHED[variant]


def test_the_trunk_of_resnext_has_the_size_known_from_its_use_with_an_lstm():
    assert parameters_with_head(ResNet("resnext50_32x4d"), classes=0) == 22_979_904


def count_torch(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "34"}, "resnext50_32x4d"),
        ({}, "or give a variant"),
        ({"variant": "50", "groups": 32}, "variant='50' or groups"),
        ({"variant": "50", "depths": (1,)}, "not both"),
        ({"variant": "50", "dtype": "float16"}, "dtype='float16' is not known; use one of float32, bfloat16"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**options)
