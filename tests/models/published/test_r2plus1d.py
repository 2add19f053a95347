"""R(2+1)D against plain torch layers, and its published sizes."""

import jax
import jax.numpy as jnp
import pytest
from torch import nn

from fakedetect_jax.models.clip import KINETICS, Clip
from fakedetect_jax.models.published.r2plus1d import DEPTHS, R2Plus1D
from tests.models.published.parity import Weights, assert_parity, channels_first, clips, count, randomised

WIDTH, STEM = 8, 5


def unit(inputs, outputs, kernel, stride=(1, 1, 1)):
    padding = tuple(k // 2 for k in kernel)
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm3d(outputs)
    )


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, time_stride, middles):
        super().__init__()
        self.space0 = unit(inputs, middles[0], (1, 3, 3), (1, stride, stride))
        self.time0 = unit(middles[0], outputs, (3, 1, 1), (time_stride, 1, 1))
        self.space1 = unit(outputs, middles[1], (1, 3, 3))
        self.time1 = unit(middles[1], outputs, (3, 1, 1))
        self.shortcut = (
            unit(inputs, outputs, (1, 1, 1), (time_stride, stride, stride)) if stride > 1 else None
        )

    def forward(self, x):
        y = self.time0(self.space0(x).relu()).relu()
        y = self.time1(self.space1(y).relu())
        return (y + (x if self.shortcut is None else self.shortcut(x))).relu()


class TorchR2Plus1D(nn.Module):
    def __init__(self, depths, own_middles=False, time_strides=(1, 2, 2, 2)):
        super().__init__()
        self.stem_space = unit(3, STEM, (1, 7, 7), (1, 2, 2))
        self.stem_time = unit(STEM, WIDTH, (3, 1, 1))
        self.names, self.blocks, inputs = [], nn.ModuleList(), WIDTH
        for stage, depth in enumerate(depths):
            for index in range(depth):
                outputs = WIDTH * 2**stage
                first = int(27 * inputs * outputs / (9 * inputs + 3 * outputs))
                second = int(27 * outputs * outputs / (12 * outputs)) if own_middles else first
                stride = 2 if stage and not index else 1
                self.names.append(f"stage{stage}_block{index}")
                time_stride = 1 if index else time_strides[stage]
                self.blocks.append(Block(inputs, outputs, stride, time_stride, (first, second)))
                inputs = outputs
        self.fc = nn.Linear(inputs, 1)

    def maps(self, frames):
        x = self.stem_time(self.stem_space(channels_first(frames, KINETICS)).relu()).relu()
        for block in self.blocks:
            x = block(x)
        return x

    def forward(self, frames):
        return self.fc(self.maps(frames).mean((2, 3, 4)))[:, 0]


def trunk_from_torch(module, weights):
    names = {name: (f"{name}.0", f"{name}.1") for name in ("stem_space", "stem_time")}
    for index, (name, block) in enumerate(zip(module.names, module.blocks, strict=True)):
        inner = {
            "conv0/space": "space0",
            "conv0/time": "time0",
            "conv1/space": "space1",
            "conv1/time": "time1",
        }
        inner |= {} if block.shortcut is None else {"shortcut": "shortcut"}
        for ours, theirs in inner.items():
            names[f"{name}/{ours}"] = (f"blocks.{index}.{theirs}.0", f"blocks.{index}.{theirs}.1")
    return weights.conv_norms(names)


def _from_torch(module):
    weights = Weights(module)
    trunk = trunk_from_torch(module, weights)
    head = weights.dense("fc")
    assert not weights.left
    return {
        "params": {"trunk": trunk["params"], "head": {"logit": head}},
        "batch_stats": {"trunk": trunk["batch_stats"]},
    }


@pytest.mark.parametrize(("layers", "middle"), [(18, "block"), (10, "conv")])
def test_logits_and_gradients_equal_plain_torch_layers(layers, middle):
    reference = randomised(TorchR2Plus1D(DEPTHS[layers], own_middles=middle == "conv"))
    model = R2Plus1D(layers, WIDTH, middle)
    out = assert_parity(model, _from_torch(reference), reference, clips(2, 9, 17, seed=7))
    assert (out["frame_logit"].shape, out["features"].shape) == ((2, 9), (2, 8 * WIDTH))
    assert all(len(set(clip.tolist())) == 2 for clip in out["frame_logit"])


@pytest.mark.parametrize(
    ("layers", "middle", "published"),
    # torchvision's; the paper's table has 33.3 M; the published networks of 34 layers 63.7 M.
    [
        (18, "block", 31_505_325),
        (18, "conv", 33_370_839),
        (34, "conv", 63_697_175),
        (34, "block", 61_831_661),
    ],
)
def test_parameters_are_the_published_ones(layers, middle, published):
    frames = jax.ShapeDtypeStruct((1, 16, 112, 112, 3), jnp.float32)
    params = jax.eval_shape(R2Plus1D(layers, middle=middle).init, jax.random.key(0), Clip(frames))["params"]
    assert count(params["trunk"]) + 400 * 512 + 400 == published
