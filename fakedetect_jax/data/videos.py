"""Selected videos, and the decoding of clips of their main persons."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from jaxtyping import Float32, Int32, UInt8

from fakedetect_jax.data import schema
from fakedetect_jax.data.checked_records import CheckedRecords
from fakedetect_jax.data.clips import Clip
from fakedetect_jax.data.index import Entry, dataset_folder, load_index, read_extraction
from fakedetect_jax.data.records import DamagedDataset
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction, FaceSequence
from fakedetect_jax.faces.landmarks import LANDMARKS

Batch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Video:
    """The main person of a video.

    Attributes:
        tracks: The tracks in which the person is seen, one in each shot, in order of time.
        frame_index: Numbers in the video of each track's kept frames.
        times: Their time stamps in seconds.
    """

    tracks: tuple[Entry, ...]
    frame_index: tuple[Int32[np.ndarray, " _"], ...]
    times: tuple[Float32[np.ndarray, " _"], ...]

    @property
    def about(self) -> Entry:
        """What all of the tracks share: the video, its label, method and identities."""
        return self.tracks[0]


@dataclasses.dataclass(frozen=True)
class Videos:
    """Selected videos, their records by field name, and how these were made."""

    videos: list[Video]
    records: Sequence[Any]
    extraction: Extraction

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def people(self) -> set[str]:
        """All who are seen, or whose face or motion was put in; see `person_of`."""
        return {
            person
            for video in self.videos
            for person in (person_of(video.about), source_person_of(video.about))
            if person
        }

    def load(self, chosen: Sequence[tuple[int, Clip]]) -> Batch:
        """Decode clips, reading only the frames that they need.

        Args:
            chosen: For each clip, the number of its video in `videos` and its frames.

        Returns:
            `frames` uint8 [B, T, S, S, 3], `landmarks` float32 [B, T, 81, 2] in crop pixels, `timestamps` float32
            [B, T] in seconds since the start of the video, `valid` bool [B, T], `label` int32 [B], `weight` float32
            [B] (1), `identity` int32 [B], equal for videos of one person in one dataset, and `method` int32 [B], the
            `number_of` the method's name.

        Raises:
            DamagedDataset: A record, or the picture in it, cannot be read; the message names it.
        """
        size, count = self.extraction.size, len(chosen[0][1].positions)
        frames = np.empty((len(chosen), count, size, size, 3), np.uint8)
        landmarks = np.empty((len(chosen), count, LANDMARKS, 2), np.float32)
        timestamps = np.empty((len(chosen), count), np.float32)
        for row, (number, clip) in enumerate(chosen):
            video = self.videos[number]
            timestamps[row] = video.times[clip.track][clip.positions]
            self._decode(video.tracks[clip.track], clip, frames[row], landmarks[row])
        entries = [self.videos[number].about for number, _ in chosen]
        return {
            "frames": frames,
            "landmarks": landmarks,
            "timestamps": timestamps,
            "valid": np.stack([clip.valid for _, clip in chosen]),
            "label": np.array([entry.label for entry in entries], np.int32),
            "weight": np.ones(len(entries), np.float32),
            "identity": np.array([number_of(person_of(entry)) for entry in entries], np.int32),
            "method": np.array([number_of(entry.method) for entry in entries], np.int32),
        }

    def _decode(self, track: Entry, clip: Clip, frames: np.ndarray, landmarks: np.ndarray) -> None:
        """Decode straight into the batch: copies would cost a tenth of the decoding."""
        for place, position in enumerate(clip.positions.tolist()):
            if place and position == clip.positions[place - 1]:
                frames[place], landmarks[place] = frames[place - 1], landmarks[place - 1]
                continue
            record = self.records[track.first + position]
            landmarks[place] = record["landmarks"]
            try:
                decode_jpeg(record["jpeg"], frames[place])
            except ValueError as error:
                raise DamagedDataset(
                    f"{track.dataset}, split {track.split!r}, {track.method}/{track.video_id}, track {track.track}: "
                    f"frame {position} cannot be decoded ({error}); build the dataset again"
                ) from error


def decode_jpeg(data: bytes, out: UInt8[np.ndarray, "s s 3"]) -> None:
    """Decode a JPEG into `out` as RGB.

    Raises:
        ValueError: The picture is damaged or has another size.
    """
    # A picture that does not fit into the buffer is refused before it is decoded.
    found = simplejpeg.decode_jpeg(data, buffer=out)
    if found.shape != out.shape:
        raise ValueError(f"its sides are {found.shape[:2]} and not {out.shape[:2]}")


def number_of(name: str) -> int:
    """Hash a name to 31 bits. Two of 10,000 people may share a number, and are then not blended into each other."""
    return zlib.crc32(name.encode()) >> 1


def select(
    data_dir: str | Path, dataset: str, split: str, methods: Sequence[str] = (), limit: int = 0
) -> Videos:
    """Select the videos of a split in which a face was found.

    Args:
        data_dir: Folder of the built datasets.
        dataset: Name, or name/config.
        split: Name of the split.
        methods: Methods to select; all if empty.
        limit: How many videos to select, the first ones; all if 0.

    Raises:
        DatasetNotBuilt: The dataset is not in `data_dir`, or in another format.
        FakedetectError: No such split or method, or nothing is left.
    """
    folder = dataset_folder(data_dir, dataset)
    tracks, frame_index, times = load_index(folder, split)
    entries = [entry for entry in tracks if entry.main]
    known = sorted({entry.method for entry in entries})
    unknown = sorted(set(methods) - set(known))
    if unknown:
        raise FakedetectError(f"{dataset}, split {split!r}: no method {unknown}; there are {known}")
    members: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if not methods or entry.method in methods:
            members.setdefault((entry.method, entry.video_id), []).append(entry)
    chosen = list(members.values())[: limit or None]
    if not chosen:
        raise FakedetectError(f"{dataset}, split {split!r}: no face track at all in {folder}")
    videos = [_video(tracks, frame_index, times) for tracks in chosen]
    return Videos(videos, CheckedRecords(folder, split, tracks), read_extraction(folder))


def concatenate(parts: Mapping[str, Videos]) -> Videos:
    """Join selections from several datasets, by name, into one.

    Raises:
        FakedetectError: Their crops were made in different ways; the message has the options of both builds.
    """
    (first, whole), *others = parts.items()
    for name, part in others:
        if not part.extraction.same_crops(whole.extraction):
            raise FakedetectError(
                f"{first} and {name} were built with different options: '{whole.extraction.flags}' and "
                f"'{part.extraction.flags}'; build one of them again with the other's"
            )
    if not others:
        return whole
    joined = _Joined([part.records for part in parts.values()])
    videos = [
        dataclasses.replace(video, tracks=tuple(_moved(track, start) for track in video.tracks))
        for part, start in zip(parts.values(), joined.starts, strict=True)
        for video in part.videos
    ]
    return Videos(videos, joined, whole.extraction)


def from_sequences(
    sequences: Sequence[FaceSequence], extraction: Extraction
) -> tuple[Videos, list[tuple[FaceSequence, ...]]]:
    """Return the people of one video as if each were the main person of a built video, and their tracks.

    Clips and pixels are then the same for a video and for its records.
    """
    people: dict[int, list[FaceSequence]] = {}
    for sequence in sequences:
        people.setdefault(sequence.person, []).append(sequence)
    tracks = [
        tuple(sorted(people[number], key=lambda track: track.timestamp[0])) for number in sorted(people)
    ]
    records = _Joined([_Frames(track) for person in tracks for track in person])
    starts = iter(records.starts)
    unknown = dict.fromkeys(("dataset", "split", "compression", "identity", "source_identity"), "")
    videos = [
        Video(
            tracks=tuple(
                Entry(
                    video_id="",
                    method=schema.REAL,
                    label=0,
                    main=True,
                    track=track.track,
                    person=track.person,
                    first=next(starts),
                    frames=len(track),
                    **unknown,
                )
                for track in person
            ),
            frame_index=tuple(track.frame_index for track in person),
            times=tuple(track.timestamp for track in person),
        )
        for person in tracks
    ]
    return Videos(videos, records, extraction), tracks


class _Frames(Sequence):
    """Records of the frames of a face track."""

    def __init__(self, track: FaceSequence) -> None:
        self._track = track

    def __len__(self) -> int:
        return len(self._track)

    def __getitem__(self, position: Any) -> Any:
        return {"jpeg": self._track.frames[position], "landmarks": self._track.landmarks[position]}


def _video(tracks: list[Entry], frame_index: np.ndarray, times: np.ndarray) -> Video:
    tracks = sorted(tracks, key=lambda track: times[track.first])
    spans = [slice(track.first, track.first + track.frames) for track in tracks]
    return Video(
        tuple(tracks), tuple(frame_index[span] for span in spans), tuple(times[span] for span in spans)
    )


def person_of(entry: Entry) -> str:
    """Name the person seen, the same in every dataset that shows them; name the video if the person is unknown."""
    if entry.identity.startswith(schema.YOUTUBE):
        return entry.identity
    return f"{entry.dataset}/{entry.identity or f'{entry.method}/{entry.video_id}'}"


def source_person_of(entry: Entry) -> str:
    """Name the person whose face or motion was put in; '' if there is none or it is unknown."""
    known = entry.source_identity
    return known if known.startswith(schema.YOUTUBE) or not known else f"{entry.dataset}/{known}"


def _moved(track: Entry, start: int) -> Entry:
    return dataclasses.replace(track, first=start + track.first)


class _Joined(Sequence):
    """Several sequences of records, one after another; part n begins at `starts[n]`."""

    def __init__(self, parts: list[Sequence]) -> None:
        self._parts = parts
        self.starts = [0, *itertools.accumulate(map(len, parts))][:-1]

    def __len__(self) -> int:
        return self.starts[-1] + len(self._parts[-1])

    def __getitem__(self, position: Any) -> Any:
        part = bisect.bisect_right(self.starts, position) - 1
        return self._parts[part][position - self.starts[part]]
