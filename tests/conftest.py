"""Small in-memory face tracks, so that most tests need no video."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

# Before jax is imported anywhere: eight devices on one CPU, as the sharded tests need them; and machine code that is
# quick to make, because tests compile for longer than they compute (with jax's own flags two to three times as long).
# The older emitter of fused loops compiles in two thirds of the time and is wrong for some gradients: comparisons of
# gradients ask for the newer one (tests/models/published/parity.py), and AS_USERS_RUN_IT has both flags as they are.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    # jaxlib 0.11 has one kind of emitters, and ends the process at a flag that it does not know.
    + (
        " --xla_cpu_use_fusion_emitters=false" if version("jaxlib").startswith(("0.8", "0.9", "0.10")) else ""
    ),
)
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# Two test processes fill two cores: more threads of torch's only wait for each other (one run waited for ever).
os.environ.setdefault("OMP_NUM_THREADS", "1")
# With so few channels torch's convolutions abort or hang in the backward pass on some AVX2 processors.
os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "SSE41")
# Shared by all test processes: compiling is most of what the tests do.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="fakedetect_tests_"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")

import hypothesis
import jax
import jaxtyping
import numpy as np
import pytest
import simplejpeg

# Every function of the package checks the types and shapes that it declares. As JAX and PEP 484 have it, NumPy's arrays
# do where JAX's are wanted, and an int is a float. The plugin's own option splits at the commas of the checker's.
jaxtyping.Array = jax.Array | np.ndarray
jaxtyping.install_import_hook(
    "fakedetect_jax", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
)

from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.index import Entry
from fakedetect_jax.data.videos import Video, Videos
from fakedetect_jax.faces import Extraction
from tests.tiny_dataset import build_tiny

# The first example of a test compiles; a time limit on each would measure the machine.
hypothesis.settings.register_profile("fakedetect", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("fakedetect")

# What jax traced stays in its caches: looking through it for garbage, as often as usual, takes a tenth of the time.
gc.set_threshold(200_000, 50, 1000)


@pytest.fixture
def unchecked_types():
    """Types and shapes are not checked: for what a user, whose program does not check them, is told of wrong ones."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


CROP = 64


def face_landmarks(rng: np.random.Generator, size: int = CROP) -> np.ndarray:
    """81 points on two ellipses around the centre of a crop, slightly jittered: [81, 2]."""
    jaw = np.linspace(0.1, np.pi - 0.1, 17)
    inner = np.linspace(0, 2 * np.pi, 51, endpoint=False)
    forehead = np.linspace(np.pi + 0.2, 2 * np.pi - 0.2, 13)
    angles = np.concatenate([jaw[::-1], inner, forehead])
    radius = np.concatenate([np.full(17, 0.3), np.full(51, 0.18), np.full(13, 0.3)]) * size
    points = size / 2 + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
    return (points + rng.normal(0, 0.3, points.shape)).astype(np.float32)


def make_records(number: int, frames: int, *, size: int = CROP) -> list[dict]:
    """A track's records as read from disk, with pictures that tell which track and place they are from."""
    rng = np.random.default_rng(number)
    base = rng.integers(40, 200, (size // 8, size // 8, 3)).repeat(8, 0).repeat(8, 1)
    return [
        {
            "jpeg": simplejpeg.encode_jpeg(np.clip(base + 3 * place, 0, 255).astype(np.uint8)),
            "landmarks": face_landmarks(rng, size),
        }
        for place in range(frames)
    ]


def clip_spec(*, frames: int = 2, stride: float = 0.04, interval: float = 5.0, crop: int = CROP) -> ClipSpec:
    """What a clip of the in-memory videos is, which have 25 frames a second."""
    return ClipSpec(Extraction(size=crop), frames, stride, interval, size=32, margin=0.1)


def make_videos(
    lengths: list[int | tuple[int, ...]], *, split: str = "train", labels: list[int] | None = None
) -> Videos:
    """Videos of one track of the given length each, or of several, real unless `labels` says otherwise."""
    labels = labels or [0] * len(lengths)
    videos, records = [], []
    for number, length in enumerate(lengths):
        tracks, times = [], []
        for track, frames in enumerate((length,) if isinstance(length, int) else length):
            entry = Entry(
                video_id=f"v{number}",
                dataset="memory",
                split=split,
                method="swap" if labels[number] else "real",
                compression="",
                identity=f"p{number}",
                source_identity="",
                label=labels[number],
                main=True,
                track=track,
                person=0,
                first=len(records),
                frames=frames,
            )
            tracks.append(entry)
            times.append(np.arange(frames, dtype=np.float32) / 25 + 100 * track)
            records += make_records(100 * track + number, frames)
        index = tuple(np.rint(time * 25).astype(np.int32) for time in times)
        videos.append(Video(tuple(tracks), index, tuple(times)))
    return Videos(videos, records, Extraction(size=CROP))


@pytest.fixture
def videos() -> Videos:
    """Eleven real videos of different lengths, some too short for a clip."""
    return make_videos([1, 2, 3, 5, 8, 9, 12, 12, 15, 20, 30])


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the dataset `tiny_faces` is built."""
    folder = tmp_path_factory.mktemp("data")
    build_tiny(folder)
    return folder


def pytest_sessionfinish() -> None:
    """Let pytest's last collections of garbage pass over what jax keeps: they would take ten seconds."""
    gc.freeze()


# These make promises about numbers; tests/test_as_users_run_it.py runs them in programs as users compile them.
AS_USERS_RUN_IT = (
    "tests/training/test_step.py",
    "tests/training/test_statistics.py",
    "tests/training/test_resume.py",
    "tests/deployment/test_detector_in_use.py",
)
_LONGEST = ("test_as_users_run_it.py", *(Path(file).name for file in AS_USERS_RUN_IT))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes, or one process waits for the other at the end; each runs once."""
    within = {item.callspec.params["file"] for item in items if item.path.name == _LONGEST[0]}
    again = [item for item in items if item.nodeid.split("::")[0] in within]
    config.hook.pytest_deselected(items=again)
    items[:] = [item for item in items if item not in again]
    items.sort(
        key=lambda item: _LONGEST.index(item.path.name) if item.path.name in _LONGEST else len(_LONGEST)
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    """Leave what signals do as it was: programs that end within the tests' process change it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    hook = sys.unraisablehook
    try:
        return (yield)
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
