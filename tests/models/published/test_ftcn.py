"""FTCN against plain torch layers, its sizes, and the clips that it takes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

from fakedetect_jax.models.clip import IMAGENET, Clip
from fakedetect_jax.models.published.ftcn import FTCN
from tests.models.published.parity import (
    Weights,
    assert_parity,
    channels_first,
    clips,
    count,
    random_variables,
    randomised,
)

SMALL = {"depths": (1, 2, 1), "width": 4, "depth": 2, "heads": 2, "head_dim": 6, "mlp": 24, "max_frames": 12}
PUBLISHED = {
    "depths": (3, 4, 6),
    "width": 64,
    "depth": 1,
    "heads": 16,
    "head_dim": 64,
    "mlp": 2048,
    "max_frames": 32,
}


def unit(inputs, outputs, taps=1, pool=1):
    conv = nn.Conv3d(inputs, outputs, (taps, 1, 1), padding=(taps // 2, 0, 0), bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(outputs), nn.MaxPool3d((1, pool, pool)))


class Block(nn.Module):
    def __init__(self, inputs, width, taps, pool):
        super().__init__()
        self.time, self.middle = unit(inputs, width, taps), unit(width, width, pool=pool)
        self.expand = unit(width, 4 * width)
        self.shortcut = unit(inputs, 4 * width, pool=pool) if pool > 1 or inputs != 4 * width else None

    def forward(self, x):
        y = self.expand(self.middle(self.time(x).relu()).relu())
        return (y + (x if self.shortcut is None else self.shortcut(x))).relu()


class Layer(nn.Module):
    def __init__(self, dim, heads, head_dim, mlp):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.out = nn.Linear(heads * head_dim, dim)
        self.up, self.down = nn.Linear(dim, mlp), nn.Linear(mlp, dim)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = (
            part.view(b, n, self.heads, -1).transpose(1, 2)
            for part in self.qkv(self.attention_norm(x)).chunk(3, -1)
        )
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).reshape(b, n, -1))
        return x + self.down(nn.functional.gelu(self.up(self.mlp_norm(x))))


class TorchFTCN(nn.Module):
    def __init__(self, depths, width, depth, heads, head_dim, mlp, max_frames):
        super().__init__()
        self.stem = unit(3, width, 5, 2)
        self.names, self.blocks, inputs = [], nn.ModuleList(), width
        for stage, blocks in enumerate(depths):
            for index in range(blocks):
                taps = 3 if stage == 0 or index % 2 == 0 else 1
                pool = 2 if stage and index == 0 else 1
                self.names.append(f"stage{stage}_block{index}")
                self.blocks.append(Block(inputs, width * 2**stage, taps, pool))
                inputs = 4 * width * 2**stage
        self.second_stage = depths[0]
        self.position = nn.Parameter(torch.zeros(1, max_frames // 2 + 1, inputs))
        self.token = nn.Parameter(torch.zeros(1, 1, inputs))
        self.layers = nn.ModuleList(Layer(inputs, heads, head_dim, mlp) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(inputs), nn.Linear(inputs, 1)

    def forward(self, frames):
        x = self.stem(channels_first(frames, IMAGENET)).relu()
        x = nn.functional.max_pool3d(x, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for index, block in enumerate(self.blocks):
            if index == self.second_stage:
                x = nn.functional.max_pool3d(x, (2, 1, 1))
            x = block(x)
        x = x.mean((3, 4)).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        x = x + self.position[:, : x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x[:, 0]))[:, 0]


def _from_torch(module):
    weights = Weights(module)
    names = {"stem": ("stem.0", "stem.1")}
    for index, (name, block) in enumerate(zip(module.names, module.blocks, strict=True)):
        inner = ["time", "middle", "expand"] + ([] if block.shortcut is None else ["shortcut"])
        names |= {f"{name}/{part}": tuple(f"blocks.{index}.{part}.{i}" for i in (0, 1)) for part in inner}
    trunk = weights.conv_norms(names)
    transformer = {
        "class_token": weights.left.pop("token"),
        "position": weights.left.pop("position")[0],
        "norm": weights.norm("norm"),
    }
    for index in range(len(module.layers)):
        layer, block = f"layers.{index}", f"block{index}"
        transformer |= {
            f"{block}_attention_norm": weights.norm(f"{layer}.attention_norm"),
            f"{block}_attention": {
                "qkv": weights.dense(f"{layer}.qkv"),
                "out": weights.dense(f"{layer}.out"),
            },
            f"{block}_mlp_norm": weights.norm(f"{layer}.mlp_norm"),
            f"{block}_expand": weights.dense(f"{layer}.up"),
            f"{block}_project": weights.dense(f"{layer}.down"),
        }
    head = weights.dense("head")
    assert not weights.left
    return {
        "params": {"trunk": trunk["params"], "transformer": transformer, "head": head},
        "batch_stats": {"trunk": trunk["batch_stats"]},
    }


@pytest.mark.parametrize(("frames", "size"), [(12, 22), (7, 16)])
def test_logits_and_gradients_equal_plain_torch_layers(frames, size):
    # Of seven frames the last is in no pair.
    reference = randomised(TorchFTCN(**SMALL))
    out = assert_parity(FTCN(**SMALL), _from_torch(reference), reference, clips(2, frames, size))
    assert (out["frame_logit"].shape, out["features"].shape) == ((2, frames), (2, 64))


def test_parameters_are_those_of_the_published_layers():
    frames = jax.ShapeDtypeStruct((1, 32, 224, 224, 3), jnp.float32)
    params = jax.eval_shape(FTCN().init, jax.random.key(0), Clip(frames))["params"]
    with torch.device("meta"):
        expected = sum(parameter.numel() for parameter in TorchFTCN(**PUBLISHED).parameters())
    assert count(params) == expected
    # The transformer and its linear layer.
    assert round((count(params["transformer"]) + count(params["head"])) / 1e6, 2) == 8.42


def test_steps_whose_frames_all_do_not_count_are_passed_over():
    model = FTCN(**SMALL | {"depths": (1, 1, 1), "depth": 1})
    frames = clips(1, 8, 16)
    variables = random_variables(model, frames)
    valid = np.array([[1, 1, 1, 1, 1, 1, 0, 0]], bool)
    frozen = np.concatenate([frames[:, :6], frames[:, 5:6], frames[:, 5:6]], axis=1)
    apply = jax.jit(lambda variables, frames, valid=None: model.apply(variables, Clip(frames, valid=valid)))
    masked, seen = apply(variables, frames, valid=valid)[0], apply(variables, frozen)[0]
    assert float(abs(masked - seen)[0]) > 1e-6


@pytest.mark.parametrize("frames", [1, 34])
def test_clips_of_other_lengths_are_refused(frames):
    with pytest.raises(ValueError, match=f"2 to max_frames=32 frames, got {frames}"):
        jax.eval_shape(FTCN().init, jax.random.key(0), Clip(jnp.ones((1, frames, 16, 16, 3))))
