"""Torch networks with random weights, their weights as our trees, and the comparison of the two."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch import nn

from fakedetect_jax.models.clip import Clip

# The other tests compile quickly at a price: without optimisation jax 0.11 has a gradient's norm off by 2e-5 between
# one device and eight; so has jax 0.10 by 4e-5 with the older emitter of fused loops, and MesoNet's gradient wrong.
EXACT = {"xla_backend_optimization_level": 3} | (
    {"xla_cpu_use_fusion_emitters": True} if jax.version.__version_info__ < (0, 11) else {}
)


def randomised(module, seed=0, gain=2**0.5):
    """Weights, norms' scales, biases and statistics away from where training starts; float64, for evaluation."""
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, spread, mean=0.0):
        tensor.copy_(mean + spread * torch.randn(tensor.shape, generator=generator))

    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                normal(part.running_mean, 0.3)
                part.running_var.copy_(0.5 + torch.rand(part.running_var.shape, generator=generator))
            is_norm = isinstance(part, nn.modules.batchnorm._BatchNorm | nn.LayerNorm)
            for name, parameter in part.named_parameters(recurse=False):
                if parameter.ndim > 1:
                    normal(parameter, gain / math.sqrt(parameter[0].numel()))
                else:
                    normal(parameter, 0.2, mean=1.0 if is_norm and name == "weight" else 0.0)
    return module.double().eval()


class Weights:
    """A torch network's weights, handed out by name in our layout, each once."""

    def __init__(self, module):
        self.left = {
            name: value.detach().numpy().astype(np.float32)
            for name, value in module.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }

    def conv(self, name):
        """Kernel (and bias) of a convolution in two or three dimensions."""
        return self._with_bias(name, np.moveaxis(self.left.pop(f"{name}.weight"), (1, 0), (-2, -1)))

    def dense(self, name):
        return self._with_bias(name, self.left.pop(f"{name}.weight").T)

    def dense_on_map(self, name, height, width):
        """A dense layer on a map that torch flattens as channels, height, width and we as height, width, channels."""
        weight = self.left.pop(f"{name}.weight")
        out = weight.shape[0]
        kernel = weight.reshape(out, -1, height, width).transpose(2, 3, 1, 0).reshape(-1, out)
        return self._with_bias(name, kernel)

    def norm(self, name):
        """Scale and bias of a norm."""
        return {"scale": self.left.pop(f"{name}.weight"), "bias": self.left.pop(f"{name}.bias")}

    def statistics(self, name):
        return {"mean": self.left.pop(f"{name}.running_mean"), "var": self.left.pop(f"{name}.running_var")}

    def conv_norms(self, names):
        """Variables of `ConvNorm`s: {our path: (torch's convolution, torch's batch norm)}."""
        variables = {"params": {}, "batch_stats": {}}
        for path, (conv, norm) in names.items():
            put(variables["params"], path, self.conv(conv) | {"norm": self.norm(norm)})
            put(variables["batch_stats"], path, {"norm": self.statistics(norm)})
        return variables

    def _with_bias(self, name, kernel):
        bias = self.left.pop(f"{name}.bias", None)
        return {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}


def put(tree, path, value):
    *parents, last = path.split("/")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = value


def assert_no_kink_near(gradient, x, disturbance=3e-7, draws=6):
    """Asserts that a float64 `gradient` is smooth around `x`: that another order of sums cannot change it much.

    A ReLU whose input is zero but for rounding, or a maximum of two values that are equal but for rounding, passes
    its gradient on or not as the last bit falls, and every processor rounds in its own way. The test then needs
    another example, not another tolerance. `disturbance` is some times what float32 rounds off values near 1.
    """
    at, rng = gradient(x), np.random.default_rng(0)
    for _ in range(draws):
        beside = gradient(x + disturbance * rng.normal(size=x.shape))
        jump = abs(beside - at).max() / abs(at).max()
        assert jump < 1e-4, (
            f"a kink lies next to this example: its gradient jumps by {jump:.0e}; take another"
        )


def assert_parity(model, variables, reference, frames):
    """The clip's logit and its gradient by the frames, within 1e-4 of their scale; returns what is beside the logit."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), Clip(frames))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, shapes)

    def reference_gradient(frames):
        x = torch.tensor(frames, requires_grad=True)
        (reference(x) ** 2).sum().backward()
        return x.grad.numpy()

    wide = np.asarray(frames, np.float64)
    assert_no_kink_near(reference_gradient, wide)
    expected = reference(torch.tensor(wide)).detach().numpy()
    expected_gradient = reference_gradient(wide)

    @functools.partial(jax.jit, compiler_options=EXACT)
    def gradient(variables, frames):
        def loss(frames):
            logit, out = model.apply(variables, Clip(frames))
            return (logit**2).sum(), (logit, out)

        return jax.grad(loss, has_aux=True)(frames)

    got, (logit, out) = gradient(variables, frames)
    scale = max(abs(expected).max(), 1.0)
    # Clips that differ by no more than ten tolerances would prove nothing.
    assert np.ptp(expected) > 1e-3 * scale
    np.testing.assert_allclose(logit, expected, atol=1e-4 * scale, rtol=0)
    largest = abs(expected_gradient).max()
    np.testing.assert_allclose(got, expected_gradient, atol=1e-4 * largest, rtol=0)
    errors = abs(logit - expected).max() / scale, abs(got - expected_gradient).max() / largest
    print(f"{type(model).__name__}: logit {errors[0]:.1e}, gradient {errors[1]:.1e}")
    return out


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def clips(b, t, size, seed=0):
    """Random frames of different colours, so that means over space and time still differ from clip to clip."""
    rng = np.random.default_rng(seed)
    colours = rng.random((b, t, 1, 1, 3))
    return ((colours + rng.random((b, 1, 1, 1, 3)) + rng.random((b, t, size, size, 3))) / 3).astype(
        np.float32
    )


def random_variables(model, frames, seed=0, **inputs):
    """Variables away from where training starts, without compiling `init`."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name = path[-1].key
        if name in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        spread = math.sqrt(2 / math.prod(leaf.shape[:-1])) if name == "kernel" else 0.2
        return rng.normal(0, spread, leaf.shape).astype(np.float32)

    shapes = jax.eval_shape(model.init, jax.random.key(0), Clip(frames, **inputs))
    return jax.tree_util.tree_map_with_path(draw, shapes)


def channels_first(frames, statistics=((0.0,) * 3, (1.0,) * 3)):
    """[b, t, h, w, 3] to normalised [b, 3, t, h, w]."""
    mean, std = (torch.tensor(values, dtype=frames.dtype) for values in statistics)
    return ((frames - mean) / std).permute(0, 4, 1, 2, 3)
