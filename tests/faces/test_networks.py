import cv2
import numpy as np
import pytest

from fakedetect_jax.faces.networks import (
    FaceDetector,
    FaceMesh,
    Region,
    landmarks_81,
    region_of_detection,
    region_of_mesh,
)
from fakedetect_jax.faces.warp import apply_affine


def fit(image):
    found = FaceDetector()(image)
    mesh = FaceMesh()
    first = mesh(image, region_of_detection(found.box[0], found.points[0]))
    second = mesh(image, region_of_mesh(first.points))
    return landmarks_81(second.points), second.presence, found


@pytest.fixture(scope="module")
def fitted(woman):
    return fit(woman)


# Output of LiteRT 2.3, TensorFlow Lite's own interpreter, with MediaPipe's file for the same window of the photograph.
LITERT = {
    "top": (10, 130.471, 71.244),
    "eye, outer corner": (33, 97.830, 100.055),
    "eye, inner corner": (133, 116.888, 103.032),
    "other eye, inner corner": (362, 140.601, 104.336),
    "other eye, outer corner": (263, 159.911, 103.261),
    "nose tip": (4, 127.026, 126.558),
    "mouth corner": (61, 105.570, 139.352),
    "other mouth corner": (291, 149.674, 141.280),
    "chin": (152, 125.224, 174.084),
    "cheek": (234, 83.976, 110.187),
    "other cheek": (454, 173.849, 114.631),
}


def test_the_converted_network_equals_the_published_one_in_its_own_interpreter(woman):
    mesh = FaceMesh()(woman, Region(np.array([127.5, 119.5]), 141.0, 0.02))
    vertices, *points = zip(*LITERT.values(), strict=True)
    # OpenCV 5 and 4 interpolate the window differently, by up to 3 of 255 grey levels: 0.02 pixels.
    np.testing.assert_allclose(mesh.points[list(vertices)], np.transpose(points), rtol=0, atol=0.05)
    assert mesh.presence == pytest.approx(1 / (1 + np.exp(-24.44)), abs=1e-9)


def eye_distance(landmarks):
    return np.linalg.norm(landmarks[36] - landmarks[45])


def test_landmarks_agree_with_the_detectors_points(fitted):
    """Another network, trained on other data, locates eyes, nose tip and mouth corners."""
    landmarks, presence, found = fitted
    ours = [landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[30], landmarks[48], landmarks[54]]
    error = np.linalg.norm(np.array(ours) - found.points[0], axis=1) / eye_distance(landmarks)
    assert error.max() < 0.12
    assert presence > 0.99


def test_layout(fitted):
    landmarks = fitted[0]
    x, y = landmarks.T
    assert len(np.unique(landmarks.round(3), axis=0)) == 81
    # The sides of a face are straight below the ears, so the jaw's first and last points are left out.
    rows = [range(2, 15), range(17, 27), range(31, 36), range(68, 81), range(48, 55), range(60, 65)]
    for left_to_right in rows:
        assert (np.diff(x[list(left_to_right)]) > 0).all()
    assert (np.diff(y[:9]) > 0).all()
    assert (np.diff(y[8:17]) < 0).all()
    assert (np.diff(y[27:31]) > 0).all()
    assert y[68:81].max() < y[[0, 16]].max()
    assert y[72:77].max() < y[17:27].min() < y[36:48].min() < y[31:36].min() < y[48:60].min() < y[8]
    # Upper lids over lower lids, upper lip over lower lip.
    assert y[[37, 38, 43, 44]].max() < y[[40, 41, 46, 47]].min()
    assert y[[61, 62, 63]].max() < y[[65, 66, 67]].min() + 1
    assert abs(y[62] - y[66]) < abs(y[51] - y[57])


@pytest.mark.parametrize("degrees", [-30, 25])
def test_a_turned_head_gives_turned_landmarks(woman, fitted, degrees):
    turn = cv2.getRotationMatrix2D((127.5, 127.5), degrees, 0.9)
    turned = fit(cv2.warpAffine(woman, turn, (256, 256)))[0]
    want = apply_affine(turn, fitted[0])
    assert np.linalg.norm(turned - want, axis=1).mean() / eye_distance(want) < 0.03


def test_a_mirrored_face_gives_mirrored_landmarks(woman, fitted):
    mirrored = fit(np.ascontiguousarray(woman[:, ::-1]))[0]
    want = fitted[0] * [-1, 1] + [woman.shape[1] - 1, 0]
    assert abs(mirrored.mean(0) - want.mean(0)).max() / eye_distance(want) < 0.02


def test_the_background_is_not_a_face(woman):
    region = region_of_detection(
        np.array([5.0, 5, 60, 60]), np.array([[20.0, 25], [40, 25], [0, 0], [0, 0], [0, 0]])
    )
    assert FaceMesh()(woman, region).presence < 0.5


def test_detection_scales_large_frames(woman):
    small = FaceDetector()(woman)
    large = FaceDetector()(cv2.resize(woman, (1280, 1280), interpolation=cv2.INTER_CUBIC))
    overlap = np.abs(large.box[0] / 5 - small.box[0]).max() / (small.box[0, 2] - small.box[0, 0])
    assert overlap < 0.1
    assert large.points.shape == (1, 5, 2)
