"""Real processes, really killed."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from fakedetect_jax import experiment
from fakedetect_jax.experiment import train
from fakedetect_jax.training.checkpoint import CheckpointMismatch, Checkpoints
from fakedetect_jax.training.metrics_log import LossNotFinite
from fakedetect_jax.training.state import create_state
from fakedetect_jax.training.validation import SELECTION_METRIC
from tests import tiny_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def launch(tiny_data):
    """Starts launch.py on the tiny config."""

    def start(workdir):
        command = [sys.executable, "launch.py", "--config", "tests/tiny_config.py", "--workdir", str(workdir)]
        command += ["--mode", "train", f"--config.data.folder={tiny_data}"]
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    return start


@pytest.fixture(scope="module")
def config(tiny_data):
    config = tiny_config.get_config()
    config.data.folder = str(tiny_data)
    return config


@pytest.fixture(scope="module")
def uninterrupted(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("uninterrupted")
    train(config, workdir)
    return workdir


def final_state(workdir):
    config = tiny_config.get_config()
    model = experiment.make_model(config)
    optimizer = experiment.make_optimizer(config)
    template = create_state(model, optimizer, seed=0, frames=config.clip.frames, size=32)
    checkpoints = saved(workdir)
    assert checkpoints.latest_step() == config.train.steps
    return jax.device_get(checkpoints.restore(config.train.steps, template))


def saved(workdir):
    return Checkpoints(workdir / "checkpoints", metric=SELECTION_METRIC, read_only=True)


def logged(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_killed_anywhere_and_resumed_is_bit_for_bit_the_same(launch, uninterrupted, tmp_path):
    moments = random.Random(0)
    for _ in range(2):
        process = launch(tmp_path)
        steps = moments.randint(3, 6)
        wait_for_steps(tmp_path, steps, process)
        time.sleep(moments.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    # A run may be killed before its first checkpoint is whole.
    assert (saved(tmp_path).latest_step() or 0) < 16
    process = launch(tmp_path)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    whole, resumed = final_state(uninterrupted), final_state(tmp_path)
    jax.tree.map(lambda left, right: np.testing.assert_array_equal(left, right, strict=True), whole, resumed)
    speeds = ("examples_per_second", "data_wait")

    def numbers(workdir):
        return [{k: v for k, v in row.items() if k not in speeds} for row in logged(workdir)]

    assert numbers(uninterrupted) == numbers(tmp_path)


def wait_for_steps(workdir, steps, process):
    """Waits until the run has logged `steps` more than it had at first."""
    path = workdir / "metrics.jsonl"
    first = None
    while process.poll() is None:
        rows = len(re.findall(r'"part": "train"', path.read_text())) if path.exists() else 0
        first = rows if first is None else min(first, rows)
        if rows >= first + steps:
            return
        time.sleep(0.02)
    pytest.fail(f"the run ended before {steps} steps: {process.communicate()[0]}")


def test_a_finished_run_is_left_alone(uninterrupted, config, capsys):
    before = logged(uninterrupted)
    train(config, uninterrupted)
    assert "trained to step 16 already" in capsys.readouterr().out
    assert logged(uninterrupted) == before


def test_a_damaged_newest_checkpoint_costs_the_steps_since_the_one_before_and_no_bit(
    uninterrupted, config, tmp_path, capsys
):
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    (array,) = (tmp_path / "checkpoints" / "step_16" / "state" / "d").iterdir()
    data = bytearray(array.read_bytes())
    data[len(data) // 2] ^= 1
    array.write_bytes(data)
    train(config, tmp_path)
    said = capsys.readouterr().out
    assert "the checkpoint of step 16 is damaged (state/d/" in said
    assert "going on from step 12" in said
    whole, resumed = final_state(uninterrupted), final_state(tmp_path)
    jax.tree.map(lambda left, right: np.testing.assert_array_equal(left, right, strict=True), whole, resumed)
    assert [row["step"] for row in logged(tmp_path)] == [row["step"] for row in logged(uninterrupted)]


def test_the_best_and_the_last_two_checkpoints_are_kept(uninterrupted):
    rows = [row for row in logged(uninterrupted) if row["part"] == "validation"]
    best = max(rows, key=lambda row: row[SELECTION_METRIC])["step"]
    assert saved(uninterrupted).best_step() == best
    kept = {int(path.name.split("_")[1]) for path in (uninterrupted / "checkpoints").glob("step_*")}
    assert kept == {best, 12, 16}


def test_another_config_is_refused_by_field(uninterrupted, config):
    config = config.copy_and_resolve_references()
    config.optimizer.learning_rate = 0.5
    with pytest.raises(CheckpointMismatch, match=r"config.optimizer.learning_rate: 0.001 -> 0.5"):
        train(config, uninterrupted)


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(config, tmp_path):
    config = config.copy_and_resolve_references()
    config.input.fakes = "recorded"
    config.optimizer.learning_rate = 1e30
    config.optimizer.warmup_steps = 0
    with pytest.raises(LossNotFinite, match=r"is (nan|inf) at step \d+"):
        train(config, tmp_path)
    assert saved(tmp_path).latest_step() is None
