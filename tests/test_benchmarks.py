"""The benchmarks run, small, and both of their sides agree; what they measure is not looked at."""

from __future__ import annotations

from tests.benchmarks import end_to_end, measures, reading


def test_end_to_end(capsys):
    end_to_end.main(["--edge", "48", "--repeat", "1"])
    assert "labels equal" in capsys.readouterr().out


def test_reading(capsys):
    reading.main(["--edge", "48", "--block", "24", "--repeat", "1"])
    assert "answers equal" in capsys.readouterr().out


def test_measures(capsys):
    measures.main(["--objects", "small", "--edge", "24", "--sets", "first"])
    assert "tables equal" in capsys.readouterr().out
