"""LSTM and GRU against torch's, and clips with gaps against clips without the frames of the gaps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fakedetect_jax.models.temporal.recurrent import GRU, LSTM

PARTS = {"lstm": (LSTM, torch.nn.LSTM), "gru": (GRU, torch.nn.GRU)}


def _from_torch(model):
    """torch.nn.LSTM's or GRU's parameters as our tree; every one of them is used exactly once."""
    left = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    params = {}
    for layer in range(model.num_layers):
        for way, suffix in (("forward", ""), ("backward", "_reverse"))[: 1 + model.bidirectional]:
            params[f"layer{layer}_{way}"] = {
                "input_kernel": left.pop(f"weight_ih_l{layer}{suffix}").T,
                "input_bias": left.pop(f"bias_ih_l{layer}{suffix}"),
                "hidden_kernel": left.pop(f"weight_hh_l{layer}{suffix}").T,
                "hidden_bias": left.pop(f"bias_hh_l{layer}{suffix}"),
            }
    assert not left
    return {"params": params}


def _pair(name, layers, bidirectional):
    torch.manual_seed(0)
    ours, theirs = PARTS[name]
    reference = theirs(5, 7, num_layers=layers, bidirectional=bidirectional, batch_first=True)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.5)
    return ours(dim=7, layers=layers, bidirectional=bidirectional), reference, _from_torch(reference)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True)])
def test_states_and_input_gradients_equal_torch(name, layers, bidirectional):
    module, reference, variables = _pair(name, layers, bidirectional)
    features = np.random.default_rng(1).normal(size=(3, 6, 5)).astype(np.float32)
    given = torch.from_numpy(features).requires_grad_()
    _, last = reference(given)
    last = last[0] if name == "lstm" else last
    expected = torch.cat(list(last[-1 - bidirectional :]), dim=-1)
    weights = np.random.default_rng(2).normal(size=tuple(expected.shape)).astype(np.float32)
    (expected * torch.from_numpy(weights)).sum().backward()

    valid = jnp.ones((3, 6), bool)
    got, pull = jax.vjp(jax.jit(lambda f: module.apply(variables, f, valid)), jnp.asarray(features))
    np.testing.assert_allclose(got, expected.detach(), atol=1e-5)
    np.testing.assert_allclose(pull(jnp.asarray(weights))[0], given.grad, atol=1e-5)


@pytest.mark.parametrize("name", PARTS)
def test_gaps_equal_the_clip_without_the_frames_of_the_gaps(name):
    module, reference, variables = _pair(name, 2, True)
    rng = np.random.default_rng(3)
    features = rng.normal(size=(4, 6, 5)).astype(np.float32)
    valid = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 1], [1, 0, 1, 1, 0, 0], [0, 0, 0, 1, 0, 0]], bool)
    garbage = np.where(valid[..., None], features, rng.normal(size=features.shape) * 50)
    got = jax.jit(module.apply)(variables, jnp.asarray(garbage, jnp.float32), jnp.asarray(valid))
    for row in range(4):
        with torch.no_grad():
            _, last = reference(torch.from_numpy(features[row : row + 1, valid[row]]))
        last = last[0] if name == "lstm" else last
        np.testing.assert_allclose(got[row], torch.cat([last[-2, 0], last[-1, 0]]), atol=1e-5)


@pytest.mark.parametrize("name", PARTS)
def test_a_clip_without_valid_frames_gives_zero_with_finite_gradients(name):
    module, _, variables = _pair(name, 2, True)
    features, none = jnp.full((2, 4, 5), 3.0), jnp.zeros((2, 4), bool)
    value, pull = jax.vjp(jax.jit(lambda v: module.apply(v, features, none)), variables)
    assert not np.asarray(value).any()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(pull(jnp.ones_like(value))[0]))


@pytest.mark.parametrize("name", PARTS)
def test_half_precision_is_close_and_dropout_acts_between_layers_in_training(name):
    part = PARTS[name][0]
    features, valid = jax.random.normal(jax.random.key(0), (2, 5, 8)), jnp.ones((2, 5), bool)
    module = part(dim=6, layers=2, dropout=0.5)
    variables = jax.jit(module.init)(jax.random.key(1), features, valid)
    full = jax.jit(module.apply)(variables, features, valid)
    half = jax.jit(part(dim=6, layers=2, dtype="bfloat16").apply)(variables, features, valid)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, full, atol=2e-2 * float(abs(full).max()))
    train = jax.jit(lambda v, key: module.apply(v, features, valid, train=True, rngs={"dropout": key}))
    assert float(abs(train(variables, jax.random.key(2)) - full).max()) > 1e-3


@pytest.mark.parametrize(("name", "gates"), [("lstm", 4), ("gru", 3)])
def test_sizes_are_those_of_torch_and_two_directions_are_twice_as_wide(name, gates):
    def shapes(module, width):
        return jax.eval_shape(
            module.init_with_output, jax.random.key(0), jnp.zeros((1, 1, width)), jnp.ones((1, 1), bool)
        )

    output, variables = shapes(PARTS[name][0](dim=2048), 2048)
    assert output.shape == (1, 2048)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == gates * (2 * 2048 * 2048 + 2 * 2048)
    output, _ = shapes(PARTS[name][0](dim=6, layers=2, bidirectional=True), 8)
    assert output.shape == (1, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim=0"),
        ({"layers": 0}, "layers=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dtype": "float16"}, "'float16'.*bfloat16"),
    ],
)
def test_wrong_options_are_refused(options, message):
    for part, _ in PARTS.values():
        with pytest.raises(ValueError, match=message):
            part(**options)
