"""What every temporal part promises, and each part against plain torch or by hand."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from torch.nn.utils.parametrizations import weight_norm

from fakedetect_jax.models.layers import masked_max
from fakedetect_jax.models.temporal import TEMPORAL
from fakedetect_jax.models.temporal.convolution import TemporalConvolution
from fakedetect_jax.models.temporal.factorised import FactorisedEncoder
from fakedetect_jax.models.temporal.transformer import TemporalTransformer

_TRANSFORMER = {"layers": 1, "heads": 2, "dim": 8}
SMALL = {
    "mean": {},
    "max": {},
    "lstm": {"dim": 6, "bidirectional": True},
    "gru": {"dim": 6},
    "conv": {"dim": 6, "layers": 2, "kernel": 3},
    "transformer": _TRANSFORMER | {"positions": "timestamps"},
    "factorised": _TRANSFORMER | {"spatial_layers": 1},
}
VALID = np.array([[1, 1, 1, 1, 1], [0, 1, 0, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]], bool)


def _clips(seed):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(4, 5, 8)).astype(np.float32),
        rng.normal(size=(4, 5, 2, 3, 4)).astype(np.float32),
        np.cumsum(rng.uniform(0.02, 0.3, size=(4, 5)), axis=1).astype(np.float32),
    )


def _randomised(variables):
    """Parameters away from their initial values, in which positions or gains could hide."""
    leaves, tree = jax.tree.flatten(variables)
    rng = np.random.default_rng(7)
    return tree.unflatten([leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves])


def test_the_table_has_the_seven_parts():
    assert set(TEMPORAL) == {"mean", "max", "lstm", "gru", "conv", "transformer", "factorised"}


@pytest.mark.parametrize("name", SMALL)
def test_invalid_frames_never_count_clips_do_not_mix_and_half_precision_is_close(name):
    features, maps, timestamps = _clips(0)
    module = TEMPORAL[name](**SMALL[name])
    variables = jax.jit(module.init)(
        jax.random.key(0), features, jnp.ones((4, 5), bool), maps=maps, timestamps=timestamps
    )
    variables = _randomised(variables)
    call = jax.jit(lambda v, f, k, m, s: module.apply(v, f, k, maps=m, timestamps=s))
    expected = call(variables, features, VALID, maps, timestamps)
    assert expected.dtype == jnp.float32
    assert np.isfinite(expected).all()

    def garbled(good, bad):
        return np.where(VALID.reshape(VALID.shape + (1,) * (good.ndim - 2)), good, 40 * bad)

    bad = _clips(1)
    got = call(
        variables,
        garbled(features, bad[0]),
        VALID,
        garbled(maps, bad[1]),
        garbled(timestamps, bad[2]),
    )
    np.testing.assert_allclose(got, expected, atol=1e-6)

    order = np.array([2, 0, 3, 1])
    got = call(variables, features[order], VALID[order], maps[order], timestamps[order])
    np.testing.assert_allclose(got, expected[order], atol=1e-5)

    half = TEMPORAL[name](**SMALL[name], dtype="bfloat16")
    got = jax.jit(lambda v, f, k, m, s: half.apply(v, f, k, maps=m, timestamps=s))(
        variables, features, VALID, maps, timestamps
    )
    assert got.dtype == jnp.float32
    # Rounding of a block's sums: relative to the scale of what comes out.
    np.testing.assert_allclose(got, expected, atol=2e-2 * float(abs(expected).max()))


@pytest.mark.parametrize("name", ["mean", "max", "conv", "factorised"])
def test_gradients_of_clips_without_valid_frames_are_finite(name):
    features, maps, timestamps = map(jnp.asarray, _clips(0))
    none = jnp.zeros((4, 5), bool)
    module = TEMPORAL[name](**SMALL[name])
    variables = jax.jit(module.init)(jax.random.key(0), features, none, maps=maps, timestamps=timestamps)

    def total(variables, features):
        return module.apply(variables, features, none, maps=maps, timestamps=timestamps).sum()

    gradients = jax.jit(jax.grad(total, argnums=(0, 1)))(variables, features)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("name", SMALL)
def test_parts_export_with_any_batch_size_and_without_gathers(name):
    arrays = (*_clips(0), VALID)
    module = TEMPORAL[name](**SMALL[name])

    def shapes(batch):
        return [jax.ShapeDtypeStruct((batch, *array.shape[1:]), array.dtype) for array in arrays]

    def apply(variables, features, maps, timestamps, valid):
        return module.apply(variables, features, valid, maps=maps, timestamps=timestamps)

    def init(features, maps, timestamps, valid):
        return module.init(jax.random.key(0), features, valid, maps=maps, timestamps=timestamps)

    (batch,) = jax.export.symbolic_shape("batch")
    variables = jax.eval_shape(init, *shapes(4))
    exported = jax.export.export(jax.jit(apply), platforms=("cpu", "tpu"))(variables, *shapes(batch))
    assert not re.search(r"stablehlo\.\w*gather", exported.mlir_module())


@pytest.mark.parametrize("name", ["gru", "conv"])
def test_a_sharded_batch_needs_no_communication_but_the_sum_of_gradients(name):
    features, valid = (
        jax.random.normal(jax.random.key(0), (8, 5, 8)),
        jnp.arange(5)[None] < jnp.arange(8)[:, None],
    )
    module = TEMPORAL[name](**SMALL[name])
    variables = jax.jit(module.init)(jax.random.key(1), features, valid)
    gradient = jax.grad(lambda v, f, k: (module.apply(v, f, k) ** 2).mean())
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    sharded = jax.jit(gradient, in_shardings=(whole, split, split), out_shardings=whole)
    text = sharded.lower(variables, features, valid).compile().as_text()
    found = re.findall(
        r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(", text
    )
    assert set(found) == {"all-reduce"}


def test_masked_max_equals_numpy_and_is_zero_without_frames():
    features = _clips(0)[0] - 5
    expected = np.stack(
        [features[row, VALID[row]].max(0) if VALID[row].any() else np.zeros(8) for row in range(4)]
    )
    np.testing.assert_array_equal(masked_max(jnp.asarray(features), jnp.asarray(VALID)), expected)


class _TorchBlock(torch.nn.Module):
    def __init__(self, width, dim, kernel, dilation):
        super().__init__()
        self.pad = (kernel - 1) * dilation
        self.conv0 = weight_norm(torch.nn.Conv1d(width, dim, kernel, dilation=dilation, padding=self.pad))
        self.conv1 = weight_norm(torch.nn.Conv1d(dim, dim, kernel, dilation=dilation, padding=self.pad))
        self.shortcut = torch.nn.Conv1d(width, dim, 1) if width != dim else torch.nn.Identity()

    def forward(self, x):
        y = x
        for conv in (self.conv0, self.conv1):
            y = torch.relu(conv(y)[..., : -self.pad])
        return torch.relu(self.shortcut(x) + y)


def _conv_from_torch(blocks):
    params = {}
    for index, block in enumerate(blocks):
        left = {name: value.detach().numpy() for name, value in block.state_dict().items()}
        ours = params[f"block{index}"] = {}
        for conv in ("conv0", "conv1"):
            ours[conv] = {
                "gain": left.pop(f"{conv}.parametrizations.weight.original0").ravel(),
                "kernel": left.pop(f"{conv}.parametrizations.weight.original1").transpose(2, 1, 0),
                "bias": left.pop(f"{conv}.bias"),
            }
        if "shortcut.weight" in left:
            ours["shortcut"] = {
                "kernel": left.pop("shortcut.weight")[..., 0].T,
                "bias": left.pop("shortcut.bias"),
            }
        assert not left
    return {"params": params}


def test_convolutions_equal_torch_and_invalid_ends_equal_a_shorter_clip():
    torch.manual_seed(0)
    blocks = torch.nn.Sequential(_TorchBlock(8, 6, 3, 1), _TorchBlock(6, 6, 3, 2))
    with torch.no_grad():
        for parameter in blocks.parameters():
            parameter.copy_(torch.randn_like(parameter))
    variables = _conv_from_torch(blocks)
    features = np.random.default_rng(0).normal(size=(3, 9, 8)).astype(np.float32)
    given = torch.from_numpy(features).requires_grad_()
    expected = blocks(given.transpose(1, 2))
    weights = torch.randn(3, 6)
    (expected[..., -1] * weights).sum().backward()

    module = TemporalConvolution(dim=6, layers=2, kernel=3)
    call = jax.jit(module.apply)
    everything = jnp.ones((3, 9), bool)
    got, pull = jax.vjp(lambda f: call(variables, f, everything), jnp.asarray(features))
    scale = float(expected.detach().abs().max())
    np.testing.assert_allclose(got, expected[..., -1].detach(), atol=1e-5 * scale)
    gradient = pull(jnp.asarray(weights.numpy()))[0]
    np.testing.assert_allclose(gradient, given.grad, atol=1e-5 * float(given.grad.abs().max()))

    valid = np.zeros((3, 9), bool)
    valid[:, 2:7] = True
    with torch.no_grad():
        shorter = blocks(torch.from_numpy(features[:, 2:7]).transpose(1, 2))[..., -1]
    np.testing.assert_allclose(call(variables, features, valid), shorter, atol=1e-5 * scale)


def test_convolutions_to_both_sides_of_a_mirrored_clip_with_mirrored_kernels_agree():
    features = jnp.asarray(_clips(0)[0])
    module = TemporalConvolution(dim=6, layers=2, causal=False)
    variables = _randomised(jax.jit(module.init)(jax.random.key(0), features, VALID))
    mirrored = jax.tree.map(lambda leaf: leaf[::-1] if leaf.ndim == 3 else leaf, variables)
    call = jax.jit(module.apply)
    got = call(mirrored, features[:, ::-1], VALID[:, ::-1])
    np.testing.assert_allclose(got, call(variables, features, VALID), atol=1e-5)


def test_timestamps_at_25_a_second_are_the_sinusoids_of_places_and_only_differences_count():
    features, valid = jnp.asarray(_clips(0)[0]), jnp.ones((4, 5), bool)
    timed, placed = (TemporalTransformer(**_TRANSFORMER, positions=p) for p in ("timestamps", "sinusoidal"))
    variables = _randomised(jax.jit(placed.init)(jax.random.key(0), features, valid))
    assert "position" not in variables["params"]
    call = jax.jit(lambda stamps: timed.apply(variables, features, valid, timestamps=stamps))
    even = jnp.tile(jnp.arange(5) / 25 + 8, (4, 1))
    np.testing.assert_allclose(call(even), jax.jit(placed.apply)(variables, features, valid), atol=1e-4)
    assert float(abs(call(even * 3) - call(even)).max()) > 1e-2
    np.testing.assert_allclose(call(even * 3 - 20), call(even * 3), atol=1e-4)


def test_the_factorised_encoder_is_a_frame_encoder_then_the_temporal_transformer():
    features, maps, _ = _clips(0)
    module = FactorisedEncoder(**SMALL["factorised"])
    variables = _randomised(jax.jit(module.init)(jax.random.key(0), features, VALID, maps=maps))
    expected = jax.jit(module.apply)(variables, features, VALID, maps=maps)
    params = {name: torch.tensor(np.asarray(leaf)) for name, leaf in _flat(variables["params"])}
    with torch.no_grad():
        frames = _torch_frames(params, torch.from_numpy(maps).reshape(20, 6, 4)).reshape(4, 5, 8)
    temporal = TemporalTransformer(**_TRANSFORMER)
    got = jax.jit(temporal.apply)(
        {"params": variables["params"]["temporal"]}, jnp.asarray(frames.numpy()), VALID
    )
    np.testing.assert_allclose(got, expected, atol=1e-4)


def _flat(tree, prefix=""):
    for name, value in tree.items():
        yield from _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]


def _torch_frames(params, tokens):
    """One pre-norm block with a class token, in plain torch."""

    def norm(x, name):
        return torch.nn.functional.layer_norm(
            x, x.shape[-1:], params[f"{name}.scale"], params[f"{name}.bias"], 1e-6
        )

    def dense(x, name):
        return x @ params[f"{name}.kernel"] + params[f"{name}.bias"]

    x = dense(tokens, "embed")
    x = torch.cat([params["class_token"].expand(len(x), 1, -1), x], dim=1) + params["position"]
    y = norm(x, "spatial_block0.attention_norm")
    query, key, value = (
        torch.einsum("nsd,dhe->nhse", y, params[f"spatial_block0.attention.{part}.kernel"])
        + params[f"spatial_block0.attention.{part}.bias"][None, :, None]
        for part in ("query", "key", "value")
    )
    y = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    y = torch.einsum("nhse,hed->nsd", y, params["spatial_block0.attention.out.kernel"])
    x = x + y + params["spatial_block0.attention.out.bias"]
    y = dense(norm(x, "spatial_block0.mlp_norm"), "spatial_block0.expand")
    x = x + dense(torch.nn.functional.gelu(y, approximate="tanh"), "spatial_block0.project")
    return norm(x[:, 0], "spatial_norm")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mean", {"dtype": "half"}, "'half'.*bfloat16"),
        ("max", {"dtype": "half"}, "'half'.*bfloat16"),
        ("conv", {"layers": 0}, "layers=0"),
        ("conv", {"kernel": 2, "causal": False}, "kernel=2"),
        ("conv", {"dropout": -0.1}, "dropout=-0.1"),
        ("transformer", {"positions": "rotary"}, "'rotary'.*timestamps"),
        ("transformer", {"positions": "sinusoidal", "dim": 7, "heads": 1}, "dim=7 must be even"),
        ("factorised", {"spatial_layers": 0}, "spatial_layers=0"),
        ("factorised", {"heads": 3}, "multiple of heads=3"),
    ],
)
def test_wrong_options_of_parts_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        TEMPORAL[name](**options)


def test_what_a_part_needs_and_does_not_get_is_named():
    features = jnp.zeros((1, 2, 8))
    valid = jnp.ones((1, 2), bool)
    for name, needed in (("transformer", "timestamps"), ("factorised", "maps")):
        with pytest.raises(ValueError, match=f"needs {needed}"):
            jax.eval_shape(TEMPORAL[name](**SMALL[name]).init, jax.random.key(0), features, valid)
