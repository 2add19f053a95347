"""What the tests share that compare a backbone with an independent torch implementation."""

import math

import flax
import jax
import jax.numpy as jnp
import numpy as np
import torch

from tests.models.published.parity import assert_no_kink_near

# Leaves of our trees that are batch statistics, not parameters.
STATISTICS = ("mean", "var")


@torch.no_grad()
def randomise(module: torch.nn.Module) -> torch.nn.Module:
    """Weights far from their initial values, so that every part moves the result; float64, in evaluation mode.

    Running statistics are those of random images, a little off: they keep signals of one size through deep nets.
    """
    torch.manual_seed(0)
    for name, value in module.named_parameters():
        if value.squeeze().ndim > 1:
            value.normal_(std=1 / math.sqrt(value[0].numel()))
        else:
            norm_scale = name.endswith("weight") and "grn" not in name
            value.normal_(mean=1.0 if norm_scale else 0.0, std=0.3)
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
    module.train()(torch.randn(8, 3, 48, 48))
    for layer in norms:
        layer.running_mean += torch.randn(layer.num_features) * 0.3 * layer.running_var.sqrt()
        layer.running_var *= torch.empty(layer.num_features).uniform_(0.7, 1.5)
    return module.double().eval()


class Weights:
    """A torch module's state, taken entry by entry in our layout; `variables` refuses if any is left over."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.left = {
            name: value.detach().numpy().astype(np.float32)
            for name, value in module.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }

    def take(self, name):
        return self.left.pop(name)

    def kernel(self, name):
        """[h, w, in, out], or [h, w, channels] of a depthwise convolution."""
        return self.take(f"{name}.weight").transpose(2, 3, 1, 0)

    def conv(self, name):
        return {"kernel": self.kernel(name), "bias": self.take(f"{name}.bias")}

    def depthwise(self, name):
        return self.kernel(name)[:, :, 0]

    def dense(self, name):
        """Of a linear layer or a 1x1 convolution, with bias."""
        weight = self.take(f"{name}.weight")
        return {"kernel": weight.reshape(weight.shape[:2]).T, "bias": self.take(f"{name}.bias")}

    def norm(self, name):
        """Of a layer norm, or of a batch norm with its statistics."""
        norm = {"scale": self.take(f"{name}.weight"), "bias": self.take(f"{name}.bias")}
        if f"{name}.running_mean" in self.left:
            norm |= {"mean": self.take(f"{name}.running_mean"), "var": self.take(f"{name}.running_var")}
        return norm

    def conv_norm(self, conv, norm):
        return {"kernel": self.kernel(conv), "norm": self.norm(norm)}

    def variables(self, tree):
        """The collections of a nested tree of parameters and statistics."""
        assert not self.left, sorted(self.left)
        flat = flax.traverse_util.flatten_dict(tree)
        collections = {
            "params": {path: leaf for path, leaf in flat.items() if path[-1] not in STATISTICS},
            "batch_stats": {path: leaf for path, leaf in flat.items() if path[-1] in STATISTICS},
        }
        return {
            name: flax.traverse_util.unflatten_dict(leaves) for name, leaves in collections.items() if leaves
        }


def assert_parity(model, variables, reference, size):
    """Equal features, maps and input gradients, to 1e-4 of each one's largest value.

    `reference` gives the features and the list of maps of a batch of torch images.
    """
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)

    def reference_gradient(images):
        x = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
        features, _ = reference(x)
        (features**2).sum().backward()
        return x.grad.numpy().transpose(0, 2, 3, 1)

    wide = images.astype(np.float64)
    assert_no_kink_near(reference_gradient, wide)
    expected, expected_maps = reference(torch.tensor(wide.transpose(0, 3, 1, 2)))

    variables = jax.tree.map(jnp.asarray, variables)

    def loss(images):
        features, maps = model.apply(variables, images)
        return (features**2).sum(), (features, maps)

    shapes = jax.tree.map(jnp.shape, variables)
    init = jax.eval_shape(model.init, jax.random.key(0), images)
    assert shapes == jax.tree.map(jnp.shape, init)
    gradient, (features, maps) = jax.jit(jax.grad(loss, has_aux=True))(images)
    assert len(maps) == len(expected_maps)
    _assert_close(features, expected.detach().numpy())
    for got, want in zip(maps, expected_maps, strict=True):
        _assert_close(got, want.permute(0, 2, 3, 1).detach().numpy())
    _assert_close(gradient, reference_gradient(wide))


def _assert_close(got, want):
    scale = abs(want).max()
    assert scale > 1e-3
    assert got.shape == want.shape
    assert abs(want - want[:1]).max() > 1e-2 * scale  # the images do matter
    error = abs(got - want).max() / scale
    print(f"largest error {error:.1e} of {scale:.3g}, shape {want.shape}")
    assert error < 1e-4


def parameters_with_head(model, classes=1000):
    """Number of parameters of a backbone and a linear layer behind it, without compiling anything."""
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    (features, _), variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    trunk = count(variables["params"])
    return trunk + (features.shape[-1] + 1) * classes


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
