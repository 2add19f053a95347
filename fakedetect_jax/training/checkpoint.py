"""Checkpoints: all that a run needs to resume, written as one; the newest and the best by validation are kept."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_args, checkpoint_managers

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.files import AnyPath, PathLike, to_path

# Orbax appends this to the name of a folder that is not complete yet.
_UNFINISHED = ".orbax-checkpoint-tmp"
_COMPLETE = "commit_success.txt"
DIGESTS = "sha256.json"
_CHUNK = 1 << 20
# Orbax rewrites the first when the rest is complete: it holds times, on which nothing depends.
_UNCHECKED = ("_CHECKPOINT_METADATA", _COMPLETE, DIGESTS)


class CheckpointMismatch(FakedetectError):
    """A checkpoint that does not fit the run that would resume from it."""


class DamagedCheckpoint(FakedetectError):
    """A checkpoint whose files were cut, changed or lost since they were written."""


class CheckpointNotWritten(FakedetectError):
    """A checkpoint that did not fit on the disk."""


class ChangedFile(FakedetectError):
    """A file that is not what it was when the digests were made."""


class Checkpoints:
    """The checkpoints of one run, in one folder.

    Each holds the train state and a JSON document `about` (config, data, versions). Two are kept: the newest, to
    resume from, and the one with the highest validation metric, to use. A checkpoint counts only when it is complete:
    a kill in the middle of a save leaves the one before. Remains of such a save are removed, except if `read_only`,
    when another process may be saving. The files are checked against digests that are stored beside them.

    Raises:
        DamagedCheckpoint: a file of any checkpoint was changed, cut or lost; names it and the remedy.
    """

    def __init__(self, folder: PathLike, *, metric: str, read_only: bool = False) -> None:
        folder = to_path(folder)
        self.folder = folder.absolute() if isinstance(folder, Path) else folder
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(
                    get_metric_fn=lambda metrics: metrics[metric], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        # Before orbax reads any: it chooses the best by the metrics of all.
        for step in _steps(self.folder):
            self._check(step)
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
            raise CheckpointMismatch(f"{self.folder}: no validated checkpoint; train first with --mode=train")
        return step

    def save(self, step: int, state: Any, about: dict[str, Any], metrics: dict[str, float] | None) -> None:
        """Start to write a checkpoint; the device keeps computing meanwhile.

        Raises:
            CheckpointNotWritten: this one or the one before did not fit on the disk; says what is safe.
        """
        items = ocp.args.Composite(state=_SaveState(state), about=ocp.args.JsonSave(about))
        with self._writing():
            self._manager.save(step, args=items, metrics=metrics, force=True)

    def about(self, step: int) -> dict[str, Any]:
        """Return the JSON document of a checkpoint.

        Raises:
            DamagedCheckpoint: it is not there, or is not JSON.
        """
        with self._reading(step):
            return self._manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore()))["about"]

    def metrics(self, step: int) -> dict[str, float]:
        """Return the validation metrics of a checkpoint."""
        with self._reading(step):
            return {str(name): float(value) for name, value in (self._manager.metrics(step) or {}).items()}

    def restore(self, step: int, template: Any) -> Any:
        """Read a state onto the shardings of `template`, whose leaves may be arrays or jax.ShapeDtypeStruct.

        Raises:
            CheckpointMismatch: a leaf is missing, left over, or of another shape or dtype; names it.
            DamagedCheckpoint: a file is cut or missing, or a number differs from the one that was written.
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

    def _check(self, step: int) -> None:
        try:
            checked = check_digests(self.folder / f"step_{step}")
        except ChangedFile as error:
            raise self._damaged(step, error) from error
        if not checked:
            print(f"{self.folder}, step {step}: has no {DIGESTS}; a changed number in it cannot be found out")

    @contextlib.contextmanager
    def _reading(self, step: int) -> Iterator[None]:
        """Name the checkpoint in any error of reading it: each library raises its own."""
        try:
            yield
        except (PermissionError, MemoryError):
            raise
        except Exception as error:
            raise self._damaged(step, error) from error

    def _damaged(self, step: int, error: Exception) -> DamagedCheckpoint:
        others = [other for other in _steps(self.folder) if other != step]
        remedy = f"to go on from step {max(others)}" if others else "to begin anew"
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        return DamagedCheckpoint(
            f"{self.folder}: the checkpoint of step {step} is damaged ({what[:200]}). Remove the folder"
            f" {self.folder / f'step_{step}'} {remedy}"
        )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn a full disk into an error that says what is safe; orbax wraps the system's message in its own."""
        try:
            yield
        except Exception as error:
            if not _is_full(error):
                raise
            whole = _steps(self.folder)
            safe = f"the one of step {max(whole)} is whole" if whole else "none is whole yet"
            raise CheckpointNotWritten(
                f"{self.folder}: no room on the disk for the checkpoint; {safe}. Make room, and start the same line"
                " again to go on from there"
            ) from error


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
        write_digests(to_path(directory).parent, unfinished=_UNFINISHED)


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


def write_digests(folder: AnyPath, *, unfinished: str) -> None:
    """Write the SHA-256 of all files below `folder` to its sha256.json, as {path: digest}.

    `unfinished` is removed from the paths: the folder loses it from its name when it is complete.
    """
    document = {
        path.relative_to(folder).as_posix().replace(unfinished, ""): _digest(path)
        for path in sorted(_files_below(folder))
        if path.name not in _UNCHECKED
    }
    (folder / DIGESTS).write_text(json.dumps(document, indent=1), encoding="utf-8")


def _files_below(folder: AnyPath) -> Iterator[AnyPath]:
    """Yield all files of a folder and its folders; epath has no `rglob`."""
    for path in folder.iterdir():
        if path.is_dir():
            yield from _files_below(path)
        else:
            yield path


def check_digests(folder: AnyPath) -> bool:
    """Check that the files are those that the digests were made of.

    Returns:
        False if there are no digests, so that nothing could be checked.

    Raises:
        ChangedFile: a file is missing or changed; names the first.
    """
    try:
        document = json.loads((folder / DIGESTS).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        raise ChangedFile(f"{DIGESTS} was changed or cut") from None
    for name, wanted in document.items():
        try:
            found = _digest(folder / name)
        except FileNotFoundError:
            raise ChangedFile(f"{name} is missing") from None
        if found != wanted:
            raise ChangedFile(f"{name} was changed or cut")
    return True


def _digest(path: AnyPath) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            digest.update(data)
    return digest.hexdigest()
