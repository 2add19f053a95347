"""M2TR's blocks against plain torch, its sizes, and its place in the EfficientNet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from fakedetect_jax.models.spatial.efficientnet import EfficientNet
from fakedetect_jax.models.video.clips import IMAGENET
from fakedetect_jax.models.video.m2tr import M2TR
from fakedetect_jax.models.video.m2tr_layers import M2TRLayer
from tests.models.video.parity import Weights, clips, count, put, random_variables, randomised

CHANNELS = 8
# More places than are compared at a time, and not square.
HEIGHT, WIDTH = 16, 40
TINY = {"variant": None, "width": 0.2, "depth": 0.1, "layers": 1}


def leaky(c, kernel, dilation=1):
    conv = nn.Conv2d(c, c, kernel, padding=dilation * (kernel // 2), dilation=dilation)
    return nn.Sequential(conv, nn.BatchNorm2d(c), nn.LeakyReLU(0.2))


def feed_forward(c):
    return nn.Sequential(leaky(c, 3, 2), leaky(c, 3))


class Patches(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(c, c, 1) for _ in range(3))
        self.output, self.feed_forward = leaky(c, 3), feed_forward(c)

    def forward(self, x):
        heads = []
        parts = [conv(x).chunk(4, 1) for conv in (self.query, self.key, self.value)]
        for cuts, *head in zip((1, 2, 4, 8), *parts, strict=True):
            side = (x.shape[2] // cuts, x.shape[3] // cuts)
            q, k, v = (nn.functional.unfold(part, side, stride=side).transpose(1, 2) for part in head)
            weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1)
            heads.append(nn.functional.fold((weights @ v).transpose(1, 2), x.shape[2:], side, stride=side))
        x = x + self.output(torch.cat(heads, 1))
        return x + self.feed_forward(x)


class Frequency(nn.Module):
    def __init__(self, c, h, w):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(h, w // 2 + 1, c, 2))
        self.feed_forward = feed_forward(c)

    def forward(self, x):
        weight = torch.view_as_complex(self.weight).permute(2, 0, 1)
        spectrum = torch.fft.rfft2(x, norm="ortho") * weight
        return x + self.feed_forward(torch.fft.irfft2(spectrum, s=x.shape[2:], norm="ortho"))


class Cross(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.query, self.key, self.value = (nn.Conv2d(c, c, 1) for _ in range(3))
        self.output = leaky(c, 1)

    def forward(self, x, frequency):
        q = self.query(x).flatten(2).transpose(1, 2)
        k, v = self.key(frequency).flatten(2), self.value(frequency).flatten(2).transpose(1, 2)
        found = (q @ k * q.shape[-1] ** -0.5).softmax(-1) @ v
        return x + self.output(found.transpose(1, 2).unflatten(2, x.shape[2:]))


class Layer(nn.Module):
    def __init__(self, c, h, w):
        super().__init__()
        self.patches, self.frequency, self.cross = Patches(c), Frequency(c, h, w), Cross(c)

    def forward(self, x):
        x = self.patches(x)
        return self.cross(x, self.frequency(x))


def from_torch(module):
    weights = Weights(module)
    names = {f"{block}/output": f"{block}.output" for block in ("patches", "cross")}
    names |= {
        f"{block}/feed_forward/{name}": f"{block}.feed_forward.{index}"
        for block in ("patches", "frequency")
        for index, name in enumerate(("dilated", "plain"))
    }
    variables = {"params": {}, "batch_stats": {}}
    for path, name in names.items():
        put(variables["params"], f"{path}/conv", weights.conv(f"{name}.0"))
        put(variables["params"], f"{path}/norm", weights.norm(f"{name}.1"))
        put(variables["batch_stats"], f"{path}/norm", weights.statistics(f"{name}.1"))
    for block in ("patches", "cross"):
        for part in ("query", "key", "value"):
            dense = weights.conv(f"{block}.{part}")
            put(variables["params"], f"{block}/{part}", dense | {"kernel": dense["kernel"][0, 0]})
    spectral = weights.left.pop("frequency.weight").transpose(2, 1, 0, 3)
    put(variables["params"], "frequency/weight", spectral)
    assert not weights.left
    return variables


def test_every_block_and_its_gradients_equal_plain_torch():
    reference = randomised(Layer(CHANNELS, HEIGHT, WIDTH))
    # Weights of one on average pass enough of the spectrum to matter, and are not symmetric.
    with torch.no_grad():
        reference.frequency.weight.copy_(torch.randn(reference.frequency.weight.shape) + 0.5)
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
    patches = reference.patches(x)
    frequency = reference.frequency(patches)
    cross = reference.cross(patches, frequency)
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
    params = jax.eval_shape(M2TR().init, jax.random.key(0), frames)["params"]
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
    _, out = jax.jit(model.apply)(variables, frames)
    np.testing.assert_allclose(out["features"][0], expected.mean(axis=0), atol=1e-5)
    head = variables["params"]["head"]["logit"]
    frame_logit = expected @ head["kernel"] + head["bias"]
    np.testing.assert_allclose(out["frame_logit"][0], frame_logit[:, 0], atol=1e-5)


@pytest.mark.parametrize("size", [(112, 128), (128, 80)])
def test_frames_that_cannot_be_cut_into_patches_are_refused(size):
    with pytest.raises(ValueError, match="M2TR needs frames of a multiple of 32 px a side"):
        jax.eval_shape(M2TR().init, jax.random.key(0), jnp.ones((1, 1, *size, 3)))


def test_maps_that_cannot_be_cut_are_refused():
    with pytest.raises(ValueError, match="8 patches a side and 4 groups of channels, got 8 x 8 places of 6"):
        jax.eval_shape(M2TRLayer().init, jax.random.key(0), jnp.ones((1, 8, 8, 6)))
