"""An exported detector in use: arrays or a video in, P(fake) out."""

from __future__ import annotations

import dataclasses
import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64, Int32, UInt8

from fakedetect_jax import models, parallel
from fakedetect_jax.augment import Crop, face_crop
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.pipeline import Loading, Shard, evaluation_batches, evaluation_clips
from fakedetect_jax.data.videos import Videos, from_sequences
from fakedetect_jax.deployment.detector_folder import DetectorError, read_folder
from fakedetect_jax.deployment.evidence import change_of, why_not_judged
from fakedetect_jax.deployment.verdict import PersonVerdict, ScoredClip, VideoVerdict, person_verdict
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation import metrics
from fakedetect_jax.faces import Extraction, FrameChoice, extract_faces
from fakedetect_jax.faces.sequence import ExtractedFaces
from fakedetect_jax.files import PathLike, to_path
from fakedetect_jax.models.temporal.transformer import FRAMES_PER_SECOND

# The detector's inputs, in the order of its program's arguments after the weights.
INPUTS = ("frames", "landmarks", "timestamps", "valid")
_BATCH_PER_DEVICE = 8


class ClipScores(NamedTuple):
    """P(fake) of clips and of their frames.

    Attributes:
        place: The clips' numbers in the batches, -1 for padding.
        clip: P(fake) of each clip.
        frame: P(fake) of each frame.
        change: How far each clip departs from its first frame, for a detector that looks at motion alone (see
            `evidence.change_of`); 0 for others.
    """

    place: Int32[np.ndarray, " b"]
    clip: Float64[np.ndarray, " b"]
    frame: Float64[np.ndarray, "b t"]
    change: Float64[np.ndarray, " b"]


def make_forward(model: Any, spec: ClipSpec) -> Callable:
    """Return the detector's function, including the model's crop.

    It maps (variables, frames uint8 [B,T,S,S,3], landmarks [B,T,81,2] in their pixels, timestamps [B,T] in seconds,
    valid bool [B,T]) to logits of P(fake): of the clips [B] and of their frames [B,T].
    """

    def forward(variables: Any, *inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        logit, out = model.apply(variables, _cropped(spec, *inputs))
        return logit, out["frame_logit"]

    return forward


def _cropped(
    spec: ClipSpec, frames: jax.Array, landmarks: jax.Array, timestamps: jax.Array, valid: jax.Array
) -> models.Clip:
    def crop(frames: jax.Array, landmarks: jax.Array, valid: jax.Array) -> Crop:
        return face_crop(frames, landmarks, size=spec.size, margin=spec.margin, valid=valid)

    crops = jax.vmap(crop)(frames.astype(np.float32) / 255.0, landmarks, valid)
    return models.Clip(crops.frames, landmarks=crops.landmarks, timestamps=timestamps, valid=valid)


class Detector:
    """A detector that `fakedetect export` wrote."""

    def __init__(self, spec: dict[str, Any], variables: Any) -> None:
        self.spec = spec
        self.clip = ClipSpec.parse(spec["clip"])
        self.mesh = parallel.make_mesh()
        model: Any = models.create(spec["model"]["name"], **spec["model"]["options"])
        self._motion_only = models.is_motion_only(model)

        def placed(variables: Any, place: jax.Array, *inputs: jax.Array) -> tuple[Any, ...]:
            clip = _cropped(self.clip, *inputs)
            logit, out = model.apply(variables, clip)
            change = change_of(clip) if self._motion_only else jnp.zeros_like(logit)
            return place, logit, out["frame_logit"], change

        whole, split = parallel.replicated(self.mesh), parallel.split_by_example(self.mesh)
        self._variables = jax.device_put(variables, whole)
        self._forward = jax.jit(
            placed, in_shardings=(whole, split, *(split for _ in INPUTS)), out_shardings=(whole,) * 4
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

    def score_clips(
        self,
        videos: Videos,
        *,
        batch_size: int,
        shard: Shard = Shard(),  # noqa: B008 (frozen)
        loading: Loading = Loading(),  # noqa: B008 (frozen)
        progress: Callable[[int], object] = lambda count: None,
    ) -> list[ScoredClip]:
        """Score all clips of videos, and say which of them the detector cannot judge.

        Args:
            videos: The videos.
            batch_size: Clips at once over all devices, which must divide it.
            shard: This process's share of the loading.
            loading: How batches are prepared.
            progress: Is called with the number of clips that were scored, again and again.

        Returns:
            The `evaluation_clips` in their order, on every process.

        Raises:
            DetectorError: A score is not finite.
        """
        clips = evaluation_clips(videos, self.clip)
        score, change = np.empty(len(clips)), np.empty(len(clips))
        frame_scores = np.empty((len(clips), self.clip.frames))
        came = np.zeros(len(clips), bool)
        batches = evaluation_batches(videos, self.clip, batch_size=batch_size, shard=shard, loading=loading)
        for place, *scores in self.score_batches(batches):
            real = place >= 0
            at = place[real]
            score[at], frame_scores[at], change[at] = (values[real] for values in scores)
            came[at] = True
            progress(len(at))
        if not came.all():
            raise RuntimeError(f"{np.sum(~came)} of {len(clips)} clips came back without a score")
        reasons = [""] * len(clips)
        if self._motion_only:
            reasons = why_not_judged(clips, [video.times for video in videos.videos], change, self.clip)
        return [
            ScoredClip(number, clip, float(score[at]), frame_scores[at], reasons[at])
            for at, (number, clip) in enumerate(clips)
        ]

    def predict(
        self,
        video: str | Path,
        *,
        face_crops: bool = False,
        frames: FrameChoice | None = None,
        max_seconds: float | None = None,
    ) -> VideoVerdict:
        """Find the people of a video and score each, the most important one first.

        Faces are cropped and clips chosen as in the detector's training data and in `evaluate`, over all of a person's
        tracks. Memory holds one batch of clips; the crops of the whole video are in a temporary file (about 20 kB a
        face and frame).

        Args:
            video: a video file, an image, or a folder of frames.
            face_crops: whether its pictures are face crops already, one face each.
            frames: which frames to keep, instead of those that the detector's training data kept.
            max_seconds: look at so many seconds from the start; None for all.

        Returns:
            A verdict for each person; none if no face was found.

        Raises:
            VideoError: not a video, or nothing of it can be decoded.
            FakedetectError: no room for the temporary file.
            DetectorError: a score is not finite.

        Example:
            >>> verdict, *others = load_detector("runs/mine/detector").predict("interview.mp4")
            >>> 0.0 <= verdict.score <= 1.0
            True
        """
        extraction = dataclasses.replace(
            self.clip.extraction, face_crops=face_crops, frames=frames or self.clip.extraction.frames
        )
        spool = Path(tempfile.gettempdir())
        try:
            sequences = extract_faces(video, spool=spool, max_seconds=max_seconds, **vars(extraction))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise FakedetectError(
                f"{spool}: no room is left for the face crops of {video}; free some, or set TMPDIR to a folder that has"
                " more"
            ) from error
        return VideoVerdict(
            self._judge(sequences, extraction),
            frames=extraction.frames,
            max_seconds=max_seconds,
            decoded=sequences.decoded,
            damage=sequences.damage,
        )

    def _judge(self, sequences: ExtractedFaces, extraction: Extraction) -> list[PersonVerdict]:
        if not sequences:
            return []
        people, tracks = from_sequences(sequences, extraction)
        # A short video should not wait for a batch of copies.
        count = len(evaluation_clips(people, self.clip))
        rows = self.mesh.size * min(_BATCH_PER_DEVICE, -(-count // self.mesh.size))
        scored: list[list[ScoredClip]] = [[] for _ in tracks]
        for one in self.score_clips(people, batch_size=rows):
            scored[one.number].append(one)
        return [person_verdict(*person) for person in zip(tracks, scored, strict=True)]

    def _scores(self, outputs: tuple[jax.Array, ...]) -> ClipScores:
        place, clip, frame, change = (np.asarray(part) for part in jax.device_get(outputs))
        if not (np.isfinite(clip).all() and np.isfinite(frame).all()):
            raise DetectorError(
                "a score of the detector is not a finite number: its weights are damaged, or its training had "
                "diverged; export it again from a sound checkpoint"
            )
        return ClipScores(
            place, metrics.probability(clip), metrics.probability(frame), change.astype(np.float64)
        )

    def _check(self, frames: np.ndarray) -> None:
        extraction = self.clip.extraction
        wanted = (self.clip.frames, extraction.size, extraction.size, 3)
        if frames.ndim != 5 or frames.shape[1:] != wanted or frames.dtype != np.uint8 or not len(frames):
            raise FakedetectError(
                f"frames are {frames.dtype}{list(frames.shape)}; this detector takes uint8[n, {wanted[0]}, "
                f"{wanted[1]}, {wanted[2]}, 3], n > 0, crops as faces.extract_faces(size={extraction.size}, "
                f"margin={extraction.margin}) makes them"
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
    return Detector(*read_folder(to_path(folder)))
