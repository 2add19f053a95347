"""ConvNeXt V2 against Hugging Face transformers' implementation, and its published sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers import ConvNextV2Config, ConvNextV2ForImageClassification, ConvNextV2Model

from fakedetect_jax.models.spatial.convnext_v2 import VARIANTS, ConvNeXtV2, GlobalResponseNorm
from tests.models.spatial.parity import Weights, assert_parity, parameters_with_head, randomise

# In millions, as the paper gives them.
PUBLISHED_MILLIONS = {
    "atto": 3.7,
    "femto": 5.2,
    "pico": 9.1,
    "nano": 15.6,
    "tiny": 28.6,
    "base": 89,
    "large": 198,
    "huge": 660,
}


def _config(depths, dims, **options):
    return ConvNextV2Config(
        depths=list(depths), hidden_sizes=list(dims), num_stages=len(dims), layer_norm_eps=1e-6, **options
    )


def _from_torch(model, depths):
    weights = Weights(model)
    tree = {
        "stem": weights.conv("embeddings.patch_embeddings"),
        "stem_norm": weights.norm("embeddings.layernorm"),
        "norm": weights.norm("layernorm"),
    }
    for stage, depth in enumerate(depths):
        prefix = f"encoder.stages.{stage}"
        if stage:
            tree[f"downsample{stage}_norm"] = weights.norm(f"{prefix}.downsampling_layer.0")
            tree[f"downsample{stage}"] = weights.conv(f"{prefix}.downsampling_layer.1")
        for index in range(depth):
            block = f"{prefix}.layers.{index}"
            tree[f"stage{stage}_block{index}"] = {
                "depthwise_kernel": weights.depthwise(f"{block}.dwconv"),
                "depthwise_bias": weights.take(f"{block}.dwconv.bias"),
                "norm": weights.norm(f"{block}.layernorm"),
                "expand": weights.dense(f"{block}.pwconv1"),
                "response_norm": {
                    "scale": weights.take(f"{block}.grn.weight").reshape(-1),
                    "bias": weights.take(f"{block}.grn.bias").reshape(-1),
                },
                "project": weights.dense(f"{block}.pwconv2"),
            }
    return weights.variables(tree)


def test_features_maps_and_gradients_equal_the_torch_implementation():
    depths, dims = (1, 2, 1), (8, 12, 16)
    torch_model = randomise(ConvNextV2Model(_config(depths, dims)))

    def reference(x):
        out = torch_model(x, output_hidden_states=True)
        return out.pooler_output, out.hidden_states[1:]

    model = ConvNeXtV2(depths=depths, dims=dims)
    assert_parity(model, _from_torch(torch_model, depths), reference, size=(29, 34))


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_are_the_published_ones(variant):
    count = parameters_with_head(ConvNeXtV2(variant))
    published = PUBLISHED_MILLIONS[variant]
    assert round(count / 1e6, 1 if published < 50 else 0) == published
    if variant == "tiny":
        assert count == 28_635_496
    with torch.device("meta"):
        reference = ConvNextV2ForImageClassification(_config(*VARIANTS[variant], num_labels=1000))
    assert count == reference.num_parameters()


def test_an_image_without_any_response_has_a_finite_gradient():
    norm = GlobalResponseNorm()
    x = jnp.stack([jnp.zeros((2, 2, 3)), jnp.ones((2, 2, 3))])
    variables = {"params": {"scale": jnp.ones(3), "bias": jnp.zeros(3)}}
    value, gradient = jax.value_and_grad(lambda x: norm.apply(variables, x).sum())(x)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
