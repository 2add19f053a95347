"""Experiments: a config in, and a trained run, a detector or a report out."""

from fakedetect_jax.experiment.modes import evaluate, export, train
from fakedetect_jax.experiment.parts import (
    make_inputs,
    make_model,
    make_optimizer,
    make_recipe,
    make_schedule,
    make_state,
    make_step,
)

__all__ = [
    "evaluate",
    "export",
    "make_inputs",
    "make_model",
    "make_optimizer",
    "make_recipe",
    "make_schedule",
    "make_state",
    "make_step",
    "train",
]
