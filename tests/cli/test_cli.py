"""The console script: its command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from fakedetect_jax.cli import main as cli

ROOT = Path(__file__).parents[2]


def test_the_file_of_weights_may_follow_what_may_be_missing():
    command = ["weights", "import", "--allow-missing", "head,tail", "FILE", "--from", "timm"]
    arguments = cli.make_parser().parse_args([*command, "--model", "m", "--out", "o"])
    assert (arguments.allow_missing, arguments.file) == (["head", "tail"], "FILE")


def test_a_wrong_command_line_ends_with_2(run):
    code, _, errors = run("prdict")
    assert code == 2
    assert "prdict" in errors


@pytest.mark.parametrize("command", ["predict", "build", "models"])
def test_only_experiments_take_overrides(command, run):
    needed = {"predict": ["a.mp4", "--detector", "det"], "build": ["x"], "models": []}[command]
    code, _, errors = run(command, *needed, "--config.train.steps=3")
    assert code == 2
    assert "--config.train.steps=3" in errors


COMMANDS = ["train", "export", "evaluate", "sweep", "predict", "build", "inspect", "models", "weights"]


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["weights", "import"]])
def test_help_is_no_error(command, run):
    code, output, _ = run(*command, "--help")
    assert code == 0
    assert output.startswith(" ".join(["usage: fakedetect", *command]))


def test_help_names_every_command(run):
    _, output, _ = run("--help")
    assert all(f"\n    {name} " in output for name in COMMANDS)


def test_help_waits_for_no_large_library():
    program = f"""
import sys
from fakedetect_jax.cli import main as cli
for command in [[], *([name] for name in {COMMANDS})]:
    sys.argv = ["fakedetect", *command, "--help"]
    try:
        cli.main()
    except SystemExit as ended:
        assert ended.code == 0
large = ["jax", "flax", "tensorflow_datasets", "cv2", "numpy", "ml_collections", "matplotlib"]
print("imported:", [name for name in large if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported: []"


def test_a_detector_that_is_not_there_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fakedetect_jax.cli.main", "predict", "a.mp4", "--detector", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"fakedetect: {tmp_path} holds no detector")
    assert done.stderr.count("\n") == 1
