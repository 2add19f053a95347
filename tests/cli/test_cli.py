"""The console script: its command line, and predict around a detector that is not there."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from fakedetect_jax.cli import main as cli
from fakedetect_jax.deployment import inference
from fakedetect_jax.deployment.verdict import VideoVerdict
from tests.deployment.test_timeline import verdict

ROOT = Path(__file__).parents[2]


class Scores:
    """In the place of a detector: gives the same verdicts on every video, and counts them."""

    def __init__(self, verdicts):
        self.verdicts, self.videos, self.about, self.asked = verdicts, [], {}, []

    def predict(self, video, **options):
        self.videos.append(video)
        self.asked.append(options)
        if isinstance(self.verdicts, Exception):
            raise self.verdicts
        return VideoVerdict(self.verdicts, **self.about)


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs `fakedetect` in an empty folder: exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fakedetect", *arguments])
        code, message = 0, ""
        try:
            cli.main()
        except SystemExit as ended:
            code, message = (1, f"{ended.code}\n") if isinstance(ended.code, str) else (ended.code, "")
        output, errors = capsys.readouterr()
        return code, output, errors + message

    return run


@pytest.fixture
def detector(monkeypatch):
    detector = Scores([verdict()])
    monkeypatch.setattr(inference, "load_detector", lambda folder: detector)
    return detector


def test_two_videos_of_one_name_are_two_verdicts(run, detector):
    assert run("predict", "one/1.mp4", "--detector", "det")[0] == 0
    before = Path("1.fakedetect/verdict.json").read_bytes()
    code, _, errors = run("predict", "two/1.mp4", "--detector", "det")
    assert code == 1
    assert "1.fakedetect/verdict.json is of another video" in errors
    assert errors.count("\n") == 1
    assert detector.videos == ["one/1.mp4"]  # refused before the work, not after it
    assert Path("1.fakedetect/verdict.json").read_bytes() == before
    assert run("predict", "two/1.mp4", "--detector", "det", "--out", "two")[0] == 0
    assert run("predict", "one/1.mp4", "--detector", "det")[0] == 0


def test_a_score_that_is_none_is_no_verdict(run, detector):
    detector.verdicts = [verdict(score=math.nan)]
    code, output, errors = run("predict", "a.mp4", "--detector", "det")
    assert (code, output) == (1, "")
    assert "gives person 0 a P(fake) of nan" in errors
    assert not Path("a.fakedetect").exists()


def test_a_tilde_is_the_home_folder_everywhere(run, detector, tmp_path):
    code, output, _ = run("predict", "~/a.mp4", "--detector=~/det", "--out=~/out")
    assert code == 0
    assert json.loads((tmp_path / "home/out/verdict.json").read_text())["detector"] == f"{tmp_path}/home/det"
    assert f"{tmp_path}/home/out/timeline.png" in output
    parse = cli.make_parser().parse_args
    build = parse(["build", "x", "--source=~/s", "--out=~/o"])
    assert (build.source, build.out) == (f"{tmp_path}/home/s", f"{tmp_path}/home/o")
    inspect = parse(["inspect", "x", "--data=~/d", "--out=~/p"])
    assert (inspect.data, inspect.out) == (f"{tmp_path}/home/d", f"{tmp_path}/home/p")


def test_many_people_are_all_told_of_and_the_first_drawn(run, detector):
    detector.verdicts = [verdict(person) for person in range(25)]
    _, output, _ = run("predict", "a.mp4", "--detector", "det")
    assert output.count("person ") == 25
    assert "timeline.png (the first 20 people)" in output
    assert len(json.loads(Path("a.fakedetect/verdict.json").read_text())["people"]) == 25


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
