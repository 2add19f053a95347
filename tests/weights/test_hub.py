"""Names on the hub to files, with the hub played by a module of the test; the real one without a network."""

import sys
import types

import pytest

from fakedetect_jax.weights import WeightsError
from fakedetect_jax.weights.hub import resolve


@pytest.fixture
def hub(monkeypatch):
    """A huggingface_hub whose only repository is 'me/net'; its `files` are the test's."""
    module, errors = types.ModuleType("huggingface_hub"), types.ModuleType("huggingface_hub.errors")

    class EntryNotFoundError(Exception):
        pass

    def hf_hub_download(repository, name):
        if repository != "me/net":
            raise PermissionError("401 Client Error\nmore")
        if name not in module.files:
            raise EntryNotFoundError(name)
        return f"/cache/{name}"

    module.files, module.hf_hub_download, errors.EntryNotFoundError = (
        set(),
        hf_hub_download,
        EntryNotFoundError,
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return module


def test_paths_stay_as_they_are(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    (tmp_path / "a:b.pth").touch()
    assert resolve(str(tmp_path / "a:b.pth")) == tmp_path / "a:b.pth"


def test_the_usual_files_are_found_and_others_by_name(hub):
    hub.files = {"pytorch_model.bin", "other.safetensors"}
    assert str(resolve("hf:me/net")) == "/cache/pytorch_model.bin"
    hub.files.add("model.safetensors")
    assert str(resolve("hf:me/net")) == "/cache/model.safetensors"
    assert str(resolve("hf:me/net:other.safetensors")) == "/cache/other.safetensors"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("hf:me/net", r"has no model\.safetensors or pytorch_model\.bin.*hf:me/net:FILE"),
        ("hf:me/net:no.pth", r"has no no\.pth"),
        ("hf:me/secret:a.pth", r"PermissionError: 401 Client Error\).*give the file's path"),
        ("hf:net", "is not hf:owner/name"),
        (".", r"is a folder\. Remedy: give the file of weights in it"),
        ("hf:/net", "is not hf:owner/name"),
    ],
)
def test_what_cannot_be_had_is_said_with_the_remedy(hub, place, message):
    with pytest.raises(WeightsError, match=message):
        resolve(place)


def test_without_the_package_the_remedy_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(WeightsError, match="pip install huggingface_hub"):
        resolve("hf:me/net")


def test_the_real_hub_offline_gives_the_remedy(monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        WeightsError, match=r"model\.safetensors could not be downloaded.*give the file's path"
    ):
        resolve("hf:nobody/nothing")
