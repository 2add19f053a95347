"""A run whose folder is in a bucket."""

import json

import pytest

from fakedetect_jax.deployment.detector_folder import DetectorError
from fakedetect_jax.deployment.inference import load_detector
from fakedetect_jax.errors import FakedetectError, Stopped
from fakedetect_jax.evaluation.scores import read_csv
from fakedetect_jax.experiment import evaluate, export, train
from fakedetect_jax.files import to_path
from fakedetect_jax.training.checkpoint import Checkpoints, DamagedCheckpoint
from fakedetect_jax.training.interruption import Interruption
from fakedetect_jax.training.validation import SELECTION_METRIC
from tests import tiny_config
from tests.bucket import folder_as_bucket

RUN = "gs://bucket/runs/tiny"


@pytest.fixture(scope="module")
def config(tiny_data):
    config = tiny_config.get_config()
    config.data.folder = str(tiny_data)
    config.train.steps, config.validation.every, config.train.checkpoint_every = 4, 4, 4
    return config


@pytest.fixture(scope="module")
def bucket(config, tmp_path_factory):
    """A run that was stopped and resumed, exported and evaluated; beside it nothing may be left on the disk."""
    folder, here = tmp_path_factory.mktemp("storage"), tmp_path_factory.mktemp("here")
    with pytest.MonkeyPatch.context() as patch, folder_as_bucket(folder):
        patch.chdir(here)
        with pytest.MonkeyPatch.context() as stopping:
            stopping.setattr(Interruption, "asked", lambda self, done: done == 2)
            with pytest.raises(Stopped, match="step 2"):
                train(config, RUN)
        train(config, RUN)
        export(config, RUN)
        evaluate(config, RUN)
        assert not list(here.iterdir())
        yield folder / "bucket" / "runs" / "tiny"


def test_everything_of_the_run_is_in_it(bucket):
    names = {path.name for path in bucket.iterdir()}
    assert names == {
        *(
            "checkpoints",
            "config.json",
            "detector",
            "evaluation",
            "metrics.jsonl",
            "start.txt",
            "tensorboard",
        ),
    }
    assert "resumes from step 2" in (bucket / "start.txt").read_text()
    rows = [json.loads(line) for line in (bucket / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["part"] == "train"] == [1, 2, 3, 4]
    assert len(list((bucket / "tensorboard").iterdir())) == 2
    assert len(read_csv(f"{RUN}/evaluation/scores.csv")) == 4 * 3


def test_the_detector_in_it_can_be_used(bucket):
    assert load_detector(f"{RUN}/detector").spec["trained"]["step"] == 4
    with pytest.raises(DetectorError, match="gs://bucket/runs/tiny/nowhere holds no detector"):
        load_detector(f"{RUN}/nowhere")


def test_a_checkpoint_that_is_not_complete_does_not_count(bucket, capsys):
    checkpoints = bucket / "checkpoints"
    (checkpoints / "step_9" / "state").mkdir(parents=True)
    found = Checkpoints(f"{RUN}/checkpoints", metric=SELECTION_METRIC, read_only=True)
    assert (found.latest_step(), found.best_step()) == (4, 4)
    assert "step 9" not in capsys.readouterr().out


def test_a_changed_file_is_named_and_the_run_goes_on_from_the_checkpoint_before(bucket, capsys):
    document = bucket / "checkpoints" / "step_4" / "about" / "metadata"
    document.write_bytes(document.read_bytes().replace(b"tiny", b"tinz"))
    with pytest.raises(DamagedCheckpoint, match=r"step 4 is damaged \(about/metadata was changed"):
        Checkpoints(f"{RUN}/checkpoints", metric=SELECTION_METRIC, read_only=True).about(4)
    assert Checkpoints(f"{RUN}/checkpoints", metric=SELECTION_METRIC).latest_step() == 2
    assert "damaged (about/metadata was changed or cut) and was removed" in capsys.readouterr().out


def test_records_in_a_bucket_are_refused(config, tmp_path):
    config = config.copy_and_resolve_references()
    config.data.folder = "gs://bucket/data"
    with pytest.raises(FakedetectError, match=r"config\.data\.folder='gs://bucket/data': built datasets are"):
        train(config, tmp_path)


def test_other_storage_is_refused_and_a_missing_package_is_named(monkeypatch):
    with pytest.raises(FakedetectError, match="s3:// is not supported; use a folder on a disk or gs://"):
        to_path("s3://bucket/run")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FakedetectError, match=r"pip install 'fakedetect_jax\[gcs\]'"):
        to_path("gs://bucket/run")
