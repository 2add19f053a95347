"""`fakedetect train`, `export` and `evaluate`: the command line up to the work."""

import sys

import pytest

from fakedetect_jax.cli import experiment, main


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs `fakedetect` with the work of each mode left out: exit code, what would be worked on, and errors."""
    worked = []
    monkeypatch.setattr(experiment, "start_jax", lambda: None)
    modes = {
        mode: experiment.Mode(
            lambda mode=mode: lambda config, workdir: worked.append((mode, config, workdir)), "note"
        )
        for mode in experiment.MODES
    }
    monkeypatch.setattr(experiment, "MODES", modes)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fakedetect", *arguments])
        code = 0
        try:
            main.main()
        except SystemExit as ended:
            code = ended.code
        return code, worked, capsys.readouterr().err

    return run


@pytest.mark.parametrize("mode", ["train", "export", "evaluate"])
def test_a_config_of_the_package_is_worked_on_with_its_overrides(mode, run, tmp_path):
    overrides = ["--config.train.steps", "200", "--config.model.options.motion.cell=4"]
    code, ((done, config, workdir),), _ = run(mode, *overrides, "--config", "demo", "--workdir", "~/w")
    assert (code, done, workdir) == (0, mode, tmp_path / "w")
    assert (config.name, config.train.steps, config.model.options.motion.cell) == ("demo", 200, 4)


def test_the_folder_of_data_may_begin_with_a_tilde(run, tmp_path):
    _, ((_, config, _),), _ = run("train", "--config=demo", "--workdir=w", "--config.data.folder=~/data")
    assert config.data.folder == f"{tmp_path}/data"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=nope"], "no config named 'nope' comes with the package; it has demo, demo_pretrained, "),
        (["--config=demo:x"], "the argument of --config is 'x'; this config takes none"),
        (["--config=demo", "--config.train.stepz=3"], "unknown field config.train.stepz"),
        (
            ["--config=demo", "--config.train.steps=0"],
            "config.train.steps=0; it must be a whole number from 1",
        ),
        (["--config=demo", "--config.model.options.drop=0.1"], "config.model.options has no option 'drop'"),
        (["--config=demo", "--mode=train"], "Unknown command line flag 'mode'"),
        (["--config=demo", "more"], "'more' is not known"),
        ([], "the following arguments are required: --config"),
    ],
)
def test_a_wrong_command_line_ends_with_2_before_any_work(arguments, message, run):
    code, worked, errors = run("train", "--workdir=w", *arguments)
    assert (code, worked) == (2, [])
    assert message in errors
    assert "Traceback" not in errors
