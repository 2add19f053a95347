"""Meso4 and MesoInception4 against plain torch layers, and their published sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published.mesonet import Meso4, MesoInception4
from tests.models.published.parity import Weights, assert_parity, clips, count, random_variables, randomised

PUBLISHED = {Meso4: 27_977, MesoInception4: 28_615}
SIZE = 64


class Inception(nn.Module):
    def __init__(self, inputs, a, b, c, d):
        super().__init__()
        self.one = nn.Conv2d(inputs, a, 1)
        self.reduce = nn.ModuleList(nn.Conv2d(inputs, n, 1) for n in (b, c, d))
        self.wide = nn.ModuleList(
            nn.Conv2d(n, n, 3, padding=k, dilation=k) for k, n in enumerate((b, c, d), start=1)
        )

    def forward(self, x):
        wide = [conv(first(x).relu()) for first, conv in zip(self.reduce, self.wide, strict=True)]
        return torch.cat([self.one(x), *wide], 1)


class TorchMeso(nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.convs = nn.ModuleList(
            [first, second, nn.Conv2d(width_of(second), 16, 5, padding=2), nn.Conv2d(16, 16, 5, padding=2)]
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(n, eps=1e-3) for n in (width_of(first), width_of(second), 16, 16)
        )
        self.hidden = nn.Linear(16 * (SIZE // 32) ** 2, 16)
        self.last = nn.Linear(16, 1)

    def forward(self, frames):
        b, t = frames.shape[:2]
        x = frames.flatten(0, 1).permute(0, 3, 1, 2)
        for conv, norm, window in zip(self.convs, self.norms, (2, 2, 2, 4), strict=True):
            x = nn.functional.max_pool2d(norm(conv(x).relu()), window)
        x = nn.functional.leaky_relu(self.hidden(x.flatten(1)), 0.1)
        return self.last(x).view(b, t).mean(1)


def width_of(layer):
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels
    return layer.one.out_channels + sum(conv.out_channels for conv in layer.wide)


def _from_torch(module):
    weights = Weights(module)
    params, stats = {}, {}
    for index, conv in enumerate(module.convs):
        if isinstance(conv, Inception):
            params[f"inception{index}"] = {"branch0": weights.conv(f"convs.{index}.one")} | {
                name: weights.conv(f"convs.{index}.{kind}.{branch - 1}")
                for branch in (1, 2, 3)
                for name, kind in ((f"branch{branch}_reduce", "reduce"), (f"branch{branch}", "wide"))
            }
        else:
            params[f"conv{index}"] = weights.conv(f"convs.{index}")
        params[f"norm{index}"] = weights.norm(f"norms.{index}")
        stats[f"norm{index}"] = weights.statistics(f"norms.{index}")
    params["hidden"] = weights.dense_on_map("hidden", SIZE // 32, SIZE // 32)
    params["head"] = {"logit": weights.dense("last")}
    assert not weights.left
    return {"params": params, "batch_stats": stats}


@pytest.mark.parametrize("model", [Meso4, MesoInception4])
def test_logits_and_gradients_equal_plain_torch_layers(model):
    layers = {
        Meso4: lambda: (nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 5, padding=2)),
        MesoInception4: lambda: (Inception(3, 1, 4, 4, 2), Inception(11, 2, 4, 4, 2)),
    }
    reference = randomised(TorchMeso(*layers[model]()))
    out = assert_parity(model(), _from_torch(reference), reference, clips(2, 2, SIZE, seed=1))
    assert (out["frame_logit"].shape, out["features"].shape) == ((2, 2), (2, 16))


@pytest.mark.parametrize("model", PUBLISHED)
def test_trainable_parameters_are_the_published_ones(model):
    frames = jax.ShapeDtypeStruct((1, 2, 256, 256, 3), jnp.float32)
    assert count(jax.eval_shape(model().init, jax.random.key(0), Clip(frames))["params"]) == PUBLISHED[model]


def test_a_clip_scores_the_mean_of_its_valid_frames_each_scored_alone():
    frames = clips(2, 3, 32)
    model = Meso4()
    variables = random_variables(model, frames)
    valid = np.array([[1, 0, 1], [0, 0, 1]], bool)
    logit, _ = jax.jit(model.apply)(variables, Clip(frames, valid=valid))
    alone = jax.jit(model.apply)(variables, Clip(frames.reshape(6, 1, 32, 32, 3)))[0].reshape(2, 3)
    np.testing.assert_allclose(logit, [alone[0, [0, 2]].mean(), alone[1, 2]], atol=1e-6)


def test_too_small_frames_are_refused():
    with pytest.raises(ValueError, match="Meso4 needs frames of at least 32 px"):
        jax.eval_shape(Meso4().init, jax.random.key(0), Clip(jnp.ones((1, 1, 31, 64, 3))))
