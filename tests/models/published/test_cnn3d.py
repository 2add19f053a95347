"""The 3-D network with its temporal parts: against torch, and what each part makes of time."""

import jax
import numpy as np
import pytest
from torch import nn

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published.cnn3d import CNN3D
from fakedetect_jax.models.published.r2plus1d import DEPTHS
from fakedetect_jax.models.temporal import TEMPORAL
from tests.models.published.parity import (
    Weights,
    assert_parity,
    clips,
    random_variables,
    randomised,
)
from tests.models.published.test_r2plus1d import WIDTH, TorchR2Plus1D, trunk_from_torch

DIM = 7
OPTIONS = {"heads": 1, "dim": 4, "layers": 1, "spatial_layers": 1}


class TorchRecurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.trunk = TorchR2Plus1D(DEPTHS[10], time_strides=(1, 2, 1, 1))
        self.recurrent = cell(8 * WIDTH, DIM, batch_first=True)
        self.frame_head, self.clip_head = nn.Linear(8 * WIDTH, 1), nn.Linear(DIM, 1)

    def forward(self, frames):
        steps = self.trunk.maps(frames).mean((3, 4)).transpose(1, 2)
        return self.clip_head(self.recurrent(steps)[0][:, -1])[:, 0]


def _from_torch(module):
    weights = Weights(module)
    trunk_weights = Weights(module.trunk)
    trunk = trunk_from_torch(module.trunk, trunk_weights)
    # The linear head of the trunk alone.
    assert set(trunk_weights.left) == {"fc.weight", "fc.bias"}
    layer = {
        name: weights.left[f"recurrent.{theirs}"].T
        for name, theirs in (
            ("input_kernel", "weight_ih_l0"),
            ("input_bias", "bias_ih_l0"),
            ("hidden_kernel", "weight_hh_l0"),
            ("hidden_bias", "bias_hh_l0"),
        )
    }
    params = {
        "trunk": trunk["params"],
        "temporal": {"layer0_forward": layer},
        "frame_head": weights.dense("frame_head"),
        "clip_head": weights.dense("clip_head"),
    }
    return {"params": params, "batch_stats": {"trunk": trunk["batch_stats"]}}


@pytest.mark.parametrize(("temporal", "cell"), [("gru", nn.GRU), ("lstm", nn.LSTM)])
def test_logits_and_gradients_equal_plain_torch_layers(temporal, cell):
    module = TorchRecurrent(cell)
    reference = randomised(module)
    model = CNN3D(10, WIDTH, time_strides=(1, 2, 1, 1), temporal=temporal, temporal_options={"dim": DIM})
    out = assert_parity(model, _from_torch(module), reference, clips(2, 6, 20))
    assert (out["frame_logit"].shape, out["features"].shape) == ((2, 6), (2, DIM))


@pytest.mark.parametrize("temporal", TEMPORAL)
def test_every_temporal_part_fits_and_passes_over_frames_that_do_not_count(temporal):
    fields = TEMPORAL[temporal].__dataclass_fields__
    options = {name: value for name, value in OPTIONS.items() if name in fields}
    model = CNN3D(10, 2, temporal=temporal, temporal_options=options)
    frames = clips(2, 5, 16)
    variables = random_variables(model, frames)
    apply = jax.jit(lambda frames, valid: model.apply(variables, Clip(frames, valid=valid)))
    valid = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]], bool)
    spoilt = np.where(valid[..., None, None, None], frames, 5)
    logit, out = apply(frames, valid)
    np.testing.assert_array_equal(logit, apply(spoilt.astype(np.float32), valid)[0])
    assert float(abs(logit - apply(frames, np.ones_like(valid))[0]).min()) > 1e-6
    assert out["frame_logit"].shape == (2, 5)
