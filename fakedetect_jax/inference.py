"""An exported detector, in use: arrays or a video in, P(fake) out."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import simplejpeg
from flax import traverse_util
from jaxtyping import Bool, Float, Float32, UInt8
from safetensors.numpy import load_file

from fakedetect_jax import models, parallel
from fakedetect_jax.augment import face_crop
from fakedetect_jax.data.sampling import spread_frames
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import FaceSequence, extract
from fakedetect_jax.models.temporal.transformer import FRAMES_PER_SECOND

WEIGHTS, SPEC, PROGRAM, CARD = "weights.safetensors", "detector.json", "forward.stablehlo", "README.md"
FORMAT = 3
# What a detector sees of a clip, in the order of its program's arguments behind the weights.
INPUTS = ("frames", "landmarks", "timestamps", "valid")
THRESHOLD = 0.5


class DetectorError(FakedetectError):
    """A folder that holds no detector, or one that cannot be read."""


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """What must happen to a face between the video and the model.

    Attributes:
      crop_size: side of the stored square crops, pixels.
      crop_margin: of the stored crop around the 81 landmarks, as a fraction of their extent on each side.
      input_size: side of the model's input, pixels.
      input_margin: of the model's crop around landmarks 0-67, likewise.
      frames: frames a clip.
      stride: source frames from one to the next in training; sets how many clips a video is cut into.
      spacing: the most source frames from one to the next of a clip; 0 if any distance will do.
    """

    crop_size: int
    crop_margin: float
    input_size: int
    input_margin: float
    frames: int
    stride: int
    spacing: int


@dataclasses.dataclass(frozen=True)
class TrackVerdict:
    """What the detector says of one face track.

    `score` is the mean P(fake) of its clips. `frame_index`, `timestamp` [seconds] and `frame_scores` tell of
    the frames that were looked at; `faces` are small RGB crops of some of them.
    """

    track: int
    score: float
    clip_scores: list[float]
    frame_index: list[int]
    timestamp: list[float]
    frame_scores: list[float]
    sequence: FaceSequence

    @property
    def fake(self) -> bool:
        """The verdict at the threshold of 0.5."""
        return self.score >= THRESHOLD


def make_forward(model: Any, preprocessing: Preprocessing) -> Callable:
    """Returns the detector's function, preprocessing included.

    It maps (variables, frames uint8 [B,T,S,S,3], landmarks [B,T,81,2] in their pixels, timestamps [B,T] in seconds,
    valid bool [B,T]) to P(fake) of the clips [B] and of their frames [B,T].
    """
    crop = functools.partial(face_crop, size=preprocessing.input_size, margin=preprocessing.input_margin)

    def forward(
        variables: Any, frames: jax.Array, landmarks: jax.Array, timestamps: jax.Array, valid: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        crops = jax.vmap(crop)(frames.astype(np.float32) / 255.0, landmarks)
        logit, out = model.apply(
            variables, crops.frames, landmarks=crops.landmarks, timestamps=timestamps, valid=valid
        )
        return jax.nn.sigmoid(logit), jax.nn.sigmoid(out["frame_logit"])

    return forward


class Detector:
    """A detector that was exported by `launch.py --mode=export`."""

    def __init__(self, spec: dict[str, Any], variables: Any) -> None:
        self.spec = spec
        self.preprocessing = Preprocessing(**spec["preprocessing"])
        self.mesh = parallel.make_mesh()
        model = models.create(spec["model"]["name"], **spec["model"]["options"])
        whole, split = parallel.replicated(self.mesh), parallel.split_by_example(self.mesh)
        self._variables = jax.device_put(variables, whole)
        self._forward = jax.jit(
            make_forward(model, self.preprocessing),
            in_shardings=(whole, *(split for _ in INPUTS)),
            out_shardings=(whole, whole),
        )

    def score_batch(self, batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Scores this process's rows of a batch; every process gets the scores of all rows.

        Args:
          batch: `INPUTS` as `score` takes them; rows divide by the devices.

        Returns:
          P(fake) of the clips [B] and of their frames [B, T].
        """
        arrays = parallel.to_global({name: batch[name] for name in INPUTS}, self.mesh)
        return jax.device_get(self._forward(self._variables, *(arrays[name] for name in INPUTS)))

    def score(
        self,
        frames: UInt8[np.ndarray, "n t s s 3"],
        landmarks: Float[np.ndarray, "n t 81 2"],
        *,
        timestamps: Float[np.ndarray, "n t"] | None = None,
        valid: Bool[np.ndarray, "n t"] | None = None,
        batch_size: int = 8,
    ) -> tuple[Float32[np.ndarray, " n"], Float32[np.ndarray, "n t"]]:
        """Scores clips of stored face crops, as `faces.extract` makes them.

        Args:
          frames: RGB; T and S as `preprocessing.frames` and `crop_size` say.
          landmarks: in crop pixels.
          timestamps: in seconds; without them frames follow each other at 25 a second. Only models with
            positions='timestamps' look at them.
          valid: frames that count; all, if not given.
          batch_size: clips at once on each device.

        Returns:
          P(fake) of each clip and of each frame.

        Raises:
          FakedetectError: another number of frames, size or type.
        """
        self._check(frames)
        if timestamps is None:
            timestamps = np.broadcast_to(np.arange(frames.shape[1]) / FRAMES_PER_SECOND, frames.shape[:2])
        valid = np.ones(frames.shape[:2], bool) if valid is None else valid
        inputs = (frames, landmarks, timestamps.astype(np.float32), valid)
        rows = batch_size * self.mesh.size
        clip_scores, frame_scores = [], []
        for start in range(0, len(frames), rows):
            part = [array[start : start + rows] for array in inputs]
            count = len(part[0])
            # One shape, one compilation: the last batch is filled up with copies.
            padded = [np.concatenate([array, np.repeat(array[-1:], rows - count, axis=0)]) for array in part]
            clips, per_frame = self.score_batch(dict(zip(INPUTS, padded, strict=True)))
            clip_scores.append(clips[:count])
            frame_scores.append(per_frame[:count])
        return np.concatenate(clip_scores), np.concatenate(frame_scores)

    def predict(self, video: str | Path) -> list[TrackVerdict]:
        """Finds the faces of a video and scores each track, the most important one first.

        A track is cut into as many clips as its length holds at the training stride, each of evenly spread
        frames. An empty list means that no face was found.

        Raises:
          VideoError: not a video, or nothing of it can be decoded.
        """
        spec = self.preprocessing
        sequences = extract(video, size=spec.crop_size, margin=spec.crop_margin)
        return [self._verdict(sequence) for sequence in sequences]

    def _verdict(self, sequence: FaceSequence) -> TrackVerdict:
        spec, length = self.preprocessing, len(sequence.frames)
        clips = max(1, length // (spec.frames * spec.stride))
        chosen = [
            spread_frames(length, frames=spec.frames, clip=clip, clips=clips, spacing=spec.spacing)
            for clip in range(clips)
        ]
        places = np.stack([positions for positions, _ in chosen])
        valid = np.stack([mask for _, mask in chosen])
        decoded = {place: simplejpeg.decode_jpeg(sequence.frames[place]) for place in np.unique(places)}
        frames = np.stack([[decoded[place] for place in row] for row in places])
        clip_scores, frame_scores = self.score(
            frames, sequence.landmarks[places], timestamps=sequence.timestamp[places], valid=valid
        )
        looked_at = places[valid]
        return TrackVerdict(
            track=sequence.track,
            score=float(clip_scores.mean()),
            clip_scores=clip_scores.tolist(),
            frame_index=sequence.frame_index[looked_at].tolist(),
            timestamp=sequence.timestamp[looked_at].tolist(),
            frame_scores=frame_scores[valid].tolist(),
            sequence=sequence,
        )

    def _check(self, frames: np.ndarray) -> None:
        spec = self.preprocessing
        wanted = (spec.frames, spec.crop_size, spec.crop_size, 3)
        if frames.ndim != 5 or frames.shape[1:] != wanted or frames.dtype != np.uint8 or not len(frames):
            raise FakedetectError(
                f"frames are {frames.dtype}{list(frames.shape)}; this detector takes uint8[n, {wanted[0]}, "
                f"{wanted[1]}, {wanted[2]}, 3], n > 0, crops as faces.extract(size={spec.crop_size}, "
                f"margin={spec.crop_margin}) makes them"
            )


def load_detector(folder: str | Path) -> Detector:
    """Reads a detector from the folder that `launch.py --mode=export` wrote.

    Raises:
      DetectorError: a file is missing, unreadable, of another format, or does not fit the model; names it.
    """
    folder = Path(folder)
    try:
        spec = json.loads((folder / SPEC).read_text(encoding="utf-8"))
        flat = load_file(folder / WEIGHTS)
    except FileNotFoundError as error:
        raise DetectorError(
            f"{folder} holds no detector: {Path(error.filename or WEIGHTS).name} is missing; "
            "make one with launch.py --mode=export"
        ) from error
    except Exception as error:  # json and safetensors each have errors of their own
        raise DetectorError(f"{folder}: cannot be read as a detector: {error}") from error
    if spec.get("format") != FORMAT:
        raise DetectorError(f"{folder / SPEC}: format {spec.get('format')!r}; this version reads {FORMAT}")
    _check_weights(folder, spec, flat)
    return Detector(spec, traverse_util.unflatten_dict(flat, sep="/"))


def _check_weights(folder: Path, spec: dict[str, Any], flat: dict[str, np.ndarray]) -> None:
    model = models.create(spec["model"]["name"], **spec["model"]["options"])
    wanted = variable_shapes(model, Preprocessing(**spec["preprocessing"]))
    found = {name: (array.shape, str(array.dtype)) for name, array in flat.items()}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise DetectorError(
            f"{folder / WEIGHTS}: {len(wrong)} weights do not fit the model of {SPEC}; the first is {name}: "
            f"{found.get(name, 'missing')} instead of {wanted.get(name, 'nothing')}"
        )


def variable_shapes(model: Any, preprocessing: Preprocessing) -> dict[str, tuple[tuple[int, ...], str]]:
    """Returns shape and dtype of every parameter and statistic by its path, without computing any."""
    clip = models.clip_shapes(preprocessing.frames, preprocessing.input_size)
    shapes = jax.eval_shape(model.init, jax.random.key(0), **clip)
    flat: dict[str, Any] = traverse_util.flatten_dict(shapes, sep="/")
    return {name: (leaf.shape, str(leaf.dtype)) for name, leaf in flat.items()}
