"""MesoNet from Keras's HDF5, against the same networks in torch; and what is said where h5py is not."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published import PUBLISHED
from fakedetect_jax.weights import SOURCES, WeightsError, load_file, load_into, make_naming, read_tensors
from tests.models.published.parity import random_variables

SIZE = 64
NORM = {"scale": "gamma", "bias": "beta", "mean": "moving_mean", "var": "moving_variance"}
INCEPTION = [
    f"inception{module}/{branch}"
    for module in (0, 1)
    for branch in (
        "branch0",
        "branch1_reduce",
        "branch1",
        "branch2_reduce",
        "branch2",
        "branch3_reduce",
        "branch3",
    )
]
# Our convolutions in the order in which the authors' code makes them.
CONVS = {
    "meso4": ["conv0", "conv1", "conv2", "conv3"],
    "meso_inception4": [*INCEPTION, "conv2", "conv3"],
}


def _get(tree, path):
    for part in path.split("/"):
        tree = tree[part]
    return np.asarray(tree)


def _write(h5py, path, variables, convs, first, group=""):
    """A file as Keras 2 writes it, the numbers of whose layers start at `first`; the last layer of P(real)."""
    params, stats = variables["params"], variables["batch_stats"]
    layers = {}
    for number, conv in enumerate(convs):
        layers["conv2d", number] = {leaf: _get(params, f"{conv}/{leaf}") for leaf in ("kernel", "bias")}
    for number in range(4):
        norm = {leaf: _get(params, f"norm{number}/{leaf}") for leaf in ("scale", "bias")}
        norm |= {leaf: _get(stats, f"norm{number}/{leaf}") for leaf in ("mean", "var")}
        layers["batch_normalization", number] = {NORM[leaf]: value for leaf, value in norm.items()}
    for number, (dense, sign) in enumerate((("hidden", 1), ("head/logit", -1))):
        values = {leaf: sign * _get(params, f"{dense}/{leaf}") for leaf in ("kernel", "bias")}
        layers["dense", number] = values
    with h5py.File(path, "w") as file:
        root = file.require_group(group) if group else file
        root.create_group("max_pooling2d_1")
        for (kind, number), weights in layers.items():
            name = f"{kind}_{first + number}" if first + number else kind
            for leaf, value in weights.items():
                root[f"{name}/{name}/{leaf}:0"] = value
    return path


@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize(("first", "group"), [(8, ""), (0, "model_weights")])
def test_every_value_of_mesonet_has_its_place(tmp_path, name, first, group):
    h5py = pytest.importorskip("h5py")
    frames = jnp.zeros((1, 1, SIZE, SIZE, 3))
    expected = random_variables(PUBLISHED[name](), frames)
    path = _write(h5py, tmp_path / "Meso_DF", expected, CONVS[name], first, group)
    shapes = jax.eval_shape(PUBLISHED[name]().init, jax.random.key(0), Clip(frames))
    loaded, report = load_file(shapes, path, make_naming(SOURCES["mesonet"], shapes))
    assert not report.missing
    assert jax.tree.structure(loaded) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, loaded, expected)


def test_the_other_network_and_another_size_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    frames = jnp.zeros((1, 1, SIZE, SIZE, 3))
    variables = random_variables(PUBLISHED["meso4"](), frames)
    tensors = read_tensors(_write(h5py, tmp_path / "Meso4_DF.h5", variables, CONVS["meso4"], 1))
    for name, size, message in (
        ("meso_inception4", SIZE, r"conv2d\.4\.bias"),
        (
            "meso4",
            128,
            r"params/hidden/kernel is \[256, 16\], but dense\.0\.kernel in the file is \[64, 16\]",
        ),
    ):
        shapes = jax.eval_shape(
            PUBLISHED[name]().init, jax.random.key(0), Clip(jnp.zeros((1, 1, size, size, 3)))
        )
        with pytest.raises(WeightsError, match=message):
            load_into(shapes, tensors, make_naming(SOURCES["mesonet"], shapes))


def test_the_form_of_keras_3_and_broken_files_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "new.h5", "w") as file:
        file["layers/conv2d/vars/0"] = np.zeros(3)
    with pytest.raises(WeightsError, match=r"Keras 3's form.*model\.save"):
        read_tensors(tmp_path / "new.h5")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "new.h5").read_bytes()[:300])
    with pytest.raises(WeightsError, match=r"cut\.h5: cannot be read"):
        read_tensors(tmp_path / "cut.h5")


def test_without_h5py_the_remedy_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = tmp_path / "Meso4_DF"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(WeightsError, match=r"pip install 'fakedetect_jax\[h5\]'"):
        read_tensors(path)
