"""Checkpoints: all that a run needs to resume, written as one; the newest two and the best by validation are kept."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_args, checkpoint_managers

from fakedetect_jax import parallel
from fakedetect_jax.digests import DIGESTS, ChangedFile, MissingFile, check_digests, write_digests
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath, PathLike, make_folder, to_path

# Orbax appends this to the name of a folder that is not complete yet.
_UNFINISHED = ".orbax-checkpoint-tmp"
_COMPLETE = "commit_success.txt"
# Orbax rewrites it when the rest is complete: it holds times, on which nothing depends.
_NOTES = "_CHECKPOINT_METADATA"
_METRICS = "metrics"
# Seconds that the removal of a checkpoint may take.
_REMOVAL = 0.5
# How the folder of a damaged checkpoint is renamed; no checkpoint is called so.
_DAMAGED = "damaged_"


class CheckpointMismatch(FakedetectError):
    """A checkpoint that does not fit the run that would resume from it."""


class DamagedCheckpoint(FakedetectError):
    """A checkpoint whose files were cut, changed or lost since they were written.

    Attributes:
        step: the step of the checkpoint.
        why: what is wrong with it.
    """

    def __init__(self, message: str, step: int, why: str) -> None:
        super().__init__(message)
        self.step, self.why = step, why


class CheckpointReplaced(FakedetectError):
    """A checkpoint that a run removed while it was read."""


class CheckpointNotWritten(FakedetectError):
    """A checkpoint that did not fit on the disk."""


class Checkpoints:
    """The checkpoints of one run, in one folder.

    Each holds the train state and a JSON document `about` (config, data, versions). The newest two are kept, to resume
    from, and the one with the highest validation metric, to use. A checkpoint counts only when it is complete: a kill
    in the middle of a save leaves the one before. The files are checked against digests that are stored beside them.

    With `read_only`, another process may be saving, and nothing is changed. Otherwise remains of a save that was
    killed are removed, and a damaged checkpoint is set aside: the run goes on from the newest sound one.

    Raises:
        FakedetectError: the folder is a file.
        DamagedCheckpoint: no checkpoint is sound; or, with `read_only`, the validation metrics of one are not, so that
            the best one is not known. Names the folder and the remedy.
    """

    def __init__(self, folder: PathLike, *, metric: str, read_only: bool = False) -> None:
        folder = to_path(folder)
        self.folder = folder.absolute() if isinstance(folder, Path) else folder
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(2),
                checkpoint_managers.BestN(
                    get_metric_fn=lambda metrics: metrics[metric], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        self._sound: set[int] = set()
        # Before orbax reads any: it chooses the best by the metrics of all.
        if read_only:
            for step in _steps(self.folder):
                self._check(step, below=_METRICS)
        else:
            if isinstance(self.folder, Path):
                make_folder(self.folder)
            self._set_damaged_aside()
        self._manager = ocp.CheckpointManager(
            self.folder,
            item_handlers={"state": _StateHandler(), "about": ocp.JsonCheckpointHandler()},
            options=ocp.CheckpointManagerOptions(
                preservation_policy=keep,
                best_fn=lambda metrics: metrics[metric],
                cleanup_tmp_directories=not read_only,
                create=not read_only,
                step_prefix="step",
            ),
        )

    def latest_step(self) -> int | None:
        """Return the step of the newest complete checkpoint, or None if there is none."""
        return self._manager.latest_step()

    def best_step(self) -> int:
        """Return the step of the checkpoint with the highest validation metric.

        Raises:
            CheckpointMismatch: no checkpoint was validated yet.
        """
        step = self._manager.best_step()
        if step is None:
            raise CheckpointMismatch(
                f"{self.folder}: no validated checkpoint; train first with `fakedetect train`"
            )
        return step

    def save(self, step: int, state: Any, about: dict[str, Any], metrics: dict[str, float] | None) -> None:
        """Start to write a checkpoint of `state`, a tree of arrays; the device keeps computing meanwhile.

        Raises:
            CheckpointNotWritten: this one or the one before did not fit on the disk; says what is safe.
        """
        items = ocp.args.Composite(state=_SaveState(state), about=ocp.args.JsonSave(about))
        with self._writing():
            self._manager.wait_until_finished()  # as `save` would
        # A disk that fills up while orbax writes makes each of its threads print a traceback.
        if _free_bytes(self.folder) < sum(leaf.nbytes for leaf in jax.tree.leaves(state)):
            raise self._not_written()
        with self._writing():
            self._manager.save(step, args=items, metrics=metrics, force=True)

    def about(self, step: int) -> dict[str, Any]:
        """Return the JSON document of a checkpoint.

        Raises:
            DamagedCheckpoint: a file of the checkpoint was cut, changed or lost.
        """
        with self._reading(step):
            return self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]

    def metrics(self, step: int) -> dict[str, float]:
        """Return the validation metrics of a checkpoint."""
        with self._reading(step):
            return {str(name): float(value) for name, value in (self._manager.metrics(step) or {}).items()}

    def restore(self, step: int, template: Any) -> Any:
        """Read a tree onto the shardings of `template`, whose leaves may be arrays or jax.ShapeDtypeStruct.

        Raises:
            CheckpointMismatch: a leaf is missing, left over, or of another shape or dtype; names it.
            DamagedCheckpoint: a file of the checkpoint was cut, changed or lost.
            CheckpointReplaced: a run that trains here has removed it meanwhile.
        """
        with self._reading(step):
            stored = self._manager.item_metadata(step)["state"]
        _check_same_leaves(template, stored, f"{self.folder}, step {step}")
        restore = _RestoreState(template, restore_args=ocp.checkpoint_utils.construct_restore_args(template))
        with self._reading(step):
            return self._manager.restore(step, args=ocp.args.Composite(state=restore))["state"]

    def close(self) -> None:
        """Wait until everything is written.

        Raises:
            CheckpointNotWritten: the last one did not fit on the disk; says what is safe.
        """
        with self._writing():
            self._manager.wait_until_finished()
        self._manager.close()

    def _set_damaged_aside(self) -> None:
        """Rename the folders of damaged checkpoints, so that the run goes on from a sound one."""
        damaged: list[DamagedCheckpoint] = []
        for step in _steps(self.folder):
            try:
                self._check(step)
            except DamagedCheckpoint as error:
                damaged.append(error)
        if damaged and not self._sound:
            raise damaged[-1]
        parallel.wait_for_all("the checkpoints are checked")
        for error in damaged if jax.process_index() == 0 else ():
            place = _set_aside(self.folder / f"step_{error.step}")
            print(
                f"{self.folder}: the checkpoint of step {error.step} is damaged ({error.why}) and {place}; going on"
                f" from step {max(self._sound)}"
            )
        parallel.wait_for_all("damaged checkpoints are set aside")

    def _check(self, step: int, *, below: str = "") -> None:
        if step in self._sound:
            return
        folder = self.folder / f"step_{step}"
        try:
            check_digests(folder, below=below)
            _check_notes(folder)
        except ChangedFile as error:
            raise self._damaged(step, error) from error
        if not below:
            self._sound.add(step)

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        self._check(step)
        try:
            yield
        except Exception as error:
            if (self.folder / f"step_{step}").exists():
                raise
            raise self._replaced(step) from error

    def _damaged(self, step: int, error: ChangedFile) -> DamagedCheckpoint | CheckpointReplaced:
        folder = self.folder / f"step_{step}"
        if isinstance(error, MissingFile):
            # A run that trains here removes a checkpoint file by file.
            time.sleep(_REMOVAL)
            if not folder.exists():
                return self._replaced(step)
        others = [other for other in _steps(self.folder) if other != step]
        remedy = f"to use that of step {max(others)}" if others else "to begin anew"
        return DamagedCheckpoint(
            f"{self.folder}: the checkpoint of step {step} is damaged ({error}). Remove the folder {folder} {remedy}",
            step,
            str(error),
        )

    def _replaced(self, step: int) -> CheckpointReplaced:
        return CheckpointReplaced(
            f"{self.folder}: the checkpoint of step {step} has just been replaced by the run that trains here; start"
            " the same line again"
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn a full disk into an error that says what is safe; orbax wraps the system's message in its own."""
        try:
            yield
        except Exception as error:
            if not _is_full(error):
                raise
            raise self._not_written() from error

    def _not_written(self) -> CheckpointNotWritten:
        whole = _steps(self.folder)
        safe = f"the one of step {max(whole)} is whole" if whole else "none is whole yet"
        return CheckpointNotWritten(
            f"{self.folder}: no room on the disk for the checkpoint; {safe}. Make room, and start the same line again"
            " to go on from there"
        )


class _StateHandler(ocp.PyTreeCheckpointHandler):
    """Writes each array from the first device that holds it, and then the digests of all files.

    By default every device writes a slice of every replicated array, and orbax compiles a program for each shape and
    place of a slice at the first save (google/orbax issue 2934). That takes longer than the slicing saves.
    """

    def __init__(self) -> None:
        arrays = ocp.type_handlers.ArrayHandler(use_replica_parallel=False)
        registry = ocp.type_handlers.create_type_handler_registry((jax.Array, arrays))
        super().__init__(type_handler_registry=registry)

    def finalize(self, directory: Any) -> None:
        """Write the digests; called in the background, on one process, before the checkpoint counts as complete."""
        super().finalize(directory)
        _write_digests(to_path(directory).parent)


@checkpoint_args.register_with_handler(_StateHandler, for_save=True)
@dataclasses.dataclass
class _SaveState(ocp.args.PyTreeSave):
    """The arguments by which orbax finds our handler to save."""


@checkpoint_args.register_with_handler(_StateHandler, for_restore=True)
@dataclasses.dataclass
class _RestoreState(ocp.args.PyTreeRestore):
    """The arguments by which orbax finds our handler to restore."""


def _check_same_leaves(template: Any, stored: Any, where: str) -> None:
    wanted, found = _signatures(template), _signatures(stored)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise CheckpointMismatch(
                f"{where}: {name} is {found.get(name, 'missing')} in the checkpoint and "
                f"{wanted.get(name, 'absent')} in this run; use the config that wrote it, or a new --workdir"
            )


def _steps(folder: AnyPath) -> list[int]:
    """Return the steps of the complete checkpoints.

    On a disk an incomplete one has another name; in a bucket it lacks the file that orbax writes last.
    """
    complete = [
        path for path in folder.glob("step_*") if isinstance(path, Path) or (path / _COMPLETE).exists()
    ]
    names = (re.fullmatch(r"step_(\d+)", path.name) for path in complete)
    return sorted(int(name[1]) for name in names if name)


def _write_digests(folder: AnyPath) -> None:
    """Write the digests of an unfinished checkpoint, by the names that its files will have."""
    paths = {path.relative_to(folder).as_posix(): path for path in _files_below(folder)}
    write_digests(
        folder,
        {
            name.replace(_UNFINISHED, ""): path
            for name, path in paths.items()
            if path.name not in (_NOTES, _COMPLETE, DIGESTS)
        },
    )


def _files_below(folder: AnyPath) -> Iterator[AnyPath]:
    """Yield all files of a folder and its folders; epath has no `rglob`."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files_below(path)
        else:
            yield path


def _check_notes(folder: AnyPath) -> None:
    """Check the one file without a digest: orbax does without it, but fails on JSON of another kind."""
    try:
        notes = json.loads((folder / _NOTES).read_bytes())
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError):
        return
    except (IsADirectoryError, RecursionError, ValueError) as error:  # also a number of thousands of digits
        raise ChangedFile(f"{_NOTES} was changed") from error
    fields = notes.items() if isinstance(notes, dict) else [("", notes)]
    if not all(isinstance(value, int if name.endswith("_nsecs") else dict) for name, value in fields):
        raise ChangedFile(f"{_NOTES} was changed or cut")


def _set_aside(folder: AnyPath) -> str:
    """Rename the folder of a checkpoint, or remove it from a bucket, which cannot; return which in words."""
    if not isinstance(folder, Path):
        folder.rmtree()
        return "was removed"
    aside = folder.with_name(_DAMAGED + folder.name)
    if aside.exists():
        shutil.rmtree(aside)
    folder.rename(aside)
    return f"is now called {aside.name}, which you may remove"


def _free_bytes(folder: AnyPath) -> float:
    """Return the room that is left for files in a folder; a bucket has no end."""
    return shutil.disk_usage(folder).free if isinstance(folder, Path) else math.inf


def _is_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that it came from, says that the disk is full."""
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "No space left", "Disk quota")):
            return True
        error = error.__cause__ or error.__context__
    return False


def _signatures(tree: Any) -> dict[str, str]:
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda node: hasattr(node, "shape"))
    return {_name(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in leaves}


def _name(path: tuple) -> str:
    """Return a leaf's name, the same whether its parents are dataclasses, tuples or dictionaries."""
    parts = (getattr(key, "name", getattr(key, "key", getattr(key, "idx", None))) for key in path)
    return "/".join(str(part) for part in parts)
