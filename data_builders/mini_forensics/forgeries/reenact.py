"""Reenactment: the target's own face, warped to the mouth and eye motion of somebody else."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Complex128, Float, Float32, UInt8

from fakedetect_jax.data_builders.mini_forensics.footage import smooth_noise
from fakedetect_jax.data_builders.mini_forensics.forgeries import expression
from fakedetect_jax.data_builders.mini_forensics.forgeries.face_shape import (
    OVAL,
    eye_distance,
    face_window,
    feather,
    polygon_mask,
    similarity,
)

# The face is warped in an upright square of this many pixels, because reenactment renders at a fixed resolution.
_SIZE = 160
_UNIT = 0.30  # eye distance there, as a share of the side
_GRID = 5
_DONOR_SHARE = 0.6
_TALK = 0.14
_CONTROLS = expression.control_points(OVAL)
_FRAME_RATE = 15.0


def reenact(
    target_frames: UInt8[np.ndarray, "t h w 3"],
    target_landmarks: Float[np.ndarray, "t 468 2"],
    donor_frames: UInt8[np.ndarray, "s h2 w2 3"],
    donor_landmarks: Float[np.ndarray, "s 468 2"],
    *,
    seed: int,
) -> UInt8[np.ndarray, "t h w 3"]:
    """Give the target the donor's mouth and eye opening, and talk over it; only those regions are replaced.

    This is expression transfer after Face2Face (Thies et al., CVPR 2016), done in the image: moving least squares of
    the landmarks (Schaefer, McPhail, Warren, "Image deformation using moving least squares", SIGGRAPH 2006, similarity
    form), a synthesised mouth cavity where closed lips part, and a feathered blend. The warp goes through an aligned
    square of 160 px and back, which softens the region. The donor gives motion, no pixels.

    Args:
        target_frames: The frames to forge, BGR.
        target_landmarks: Their landmarks in pixels.
        donor_frames: Not used.
        donor_landmarks: The donor's landmarks in pixels, played in a loop from a frame that the seed chooses.
        seed: Decides where the donor's clip begins, and how the target talks.

    Returns:
        The forged frames, BGR.
    """
    del donor_frames
    drop, widen, eyes = _motion(target_landmarks, donor_landmarks, np.random.default_rng(seed))
    own = expression.measure(target_landmarks)
    frames = []
    for t, (frame, points) in enumerate(zip(target_frames, target_landmarks, strict=True)):
        window = face_window(points, frame.shape[:2])
        patch, points = frame[window], points - [window[1].start, window[0].start]
        onto = _upright(points)
        level = points @ onto[:, :2].T + onto[:, 2]
        face = cv2.warpAffine(patch, onto, (_SIZE, _SIZE), borderMode=cv2.BORDER_REPLICATE)
        moved = expression.pose(level, mouth_drop=drop[t], mouth_widen=widen[t], eye_scale=eyes[t])
        warped = _deform(face, level[_CONTROLS], moved[_CONTROLS]).astype(np.float32)
        parted = np.clip((drop[t] - 0.02) / 0.06, 0, 1) * np.clip(1 - (own.mouth_open[t] - 0.03) / 0.06, 0, 1)
        warped = _fill_mouth(warped, moved, float(parted))
        out = frame.copy()
        out[window] = _paste(patch, warped, _regions(level, moved), onto)
        frames.append(out)
    return np.stack(frames)


def _motion(
    target: Float[np.ndarray, "t 468 2"], donor: Float[np.ndarray, "s 468 2"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Return mouth drop, corner shift (both in eye distances) and lid factor per frame: the donor's, plus a babble."""
    count = len(target)
    own, other = expression.measure(target), expression.measure(donor)
    played = (int(rng.integers(len(donor))) + np.arange(count)) % len(donor)
    seconds = np.arange(count) / _FRAME_RATE
    talk = _TALK * np.clip(0.5 + 1.2 * smooth_noise(rng, seconds, fastest=2.5), 0, 1)
    goal = (1 - _DONOR_SHARE) * own.mouth_open + _DONOR_SHARE * other.mouth_open[played] + talk
    drop = np.clip(goal, 0.01, 0.3) - own.mouth_open
    widen = 0.3 * (other.mouth_width[played] - own.mouth_width) + 0.05 * smooth_noise(
        rng, seconds, fastest=1.5
    )
    eyes = (1 - _DONOR_SHARE) + _DONOR_SHARE * other.eyes_open[played] / np.maximum(own.eyes_open, 0.02)
    return drop, np.clip(widen, -0.1, 0.1), np.clip(eyes, 0.55, 1.3)


def _upright(points: Float[np.ndarray, "468 2"]) -> Float[np.ndarray, "2 3"]:
    """Return the affine from the frame to the square, where the eyes are level and the face is centred."""
    eyes = np.stack([points[[33, 133]].mean(axis=0), points[[362, 263]].mean(axis=0)])
    left, right, height = (0.5 - _UNIT / 2) * _SIZE, (0.5 + _UNIT / 2) * _SIZE, 0.36 * _SIZE
    return similarity(eyes, np.array([[left, height], [right, height]]))


def _deform(
    face: UInt8[np.ndarray, "s s 3"],
    before: Float[np.ndarray, "n 2"],
    after: Float[np.ndarray, "n 2"],
) -> UInt8[np.ndarray, "s s 3"]:
    """Warp by moving least squares from the wanted positions back to the given ones, on a grid, then bilinearly."""
    p, q = _complex(after), _complex(before)
    ticks = np.arange(0, _SIZE + _GRID, _GRID)
    v = (ticks[None, :] + 1j * ticks[:, None]).reshape(-1, 1)
    weight = 1 / (np.abs(p - v) ** 2 + 1) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    p_mean, q_mean = weight @ p, weight @ q
    p_hat, q_hat = p - p_mean[:, None], q - q_mean[:, None]
    turn = (weight * p_hat.conj() * q_hat).sum(axis=1) / (weight * np.abs(p_hat) ** 2).sum(axis=1)
    back = ((v[:, 0] - p_mean) * turn + q_mean).reshape(len(ticks), len(ticks))
    # Grid node k is at pixel k * _GRID; an affine map enlarges the grid without resize's half-pixel shift.
    enlarge = np.array([[_GRID, 0, 0], [0, _GRID, 0]], np.float64)
    coarse = np.stack([back.real, back.imag], axis=2).astype(np.float32)
    where = cv2.warpAffine(coarse, enlarge, (_SIZE, _SIZE), flags=cv2.INTER_LINEAR)
    return cv2.remap(face, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _complex(points: Float[np.ndarray, "n 2"]) -> Complex128[np.ndarray, " n"]:
    return points[:, 0] + 1j * points[:, 1]


def _fill_mouth(
    face: Float32[np.ndarray, "s s 3"], points: Float[np.ndarray, "468 2"], amount: float
) -> Float32[np.ndarray, "s s 3"]:
    """Paint a cavity and the edge of the upper teeth between the inner lips; `amount` is in [0, 1]."""
    if amount == 0:
        return face
    lips = points[expression.INNER_LIPS]
    opening = feather(polygon_mask(lips, (_SIZE, _SIZE)), 0.8)
    skin = face[polygon_mask(points[OVAL], (_SIZE, _SIZE)) > 0.5].mean(axis=0)
    depth = (np.arange(_SIZE) - lips[:, 1].min()) / max(float(np.ptp(lips[:, 1])), 1.0)
    middle, half = lips[:, 0].mean(), np.ptp(lips[:, 0]) / 2
    across = np.abs(np.arange(_SIZE) - middle) / half
    # Teeth hang from the upper lip and fade towards the corners; the tongue lightens the floor a little.
    teeth = np.clip(1.5 - 4 * depth, 0, 1)[:, None] * np.clip(1.6 - 2 * across, 0, 1)[None, :]
    floor = np.clip(depth - 0.4, 0, 0.6)[:, None, None]
    cavity = skin * np.array([0.18, 0.15, 0.28]) + floor * skin * np.array([0.25, 0.2, 0.35])
    enamel = np.clip(skin.mean() * np.array([1.02, 1.08, 1.12]), 0, 225)
    inside = cavity + 0.75 * teeth[..., None] * (enamel - cavity)
    alpha = amount * opening[..., None]
    return (alpha * inside + (1 - alpha) * face).astype(np.float32)


def _regions(
    before: Float[np.ndarray, "468 2"], after: Float[np.ndarray, "468 2"]
) -> Float32[np.ndarray, "s s"]:
    """Return a soft mask over mouth, chin and eyes, both before and after the motion."""
    unit = eye_distance(before)
    mask = np.zeros((_SIZE, _SIZE), np.float32)
    eyes = (np.array([33, 246, 159, 173, 133, 145, 105]), np.array([263, 466, 386, 398, 362, 374, 334]))
    for group, widen in (
        (np.concatenate([expression.OUTER_LIPS, [200, 2]]), 1.3),
        (eyes[0], 1.25),
        (eyes[1], 1.25),
    ):
        both = np.concatenate([before[group], after[group]])
        centre = both.mean(axis=0)
        mask = np.maximum(mask, polygon_mask(centre + widen * (both - centre), mask.shape))
    inner = cv2.erode(polygon_mask(before[OVAL], mask.shape), np.ones((7, 7)), borderValue=0)
    return feather(np.minimum(mask, inner), 0.09 * unit)


def _paste(
    frame: UInt8[np.ndarray, "h w 3"],
    face: Float32[np.ndarray, "s s 3"],
    mask: Float32[np.ndarray, "s s"],
    onto: Float[np.ndarray, "2 3"],
) -> UInt8[np.ndarray, "h w 3"]:
    size = frame.shape[1::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    back = cv2.warpAffine(face, onto, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(mask, onto, size, flags=flags)[..., None]
    return np.rint(alpha * back + (1 - alpha) * frame).astype(np.uint8)
