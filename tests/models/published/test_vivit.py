"""ViViT: model 1 against transformers' VivitForVideoClassification, the others against plain torch; sizes; masks."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from transformers import VivitConfig, VivitForVideoClassification

from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published.vivit import VARIANTS, ViViT
from fakedetect_jax.models.published.vivit_encoders import ENCODERS

SMALL = {"layers": 1, "heads": 2, "dim": 16, "temporal_layers": 1, "mlp_ratio": 2, "tubelet": (2, 4, 4)}
PLACES = 6  # of frames of 8 x 12 px

FRAMES = np.random.default_rng(0).uniform(size=(3, 6, 8, 12, 3)).astype(np.float32)
# The second clip has a tubelet with one valid frame and one without any.
VALID = np.array([[1, 1, 1, 1, 1, 1], [0, 1, 0, 0, 1, 1], [1, 1, 1, 1, 0, 0]], bool)


def _random_variables(module, frames, seed=1):
    """Parameters away from their initial values, in which positions or norms could hide."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), Clip(frames))

    def draw(path, leaf):
        name = path[-1].key
        if name == "scale":
            return 1 + 0.3 * rng.normal(size=leaf.shape).astype(np.float32)
        spread = 0.25 if name == "kernel" else 0.3
        return spread * rng.normal(size=leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def _assert_equal_to_torch(module, variables, reference):
    """Logits and the gradient of a weighted sum of them to the frames, ours and torch's."""
    weights = np.array([1.0, -2.0, 0.5], np.float32)
    given = torch.from_numpy(FRAMES).requires_grad_()
    expected = reference(given)
    (expected * torch.from_numpy(weights)).sum().backward()
    logit, pull = jax.vjp(jax.jit(lambda f: module.apply(variables, Clip(f))[0]), jnp.asarray(FRAMES))
    np.testing.assert_allclose(logit, expected.detach(), atol=1e-4)
    gradient = pull(jnp.asarray(weights))[0]
    assert float(given.grad.abs().max()) > 1e-3
    np.testing.assert_allclose(gradient, given.grad, atol=1e-4 * max(1, float(given.grad.abs().max())))


def _from_transformers(model, heads):
    """Transformers' parameters as our tree; every one of them is used exactly once."""
    left = {name: value.detach().numpy() for name, value in model.state_dict().items()}

    def dense(name):
        return {"kernel": left.pop(f"{name}.weight").T, "bias": left.pop(f"{name}.bias")}

    def norm(name):
        return {"scale": left.pop(f"{name}.weight"), "bias": left.pop(f"{name}.bias")}

    def part(name):
        given = dense(name)
        return {
            "kernel": given["kernel"].reshape((len(given["kernel"]), heads, -1)),
            "bias": given["bias"].reshape((heads, -1)),
        }

    def out(name):
        given = dense(name)
        return {
            "kernel": given["kernel"].reshape((heads, -1, given["kernel"].shape[1])),
            "bias": given["bias"],
        }

    encoder = {
        "class_token": left.pop("vivit.embeddings.cls_token"),
        "position": left.pop("vivit.embeddings.position_embeddings")[0],
        "norm": norm("vivit.layernorm"),
    }
    for index in range(model.config.num_hidden_layers):
        prefix = f"vivit.layers.{index}"
        encoder[f"block{index}"] = {
            "attention_norm": norm(f"{prefix}.layernorm_before"),
            "attention": {
                "query": part(f"{prefix}.attention.q_proj"),
                "key": part(f"{prefix}.attention.k_proj"),
                "value": part(f"{prefix}.attention.v_proj"),
                "out": out(f"{prefix}.attention.o_proj"),
            },
            "mlp_norm": norm(f"{prefix}.layernorm_after"),
            "expand": dense(f"{prefix}.mlp.fc1"),
            "project": dense(f"{prefix}.mlp.fc2"),
        }
    embed = "vivit.embeddings.patch_embeddings.projection"
    params = {
        "tubelets": {
            "kernel": left.pop(f"{embed}.weight").transpose(2, 3, 4, 1, 0),
            "bias": left.pop(f"{embed}.bias"),
        },
        "encoder": {"encoder": encoder},
        "head": dense("classifier"),
    }
    assert not left
    return {"params": params}


def test_model_1_equals_transformers():
    torch.manual_seed(0)
    config = VivitConfig(
        image_size=(8, 12),
        num_frames=6,
        tubelet_size=[2, 4, 4],
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,
    )
    reference = VivitForVideoClassification(config).eval()
    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            drawn = torch.randn_like(parameter) * 0.25
            parameter.copy_(drawn + 1 if "norm" in name and name.endswith("weight") else drawn)
    module = ViViT("spacetime", **SMALL | {"layers": 2})
    _assert_equal_to_torch(
        module,
        _from_transformers(reference, heads=2),
        lambda frames: reference(2 * frames.permute(0, 1, 4, 2, 3) - 1).logits[:, 0],
    )


class _Plain:
    """Models 2 to 4 in plain torch, from our tree of parameters."""

    def __init__(self, params):
        self.params = {
            "/".join(key.key for key in path): torch.from_numpy(np.asarray(leaf))
            for path, leaf in jax.tree_util.tree_leaves_with_path(params)
        }
        self.heads = SMALL["heads"]

    def dense(self, x, name):
        return x @ self.params[f"{name}/kernel"] + self.params[f"{name}/bias"]

    def norm(self, x, name):
        scale, bias = self.params[f"{name}/scale"], self.params[f"{name}/bias"]
        return torch.nn.functional.layer_norm(x, x.shape[-1:], scale, bias, 1e-6)

    def project(self, x, name):
        """[..., n, d] to [..., heads, n, d / heads]."""
        kernel, bias = self.params[f"{name}/kernel"], self.params[f"{name}/bias"]
        return torch.einsum("...nd,dhe->...hne", x, kernel) + bias[:, None]

    def out(self, x, name):
        return (
            torch.einsum("...hne,hed->...nd", x, self.params[f"{name}/kernel"]) + self.params[f"{name}/bias"]
        )

    def attend(self, x, name):
        query, key, value = (self.project(x, f"{name}/{part}") for part in ("query", "key", "value"))
        return self.out(_softmax_attention(query, key, value), f"{name}/out")

    def mlp(self, x, name):
        y = torch.nn.functional.gelu(
            self.dense(self.norm(x, f"{name}/mlp_norm"), f"{name}/expand"), approximate="tanh"
        )
        return x + self.dense(y, f"{name}/project")

    def tokens(self, frames):
        kernel = self.params["tubelets/kernel"].permute(4, 3, 0, 1, 2)
        clips = 2 * frames.permute(0, 4, 1, 2, 3) - 1
        x = torch.nn.functional.conv3d(clips, kernel, self.params["tubelets/bias"], stride=kernel.shape[2:])
        return x.flatten(3).permute(0, 2, 3, 1)

    def encoder(self, x, name, layers):
        x = torch.cat([self.params[f"{name}/class_token"].expand(len(x), 1, -1), x], dim=1)
        x = x + self.params[f"{name}/position"]
        for index in range(layers):
            block = f"{name}/block{index}"
            x = x + self.attend(self.norm(x, f"{block}/attention_norm"), f"{block}/attention")
            x = self.mlp(x, block)
        return self.norm(x, f"{name}/norm")[:, 0]

    def factorised_encoder(self, x):
        b, t = x.shape[:2]
        x = self.encoder(x.flatten(0, 1), "encoder/spatial", SMALL["layers"])
        return self.encoder(x.reshape(b, t, -1), "encoder/temporal", SMALL["temporal_layers"])

    def factorised_self_attention(self, x):
        x = x + self.params["encoder/position"]
        for index in range(SMALL["layers"]):
            block = f"encoder/block{index}"
            x = x + self.attend(self.norm(x, f"{block}/space_attention_norm"), f"{block}/space_attention")
            y = self.norm(x, f"{block}/time_attention_norm").transpose(1, 2)
            x = x + self.attend(y, f"{block}/time_attention").transpose(1, 2)
            x = self.mlp(x, block)
        return self.norm(x, "encoder/norm").mean(dim=(1, 2))

    def factorised_dot_product(self, x):
        x = x + self.params["encoder/position"]
        for index in range(SMALL["layers"]):
            block = f"encoder/block{index}"
            y = self.norm(x, f"{block}/attention_norm")
            heads = []
            for head in range(self.heads):
                over_time = head < self.heads // 2
                parts = [
                    self.project(y.transpose(1, 2) if over_time else y, f"{block}/attention/{part}")[
                        :, :, head
                    ]
                    for part in ("query", "key", "value")
                ]
                z = _softmax_attention(*parts)
                heads.append(z.transpose(1, 2) if over_time else z)
            x = x + self.out(torch.stack(heads, dim=2), f"{block}/attention/out")
            x = self.mlp(x, block)
        return self.norm(x, "encoder/norm").mean(dim=(1, 2))


def _softmax_attention(query, key, value):
    return torch.softmax(query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5, dim=-1) @ value


@pytest.mark.parametrize("attention", [name for name in ENCODERS if name != "spacetime"])
def test_models_2_to_4_equal_plain_torch(attention):
    module = ViViT(attention, **SMALL)
    variables = _random_variables(module, FRAMES)
    plain = _Plain(variables["params"])

    def reference(frames):
        return plain.dense(getattr(plain, attention)(plain.tokens(frames)), "head")[:, 0]

    _assert_equal_to_torch(module, variables, reference)


@pytest.mark.parametrize("attention", ENCODERS)
def test_invalid_frames_never_count_and_clips_do_not_mix(attention):
    module = ViViT(attention, **SMALL)
    variables = _random_variables(module, FRAMES)
    call = jax.jit(lambda frames, valid: module.apply(variables, Clip(frames, valid=valid)))
    logit, out = call(FRAMES, VALID)
    assert logit.shape == (3,)
    assert out["frame_logit"].shape == (3, 6)
    assert out["features"].shape == (3, 16)
    garbage = np.where(VALID[..., None, None, None], FRAMES, 30)
    got, got_out = call(garbage, VALID)
    np.testing.assert_allclose(got, logit, atol=1e-6)
    np.testing.assert_allclose(got_out["frame_logit"], out["frame_logit"], atol=1e-6)
    assert float(abs(call(garbage, np.ones_like(VALID))[0] - logit)[1:].max()) > 1e-2
    # Of the second clip's steps only the middle one has no frame; what all-valid clips give is not touched by masks.
    np.testing.assert_allclose(logit[0], call(FRAMES, np.ones_like(VALID))[0][0], atol=1e-5)

    order = np.array([2, 0, 1])
    np.testing.assert_allclose(call(FRAMES[order], VALID[order])[0], logit[order], atol=1e-5)
    none, none_out = call(FRAMES, np.zeros_like(VALID))
    assert np.isfinite(none).all()
    assert np.isfinite(none_out["frame_logit"]).all()


@pytest.mark.parametrize("attention", ["factorised_encoder", "factorised_dot_product"])
def test_half_precision_is_close(attention):
    module, half = (ViViT(attention, **SMALL, dtype=dtype) for dtype in ("float32", "bfloat16"))
    # Not the first draw: with it, rounding the parameters alone moves the factorised encoder's features by 1 %.
    variables = _random_variables(module, FRAMES, seed=2)
    (_, expected), (logit, got) = (jax.jit(m.apply)(variables, Clip(FRAMES)) for m in (module, half))
    assert logit.dtype == jnp.float32
    scale = float(abs(expected["features"]).max())
    np.testing.assert_allclose(got["features"], expected["features"], atol=2e-2 * scale)


@pytest.mark.parametrize("attention", ["spacetime", "factorised_encoder"])
def test_steps_at_the_end_without_frames_equal_a_shorter_clip(attention):
    module = ViViT(attention, **SMALL)
    variables = _random_variables(module, FRAMES)
    valid = np.zeros((3, 6), bool)
    valid[:, :4] = True
    expected = jax.jit(module.apply)(variables, Clip(FRAMES, valid=valid))[0]
    encoder = variables["params"]["encoder"]
    part, kept = ("encoder", 1 + 2 * PLACES) if attention == "spacetime" else ("temporal", 3)
    encoder[part]["position"] = encoder[part]["position"][:kept]
    got = jax.jit(module.apply)(variables, Clip(FRAMES[:, :4]))[0]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("attention", ["factorised_self_attention", "factorised_dot_product"])
def test_the_clip_logit_is_the_mean_of_the_frames_of_models_without_a_class_token(attention):
    module = ViViT(attention, **SMALL)
    logit, out = jax.jit(module.apply)(_random_variables(module, FRAMES), Clip(FRAMES))
    np.testing.assert_allclose(out["frame_logit"].mean(axis=1), logit, atol=1e-5)


@pytest.mark.parametrize(
    ("attention", "rate"), [("spacetime", "drop_path"), ("factorised_dot_product", "dropout")]
)
def test_dropout_and_stochastic_depth_act_in_training_alone(attention, rate):
    # Stochastic depth of a single block would be that of the first, which is never dropped.
    module = ViViT(attention, **SMALL | {"layers": 2}, **{rate: 0.5})
    variables = _random_variables(module, FRAMES)
    train = jax.jit(lambda key: module.apply(variables, Clip(FRAMES), train=True, rngs={"dropout": key})[0])
    first, second = (train(jax.random.key(seed)) for seed in (0, 1))
    assert float(abs(first - second).max()) > 1e-3


@pytest.mark.parametrize("attention", ENCODERS)
def test_vivit_exports_with_any_batch_size_and_without_gathers(attention):
    module = ViViT(attention, **SMALL)
    variables = jax.eval_shape(module.init, jax.random.key(0), Clip(FRAMES))
    (batch,) = jax.export.symbolic_shape("batch")
    shapes = [jax.ShapeDtypeStruct((batch, *array.shape[1:]), array.dtype) for array in (FRAMES, VALID)]
    apply = jax.jit(lambda variables, frames, valid: module.apply(variables, Clip(frames, valid=valid)))
    exported = jax.export.export(apply, platforms=("cpu", "tpu"))(variables, *shapes)
    assert not re.search(r"stablehlo\.\w*gather", exported.mlir_module())


def _count(module, frames=32, size=224):
    clip = jax.ShapeDtypeStruct((1, frames, size, size, 3), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), Clip(clip))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def test_parameter_counts_with_400_classes_are_those_of_b_16x2():
    classes = 399 * (768 + 1)  # beyond our one logit
    block = 12 * 768**2 + 13 * 768
    embed = 2 * 16 * 16 * 3 * 768 + 768
    head = 401 * 768 - 768 + 400
    tokens = 16 * 14 * 14
    by_hand = {
        "spacetime": embed + (2 + tokens) * 768 + 12 * block + 2 * 768 + head,
        "factorised_encoder": embed + (2 + 196 + 2 + 16) * 768 + 16 * block + 4 * 768 + head,
        "factorised_self_attention": embed
        + tokens * 768
        + 12 * (block + 4 * 768**2 + 6 * 768)
        + 2 * 768
        + head,
        "factorised_dot_product": embed + tokens * 768 + 12 * block + 2 * 768 + head,
    }
    counts = {name: _count(ViViT(name)) + classes for name in ENCODERS}
    assert counts == by_hand
    assert counts["spacetime"] == 88_954_000
    assert counts["factorised_encoder"] == 115_062_928
    with torch.device("meta"):
        reference = VivitForVideoClassification(VivitConfig(num_frames=32, num_labels=400))
    assert counts["spacetime"] == sum(parameter.numel() for parameter in reference.parameters())


@pytest.mark.parametrize(("variant", "attention"), list(zip(VARIANTS, ENCODERS, strict=True)))
def test_every_variant_builds(variant, attention):
    assert _count(ViViT(attention, variant, tubelet=(4, 16, 16), dtype="bfloat16"), 8, 32) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "axial"}, "'axial'.*factorised_dot_product"),
        ({"variant": "giant"}, "'giant'.*large"),
        ({"dtype": "float16"}, "'float16'.*bfloat16"),
        ({"heads": 5}, "dim=768 must be a multiple of heads=5"),
        ({"heads": 3, "attention": "factorised_dot_product"}, "heads=3 must be even"),
        ({"tubelet": (2, 16)}, r"tubelet=\(2, 16\)"),
        ({"dropout": 1.5}, "dropout=1.5"),
        ({"temporal_layers": 0}, "temporal_layers=0"),
    ],
)
def test_wrong_options_of_vivit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ViViT(**options)


def test_clips_that_do_not_fit_the_tubelet_are_refused():
    module = ViViT(**SMALL)
    with pytest.raises(ValueError, match="clip of 5 frames"):
        jax.eval_shape(module.init, jax.random.key(0), Clip(FRAMES[:, :5]))
    with pytest.raises(ValueError, match="smaller than tubelet"):
        jax.eval_shape(module.init, jax.random.key(0), Clip(FRAMES[:, :, :3]))
