"""ResNeXt and LSTM against plain torch layers, its published size, and that it recurs over time."""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from fakedetect_jax.models.clip import IMAGENET, Clip
from fakedetect_jax.models.published.resnext_lstm import ResNeXtLSTM
from tests.models.published.parity import (
    Weights,
    assert_parity,
    channels_first,
    clips,
    count,
    random_variables,
    randomised,
)

SMALL = {"variant": None, "depths": (2, 1), "groups": 4, "group_width": 2, "stem": 4, "dim": 6}


def unit(inputs, outputs, side=1, stride=1, groups=1):
    conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    def __init__(self, inputs, width, outputs, stride):
        super().__init__()
        self.reduce, self.spatial = unit(inputs, width), unit(width, width, 3, stride, groups=4)
        self.expand = unit(width, outputs)
        self.shortcut = None if inputs == outputs else unit(inputs, outputs, stride=stride)

    def forward(self, x):
        y = self.expand(self.spatial(self.reduce(x).relu()).relu())
        return (y + (x if self.shortcut is None else self.shortcut(x))).relu()


class TorchResNeXtLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = unit(3, 4, 7, 2)
        self.stage0_block0, self.stage0_block1 = Block(4, 8, 16, 1), Block(16, 8, 16, 1)
        self.stage1_block0 = Block(16, 16, 32, 2)
        self.lstm = nn.LSTM(32, SMALL["dim"], batch_first=True)
        self.linear = nn.Linear(SMALL["dim"], 1)

    def forward(self, frames):
        b, t = frames.shape[:2]
        x = channels_first(frames, IMAGENET).transpose(1, 2).flatten(0, 1)
        x = nn.functional.max_pool2d(self.stem(x).relu(), 3, 2, 1)
        x = self.stage1_block0(self.stage0_block1(self.stage0_block0(x)))
        outputs, _ = self.lstm(x.mean((2, 3)).view(b, t, -1))
        return self.linear(outputs.mean(1))[:, 0]


def _from_torch(module):
    weights = Weights(module)
    names = {"stem": ("stem.0", "stem.1")} | {
        f"{block}/{part}": (f"{block}.{part}.0", f"{block}.{part}.1")
        for block, inner in module.named_children()
        if isinstance(inner, Block)
        for part, _ in inner.named_children()
    }
    trunk = weights.conv_norms(names)
    lstm = {
        "input_kernel": weights.left.pop("lstm.weight_ih_l0").T,
        "input_bias": weights.left.pop("lstm.bias_ih_l0"),
        "hidden_kernel": weights.left.pop("lstm.weight_hh_l0").T,
        "hidden_bias": weights.left.pop("lstm.bias_hh_l0"),
    }
    head = weights.dense("linear")
    assert not weights.left
    return {
        "params": {"trunk": trunk["params"], "lstm": lstm, "head": {"logit": head}},
        "batch_stats": {"trunk": trunk["batch_stats"]},
    }


def test_logits_and_gradients_equal_plain_torch_layers():
    reference = randomised(TorchResNeXtLSTM())
    out = assert_parity(ResNeXtLSTM(**SMALL), _from_torch(reference), reference, clips(2, 4, 34))
    assert (out["frame_logit"].shape, out["features"].shape) == ((2, 4), (2, 6))


def test_parameters_are_those_known_with_biases():
    frames = jax.ShapeDtypeStruct((1, 4, 112, 112, 3), jnp.float32)
    params = jax.eval_shape(ResNeXtLSTM().init, jax.random.key(0), Clip(frames))["params"]
    # With one logit instead of two.
    assert count(params) + 2048 + 1 == 56_554_818
    with torch.device("meta"):
        lstm = nn.LSTM(2048, 2048)
    assert count(params["lstm"]) == sum(parameter.numel() for parameter in lstm.parameters())


def test_a_frame_knows_those_before_it_and_no_other_clip():
    model = ResNeXtLSTM(**SMALL)
    frames = clips(2, 5, 16)
    variables = random_variables(model, frames)
    apply = jax.jit(lambda frames, valid: model.apply(variables, Clip(frames, valid=valid)))
    everything = np.ones((2, 5), bool)
    changed = frames.copy()
    changed[0, 2] = 1 - changed[0, 2]
    before, after = (apply(clip, everything)[1]["frame_logit"] for clip in (frames, changed))
    moved = np.asarray(abs(before - after) > 1e-6)
    np.testing.assert_array_equal(moved, [[0, 0, 1, 1, 1], [0, 0, 0, 0, 0]])
    # A gap is as if its frames were not there.
    valid = np.array([[1, 1, 0, 1, 0]] * 2, bool)
    short = frames[:, [0, 1, 3, 3, 3]]
    three = np.arange(5)[None] < np.full((2, 1), 3)
    np.testing.assert_allclose(apply(frames, valid)[0], apply(short, three)[0], atol=1e-5)
