"""Draws a dozen SBI masks within the recipe's ranges into golden.npz: python -m tests.augment.golden.make."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from tests.augment.golden import mask_by_scipy as ref

SIZE, STEP, COUNT = 128, 4, 12
HERE = Path(__file__).parent


def landmarks(rng: np.random.Generator) -> ref.Array:
    """81 points: jaw (17, lower half ellipse), 51 inside, forehead (13, upper half ellipse)."""
    half = 0.5 * 0.60 * SIZE * rng.uniform(0.92, 1.05)
    low, high = half * rng.uniform(1.25, 1.40), half * rng.uniform(1.0, 1.15)
    x, y = SIZE / 2 + rng.uniform(-3, 3, 2)
    y += 0.5 * (high - low) - 0.5
    jaw = np.linspace(np.pi, 0, 17)
    top = np.linspace(np.pi, 2 * np.pi, 15)[1:-1]
    brow = np.linspace(-0.75, 0.75, 10)
    radius, angle = np.sqrt(rng.uniform(0, 0.5, 41)), rng.uniform(0, 2 * np.pi, 41)
    parts = [
        np.stack([half * np.cos(jaw), low * np.sin(jaw)], 1),
        np.stack([half * brow, -0.45 * high - 4 * np.cos(np.pi * brow)], 1),
        np.stack([0.8 * half * radius * np.cos(angle), 0.1 * low + 0.5 * low * radius * np.sin(angle)], 1),
        np.stack([half * np.cos(top), high * np.sin(top)], 1),
    ]
    return np.concatenate(parts) + np.array([x, y])


def edges(mask: ref.Array, row: int) -> tuple[float, float]:
    """Width in pixels from 10 % to 90 % of the row's peak at the left and the right edge (linear between pixels)."""

    def width(line: ref.Array) -> float:
        marks = []
        for level in (0.1, 0.9):
            i = int(np.argmax(line >= level))
            marks.append(float(i) if i == 0 else i - (line[i] - level) / (line[i] - line[i - 1]))
        return marks[1] - marks[0]

    line = mask[row] / mask[row].max()
    return width(line), width(line[::-1])


def main() -> None:
    rng = np.random.default_rng(0)
    ratios = [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    rows: dict[str, list] = {}
    for index in range(COUNT):
        points = landmarks(rng)
        use = 68 if index % 4 == 3 else 81  # published: 68 with probability 0.25
        box0, box1 = points[:68].min(0), points[:68].max(0)
        face = box1 - box0
        loose0, loose1 = box0 - face * [0.5, 1.0], box1 + face * [0.5, 0.4]
        noise = rng.uniform(-1, 1, (2, SIZE + 1, SIZE + 1))
        knots = np.stack([50 * ndimage.gaussian_filter(n, 7) for n in noise])[:, ::STEP, ::STEP].astype(
            np.float16
        )
        scale = rng.uniform(0.95, 1 / 0.95, 2)
        shift = rng.uniform(-1, 1, 2) * [0.03, 0.015] * (loose1 - loose0)
        canvas = rng.integers(192, 257, 2)
        kernels = 2 * rng.integers(2, 13, 2) + 1
        if index in (4, 5):  # the ends of the range
            kernels = np.array([(25, 5), (5, 25)][index - 4])
        sigma, ratio = int(rng.integers(5, 46)), ratios[int(rng.integers(6))]
        has_field, has_canvas = index != 0, index != 1
        if not has_field:
            knots = np.zeros_like(knots)
        fields = [ref.field_from_knots(k, SIZE, STEP) for k in knots]
        call = {
            "displacement": tuple(fields) if has_field else None,
            "scale": tuple(scale),
            "shift": tuple(shift),
            "centre": tuple((loose0 + loose1) / 2),
            "erode_kernel": int(kernels[0]),
            "blur_kernel": int(kernels[1]),
            "blur_sigma": float(sigma),
            "ratio": ratio,
            "canvas": tuple(int(c) for c in canvas) if has_canvas else None,
            "face": tuple(face),
        }
        mask = ref.blend_mask(points[:use], SIZE, **call)
        literal = ref.blend_mask(points[:use], SIZE, **call, order=0, supersample=1)
        lenient = ref.blend_mask(points[:use], SIZE, **call, slack=1e-6)  # what a float32 chain can ask for
        hull = points[:use]
        middle = (hull.min(0) + hull.max(0)) / 2
        row = round(float(middle[1]))
        left, right = edges(mask, row)
        for key, value in {
            "points": points,
            "use": use,
            "face": face,
            "loose": loose1 - loose0,
            "centre": call["centre"],
            "scale": scale,
            "shift": shift,
            "knots": knots,
            "has_field": has_field,
            "canvas": canvas,
            "has_canvas": has_canvas,
            "erode_kernel": kernels[0],
            "blur_kernel": kernels[1],
            "blur_sigma": float(sigma),
            "ratio": ratio,
            "mask": np.round(255 * mask).astype(np.uint8),
            "mask_slack_1e6": np.round(255 * lenient).astype(np.uint8),
            # half of the peak as well: share > 0.5 is nought where the ratio is 0.5 or below
            "coverage": np.mean(mask > 0.5),
            "coverage_half_ratio": np.mean(mask > 0.5 * ratio),
            "coverage_half_ratio_literal": np.mean(literal > 0.5 * ratio),
            "hull_area": ref.draw_hull(hull, SIZE).mean(),
            "edge_row": row,
            "edge_left": left,
            "edge_right": right,
            "total": mask.mean(),
            "window_canvas": ref.canvas_size(SIZE, call["canvas"], call["face"])
            if has_canvas
            else (SIZE, SIZE),
        }.items():
            rows.setdefault(key, []).append(value)
    arrays = {key: np.array(value) for key, value in rows.items()}
    assert all(a.dtype != object for a in arrays.values())
    np.savez_compressed(HERE / "golden.npz", size=SIZE, knot_step=STEP, **arrays)


if __name__ == "__main__":
    main()
