"""Builds the parts of a run from its config; deeper than here, nothing knows of configs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import optax
from flax import linen as nn

from fakedetect_jax import models
from fakedetect_jax.augment import SelfBlendRecipe
from fakedetect_jax.config import Config, model_options
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.pipeline import Loading, Shard
from fakedetect_jax.data.videos import Videos, concatenate, select
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.faces import Extraction
from fakedetect_jax.training import inputs
from fakedetect_jax.training.inputs import MakeInputs, augmented, cropped, self_blended
from fakedetect_jax.training.optimizer import adamw, learning_rate_schedule, without
from fakedetect_jax.training.state import TrainState, create_state
from fakedetect_jax.training.step import make_train_step
from fakedetect_jax.weights.start import start_from


def make_model(config: Config) -> nn.Module:
    """Returns the model that `config.model` describes."""
    return models.create(config.model.name, **model_options.resolve(config))


def make_recipe(config: Config) -> SelfBlendRecipe:
    """Returns the recipe of `config.input`; JSON and the command line give lists where it wants tuples."""
    recipe = {name: _hashable(value) for name, value in config.input.recipe.items()}
    return SelfBlendRecipe(size=config.clip.size, **recipe)


def make_train_inputs(config: Config) -> MakeInputs:
    """Returns what turns a batch into examples in training."""
    recipe = make_recipe(config)
    return self_blended(recipe) if config.input.fakes == "self_blend" else augmented(recipe)


def make_validation_inputs(config: Config) -> MakeInputs:
    """Returns what turns a batch into examples in validation."""
    recipe = make_recipe(config)
    if config.validation.fakes == "self_blend":
        return self_blended(recipe)
    return cropped(size=config.clip.size, margin=config.clip.margin)


def check_pairs(config: Config, devices: int) -> None:
    """Raises FakedetectError if `input.recipe.other_face` would have faces borrowed between devices."""
    for fakes, part in ((config.input.fakes, "train"), (config.validation.fakes, "validation")):
        if fakes == "self_blend":
            size, field = config[part].batch_size, f"config.{part}.batch_size"
            inputs.check_pairs(make_recipe(config), size, devices=devices, field=field)


def make_schedule(config: Config) -> optax.Schedule:
    """Returns the learning rate by step."""
    options = config.optimizer
    return learning_rate_schedule(
        options.learning_rate, warmup_steps=options.warmup_steps, steps=config.train.steps
    )


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Returns the optimiser, which follows `make_schedule`."""
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
    """Returns the train step, not yet compiled.

    Raises:
      FakedetectError: `train.mask_weight` without fakes that have masks, or without a part that predicts them;
        `train.method_weight` without methods, or without recorded fakes.
    """
    if config.train.mask_weight and config.input.fakes != "self_blend":
        raise FakedetectError(
            f"config.train.mask_weight={config.train.mask_weight} needs masks, which only"
            f" config.input.fakes='self_blend' has, not {config.input.fakes!r}"
        )
    if config.train.mask_weight and config.model.options.get("mask") is None:
        raise FakedetectError(
            f"config.train.mask_weight={config.train.mask_weight} needs a model that predicts masks: set"
            " config.model.options.mask = {}"
        )
    methods = tuple(config.model.options.get("methods", ()))
    if config.train.method_weight and (not methods or config.input.fakes != "recorded"):
        raise FakedetectError(
            f"config.train.method_weight={config.train.method_weight} needs a model that tells methods apart, and fakes"
            " of several methods: name them in config.model.options.methods, and set config.input.fakes='recorded'"
        )
    return make_train_step(
        model,
        optimizer,
        make_schedule(config),
        make_train_inputs(config),
        seed=config.seed,
        ema_decay=config.optimizer.ema_decay,
        frame_weight=config.train.frame_weight,
        mask_weight=config.train.mask_weight,
        method_weight=config.train.method_weight,
        methods=methods,
    )


def make_state(config: Config, model: nn.Module, optimizer: optax.GradientTransformation) -> TrainState:
    """Returns the state before the first step: drawn by the seed, or begun from `config.model.init_from`.

    Raises:
      WeightsError: the weights do not fit, or cannot be had; names what and the remedy.
    """
    state = _drawn_state(config, model, optimizer)
    if not config.model.init_from:
        return state
    variables, report = start_from(state.evaluated, config.model.init_from, config.model.init_source)
    print(f"{config.model.init_from}: {report.describe()}")
    return state.begin_from(variables)


def make_template(
    config: Config, model: nn.Module, optimizer: optax.GradientTransformation, sharding: jax.sharding.Sharding
) -> TrainState:
    """Returns the shapes of `make_state`, to restore a state onto; needs neither weights nor time."""
    shapes = jax.eval_shape(lambda: _drawn_state(config, model, optimizer))
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), shapes)


def _drawn_state(config: Config, model: nn.Module, optimizer: optax.GradientTransformation) -> TrainState:
    return create_state(model, optimizer, seed=config.seed, frames=config.clip.frames, size=config.clip.size)


def make_clip_spec(config: Config, extraction: Extraction) -> ClipSpec:
    """Returns what a clip is in a run that learns from data made by `extraction`."""
    return ClipSpec(extraction=extraction, **config.clip.to_dict())


def open_videos(config: Config, sources: Config) -> Videos:
    """Opens and joins the parts of datasets that `sources` names, in the order of their keys.

    Raises:
      FakedetectError: a dataset is not there, or two were built with different options.
    """
    parts = {key: sources[key] for key in sorted(sources)}
    return concatenate(
        {
            key: select(config.data.folder, part.dataset, part.split, tuple(part.methods), part.limit)
            for key, part in parts.items()
        }
    )


def check_same_crops(train: Videos, held_out: Videos) -> None:
    """Raises FakedetectError if validation data was built with other options than training data."""
    concatenate({"config.data.train": train, "config.validation.sources": held_out})


def check_classes(config: Config, held_out: Videos) -> None:
    """Raises FakedetectError if validation on recorded labels would have one class alone."""
    labels = {video.about.label for video in held_out.videos}
    if config.validation.fakes == "recorded" and len(labels) < 2:
        raise FakedetectError(
            f"config.validation.sources has {'fakes' if 1 in labels else 'reals'} alone, and config.validation.fakes="
            "'recorded' makes no others; name both, or set it to 'self_blend'"
        )


def check_methods(config: Config, videos: Videos) -> None:
    """Raises FakedetectError if the model is to tell a method apart of which there is no video to train on."""
    there = sorted({video.about.method for video in videos.videos})
    missing = [name for name in config.model.options.get("methods", ()) if name not in there]
    if missing:
        raise FakedetectError(
            f"config.model.options.methods names {missing}, but config.data.train has only {there}"
        )


def make_loading(config: Config) -> Loading:
    """Returns how batches are made ready."""
    return Loading(config.data.threads, config.data.workers, config.data.prefetch)


def this_process() -> Shard:
    """Returns this process's share of every batch."""
    return Shard(jax.process_index(), jax.process_count())


def _hashable(value: Any) -> Any:
    return tuple(_hashable(item) for item in value) if isinstance(value, list | tuple) else value
