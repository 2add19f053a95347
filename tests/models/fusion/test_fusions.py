"""Fusions against plain torch, and what each of the table promises."""

import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from torch.nn import functional

from fakedetect_jax import models
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.fusion import FUSIONS
from fakedetect_jax.models.fusion.cross_attention import place_codes

TINY = {
    "concat": {},
    "gated": {"dim": 8},
    "cross_attention": {"dim": 8, "heads": 2},
    "multi_scale": {"dim": 8},
}
# Width of the fused features; the third branch, motion, has no maps.
WIDTHS = {"concat": 6 + 5 + 3, "gated": 8, "cross_attention": 8 + 3, "multi_scale": 8 + 3}
WITH_MAPS = ("cross_attention", "multi_scale")


def branches(n=4, seed=0):
    """Three branches: features, and maps of three, two and no stages."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return jnp.asarray(rng.normal(size=(n, *shape)), jnp.float32)

    features = [normal(6), normal(5), normal(3)]
    maps = [[normal(8, 6, 4), normal(4, 3, 5), normal(2, 2, 6)], [normal(4, 3, 4), normal(3, 2, 5)], []]
    return features, maps


def variables_of(model, features, maps, seed=1):
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        centre = 1 if path[-1].key == "scale" else 0
        spread = 0.3 if leaf.ndim == 1 else np.sqrt(1 / np.prod(leaf.shape[:-1]))
        return (centre + spread * rng.normal(size=leaf.shape)).astype(np.float32)

    return jax.tree.map_with_path(draw, jax.eval_shape(model.init, jax.random.key(0), features, maps))


class Reference:
    """Our parameters as torch operations, by their paths; all must be used."""

    def __init__(self, variables):
        flat = jax.tree_util.tree_flatten_with_path(variables["params"])[0]
        self.values = {"/".join(k.key for k in path): torch.tensor(leaf).double() for path, leaf in flat}
        self.left = set(self.values)

    def take(self, name):
        self.left.discard(name)
        return self.values[name]

    def dense(self, name, x, bias=True):
        kernel = self.take(f"{name}/kernel")
        x = x @ kernel.reshape(x.shape[-1], -1)
        return x + self.take(f"{name}/bias").reshape(-1) if bias else x

    def norm(self, name, x):
        return functional.layer_norm(
            x, x.shape[-1:], self.take(f"{name}/scale"), self.take(f"{name}/bias"), eps=1e-6
        )

    def gated(self, features, _, gate):
        projected = [self.norm(f"norm{i}", self.dense(f"project{i}", x)) for i, x in enumerate(features)]
        score = self.dense("gate", torch.cat(projected, -1))
        gates = score.softmax(-1) if gate == "softmax" else score.sigmoid()
        return sum(gates[:, i, None] * x for i, x in enumerate(projected))

    def cross_attention(self, features, maps, stages):
        tokens = []
        for own, stage, name in zip(maps, stages, ("queried", "asked"), strict=False):
            h, w = own[stage].shape[1:3]
            x = self.norm(f"norm_{name}", self.dense(f"embed_{name}", own[stage].flatten(1, 2)))
            tokens.append(x + torch.tensor(place_codes(h, w, x.shape[-1])))
        colour, spectrum = tokens
        asked = [("query", colour), ("key", spectrum), ("value", spectrum)]
        heads = [self.dense(name, x).unflatten(-1, (2, -1)).transpose(1, 2) for name, x in asked]
        found = functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        pooled = (colour + self.dense("out", found)).mean(1)
        return torch.cat([self.norm("norm", pooled), *features[2:]], -1)

    def multi_scale(self, features, maps, stages):
        levels = {}
        for branch, own in enumerate(maps):
            for stage, chosen in enumerate(own):
                if stages is None or stage in [s % len(own) for s in stages]:
                    x = self.dense(f"branch{branch}_stage{stage}", chosen).permute(0, 3, 1, 2)
                    levels[x.shape[2:]] = levels.get(x.shape[2:], 0) + x
        x, scales = None, []
        for index, (size, level) in enumerate(sorted(levels.items())):
            if x is not None:
                level = level + functional.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
            x, name = level, f"smooth{index}"
            kernel = self.take(f"{name}/kernel").permute(3, 2, 0, 1)
            smooth = functional.conv2d(x, kernel, self.take(f"{name}/bias"), padding=1)
            scales.append(functional.gelu(smooth, approximate="tanh").mean((2, 3)))
        scales = torch.stack(scales, 1)
        score = self.dense("attention", self.dense("attention_hidden", scales).tanh(), bias=False)
        joined = self.norm("norm", (score.softmax(1) * scales).sum(1))
        return torch.cat([joined, features[2]], -1)


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("gated", {}, ("softmax",)),
        ("gated", {"gate": "sigmoid"}, ("sigmoid",)),
        ("cross_attention", {}, ((2, 1),)),
        ("cross_attention", {"stage": (0, -2)}, ((0, 0),)),
        ("multi_scale", {}, (None,)),
        ("multi_scale", {"stages": (0, -1)}, ((0, -1),)),
    ],
)
def test_values_and_gradients_equal_plain_torch(name, options, reference):
    model = FUSIONS[name](**TINY[name], **options)
    features, maps = branches()
    variables = variables_of(model, features, maps)
    torch_reference = Reference(variables)
    inputs = jax.tree.map(lambda x: torch.tensor(x).double().requires_grad_(), (features, maps))
    expected = getattr(torch_reference, name)(*inputs, *reference)
    assert not torch_reference.left
    (expected**3).sum().backward()

    def loss(inputs):
        out = model.apply(variables, *inputs)
        return (out**3).sum(), out

    gradients, out = jax.jit(jax.grad(loss, has_aux=True))((features, maps))
    np.testing.assert_allclose(out, expected.detach(), atol=1e-4)
    largest = max(float(abs(g).max()) for g in jax.tree.leaves(gradients))
    for got, want in zip(jax.tree.leaves(gradients), jax.tree.leaves(inputs), strict=True):
        want = np.zeros(got.shape) if want.grad is None else want.grad.numpy()
        np.testing.assert_allclose(got, want, atol=1e-4 * largest)


@pytest.fixture(scope="module", params=FUSIONS)
def case(request):
    model = FUSIONS[request.param](**TINY[request.param])
    features, maps = branches()
    variables = variables_of(model, features, maps)
    run = jax.jit(model.apply)
    return request.param, model, variables, run, run(variables, features, maps)


def test_features_are_of_the_promised_shape_and_type(case):
    name, _, variables, _, out = case
    assert (out.shape, out.dtype) == ((4, WIDTHS[name]), jnp.float32)
    assert float(np.ptp(out, axis=0).min()) > 1e-2
    # Checkpoints from before there were others know no parameters of it.
    assert (name == "concat") == (variables == {})


def test_permuting_the_batch_permutes_the_result(case):
    _, _, variables, run, out = case
    order = np.array([3, 0, 2, 1])
    features, maps = jax.tree.map(lambda x: x[order], branches())
    np.testing.assert_allclose(run(variables, features, maps), out[order], atol=1e-5)


def test_bfloat16_is_near(case):
    name, _, variables, _, out = case
    half = FUSIONS[name](**TINY[name], dtype="bfloat16")
    features, maps = branches()
    maps = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), maps)
    got = jax.jit(half.apply)(variables, features, maps)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, out, atol=2e-2 * abs(out).max())


def test_programs_for_any_batch_size_are_free_of_gathers(case):
    _, _, variables, run, _ = case
    (batch,) = jax.export.symbolic_shape("b")
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape[1:]), jnp.float32), branches())
    exported = jax.export.export(run, platforms=("cpu", "cuda", "tpu"))(variables, *shapes)
    assert not re.search(r"stablehlo\.\w*(gather|scatter)", exported.mlir_module())


def test_everything_learns_and_a_sharded_batch_exchanges_sums_alone(case):
    name, model, variables, _, _ = case

    def gradient(variables, inputs):
        return jax.grad(lambda v: (model.apply(v, *inputs, train=True) ** 3).sum())(variables)

    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    split, whole = NamedSharding(mesh, PartitionSpec("data")), NamedSharding(mesh, PartitionSpec())
    compiled = jax.jit(gradient, in_shardings=(whole, split)).lower(variables, branches()).compile()
    collectives = re.findall(
        r" (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)(?:-start)?\(",
        compiled.as_text(),
    )
    assert set(collectives) == (set() if name == "concat" else {"all-reduce"})
    for path, leaf in jax.tree_util.tree_leaves_with_path(compiled(variables, branches())):
        # All queries shift their scores alike by a bias of the keys.
        assert float(abs(leaf).max()) > 0 or "'key'" in str(path), path


def test_gates_tell_how_much_a_branch_counts():
    model = FUSIONS["gated"](dim=8)
    features, maps = branches()
    variables = variables_of(model, features, maps)
    closed = dict(variables["params"]) | {
        "gate": {"kernel": np.zeros((24, 3), np.float32), "bias": np.array([0, -50, -50], np.float32)}
    }
    out = model.apply({"params": closed}, features, maps)
    other = model.apply({"params": closed}, [features[0], 2 * features[1], -features[2]], maps)
    np.testing.assert_allclose(out, other, atol=1e-6)


def test_places_have_the_same_code_on_maps_of_different_sizes():
    fine, coarse = place_codes(8, 8, 16).reshape(8, 8, 16), place_codes(4, 4, 16).reshape(4, 4, 16)
    # A coarse cell's centre is between those of its four fine ones; the longest periods hardly change there.
    np.testing.assert_allclose(
        fine.reshape(4, 2, 4, 2, 16).mean((1, 3))[..., ::4], coarse[..., ::4], atol=0.1
    )
    assert len(np.unique(fine.reshape(64, 16).round(4), axis=0)) == 64
    np.testing.assert_allclose(np.square(fine).sum(axis=-1), np.full((8, 8), 8), rtol=1e-5)


@pytest.mark.parametrize("name", FUSIONS)
def test_defaults_build_on_whatever_branches_there_are(name):
    features, maps = branches()
    model = FUSIONS[name]()
    out, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), features, maps)
    assert (out.shape[0], out.dtype) == (4, jnp.float32)
    assert hash(model) == hash(FUSIONS[name]())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [(name, {"dtype": "half"}, f"{name} dtype='half' is not known") for name in FUSIONS]
    + [
        ("gated", {"gate": "relu"}, "gate='relu' is not known; use one of softmax, sigmoid"),
        ("gated", {"dim": 0}, "dim=0"),
        ("cross_attention", {"dim": 10}, "dim=10 must be a multiple of 4 and of heads=4"),
        ("cross_attention", {"heads": 0}, "heads=0"),
        ("cross_attention", {"stage": (0, 1, 2)}, "stage=.* one for each of two branches"),
        ("cross_attention", {"stage": (0, "last")}, "stage='last' must be a whole number"),
        ("multi_scale", {"dim": -1}, "dim=-1"),
        ("multi_scale", {"stages": ()}, r"stages=\(\) must be None"),
        ("multi_scale", {"stages": (0.5,)}, "stages=0.5 must be a whole number"),
    ],
)
@pytest.mark.usefixtures("unchecked_types")
def test_wrong_options_are_refused_by_name(name, options, message):
    with pytest.raises(ValueError, match=message):
        FUSIONS[name](**options)


@pytest.mark.parametrize(
    ("name", "options", "pick", "message"),
    [
        ("gated", {}, slice(0, 1), "'gated' joins two branches or more, got 1: take fusion 'concat'"),
        ("cross_attention", {}, slice(0, 1), "'cross_attention' joins two branches"),
        ("cross_attention", {}, slice(1, 3), "stage -1 of branch 1, which has 0 maps"),
        ("cross_attention", {"stage": 2}, slice(0, 3), "stage 2 of branch 1, which has 2 maps"),
        ("multi_scale", {}, slice(2, 3), "needs a branch with maps"),
        ("multi_scale", {"stages": (0, -3)}, slice(0, 3), "stage -3 of branch 1, which has 2 maps"),
    ],
)
def test_missing_branches_and_maps_are_refused_by_name(name, options, pick, message):
    features, maps = branches()
    with pytest.raises(ValueError, match=message):
        FUSIONS[name](**options).init(jax.random.key(0), features[pick], maps[pick])


@pytest.mark.parametrize("name", WITH_MAPS)
def test_maps_that_were_not_given_are_asked_for(name):
    with pytest.raises(ValueError, match=r"0 maps|with maps"):
        FUSIONS[name]().init(jax.random.key(0), branches()[0])


@pytest.mark.parametrize("name", FUSIONS)
def test_the_detector_takes_each_by_name(name):
    parts = {"spatial": {"variant": "atto"}, "frequency": {}, "motion": {}, "mask": {}}
    model = models.create("detector", **parts, fusion=name, dtype="bfloat16")
    frames = jax.ShapeDtypeStruct((2, 3, 64, 64, 3), jnp.float32)
    (logit, out), variables = jax.eval_shape(model.init_with_output, jax.random.key(0), Clip(frames))
    widths = {"concat": 320 + 96 + 64, "gated": 256, "cross_attention": 256 + 64, "multi_scale": 64 + 64}
    assert (logit.shape, out["features"].shape) == ((2,), (2, widths[name]))
    assert ("fusion" in variables["params"]) == (name != "concat")
