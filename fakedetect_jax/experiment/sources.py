"""The videos that a config names for training, validation and evaluation, and what must hold of them."""

from __future__ import annotations

import dataclasses

from jax.sharding import Mesh

from fakedetect_jax import parallel
from fakedetect_jax.config import Config
from fakedetect_jax.data.index import dataset_folder, read_report
from fakedetect_jax.data.videos import Videos, concatenate, person_of, select, source_person_of
from fakedetect_jax.deployment.inference import Detector
from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.evaluation.evaluate import recorded_failures
from fakedetect_jax.evaluation.scores import Failure
from fakedetect_jax.experiment.parts import make_recipe
from fakedetect_jax.training import inputs


def open_training_videos(config: Config) -> tuple[Videos, Videos]:
    """Open the videos to train on and those to validate on.

    Raises:
        FakedetectError: a dataset is missing, two were built with different options, or the videos lack what the
            model or the validation needs.
    """
    train = _open(config, config.data.train)
    check_methods(config, train)
    held_out = _open(config, config.validation.sources)
    check_classes(config, held_out)
    # Raises if validation data was built with other options than training data.
    concatenate({"config.data.train": train, "config.validation.sources": held_out})
    return train, held_out


def open_evaluation_source(config: Config, key: str, detector: Detector) -> Videos:
    """Open one of `config.evaluation.sources` for a detector.

    Raises:
        FakedetectError: the crops were made differently from those that the detector learned from; or the source
            shows people whom the detector learned from, and its `shared_people` is 'refuse'.
    """
    source, field = config.evaluation.sources[key], f"config.evaluation.sources.{key}"
    videos = select(config.data.folder, source.dataset, source.split, tuple(source.methods), source.limit)
    wanted = detector.clip.extraction
    if not videos.extraction.same_crops(wanted):
        raise FakedetectError(
            f"{field}: {source.dataset} was built with '{videos.extraction.flags}', but the detector works on crops"
            f" built with '{wanted.flags}'; build {source.dataset} again with the latter"
        )
    known = set(detector.spec["trained"]["people"])
    shared, left = [], []
    for video in videos.videos:
        people = {person_of(video.about), source_person_of(video.about)}
        (shared if people & known else left).append(video)
    if not shared or source.shared_people == "keep":
        return videos
    if source.shared_people == "refuse":
        example = shared[0].about
        raise FakedetectError(
            f"{field}: {len(shared)} of {len(videos)} videos of {source.dataset}, split {source.split!r}, show people"
            f" whom the detector learned from, such as {example.method}/{example.video_id} ({person_of(example)});"
            " set its shared_people to 'drop' to leave these out, or to 'keep' to measure on people already seen"
        )
    if not left:
        raise FakedetectError(
            f"{field}: every video of {source.dataset}, split {source.split!r}, shows people whom the detector learned"
            " from"
        )
    return dataclasses.replace(videos, videos=left)


def failures_of_source(config: Config, key: str) -> list[Failure]:
    """Return the videos of one of `config.evaluation.sources` that the build could not use."""
    source = config.evaluation.sources[key]
    report = read_report(dataset_folder(config.data.folder, source.dataset))
    return recorded_failures(
        report, source.split, methods=tuple(source.methods), limit=source.limit, name=key
    )


def check_batch_sizes(config: Config, mesh: Mesh) -> None:
    """Check that the batches of training and validation divide by the devices.

    Raises:
        FakedetectError: a batch does not divide, or `input.recipe.other_face` would borrow faces across devices.
    """
    for part, fakes in (("train", config.input.fakes), ("validation", config.validation.fakes)):
        size, field = config[part].batch_size, f"config.{part}.batch_size"
        parallel.check_batch_size(size, mesh, field)
        if fakes == "self_blend":
            inputs.check_pairs(make_recipe(config), size, devices=mesh.size, field=field)


def check_classes(config: Config, held_out: Videos) -> None:
    """Raise FakedetectError if validation on recorded labels would see one class only."""
    labels = {video.about.label for video in held_out.videos}
    if config.validation.fakes == "recorded" and len(labels) < 2:
        raise FakedetectError(
            f"config.validation.sources has only {'fakes' if 1 in labels else 'reals'}, and config.validation.fakes="
            "'recorded' makes no others; name both, or set it to 'self_blend'"
        )


def check_methods(config: Config, videos: Videos) -> None:
    """Raise FakedetectError if the model shall recognise a method that no training video was made by."""
    found = sorted({video.about.method for video in videos.videos})
    missing = [name for name in config.model.options.get("methods", ()) if name not in found]
    if missing:
        raise FakedetectError(
            f"config.model.options.methods names {missing}, but config.data.train has only {found}"
        )


def _open(config: Config, sources: Config) -> Videos:
    """Open and join the parts of datasets that `sources` names, in the order of their keys."""
    return concatenate(
        {
            key: select(config.data.folder, part.dataset, part.split, tuple(part.methods), part.limit)
            for key, part in sorted(sources.items())
        }
    )
