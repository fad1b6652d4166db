"""The metrics of a run in memory: rows as dicts, held as columns."""

import tracemalloc

import pytest

from tinygan.runs.metrics import Rows, curve

ROWS = [
    {"step": 1, "epoch": 1, "loss": 0.25},
    {"step": 2, "epoch": 1, "loss": 0.5, "later": -1.5},
    {"step": 3, "epoch": 2, "loss": 0.75, "later": 2.0},
]


@pytest.fixture
def rows():
    held = Rows()
    for row in ROWS:
        held.append(row)
    return held


def test_rows_are_what_was_appended(rows):
    assert list(rows) == ROWS
    assert len(rows) == 3
    assert rows[-1] == ROWS[-1]
    assert rows[1:] == ROWS[1:]
    assert [type(rows[0][name]) for name in ("step", "epoch", "loss")] == [int, int, float]
    with pytest.raises(IndexError):
        rows[3]
    assert list(Rows()) == []


@pytest.mark.parametrize("name", ["step", "loss", "later", "unknown"])
def test_a_curve_is_the_same_of_rows_and_of_dicts(rows, name):
    for found, expected in zip(curve(rows, name), curve(ROWS, name), strict=True):
        assert found.tolist() == expected.tolist()


def test_a_step_takes_a_few_bytes_a_number():
    tracemalloc.start()
    try:
        rows, before = Rows(), tracemalloc.get_traced_memory()[0]
        for step in range(20_000):
            rows.append({"step": step, "a": 0.5 * step, "b": 1.5 * step})
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < 20_000 * 3 * 10  # 8 each, and what an array keeps free to grow
