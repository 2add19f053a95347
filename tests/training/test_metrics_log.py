import json
from pathlib import Path

import pytest

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


def test_a_full_disk_is_told_with_the_file(tmp_path):
    log = MetricsLog(tmp_path, step=0)
    log._lines.close()
    log._lines = Path("/dev/full").open("a")  # noqa: SIM115
    with pytest.raises(OSError, match="No space left") as error:
        log.write(1, "train", {"loss": 0.5})
    assert error.value.filename == "/dev/full"
    log.close()
