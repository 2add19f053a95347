"""Train a little, export, and use the folder in every way that there is."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.export
import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import expit

from fakedetect_jax import files, parallel
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.pipeline import evaluation_batches
from fakedetect_jax.data.videos import select
from fakedetect_jax.deployment.inference import INPUTS, load_detector
from fakedetect_jax.evaluation import metrics
from fakedetect_jax.evaluation.scores import read_csv
from fakedetect_jax.experiment import evaluate, export, train
from fakedetect_jax.experiment.sources import failures_of_source
from fakedetect_jax.training.checkpoint import CheckpointMismatch
from tests import tiny_config
from tests.tiny_dataset import FACE, FIXTURES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config(tiny_data):
    config = tiny_config.get_config()
    config.data.folder = str(tiny_data)
    return config


@pytest.fixture(scope="module")
def workdir(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    train(config, workdir)
    export(config, workdir)
    return workdir


@pytest.fixture(scope="module")
def folder(workdir):
    return workdir / "detector"


@pytest.fixture(scope="module")
def clips(config, tiny_data):
    videos = select(tiny_data, "tiny_faces", "test")
    spec = ClipSpec(extraction=videos.extraction, **config.clip.to_dict())
    batch = next(evaluation_batches(videos, spec, batch_size=3))
    return {name: batch[name] for name in INPUTS}


def test_the_program_gives_what_the_detector_gives(folder, clips):
    exported = jax.export.deserialize(bytearray((folder / "forward.stablehlo").read_bytes()))
    assert set(exported.platforms) == {"cpu", "cuda", "tpu"}
    weights = load_file(folder / "weights.safetensors")
    logits, frame_logits = exported.call(weights, *(clips[name] for name in INPUTS))
    expected = load_detector(folder).score(**clips)
    np.testing.assert_allclose(expit(np.asarray(logits, np.float64)), expected[0], atol=1e-6)
    np.testing.assert_allclose(expit(np.asarray(frame_logits, np.float64)), expected[1], atol=1e-6)


def test_a_process_without_the_package_runs_the_program(folder, clips, tmp_path):
    np.savez(tmp_path / "clips.npz", **clips)
    program = """
import sys, jax.export, numpy as np
from safetensors.numpy import load_file
folder, clips = sys.argv[1], np.load(sys.argv[2])
program = jax.export.deserialize(bytearray(open(f"{folder}/forward.stablehlo", "rb").read()))
weights = load_file(f"{folder}/weights.safetensors")
logits, _ = program.call(weights, *(clips[name] for name in ("frames", "landmarks", "timestamps", "valid")))
assert not {"flax", "fakedetect_jax"} & set(sys.modules)
print(*map(float, logits))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), str(tmp_path / "clips.npz")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"XLA_FLAGS": ""},
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        expit([float(word) for word in done.stdout.split()]),
        load_detector(folder).score(**clips)[0],
        atol=1e-5,
    )


def test_scores_do_not_depend_on_the_batch(folder, clips):
    detector = load_detector(folder)
    together, _ = detector.score(**clips)
    alone = [
        detector.score(**{name: rows[n : n + 1] for name, rows in clips.items()})[0][0] for n in range(3)
    ]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_evaluation_is_the_same_on_one_and_eight_devices(config, folder, tmp_path, monkeypatch):
    evaluate(config, tmp_path / "eight", detector_folder=folder)
    one = parallel.make_mesh(jax.devices()[:1])
    monkeypatch.setattr(parallel, "make_mesh", lambda: one)
    evaluate(config, tmp_path / "one", detector_folder=folder)
    many, few = (read_csv(tmp_path / name / "evaluation" / "scores.csv") for name in ("eight", "one"))
    assert [row.name for row in many] == [row.name for row in few]
    np.testing.assert_allclose([row.score for row in many], [row.score for row in few], atol=1e-5)


def test_evaluation_counts_everything_and_agrees_with_its_scores(config, folder, tmp_path):
    report = evaluate(config, tmp_path, detector_folder=folder)
    summary = json.loads((report.parent / "metrics.json").read_text())
    rows = read_csv(report.parent / "scores.csv")
    assert len(rows) == 4 * 3  # 24 frames of 25 a second, a clip for every 0.3 s
    assert [failure["video_id"] for failure in summary["failures"]] == ["test2_swap"]
    overall = summary["datasets"]["tiny"]["video"]["overall"]
    assert (overall["n_real"], overall["n_fake"], overall["n_failed"]) == (2, 3, 1)
    videos = {}
    for row in rows:
        videos.setdefault((row.video_id, row.label), []).append(row.score)
    labels = [label for _, label in videos] + [1]
    scores = [np.mean(clips) for clips in videos.values()] + [0.5]
    np.testing.assert_allclose(
        overall["metrics"]["auc"]["value"], metrics.auc(np.array(labels), np.array(scores))
    )
    page = report.read_text()
    assert "test2_swap" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_results_of_two_evaluations_are_never_mixed(config, folder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    results = tmp_path / "evaluation"
    results.mkdir()
    for name in ("scores.csv", "metrics.json", "report.html"):
        (results / name).write_text("of the evaluation before")
    monkeypatch.setattr(files, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        evaluate(config, tmp_path, detector_folder=folder)
    assert {path.read_text() for path in results.iterdir()} == {"of the evaluation before"}
    monkeypatch.undo()
    monkeypatch.setattr("fakedetect_jax.evaluation.evaluate.write_json", full)
    with pytest.raises(OSError, match="No space left"):
        evaluate(config, tmp_path, detector_folder=folder)
    assert [path.name for path in results.iterdir()] == ["scores.csv"]
    assert len(read_csv(results / "scores.csv")) == 4 * 3


@pytest.mark.parametrize(("limit", "failed"), [(0, 1), (5, 1), (4, 0), (1, 0)])
def test_a_limit_keeps_the_failures_before_the_last_video_that_it_reaches(config, limit, failed):
    config = config.copy_and_resolve_references()
    config.evaluation.sources.tiny.limit = limit
    found = failures_of_source(config, "tiny")
    assert [failure.video_id for failure in found] == ["test2_swap"] * failed


def test_export_of_another_config_is_refused_and_changes_nothing(config, workdir):
    before = (workdir / "detector" / "detector.json").read_bytes()
    other = config.copy_and_resolve_references()
    other.clip.margin, other.clip.stride = 0.6, 0.4
    with pytest.raises(CheckpointMismatch, match=r"config\.clip\.margin: 0\.125 -> 0\.6\n.*clip\.stride"):
        export(other, workdir)
    assert (workdir / "detector" / "detector.json").read_bytes() == before
    assert {path.name for path in workdir.iterdir()} >= {"detector", "checkpoints"}
    assert not list(workdir.glob("detector.*"))


def test_anybody_may_read_the_weights(folder):
    assert (folder / "weights.safetensors").stat().st_mode & 0o777 == (
        folder / "README.md"
    ).stat().st_mode & 0o777


def test_predict_gives_a_verdict_per_person_and_the_files_to_show_it(folder, tmp_path):
    done = subprocess.run(
        [
            *[sys.executable, "-m", "fakedetect_jax.cli.main", "predict", str(FACE)],
            *["--detector", str(folder), "--out", str(tmp_path)],
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "verdict.json").read_text())
    (person,) = document["people"]
    assert f"P(fake) = {person['score']:.3f}" in done.stdout
    np.testing.assert_allclose(person["score"], np.mean(person["clip_scores"]))
    assert len(person["frames"]) == 2 * len(person["clip_scores"])
    assert all(0 <= frame["frame"] < 24 for frame in person["frames"])
    assert (tmp_path / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_predict_on_what_is_no_video_says_so(folder):
    done = subprocess.run(
        [
            *[sys.executable, "-m", "fakedetect_jax.cli.main", "predict", str(FIXTURES / "README.md")],
            *["--detector", str(folder)],
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode != 0
    assert "README.md" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_card_says_where_the_weights_come_from(folder):
    card = (folder / "README.md").read_text()
    weights = load_file(folder / "weights.safetensors")
    assert (
        f"{sum(leaf.size for path, leaf in weights.items() if path.startswith('params/')):,} parameters"
        in card
    )
    assert "tiny_faces, split train, method real" in card
    assert re.search(r"step (8|16), by log loss", card)


@pytest.mark.usefixtures("unchecked_types")
def test_frames_of_another_kind_are_refused(folder, clips):
    with pytest.raises(ValueError, match=r"frames are uint8\[3, 2, 128, 256, 3\]; this detector takes"):
        load_detector(folder).score(clips["frames"][:, :, :128], clips["landmarks"])
