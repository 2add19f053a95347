"""`fakedetect sweep`: a folder for each run, what fails and what is done; one run is real."""

import json
import sys
from pathlib import Path

import pytest

from fakedetect_jax.cli import experiment, main
from fakedetect_jax.cli.sweep import DONE
from fakedetect_jax.errors import FakedetectError

TINY = Path(__file__).parents[1] / "tiny_config.py"
CONFIG = """
from tests import tiny_config

get_config = tiny_config.get_config

def sweep():
    yield from {runs}
"""


@pytest.fixture
def sweep(monkeypatch, tmp_path, capsys):
    """Sweeps over overrides of the tiny config: exit code, output and errors."""

    def sweep(runs, *overrides):
        file = tmp_path / "swept.py"
        file.write_text(CONFIG.format(runs=runs))
        command = ["fakedetect", "sweep", "--config", str(file), "--workdir", str(tmp_path / "runs")]
        monkeypatch.setattr(sys, "argv", [*command, *overrides])
        code, message = 0, ""
        try:
            main.main()
        except SystemExit as ended:
            code, message = (1, ended.code) if isinstance(ended.code, str) else (ended.code, "")
        output, errors = capsys.readouterr()
        return code, output, errors + message

    return sweep


@pytest.fixture
def worked(monkeypatch):
    """Notes what each mode was called with, in the place of its work; seed 13 cannot be trained."""
    calls = []

    def noting(mode):
        def work(config, folder):
            calls.append((mode, folder.name, config.seed, config.train.steps))
            folder.mkdir(parents=True, exist_ok=True)
            if config.seed == 13:
                raise FakedetectError("seed=13; it must be another")

        return lambda: work

    monkeypatch.setattr(experiment, "start_jax", lambda: None)
    monkeypatch.setattr(
        experiment, "MODES", {mode: experiment.Mode(noting(mode), "note") for mode in experiment.MODES}
    )
    return calls


def test_each_run_is_trained_exported_and_evaluated_in_its_own_folder(sweep, worked):
    code, output, _ = sweep([{"seed": 0}, {"seed": 1, "train.steps": 9}], "--config.train.steps=5")
    assert code == 0
    modes = ("train", "export", "evaluate")
    assert worked == [
        *((mode, "seed=0", 0, 5) for mode in modes),
        *((mode, "seed=1,train.steps=9", 1, 9) for mode in modes),
    ]
    assert output.splitlines()[-1] == "done: seed=0, seed=1,train.steps=9"


def test_a_run_that_fails_stops_no_other_and_is_tried_again(sweep, worked):
    runs = [{"seed": 0}, {"seed": 13}, {"seed": 2}]
    code, output, errors = sweep(runs)
    assert code == 1
    assert output.splitlines()[-1] == "done: seed=0, seed=2"
    assert "1 of 3 runs failed" in errors
    assert "seed=13: seed=13; it must be another" in errors
    assert [call[:2] for call in worked if call[2] == 13] == [("train", "seed=13")]
    worked.clear()
    assert sweep(runs)[0] == 1
    assert worked == [("train", "seed=13", 13, 16)]


def test_a_run_of_another_config_is_not_done(sweep, worked, tmp_path):
    sweep([{"seed": 0}])
    (tmp_path / "runs/seed=0" / DONE).write_text("{")  # killed while it was written
    worked.clear()
    assert sweep([{"seed": 0}])[0] == 0
    assert len(worked) == 3
    worked.clear()
    sweep([{"seed": 0}], "--config.evaluation.resamples=7")
    assert len(worked) == 3


def test_a_bug_ends_the_sweep(sweep, worked, monkeypatch):
    def fail():
        raise KeyError("a bug")

    monkeypatch.setitem(
        experiment.MODES, "export", experiment.Mode(lambda: lambda config, folder: fail(), "fail")
    )
    assert sweep([{"seed": 0}, {"seed": 1}])[0] == 70
    assert [call[:2] for call in worked] == [("train", "seed=0")]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([{"seed": 0}, {"sead": 1}], "unknown field config.sead: config has "),
        ([{"seed": 0}, {"seed": -1}], "config.seed=-1; it must be a whole number"),
        ([{"seed": 0}, {"train.steps": "many"}], "config.train.steps='many'; it must be of type int"),
        ([{"model.options.drop": 0.1}], "config.model.options has no option 'drop'"),
        ([{"seed": 0}, {"seed": 0}], "yields two runs for one folder, 'seed=0'"),
        ([], "yields no runs"),
        ([3], 'yields 3; it must yield dicts such as {"seed": 1}'),
        ("1 / 0", "the config file fails, as shown above"),
    ],
)
def test_a_wrong_run_is_refused_before_any_work(runs, message, sweep, worked):
    code, _, errors = sweep(runs)
    assert code == 2
    assert message in errors
    assert worked == []


def test_a_config_without_a_sweep_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["fakedetect", "sweep", "--config", str(TINY), "--workdir", str(tmp_path)]
    )
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    assert f"{TINY} has no sweep()" in capsys.readouterr().err


def test_a_value_that_is_no_name_of_a_folder_becomes_one(sweep, worked):
    sweep([{"data.folder": "/a b/c", "input.recipe.margin": (0.1, 0.2)}])
    assert {folder for _, folder, *_ in worked} == {"data.folder=_a_b_c,input.recipe.margin=_0.1,_0.2_"}


def test_a_real_run_leaves_its_report(sweep, tiny_data, tmp_path):
    settings = (f"--config.data.folder={tiny_data}", "--config.train.steps=4", "--config.validation.every=4")
    code, output, _ = sweep([{"seed": 3}], *settings)
    assert code == 0, output
    folder = tmp_path / "runs/seed=3"
    assert (folder / "evaluation/report.html").exists()
    assert json.loads((folder / "detector/detector.json").read_text())["trained"]["config"]["seed"] == 3
    code, output, _ = sweep([{"seed": 3}], *settings)
    assert code == 0
    assert f"{folder}: done already" in output
