"""What a person sees of a decoded picture: upright, with square pixels, and in the colours of a usual screen."""

import functools
from fractions import Fraction

import av
import av.filter
import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

# Codes of ITU-T H.273 for the transfer functions of pictures in high dynamic range.
_PQ, _HLG = 16, 18
_HDR_PEAK = 1000.0  # nits of the screen that HLG is meant for
_SDR_WHITE = 100.0
_KNEE = 0.8
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])
# Linear light of BT.2020's primaries to those of BT.709 (ITU-R BT.2087).
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
# Encoders round; below it nobody sees that pixels are not square.
_SQUARE = 0.02


class Screen:
    """Turns the pictures of one video stream into BGR images.

    Args:
        aspect: Width of a pixel over its height, or None if unknown.
    """

    def __init__(self, aspect: Fraction | None) -> None:
        self._aspect = float(aspect) if aspect and 0.1 < aspect < 10 else 1.0
        self._graphs: dict[tuple, av.filter.Graph] = {}
        self._display_matrix: tuple[int, ...] = ()

    def show(self, picture: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
        """Return the picture as it is meant to be seen."""
        if picture.color_trc in (_PQ, _HLG):
            coded = self._convert(picture, "rgb48le")
            image = tone_map(coded, pq=picture.color_trc == _PQ)
        else:
            image = self._convert(picture, "bgr24")
        # Reading what belongs to a picture takes as long as converting a small one.
        if picture.key_frame or not self._display_matrix:
            self._display_matrix = _display_matrix(picture)
        return _upright(self._with_square_pixels(image), self._display_matrix)

    def _convert(self, picture: av.VideoFrame, to: str) -> np.ndarray:
        kind = (picture.width, picture.height, picture.format.name, picture.colorspace, picture.color_range)
        if kind not in self._graphs:
            self._graphs = {kind: _converter(picture, to)}
        graph = self._graphs[kind]
        graph.vpush(picture)
        return graph.vpull().to_ndarray()

    def _with_square_pixels(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w2 3"]:
        if abs(self._aspect - 1) < _SQUARE:
            return image
        height, width = image.shape[:2]
        return cv2.resize(
            image, (max(1, round(width * self._aspect)), height), interpolation=cv2.INTER_LINEAR
        )


def _converter(picture: av.VideoFrame, to: str) -> av.filter.Graph:
    """Return a graph that converts to a pixel format; unlike a conversion alone, it uses its memory again."""
    graph = av.filter.Graph()
    source = graph.add(
        "buffer",
        f"video_size={picture.width}x{picture.height}:pix_fmt={picture.format.name}:time_base=1/1"
        f":colorspace={int(picture.colorspace)}:range={int(picture.color_range)}",
    )
    scale = graph.add("scale", "flags=bilinear:threads=1")  # more threads cost several times what they bring
    graph.link_nodes(source, scale, graph.add("format", to), graph.add("buffersink")).configure()
    return graph


def _display_matrix(picture: av.VideoFrame) -> tuple[int, ...]:
    """Return the signs of a, b, c and d: stored (x, y) is seen at (a x + c y, b x + d y)."""
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d, *_ = np.sign(np.frombuffer(bytes(matrix), np.int32)).tolist()
    return a, b, c, d


def _upright(image: UInt8[np.ndarray, "h w 3"], matrix: tuple[int, ...]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Apply a display matrix of quarter turns and mirrorings; others leave the image as it is stored."""
    match matrix:
        case (1, 0, 0, 1):
            return image
        case (x, 0, 0, y) if x and y:
            turned = image[::y, ::x]
        case (0, y, x, 0) if x and y:
            turned = image.transpose(1, 0, 2)[::y, ::x]
        case _:
            return image
    return np.ascontiguousarray(turned)


def tone_map(coded: UInt16[np.ndarray, "h w 3"], *, pq: bool) -> UInt8[np.ndarray, "h w 3"]:
    """Show a picture of high dynamic range on a screen of 100 nits.

    Light is kept as it is up to 80 nits, where faces are in either kind of picture (ITU-R BT.2408), and rolled off
    above. A plain conversion would show faces at half their light.

    Args:
        coded: RGB of BT.2020's primaries, coded by PQ or HLG (ITU-R BT.2100), full range of 16 bits.
        pq: Whether by PQ.

    Returns:
        BGR of BT.709's primaries for a screen of gamma 2.4 (ITU-R BT.1886).
    """
    light = _to_light(pq)[coded]
    if not pq:
        luminance = cv2.transform(light, _BT2020_LUMA[None].astype(np.float32))
        light *= _HDR_PEAK * cv2.pow(np.maximum(luminance, 1e-6), 0.2)[..., None]
    light = cv2.transform(light / _SDR_WHITE, _BT2020_TO_BT709[::-1].astype(np.float32))
    light = np.maximum(light, 0)
    rolled_off = 1 - (1 - _KNEE) * np.exp((_KNEE - light) / (1 - _KNEE))
    shown = cv2.pow(np.where(light > _KNEE, rolled_off, light), 1 / 2.4)
    return np.rint(shown * 255).astype(np.uint8)


@functools.cache
def _to_light(pq: bool) -> Float32[np.ndarray, " 65536"]:
    """Return the light of each code: nits for PQ, that of the scene in [0, 1] for HLG (ITU-R BT.2100)."""
    code = np.linspace(0, 1, 1 << 16)
    return (_pq_to_nits(code) if pq else _hlg_to_scene(code)).astype(np.float32)


def _pq_to_nits(code: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = code ** (1 / m2)
    return 10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)


def _hlg_to_scene(code: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
