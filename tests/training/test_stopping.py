"""Runs that are asked to stop, that meet another in their folder, or that lack what they began from."""

import errno
import json
import os
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
from safetensors.numpy import save_file

from fakedetect_jax import experiment
from fakedetect_jax.errors import Stopped
from fakedetect_jax.experiment import evaluate, export, train
from fakedetect_jax.training.checkpoint import Checkpoints
from fakedetect_jax.training.interruption import Interruption
from fakedetect_jax.training.validation import SELECTION_METRIC
from fakedetect_jax.training.workdir import EVALUATING, EXPORT, TRAINING, WorkdirInUse, reserved
from fakedetect_jax.weights.naming import flat_leaves
from tests import tiny_config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config(tiny_data):
    config = tiny_config.get_config()
    config.data.folder = str(tiny_data)
    config.train.steps = 4
    config.validation.every = 4
    return config


def newest(workdir):
    return Checkpoints(workdir / "checkpoints", metric=SELECTION_METRIC, read_only=True).latest_step()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_step_and_the_same_line_goes_on(number, code, tiny_data, tmp_path):
    command = [sys.executable, "launch.py", "--config", "tests/tiny_config.py", "--workdir", str(tmp_path)]
    # No step is saved by itself but the last.
    command += [f"--config.data.folder={tiny_data}", "--config.train.steps=2000"]
    command += ["--config.train.checkpoint_every=5000", "--config.validation.every=5000"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "metrics.jsonl"
    while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 3):
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    last = errors.splitlines()[-1]
    step = int(re.fullmatch(r"launch.py: stopped at step (\d+); the same line goes on from step \1", last)[1])
    assert newest(tmp_path) == step >= 4
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()][-1] == step


def test_a_run_that_was_stopped_and_goes_on_is_bit_for_bit_the_same(config, tmp_path, monkeypatch):
    train(config, tmp_path / "whole")
    monkeypatch.setattr(Interruption, "asked", asks_after(2))
    with pytest.raises(Stopped, match="stopped at step 2; the same line goes on from step 2"):
        train(config, tmp_path / "stopped")
    monkeypatch.undo()
    train(config, tmp_path / "stopped")
    whole, stopped = (final_state(config, tmp_path / name) for name in ("whole", "stopped"))
    jax.tree.map(lambda left, right: np.testing.assert_array_equal(left, right, strict=True), whole, stopped)


def asks_after(step):
    return lambda self, done: done == step


def final_state(config, workdir):
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    template = experiment.make_state(config, model, optimizer)
    checkpoints = Checkpoints(workdir / "checkpoints", metric=SELECTION_METRIC, read_only=True)
    return jax.device_get(checkpoints.restore(config.train.steps, template))


def test_before_the_first_step_a_signal_stops_at_once():
    with Interruption() as interruption:
        with pytest.raises(Stopped, match="stopped") as stopped:
            os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.asked(1)  # whatever swallowed the exception
    assert stopped.value.number == signal.SIGTERM


def test_a_second_signal_stops_at_once(capsys):
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        interruption.counted = True
        assert not interruption.asked(1)
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked(2)
        with pytest.raises(Stopped, match="goes on from the newest checkpoint"):
            os.kill(os.getpid(), signal.SIGINT)
    assert "a second signal stops at once" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_to_go_on_the_original_weights_are_not_needed(config, tmp_path, capsys, monkeypatch):
    weights = tmp_path / "weights.safetensors"
    model, optimizer = experiment.make_model(config), experiment.make_optimizer(config)
    state = experiment.make_state(config, model, optimizer)
    save_file({name: np.asarray(leaf) for name, leaf in flat_leaves(state.evaluated).items()}, weights)
    config = config.copy_and_resolve_references()
    config.model.init_from = str(weights)
    monkeypatch.setattr(Interruption, "asked", asks_after(2))
    with pytest.raises(Stopped):
        train(config, tmp_path / "run")
    assert str(weights) in capsys.readouterr().out
    monkeypatch.undo()
    weights.unlink()
    train(config, tmp_path / "run")
    assert newest(tmp_path / "run") == 4


MODES = {train: TRAINING, export: EXPORT, evaluate: EVALUATING}


@pytest.fixture(scope="module")
def exported(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("exported")
    train(config, workdir)
    export(config, workdir)
    return workdir


@pytest.mark.parametrize("mode", MODES)
def test_a_folder_in_use_is_refused_by_who_does_the_same_in_it(mode, config, exported, tmp_path):
    workdir = shutil.copytree(exported, tmp_path / "run")
    before, lock = written(workdir), MODES[mode]
    holder = hold(workdir, lock)
    with pytest.raises(WorkdirInUse, match=rf"process {holder.pid} of .* {lock.does} here; wait for its end"):
        mode(config, workdir)
    assert written(workdir) == before
    holder.kill()
    holder.wait()
    with reserved(workdir, lock):
        assert json.loads((workdir / lock.name).read_text())["pid"] == os.getpid()


def written(folder):
    """When each file was written, besides the locks."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.suffix != ".lock" and path.is_file()
    }


def test_a_detector_is_exported_and_evaluated_while_its_run_trains_on(config, exported, tmp_path):
    workdir = shutil.copytree(exported, tmp_path / "run")
    holder = hold(workdir, TRAINING)
    export(config, workdir)
    assert evaluate(config, workdir).exists()
    holder.kill()
    holder.wait()


def hold(workdir, lock):
    """Starts a process that keeps a lock of `workdir`."""
    program = f"""
import time
from pathlib import Path
from fakedetect_jax.training.workdir import Lock, reserved
with reserved(Path({str(workdir)!r}), Lock({lock.name!r}, "")):
    print("held", flush=True)
    time.sleep(600)
"""
    holder = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    return holder


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.lockf", none)
    with reserved(tmp_path, TRAINING):
        assert "has no locks; make sure that nobody else trains there" in capsys.readouterr().out
