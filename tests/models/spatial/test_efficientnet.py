"""EfficientNet against Hugging Face transformers, and its published sizes."""

import math

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import EfficientNetConfig, EfficientNetForImageClassification, EfficientNetModel

from fakedetect_jax.models.layers import DropPath
from fakedetect_jax.models.spatial.efficientnet import (
    STAGES,
    VARIANTS,
    EfficientNet,
    same_padding,
    scaled_channels,
)
from tests.models.spatial.parity import Weights, assert_parity, parameters_with_head, randomise

# Without batch statistics, as the package efficientnet-pytorch counts; Lite0 as timm does.
PUBLISHED = {
    "b0": 5_288_548,
    "b1": 7_794_184,
    "b2": 9_109_994,
    "b3": 12_233_232,
    "b4": 19_341_616,
    "b5": 30_389_784,
    "b6": 43_040_704,
    "b7": 66_347_960,
    "lite0": 4_652_008,
}
# At a smaller width a stage of stride 1 begins with as many channels as it ends with: there the paper's own code
# adds the input, as ours, and transformers never does.
SMALL = {"width": 0.5, "depth": 0.3}
REPEATS = [math.ceil(SMALL["depth"] * n) for n, *_ in STAGES]


def _even(size):
    """Numbers of the blocks that halve an odd map: transformers' config says where padding is the same on all sides."""
    size, number, blocks = size // 2, 0, []
    for repeats, (_, _, stride, *_) in zip(REPEATS, STAGES, strict=True):
        if stride == 2:
            blocks += [number] if size % 2 else []
            size = -(-size // 2)
        number += repeats
    return blocks


def _config(size, *, width, hidden_dim):
    return EfficientNetConfig(
        width_coefficient=width,
        depth_coefficient=SMALL["depth"],
        hidden_dim=hidden_dim,
        depthwise_padding=_even(size),
    )


def _reference(model):
    last = np.cumsum(REPEATS)  # number of the hidden state behind each stage; 0 is the stem's

    def reference(x):
        out = model(x, output_hidden_states=True)
        maps = [out.hidden_states[last[stage]] for stage in (0, 1, 2, 4)]
        return out.pooler_output, [*maps, out.last_hidden_state]

    return reference


def _from_torch(model):
    weights = Weights(model)
    tree = {
        "stem": weights.conv_norm("embeddings.convolution", "embeddings.batchnorm"),
        "head": weights.conv_norm("encoder.top_conv", "encoder.top_bn"),
    }
    number = 0
    for stage, (repeats, (_, _, _, expansion, _)) in enumerate(zip(REPEATS, STAGES, strict=True)):
        for index in range(repeats):
            block = f"encoder.blocks.{number}"
            depthwise = f"{block}.depthwise_conv"
            tree[f"stage{stage}_block{index}"] = parts = {
                "depthwise": {
                    "kernel": weights.depthwise(f"{depthwise}.depthwise_conv"),
                    "norm": weights.norm(f"{depthwise}.depthwise_norm"),
                },
                "project": weights.conv_norm(
                    f"{block}.projection.project_conv", f"{block}.projection.project_bn"
                ),
            }
            if f"{block}.squeeze_excite.reduce.weight" in weights.left:
                parts["squeeze"] = weights.dense(f"{block}.squeeze_excite.reduce")
                parts["excite"] = weights.dense(f"{block}.squeeze_excite.expand")
            if expansion != 1:
                expand = f"{block}.expansion"
                parts["expand"] = weights.conv_norm(f"{expand}.expand_conv", f"{expand}.expand_bn")
            number += 1
    return weights.variables(tree)


# The maps of 44 px are 22, 11, 6, 3, 2: after the stem a stride of 2 meets an even size twice and an odd one twice.
# The images have another size: the padding does not depend on it, in transformers.
def test_features_maps_and_gradients_equal_the_torch_implementation():
    torch_model = randomise(EfficientNetModel(_config(44, width=SMALL["width"], hidden_dim=640)))
    model = EfficientNet(**SMALL, padding_size=44)
    assert_parity(model, _from_torch(torch_model), _reference(torch_model), size=(38, 51))


def test_the_padding_is_that_of_the_images_unless_a_size_is_given():
    images = jax.ShapeDtypeStruct((1, 44, 44, 3), jnp.float32)
    variables = jax.eval_shape(EfficientNet(**SMALL).init, jax.random.key(0), images)

    def program(padding_size):
        model = EfficientNet(**SMALL, padding_size=padding_size)
        return jax.jit(model.apply).lower(variables, images).as_text()

    assert program(None) == program(44)
    assert program(None) != program(48)


@given(st.integers(1, 40), st.sampled_from([3, 5]), st.sampled_from([1, 2]))
def test_padding_is_what_tensorflow_calls_same(size, kernel, stride):
    expected = jax.lax.padtype_to_pads((size, size + 1), (kernel,) * 2, (stride,) * 2, "SAME")
    assert list(same_padding((size, size + 1), kernel, stride)) == expected


def test_the_lite_form_is_that_with_relu6_and_without_squeeze_excite():
    config = _config(44, width=1.0, hidden_dim=1280)
    config.hidden_act = "relu6"
    torch_model = EfficientNetModel(config)
    for block in torch_model.encoder.blocks:
        block.squeeze_excite = torch.nn.Identity()
    torch_model = randomise(torch_model)
    model = EfficientNet(width=1.0, depth=SMALL["depth"], lite=True)
    assert_parity(model, _from_torch(torch_model), _reference(torch_model), (44, 44))


def test_the_ends_of_the_lite_form_are_not_scaled():
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    (features, maps), variables = jax.eval_shape(
        EfficientNet(width=2.0, depth=2.0, lite=True).init_with_output, jax.random.key(0), images
    )
    params = variables["params"]
    assert params["stem"]["kernel"].shape[-1] == 32
    assert features.shape == (1, 1280)
    assert [m.shape[-1] for m in maps] == [32, 48, 80, 224, 1280]
    blocks = [sum(name.startswith(f"stage{stage}_") for name in params) for stage in range(len(STAGES))]
    assert blocks == [1, 4, 4, 6, 6, 8, 1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_are_the_published_ones(variant):
    assert parameters_with_head(EfficientNet(variant)) == PUBLISHED[variant]
    width, depth, lite = VARIANTS[variant]
    if not lite:
        config = EfficientNetConfig(
            width_coefficient=width,
            depth_coefficient=depth,
            hidden_dim=scaled_channels(1280, width),
            num_labels=1000,
        )
        with torch.device("meta"):
            assert EfficientNetForImageClassification(config).num_parameters() == PUBLISHED[variant]


def test_maps_are_those_of_strides_2_to_32():
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    (features, maps), _ = jax.eval_shape(EfficientNet("b0").init_with_output, jax.random.key(0), images)
    assert features.shape == (2, 1280)
    assert [m.shape for m in maps] == [
        (2, 32, 48, 16),
        (2, 16, 24, 24),
        (2, 8, 12, 40),
        (2, 4, 6, 112),
        (2, 2, 3, 1280),
    ]


def test_drop_path_rates_rise_by_block_and_are_those_of_the_residuals():
    rates = {}

    def record(next_method, args, kwargs, context):
        if isinstance(context.module, DropPath):
            rates[context.module.path[0]] = context.module.rate
        return next_method(*args, **kwargs)

    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    with flax.linen.intercept_methods(record):
        jax.eval_shape(EfficientNet("b0", drop_path=0.2).init, jax.random.key(0), images)
    blocks = [f"stage{stage}_block{index}" for stage, (n, *_) in enumerate(STAGES) for index in range(n)]
    expected = {name: 0.2 * i / 16 for i, name in enumerate(blocks) if not name.endswith("block0")}
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "b8"}, "b0, b1"),
        ({"width": 1.0}, "or give a variant"),
        ({"variant": "b0", "lite": True}, "not both"),
        ({"variant": "b0", "drop_path": -0.1}, "drop_path=-0.1"),
        ({"variant": "b0", "padding_size": 0}, "padding_size=0"),
        ({"variant": "b0", "dtype": "half"}, "dtype='half'"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        EfficientNet(**options)
