"""I3D against plain torch layers with TensorFlow's padding, and its published size."""

import jax
import jax.numpy as jnp
import pytest
import torch
from torch import nn

from fakedetect_jax.models.clip import HALF, Clip
from fakedetect_jax.models.published.i3d import I3D
from tests.models.published.parity import Weights, assert_parity, channels_first, clips, count, randomised

SCALE = 8
# The published table again, so that a slip in ours shows.
PLAN = [
    ("pool", (1, 3, 3), (1, 2, 2)),
    ("conv2b", 64, 1),
    ("conv2c", 192, 3),
    ("pool", (1, 3, 3), (1, 2, 2)),
    ("mixed3b", 64, 96, 128, 16, 32, 32),
    ("mixed3c", 128, 128, 192, 32, 96, 64),
    ("pool", (3, 3, 3), (2, 2, 2)),
    ("mixed4b", 192, 96, 208, 16, 48, 64),
    ("mixed4c", 160, 112, 224, 24, 64, 64),
    ("mixed4d", 128, 128, 256, 24, 64, 64),
    ("mixed4e", 112, 144, 288, 32, 64, 64),
    ("mixed4f", 256, 160, 320, 32, 128, 128),
    ("pool", (2, 2, 2), (2, 2, 2)),
    ("mixed5b", 256, 160, 320, 32, 128, 128),
    ("mixed5c", 384, 192, 384, 48, 128, 128),
]


def pad_same(x, kernel, stride):
    amounts = []
    for size, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        amounts += [total // 2, total - total // 2]
    return nn.functional.pad(x, amounts)


class Pool(nn.Module):
    def __init__(self, kernel, stride):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x):
        # Zeros never win either: what comes in is behind a ReLU.
        return nn.functional.max_pool3d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)


class Unit(nn.Module):
    def __init__(self, inputs, outputs, side, stride=1):
        super().__init__()
        self.kernel, self.stride = (side,) * 3, (stride,) * 3
        self.conv = nn.Conv3d(inputs, outputs, side, stride, bias=False)
        self.norm = nn.BatchNorm3d(outputs, eps=1e-3)

    def forward(self, x):
        return self.norm(self.conv(pad_same(x, self.kernel, self.stride))).relu()


class Mixed(nn.Module):
    def __init__(self, inputs, a, b, c, d, e, f):
        super().__init__()
        self.branch0 = Unit(inputs, a, 1)
        self.branch1_reduce, self.branch1 = Unit(inputs, b, 1), Unit(b, c, 3)
        self.branch2_reduce, self.branch2 = Unit(inputs, d, 1), Unit(d, e, 3)
        self.pool, self.branch3 = Pool((3, 3, 3), (1, 1, 1)), Unit(inputs, f, 1)
        self.outputs = a + c + e + f

    def forward(self, x):
        return torch.cat(
            [
                self.branch0(x),
                self.branch1(self.branch1_reduce(x)),
                self.branch2(self.branch2_reduce(x)),
                self.branch3(self.pool(x)),
            ],
            1,
        )


class TorchI3D(nn.Module):
    def __init__(self, scale):
        super().__init__()
        inputs = 64 // scale
        self.names, self.layers = ["conv1a"], nn.ModuleList([Unit(3, inputs, 7, 2)])
        for name, *sizes in PLAN:
            if name == "pool":
                layer = Pool(*sizes)
            elif name.startswith("conv"):
                layer = Unit(inputs, sizes[0] // scale, sizes[1])
                inputs = sizes[0] // scale
            else:
                layer = Mixed(inputs, *(size // scale for size in sizes))
                inputs = layer.outputs
            self.names.append(name)
            self.layers.append(layer)
        self.logits = nn.Conv3d(inputs, 1, 1)

    def forward(self, frames):
        x = channels_first(frames, HALF)
        for layer in self.layers:
            x = layer(x)
        x = nn.functional.avg_pool3d(x, (2, *x.shape[3:]), stride=1)
        return self.logits(x).mean((1, 2, 3, 4))


def _from_torch(module):
    weights = Weights(module)
    names = {
        "/".join(filter(None, (module.names[index], inner))): (f"{path}.conv", f"{path}.norm")
        for index, layer in enumerate(module.layers)
        for inner, unit in layer.named_modules()
        if isinstance(unit, Unit)
        for path in [".".join(filter(None, ("layers", str(index), inner)))]
    }
    trunk = weights.conv_norms(names)
    kernel = weights.conv("logits")
    head = {"kernel": kernel["kernel"][0, 0, 0], "bias": kernel["bias"]}
    assert not weights.left
    return {
        "params": {"trunk": trunk["params"], "head": {"logit": head}},
        "batch_stats": {"trunk": trunk["batch_stats"]},
    }


def test_logits_and_gradients_equal_plain_torch_layers():
    reference = randomised(TorchI3D(SCALE))
    # An odd size, padded more at the end; 20 frames become 3 steps and 2 windows.
    out = assert_parity(I3D(width=1 / SCALE), _from_torch(reference), reference, clips(2, 20, 21))
    assert (out["frame_logit"].shape, out["features"].shape) == ((2, 20), (2, 1024 // SCALE))
    assert all(len(set(clip.tolist())) == 2 for clip in out["frame_logit"])


@pytest.mark.parametrize(("frames", "size"), [(16, 224), (64, 224), (1, 112)])
def test_builds_for_usual_clips_with_the_published_parameters(frames, size):
    clip = jax.ShapeDtypeStruct((2, frames, size, size, 3), jnp.float32)
    (logit, out), variables = jax.eval_shape(I3D().init_with_output, jax.random.key(0), Clip(clip))
    assert (logit.shape, out["frame_logit"].shape, out["features"].shape) == ((2,), (2, frames), (2, 1024))
    trunk = count(variables["params"]["trunk"])
    assert trunk == 12_287_264
    assert trunk + 400 * 1024 + 400 == 12_697_264
