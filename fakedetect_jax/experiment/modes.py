"""The three modes of the launcher: train a model, export it as a detector, evaluate the detector."""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import optax
from flax import linen as nn
from jax.sharding import Mesh
from ml_collections import ConfigDict

import fakedetect_jax
from fakedetect_jax import models, parallel
from fakedetect_jax.config import Config, model_options
from fakedetect_jax.data.clips import ClipSpec
from fakedetect_jax.data.pipeline import Loading, Shard, evaluation_batches, train_batches
from fakedetect_jax.deployment.detector_folder import FORMAT
from fakedetect_jax.deployment.export import write_detector
from fakedetect_jax.deployment.inference import load_detector
from fakedetect_jax.deployment.model_card import describe_sources
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.evaluate import evaluate_detector
from fakedetect_jax.experiment.parts import (
    make_inputs,
    make_model,
    make_optimizer,
    make_state,
    make_step,
    state_template,
)
from fakedetect_jax.experiment.sources import (
    check_batch_sizes,
    failures_of_source,
    open_evaluation_source,
    open_training_videos,
)
from fakedetect_jax.experiment.start import announce_start
from fakedetect_jax.faces import Extraction
from fakedetect_jax.files import AnyPath, PathLike, to_path
from fakedetect_jax.training import loop
from fakedetect_jax.training.checkpoint import Checkpoints
from fakedetect_jax.training.interruption import Interruption
from fakedetect_jax.training.metrics_log import MetricsLog
from fakedetect_jax.training.provenance import (
    check_same_config,
    check_same_run,
    describe_import,
    describe_run,
)
from fakedetect_jax.training.state import TrainState
from fakedetect_jax.training.step import compile_step
from fakedetect_jax.training.validation import SELECTION_METRIC, make_validation_step, validate
from fakedetect_jax.training.workdir import (
    CHECKPOINTS,
    DETECTOR,
    EVALUATING,
    EVALUATION,
    EXPORT,
    TRAINING,
    reserved,
)
from fakedetect_jax.weights.errors import WeightsError
from fakedetect_jax.weights.start import start_from


def train(config: Config, workdir: PathLike) -> AnyPath:
    """Train up to `config.train.steps`, from the newest checkpoint in `workdir` if there is one.

    Returns:
        The folder of checkpoints.

    Raises:
        CheckpointMismatch: `workdir` holds a run of another config or of other data; names the difference.
        DamagedCheckpoint: none of the checkpoints is sound; names the remedy.
        CheckpointNotWritten: a checkpoint did not fit on the disk; says what is safe.
        LossNotFinite: the loss or the gradient is not finite; names the step.
        Stopped: Ctrl-C or SIGTERM asked for it; the step that was reached is saved.
        WorkdirInUse: another process trains in `workdir`.

    Example:
        With a `config` as a file in configs/ returns it:

        >>> checkpoints = train(config, "runs/mine")  # doctest: +ELLIPSIS
        devices ...
        >>> export(config, "runs/mine").name
        'detector'
    """
    workdir = to_path(workdir)
    folder = workdir / CHECKPOINTS
    with contextlib.ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        stack.enter_context(reserved(workdir, TRAINING))
        mesh = parallel.make_mesh()
        check_batch_sizes(config, mesh)
        videos, held_out = open_training_videos(config)
        clip = ClipSpec(extraction=videos.extraction, **config.clip.to_dict())
        about = describe_run(config.to_dict(), clip, train=videos, validation=held_out)

        model, optimizer = make_model(config), make_optimizer(config)
        step = compile_step(make_step(config, model, optimizer), mesh)
        validation_step = make_validation_step(
            model, make_inputs(config, validation=True), seed=config.seed, mesh=mesh
        )

        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(folder, metric=SELECTION_METRIC)))
        state = _first_or_saved_state(config, model, optimizer, checkpoints, about, mesh)
        start = int(state.step)
        if start >= config.train.steps:
            print(f"{folder}: trained to step {start} already")
            return folder
        announce_start(config, workdir, mesh=mesh, state=state, train=videos, validation=held_out)
        log = None
        if jax.process_index() == 0:
            log = stack.enter_context(contextlib.closing(MetricsLog(workdir, step=start)))

        shard = Shard(jax.process_index(), jax.process_count())
        loading = Loading(config.data.threads, config.data.workers, config.data.prefetch)
        batches = train_batches(
            videos,
            clip,
            batch_size=config.train.batch_size,
            steps=config.train.steps,
            start=start,
            seed=config.seed,
            shard=shard,
            loading=loading,
        )

        def validation(state: TrainState) -> dict[str, float]:
            size = config.validation.batch_size
            batches = evaluation_batches(held_out, clip, batch_size=size, shard=shard, loading=loading)
            return validate(validation_step, state, batches, mesh)

        loop.fit(
            state,
            step,
            batches,
            mesh=mesh,
            cadence=loop.Cadence(
                steps=config.train.steps,
                log_every=config.train.log_every,
                validate_every=config.validation.every,
                checkpoint_every=config.train.checkpoint_every,
            ),
            batch_size=config.train.batch_size,
            validate=validation,
            save=lambda done, state, metrics: checkpoints.save(done, state, about, metrics),
            log=log,
            interruption=interruption,
        )
    return folder


def export(config: Config, workdir: PathLike) -> AnyPath:
    """Write a detector: the averaged weights of the best checkpoint by validation, or imported weights as they are.

    The detector is built from the checkpoint's own config; `config` must be the same, except for fields that change no
    number. Where nothing was trained yet and `config.model.init_from` names the weights of the whole model, those
    become the detector. All processes read the weights, and the first one writes.

    Returns:
        `workdir`/detector, as `deployment.export.write_detector` writes it.

    Raises:
        CheckpointMismatch: there is no validated checkpoint, or it has another config; names the fields.
        DamagedCheckpoint: the best checkpoint, or the validation metrics of another; names the folder to remove.
        WorkdirInUse: another process exports a detector to `workdir`.
        WeightsError: nothing was trained, and `config.model.init_from` does not name weights of the whole model.
    """
    workdir = to_path(workdir)
    checkpoints = Checkpoints(workdir / CHECKPOINTS, metric=SELECTION_METRIC, read_only=True)
    with contextlib.closing(checkpoints):
        if checkpoints.latest_step() is None and config.model.init_from:
            model, variables, trained = _imported(config)
        else:
            model, variables, trained = _best(config, checkpoints)
    used = ConfigDict(trained["config"])
    spec = {
        "format": FORMAT,
        "model": {"name": used.model.name, "options": model_options.resolve(used)},
        "clip": trained["clip"],
        "trained": trained,
        "version": fakedetect_jax.__version__,
    }
    folder = workdir / DETECTOR
    if jax.process_index() == 0:
        with reserved(workdir, EXPORT):
            write_detector(folder, model, variables, spec)
    parallel.wait_for_all("the detector is written")
    return folder


def _best(config: Config, checkpoints: Checkpoints) -> tuple[nn.Module, Any, dict[str, Any]]:
    """Return the model, the averaged variables and the provenance of the best checkpoint."""
    step = checkpoints.best_step()
    about = checkpoints.about(step)
    check_same_config(about, config.to_dict(), where=f"{checkpoints.folder}, step {step}")
    trained = ConfigDict(about["config"])
    model = make_model(trained)
    template = state_template(trained, model, make_optimizer(trained), parallel.make_mesh())
    variables = jax.device_get(checkpoints.restore(step, template).evaluated)
    return model, variables, {"step": step, "validation": checkpoints.metrics(step), **about}


def _imported(config: Config) -> tuple[nn.Module, Any, dict[str, Any]]:
    """Return the model, the variables and the provenance of `config.model.init_from`."""
    model, place = make_model(config), config.model.init_from
    # Nothing tells how the crops were made that the weights learned from.
    clip = ClipSpec(extraction=Extraction(), **config.clip.to_dict())
    shapes = jax.eval_shape(model.init, jax.random.key(0), models.clip_shapes(clip.frames, clip.size))
    variables, report = start_from(shapes, place, config.model.init_source)
    if report.missing:
        raise WeightsError(
            f"config.model.init_from={place!r} lacks {len(report.missing)} weights of the model, such as"
            f" {report.missing[0]}, and nothing was trained yet; train first with `fakedetect train`"
        )
    trained = describe_import(config.to_dict(), clip)
    return model, jax.device_get(variables), {"step": 0, "validation": {}, **trained}


def evaluate(config: Config, workdir: PathLike, *, detector_folder: PathLike | None = None) -> AnyPath | None:
    """Score every video of `config.evaluation.sources` with an exported detector and write the results.

    Args:
        config: the experiment.
        workdir: the results go to `workdir`/evaluation.
        detector_folder: the detector, by default `workdir`/detector.

    Returns:
        `workdir`/evaluation/report.html, or None on processes other than the first, which write nothing.

    Raises:
        WorkdirInUse: another process evaluates in `workdir`.
        FakedetectError: there are no sources, a batch size does not divide by the devices, data was built differently
            from the detector's, or it shows people whom the detector learned from.
    """
    options = config.evaluation
    if not options.sources:
        raise FakedetectError(
            "config.evaluation.sources is empty; name at least one source (configs/base.py)"
        )
    workdir = to_path(workdir)
    detector = load_detector(workdir / DETECTOR if detector_folder is None else detector_folder)
    parallel.check_batch_size(options.batch_size, detector.mesh, "config.evaluation.batch_size")
    keys = sorted(options.sources)
    with reserved(workdir, EVALUATING):
        return evaluate_detector(
            detector,
            {key: open_evaluation_source(config, key, detector) for key in keys},
            workdir / EVALUATION,
            failures=[failure for key in keys for failure in failures_of_source(config, key)],
            title=f"Evaluation of {config.name}",
            tested_on=describe_sources(options.sources.to_dict()),
            batch_size=options.batch_size,
            loading=Loading(config.data.threads, config.data.workers, config.data.prefetch),
            resamples=options.resamples,
            seed=config.seed,
        )


def _first_or_saved_state(
    config: Config,
    model: nn.Module,
    optimizer: optax.GradientTransformation,
    checkpoints: Checkpoints,
    about: dict[str, Any],
    mesh: Mesh,
) -> TrainState:
    """Return the state of the newest checkpoint, or the one before the first step, on every device."""
    step = checkpoints.latest_step()
    if step is None:
        return jax.device_put(make_state(config, model, optimizer), parallel.replicated(mesh))
    check_same_run(checkpoints.about(step), about, where=f"{checkpoints.folder}, step {step}")
    return checkpoints.restore(step, state_template(config, model, optimizer, mesh))
