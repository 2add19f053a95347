"""A checkpoint in the naming of M2TR's authors against what plain torch computes with it."""

import jax
import numpy as np
import torch
from torch import nn

from fakedetect_jax.models.clip import IMAGENET, Clip
from fakedetect_jax.models.published.m2tr import M2TR
from fakedetect_jax.weights import SOURCES, load_file, make_naming
from tests.models.published.torch_m2tr import Layer
from tests.models.spatial.parity import randomise
from tests.weights import foreign

SIZE, CHANNELS, FEATURES = 64, 16, 640
# The last block of the second stage.
BLOCK = "_blocks.1."


class Foreign(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = foreign.efficientnet("efficientnet-pytorch", padding_size=380)
        self.layers = nn.ModuleList([Layer(CHANNELS, SIZE // 4, SIZE // 4)])
        self.classifier = nn.Module()
        self.classifier.projection = nn.Linear(FEATURES, 2)
        self.model.behind[BLOCK] = self.layers[0]

    def forward(self, x):
        return self.classifier.projection(self.model(x))


def test_a_checkpoint_of_the_authors_scores_frames_as_theirs(tmp_path):
    module = Foreign()
    module = randomise(Sized(module)).module.float()
    checkpoint = {"epoch": 3, "model_state": module.state_dict(), "scheduler_state": None}
    torch.save(checkpoint, tmp_path / "M2TR_FFDF_epoch_00004.pyth")
    frames = np.random.default_rng(0).random((2, 1, SIZE, SIZE, 3)).astype(np.float32)
    model = M2TR(variant=None, width=0.5, depth=0.3, layers=1)
    shapes = jax.eval_shape(model.init, jax.random.key(0), Clip(frames))
    naming = make_naming(SOURCES["m2tr"], shapes)
    variables, report = load_file(shapes, tmp_path / "M2TR_FFDF_epoch_00004.pyth", naming)
    assert not report.missing
    assert {name for name in report.dropped if not name.endswith("num_batches_tracked")} == {
        "model._fc.weight",
        "model._fc.bias",
    }
    logit, _ = jax.jit(model.apply)(variables, Clip(frames))
    mean, std = (torch.tensor(values)[:, None, None] for values in IMAGENET)
    with torch.no_grad():
        logits = module((torch.tensor(frames[:, 0].transpose(0, 3, 1, 2)) - mean) / std)
    expected = (logits[:, 1] - logits[:, 0]).numpy()
    assert np.ptp(expected) > 1e-2
    np.testing.assert_allclose(logit, expected, atol=1e-4 * abs(expected).max())


class Sized(nn.Module):
    """Whatever the size of images, they are resized to that of the module's spectral weights."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(nn.functional.interpolate(x, (SIZE, SIZE)))
