"""A ViViT that begins as an image ViT, or as a published ViViT, against what transformers computes."""

import jax
import numpy as np
import pytest
import safetensors.numpy
import torch
from transformers import ViTConfig, ViTForImageClassification, VivitConfig, VivitForVideoClassification

from fakedetect_jax import models
from fakedetect_jax.models.clip import Clip
from fakedetect_jax.models.published.vivit_encoders import ENCODERS
from fakedetect_jax.weights import SOURCES, MismatchError, load_file, make_naming, read_tensors
from fakedetect_jax.weights.naming import flat_leaves
from fakedetect_jax.weights.start import start_from
from tests.models.published.parity import randomised

SIZE, PATCH, DIM, LAYERS = 32, 8, 16, 2
CONFIG = {
    "hidden_size": DIM,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 4 * DIM,
    "image_size": SIZE,
    "layer_norm_eps": 1e-6,
}


def vivit(attention, frames=2, size=SIZE):
    name = f"vivit_{attention}"
    options = {"layers": LAYERS, "heads": 2, "dim": DIM, "temporal_layers": 1, "tubelet": (2, PATCH, PATCH)}
    model = models.create(name, **options)
    return model, jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(frames, size))


def without_head(variables, shapes):
    """The features alone matter: the head starts as drawn, and is zero here."""
    head = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in shapes["params"]["head"].items()}
    return {"params": {**variables["params"], "head": head}}


@pytest.fixture(scope="module")
def image_vit(tmp_path_factory):
    """A ViT of transformers with random weights, and its file as transformers writes it."""
    config = ViTConfig(**CONFIG, patch_size=PATCH, hidden_act="gelu_pytorch_tanh")
    module = randomised(ViTForImageClassification(config))
    folder = tmp_path_factory.mktemp("vit")
    module.save_pretrained(folder)
    return module, folder / "model.safetensors"


def imported(source, path, shapes, **options):
    return load_file(shapes, path, make_naming(SOURCES[source], shapes), **options)


def test_one_step_of_model_1_is_the_image_model_on_the_central_frame(image_vit):
    module, path = image_vit
    model, shapes = vivit("spacetime")
    variables, report = imported("transformers", path, shapes, allow_missing=["head"])
    assert set(report.missing) == {"params/head/kernel", "params/head/bias"}
    frames = np.random.default_rng(0).random((3, 2, SIZE, SIZE, 3)).astype(np.float32)
    _, out = jax.jit(model.apply)(without_head(variables, shapes), Clip(frames))
    pixels = torch.tensor(frames[:, 1].transpose(0, 3, 1, 2), dtype=torch.float64) * 2 - 1
    with torch.no_grad():
        expected = module.vit(pixels).last_hidden_state[:, 0].numpy()
    assert np.ptp(expected, axis=0).max() > 0.1
    np.testing.assert_allclose(out["features"], expected, atol=1e-4)


@pytest.mark.parametrize("attention", ENCODERS)
def test_timm_and_transformers_files_of_one_model_fill_the_same_places(image_vit, attention, tmp_path):
    _, path = image_vit
    safetensors.numpy.save_file(as_timm(read_tensors(path)), tmp_path / "timm.safetensors")
    _, shapes = vivit(attention, frames=4)
    one, report = imported("transformers", path, shapes, allow_missing=["head"])
    other, _ = imported("timm", tmp_path / "timm.safetensors", shapes, allow_missing=["head"])
    one, other = flat_leaves(one), flat_leaves(other)
    for place in report.used:
        np.testing.assert_array_equal(one[place], other[place])
    # What looks along time alone is all that is left to be learned.
    in_time = [place for place in report.missing if "/head/" not in place]
    assert all("/temporal/" in place or "/time_attention" in place for place in in_time)
    assert bool(in_time) == (attention in ("factorised_encoder", "factorised_self_attention"))


def as_timm(tensors):
    """The state of transformers' ViT in timm's names."""
    renamed = {}
    for name, value in tensors.items():
        if not name.startswith("vit."):
            continue
        name = name.removeprefix("vit.").replace("encoder.layer.", "blocks.")
        for theirs, timm in (
            ("embeddings.cls_token", "cls_token"),
            ("embeddings.position_embeddings", "pos_embed"),
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("attention.output.dense", "attn.proj"),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("layernorm", "norm"),
        ):
            name = name.replace(theirs, timm)
        renamed[name] = value
    for layer in range(LAYERS):
        for leaf in ("weight", "bias"):
            parts = [
                renamed.pop(f"blocks.{layer}.attention.attention.{role}.{leaf}")
                for role in ("query", "key", "value")
            ]
            renamed[f"blocks.{layer}.attn.qkv.{leaf}"] = np.concatenate(parts)
    renamed["head.weight"] = np.zeros((10, DIM), np.float32)
    return renamed


def test_positions_are_stretched_to_frames_of_another_size(image_vit):
    _, shapes = vivit("factorised_dot_product", frames=4, size=48)
    variables, _ = imported("transformers", image_vit[1], shapes, allow_missing=["head"])
    position = variables["params"]["encoder"]["position"]
    assert position.shape == (2, 36, DIM)
    stored = read_tensors(image_vit[1])["vit.embeddings.position_embeddings"][0, 1:].reshape((4, 4, DIM))
    # Corners have no neighbours to be mixed with at half-pixel centres.
    np.testing.assert_allclose(position[0, [0, 5, 30, 35]], stored[[0, 0, 3, 3], [0, 3, 0, 3]], rtol=1e-5)
    _, flat = vivit("spacetime", frames=4, size=48)
    with pytest.raises(MismatchError, match=r"encoder/encoder/position is \[73, 16\]"):
        imported("transformers", image_vit[1], flat, allow_missing=["head"])


def test_a_vivit_of_transformers_is_taken_whole(tmp_path):
    config = VivitConfig(
        **CONFIG, tubelet_size=[2, PATCH, PATCH], num_frames=4, hidden_act="gelu_pytorch_tanh"
    )
    module = randomised(VivitForVideoClassification(config))
    module.save_pretrained(tmp_path)
    model, shapes = vivit("spacetime", frames=4)
    path = tmp_path / "model.safetensors"
    variables, _ = imported("transformers", path, shapes, allow_missing=["head"])
    frames = np.random.default_rng(0).random((3, 4, SIZE, SIZE, 3)).astype(np.float32)
    _, out = jax.jit(model.apply)(without_head(variables, shapes), Clip(frames))
    with torch.no_grad():
        pixels = torch.tensor(frames.transpose(0, 1, 4, 2, 3), dtype=torch.float64) * 2 - 1
        expected = module.vivit(pixels).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(out["features"], expected, atol=1e-4)


def test_a_training_starts_from_the_foreign_file(image_vit):
    _, shapes = vivit("factorised_encoder", frames=4)
    variables, report = start_from(shapes, str(image_vit[1]), "transformers")
    assert not isinstance(variables["params"]["tubelets"]["kernel"], jax.ShapeDtypeStruct)
    assert isinstance(variables["params"]["head"]["kernel"], jax.ShapeDtypeStruct)
    assert "params/encoder/temporal/norm/scale" in report.missing
