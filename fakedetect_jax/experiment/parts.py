"""The model, the inputs, the optimizer, the train step and the first state that a config describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import optax
from flax import linen as nn
from jax.sharding import Mesh

from fakedetect_jax import models, parallel
from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.config import Config, model_options
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.training import inputs
from fakedetect_jax.training.inputs import MakeInputs
from fakedetect_jax.training.optimizer import adamw, learning_rate_schedule, without
from fakedetect_jax.training.state import TrainState, create_state, state_shapes
from fakedetect_jax.training.step import make_train_step
from fakedetect_jax.weights.start import start_from


def make_model(config: Config) -> nn.Module:
    """Return the model that `config.model` describes."""
    return models.create(config.model.name, **model_options.resolve(config))


def make_recipe(config: Config) -> SelfBlendRecipe:
    """Return the augmentation recipe of `config.input`; lists, as JSON and the command line give, become tuples."""
    recipe = {name: _hashable(value) for name, value in config.input.recipe.items()}
    return SelfBlendRecipe(size=config.clip.size, **recipe)


def make_inputs(config: Config, *, validation: bool = False) -> MakeInputs:
    """Return the function that turns a loaded batch into examples, in training or in validation."""
    if (config.validation if validation else config.input).fakes == "self_blend":
        return inputs.self_blended(make_recipe(config))
    if validation:
        return inputs.cropped(size=config.clip.size, margin=config.clip.margin)
    return inputs.augmented(make_recipe(config))


def make_schedule(config: Config) -> optax.Schedule:
    """Return the learning rate by step."""
    options = config.optimizer
    return learning_rate_schedule(
        options.learning_rate, warmup_steps=options.warmup_steps, steps=config.train.steps
    )


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Return the optimizer, which leaves the frozen parts of the model alone."""
    options = config.optimizer
    optimizer = adamw(
        make_schedule(config),
        weight_decay=options.weight_decay,
        clip_norm=options.clip_norm,
        b1=options.b1,
        b2=options.b2,
    )
    return without(optimizer, tuple(config.model.options.get("frozen", ())))


def make_step(config: Config, model: nn.Module, optimizer: optax.GradientTransformation) -> Callable:
    """Return the train step, not yet compiled.

    Raises:
        FakedetectError: `train.mask_weight` is set without fakes that have masks or without a model that predicts
            them, or `train.method_weight` without methods or without recorded fakes.
    """
    methods = tuple(config.model.options.get("methods", ()))
    _check_losses(config, methods)
    return make_train_step(
        model,
        optimizer,
        make_schedule(config),
        make_inputs(config),
        seed=config.seed,
        ema_decay=config.optimizer.ema_decay,
        frame_weight=config.train.frame_weight,
        mask_weight=config.train.mask_weight,
        method_weight=config.train.method_weight,
        methods=methods,
    )


def make_state(config: Config, model: nn.Module, optimizer: optax.GradientTransformation) -> TrainState:
    """Return the state before the first step: random weights, or those that `config.model.init_from` names.

    Raises:
        WeightsError: the weights do not fit, or cannot be had; names which, and the remedy.
    """
    clip = config.clip
    state = create_state(model, optimizer, seed=config.seed, frames=clip.frames, size=clip.size)
    if not config.model.init_from:
        return state
    variables, report = start_from(state.evaluated, config.model.init_from, config.model.init_source)
    if jax.process_index() == 0:
        print(f"{config.model.init_from}: {report.describe()}")
    return state.begin_from(variables)


def state_template(
    config: Config, model: nn.Module, optimizer: optax.GradientTransformation, mesh: Mesh
) -> TrainState:
    """Return the shapes of `make_state` on every device, to restore a checkpoint onto; needs no weights."""
    clip = config.clip
    return state_shapes(
        model, optimizer, frames=clip.frames, size=clip.size, sharding=parallel.replicated(mesh)
    )


def _check_losses(config: Config, methods: tuple[str, ...]) -> None:
    weights = config.train
    if weights.mask_weight and config.input.fakes != "self_blend":
        raise FakedetectError(
            f"config.train.mask_weight={weights.mask_weight} needs masks, which only"
            f" config.input.fakes='self_blend' has, not {config.input.fakes!r}"
        )
    if weights.mask_weight and config.model.options.get("mask") is None:
        raise FakedetectError(
            f"config.train.mask_weight={weights.mask_weight} needs a model that predicts masks: set"
            " config.model.options.mask = {}"
        )
    if weights.method_weight and (not methods or config.input.fakes != "recorded"):
        raise FakedetectError(
            f"config.train.method_weight={weights.method_weight} needs a model that tells methods apart, and fakes"
            " of several methods: name them in config.model.options.methods, and set config.input.fakes='recorded'"
        )


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list | tuple) else value
