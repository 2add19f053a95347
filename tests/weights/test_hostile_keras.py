"""HDF5 files that would have their reader open other files, or fill its memory: each is refused by name."""

import os

import numpy as np
import pytest

from fakedetect_jax.weights import WeightsError, keras_files, read_tensors

h5py = pytest.importorskip("h5py")
NAME = "conv2d/conv2d/kernel:0"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.h5"


@pytest.fixture
def secret(tmp_path):
    """Another file of the user's: as bytes, and as HDF5 with the layout of weights."""
    (tmp_path / "secret").write_bytes(b"secret bytes 123")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file[NAME] = np.arange(4, dtype=np.float32)
    return tmp_path / "secret"


def refused(path, message):
    with pytest.raises(WeightsError, match=rf"w\.h5: {message}") as caught:
        read_tensors(path)
    assert "Remedy" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_a_sound_file_is_read(path):
    with h5py.File(path, "w") as file:
        file[NAME] = np.arange(4, dtype=np.float32)
        file.create_dataset("dense/dense/bias:0", data=np.arange(6, dtype=np.float16), chunks=(4,))
    read = read_tensors(path)
    np.testing.assert_array_equal(read["conv2d.0.kernel"], np.arange(4, dtype=np.float32))
    np.testing.assert_array_equal(read["dense.0.bias"], np.arange(6, dtype=np.float16))


def test_numbers_in_another_file_are_not_read(path, secret):
    with h5py.File(path, "w") as file:
        file.create_dataset(NAME, (16,), np.uint8, external=[(str(secret), 0, 16)])
    refused(path, r"conv2d/conv2d/kernel:0 keeps its numbers in another file")


def test_a_virtual_dataset_is_not_read(path, secret):
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(str(secret) + ".h5", NAME, (4,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset(NAME, layout)
    refused(path, r"conv2d/conv2d/kernel:0 keeps its numbers in another file")


@pytest.mark.parametrize("place", ["model_weights", "conv2d", "conv2d/conv2d", NAME])
@pytest.mark.parametrize("kind", ["external", "soft"])
def test_no_link_is_followed(path, secret, place, kind):
    with h5py.File(path, "w") as file:
        if kind == "external":
            target = "/" if place == "model_weights" else f"/{place}"
            file[place] = h5py.ExternalLink(str(secret) + ".h5", target)
        else:
            file["door"] = h5py.ExternalLink(str(secret) + ".h5", "/")
            file[place] = h5py.SoftLink("/door" if place == "model_weights" else f"/door/{place}")
    refused(path, ".* is a link")


def test_layers_that_keras_3_would_have_are_no_link_either(path, secret):
    with h5py.File(path, "w") as file:
        file["layers"] = h5py.ExternalLink(str(secret) + ".h5", "/")
    refused(path, "layers is a link")


@pytest.mark.parametrize("layout", [{}, {"chunks": (10**6,)}, {"fillvalue": 3.0}])
def test_numbers_that_are_declared_and_not_there_are_refused(path, layout):
    with h5py.File(path, "w") as file:
        file.create_dataset(NAME, (10**13,), np.float32, **layout)
    refused(path, "conv2d/conv2d/kernel:0 declares 40000000000000 bytes")


@pytest.mark.parametrize(
    ("chunks", "options"),
    [((10**7,), {"compression": "gzip"}), ((10,), {"compression": "lzf"}), ((10,), {"shuffle": True})],
)
def test_filters_are_refused(path, chunks, options):
    """A deflated chunk of a kilobyte may become a gigabyte, whatever size is declared."""
    with h5py.File(path, "w") as file:
        file.create_dataset(NAME, data=np.zeros(10**7, np.float32)[: chunks[0]], chunks=chunks, **options)
    refused(path, "conv2d/conv2d/kernel:0 is compressed")


def test_a_chunk_larger_than_the_file_is_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset(NAME, (1,), np.float32, chunks=(10**8,), maxshape=(None,))
    refused(path, "conv2d/conv2d/kernel:0 declares 400000000 bytes")


def test_many_names_of_one_dataset_are_refused(path):
    numbers = np.ones(100_000, np.float32)
    with h5py.File(path, "w") as file:
        file["dense_0/dense/kernel:0"] = numbers
        for number in range(1, 20):
            file.create_group(f"dense_{number}/dense")[f"kernel:{0}"] = file["dense_0/dense/kernel:0"]
    refused(path, "its tensors come to 8000000 bytes, more than the")


@pytest.mark.parametrize(
    "value",
    [
        np.array(["a" * 100] * 3, dtype=object),
        np.array([b"abc"]),
        np.zeros(2, np.dtype([("a", np.float32), ("b", np.int8)])),
        np.zeros(2, np.complex64),
    ],
    ids=["text", "bytes", "struct", "complex"],
)
def test_what_is_no_number_is_refused(path, value):
    with h5py.File(path, "w") as file:
        file.create_dataset(NAME, data=value, dtype=h5py.string_dtype() if value.dtype == object else None)
    refused(path, "conv2d/conv2d/kernel:0 does not hold plain numbers")


def test_groups_that_contain_themselves_end(path):
    with h5py.File(path, "w") as file:
        file[NAME] = np.ones(2, np.float32)
        file["conv2d/conv2d/again"] = file["conv2d"]
        file["conv2d/again"] = file["/"]
    assert list(read_tensors(path)) == ["conv2d.0.kernel"]


def test_two_weights_of_one_name_in_a_layer_are_not_taken_for_one(path):
    """As when a model holds another model as its layer: the name of the weight alone tells too little."""
    with h5py.File(path, "w") as file:
        for inner in ("dense_1", "dense_2"):
            file[f"model_1/{inner}/kernel:0"] = np.ones(2, np.float32)
    refused(path, "layer model_1 has several weights named kernel")


@pytest.mark.parametrize("name", ["a\x1b[2J/b/kernel:0", "a" * 5000 + "/b/kernel:0"])
def test_odd_names_are_not_printed(path, name):
    with h5py.File(path, "w") as file:
        file[name] = np.ones(2, np.float32)
    refused(path, "the name of a tensor has")
    with h5py.File(path, "w") as file:
        file[name] = h5py.SoftLink("/x")
    refused(path, ".* is a link")


def test_no_descriptor_stays_open(path, secret):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    test_numbers_in_another_file_are_not_read(path, secret)
    assert before is None or len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"is so broken that the HDF5 library ended \(-11\)"),
        ("time.sleep(60)", "was not read within 1 s"),
    ],
    ids=["crash", "hang"],
)
def test_a_crash_or_a_hang_of_the_library_is_an_error_of_the_file(monkeypatch, tmp_path, path, end, message):
    """The library itself is played by a program that ends so; which files do it depends on its version."""
    (tmp_path / "program.py").write_text(f"import os, signal, time\n{end}\n")
    monkeypatch.setattr(keras_files.hdf5, "__file__", str(tmp_path / "program.py"))
    monkeypatch.setattr(keras_files.hdf5, "MOST_SECONDS", 1)
    with h5py.File(path, "w") as file:
        file[NAME] = np.ones(2, np.float32)
    refused(path, message)


def test_damaged_files_are_read_or_refused_and_nothing_else(path, tmp_path):
    with h5py.File(path, "w") as file:
        file[NAME] = np.arange(40, dtype=np.float32)
        file.create_dataset("dense/dense/bias:0", data=np.arange(60, dtype=np.float16), chunks=(4,))
    whole, random = path.read_bytes(), np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(12):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[random.integers(0, len(whole), 6)] = random.integers(0, 256, 6)
        (tmp_path / "damaged.h5").write_bytes(damaged.tobytes())
        try:
            read_tensors(tmp_path / "damaged.h5")
            outcomes["read"] += 1
        except WeightsError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 0


@pytest.mark.parametrize("kind", [">f4", "<f8", ">f8", "i1", "?"])
def test_numbers_of_any_byte_order_and_type_are_read(path, kind):
    with h5py.File(path, "w") as file:
        file[NAME] = np.arange(2).astype(kind)
    np.testing.assert_array_equal(read_tensors(path)["conv2d.0.kernel"], [0, 1])
