import jax
import numpy as np
import pytest
import torch

from fakedetect_jax import models
from fakedetect_jax.training.optimizer import adamw, decay_mask, learning_rate_schedule


def test_agrees_with_torch_adamw():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(4, 3)).astype(np.float32)
    gradients = 0.1 * rng.normal(size=(5, 4, 3)).astype(np.float32)
    optimizer = adamw(lambda _: 0.01, weight_decay=0.1, clip_norm=1e9, b1=0.9, b2=0.99)
    params = {"kernel": start}
    state = optimizer.init(params)
    weight = torch.nn.Parameter(torch.tensor(start))
    reference = torch.optim.AdamW([weight], lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    for gradient in gradients:
        updates, state = optimizer.update({"kernel": gradient}, state, params)
        params = jax.tree.map(lambda p, u: p + u, params, updates)
        weight.grad = torch.tensor(gradient)
        reference.step()
    np.testing.assert_allclose(params["kernel"], weight.detach().numpy(), atol=1e-6)


def test_the_gradient_norm_is_clipped():
    optimizer = adamw(lambda _: 1.0, weight_decay=0.0, clip_norm=1.0, b1=0.0, b2=0.0)
    params = {"kernel": np.zeros((2, 2), np.float32)}
    small = optimizer.update({"kernel": np.full((2, 2), 0.5, np.float32)}, optimizer.init(params), params)
    large = optimizer.update({"kernel": np.full((2, 2), 50.0, np.float32)}, optimizer.init(params), params)
    np.testing.assert_allclose(small[1][1][0].mu["kernel"], large[1][1][0].mu["kernel"], rtol=1e-6)


def test_only_weights_of_layers_decay():
    model = models.create(
        "detector",
        spatial={"depths": (1, 1, 1, 1), "dims": (8, 8, 8, 8)},
        frequency={},
        temporal={"layers": 1, "dim": 16, "heads": 2},
    )
    params = jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(2, 32))["params"]
    mask = {
        jax.tree_util.keystr(path): decays
        for path, decays in jax.tree_util.tree_leaves_with_path(decay_mask(params))
    }
    exempt = {name for name, decays in mask.items() if not decays}
    assert all(name.endswith(("kernel']", "gain']")) for name in mask.keys() - exempt)
    assert not any(name.endswith("kernel']") for name in exempt)
    for part in ("norm", "bias", "layer_scale", "class_token", "position"):
        assert any(part in name for name in exempt), part


def test_the_rate_rises_then_falls_along_a_cosine():
    schedule = learning_rate_schedule(2.0, warmup_steps=10, steps=110)
    np.testing.assert_allclose(schedule(5), 1.0, rtol=1e-6)
    np.testing.assert_allclose(schedule(10), 2.0, rtol=1e-6)
    np.testing.assert_allclose(schedule(60), 1.0, rtol=1e-5)
    np.testing.assert_allclose(schedule(110), 0.0, atol=1e-6)


def test_a_warm_up_longer_than_the_training_is_refused():
    with pytest.raises(ValueError, match=r"warmup_steps=10 must be below train.steps=10"):
        learning_rate_schedule(1.0, warmup_steps=10, steps=10)


def test_the_weights_of_a_graph_s_edges_do_not_decay():
    model = models.create("st_gcn", widths=(8,), strides=(1,))
    variables = jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(4, 32))
    mask = decay_mask(variables["params"])["joints"]["block0"]
    assert mask["graph"]["kernel"]
    assert not mask["edge_weight"]
