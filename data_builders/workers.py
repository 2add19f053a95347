"""Face extraction over many videos, in this process or in several."""

from __future__ import annotations

import collections
import contextlib
import functools
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from fakedetect_jax.faces import FaceSequence, VideoError, extract

if TYPE_CHECKING:
    from data_builders.base import VideoItem

# Enough to keep every worker busy, few enough that finished tracks do not pile up in memory.
_QUEUED_PER_WORKER = 2


def extract_item(
    item: VideoItem,
    *,
    materialise: Callable[[VideoItem, Path], Path],
    folder: Path,
    extraction: dict[str, Any],
) -> list[FaceSequence] | str:
    """Returns the face tracks of one video, or why there are none to be had."""
    path = None
    try:
        path = materialise(item, folder)
        return extract(path, **extraction)
    except (VideoError, OSError, cv2.error) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        if path is not None and path.parent == folder:
            path.unlink(missing_ok=True)


def extract_all(
    items: list[VideoItem],
    *,
    materialise: Callable[[VideoItem, Path], Path],
    folder: Path,
    extraction: dict[str, Any],
    workers: int,
    stack: contextlib.ExitStack,
) -> Iterator[list[FaceSequence] | str]:
    """Yields `extract_item` of every item, in the order of `items`.

    Args:
      workers: processes; 1 works in this one.
      stack: closes the processes when the caller is done, or fails.
    """
    work = functools.partial(extract_item, materialise=materialise, folder=folder, extraction=extraction)
    if workers == 1:
        return map(work, items)
    # OpenCV can deadlock after a fork.
    pool = stack.enter_context(
        ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_use_one_thread)
    )
    return _ordered(pool, work, items, window=workers * (1 + _QUEUED_PER_WORKER))


def _ordered(pool: ProcessPoolExecutor, work: Callable, items: list[VideoItem], window: int) -> Iterator:
    pending: collections.deque[Future] = collections.deque()
    for item in items:
        pending.append(pool.submit(work, item))
        if len(pending) >= window:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _use_one_thread() -> None:
    cv2.setNumThreads(1)
