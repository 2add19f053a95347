"""`fakedetect weights import` from the command line."""

import json
import sys

import numpy as np
import pytest
import torch

from fakedetect_jax.cli import main as cli
from fakedetect_jax.weights import SOURCES, make_naming, own_files, read_metadata, read_tensors
from fakedetect_jax.weights.command import model_shapes
from fakedetect_jax.weights.naming import flat_leaves
from tests.weights import foreign

DEPTHS, DIMS = (1, 1), (8, 16)
SPATIAL = {"spatial": {"variant": None, "depths": DEPTHS, "dims": DIMS}}


def _run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["fakedetect", "weights", "import", *map(str, arguments)])
    cli.main()


@pytest.fixture
def file(tmp_path):
    torch.save({"model": foreign.convnext("timm", DEPTHS, DIMS).state_dict()}, tmp_path / "w.pth")
    return tmp_path / "w.pth"


def test_a_detector_gets_a_backbone(monkeypatch, capsys, tmp_path, file):
    out = tmp_path / "new" / "detector.safetensors"
    options = json.dumps(SPATIAL)
    arguments = ["--from", "timm", file, "--model", "convnext_atto", "--options", options, "--out", out]
    _run(monkeypatch, *arguments, "--allow-missing", "head")
    tensors = read_tensors(out)
    assert all(name.startswith("params/spatial/") for name in tensors)
    assert {tensor.dtype for tensor in tensors.values()} == {np.dtype(np.float32)}
    origin = own_files.origin_of(out)
    assert (origin.model, origin.source, origin.file) == ("convnext_atto", "timm", str(file))
    assert json.loads(read_metadata(out)["options"]) == json.loads(options)
    printed = capsys.readouterr().out
    assert "28 tensors used" in printed
    assert f"written: {out}" in printed


def test_modules_that_may_be_missing_add_up(monkeypatch, tmp_path, file):
    options = json.dumps({**SPATIAL, "temporal": {}})
    arguments = ["--from", "timm", "--model", "convnext_atto", "--options", options, "--out", tmp_path / "w"]
    _run(monkeypatch, "--allow-missing", "head", "--allow-missing", "temporal", file, *arguments)
    assert (tmp_path / "w").exists()


def test_a_prefix_is_named(monkeypatch, capsys, tmp_path):
    state = foreign.convnext("timm", DEPTHS, DIMS).state_dict()
    torch.save({"model": state, "model_ema": {n: v + 1 for n, v in state.items()}}, tmp_path / "w.pth")
    arguments = ["--from", "timm", "--model", "convnext", "--out", tmp_path / "w", tmp_path / "w.pth"]
    arguments += ["--options", json.dumps({"depths": DEPTHS, "dims": DIMS})]
    with pytest.raises(SystemExit, match=r"equally well in 2 places.*--prefix model") as refused:
        _run(monkeypatch, *arguments)
    assert "\n" not in str(refused.value)
    _run(monkeypatch, "--prefix", "model_ema", *arguments)
    np.testing.assert_array_equal(read_tensors(tmp_path / "w")["params/stem/bias"], state["stem.0.bias"] + 1)
    assert "28 tensors used, below 'model_ema.' in the file" in capsys.readouterr().out


def test_a_part_by_its_own_name_with_other_channels(monkeypatch, tmp_path, file):
    out = tmp_path / "part.safetensors"
    options = json.dumps({"depths": DEPTHS, "dims": DIMS})
    _run(
        monkeypatch,
        *(
            "--from",
            "timm",
            file,
            "--model",
            "convnext",
            "--options",
            options,
            "--out",
            out,
            "--channels",
            "6",
        ),
    )
    assert read_tensors(out)["params/stem/kernel"].shape == (4, 4, 6, 8)


def test_shapes_are_those_of_the_clips_that_a_model_is_made_for():
    shapes = model_shapes("meso4", {})
    assert shapes["params"]["hidden"]["kernel"].shape == (8 * 8 * 16, 16)
    assert model_shapes("meso4", {}, size=128)["params"]["hidden"]["kernel"].shape == (4 * 4 * 16, 16)
    spatial = {"name": "efficientnet", "width": 0.5, "depth": 0.3}
    detector = model_shapes("detector", {"spatial": spatial})
    naming = make_naming(SOURCES["sbi"], detector)
    assert set(naming.entries) == set(flat_leaves(detector))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--from": "keras"}, "--from 'keras' is not known; use one of timm, torchvision"),
        ({"--from": "transformers"}, "It has all names of the source timm"),
        ({"--from": "mesonet"}, "the model has convnext in spatial"),
        ({"--options": "{"}, "is not JSON"),
        ({"--options": "[1]"}, "must be a JSON object"),
        ({"--options": '{"spatial": {"variant": "big"}}'}, "variant='big' is not known"),
        ({"--model": "vgg"}, "model 'vgg' is not known"),
        ({"--model": "resnet", "--options": '{"layers": 50}'}, "unexpected keyword argument 'layers'"),
        ({"--allow-missing": "tail"}, "allow_missing names 'tail'"),
        ({"--channels": "4"}, "convnext_atto takes frames of 3 channels"),
        ({"--into": "temporal"}, "none of these in 'temporal'"),
        ({"--prefix": "ema"}, "below --prefix 'ema' (28 below 'model.')"),
    ],
)
def test_mistakes_get_one_line_and_no_file(monkeypatch, tmp_path, file, change, message):
    out = tmp_path / "out.safetensors"
    arguments = {"--from": "timm", "--model": "convnext_atto", "--options": json.dumps(SPATIAL), "--out": out}
    arguments |= {"--allow-missing": "head", **change}
    flat = [str(part) for pair in arguments.items() for part in pair]
    with pytest.raises(SystemExit) as stopped:
        _run(monkeypatch, file, *flat)
    assert message in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert not out.exists()


def test_the_help_names_every_source(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        _run(monkeypatch, "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert all(source in shown for source in SOURCES)
