"""What a run says before its first step, and what it leaves of it in its folder."""

import json

import numpy as np
import pytest

from fakedetect_jax import parallel
from fakedetect_jax.errors import Stopped
from fakedetect_jax.experiment import train
from fakedetect_jax.experiment.start import describe_start
from fakedetect_jax.training.interruption import Interruption
from fakedetect_jax.training.state import TrainState
from tests import tiny_config
from tests.conftest import make_videos


def test_it_counts_parameters_videos_tracks_and_steps():
    params = {"spatial": {"kernel": np.zeros((1000, 500))}, "head": {"kernel": np.zeros((100, 2500))}}
    config = tiny_config.get_config()
    config.model.options.frozen = ("spatial",)
    config.train.batch_size, config.train.steps = 16, 12000
    config.model.init_from = "weights.safetensors"
    said = describe_start(
        config,
        mesh=parallel.make_mesh(),
        state=TrainState(np.int32(0), params, params, {}, {}, ()),
        train=make_videos([3, (2, 2), 4]),
        validation=make_videos([1]),
    )
    lines = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert lines == {
        "devices": "8 x cpu, 2 clips each a step",
        "model": "detector, 0.75 M parameters, 0.25 M of them trained",
        "training": "3 videos, 4 face tracks",
        "validation": "1 video, 1 face track",
        "steps": "12,000 of 16 clips; 0.1875 make an epoch",
        "start": "step 0, weights of weights.safetensors",
    }
    # Aligned: every text begins in one column.
    assert len({line.index(lines[line.split()[0]]) for line in said.splitlines()}) == 1


def test_a_run_says_and_writes_it_before_it_compiles(tiny_data, tmp_path, capsys, monkeypatch):
    config = tiny_config.get_config()
    config.data.folder = str(tiny_data)
    monkeypatch.setattr(Interruption, "asked", lambda self, done: done == 1)
    with pytest.raises(Stopped):
        train(config, tmp_path)
    output = capsys.readouterr()
    assert "compiling" in output.err + output.out
    said = (tmp_path / "start.txt").read_text()
    assert said in output.out.partition("compiling")[0]
    assert "step 0, random weights" in said
    written = json.loads((tmp_path / "config.json").read_text())
    assert written == json.loads(json.dumps(config.to_dict()))
    assert list(written) == sorted(written)
    monkeypatch.undo()
    config.train.steps = 16
    train(config, tmp_path)
    assert "resumes from step 1\n" in (tmp_path / "start.txt").read_text()
    assert "resumes from step 1\n" in capsys.readouterr().out
