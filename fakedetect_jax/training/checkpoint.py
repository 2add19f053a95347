"""Checkpoints: everything that a run needs to go on, written as one, and the best by validation kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.training.state import TrainState


class CheckpointMismatch(FakedetectError):
    """A checkpoint that does not fit the run that would go on from it."""


class Checkpoints:
    """The checkpoints of one run, in one folder.

    Each holds the train state and a JSON document `about` (config, place in the data, versions). The newest is
    kept, to go on from, and the one with the highest validation metric, to use. A checkpoint counts only when
    it is written whole: a kill in the middle of a save leaves the one before. What such a save left behind is removed,
    but not if `read_only`: another process may be saving.
    """

    def __init__(self, folder: str | Path, *, metric: str, read_only: bool = False) -> None:
        self._folder = Path(folder).absolute()
        self._metric = metric
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(
                    get_metric_fn=lambda metrics: metrics[metric], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        self._manager = ocp.CheckpointManager(
            self._folder,
            item_handlers={"state": _state_handler(), "about": ocp.JsonCheckpointHandler()},
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=lambda metrics: metrics[metric],
                cleanup_tmp_directories=not read_only,
                create=not read_only,
                step_prefix="step",
            ),
        )

    def latest_step(self) -> int | None:
        """The newest whole checkpoint's step, or None where there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int:
        """The step of the checkpoint with the highest validation metric.

        Raises:
          CheckpointMismatch: no checkpoint was validated yet.
        """
        step = self._manager.best_step()
        if step is None:
            raise CheckpointMismatch(
                f"{self._folder}: no validated checkpoint; train first with --mode=train"
            )
        return step

    def save(
        self, step: int, state: TrainState, about: dict[str, Any], metrics: dict[str, float] | None
    ) -> None:
        """Starts to write a checkpoint; the device goes on computing meanwhile."""
        items = ocp.args.Composite(state=ocp.args.PyTreeSave(state), about=ocp.args.JsonSave(about))
        self._manager.save(step, args=items, metrics=metrics, force=True)

    def about(self, step: int) -> dict[str, Any]:
        """Returns the JSON document of a checkpoint."""
        restored = self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))
        return restored["about"]

    def metrics(self, step: int) -> dict[str, float]:
        """Returns the validation metrics of a checkpoint."""
        return {str(name): float(value) for name, value in (self._manager.metrics(step) or {}).items()}

    def restore(self, step: int, template: TrainState) -> TrainState:
        """Reads a state onto the shardings of `template`.

        Raises:
          CheckpointMismatch: a leaf is missing, left over, or of another shape or dtype; names it.
        """
        stored = self._manager.item_metadata(step)["state"]
        _check_same_leaves(template, stored, f"{self._folder}, step {step}")
        restore = ocp.args.PyTreeRestore(
            template, restore_args=ocp.checkpoint_utils.construct_restore_args(template)
        )
        return self._manager.restore(step, args=ocp.args.Composite(state=restore))["state"]

    def close(self) -> None:
        """Waits until all is written."""
        self._manager.wait_until_finished()
        self._manager.close()


def _state_handler() -> ocp.PyTreeCheckpointHandler:
    """Writes each array from the first device that holds it.

    Orbax would have every device write a slice of every replicated array, and compiles a program for each shape and
    place of a slice at the first save (google/orbax issue 2934): longer than the writing saves.
    """
    arrays = ocp.type_handlers.ArrayHandler(use_replica_parallel=False)
    return ocp.PyTreeCheckpointHandler(
        type_handler_registry=ocp.type_handlers.create_type_handler_registry((jax.Array, arrays))
    )


def _check_same_leaves(template: TrainState, stored: Any, where: str) -> None:
    wanted, found = _signatures(template), _signatures(stored)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointMismatch(
                f"{where}: {name} is {found.get(name, 'missing')} in the checkpoint and "
                f"{wanted.get(name, 'absent')} in this run; use the config that wrote it, or a new --workdir"
            )


def _signatures(tree: Any) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: hasattr(node, "shape"))
    return {_name(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}


def _name(path: tuple) -> str:
    """A leaf's name, the same whether its parents are dataclasses, tuples or dictionaries."""
    parts = (getattr(key, "name", getattr(key, "key", getattr(key, "idx", None))) for key in path)
    return "/".join(str(part) for part in parts)
