"""Files that were made to harm their reader: each is refused by name, and costs neither memory nor the process."""

import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fakedetect_jax.weights import WeightsError, read_tensors
from tests.weights import torch_bytes as raw
from tests.weights.torch_bytes import APPENDS, BUILD, EMPTY_LIST, MARK, NONE, REDUCE, SETITEM, TUPLE

ORDERED_DICT = raw.name("collections", "OrderedDict")
PARAMETER = raw.name("torch._utils", "_rebuild_parameter")


def test_files_written_by_hand_are_read_when_they_are_sound(tmp_path):
    data = np.arange(4, dtype=np.float32).tobytes()
    tree = raw.mapping(a=raw.tensor(raw.storage(count=4), 1, (2,), (2,)))
    read = read_tensors(raw.write(tmp_path / "w.pth", tree, data))
    np.testing.assert_array_equal(read["a"], [1, 3])


# What BUILD lays over an instance: by its __dict__, by its slots, or by the state that a frozen dataclass takes.
STATES = {
    "method": raw.mapping(fault=ORDERED_DICT),
    "field": raw.mapping(offset=raw.number(1000)),
    "count": raw.mapping(count=raw.number(1000)),
    "slots": MARK + NONE + raw.mapping(offset=raw.number(1000), count=raw.number(1000)) + TUPLE,
    "list": EMPTY_LIST + MARK + raw.text("0") + raw.number(1000) * 2 + APPENDS,
}
FAR = {"offset": 10_000_000, "shape": (2,), "strides": (1,)}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("tensor", lambda state: raw.tensor(**FAR) + state + BUILD),
        ("storage", lambda state: raw.tensor(raw.storage() + state + BUILD, **FAR)),
        ("tensor", lambda state: PARAMETER + MARK + raw.tensor(**FAR) + state + BUILD + TUPLE + REDUCE),
        ("name", lambda state: raw.REBUILD + state + BUILD),
        ("name", lambda state: ORDERED_DICT + state + BUILD),
        ("name", lambda state: raw.name("torch", "FloatStorage") + state + BUILD),
        ("name", lambda state: raw.name("argparse", "Namespace") + state + BUILD),
        ("list", lambda state: EMPTY_LIST + state + BUILD),
    ],
)
def test_what_a_pickle_changes_after_it_was_made_is_refused(tmp_path, state, kind, target):
    tree = raw.mapping(a=raw.tensor(), b=target(state))
    with pytest.raises(WeightsError, match=rf"w\.pth: changes a {kind} .*BUILD"):
        read_tensors(raw.write(tmp_path / "w.pth", tree))


def test_attributes_of_a_dict_change_nothing_of_it(tmp_path):
    """torch lays `_metadata` over the dict of the weights so; a hostile file, its methods."""
    empty = ORDERED_DICT + MARK + TUPLE + REDUCE
    methods = raw.mapping(items=ORDERED_DICT, keys=ORDERED_DICT, _metadata=empty)
    tree = empty + raw.text("a") + raw.tensor() + SETITEM + methods + BUILD
    assert list(read_tensors(raw.write(tmp_path / "w.pth", tree))) == ["a"]


@pytest.mark.parametrize(
    "tensor",
    [
        raw.tensor(offset=1),
        raw.tensor(offset=-1),
        raw.tensor(offset=2**63),
        raw.tensor(strides=(-1,)),
        raw.tensor(strides=(2**61,)),
        raw.tensor(shape=(-2,)),
        raw.tensor(shape=(3,)),
        raw.tensor(shape=(2**40, 2**40), strides=(0, 0)),
        raw.tensor(shape=(2**70_000,), strides=(0,)),
        raw.tensor(shape=(1,) * 33, strides=(1,) * 33),
        raw.tensor(raw.storage(count=-2)),
        raw.tensor(raw.storage(count=2**62)),
        raw.tensor(raw.number(0)),
    ],
)
def test_tensors_outside_their_storage_are_refused(tmp_path, tensor):
    with pytest.raises(WeightsError, match=r"w\.pth: a is not a valid tensor") as caught:
        read_tensors(raw.write(tmp_path / "w.pth", raw.mapping(a=tensor)))
    assert len(str(caught.value)) < 1000


def test_many_names_of_one_storage_are_refused_before_they_are_read(tmp_path):
    count = 100_000
    plan = {"shape": (count,), "strides": (1,)}

    def file(names):
        tree = raw.mapping(**{f"n{k}": raw.tensor(raw.storage(count=count), **plan) for k in range(names)})
        return raw.write(tmp_path / "w.pth", tree, bytes(4 * count))

    assert len(read_tensors(file(4))) == 4
    with pytest.raises(WeightsError, match=r"w\.pth: its tensors come to 2000000 bytes, more than 4 times"):
        read_tensors(file(5))


def test_entries_of_a_zip_that_lie_over_each_other_are_refused(tmp_path):
    """Twenty storages by the zip's list, one by its bytes."""
    count = 10_000
    plan = {"shape": (1,), "strides": (1,)}
    keys = [f"{key:02d}" for key in range(20)]
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w") as archive:
        tree = raw.mapping(**{key: raw.tensor(raw.storage(key=key, count=count), **plan) for key in keys})
        archive.writestr("archive/data.pkl", raw.START + tree + raw.STOP)
        archive.writestr("archive/data/00", bytes(4 * count))
        (first,) = [entry for entry in archive.filelist if entry.filename == "archive/data/00"]
        for key in keys[1:]:
            entry = zipfile.ZipInfo(f"archive/data/{key}")
            entry.header_offset, entry.CRC = first.header_offset, first.CRC
            entry.file_size = entry.compress_size = first.file_size
            archive.filelist.append(entry)
    with pytest.raises(WeightsError, match="more than 4 times"):
        read_tensors(path)


def test_a_storage_of_two_types_or_lengths_is_refused(tmp_path):
    for second in (raw.storage("DoubleStorage"), raw.storage(count=1)):
        tree = raw.mapping(a=raw.tensor(), b=raw.tensor(second, 0, (1,), (1,)))
        with pytest.raises(WeightsError, match="gives storage 0 two types or two lengths"):
            read_tensors(raw.write(tmp_path / "w.pth", tree))


def _nested(depth, close=b"\x86"):
    """A tuple of twice a tuple of twice ...: of 2 ** depth parts when it is written out."""
    return raw.number(1) + b"".join(b"q\x00h\x00" + close for _ in range(depth))


@pytest.mark.parametrize(
    "tree",
    [
        pytest.param(MARK + _nested(25) + b"tQ", id="pid"),
        pytest.param(MARK + _nested(25) + raw.name("torch", "FloatStorage") + b"NNNtQ", id="kind"),
        pytest.param(raw.mapping(a=raw.tensor()) + _nested(25) + NONE + SETITEM, id="key"),
        pytest.param(raw.mapping(a=raw.tensor(raw.storage()[:-2] + _nested(25) + b"tQ")), id="view"),
        pytest.param(
            raw.mapping(a=REDUCE.join([raw.REBUILD + MARK + _nested(25) * 4 + TUPLE, b""])), id="plan"
        ),
        pytest.param(raw.name("torch", "device") + _nested(25) + REDUCE + _nested(25) + REDUCE, id="call"),
        pytest.param(_nested(25) + NONE + BUILD, id="build"),
        pytest.param(_nested(25), id="tree"),
        pytest.param(raw.mapping(**{"a" * 10_000_000: raw.tensor(offset=9)}), id="name"),
        pytest.param(raw.mapping(**{"a" * 10_000_000: raw.tensor()}), id="sound, but for its name"),
        pytest.param(raw.mapping(**{"a\x1b[2J": raw.tensor()}), id="escape"),
        pytest.param(raw.mapping(**{"e" * 1_000_000: NONE}), id="entry"),
        pytest.param(raw.name("os" * 1_000_000, "system"), id="global"),
        pytest.param(raw.name("os\x1b[2J", "system"), id="escape in a global"),
        pytest.param(raw.mapping(a=raw.tensor(raw.storage(key="\x1b[2J\n"))), id="escape in a storage"),
        pytest.param(raw.mapping(a=raw.tensor(raw.storage(key="k" * 10_000_000))), id="missing"),
    ],
)
def test_no_message_writes_out_what_the_file_holds(tmp_path, tree):
    with pytest.raises(WeightsError, match=r"w\.pth") as caught:
        read_tensors(raw.write(tmp_path / "w.pth", tree))
    assert len(str(caught.value)) < 2000 + len(str(tmp_path))
    assert str(caught.value).isprintable()


# A list of a thousand references to one list of as many pairs, which a dict of Python 2 would be made of.
_PAIRS = EMPTY_LIST + MARK + (EMPTY_LIST + MARK + NONE + NONE + APPENDS) * 1000 + APPENDS
BOMBS = {
    "memo": raw.START + NONE + b"r" + (10**8).to_bytes(4, "little") + b".",
    "key": raw.START + raw.EMPTY_DICT + raw.number(1) + b"\x85" * 10**6 + NONE + SETITEM + b".",
    "string": raw.START + b"\x8d" + b"\xff" * 7 + b"\x7f.",
    "bytes": raw.START + b"B\xff\xff\xff\xff.",
    "pairs": raw.START
    + ORDERED_DICT
    + EMPTY_LIST
    + MARK
    + _PAIRS
    + b"q\x01"
    + b"h\x01" * 999
    + APPENDS
    + b"\x85R.",
    "number": raw.START + b"L" + b"9" * 10**6 + b"L\n.",
    "many": raw.START + b"}" * 11_000_000 + b".",
}


def _spent_by_reading(paths):
    """Megabytes that a process of its own takes to refuse all files, one after the other."""
    program = f"""
import resource
from fakedetect_jax.weights import WeightsError, read_tensors
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in {paths!r}:
    try:
        read_tensors(path)
    except WeightsError:
        continue
    raise SystemExit(f"{{path}} was read")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=200, preexec_fn=limit
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_small_pickle_neither_fills_the_memory_nor_ends_the_process(tmp_path, legacy):
    paths = [str(tmp_path / name) for name in BOMBS]
    for path, document in zip(paths, BOMBS.values(), strict=True):
        if legacy:
            Path(path).write_bytes(document)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", document)
    # The largest is the 11 million empty dicts.
    assert _spent_by_reading(paths) < 1000
