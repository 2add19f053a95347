"""I3D that begins as torchvision's googlenet: every tensor has its place, and kernels are repeated over time."""

import jax
import numpy as np
import pytest

from fakedetect_jax import models
from fakedetect_jax.weights import SOURCES, MismatchError, load_into, make_naming
from fakedetect_jax.weights.naming import flat_leaves

# As published for Inception-v1, with torchvision's names.
INCEPTION = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


def layers():
    """(name, inputs, outputs, side) of each convolution."""
    found = [("conv1", 3, 64, 7), ("conv2", 64, 64, 1), ("conv3", 64, 192, 3)]
    for name, (inputs, one, reduce3, three, reduce5, five, pooled) in INCEPTION.items():
        module = f"inception{name}"
        found += [
            (f"{module}.branch1", inputs, one, 1),
            (f"{module}.branch2.0", inputs, reduce3, 1),
            (f"{module}.branch2.1", reduce3, three, 3),
            (f"{module}.branch3.0", inputs, reduce5, 1),
            (f"{module}.branch3.1", reduce5, five, 3),
            (f"{module}.branch4.1", inputs, pooled, 1),
        ]
    return found


@pytest.fixture(scope="module")
def googlenet():
    """Tensors of one value each, that of their place in the file."""
    shapes = {}
    for name, inputs, outputs, side in layers():
        shapes[f"{name}.conv.weight"] = (outputs, inputs, side, side)
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{leaf}"] = (outputs,)
    shapes |= {"fc.weight": (1000, 1024), "fc.bias": (1000,), "aux1.fc1.weight": (1024, 2048)}
    return {name: np.full(shape, n, np.float32) for n, (name, shape) in enumerate(shapes.items())}


def test_every_tensor_has_its_place_and_is_repeated_over_time(googlenet):
    model = models.create("i3d")
    shapes = jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(16, 224))
    naming = make_naming(SOURCES["torchvision"], shapes)
    variables, report = load_into(shapes, googlenet, naming, allow_missing=["head"])
    assert set(report.dropped) == {"fc.weight", "fc.bias", "aux1.fc1.weight"}
    assert sorted(report.missing) == ["params/head/logit/bias", "params/head/logit/kernel"]
    flat = flat_leaves(variables)
    for place, name in report.used.items():
        # All taps in time together are the image kernel.
        total = flat[place].sum(axis=0) if flat[place].ndim == 5 else flat[place]
        np.testing.assert_allclose(total, googlenet[name].flat[0], rtol=1e-5, err_msg=place)
    assert report.used["params/trunk/mixed4f/branch2/kernel"] == "inception4e.branch3.1.conv.weight"
    assert flat["params/trunk/conv1a/kernel"].shape == (7, 7, 7, 3, 64)


def test_another_width_is_refused(googlenet):
    model = models.create("i3d", width=0.5)
    shapes = jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(16, 224))
    with pytest.raises(MismatchError, match="mixed3b"):
        load_into(shapes, googlenet, make_naming(SOURCES["torchvision"], shapes), allow_missing=["head"])
