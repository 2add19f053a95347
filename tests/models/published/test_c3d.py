"""C3D against plain torch layers, its published sizes, and clips of other lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch import nn

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published.c3d import C3D, COLOURS
from tests.models.published.parity import (
    Weights,
    assert_parity,
    channels_first,
    clips,
    count,
    random_variables,
    randomised,
)

WIDTHS, HIDDEN = (4, 6, 8, 10, 12), 16
# Millions with 101 and 487 classes; with one there are as many rows of 4096 weights and a bias fewer.
PUBLISHED = {101: 78.41, 487: 79.99}


class TorchC3D(nn.Module):
    def __init__(self, side):
        super().__init__()
        inputs, layers = 3, []
        for stage, width in enumerate(WIDTHS):
            for _ in range(1 if stage < 2 else 2):
                layers += [nn.Conv3d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs = width
            window = (1, 2, 2) if stage == 0 else 2
            layers.append(nn.MaxPool3d(window, padding=(0, 1, 1) if stage == 4 else 0))
        self.features = nn.Sequential(*layers)
        self.fc6 = nn.Linear(WIDTHS[-1] * side * side, HIDDEN)
        self.fc7 = nn.Linear(HIDDEN, HIDDEN)
        self.fc8 = nn.Linear(HIDDEN, 1)

    def forward(self, frames):
        x = self.features(channels_first(frames, COLOURS)).flatten(1)
        return self.fc8(self.fc7(self.fc6(x).relu()).relu())[:, 0]


def _from_torch(module, side):
    weights = Weights(module)
    names = ["conv1a", "conv2a", "conv3a", "conv3b", "conv4a", "conv4b", "conv5a", "conv5b"]
    convs = [name for name, layer in module.features.named_children() if isinstance(layer, nn.Conv3d)]
    trunk = {ours: weights.conv(f"features.{theirs}") for ours, theirs in zip(names, convs, strict=True)}
    trunk |= {"fc6": weights.dense_on_map("fc6", side, side), "fc7": weights.dense("fc7")}
    tree = {"params": {"trunk": trunk, "head": {"logit": weights.dense("fc8")}}}
    assert not weights.left
    return tree


# 48 px leave a map of 3x3, padded to 5x5 and pooled to 2x2.
@pytest.mark.parametrize(("size", "side"), [(48, 2), (16, 1)])
def test_logits_and_gradients_equal_plain_torch_layers(size, side):
    reference = randomised(TorchC3D(side))
    model = C3D(widths=WIDTHS, hidden=HIDDEN)
    out = assert_parity(model, _from_torch(reference, side), reference, clips(2, 16, size))
    assert (out["frame_logit"].shape, out["features"].shape) == ((2, 16), (2, HIDDEN))


@pytest.mark.parametrize("classes", PUBLISHED)
def test_parameters_are_the_published_ones(classes):
    frames = jax.ShapeDtypeStruct((1, 16, 112, 112, 3), jnp.float32)
    params = jax.eval_shape(C3D().init, jax.random.key(0), Clip(frames))["params"]
    assert params["trunk"]["fc6"]["kernel"].shape == (8192, 4096)
    assert round((count(params) + 4097 * (classes - 1)) / 1e6, 2) == PUBLISHED[classes]


def test_longer_clips_score_the_mean_of_their_windows_and_go_on_with_the_last_frame():
    model = C3D(widths=(2, 2, 2, 2, 2), hidden=8)
    frames = clips(1, 20, 16)
    variables = random_variables(model, frames)
    apply = jax.jit(lambda variables, frames, valid=None: model.apply(variables, Clip(frames, valid=valid)))
    logit, out = apply(variables, frames)
    last = np.concatenate([frames[:, 16:], np.repeat(frames[:, -1:], 12, axis=1)], axis=1)
    alone = [apply(variables, window)[0] for window in (frames[:, :16], last)]
    assert float(abs(alone[0] - alone[1])[0]) > 1e-5
    np.testing.assert_allclose(logit, (alone[0] + alone[1]) / 2, atol=1e-6)
    np.testing.assert_allclose(out["frame_logit"][0], np.repeat(np.stack(alone)[:, 0], (16, 4)), atol=1e-6)
    # The second window does not count when none of its frames does.
    first_alone = apply(variables, frames, valid=np.arange(20)[None] < 16)[0]
    np.testing.assert_allclose(first_alone, alone[0], atol=1e-6)


def test_too_small_frames_are_refused():
    with pytest.raises(ValueError, match="C3D needs frames of at least 16 px"):
        jax.eval_shape(C3D().init, jax.random.key(0), Clip(jnp.ones((1, 16, 15, 64, 3))))
