"""Colour transfer between two faces: Reinhard et al., "Color transfer between images", 2001, in CIE Lab."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

_MEMORY = 0.8
# Limits of the contrast gain; without them, a flat face is amplified to noise.
_WEAKEST, _STRONGEST = 0.5, 1.4


class Statistics(NamedTuple):
    """Mean and standard deviation of L, a, b of the target and of the donor."""

    target_mean: Float32[np.ndarray, " 3"]
    donor_mean: Float32[np.ndarray, " 3"]
    target_std: Float32[np.ndarray, " 3"]
    donor_std: Float32[np.ndarray, " 3"]


def statistics(
    target: UInt8[np.ndarray, "h w 3"], donor: UInt8[np.ndarray, "h w 3"], mask: Float32[np.ndarray, "h w"]
) -> Statistics:
    """Measure two aligned BGR images where the mask is above one half."""
    inside = (mask > 0.5).astype(np.uint8)
    moments = [cv2.meanStdDev(_lab(image), mask=inside) for image in (target, donor)]
    (target_mean, target_std), (donor_mean, donor_std) = (
        (mean[:, 0].astype(np.float32), std[:, 0].astype(np.float32)) for mean, std in moments
    )
    return Statistics(target_mean, donor_mean, target_std, donor_std)


def blend(before: Statistics, now: Statistics) -> Statistics:
    """Move slowly from the statistics of earlier frames to those of this one; otherwise the face flickers."""
    return Statistics(*(_MEMORY * old + (1 - _MEMORY) * new for old, new in zip(before, now, strict=True)))


def transfer(donor: UInt8[np.ndarray, "h w 3"], measured: Statistics) -> Float32[np.ndarray, "h w 3"]:
    """Give a BGR image the target's mean and spread in every Lab channel; values in [0, 255]."""
    gain = np.clip(measured.target_std / np.maximum(measured.donor_std, 1e-3), _WEAKEST, _STRONGEST)
    lab = (_lab(donor) - measured.donor_mean) * gain + measured.target_mean
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_Lab2BGR) * 255, 0, 255)


def _lab(image: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "h w 3"]:
    return cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
