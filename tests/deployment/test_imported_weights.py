"""Weights from elsewhere, exported and evaluated without any training here."""

import numpy as np
import pytest
import torch

from fakedetect_jax.augment import face_crop
from fakedetect_jax.data.pipeline import evaluation_batches
from fakedetect_jax.data.videos import select
from fakedetect_jax.deployment.inference import INPUTS, load_detector
from fakedetect_jax.evaluation.scores import read_csv
from fakedetect_jax.experiment import evaluate, export
from fakedetect_jax.faces import Extraction
from fakedetect_jax.training.checkpoint import CheckpointMismatch
from fakedetect_jax.weights import WeightsError
from tests import tiny_config
from tests.models.spatial.parity import randomise
from tests.weights import foreign


@pytest.fixture(scope="module")
def net():
    return randomise(foreign.efficientnet("efficientnet-pytorch")).float()


@pytest.fixture(scope="module")
def config(net, tiny_data, tmp_path_factory):
    """A whole detector in the names that the authors of self-blended images give theirs."""
    path = tmp_path_factory.mktemp("weights") / "sbi.tar"
    torch.save({"model": {f"net.{name}": value for name, value in net.state_dict().items()}}, path)
    config = tiny_config.get_config()
    config.data.folder = str(tiny_data)
    config.clip.size = 44
    spatial = {"name": "efficientnet", "width": 0.5, "depth": 0.3}
    config.model.options = {"spatial": spatial, "normalisation": "none"}
    config.model.init_from, config.model.init_source = str(path), "sbi"
    return config


@pytest.fixture(scope="module")
def workdir(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    export(config, workdir)
    return workdir


def test_the_detector_scores_as_the_foreign_network_does(workdir, net, tiny_data):
    detector = load_detector(workdir / "detector")
    assert detector.clip.extraction == Extraction()
    batch = next(evaluation_batches(select(tiny_data, "tiny_faces", "test"), detector.clip, batch_size=2))
    scores, per_frame = detector.score(**{name: batch[name] for name in INPUTS})
    crops = [
        face_crop(frames / np.float32(255), landmarks, size=44, margin=detector.clip.margin).frames
        for frames, landmarks in zip(batch["frames"], batch["landmarks"], strict=True)
    ]
    with torch.no_grad():
        images = torch.tensor(np.concatenate(crops).transpose(0, 3, 1, 2))
        logits = net["_fc"](net(images)).double().reshape(2, 2, 2)
    margins = (logits[..., 1] - logits[..., 0]).numpy()
    assert np.ptp(margins) > 1e-3
    np.testing.assert_allclose(np.log(per_frame / (1 - per_frame)), margins, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.log(scores / (1 - scores)), margins.mean(1), rtol=1e-3, atol=1e-3)


def test_card_and_report_say_that_it_was_not_trained_here(config, workdir):
    report = evaluate(config, workdir)
    assert len(read_csv(report.parent / "scores.csv")) == 4 * 3
    page, card = report.read_text(), (workdir / "detector" / "README.md").read_text()
    for text in (page, card):
        assert f"not trained here: weights imported from {config.model.init_from} (names of sbi)" in text
        assert "by log loss on the validation split" not in text
    assert "tiny_faces, split train" not in card
    assert "the defaults of `fakedetect build`" in card
    trained = load_detector(workdir / "detector").spec["trained"]
    assert (trained["step"], trained["people"], trained["data"]) == (0, [], {})


def test_weights_without_a_head_are_no_detector(config, tmp_path):
    config = config.copy_and_resolve_references()
    config.model.options.temporal = {"name": "gru", "dim": 8}
    with pytest.raises(WeightsError, match=r"lacks \d+ weights of the model, such as .* train first"):
        export(config, tmp_path)
    assert not (tmp_path / "detector").exists()


def test_without_weights_and_training_there_is_nothing_to_export(config, tmp_path):
    config = config.copy_and_resolve_references()
    config.model.init_from = config.model.init_source = ""
    with pytest.raises(CheckpointMismatch, match="no validated checkpoint; train first"):
        export(config, tmp_path)
