"""ST-GCN: its graphs, parity with plain torch, published sizes, and what does not change a logit."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fakedetect_jax.faces.landmarks import MIRROR_ORDER
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published.face_graph import EDGES, PARTITIONS, hops, partitioned
from fakedetect_jax.models.published.st_gcn import STGCN, STGCNTrunk, normalised_landmarks

SMALL = {"widths": (6, 8, 8), "strides": (1, 2, 2), "kernel": 3}
RNG = np.random.default_rng(0)
LANDMARKS = RNG.uniform(10, 90, size=(3, 9, 81, 2)).astype(np.float32)
FRAMES = np.zeros((3, 9, 2, 2, 3), np.float32)
VALID = np.array([[1] * 9, [0, 1, 0, 0, 1, 1, 0, 0, 1], [1, 1, 1, 1, 1, 0, 0, 0, 0]], bool)

# The joints of NTU RGB+D as its documentation numbers them, from 1; the spine between the shoulders is the centre.
NTU = (
    *(
        (1, 2),
        (2, 21),
        (3, 21),
        (4, 3),
        (5, 21),
        (6, 5),
        (7, 6),
        (8, 7),
        (9, 21),
        (10, 9),
        (11, 10),
        (12, 11),
    ),
    *((13, 1), (14, 13), (15, 14), (16, 15), (17, 1), (18, 17), (19, 18), (20, 19)),
    *((22, 23), (23, 8), (24, 25), (25, 12)),
)


@pytest.mark.parametrize("points", EDGES)
def test_the_face_graphs_are_whole_and_mirror_themselves(points):
    edges = EDGES[points]
    assert len({frozenset(edge) for edge in edges}) == len(edges)
    assert hops(points, edges).min() == 0  # -1 would be a point that is not connected
    # Mirroring an image turns the graph into itself.
    mirrored = {frozenset(int(MIRROR_ORDER[point]) for point in edge) for edge in edges}
    assert mirrored == {frozenset(edge) for edge in edges}


@pytest.mark.parametrize("partition", PARTITIONS)
def test_partitions_split_the_mean_over_neighbours(partition):
    for points in EDGES:
        adjacency = partitioned(points, EDGES[points], partition=partition)
        assert len(adjacency) == {"uniform": 1, "distance": 2, "spatial": 3}[partition]
        np.testing.assert_allclose(adjacency.sum(axis=(0, 1)), 1, rtol=1e-6)
        np.testing.assert_array_equal(adjacency.sum(0) > 0, hops(points, EDGES[points]) <= 1)
        assert ((adjacency > 0).sum(axis=0) <= 1).all()


def test_spatial_partition_of_a_line_by_hand():
    # 0 - 1 - 2 - 3 with the centre at 1: neighbours nearer to it, and farther from it.
    same, closer, farther = partitioned(4, ((0, 1), (1, 2), (2, 3)), centre=1)
    np.testing.assert_allclose(np.diag(same), [1 / 2, 1 / 3, 1 / 3, 1 / 2])
    assert {tuple(edge) for edge in np.argwhere(closer)} == {(1, 0), (1, 2), (2, 3)}
    assert {tuple(edge) for edge in np.argwhere(farther)} == {(0, 1), (2, 1), (3, 2)}


def test_graphs_that_fall_apart_are_refused():
    with pytest.raises(ValueError, match=r"\[2\] are not connected to centre=0"):
        partitioned(3, ((0, 1),), centre=0)
    with pytest.raises(ValueError, match="not between 3 points"):
        partitioned(3, ((0, 1), (1, 3)), centre=0)
    with pytest.raises(ValueError, match=r"'radial'.*uniform"):
        partitioned(2, ((0, 1),), partition="radial", centre=0)
    with pytest.raises(ValueError, match="centre=30"):
        partitioned(2, ((0, 1),))


@pytest.mark.parametrize(
    ("joints", "edges", "centre", "classes", "published"),
    [
        (25, tuple((a - 1, b - 1) for a, b in NTU), 20, 60, 3_098_832),
        # Of the 18 joints' graph only their number counts.
        (18, tuple((joint, joint + 1) for joint in range(17)), 1, 400, 3_177_140),
    ],
)
def test_sizes_are_the_published_ones(joints, edges, centre, classes, published):
    trunk = STGCNTrunk(edges=edges, centre=centre)
    x, valid = jnp.zeros((1, 8, joints, 3)), jnp.ones((1, 8), bool)
    (found, _), variables = jax.eval_shape(trunk.init_with_output, jax.random.key(0), x, valid)
    assert found.shape == (1, 2, 256)
    trunk_size = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert trunk_size + 256 * classes + classes == published


class _TorchBlock(torch.nn.Module):
    def __init__(self, given, width, stride, kernel, adjacency, residual):
        super().__init__()
        self.adjacency = torch.from_numpy(adjacency)
        subsets = len(adjacency)
        self.edge_weight = torch.nn.Parameter(torch.ones(adjacency.shape))
        self.graph = torch.nn.Conv2d(given, subsets * width, 1)
        self.graph_norm = torch.nn.BatchNorm2d(width)
        self.temporal = torch.nn.Conv2d(width, width, (kernel, 1), (stride, 1), (kernel // 2, 0))
        self.temporal_norm = torch.nn.BatchNorm2d(width)
        self.residual = residual
        if residual and (stride != 1 or given != width):
            self.shortcut = torch.nn.Conv2d(given, width, 1, (stride, 1))
            self.shortcut_norm = torch.nn.BatchNorm2d(width)

    def forward(self, x):
        n, _, t, v = x.shape
        y = self.graph(x).reshape(n, len(self.adjacency), -1, t, v)
        y = torch.einsum("nkctv,kvw->nctw", y, self.adjacency * self.edge_weight)
        y = self.temporal_norm(self.temporal(torch.relu(self.graph_norm(y))))
        if hasattr(self, "shortcut"):
            y = y + self.shortcut_norm(self.shortcut(x))
        elif self.residual:
            y = y + x
        return torch.relu(y)


class _TorchTrunk(torch.nn.Module):
    def __init__(self, channels, adjacency, widths, strides, kernel):
        super().__init__()
        self.input_norm = torch.nn.BatchNorm1d(channels * adjacency.shape[1])
        givens = (channels, *widths[:-1])
        self.blocks = torch.nn.ModuleList(
            _TorchBlock(given, width, stride, kernel, adjacency, index > 0)
            for index, (given, width, stride) in enumerate(zip(givens, widths, strides, strict=True))
        )
        self.head = torch.nn.Linear(widths[-1], 1)

    def forward(self, x):
        n, t, v, c = x.shape
        x = self.input_norm(x.reshape(n, t, v * c).transpose(1, 2)).transpose(1, 2)
        x = x.reshape(n, t, v, c).permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(dim=(2, 3)))[:, 0]


def _from_torch(model):
    """Our parameters and statistics of a trunk and of its head; every one of torch's is used exactly once."""
    left = {name: value.detach().numpy() for name, value in model.state_dict().items()}

    def norm(name):
        left.pop(f"{name}.num_batches_tracked")
        return (
            {"norm": {"scale": left.pop(f"{name}.weight"), "bias": left.pop(f"{name}.bias")}},
            {"norm": {"mean": left.pop(f"{name}.running_mean"), "var": left.pop(f"{name}.running_var")}},
        )

    params, stats = {}, {}
    params["input_norm"], stats["input_norm"] = norm("input_norm")
    for index, torch_block in enumerate(model.blocks):
        block, block_stats, prefix = {}, {}, f"blocks.{index}"
        block["edge_weight"] = left.pop(f"{prefix}.edge_weight")
        for name in ("graph_norm", "temporal_norm", "shortcut_norm"):
            if hasattr(torch_block, name):
                block[name], block_stats[name] = norm(f"{prefix}.{name}")
        for name in ("graph", "shortcut"):
            if hasattr(torch_block, name):
                kernel = left.pop(f"{prefix}.{name}.weight")[..., 0, 0].T
                if name == "graph":
                    # Subsets are outermost in both.
                    assert kernel.shape[1] == len(torch_block.adjacency) * torch_block.graph_norm.num_features
                block[name] = {"kernel": kernel, "bias": left.pop(f"{prefix}.{name}.bias")}
        block["temporal"] = {
            "kernel": left.pop(f"{prefix}.temporal.weight").transpose(2, 3, 1, 0),
            "bias": left.pop(f"{prefix}.temporal.bias"),
        }
        params[f"block{index}"], stats[f"block{index}"] = block, block_stats
    head = {"kernel": left.pop("head.weight").T, "bias": left.pop("head.bias")}
    assert not left
    return params, stats, head


def _randomise(model):
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(0.5 + torch.rand_like(value))
            elif value.dtype == torch.float32:
                spread = 0.3 * torch.randn_like(value)
                one = "edge_weight" in name or ("norm" in name and name.endswith("weight"))
                value.copy_(spread + 1 if one else spread)
    return model.eval()


@pytest.fixture(scope="module")
def streams():
    torch.manual_seed(0)
    adjacency = partitioned(81, EDGES[81])
    return {
        name: _randomise(_TorchTrunk(2, adjacency, SMALL["widths"], SMALL["strides"], SMALL["kernel"]))
        for name in ("joints", "motion")
    }


@pytest.fixture(scope="module")
def variables(streams):
    params, stats = {}, {}
    for name, model in streams.items():
        params[name], stats[name], params[f"{name}_head"] = _from_torch(model)
    return {"params": params, "batch_stats": stats}


@pytest.fixture(scope="module")
def call(variables):
    module = STGCN(**SMALL, motion=True)
    return jax.jit(
        lambda landmarks, valid: module.apply(variables, Clip(FRAMES, landmarks=landmarks, valid=valid))
    )


def _without_motion(variables):
    return {
        kind: {name: value for name, value in tree.items() if not name.startswith("motion")}
        for kind, tree in variables.items()
    }


def _standardised(landmarks):
    centred = landmarks - landmarks.mean(dim=2, keepdim=True)
    size = (centred**2).sum(-1).mean(dim=(1, 2)).sqrt()[:, None, None, None]
    return (landmarks - landmarks.mean(dim=(1, 2), keepdim=True)) / size


def test_one_stream_equals_torch_with_the_gradient_to_the_landmarks(streams, variables):
    given = torch.from_numpy(LANDMARKS).requires_grad_()
    expected = streams["joints"](_standardised(given))
    weights = np.array([1.0, -2.0, 0.5], np.float32)
    (expected * torch.from_numpy(weights)).sum().backward()
    module, variables = STGCN(**SMALL), _without_motion(variables)
    logit, pull = jax.vjp(
        jax.jit(lambda points: module.apply(variables, Clip(FRAMES, landmarks=points))[0]),
        jnp.asarray(LANDMARKS),
    )
    np.testing.assert_allclose(logit, expected.detach(), atol=1e-4)
    largest = float(given.grad.abs().max())
    np.testing.assert_allclose(pull(jnp.asarray(weights))[0], given.grad, atol=1e-4 * largest)


def test_two_streams_are_summed_and_the_second_has_one_frame_less(streams, call):
    points = _standardised(torch.from_numpy(LANDMARKS[:, :5]))
    with torch.no_grad():
        moved = points[:, 1:] - points[:, :-1]
        expected = streams["joints"](points) + streams["motion"](moved)
    valid = np.zeros((3, 9), bool)
    valid[:, :5] = True
    logit, out = call(np.where(valid[..., None, None], LANDMARKS, 1e3), valid)
    np.testing.assert_allclose(logit, expected, atol=1e-4)
    assert out["features"].shape == (3, 16)


def test_where_and_how_large_the_face_is_does_not_count(call):
    logit = call(LANDMARKS, VALID)[0]
    np.testing.assert_allclose(
        call(LANDMARKS * 3 + np.array([400, -20], np.float32), VALID)[0], logit, atol=1e-3
    )
    points = normalised_landmarks(jnp.asarray(LANDMARKS), jnp.asarray(VALID))
    np.testing.assert_allclose(np.asarray(points)[1][VALID[1]].mean(axis=(0, 1)), 0, atol=1e-5)
    turned = LANDMARKS[..., ::-1]
    assert float(abs(call(turned, VALID)[0] - logit).max()) > 1e-3


def test_invalid_frames_never_count_and_clips_do_not_mix(call):
    logit, out = call(LANDMARKS, VALID)
    garbage = np.where(VALID[..., None, None], LANDMARKS, RNG.normal(size=LANDMARKS.shape) * 1e3).astype(
        np.float32
    )
    np.testing.assert_allclose(call(garbage, VALID)[0], logit, atol=1e-5)
    order = np.array([2, 0, 1])
    np.testing.assert_allclose(call(LANDMARKS[order], VALID[order])[0], logit[order], atol=1e-5)
    assert out["frame_logit"].shape == (3, 9)
    none, none_out = call(LANDMARKS, np.zeros_like(VALID))
    assert np.isfinite(none).all()
    assert np.isfinite(none_out["frame_logit"]).all()


def test_the_clip_logit_is_the_mean_of_the_steps(variables):
    module = STGCN(**SMALL)
    logit, out = jax.jit(lambda v: module.apply(v, Clip(FRAMES, landmarks=LANDMARKS)))(
        _without_motion(variables)
    )
    np.testing.assert_allclose(out["frame_logit"][:, ::4].mean(axis=1), logit, atol=1e-5)
    np.testing.assert_array_equal(out["frame_logit"][:, 0], out["frame_logit"][:, 3])


def test_half_precision_is_close(variables, call):
    half = STGCN(**SMALL, motion=True, dtype="bfloat16")
    logit, out = jax.jit(lambda v: half.apply(v, Clip(FRAMES, landmarks=LANDMARKS, valid=VALID)))(variables)
    assert logit.dtype == jnp.float32
    expected = call(LANDMARKS, VALID)[1]["features"]
    np.testing.assert_allclose(out["features"], expected, atol=2e-2 * float(abs(expected).max()))


def test_statistics_are_those_of_valid_frames_in_training_and_untouched_otherwise(variables):
    module, variables = STGCN(**SMALL), _without_motion(variables)

    @jax.jit
    def train(landmarks, valid):
        _, updated = module.apply(
            variables, Clip(FRAMES, landmarks=landmarks, valid=valid), train=True, mutable=["batch_stats"]
        )
        return updated["batch_stats"]

    updated = train(LANDMARKS, VALID)
    points = np.asarray(normalised_landmarks(jnp.asarray(LANDMARKS), jnp.asarray(VALID)))[VALID].reshape(
        (-1, 162)
    )
    before = variables["batch_stats"]["joints"]["input_norm"]["norm"]
    after = updated["joints"]["input_norm"]["norm"]
    np.testing.assert_allclose(after["mean"], 0.9 * before["mean"] + 0.1 * points.mean(0), atol=1e-5)
    np.testing.assert_allclose(after["var"], 0.9 * before["var"] + 0.1 * points.var(0), atol=1e-5)
    garbage = np.where(VALID[..., None, None], LANDMARKS, 500).astype(np.float32)
    for first, second in zip(jax.tree.leaves(train(garbage, VALID)), jax.tree.leaves(updated), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(train(LANDMARKS, np.zeros_like(VALID))))
    _, untouched = jax.jit(
        lambda v: module.apply(v, Clip(FRAMES, landmarks=LANDMARKS), mutable=["batch_stats"])
    )(variables)
    for first, second in zip(
        jax.tree.leaves(untouched), jax.tree.leaves(variables["batch_stats"]), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_st_gcn_exports_with_any_batch_size_and_without_gathers(variables):
    module = STGCN(**SMALL, motion=True)
    (batch,) = jax.export.symbolic_shape("batch")
    shapes = [
        jax.ShapeDtypeStruct((batch, *array.shape[1:]), array.dtype) for array in (FRAMES, LANDMARKS, VALID)
    ]
    apply = jax.jit(
        lambda v, frames, points, valid: module.apply(v, Clip(frames, landmarks=points, valid=valid))
    )
    exported = jax.export.export(apply, platforms=("cpu", "tpu"))(variables, *shapes)
    assert not re.search(r"stablehlo\.\w*gather", exported.mlir_module())


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("points", EDGES)
def test_every_graph_and_partition_builds_at_full_size(points, partition):
    module = STGCN(points=points, partition=partition, motion=points == 81)
    (logit, _), _ = jax.eval_shape(
        lambda: module.init_with_output(jax.random.key(0), Clip(FRAMES, landmarks=LANDMARKS))
    )
    assert logit.shape == (3,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 70}, "points=70.*68, 81"),
        ({"partition": "radial"}, "'radial'.*spatial"),
        ({"dtype": "float16"}, "'float16'.*bfloat16"),
        ({"kernel": 4}, "kernel=4"),
        ({"widths": (4,)}, r"widths=\(4,\)"),
        ({"dropout": 2.0}, "dropout=2.0"),
    ],
)
def test_wrong_options_of_st_gcn_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        STGCN(**options)


def test_missing_or_too_few_landmarks_are_named():
    with pytest.raises(ValueError, match="needs landmarks"):
        jax.eval_shape(STGCN(**SMALL).init, jax.random.key(0), Clip(FRAMES))
    with pytest.raises(ValueError, match="points=81 got 68"):
        jax.eval_shape(
            lambda: STGCN(**SMALL).init(jax.random.key(0), Clip(FRAMES, landmarks=LANDMARKS[:, :, :68]))
        )
