"""Video files, decoded by FFmpeg through PyAV."""

import contextlib
import errno
import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import av
import av.filter
import cv2
from av.error import FFmpegError
from av.stream import Disposition

from fakedetect_jax.faces.cut_short import is_cut_short
from fakedetect_jax.faces.frame import MAX_PIXELS, Frame, Video, VideoError, check_size
from fakedetect_jax.faces.picture import Screen

_DEFAULT_FPS = 25.0
# Decoders ask for their input in pieces; larger ones mean fewer calls of Python.
_BUFFER = 1 << 18
# FFmpeg's names of the containers that are read, those of sound to be told so. Playlists, which name other files, and
# guesses at text are not.
_CONTAINERS = (
    "apng,asf,av1,avi,cavsvideo,dv,flv,gif,h261,h263,h264,hevc,ivf,live_flv,m4v,matroska,mjpeg,mov,mpeg,mpegts,"
    "mpegvideo,mxf,nut,obu,ogg,rm,vc1,vvc,wtv,yuv4mpegpipe,aac,ac3,aiff,amr,flac,mp3,wav"
)
# In these, each packet is a picture that is shown; elsewhere it may be half of one, or one that others refer to.
_ONE_PICTURE_A_PACKET = ("mov,mp4", "avi")
_MOST_REORDERED = 8  # frames
_DAY = 86400.0
_LOG = logging.getLogger(__name__)


class _Source(NamedTuple):
    """An opened file, and the stream that players show."""

    path: Path
    file: BinaryIO
    container: Any
    stream: Any


def open_file(path: Path, *, stride: int, max_frames: int | None, max_seconds: float | None) -> Video:
    """Open a video file; see `open_video`.

    Raises:
        VideoError: FFmpeg cannot open it, or it holds no video.
    """
    source = _open(path)
    stream = source.stream
    rates = (stream.guessed_rate, stream.average_rate, stream.base_rate)
    fps = next((float(rate) for rate in rates if rate and 0 < rate < 1000), 0.0)
    if not fps:
        _LOG.warning("%s: the file states no number of frames a second; assuming %s", path, _DEFAULT_FPS)
    fps = fps or _DEFAULT_FPS

    def length() -> int:
        ends = [stream.frames or _count_packets(path)]
        ends += [] if max_frames is None else [max_frames]
        ends += [] if max_seconds is None else [math.ceil(max_seconds * fps)]
        return min(ends)

    video = Video(fps, length)
    video.frames = _frames(video, source, stride, max_frames, max_seconds)
    return video


def _open(path: Path) -> _Source:
    file = path.open("rb")
    try:
        container = _open_container(path, file)
        return _Source(path, file, container, _video_stream(path, container))
    except BaseException:
        file.close()
        raise


def _open_container(path: Path, file: BinaryIO) -> Any:
    try:
        # FFmpeg sees a stream of bytes: no name that it could take for a protocol, and no other file, as playlists
        # name them.
        return av.open(
            _Nameless(file),
            io_open=_refuse,
            buffer_size=_BUFFER,
            metadata_errors="replace",  # titles are in any encoding
            container_options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"},
        )
    except FFmpegError as error:
        raise VideoError(
            f"{path}: not a video that FFmpeg can open ({path.stat().st_size} bytes: {error.strerror}); if it was cut "
            "short or downloaded in part, fetch it again, else convert it to mp4"
        ) from error


class _Nameless:
    """A file without its name."""

    name = ""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.tell = file.read, file.tell
        self._seek = file.seek

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; damaged tables name some that no file has, and FFmpeg takes a negative answer for a no."""
        try:
            return self._seek(offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return -errno.EINVAL


def _refuse(*_: object) -> None:
    raise PermissionError("a video may not name other files")


def _video_stream(path: Path, container: Any) -> Any:
    """Return the stream that players show."""
    pictures = [
        stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic
    ]
    if not pictures and not container.streams.audio:
        raise VideoError(f"{path}: holds no video; it is cut short, fetch it again, or name another file")
    if not pictures:
        what = "sound and a cover picture" if container.streams.video else "sound"
        raise VideoError(f"{path}: holds {what}, no video; name a file with moving pictures")
    best = container.streams.best("video")
    stream = best if best in pictures else pictures[0]
    context = stream.codec_context
    if context is None:
        raise VideoError(f"{path}: FFmpeg has no decoder for its video; convert it to H.264 in mp4")
    context.thread_type = "AUTO"
    context.thread_count = cv2.getNumThreads()
    context.options = {"max_pixels": str(MAX_PIXELS)}
    if context.width and context.height:
        check_size(path, context.width, context.height)
    return stream


def _count_packets(path: Path) -> int:
    """Return the number of encoded pictures, as far as the file can be read."""
    source = _open(path)
    count = 0
    with source.file, source.container, contextlib.suppress(FFmpegError):
        for packet in source.container.demux(source.stream):
            count += packet.size > 0
    return count


def _frames(
    video: Video, source: _Source, stride: int, max_frames: int | None, max_seconds: float | None
) -> Iterator[Frame]:
    path, file, container, stream = source
    faults = _Faults()
    clock = _Clock(container.start_time, video.fps)
    screen = Screen(stream.sample_aspect_ratio)
    index, until = 0, math.inf
    with file, container:
        for picture in _deinterlaced(_pictures(container, stream, faults)):
            time = clock.time_of(picture)
            if max_seconds is not None and index == 0:
                until = time + max_seconds
            if time >= until or index == max_frames:
                break
            faults.corrupt += picture.is_corrupt
            video.decoded = index + 1 - faults.corrupt
            if index % stride == 0 and not picture.is_corrupt:
                check_size(path, picture.width, picture.height)
                yield Frame(index, time, screen.show(picture))
            index += 1
        else:
            faults.cut_short = is_cut_short(file)
            # A packet is marked also where sound files were joined; then there is no gap in time.
            gaps = clock.missing if faults.corrupt_packets else 0
            one_each = container.format.name.startswith(_ONE_PICTURE_A_PACKET)
            faults.missing = max(gaps, faults.packets - index if one_each else 0)
    if not video.decoded and max_frames != 0:
        raise VideoError(
            f"{path}: no frame could be decoded ({faults}); the file is cut short or damaged, fetch it again"
        )
    video.damage = faults.describe(video.decoded, max(stream.frames, index))


class _Faults:
    """What went wrong while a file was decoded."""

    def __init__(self) -> None:
        self.errors = 0
        self.first = ""
        self.packets = 0
        self.corrupt_packets = 0
        self.corrupt = 0
        self.missing = 0
        self.cut_short = False

    def add(self, error: FFmpegError) -> None:
        """Count an error of FFmpeg."""
        self.errors += 1
        self.first = self.first or error.strerror

    def describe(self, decoded: int, stated: int) -> str:
        """Say how much of how much was decoded, and why, or return ''."""
        if not (self.errors or self.corrupt or self.missing or self.cut_short):
            return ""
        stated = max(stated, decoded + self.missing)
        of = f"of {stated}" if stated > decoded else "of an unknown number of"
        return f"decoded {decoded} {of} frames; {self}"

    def __str__(self) -> str:
        parts = [
            "the file ends too early" if self.cut_short else "",
            f"decoding errors: {self.errors} (the first: {self.first})" if self.errors else "",
            f"damaged packets: {self.corrupt_packets}" if self.corrupt_packets else "",
            f"damaged frames: {self.corrupt}" if self.corrupt else "",
            f"missing frames: {self.missing}" if self.missing else "",
        ]
        return ", ".join(filter(None, parts)) or "it holds none"


class _Clock:
    """Tells the times of pictures in seconds since the start of the video: rising and distinct.

    Time stamps that fall back by more than a few frames, as in files joined end to end, or leap by a day, as damaged
    ones do, go on from the picture before.
    """

    def __init__(self, start: int | None, fps: float) -> None:
        self._shift = -(start or 0) / av.time_base
        self._step = 1 / fps
        self.missing = 0
        self._previous: float | None = None

    def time_of(self, picture: av.VideoFrame) -> float:
        """Return the time of the next picture."""
        previous = -self._step if self._previous is None else self._previous
        stamp = picture.time
        time = previous + self._step if stamp is None else stamp + self._shift
        if not -_MOST_REORDERED * self._step < time - previous < _DAY:
            self._shift += previous + self._step - time
            time = previous + self._step
        if self._previous is not None:
            self.missing += max(0, round((time - previous) / self._step) - 1)
        self._previous = max(time, previous + self._step / 8, 0.0)
        return self._previous


def _pictures(container: Any, stream: Any, faults: _Faults) -> Iterator[av.VideoFrame]:
    """Yield the decoded pictures in the order in which they are shown."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError as error:
            faults.add(error)
            yield from _decode(stream, None, faults)
            return
        if packet is None:
            return
        faults.packets += packet.size > 0 and not packet.is_discard
        faults.corrupt_packets += packet.is_corrupt
        yield from _decode(stream, packet, faults)


def _decode(stream: Any, packet: Any, faults: _Faults) -> list[av.VideoFrame]:
    try:
        return stream.decode(packet)
    except FFmpegError as error:
        faults.add(error)
        return []


def _deinterlaced(pictures: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Yield one progressive picture for each; those that are progressive already stay as they are."""
    graph: av.filter.Graph | None = None
    shape: tuple = ()
    for picture in pictures:
        if graph is None and not picture.interlaced_frame:
            yield picture
            continue
        found = (picture.width, picture.height, picture.format.name)
        if graph is None or found != shape:
            yield from _drain(graph)
            graph, shape = _deinterlacer(picture), found
        graph.push(picture)
        yield from _pulled(graph)
    yield from _drain(graph)


def _deinterlacer(picture: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=picture.width, height=picture.height, format=picture.format, time_base=picture.time_base
    )
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
    ).configure()
    return graph


def _drain(graph: av.filter.Graph | None) -> Iterator[av.VideoFrame]:
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph)


def _pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (BlockingIOError, EOFError):
            return
