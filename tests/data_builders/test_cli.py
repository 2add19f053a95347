import sys

import pytest

from fakedetect_jax.cli import main as cli


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["fakedetect", *map(str, arguments)])
    cli.main()


def test_check_and_build_from_the_command_line(tmp_path, clips, monkeypatch, capsys):
    clips.put("face", tmp_path / "mine/real/a.mp4", tmp_path / "mine/fake/app/a.mp4")
    clips.put("corrupt", tmp_path / "mine/fake/app/b.mp4")
    where = ("build", "video_folder", "--source", tmp_path / "mine")
    run(monkeypatch, *where, "--check")
    assert "test         app                         2        0          -" in capsys.readouterr().out
    options = ("--out", tmp_path / "data", "--workers", 1, "--count", 1, "--run-length", 2, "--size", 64)
    run(monkeypatch, *where, *options)
    out = capsys.readouterr().out
    assert "video_folder/1x2-size64/3.0.0" in out
    assert "failed: test/app/fake/app/b: VideoError" in out


def test_a_mistake_gets_one_line(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="fakedetect: frames: runs of 3") as stopped:
        run(monkeypatch, "build", "mini_forensics", "--run-length", 3, "--out", tmp_path)
    assert "\n" not in str(stopped.value)
