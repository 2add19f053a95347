"""What training scripts save beside the weights is passed over; a model saved whole is refused."""

import argparse
import collections
import datetime
import pathlib
import sys
import types

import numpy as np
import pytest
import torch

from fakedetect_jax.weights import WeightsError, read_matching, read_tensors

FORMATS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def save(tree, path, zipped=True):
    torch.save(tree, path, _use_new_zipfile_serialization=zipped)
    return path


def _parameter_with_an_attribute():
    parameter = torch.nn.Parameter(torch.ones(1))
    parameter.tag = "frozen"
    return parameter


BESIDE = {
    "array": np.ones(2),
    "array of objects": np.array(["a", None], dtype=object),
    "scalars": [np.float32(1), np.int64(1), np.bool_(True), np.str_("a"), 1j],
    "state of numpy's generator": np.random.RandomState(0).get_state(),
    "path": pathlib.Path("a"),
    "times": [datetime.datetime(2024, 1, 1), datetime.date(2024, 1, 1), datetime.timedelta(1)],
    "sets": [{1}, frozenset("a"), bytearray(b"a"), b"a", slice(2), range(3)],
    "collections": [
        collections.deque([1], 2),
        collections.Counter("ab"),
        collections.defaultdict(list, a=[1]),
    ],
    "arguments": argparse.Namespace(out=pathlib.Path("a"), dtype=torch.int8, layout=torch.strided),
    "parameter": _parameter_with_an_attribute(),
    "tensors": [torch.ones(1), {"x": torch.ones(2)}, (torch.ones(3),)],
}


@FORMATS
@pytest.mark.parametrize("thing", BESIDE)
def test_plain_things_beside_the_weights_are_passed_over(tmp_path, zipped, thing):
    path = save(
        {"state_dict": {"a": torch.ones(2), "b": torch.zeros(1)}, "x": BESIDE[thing]}, tmp_path / "w", zipped
    )
    found = read_matching(path, ["a", "b"])
    assert {name: value.tolist() for name, value in found.tensors.items()} == {"a": [1, 1], "b": [0]}


def test_weights_in_a_default_dict_are_found(tmp_path):
    tree = collections.defaultdict(dict, net=collections.OrderedDict(a=torch.ones(2)))
    assert list(read_tensors(save(tree, tmp_path / "w.pth"))) == ["net.a"]


def test_the_dicts_of_frameworks_are_passed_over(tmp_path, monkeypatch):
    """They are dicts with attributes, pickled by the name of their class."""
    module = types.ModuleType("yacs.config")
    module.CfgNode = type("CfgNode", (dict,), {"__module__": "yacs.config"})
    monkeypatch.setitem(sys.modules, "yacs", types.ModuleType("yacs"))
    monkeypatch.setitem(sys.modules, "yacs.config", module)
    settings = module.CfgNode(lr=0.1)
    settings.note = "an attribute"
    path = save({"a": torch.ones(2), "config": settings, "after": torch.ones(1)}, tmp_path / "w.pth")
    assert list(read_tensors(path)) == ["a", "after"]


def test_a_model_saved_whole_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(
        WeightsError, match=r"holds torch\.nn\..*Linear, which is code.*save only its state_dict\(\)"
    ):
        read_tensors(save(torch.nn.Linear(1, 1), tmp_path / "w.pth"))
