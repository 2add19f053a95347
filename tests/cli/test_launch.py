"""The launcher's command line, in processes of its own: words and exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def launch(*arguments, config="configs/demo.py"):
    return subprocess.run(
        [sys.executable, "launch.py", "--config", str(config), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("--config.train.stepz=3", ["unknown field", "stepz", "steps"]),
        ("--config.train.steps=many", ["config.train.steps", "many", "int"]),
        ("--config.train.steps=0", ["config.train.steps=0", "from 1"]),
        ("--config.model.options.drop=0.1", ["config.model.options has no option 'drop'", "dropout"]),
        ("--mode=nonsense", ["--mode=nonsense", "train|export|evaluate"]),
        ("nonsense", ["'nonsense' is not known"]),
        ("--nonsense=1", ["Unknown command line flag 'nonsense'"]),
    ],
)
def test_a_wrong_command_line_ends_with_words_and_2(override, words, tmp_path):
    done = launch("--workdir", str(tmp_path), override)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_model_option_that_the_config_file_did_not_set_can_be_set(tmp_path):
    done = launch("--workdir", str(tmp_path), "--mode=export", "--config.model.options.dropout=0.1")
    assert done.returncode == 1  # the options are right, and there is nothing to export
    assert done.stderr.splitlines()[-1].startswith(f"launch.py: {tmp_path}")
    assert "no validated checkpoint; train first" in done.stderr


def test_a_config_file_that_fails_shows_its_own_traceback(tmp_path):
    file = tmp_path / "broken.py"
    file.write_text("def get_config():\n    return {}['missing']\n")
    done = launch("--workdir", str(tmp_path), config=file)
    assert done.returncode == 2
    assert "broken.py" in done.stderr
    assert done.stderr.splitlines()[-1] == "launch.py: the config file fails, as shown above"


@pytest.mark.parametrize("override", [[], ["--config.train.steps=3"]])
def test_a_config_file_that_is_not_there_is_named(override, tmp_path):
    done = launch("--workdir", str(tmp_path), *override, config=tmp_path / "none.py")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("launch.py: the config file cannot be read: ")
    assert f"{tmp_path}/none.py" in line


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    done = launch("--workdir=~/run", "--mode=export")
    assert f"{tmp_path}/run/checkpoints: no validated checkpoint" in done.stderr


def test_help_is_no_error_and_waits_for_no_large_library():
    program = """
import runpy, sys
sys.argv = ["launch.py", "--help"]
try:
    runpy.run_path("launch.py", run_name="__main__")
finally:
    print("imported:", [name for name in ("jax", "cv2", "ml_collections") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--mode: <train|export|evaluate>" in done.stdout
    assert done.stdout.splitlines()[-1] == "imported: []"


def test_an_argument_missing_is_named():
    done = subprocess.run([sys.executable, "launch.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--config must have a value other than None" in done.stderr
