"""Gradient-domain face swap: the donor's gradients, solved to meet the target's colours at the seam."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fakedetect_jax.data_builders.mini_forensics.forgeries import colour
from fakedetect_jax.data_builders.mini_forensics.forgeries.face_shape import (
    face_window,
    inner_face_mask,
    similarity,
)

_INSET = 0.14  # eye distances between the face oval and the seam


def poisson_swap(
    target_frames: UInt8[np.ndarray, "t h w 3"],
    target_landmarks: Float[np.ndarray, "t 468 2"],
    donor_frames: UInt8[np.ndarray, "s h2 w2 3"],
    donor_landmarks: Float[np.ndarray, "s 468 2"],
    *,
    seed: int,
) -> UInt8[np.ndarray, "t h w 3"]:
    """Align the donor's face to the target's by a similarity and clone it with Poisson's equation.

    The method is Pérez, Gangnet, Blake, "Poisson image editing", SIGGRAPH 2003 (OpenCV's seamlessClone, importing
    gradients). The donor's contrast is first matched to the target's; otherwise a harshly lit donor burns out a dark
    target. Shape and expression stay the donor's.

    Args:
        target_frames: The frames to forge, BGR.
        target_landmarks: Their landmarks in pixels.
        donor_frames: The donor's clip, BGR, played in a loop from a frame that the seed chooses.
        donor_landmarks: Its landmarks in pixels.
        seed: Decides where the donor's clip begins.

    Returns:
        The forged frames, BGR.
    """
    start = int(np.random.default_rng(seed).integers(len(donor_frames)))
    statistics = None
    frames = []
    for t, (frame, points) in enumerate(zip(target_frames, target_landmarks, strict=True)):
        s = (start + t) % len(donor_frames)
        window = face_window(points, frame.shape[:2])
        patch, points = frame[window], points - [window[1].start, window[0].start]
        size = patch.shape[:2]
        onto = similarity(donor_landmarks[s], points)
        moved = donor_landmarks[s] @ onto[:, :2].T + onto[:, 2]
        aligned = cv2.warpAffine(
            donor_frames[s], onto, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        mask = np.minimum(
            inner_face_mask(points, size, inset=_INSET), inner_face_mask(moved, size, inset=_INSET)
        )
        now = colour.statistics(patch, aligned, mask)
        statistics = now if statistics is None else colour.blend(statistics, now)
        coloured = np.rint(colour.transfer(aligned, statistics)).astype(np.uint8)
        out = frame.copy()
        out[window] = _clone(coloured, patch, (mask > 0.5).astype(np.uint8) * 255)
        frames.append(out)
    return np.stack(frames)


def _clone(
    source: UInt8[np.ndarray, "h w 3"], frame: UInt8[np.ndarray, "h w 3"], mask: UInt8[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Clone by seamlessClone with the masked region left in its place."""
    # seamlessClone needs a ring of free pixels around the mask.
    mask[:2], mask[-2:], mask[:, :2], mask[:, -2:] = 0, 0, 0, 0
    x, y, w, h = cv2.boundingRect(mask)
    centre = (x + w // 2, y + h // 2)
    return cv2.seamlessClone(source, frame, mask, centre, cv2.NORMAL_CLONE)
