"""ConvNeXt against Hugging Face transformers' independent implementation, and its published sizes."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers import ConvNextConfig, ConvNextForImageClassification

from fakedetect_jax.models.layers import DropPath
from fakedetect_jax.models.spatial.convnext import VARIANTS, ConvNeXt

PUBLISHED = {
    "tiny": 28_589_128,
    "small": 50_223_688,
    "base": 88_591_464,
    "large": 197_767_336,
    "xlarge": 350_196_968,
}
PUBLISHED_MILLIONS = {"atto": 3.70, "femto": 5.22, "pico": 9.05, "nano": 15.59}
DEPTHS, DIMS = (1, 2, 1), (8, 12, 16)


class Classifier(nn.Module):
    """ConvNeXt with a linear head, laid out as the published ImageNet classifiers."""

    num_classes: int
    backbone: ConvNeXt

    @nn.compact
    def __call__(self, images):
        features, _ = self.backbone(images)
        return nn.Dense(self.num_classes, name="head")(features)


def _torch_model(depths, dims, classes):
    # The paper's epsilon; transformers' default for the last norm differs from it.
    config = ConvNextConfig(
        depths=list(depths),
        hidden_sizes=list(dims),
        num_stages=len(dims),
        num_labels=classes,
        layer_norm_eps=1e-6,
    )
    return ConvNextForImageClassification(config).eval()


def _from_torch(model, depths):
    """Transformers' parameters as our tree; every one of them is used exactly once."""
    left = {name: value.detach().numpy() for name, value in model.state_dict().items()}

    def conv(name):
        return {
            "kernel": left.pop(f"{name}.weight").transpose(2, 3, 1, 0),
            "bias": left.pop(f"{name}.bias"),
        }

    def dense(name):
        return {"kernel": left.pop(f"{name}.weight").T, "bias": left.pop(f"{name}.bias")}

    def norm(name):
        return {"scale": left.pop(f"{name}.weight"), "bias": left.pop(f"{name}.bias")}

    backbone = {
        "stem": conv("convnext.embeddings.patch_embeddings"),
        "stem_norm": norm("convnext.embeddings.layernorm"),
        "norm": norm("convnext.layernorm"),
    }
    for stage, depth in enumerate(depths):
        prefix = f"convnext.encoder.stages.{stage}"
        if stage:
            backbone[f"downsample{stage}_norm"] = norm(f"{prefix}.downsampling_layer.0")
            backbone[f"downsample{stage}"] = conv(f"{prefix}.downsampling_layer.1")
        for index in range(depth):
            block = f"{prefix}.layers.{index}"
            depthwise = conv(f"{block}.dwconv")
            backbone[f"stage{stage}_block{index}"] = {
                "depthwise_kernel": depthwise["kernel"][:, :, 0],
                "depthwise_bias": depthwise["bias"],
                "norm": norm(f"{block}.layernorm"),
                "expand": dense(f"{block}.pwconv1"),
                "project": dense(f"{block}.pwconv2"),
                "layer_scale": left.pop(f"{block}.layer_scale_parameter"),
            }
    tree = {"params": {"backbone": backbone, "head": dense("classifier")}}
    assert not left
    return tree


@pytest.mark.parametrize(
    ("depths", "dims", "size"), [(DEPTHS, DIMS, (29, 34)), (*VARIANTS["atto"], (40, 33))]
)
def test_logits_and_input_gradients_equal_the_torch_implementation(depths, dims, size):
    torch.manual_seed(0)
    reference = _torch_model(depths, dims, classes=5)
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            # Strong enough that every part, layer scale and biases included, moves the logits.
            spread = 0.5 / math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 0.3
            parameter.normal_(std=spread).add_(1.0 if name.endswith("norm.weight") else 0.0)
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    x = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
    expected = reference(x).logits
    (expected**2).sum().backward()
    model = Classifier(5, ConvNeXt(depths=depths, dims=dims))
    variables = _from_torch(reference, depths)

    def loss(images):
        logits = model.apply(variables, images)
        return (logits**2).sum(), logits

    gradient, logits = jax.jit(jax.grad(loss, has_aux=True))(images)
    scale = abs(expected).max().item()
    assert scale > 1e-2
    np.testing.assert_allclose(logits, expected.detach(), atol=1e-4 * max(scale, 1))
    expected_gradient = x.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-4 * abs(expected_gradient).max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts_are_the_published_ones(variant):
    model = Classifier(1000, ConvNeXt(variant))
    variables = jax.eval_shape(
        model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    )
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables))
    if variant in PUBLISHED:
        assert count == PUBLISHED[variant]
    else:
        assert round(count / 1e6, 2) == PUBLISHED_MILLIONS[variant]
        with torch.device("meta"):
            assert count == _torch_model(*VARIANTS[variant], classes=1000).num_parameters()


def test_maps_are_those_of_strides_4_to_32():
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    (features, maps), _ = jax.eval_shape(ConvNeXt("pico").init_with_output, jax.random.key(0), images)
    assert features.shape == (2, 512)
    assert [m.shape for m in maps] == [
        (2, 16, 24, 64),
        (2, 8, 12, 128),
        (2, 4, 6, 256),
        (2, 2, 3, 512),
    ]


def test_drop_path_drops_whole_examples_at_its_rate_and_keeps_the_mean():
    x = jnp.ones((20_000, 2, 3))
    out = DropPath(0.3).apply({}, x, train=True, rngs={"dropout": jax.random.key(0)})
    kept = np.asarray(out[:, 0, 0] > 0)
    np.testing.assert_allclose(out, np.where(kept, 1 / 0.7, 0)[:, None, None] * np.ones((1, 2, 3)), rtol=1e-6)
    # Four standard errors of a Bernoulli mean.
    assert abs(kept.mean() - 0.7) < 4 * math.sqrt(0.3 * 0.7 / 20_000)
    np.testing.assert_array_equal(DropPath(0.3).apply({}, x, train=False), x)


def test_drop_path_rates_rise_linearly_and_blocks_draw_independently():
    model = ConvNeXt(depths=(2, 3), dims=(4, 4), drop_path=0.4)
    images = jnp.ones((4000, 8, 8, 3))
    variables = jax.jit(model.init)(jax.random.key(0), images[:1])

    @jax.jit
    def drawn(key):
        _, state = model.apply(
            variables,
            images,
            train=True,
            rngs={"dropout": key},
            capture_intermediates=_drop_path,
            mutable=True,
        )
        blocks = state["intermediates"]
        names = ["stage0_block0", "stage0_block1", "stage1_block0", "stage1_block1", "stage1_block2"]
        return jnp.stack([(blocks[n]["drop_path"]["__call__"][0] != 0).any(axis=(1, 2, 3)) for n in names])

    kept = np.asarray(drawn(jax.random.key(1)), np.float64)
    # Five standard errors of 4000 draws are 0.04; the same bound serves for the correlations, below 0.08.
    np.testing.assert_allclose(1 - kept.mean(axis=1), [0, 0.1, 0.2, 0.3, 0.4], atol=0.04)
    correlation = np.corrcoef(kept[1:])
    assert abs(correlation - np.eye(4)).max() < 0.08


def _drop_path(module, _):
    return isinstance(module, DropPath)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "giant"}, "atto, femto"),
        ({}, "or give a variant"),
        ({"variant": "atto", "dims": (8,)}, "not both"),
        ({"depths": (1, 1), "dims": (8,)}, "one entry per stage"),
        ({"variant": "atto", "gelu": "quick"}, "'erf'"),
        ({"variant": "atto", "drop_path": 1.0}, "drop_path=1.0"),
    ],
)
def test_wrong_options_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        ConvNeXt(**options)


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="at least 32 px"):
        jax.eval_shape(ConvNeXt("atto").init, jax.random.key(0), jnp.ones((1, 31, 64, 3)))
