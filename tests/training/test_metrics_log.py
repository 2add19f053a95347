import json
import struct
import time
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from fakedetect_jax.errors import FakedetectError
from fakedetect_jax.training.metrics_log import MetricsLog

ROWS = [{"step": step, "part": "train", "loss": 0.5} for step in (1, 2, 3)]


def steps_after_opening(folder, text, step):
    (folder / "metrics.jsonl").write_bytes(text)
    MetricsLog(folder, step=step).close()
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def lines(rows):
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_lines_past_the_step_are_dropped(tmp_path, capsys):
    assert steps_after_opening(tmp_path, lines(ROWS), 2) == [1, 2]
    assert capsys.readouterr().out == ""


def test_half_a_line_at_the_end_is_dropped_silently(tmp_path, capsys):
    assert steps_after_opening(tmp_path, lines(ROWS)[:-9], 3) == [1, 2]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "line",
    [
        b'{"a": 1}',
        b"3",
        b"[]",
        b"null",
        b'"step"',
        b'{"step": "two"}',
        b"\xff\xfe",
        b'{"st',
        b"",
        b"\x00" * 30,
        b"[" * 10**5,
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_line_that_is_none_of_ours_is_left_out_and_told_of(place, line, tmp_path, capsys):
    rows = lines(ROWS).splitlines(keepends=True)
    rows.insert(place, line + b"\n")
    assert steps_after_opening(tmp_path, b"".join(rows), 3) == [1, 2, 3]
    said = capsys.readouterr().out
    assert said == (
        "" if place == 3 else f"{tmp_path}/metrics.jsonl: 1 lines cannot be read and are left out\n"
    )


@pytest.mark.parametrize("name", ["tensorboard", "."])
def test_a_file_in_the_place_of_a_folder_is_named(name, tmp_path):
    folder = tmp_path / "run"
    (folder / name).resolve().parent.mkdir(exist_ok=True)
    (folder / name).resolve().write_text("mine")
    with pytest.raises(FakedetectError, match=r"is a file, but must be a folder; move it away"):
        MetricsLog(folder, step=0)


@pytest.mark.parametrize("full", ["_lines", "_board"])
def test_a_full_disk_is_told_and_nothing_waits_for_ever(full, tmp_path):
    log = MetricsLog(tmp_path, step=0)
    holder, name = (log, "_lines") if full == "_lines" else (log._board._py_recordio_writer, "_writer")
    getattr(holder, name).close()
    setattr(holder, name, Path("/dev/full").open("a" if full == "_lines" else "ab"))  # noqa: SIM115
    with pytest.raises(OSError, match="No space left") as error:
        log.write(1, "train", {"loss": 0.5})
    assert error.value.filename == str(tmp_path)
    log.close()


def test_the_board_hides_what_is_taken_again_and_shows_the_rest(tmp_path):
    for start, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        folder = tmp_path / str(start)
        log = MetricsLog(folder, step=start)
        for step in steps:
            log.write(step, "train", {"loss": step / 8})
        log.close()
        (file,) = (folder / "tensorboard").iterdir()
        version, _, session, *scalars = events(file)
        assert version.file_version == "brain.Event:2"
        assert (session.step, session.session_log.status) == (start + 1, SessionLog.START)
        assert [(event.step, event.summary.value[0].tag) for event in scalars] == [
            (s, "train/loss") for s in steps
        ]
        assert [event.summary.value[0].simple_value for event in scalars] == [step / 8 for step in steps]
        assert all(abs(event.wall_time - time.time()) < 600 for event in scalars)


def events(file):
    """The events of a TFRecord file: length, its checksum, the bytes, theirs."""
    data = file.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]
