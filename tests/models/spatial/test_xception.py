"""Xception against plain torch layers in the layout of FaceForensics++, and its published size."""

import jax
import jax.numpy as jnp
import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d

from fakedetect_jax.models.spatial.xception import Xception
from tests.models.spatial.parity import Weights, assert_parity, count, parameters_with_head, randomise

WIDTHS, MIDDLE = (4, 6, 8, 12, 16, 20, 24, 28), 2
# Of each block: output channels of its separable convolutions, stride.
BLOCKS = [([8, 8], 2), ([12, 12], 2), ([16, 16], 2), ([16] * 3, 1), ([16] * 3, 1), ([16, 20], 2)]


class TorchSeparable(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        return self.norm(self.pointwise(self.depthwise(x)))


class TorchBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, first_relu):
        super().__init__()
        self.convs = nn.ModuleList(map(TorchSeparable, [inputs, *outputs[:-1]], outputs))
        self.stride, self.first_relu = stride, first_relu
        if stride != 1:
            self.skip, self.skip_norm = (
                nn.Conv2d(inputs, outputs[-1], 1, stride, bias=False),
                nn.BatchNorm2d(outputs[-1]),
            )

    def forward(self, x):
        y = x
        for number, conv in enumerate(self.convs):
            y = conv(torch.relu(y) if number or self.first_relu else y)
        if self.stride == 1:
            return x + y
        return self.skip_norm(self.skip(x)) + max_pool2d(y, 3, self.stride, padding=1)


class TorchXception(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, 2, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.blocks, inputs = nn.ModuleList(), 6
        for number, (outputs, stride) in enumerate(BLOCKS):
            self.blocks.append(TorchBlock(inputs, outputs, stride, first_relu=number > 0))
            inputs = outputs[-1]
        self.conv3, self.conv4 = TorchSeparable(20, 24), TorchSeparable(24, 28)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x, outputs = torch.relu(self.bn2(self.conv2(x))), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        x = torch.relu(self.conv4(torch.relu(self.conv3(x))))
        return x.mean(dim=(2, 3)), [outputs[0], outputs[1], outputs[-2], x]


def _separable(weights, name):
    return {
        "depthwise_kernel": weights.depthwise(f"{name}.depthwise"),
        "pointwise": weights.conv_norm(f"{name}.pointwise", f"{name}.norm"),
    }


@pytest.mark.parametrize("size", [(50, 61)])
def test_features_maps_and_gradients_equal_plain_torch_layers(size):
    torch_model = randomise(TorchXception())
    weights = Weights(torch_model)
    tree = {name: weights.conv_norm(name, f"bn{name[-1]}") for name in ("conv1", "conv2")}
    tree |= {name: _separable(weights, name) for name in ("conv3", "conv4")}
    for number, (outputs, stride) in enumerate(BLOCKS):
        parts = {f"conv{i}": _separable(weights, f"blocks.{number}.convs.{i}") for i in range(len(outputs))}
        if stride != 1:
            parts["shortcut"] = weights.conv_norm(f"blocks.{number}.skip", f"blocks.{number}.skip_norm")
        tree[f"block{number + 1}"] = parts
    model = Xception(widths=WIDTHS, middle_blocks=MIDDLE)
    assert_parity(model, weights.variables(tree), torch_model, size)


def test_parameter_count_is_the_published_one():
    model = Xception()
    assert parameters_with_head(model) == 22_855_952
    # Keras counts the batch statistics too.
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    assert count(variables) + 2049 * 1000 == 22_910_480


def test_maps_are_those_of_strides_4_to_32():
    images = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    (features, maps), _ = jax.eval_shape(Xception().init_with_output, jax.random.key(0), images)
    assert features.shape == (1, 2048)
    assert [m.shape for m in maps] == [
        (1, 74, 74, 128),
        (1, 37, 37, 256),
        (1, 19, 19, 728),
        (1, 10, 10, 2048),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (8, 8)}, "8 entries"),
        ({"middle_blocks": -1}, "middle_blocks=-1"),
        ({"dtype": "float64"}, "float32, bfloat16"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        Xception(**options)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="at least 7 px"):
        jax.eval_shape(Xception().init, jax.random.key(0), jnp.ones((1, 6, 64, 3)))
