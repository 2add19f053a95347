import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fakedetect_jax.training.losses import detection_loss, method_loss, weighted_mean

logits = st.floats(-20, 20, width=32)


@given(arrays(np.float32, 6, elements=logits), arrays(np.float32, (6, 3), elements=logits))
def test_agrees_with_torch(logit, frame_logit):
    label = np.array([0, 1, 1, 0, 1, 0])
    loss, metrics = detection_loss(
        logit,
        frame_logit,
        label=label,
        frame_label=label[:, None].repeat(3, 1),
        valid=np.ones((6, 3), bool),
        weight=np.ones(6, np.float32),
        frame_weight=0.5,
    )
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    target = torch.tensor(label, dtype=torch.float32)
    clip = bce(torch.tensor(logit), target)
    frame = bce(torch.tensor(frame_logit), target[:, None].expand(6, 3))
    np.testing.assert_allclose(loss, clip + 0.5 * frame, rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], np.mean((logit > 0) == label), rtol=1e-6)


def test_padding_and_invalid_frames_count_nothing():
    rng = np.random.default_rng(0)
    logit = rng.normal(size=4).astype(np.float32)
    frame_logit = rng.normal(size=(4, 3)).astype(np.float32)
    label = np.array([1, 0, 1, 0])
    valid = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]], bool)
    weight = np.array([1, 1, 1, 0], np.float32)
    frames = label[:, None].repeat(3, 1)
    options = {"label": label, "frame_label": frames, "valid": valid, "weight": weight, "frame_weight": 1.0}
    before, _ = detection_loss(logit, frame_logit, **options)
    changed = np.where(valid & (weight > 0)[:, None], frame_logit, 99.0)
    after, _ = detection_loss(np.where(weight > 0, logit, -99.0), changed, **options)
    np.testing.assert_allclose(before, after, rtol=1e-6)
    per_clip = [
        np.mean(np.logaddexp(0, (1 - 2 * y) * f[v]))
        for y, f, v in zip(label, frame_logit, valid, strict=True)
    ]
    clip = np.logaddexp(0, (1 - 2 * label) * logit)
    np.testing.assert_allclose(before, np.mean(clip[:3]) + np.mean(per_clip[:3]), rtol=1e-5)


def test_method_loss_agrees_with_torch_over_the_known_methods():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6, 3)).astype(np.float32)
    weight = np.array([1, 1, 2, 1, 0, 1], np.float32)
    # Numbers of three methods; the second clip is of none of them, the fifth has no weight.
    method = np.array([70, 5, 90, 80, 90, 90], np.int32)
    loss, metrics = method_loss(logits, method, [70, 80, 90], weight=weight)
    chosen, classes = [0, 2, 3, 5], torch.tensor([0, 2, 1, 2])
    per_clip = torch.nn.functional.cross_entropy(torch.tensor(logits[chosen]), classes, reduction="none")
    shares = weight[chosen] / weight[chosen].sum()
    np.testing.assert_allclose(loss, (per_clip.numpy() * shares).sum(), rtol=1e-5)
    right = logits[chosen].argmax(1) == classes.numpy()
    np.testing.assert_allclose(metrics["method_accuracy"], (right * shares).sum(), rtol=1e-6)


def test_a_batch_of_nothing_but_padding_has_loss_zero():
    assert weighted_mean(np.ones(3), np.zeros(3)) == 0
