"""Pictures that are face crops already."""

import cv2
import numpy as np
from jaxtyping import UInt8

# Of the picture's sides, on each side: detectors need some room around a face (measured on WildDeepfake's crops, see
# data_builders/wild_deepfake/README.md).
BORDER = 0.4


class Bordered:
    """Makes face crops pictures that a face can be found in: bordered, square, and all of the first one's size.

    Crops of one face differ in size from frame to frame; to a tracker a change of size is a cut.
    """

    def __init__(self) -> None:
        self._side = 0

    def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "s s 3"]:
        """Returns the crop in the middle of a square, its edge pixels repeated outwards."""
        self._side = self._side or max(image.shape[:2])
        scale = self._side / max(image.shape[:2])
        if scale != 1:
            size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        side = self._side + 2 * round(BORDER * self._side)
        top, left = ((side - length) // 2 for length in image.shape[:2])
        bottom, right = side - image.shape[0] - top, side - image.shape[1] - left
        return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REPLICATE)
