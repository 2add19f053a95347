"""The judge: self-blending as it is described, in NumPy and OpenCV at the resolution of the stored frame.

It was written from the description of the recipe alone and shares no code with the package. It handles one frame at a
time and one parameter after another, in the order in which the released code applies them. It is written to be right
and not to be fast, although it uses OpenCV's 8-bit paths and look-up tables as such pipelines do.
"""

from dataclasses import dataclass

import cv2
import numpy as np

# Landmarks of each polygon of the mask families: 0-67 in iBUG order, 68-80 the forehead.
_NOSE_CHIN = [27, *range(31, 36), 8]
_COMPONENTS = [
    [*range(9), 17],
    [*range(8, 17), 26],
    [17, 18, 19, 8],
    [24, 25, 26, 8],
    [*range(19, 25), 8],
    [*range(17, 22), *_NOSE_CHIN],
    [*range(22, 27), *_NOSE_CHIN],
    [*range(27, 36)],
]
POLYGONS = {
    "face": [[*range(81)]],
    "no_forehead": [[*range(68)]],
    "three_part": [
        [*range(17), *range(48, 68)],
        [27, 28, 29, 30, 33],
        [*range(17, 28), 0, 16, 33],
    ],
    "components": _COMPONENTS,
    "extended": _COMPONENTS,
}
# Pairs of left and right points, which a mirrored face exchanges.
_PAIRS = [
    *zip(range(8), range(16, 8, -1), strict=True),
    *zip(range(17, 22), range(26, 21, -1), strict=True),
    (31, 35), (32, 34), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67),
    *zip(range(68, 74), range(80, 74, -1), strict=True),
]  # fmt: skip


@dataclass(frozen=True)
class Colour:
    """Shift of each channel in levels, of hue (degrees), gains of saturation and value, brightness, contrast."""

    rgb: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hsv: tuple[float, float, float] | None = None
    brightness: float = 0.0
    contrast: float = 0.0


@dataclass(frozen=True)
class Parameters:
    """The parameters of one pair: lengths in pixels of the stored frame, or as shares of loose crop or face."""

    hull: str
    flip: bool = False
    change_source: bool = True
    colour: Colour = Colour()
    shrink: int = 0
    sharpen: tuple[float, float] | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    canvas: tuple[int, int] = (224, 224)
    erode: int = 5
    blur: int = 5
    sigma: int = 5
    opacity: float = 1.0
    shared: Colour = Colour()
    quality: int = 0
    margins: tuple[float, float, float, float] = (0.125, 0.125, 0.125, 0.125)


def draw(rng, *, hulls, hue=7.2, saturation=0.2, value=0.1):
    """Draw parameters as described; `hulls` gives the probability of each hull."""

    def colour(rgb, hsv, light, strength):
        return Colour(
            rgb=tuple(rng.uniform(-20, 20, 3)) if rng.random() < rgb else (0.0, 0.0, 0.0),
            hsv=(
                (rng.uniform(-hue, hue), rng.uniform(-saturation, saturation), rng.uniform(-value, value))
                if rng.random() < hsv
                else None
            ),
            **(
                {"brightness": rng.uniform(-strength, strength), "contrast": rng.uniform(-strength, strength)}
                if rng.random() < light
                else {}
            ),
        )

    shrinks = rng.random() < 0.5
    return Parameters(
        hull=rng.choice(list(hulls), p=list(hulls.values())),
        flip=rng.random() < 0.5,
        change_source=rng.random() < 0.5,
        colour=colour(0.3, 1.0, 1.0, 0.1),
        shrink=int(rng.choice([2, 4])) if shrinks else 0,
        sharpen=None if shrinks else (rng.uniform(0.2, 0.5), rng.uniform(0.5, 1.0)),
        shift=(rng.uniform(-0.03, 0.03), rng.uniform(-0.015, 0.015)),
        scale=tuple(rng.uniform(0.95, 1 / 0.95, 2)),
        canvas=tuple(rng.integers(192, 257, 2)),
        erode=2 * int(rng.integers(2, 13)) + 1,
        blur=2 * int(rng.integers(2, 13)) + 1,
        sigma=int(rng.integers(5, 46)),
        opacity=float(rng.choice([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])),
        shared=colour(0.3, 0.3, 0.3, 0.3),
        quality=int(rng.integers(40, 101)) if rng.random() < 0.5 else 0,
        margins=tuple(rng.uniform(0.05, 0.20, 4)),
    )


def random_displacement(rng, shape, alpha=50.0, sigma=7.0):
    """Draw the classical elastic field (dx, dy): uniform noise in [-1, 1] under a Gaussian, times alpha."""
    noise = rng.uniform(-1, 1, (2, *shape)).astype(np.float32)
    return [alpha * cv2.GaussianBlur(field, (0, 0), sigma) for field in noise]


def pair(image, landmarks, parameters, displacement, *, size, eight_bit):
    """Return real and fake, uint8 [size, size, 3], and the mask, float32 [size, size], as the model would see them.

    `image` uint8 RGB, `landmarks` [81, 2]; `displacement` (dx, dy) on the pixels of the image. `eight_bit`
    changes colour with 8-bit look-up tables that cut to whole levels, as the released code; otherwise in floats.
    """
    p = parameters
    if p.flip:
        image, landmarks = np.ascontiguousarray(image[:, ::-1]), mirror(landmarks, image.shape[1])
    source = target = image
    changed = degrade(change_colour(image, p.colour, eight_bit), p)
    if p.change_source:
        source = changed
    else:
        target = changed
    mask = hull(landmarks, p.hull, image.shape[:2])
    source = move(source, landmarks, p)
    mask = move(mask, landmarks, p, interpolation=cv2.INTER_NEAREST, border=cv2.BORDER_CONSTANT)
    mask = displace(mask, displacement)
    mask = soften(mask if eight_bit else mask.astype(np.float32), landmarks, p) * p.opacity
    fake = (mask[..., None] * source + (1 - mask[..., None]) * target).astype(np.uint8)
    out = [compress(change_colour(part, p.shared, eight_bit), p.quality) for part in (target, fake)]
    return [crop(part, landmarks, p.margins, size) for part in (*out, mask)]


def mirror(landmarks, width):
    """Return the landmarks of the mirrored frame."""
    order = np.arange(81)
    for left, right in _PAIRS:
        order[[left, right]] = right, left
    return np.stack([width - 1 - landmarks[order, 0], landmarks[order, 1]], axis=1)


def face_box(landmarks):
    """Return (left, top) and (width, height) of points 0-67."""
    low = landmarks[:68].min(axis=0)
    return low, landmarks[:68].max(axis=0) - low


def loose_crop(landmarks):
    """Return (left, top) and (width, height): half a face on each side, one above and 0.4 below."""
    low, face = face_box(landmarks)
    return low - face * [0.5, 1.0], face * [2.0, 2.4]


def hull(landmarks, name, shape):
    """Fill polygons with ones, including the pixels of their outlines."""
    points = landmarks.copy()
    if name == "extended":
        # Brows rise by half their distance to the line of the eyes, which leans to the jaw at its outer ends.
        below = [0.75 * points[36] + 0.25 * points[0], *points[36:40]]
        below += [*points[42:46], 0.75 * points[45] + 0.25 * points[16]]
        points[17:27] += 0.5 * (points[17:27] - np.array(below))
    mask = np.zeros(shape, np.uint8)
    for polygon in POLYGONS[name]:
        # Four bits of OpenCV's sub-pixel positions.
        corners = cv2.convexHull(points[polygon].astype(np.float32))
        cv2.fillConvexPoly(mask, np.round(corners * 16).astype(np.int32), 1, shift=4)
    return mask


def change_colour(image, colour, eight_bit):
    """Shift channels, then change hue, saturation and value, then brightness and contrast."""
    if eight_bit:
        return _change_levels(image, colour)
    image = np.clip(image.astype(np.float32) / 255 + np.array(colour.rgb, np.float32) / 255, 0, 1)
    if colour.hsv:
        hue, saturation, value = colour.hsv
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + hue) % 360
        hsv[..., 1:] = np.clip(hsv[..., 1:] * [1 + saturation, 1 + value], 0, 1)
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    image = np.clip(image * (1 + colour.contrast) + colour.brightness, 0, 1)
    return np.round(image * 255).astype(np.uint8)


def _change_levels(image, colour):
    levels = np.arange(256, dtype=np.float32)
    if any(colour.rgb):
        tables = np.stack([np.clip(levels + shift, 0, 255).astype(np.uint8) for shift in colour.rgb], axis=-1)
        image = cv2.LUT(image, tables[None])
    if colour.hsv:
        hue, saturation, value = colour.hsv
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        tables = np.stack(
            [
                np.mod(levels + hue, 180).astype(np.uint8),
                np.clip(levels + saturation, 0, 255).astype(np.uint8),
                np.clip(levels + value, 0, 255).astype(np.uint8),
            ],
            axis=-1,
        )
        image = cv2.cvtColor(cv2.LUT(hsv, tables[None]), cv2.COLOR_HSV2RGB)
    if colour.brightness or colour.contrast:
        table = np.clip(levels * (1 + colour.contrast) + colour.brightness * 255, 0, 255).astype(np.uint8)
        image = cv2.LUT(image, table)
    return image


def degrade(image, parameters):
    """Shrink to the nearest pixels and enlarge, or sharpen."""
    height, width = image.shape[:2]
    if parameters.shrink:
        small = (width // parameters.shrink, height // parameters.shrink)
        small = cv2.resize(image, small, interpolation=cv2.INTER_NEAREST)
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    if parameters.sharpen:
        alpha, lightness = parameters.sharpen
        kernel = np.full((3, 3), -alpha, np.float32)
        kernel[1, 1] = (1 - alpha) + alpha * (8 + lightness)
        return cv2.filter2D(image, -1, kernel)
    return image


def move(image, landmarks, parameters, interpolation=cv2.INTER_LINEAR, border=cv2.BORDER_REPLICATE):
    """Scale about the middle of the loose crop, then shift by shares of its sides."""
    corner, sides = loose_crop(landmarks)
    scale, centre = np.array(parameters.scale), corner + sides / 2
    offset = centre - scale * centre + np.array(parameters.shift) * sides
    matrix = np.array([[scale[0], 0, offset[0]], [0, scale[1], offset[1]]])
    return cv2.warpAffine(
        image, matrix, image.shape[1::-1], flags=interpolation, borderMode=border, borderValue=0
    )


def displace(mask, displacement):
    """The elastic transform: each pixel takes the value at its displaced place."""
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]].astype(np.float32)
    dx, dy = displacement
    return cv2.remap(mask, x + dx, y + dy, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)


def soften(mask, landmarks, parameters):
    """On the canvas of the loose crop: blur and keep full pixels, then blur again; each maximum becomes 1."""
    corner, sides = loose_crop(landmarks)
    canvas = np.array(parameters.canvas[::-1])
    ratio = canvas / sides
    to_canvas = np.array(
        [
            [ratio[0], 0, (0.5 - corner[0]) * ratio[0] - 0.5],
            [0, ratio[1], (0.5 - corner[1]) * ratio[1] - 0.5],
        ]
    )
    small = cv2.warpAffine(mask, to_canvas, tuple(int(v) for v in canvas), flags=cv2.INTER_LINEAR)
    plateau = cv2.GaussianBlur(small, (parameters.erode,) * 2, 0, borderType=cv2.BORDER_CONSTANT)
    # The blur of a mask of bytes is rounded to zeros and ones, which erodes nothing.
    plateau = np.where(plateau < (1 - 1e-6) * plateau.max(), 0, 1).astype(np.float32)
    soft = cv2.GaussianBlur(plateau, (parameters.blur,) * 2, parameters.sigma, borderType=cv2.BORDER_CONSTANT)
    soft /= max(soft.max(), 1e-6)
    return cv2.warpAffine(soft, to_canvas, mask.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def compress(image, quality):
    """Compress with OpenCV's JPEG encoder (4:2:0) and decompress."""
    if not quality:
        return image
    _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]


def crop(image, landmarks, margins, size):
    """Cut out and resize the square around the face box widened by `margins` (left, top, right, bottom)."""
    low, face = face_box(landmarks)
    left, top = low - face * margins[:2]
    right, bottom = low + face * (1 + np.array(margins[2:]))
    side, centre = max(right - left, bottom - top), np.array([left + right, top + bottom]) / 2
    scale = size / side
    # Corners: the window starts at centre - side / 2, an edge, and the first pixel's centre is half a pixel inside.
    offset = -(centre - side / 2) * scale - 0.5
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    return cv2.warpAffine(
        np.ascontiguousarray(image),
        matrix,
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
