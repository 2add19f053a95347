"""The finished videos of a build, on disk, so that a killed build goes on from there.

A video's entry appears whole or not at all. It holds arrays and JSON, no pickle. Any number of processes may write, on
any machines that share the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from fakedetect_jax.data_builders.engine.video_item import VideoItem
from fakedetect_jax.faces import FaceSequence
from fakedetect_jax.files import write_tensors

_OUTCOME = "outcome.json"
_NUMBERS = ("track", "person", "video_frames", "fps")
_ARRAYS = ("frame_index", "timestamp", "box", "landmarks", "confidence", "affine")
# Longer tracks are stored in parts, because a part is held in memory as a whole.
PART_FRAMES = 512


class Journal:
    """Entries by video.

    Args:
        folder: The journal's own folder, which is made if needed; nothing else may be in it.
        settings: Whatever else an entry depends on, as JSON. Entries written under other settings are not seen.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = Path(folder)
        self._settings = json.dumps(settings, sort_keys=True)

    def has(self, item: VideoItem) -> bool:
        """Return whether the video is done."""
        return (self._entry(item) / _OUTCOME).exists()

    def outcome(self, item: VideoItem) -> dict[str, Any]:
        """Return what was written as `outcome`."""
        return json.loads((self._entry(item) / _OUTCOME).read_text(encoding="utf-8"))

    def parts(self, item: VideoItem) -> Iterator[tuple[int, FaceSequence]]:
        """Yield the video's tracks in the order in which they were given, long ones in parts.

        Each part comes with its offset: the position of its first frame in the track.
        """
        offset, track = 0, -1
        for path in sorted(self._entry(item).glob("*.safetensors")):
            part = _load(path)
            offset = offset if part.track == track else 0
            yield offset, part
            offset, track = offset + len(part), part.track

    def write(
        self,
        item: VideoItem,
        outcome: dict[str, Any],
        tracks: Sequence[FaceSequence],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the entry of a video, and call `progress` with every part of it.

        Raises:
            OSError: There is no room.
        """
        entry = self._entry(item)
        entry.parent.mkdir(parents=True, exist_ok=True)
        with self.scratch() as folder:
            partial = folder / "entry"
            partial.mkdir()
            parts = [part for track in tracks for part in _parts(track)]
            for number, part in enumerate(parts):
                _save(part, partial / f"{number:06d}.safetensors")
                progress()
            (partial / _OUTCOME).write_text(json.dumps(outcome), encoding="utf-8")
            try:
                partial.rename(entry)
            except OSError:
                # Another process may have finished the same video in the meantime, with the same result.
                if not self.has(item):
                    raise

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Make an empty folder and remove it afterwards; `sweep` removes what a kill leaves of it."""
        root = self.folder / "scratch"
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as folder:
            yield Path(folder)

    def sweep(self) -> None:
        """Remove what killed processes left behind; call it only while nobody else works on this journal."""
        shutil.rmtree(self.folder / "scratch", ignore_errors=True)

    def remove(self) -> None:
        """Remove the whole journal."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _entry(self, item: VideoItem) -> Path:
        """Return the folder of an entry, named after all that decides the result, the state of the file included."""
        about = [item.key, item.split, str(item.source), item.state, self._settings]
        digest = hashlib.sha256("\n".join(about).encode("utf-8", "surrogateescape")).hexdigest()
        return self.folder / digest[:2] / digest[2:]


def _parts(track: FaceSequence) -> Iterator[FaceSequence]:
    for start in range(0, len(track), PART_FRAMES):
        span = slice(start, start + PART_FRAMES)
        arrays = {name: getattr(track, name)[span] for name in _ARRAYS}
        yield dataclasses.replace(track, frames=track.frames[span], **arrays)


def _save(track: FaceSequence, path: Path) -> None:
    arrays = {name: np.ascontiguousarray(getattr(track, name)) for name in _ARRAYS}
    arrays["sizes"] = np.array([len(frame) for frame in track.frames], np.int64)
    arrays["bytes"] = np.frombuffer(b"".join(track.frames), np.uint8)
    head = {name: getattr(track, name) for name in _NUMBERS}
    head["frame_size"] = [int(side) for side in track.frame_size]
    write_tensors(path, arrays, {"head": json.dumps(head)})


def _load(path: Path) -> FaceSequence:
    with safe_open(path, framework="numpy") as file:
        head = json.loads(file.metadata()["head"])
        arrays = {name: file.get_tensor(name) for name in (*_ARRAYS, "sizes", "bytes")}
    data, ends = arrays["bytes"].tobytes(), np.cumsum(arrays["sizes"])
    starts = np.concatenate([[0], ends[:-1]]).astype(int)
    return FaceSequence(
        **{name: head[name] for name in _NUMBERS},
        frame_size=tuple(head["frame_size"]),
        frames=[data[start:end] for start, end in zip(starts, ends, strict=True)],
        **{name: arrays[name] for name in _ARRAYS},
    )
