"""M2TR's blocks against plain torch, its sizes, and its place in the EfficientNet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fakedetect_jax.models.clip import IMAGENET, Clip
from fakedetect_jax.models.published.m2tr import M2TR, M2TRLayer
from fakedetect_jax.models.spatial.efficientnet import EfficientNet
from tests.models.published.parity import Weights, clips, count, put, random_variables, randomised
from tests.models.published.torch_m2tr import Layer

CHANNELS = 8
# More places than are compared at a time, and not square.
HEIGHT, WIDTH = 16, 40
TINY = {"variant": None, "width": 0.2, "depth": 0.1, "layers": 1}


def from_torch(module):
    weights = Weights(module)
    names = {
        "patches/output": ("0.t.attention.output_linear.0", "0.t.attention.output_linear.1"),
        "cross/output": ("2.conv4.0", "2.conv4.1"),
    }
    for block, theirs in (("patches", "0.t.feed_forward.conv"), ("frequency", "1.feed_forward.conv")):
        names[f"{block}/feed_forward/dilated"] = (f"{theirs}.0", f"{theirs}.1")
        names[f"{block}/feed_forward/plain"] = (f"{theirs}.3", f"{theirs}.4")
    variables = {"params": {}, "batch_stats": {}}
    for path, (conv, norm) in names.items():
        put(variables["params"], f"{path}/conv", weights.conv(conv))
        put(variables["params"], f"{path}/norm", weights.norm(norm))
        put(variables["batch_stats"], f"{path}/norm", weights.statistics(norm))
    for number, part in enumerate(("query", "key", "value"), start=1):
        for block, theirs in (("patches", f"0.t.attention.{part}_embedding"), ("cross", f"2.conv{number}")):
            dense = weights.conv(theirs)
            put(variables["params"], f"{block}/{part}", dense | {"kernel": dense["kernel"][0, 0]})
    spectral = weights.left.pop("1.filter.complex_weight").transpose(2, 1, 0, 3)
    put(variables["params"], "frequency/weight", spectral)
    assert not weights.left
    return variables


def test_every_block_and_its_gradients_equal_plain_torch():
    reference = randomised(Layer(CHANNELS, HEIGHT, WIDTH))
    # Weights of one on average pass enough of the spectrum to matter, and are not symmetric.
    spectral = reference[1].filter.complex_weight
    with torch.no_grad():
        spectral.copy_(torch.randn(spectral.shape) + 0.5)
    model, variables = M2TRLayer(), from_torch(reference)
    maps = np.random.default_rng(0).normal(size=(2, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), maps)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)

    @jax.jit
    def run(maps):
        def loss(maps):
            out, state = model.apply(variables, maps, capture_intermediates=True, mutable="intermediates")
            return (out**2).sum(), state["intermediates"]

        return jax.grad(loss, has_aux=True)(maps)

    gradient, found = run(maps)
    x = torch.tensor(maps.transpose(0, 3, 1, 2), dtype=torch.float64, requires_grad=True)
    patches = reference[0](x)
    frequency = reference[1](patches)
    cross = reference[2](patches, frequency)
    (cross**2).sum().backward()
    expected = {"patches": patches, "frequency": frequency, "cross": cross}
    for name, want in expected.items():
        want = want.detach().numpy().transpose(0, 2, 3, 1)
        got = found[name]["__call__"][0]
        print(name, abs(got - want).max() / abs(want).max())
        np.testing.assert_allclose(got, want, atol=1e-4 * abs(want).max(), rtol=0)
    want = x.grad.numpy().transpose(0, 2, 3, 1)
    print("gradient", abs(gradient - want).max() / abs(want).max())
    np.testing.assert_allclose(gradient, want, atol=1e-4 * abs(want).max(), rtol=0)
    # Every block adds something.
    for before, after in ((maps, "patches"), (found["patches"]["__call__"][0], "frequency")):
        assert abs(found[after]["__call__"][0] - before).max() > 0.1
    assert abs(found["cross"]["__call__"][0] - found["patches"]["__call__"][0]).max() > 0.1


def test_the_size_is_the_published_one():
    frames = jax.ShapeDtypeStruct((1, 2, 320, 320, 3), jnp.float32)
    params = jax.eval_shape(M2TR().init, jax.random.key(0), Clip(frames))["params"]
    layers = [params[f"layer{index}"] for index in range(4)]
    assert {tuple(count(layer[b]) for b in ("patches", "frequency", "cross")) for layer in layers} == {
        (31_104, 228_544, 4_288)
    }
    # 80 x 80 places of 32 channels.
    assert layers[0]["frequency"]["weight"].shape == (32, 41, 80, 2)
    # EfficientNet-B4's 19,341,616 without its 1000 logits of 1792 features, and one logit instead.
    assert count(params["trunk"]) == 19_341_616 - 1000 * 1793
    assert count(params) == 19_341_616 - 1000 * 1793 + 1_055_744 + 1793
    assert len(params) == 6


def test_layers_that_add_nothing_leave_an_efficientnet():
    model, frames = M2TR(**TINY), clips(1, 2, 32)
    variables = random_variables(model, frames)
    # Norms without scale and bias.
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables["params"]["layer0"]):
        if path[-2].key == "norm":
            leaf[:] = 0
    trunk = EfficientNet(width=0.2, depth=0.1, padding_size=380)
    images = (frames[0] - np.array(IMAGENET[0], np.float32)) / np.array(IMAGENET[1], np.float32)
    expected, _ = jax.jit(trunk.apply)({name: tree["trunk"] for name, tree in variables.items()}, images)
    _, out = jax.jit(model.apply)(variables, Clip(frames))
    np.testing.assert_allclose(out["features"][0], expected.mean(axis=0), atol=1e-5)
    head = variables["params"]["head"]["logit"]
    frame_logit = expected @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(out["frame_logit"][0], frame_logit[:, 0], atol=1e-5)


@pytest.mark.parametrize("size", [(112, 128), (128, 80)])
def test_frames_that_cannot_be_cut_into_patches_are_refused(size):
    with pytest.raises(ValueError, match="M2TR needs frames of a multiple of 32 px a side"):
        jax.eval_shape(M2TR().init, jax.random.key(0), Clip(jnp.ones((1, 1, *size, 3))))


def test_maps_that_cannot_be_cut_are_refused():
    with pytest.raises(ValueError, match="8 patches a side and 4 groups of channels, got 8 x 8 places of 6"):
        jax.eval_shape(M2TRLayer().init, jax.random.key(0), jnp.ones((1, 8, 8, 6)))
