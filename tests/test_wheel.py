"""The wheel: what is in it, and that the whole path runs from it, far from the source tree."""

import csv
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FACE = ROOT / "tests" / "fixtures" / "face.mp4"

CONFIG = """
from fakedetect_jax.configs import base


def get_config(arg=""):
    config = base.get_config()
    config.data.train.mine = base.source("video_folder", "train", ("real",))
    config.validation.sources.mine = base.source("video_folder", "validation", ("real",))
    config.evaluation.sources.mine = base.source("video_folder", "test")
    config.clip.frames, config.clip.size, config.clip.stride, config.clip.interval = 2, 32, 0.08, 0.5
    config.model.options = {"spatial": {"depths": (1,), "dims": (8,)}}
    config.optimizer.warmup_steps = 0
    config.train.steps = config.train.checkpoint_every = config.validation.every = 1
    config.train.batch_size = config.validation.batch_size = config.evaluation.batch_size = 2
    return config
"""


# Of an editable installation, Python would take from the source tree what the wheel lacks.
WITHOUT_THE_SOURCE_TREE = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the sources: setuptools leaves its files beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "NOTICE", "README.md"):
        shutil.copy(ROOT / name, sources)
    for name in ("fakedetect_jax", "configs", "data_builders", "tests"):
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*command, "--wheel-dir", folder, sources], check=True)
    (path,) = folder.glob("*.whl")
    return path


def test_it_holds_the_package_alone(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fakedetect_jax"}
    assert not [name for name in names if Path(name).name.startswith("test_") or "/tests/" in name]
    for needed in (
        "fakedetect_jax/configs/demo.py",
        "fakedetect_jax/data_builders/faceforensics/README.md",
        "fakedetect_jax/data_builders/mini_forensics/assets/manifest.json",
        "fakedetect_jax/faces/weights/face_mesh_468.onnx",
    ):
        assert needed in names


def test_the_whole_path_runs_from_it(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    videos = tmp_path / "videos"
    videos.mkdir()
    shutil.copy(FACE, videos / "face.mp4")
    rows = [
        ("a.mp4", "real", "", "a", "train"),
        ("b.mp4", "real", "", "b", "train"),
        ("c.mp4", "real", "", "c", "validation"),
        ("d.mp4", "real", "", "d", "test"),
        ("e.mp4", "fake", "swap", "e", "test"),
    ]
    for name, *_ in rows:
        shutil.copy(FACE, videos / name)
    with (videos / "videos.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "method", "identity", "split"), *rows])
    (tmp_path / "mine.py").write_text(CONFIG)
    # One device: what the other tests simulate would ask for batches of eight.
    environment = os.environ | {"PYTHONPATH": str(site), "XLA_FLAGS": "--xla_backend_optimization_level=0"}

    def fakedetect(*arguments):
        program = WITHOUT_THE_SOURCE_TREE + "from fakedetect_jax.cli.main import main; main()"
        command = [sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def where(module):
        code = f"{WITHOUT_THE_SOURCE_TREE}\nimport {module} as m; print(m.__file__)"
        return subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
        ).stdout

    assert where("fakedetect_jax.configs.base").startswith(str(site))
    fakedetect("build", "video_folder", "--source", "videos", "--out", "data", "--workers", "1")
    run = ("--config", "mine.py", "--workdir", "run")
    fakedetect("train", *run)
    fakedetect("export", *run)
    fakedetect("evaluate", *run)
    assert (tmp_path / "run" / "evaluation" / "report.html").stat().st_size > 10_000
    assert "P(fake)" in fakedetect("predict", "videos/a.mp4", "--detector", "run/detector", "--out", "out")
