"""What bfloat16 must not touch, looked up in the programs themselves: softmax, residual streams, statistics, pixels."""

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

from fakedetect_jax import models
from fakedetect_jax.models.frequency import FREQUENCY
from fakedetect_jax.models.fusion import FUSIONS
from fakedetect_jax.models.published import PUBLISHED
from fakedetect_jax.models.published.vivit_encoders import ENCODERS
from fakedetect_jax.models.spatial import SPATIAL
from fakedetect_jax.models.temporal import TEMPORAL
from tests.models.published.tiny_models import TINY, tiny_model
from tests.models.test_combinations import SMALL_TEMPORAL, spatial

# Two clips: the bias of a dense layer on one would be of the shape of its result.
CLIP = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct((2, *leaf.shape[1:]), leaf.dtype), models.clip_shapes(4, 64)
)
# Sums over many values, and what turns them into statistics and weights.
SENSITIVE = ("exp", "log", "sqrt", "rsqrt", "reduce_sum", "cumsum")
# Batch norms keep the streams of these at one size.
NARROW_STREAMS = (
    *("resnet", "efficientnet", "xception"),
    *("resnext_lstm", "r2plus1d", "cnn3d", "ftcn", "m2tr", "st_gcn"),
)


def equations(jaxpr):
    """All equations, those of inner programs too, each with what made the variables of its program."""
    made_by = {variable: equation for equation in jaxpr.eqns for variable in equation.outvars}
    for equation in jaxpr.eqns:
        yield equation, made_by
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def program_of(model):
    """The traced training forward pass of a bfloat16 model."""
    variables = jax.eval_shape(model.init, jax.random.key(0), CLIP)

    def train(variables, clip):
        rngs = {"dropout": jax.random.key(0)}
        return model.apply(variables, clip, train=True, rngs=rngs, mutable=["batch_stats"])

    return jax.make_jaxpr(train)(variables, CLIP).jaxpr


def is_narrow(variable):
    return variable.aval.dtype == jnp.bfloat16


def is_residual(equation, made_by):
    """Whether two values of one shape are added, of which none is a broadcast bias or the cube within a GELU."""
    shape = equation.outvars[0].aval.shape
    if equation.primitive.name != "add" or len(shape) < 2:
        return False
    if any(variable.aval.shape != shape for variable in equation.invars):
        return False
    makers = [made_by.get(variable) for variable in equation.invars]
    for maker in filter(None, makers):
        before = [made_by.get(v) for v in maker.invars if not isinstance(v, jax.extend.core.Literal)]
        names = {m.primitive.name for m in (maker, *filter(None, before))}
        if maker.primitive.name == "broadcast_in_dim" or "integer_pow" in names:
            return False
    return True


def narrow_operations(program):
    """Names of the sensitive operations on bfloat16, and the shapes of residual additions in it."""
    sensitive, residuals = [], []
    for equation, made_by in equations(program):
        if any(is_narrow(v) for v in equation.invars if hasattr(v.aval, "dtype")):
            if equation.primitive.name in SENSITIVE:
                sensitive.append(equation.primitive.name)
            if is_residual(equation, made_by):
                residuals.append(equation.outvars[0].aval.shape)
    return sensitive, residuals


def detector(**parts):
    return models.create("detector", **parts, dtype="bfloat16")


DETECTORS = {
    **{name: {"spatial": spatial(name)} for name in SPATIAL},
    **{
        f"temporal {name}": {
            "spatial": spatial("convnext"),
            "temporal": {"name": name, **SMALL_TEMPORAL.get(name, {})},
        }
        for name in TEMPORAL
    },
    **{
        f"fusion {name}": {
            "spatial": spatial("convnext"),
            "frequency": {},
            "motion": {},
            "fusion": name,
            "mask": {},
        }
        for name in FUSIONS
    },
}
DETECTORS |= {f"frequency {name}": {"frequency": {"name": name}} for name in FREQUENCY}
VIVITS = {"layers": 1, "heads": 2, "dim": 8, "temporal_layers": 1}
BUILDERS = {
    **{name: lambda parts=parts: detector(**parts) for name, parts in DETECTORS.items()},
    **{name: lambda name=name: tiny_model(name, dtype="bfloat16") for name in TINY},
    **{
        f"vivit {name}": lambda name=name: PUBLISHED["vivit"](attention=name, dtype="bfloat16", **VIVITS)
        for name in ENCODERS
    },
    "st_gcn": lambda: PUBLISHED["st_gcn"](widths=(8, 8), strides=(1, 2), dtype="bfloat16"),
}


# Their first convolutions are up to a quarter of all operations.
ROUNDED_PIXELS = ("c3d", "i3d", "meso4", "meso_inception4")


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "st_gcn"])
def test_pixels_enter_in_float32(name):
    rounded = [
        equation.invars[0].aval.shape
        for equation, _ in equations(program_of(BUILDERS[name]()))
        if equation.primitive.name == "convert_element_type"
        and is_narrow(equation.outvars[0])
        and equation.invars[0].aval.size >= np.prod(CLIP.frames.shape)
        and equation.invars[0].aval.shape[-1] in (3, 4)
    ]
    assert bool(rounded) == (name in ROUNDED_PIXELS), rounded


@pytest.mark.parametrize("name", BUILDERS)
def test_softmax_statistics_and_streams_are_float32(name):
    sensitive, residuals = narrow_operations(program_of(BUILDERS[name]()))
    assert not sensitive
    assert bool(residuals) == (name in NARROW_STREAMS), residuals


def test_the_search_finds_what_it_looks_for():
    def narrow(x):
        y = jax.nn.softmax(x) + x
        return (y * jax.lax.rsqrt(x)).sum(dtype=jnp.bfloat16) + (jax.nn.gelu(x) + jnp.ones(4, x.dtype)).max()

    found = narrow_operations(jax.make_jaxpr(narrow)(jnp.ones((3, 4), jnp.bfloat16)).jaxpr)
    assert {"exp", "rsqrt"} <= set(found[0])
    assert found[1] == [(3, 4)]
