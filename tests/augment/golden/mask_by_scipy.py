"""Independent float64 reference of the self-blended-images (SBI) blend mask: numpy and scipy.ndimage only.

Order: hull drawn -> affine -> elastic -> resize to canvas -> blur 1 -> / max -> below full = 0 -> blur 2 -> / max
-> resize back -> x ratio. Choices where the sources leave one:

* Pixel i has its centre at i and covers [i - 0.5, i + 0.5]; the hull is area coverage (published: binary fill with
  the outline included, about half a pixel wider on each side).
* Both warps are bilinear (published: nearest, as its mask is binary at the frame's own resolution; ours is a small
  window, where nearest would jump). ``order=0, supersample=1`` gives the literal binary variant.
* Affine and elastic are two successive resamplings, as published, not one composed lookup.
* ``face`` is the box (w, h) of landmarks 0-67 in window pixels; the loose crop is 2.0 w by 2.4 h, and it is this crop
  which the recipe stretches to ``canvas``. The whole window is resampled by the same factors, canvas / loose.
* "Full" is >= 1 - ``slack``: the exact meaning of published ``< 1`` (there float32: a noise near 1e-7). A larger
  slack erodes visibly less, because the corner taps of the first kernel are as small as 2e-6.
* An empty mask gives zeros (published: 0 / 0).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
LOOSE = (2.0, 2.4)  # loose crop over landmark box: 0.5 + 1 + 0.5 wide, 1.0 + 1 + 0.4 high


def convex_hull(points: Array) -> Array:
    """Corners of the convex hull of [n, 2] points, in one sense of rotation (monotone chain)."""
    ordered = sorted({(float(x), float(y)) for x, y in points})

    def chain(items: list[tuple[float, float]]) -> list[tuple[float, float]]:
        out: list[tuple[float, float]] = []
        for p in items:
            while len(out) >= 2:
                (ax, ay), (bx, by) = out[-2], out[-1]
                if (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax) > 0:
                    break
                out.pop()
            out.append(p)
        return out[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]))


def draw_hull(points: Array, size: int, supersample: int = 8) -> Array:
    """Share of every pixel inside the convex hull, by supersample x supersample point tests a pixel."""
    corners = convex_hull(points)
    at = (np.arange(size * supersample) + 0.5) / supersample - 0.5
    inside = np.ones((at.size, at.size), dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (bx - ax) * (at[:, None] - ay) - (by - ay) * (at[None, :] - ax) >= 0
    return inside.reshape(size, supersample, size, supersample).mean(axis=(1, 3))


def affine(
    mask: Array,
    scale: tuple[float, float],
    shift: tuple[float, float],
    centre: tuple[float, float],
    order: int = 1,
) -> Array:
    """Move the content p to centre + scale * (p - centre) + shift; zeros come in from outside."""
    rows, cols = np.indices(mask.shape, dtype=np.float64)
    x = centre[0] + (cols - centre[0] - shift[0]) / scale[0]
    y = centre[1] + (rows - centre[1] - shift[1]) / scale[1]
    return ndimage.map_coordinates(mask, [y, x], order=order, mode="constant", cval=0.0)


def elastic(mask: Array, dx: Array, dy: Array, order: int = 1) -> Array:
    """Pull: out(x, y) = mask(x + dx, y + dy), the border mirrored without repeating the edge pixel."""
    rows, cols = np.indices(mask.shape, dtype=np.float64)
    return ndimage.map_coordinates(mask, [rows + dy, cols + dx], order=order, mode="mirror")


def resize(mask: Array, width: int, height: int) -> Array:
    """Plain bilinear resize: pixel centres at half, edge pixels held, no prefilter when shrinking."""
    y = (np.arange(height) + 0.5) * mask.shape[0] / height - 0.5
    x = (np.arange(width) + 0.5) * mask.shape[1] / width - 0.5
    return ndimage.map_coordinates(mask, np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")


def automatic_sigma(kernel: int) -> float:
    """OpenCV's sigma for a kernel whose sigma is given as 0."""
    return 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8


def blur(mask: Array, kernel: int, sigma: float) -> Array:
    """Gaussian of exactly ``kernel`` taps (cut, then made to sum to one), the border mirrored (OpenCV's default)."""
    if kernel % 2 == 0:
        raise ValueError("an odd kernel is needed")
    taps = np.exp(-0.5 * ((np.arange(kernel) - kernel // 2) / sigma) ** 2)
    taps /= taps.sum()
    return ndimage.correlate1d(
        ndimage.correlate1d(mask, taps, axis=0, mode="mirror"), taps, axis=1, mode="mirror"
    )


def soften(
    mask: Array, erode_kernel: int, blur_kernel: int, blur_sigma: float, slack: float = 1e-12
) -> Array:
    """Blur, keep only what is still full (all the rest to nought, not to itself), blur again; both over their maximum.

    Where the first blur's maximum is one, its sigma does not matter: a pixel stays full only if the whole
    ``erode_kernel`` square around it is full, so the step is a flat square erosion by (kernel - 1) / 2 canvas pixels.
    """
    first = blur(mask, erode_kernel, automatic_sigma(erode_kernel))
    if first.max() <= 0:
        return np.zeros_like(mask)
    first = first / first.max()
    kept = np.where(first >= 1 - slack, first, 0.0)
    second = blur(kept, blur_kernel, blur_sigma)
    return second / second.max()


def canvas_size(size: int, canvas: tuple[int, int], face: tuple[float, float]) -> tuple[int, int]:
    """Width and height to which the whole window is resized so that the loose crop in it becomes ``canvas``."""
    width, height = (round(size * c / (f * by)) for c, f, by in zip(canvas, face, LOOSE, strict=True))
    return width, height


def blend_mask(
    hull: Array,
    size: int,
    *,
    displacement: tuple[Array, Array] | None,
    scale: tuple[float, float],
    shift: tuple[float, float],
    centre: tuple[float, float],
    erode_kernel: int,
    blur_kernel: int,
    blur_sigma: float,
    ratio: float,
    canvas: tuple[int, int] | None,
    face: tuple[float, float],
    order: int = 1,
    supersample: int = 8,
    slack: float = 1e-12,
) -> Array:
    """The blend mask [size, size] in [0, ratio]; see the module's docstring. ``canvas=None``: soften in the window."""
    mask = affine(draw_hull(hull, size, supersample), scale, shift, centre, order)
    if displacement is not None:
        mask = elastic(mask, *displacement, order=order)
    if canvas is None:
        return ratio * soften(mask, erode_kernel, blur_kernel, blur_sigma, slack)
    large = resize(mask, *canvas_size(size, canvas, face))
    return ratio * resize(soften(large, erode_kernel, blur_kernel, blur_sigma, slack), size, size)


def field_from_knots(knots: Array, size: int, step: int = 4) -> Array:
    """Displacement [size, size] by bilinear interpolation of knots; knot (i, j) lies at pixel (step i, step j)."""
    at = np.arange(size) / step
    return ndimage.map_coordinates(np.asarray(knots, np.float64), np.meshgrid(at, at, indexing="ij"), order=1)
