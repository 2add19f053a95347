"""The vendored footage: the plan of all clips (`plan`) and their pixels before any forgery (`read`).

A video segment is decoded as it is. A photograph becomes a clip through a simulated hand-held camera: a smooth path of
translation, rotation and zoom, exposure drift and sensor noise, all drawn from the shot's name and the seed. A fake
starts from exactly the frames of its real counterpart, so camera, noise and background are the same under both labels.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fakedetect_jax.data.schema import REAL
from fakedetect_jax.data_builders.engine.splits import SPLITS, TEST, TRAIN, VALIDATION
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces.video import VideoError, open_video

ASSETS = Path(__file__).parent / "assets"
METHODS = ("mesh_swap", "poisson_swap", "reenact")

PHOTO_FRAMES = 24
PHOTO_FPS = 15.0
_WINDOW = 0.86  # share of the photograph that one frame shows; the camera moves in the rest
_GRAIN_MARGIN = 64
_REUSE_COST = 0.25  # in units of yaw, for every earlier use of a donor
_FAKE_EVERY = {TRAIN: 3, VALIDATION: 1, TEST: 1}  # each method forges every n-th real clip


@dataclass(frozen=True)
class Shot:
    """One real clip.

    Attributes:
        asset: A file name in ASSETS.
        take: Which of a photograph's camera motions.
        mirrored: Whether left and right are exchanged, so that a donor looks the target's way.
    """

    asset: str
    take: int
    mirrored: bool = False

    @property
    def is_photograph(self) -> bool:
        """Whether only the camera moves."""
        return Path(self.asset).suffix != ".mp4"


@dataclass(frozen=True)
class ClipPlan:
    """Everything that decides the pixels of one rendered clip.

    Attributes:
        video_id: The clip's name.
        split: 'train', 'validation' or 'test'.
        method: 'real' or one of METHODS.
        label: 1 for a fake, 0 for a real clip.
        identity: Who is seen.
        source_identity: Whose face or expression was put in; '' for a real clip.
        target: The shot of `identity`.
        donor: The shot of `source_identity`; None for a real clip.
        seed: The seed of the camera and of the forgery.
    """

    video_id: str
    split: str
    method: str
    label: int
    identity: str
    source_identity: str
    target: Shot
    donor: Shot | None
    seed: int


class Footage(NamedTuple):
    """The frames of one clip, BGR, and their number per second."""

    frames: UInt8[np.ndarray, "t h w 3"]
    fps: float


class _Take(NamedTuple):
    identity: str
    video_id: str
    shot: Shot
    yaw: float
    forged: bool


def manifest() -> list[dict[str, Any]]:
    """Return what manifest.json says about each vendored file.

    It gives file, identity, split, takes, licence, origin, yaw (in [-1, 1], positive towards image right), and
    `forged: false` for people who are neither target nor donor of a fake.
    """
    return json.loads((ASSETS / "manifest.json").read_text())


def plan(seed: int = 0) -> list[ClipPlan]:
    """Return all clips, the reals first within each split; the seed moves the cameras and assigns the donors.

    Donors come from the target's own split. Those who look the same way and were used less often are preferred.
    """
    clips = []
    for split in SPLITS:
        takes = _takes(split)
        clips += [
            ClipPlan(take.video_id, split, REAL, 0, take.identity, "", take.shot, None, seed)
            for take in takes
        ]
        for method in METHODS:
            clips += _fakes(split, method, takes, seed)
    return clips


def read(shot: Shot, *, seed: int = 0, count: int | None = None) -> Footage:
    """Return the pixels of a shot: a decoded segment, or a photograph seen by a moving camera; `count` frames or all.

    Raises:
        FakedetectError: The asset is missing or cannot be decoded.
    """
    path = ASSETS / shot.asset
    if not shot.is_photograph:
        clip = _decode(path)
    else:
        photograph = cv2.imread(str(path))
        if photograph is None:
            raise FakedetectError(f"{path} cannot be read: restore it from version control")
        rng = rng_for("camera", shot.asset, shot.take, seed)
        clip = Footage(_hand_held(photograph, rng, count or PHOTO_FRAMES), PHOTO_FPS)
    frames = clip.frames[:count, :, ::-1] if shot.mirrored else clip.frames[:count]
    return Footage(np.ascontiguousarray(frames), clip.fps)


def rng_for(*names: object) -> np.random.Generator:
    """Return a generator that depends on the names alone, not on the process or on the order of calls."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def smooth_noise(
    rng: np.random.Generator, seconds: Float[np.ndarray, " t"], fastest: float = 0.9
) -> Float[np.ndarray, " t"]:
    """Return the sum of three random sinusoids of at most `fastest` Hz, in [-1, 1]: a band-limited path without jumps.

    Args:
        rng: The source of frequencies, phases and weights.
        seconds: The times at which the path is evaluated.
        fastest: The highest frequency in Hz.
    """
    frequency = rng.uniform(0.15, fastest, 3)
    phase = rng.uniform(0, 2 * np.pi, 3)
    weight = rng.dirichlet(np.ones(3))
    return (weight * np.sin(2 * np.pi * frequency * seconds[:, None] + phase)).sum(axis=1)


def _takes(split: str) -> list[_Take]:
    counts: Counter[str] = Counter()
    takes = []
    for row in manifest():
        if row["split"] != split:
            continue
        for number in range(row["takes"]):
            identity = row["identity"]
            video_id = f"{split}_{identity}_{counts[identity]}"
            shot = Shot(row["file"], number)
            takes.append(_Take(identity, video_id, shot, row["yaw"], row.get("forged", True)))
            counts[identity] += 1
    return takes


def _fakes(split: str, method: str, takes: list[_Take], seed: int) -> list[ClipPlan]:
    rng = rng_for("donors", split, method, seed)
    used: Counter[str] = Counter()
    clips = []
    takes = [take for take in takes if take.forged]
    for target in takes[METHODS.index(method) % _FAKE_EVERY[split] :: _FAKE_EVERY[split]]:
        others = [take for take in takes if take.identity != target.identity]
        cost = [
            abs(abs(take.yaw) - abs(target.yaw)) + _REUSE_COST * used[take.identity] + rng.uniform(0, 0.2)
            for take in others
        ]
        donor = others[int(np.argmin(cost))]
        used[donor.identity] += 1
        shot = replace(donor.shot, mirrored=donor.yaw * target.yaw < 0)
        video_id = f"{target.video_id}__{method}__{donor.identity}"
        clips.append(
            ClipPlan(video_id, split, method, 1, target.identity, donor.identity, target.shot, shot, seed)
        )
    return clips


def _decode(path: Path) -> Footage:
    try:
        video = open_video(path)
        return Footage(np.stack([frame.image for frame in video.frames]), video.fps)
    except VideoError as error:
        raise FakedetectError(f"{path} cannot be decoded: restore it from version control") from error


def _hand_held(
    photograph: UInt8[np.ndarray, "h w 3"], rng: np.random.Generator, count: int
) -> UInt8[np.ndarray, "t h2 w2 3"]:
    full = np.array(photograph.shape[1::-1])
    width, height = (int(side * _WINDOW) // 8 * 8 for side in full)
    seconds = np.arange(PHOTO_FRAMES) / PHOTO_FPS
    shift = np.stack([smooth_noise(rng, seconds), smooth_noise(rng, seconds)], axis=1) * 0.035 * full
    degrees = rng.uniform(-1.5, 1.5) + smooth_noise(rng, seconds) * 1.5
    zoom = rng.uniform(1.0, 1.08) * (1 + 0.015 * smooth_noise(rng, seconds))
    exposure = rng.uniform(0.92, 1.08) * (1 + 0.02 * smooth_noise(rng, seconds))
    white_balance = rng.uniform(0.97, 1.03, 3)
    gamma = rng.uniform(0.9, 1.1)
    tone = 255 * np.linspace(0, 1, 256) ** gamma
    noise_level = np.float32(rng.uniform(1.0, 2.2))
    # Each frame sees one sheet of grain through another window: as good as new noise, and much faster.
    grain = rng.standard_normal((height + _GRAIN_MARGIN, width + _GRAIN_MARGIN, 3), np.float32)
    frames = []
    for i in range(count):
        camera = cv2.getRotationMatrix2D(tuple((full - 1) / 2 + shift[i]), degrees[i], zoom[i])
        camera[:, 2] += (np.array([width, height]) - full) / 2 - shift[i]
        view = cv2.warpAffine(
            photograph, camera, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
        )
        light = (tone[:, None] * (exposure[i] * white_balance)).astype(np.float32)
        # Shot noise grows with the light, read noise does not.
        spread = noise_level * np.sqrt(0.3 + 0.7 * light / 128)
        row, column = rng.integers(_GRAIN_MARGIN, size=2)
        noise = grain[row : row + height, column : column + width]
        noisy = cv2.LUT(view, light[:, None]) + cv2.LUT(view, spread[:, None]) * noise
        frames.append(cv2.convertScaleAbs(np.maximum(noisy, 0)))
    return np.stack(frames)
