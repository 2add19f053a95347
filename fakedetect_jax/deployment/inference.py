"""An exported detector in use: arrays or a video in, P(fake) out."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import traverse_util
from jaxtyping import Bool, Float, Float64, Int32, UInt8
from safetensors import SafetensorError
from safetensors.numpy import load

from fakedetect_jax import models, parallel
from fakedetect_jax.augment import Crop, face_crop
from fakedetect_jax.data.clips import Clip, ClipSpec
from fakedetect_jax.data.pipeline import evaluation_batches, evaluation_clips
from fakedetect_jax.data.videos import from_sequences
from fakedetect_jax.digests import ChangedFile, check_digests
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation import metrics
from fakedetect_jax.faces import FaceSequence, extract_faces
from fakedetect_jax.files import AnyPath, PathLike, to_path
from fakedetect_jax.models.temporal.transformer import FRAMES_PER_SECOND

WEIGHTS, SPEC, PROGRAM, CARD = "weights.safetensors", "detector.json", "forward.stablehlo", "README.md"
FORMAT = 6
# The files whose content decides a score; they have digests. The card is text that may be edited.
DIGESTED = (SPEC, WEIGHTS, PROGRAM)
# The detector's inputs, in the order of its program's arguments after the weights.
INPUTS = ("frames", "landmarks", "timestamps", "valid")
_BATCH_PER_DEVICE = 8
_REMEDY = "copy the detector again from where it is whole, or make it anew with `fakedetect export`"


class DetectorError(FakedetectError):
    """A folder without a detector, or a detector that cannot be read or whose scores are not finite."""


class ClipScores(NamedTuple):
    """P(fake) of clips and of their frames; `place` are the clips' numbers in the batches, -1 for padding."""

    place: Int32[np.ndarray, " b"]
    clip: Float64[np.ndarray, " b"]
    frame: Float64[np.ndarray, "b t"]


@dataclasses.dataclass(frozen=True)
class PersonVerdict:
    """The detector's verdict on one person of a video.

    Attributes:
        person: number of the person in the video.
        score: mean P(fake) of the clips.
        clip_scores: P(fake) of each clip.
        frame_index: numbers of the scored frames in the video, in order of time.
        timestamp: times of these frames in seconds.
        frame_scores: P(fake) of these frames, averaged where clips overlap.
        box: face box in these frames: x0, y0, x1, y1 in the video's pixels.
        tracks: all of the person's tracks, one a shot.
    """

    person: int
    score: float
    clip_scores: list[float]
    frame_index: list[int]
    timestamp: list[float]
    frame_scores: list[float]
    box: list[list[float]]
    tracks: tuple[FaceSequence, ...]

    @property
    def fake(self) -> bool:
        """The verdict at `metrics.THRESHOLD`."""
        return self.score >= metrics.THRESHOLD


def make_forward(model: Any, spec: ClipSpec) -> Callable:
    """Return the detector's function, including the model's crop.

    It maps (variables, frames uint8 [B,T,S,S,3], landmarks [B,T,81,2] in their pixels, timestamps [B,T] in seconds,
    valid bool [B,T]) to logits of P(fake): of the clips [B] and of their frames [B,T].
    """

    def crop(frames: jax.Array, landmarks: jax.Array, valid: jax.Array) -> Crop:
        return face_crop(frames, landmarks, size=spec.size, margin=spec.margin, valid=valid)

    def forward(
        variables: Any, frames: jax.Array, landmarks: jax.Array, timestamps: jax.Array, valid: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        crops = jax.vmap(crop)(frames.astype(np.float32) / 255.0, landmarks, valid)
        clip = models.Clip(crops.frames, landmarks=crops.landmarks, timestamps=timestamps, valid=valid)
        logit, out = model.apply(variables, clip)
        return logit, out["frame_logit"]

    return forward


class Detector:
    """A detector that `fakedetect export` wrote."""

    def __init__(self, spec: dict[str, Any], variables: Any) -> None:
        self.spec = spec
        self.clip = ClipSpec.parse(spec["clip"])
        self.mesh = parallel.make_mesh()
        forward = make_forward(models.create(spec["model"]["name"], **spec["model"]["options"]), self.clip)

        def placed(variables: Any, place: jax.Array, *inputs: jax.Array) -> tuple[jax.Array, ...]:
            return place, *forward(variables, *inputs)

        whole, split = parallel.replicated(self.mesh), parallel.split_by_example(self.mesh)
        self._variables = jax.device_put(variables, whole)
        self._forward = jax.jit(
            placed, in_shardings=(whole, split, *(split for _ in INPUTS)), out_shardings=(whole, whole, whole)
        )

    def score_batches(self, batches: Iterable[dict[str, np.ndarray]]) -> Iterator[ClipScores]:
        """Score batches; the next one is on its way to the device while one is computed.

        Args:
            batches: this process's rows of each batch, a multiple of its devices: `INPUTS` as `score` takes them, and
              `place` int32 [B], which identifies the clips in the scores.

        Yields:
            The scores of all processes' rows, on every process.

        Raises:
            DetectorError: a score is not finite.
        """
        waiting: list[tuple[jax.Array, ...]] = []
        for batch in batches:
            arrays = parallel.to_global({name: batch[name] for name in ("place", *INPUTS)}, self.mesh)
            waiting.append(self._forward(self._variables, *(arrays[name] for name in ("place", *INPUTS))))
            if len(waiting) > 1:
                yield self._scores(waiting.pop(0))
        for outputs in waiting:
            yield self._scores(outputs)

    def score(
        self,
        frames: UInt8[np.ndarray, "n t s s 3"],
        landmarks: Float[np.ndarray, "n t 81 2"],
        *,
        timestamps: Float[np.ndarray, "n t"] | None = None,
        valid: Bool[np.ndarray, "n t"] | None = None,
        batch_size: int = _BATCH_PER_DEVICE,
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, "n t"]]:
        """Score clips of stored face crops, as `faces.extract_faces` makes them.

        Args:
            frames: RGB; T and S as `clip.frames` and `clip.extraction.size` say.
            landmarks: in crop pixels.
            timestamps: in seconds; by default 25 frames a second. Only models with positions='timestamps' use them.
            valid: frames that count; by default all.
            batch_size: clips at once on each device.

        Returns:
            P(fake) of each clip and of each frame.

        Raises:
            FakedetectError: another number of frames, size or type.
            DetectorError: a score is not finite.

        Example:
            >>> detector = load_detector("runs/mine/detector")
            >>> (track, *_) = extract_faces("interview.mp4")
            >>> frames = np.stack([track.decode(place) for place in range(detector.clip.frames)])
            >>> scores, frame_scores = detector.score(frames[None], track.landmarks[None, : len(frames)])
            >>> scores.shape
            (1,)
        """
        self._check(frames)
        if timestamps is None:
            timestamps = np.broadcast_to(np.arange(frames.shape[1]) / FRAMES_PER_SECOND, frames.shape[:2])
        valid = np.ones(frames.shape[:2], bool) if valid is None else valid
        inputs = dict(zip(INPUTS, (frames, landmarks, timestamps.astype(np.float32), valid), strict=True))
        rows = batch_size * self.mesh.size

        def batches() -> Iterator[dict[str, np.ndarray]]:
            for start in range(0, len(frames), rows):
                # One shape, one compilation: the last batch is filled up with copies.
                places = np.minimum(np.arange(start, start + rows), len(frames) - 1)
                yield {"place": places.astype(np.int32)} | {name: of[places] for name, of in inputs.items()}

        clips, per_frame = np.empty(len(frames)), np.empty(frames.shape[:2])
        for scores in self.score_batches(batches()):
            clips[scores.place], per_frame[scores.place] = scores.clip, scores.frame
        return clips, per_frame

    def predict(self, video: str | Path, *, face_crops: bool = False) -> list[PersonVerdict]:
        """Find the people of a video and score each, the most important one first.

        Faces are cropped and clips chosen as in the detector's training data and in `evaluate`, over all of a person's
        tracks. Memory holds one batch of clips; the crops of the whole video are in a temporary file (about 20 kB a
        face and frame).

        Args:
            video: a video file, an image, or a folder of frames.
            face_crops: whether its pictures are face crops already, one face each.

        Returns:
            A verdict for each person; an empty list if no face was found.

        Raises:
            VideoError: not a video, or nothing of it can be decoded.
            DetectorError: a score is not finite.

        Example:
            >>> verdict, *others = load_detector("runs/mine/detector").predict("interview.mp4")
            >>> 0.0 <= verdict.score <= 1.0
            True
        """
        extraction = dataclasses.replace(self.clip.extraction, face_crops=face_crops)
        sequences = extract_faces(video, spool=Path(tempfile.gettempdir()), **vars(extraction))
        if not sequences:
            return []
        videos, tracks = from_sequences(sequences, extraction)
        clips = evaluation_clips(videos, self.clip)
        # A short video should not wait for a batch of copies.
        rows = self.mesh.size * min(_BATCH_PER_DEVICE, -(-len(clips) // self.mesh.size))
        batches = evaluation_batches(videos, self.clip, batch_size=rows)
        scored: list[list[tuple[Clip, float, np.ndarray]]] = [[] for _ in tracks]
        for scores in self.score_batches(batches):
            for place, score, frame_scores in zip(*scores, strict=True):
                if place >= 0:
                    person, clip = clips[place]
                    scored[person].append((clip, float(score), frame_scores))
        return [_verdict(*person) for person in zip(tracks, scored, strict=True)]

    def _scores(self, outputs: tuple[jax.Array, ...]) -> ClipScores:
        place, clip, frame = (np.asarray(part) for part in jax.device_get(outputs))
        if not (np.isfinite(clip).all() and np.isfinite(frame).all()):
            raise DetectorError(
                "a score of the detector is not a finite number: its weights are damaged, or its training had "
                "diverged; export it again from a sound checkpoint"
            )
        return ClipScores(place, metrics.probability(clip), metrics.probability(frame))

    def _check(self, frames: np.ndarray) -> None:
        extraction = self.clip.extraction
        wanted = (self.clip.frames, extraction.size, extraction.size, 3)
        if frames.ndim != 5 or frames.shape[1:] != wanted or frames.dtype != np.uint8 or not len(frames):
            raise FakedetectError(
                f"frames are {frames.dtype}{list(frames.shape)}; this detector takes uint8[n, {wanted[0]}, "
                f"{wanted[1]}, {wanted[2]}, 3], n > 0, crops as faces.extract_faces(size={extraction.size}, "
                f"margin={extraction.margin}) makes them"
            )


def _verdict(
    tracks: tuple[FaceSequence, ...], scored: list[tuple[Clip, float, Float64[np.ndarray, " t"]]]
) -> PersonVerdict:
    frames: dict[int, tuple[float, list[float], list[float]]] = {}
    for clip, _, scores in scored:
        track = tracks[clip.track]
        for place, score in zip(
            clip.positions[clip.valid].tolist(), scores[clip.valid].tolist(), strict=True
        ):
            about = (float(track.timestamp[place]), track.box[place].tolist(), [])
            frames.setdefault(int(track.frame_index[place]), about)[2].append(score)
    order = sorted(frames)
    clip_scores = [score for _, score, _ in scored]
    return PersonVerdict(
        person=tracks[0].person,
        score=float(np.mean(clip_scores)),
        clip_scores=clip_scores,
        frame_index=order,
        timestamp=[frames[index][0] for index in order],
        frame_scores=[float(np.mean(frames[index][2])) for index in order],
        box=[frames[index][1] for index in order],
        tracks=tracks,
    )


def load_detector(folder: PathLike) -> Detector:
    """Read a detector from the folder that `fakedetect export` wrote, on a disk or in a bucket.

    Raises:
        DetectorError: a file is missing, changed since it was written, of another format, or does not fit the model;
            names it.

    Example:
        >>> detector = load_detector("runs/mine/detector")
        >>> [verdict.person for verdict in detector.predict("interview.mp4")]
        [0]
    """
    folder = to_path(folder)
    spec = _read_spec(folder)
    try:
        check_digests(folder, required=DIGESTED)
        flat = load((folder / WEIGHTS).read_bytes())
    except (ChangedFile, SafetensorError) as error:
        raise DetectorError(f"{folder}: the detector is damaged: {error}; {_REMEDY}") from error
    _check_weights(folder, spec, flat)
    return Detector(spec, traverse_util.unflatten_dict(flat, sep="/"))


def _read_spec(folder: AnyPath) -> dict[str, Any]:
    path = folder / SPEC
    try:
        spec = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DetectorError(
            f"{folder} holds no detector: {SPEC} is missing; make one with `fakedetect export`"
        ) from error
    except (ValueError, RecursionError, IsADirectoryError) as error:
        raise DetectorError(f"{path}: cannot be read ({str(error)[:200]}); {_REMEDY}") from error
    # Before the digests: those of another version may be missing, or be of other files.
    found = spec.get("format") if isinstance(spec, dict) else spec
    if found != FORMAT:
        raise DetectorError(
            f"{path}: format {str(found)[:50]}, this version reads {FORMAT}; make the detector anew with "
            "`fakedetect export`, from a run of this version"
        )
    return spec


def _check_weights(folder: AnyPath, spec: dict[str, Any], flat: dict[str, np.ndarray]) -> None:
    try:
        model = models.create(spec["model"]["name"], **spec["model"]["options"])
        wanted = variable_shapes(model, ClipSpec.parse(spec["clip"]))
        _check_provenance(spec["trained"])
    except (FakedetectError, KeyError, TypeError, AttributeError) as error:
        raise DetectorError(
            f"{folder / SPEC}: a field is missing or wrong ({type(error).__name__}: {error}); make the detector "
            "anew with `fakedetect export`"
        ) from error
    found = {name: (array.shape, str(array.dtype)) for name, array in flat.items()}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise DetectorError(
            f"{folder / WEIGHTS}: {len(wrong)} weights do not fit the model of {SPEC}; the first is {name}: "
            f"{found.get(name, 'missing')} instead of {wanted.get(name, 'nothing')}"
        )


def _check_provenance(trained: dict[str, Any]) -> None:
    """Check what evaluation needs to know of the training: without its people, nobody would be refused."""
    for name, kind in (("people", list), ("config", dict), ("step", int)):
        if not isinstance(trained[name], kind):
            raise TypeError(f"trained.{name} is {trained[name]!r}")
    if not all(isinstance(person, str) for person in trained["people"]):
        raise TypeError("trained.people are not names")
    for name in ("name", "seed", "data", "input", "model"):
        trained["config"][name]


def variable_shapes(model: Any, spec: ClipSpec) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return the shape and dtype of every parameter and statistic by its path, without computing any."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(spec.frames, spec.size))
    flat: dict[str, Any] = traverse_util.flatten_dict(shapes, sep="/")
    return {name: (leaf.shape, str(leaf.dtype)) for name, leaf in flat.items()}
