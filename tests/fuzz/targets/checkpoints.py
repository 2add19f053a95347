"""The checkpoints of a run."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fakedetect_jax.training.checkpoint import CheckpointMismatch, Checkpoints, DamagedCheckpoint
from tests.fuzz.folder_mutations import damage_folder
from tests.fuzz.target import Case, Target, Wrong

_ABOUT = {"config": {"x": 1}}


def _state(step: int) -> dict:
    return {"a": jnp.arange(300.0) + step, "b": {"c": jnp.full((4, 5), 0.3)}, "step": jnp.asarray(step)}


class Checkpointed(Target):
    """The numbers that were saved are restored, of the damaged step or of one before it; or the folder is named."""

    errors = (DamagedCheckpoint, CheckpointMismatch)

    def prepare(self) -> None:
        checkpoints = Checkpoints(self.corpus / "checkpoints", metric="auc")
        checkpoints.save(3, _state(3), _ABOUT, {"auc": 0.9})
        checkpoints.save(7, _state(7), _ABOUT, {"auc": 0.5})
        checkpoints.close()

    def case(self, rng: random.Random, folder: Path) -> Case:
        run = folder / "checkpoints"
        shutil.copytree(self.corpus / "checkpoints", run)
        damage_folder(rng, run / rng.choice(("step_7", "step_7", "step_3", ".")))
        read_only = rng.random() < 0.5

        def use() -> None:
            checkpoints = Checkpoints(run, metric="auc", read_only=read_only)
            try:
                step = checkpoints.latest_step()
                if step not in (3, 7) or checkpoints.best_step() not in (3, 7):
                    raise Wrong(f"the latest step is {step}")
                if checkpoints.about(step) != _ABOUT:
                    raise Wrong("another document")
                checkpoints.metrics(step)
                state = checkpoints.restore(step, _state(0))
                same = jax.tree.map(lambda one, other: np.array_equal(one, other), state, _state(step))
                if not all(jax.tree.leaves(same)):
                    raise Wrong(f"other numbers than those of step {step}")
            finally:
                checkpoints.close()

        return Case(use, ("checkpoints",))
