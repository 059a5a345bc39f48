"""The metrics file identifies lines by their epoch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaloss.checks import InputError
from metaloss.experiments.records.metrics_file import MetricsFile
from metaloss.experiments.tables.results import by_epoch, last_epochs_mean


def written(path: Path, *lines: object) -> MetricsFile:
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (path / "metrics.jsonl").write_text("\n".join(text) + "\n")
    return MetricsFile(path / "metrics.jsonl")


def epochs(*numbers: int, **more: object) -> list[dict[str, object]]:
    return [{"epoch": number, **more} for number in numbers]


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    assert metrics.read({None: 0}) == []
    for record in epochs(1, 2, loss=0.5):
        metrics.append(record)
    assert metrics.read({None: 2}) == epochs(1, 2, loss=0.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_not_finite_is_null(value: float, tmp_path: Path) -> None:
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    metrics.append({"epoch": 1, "loss": value})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"epoch": 1, "loss": null}\n'
    with pytest.raises(InputError, match="epoch 1: expected a number for loss, got None"):
        last_epochs_mean(metrics.read({None: 1}), "loss")


def test_what_came_after_the_checkpoint_is_dropped_by_number(tmp_path: Path) -> None:
    metrics = written(tmp_path, *epochs(2, 3, 1), '{"epoch": 3, "st')
    metrics.keep({None: 2})
    assert metrics.read({None: 2}) == epochs(2, 1)


def test_tasks_have_epochs_of_their_own(tmp_path: Path) -> None:
    metrics = written(tmp_path, *epochs(1, 2, task="a"), *epochs(1, task="b"))
    metrics.keep({"a": 1, "b": 1})
    assert metrics.read({"a": 1, "b": 1}) == [*epochs(1, task="a"), *epochs(1, task="b")]
    with pytest.raises(InputError, match=r"metrics\.jsonl of b: expected 1 epochs, got 0"):
        written(tmp_path, *epochs(1, task="a")).keep({"a": 1, "b": 1})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), "expected 3 epochs, got 0"),
        (epochs(1, 2), "expected 3 epochs, got 2"),
        (epochs(1, 3), "got none for epoch 2"),
        (epochs(1, 2, 2, 3), "got 2 for epoch 2"),
        ((*epochs(1, 2), "\x00garbage"), "expected 3 epochs, got 2"),
        ((*epochs(1, 2), "[" * 100_000), "expected 3 epochs, got 2"),
        ((*epochs(1, 2), [3], 3, "3", {"epoch": "3"}, {"epoch": 3.0}), "expected 3 epochs"),
        ((*epochs(1, 2), {"epoch": -3}), "expected 3 epochs"),
    ],
)
def test_a_missing_or_a_double_epoch_is_refused(lines, said: str, tmp_path: Path) -> None:
    metrics = written(tmp_path, *lines)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    for act in (metrics.keep, metrics.read):
        with pytest.raises(InputError, match=said) as refused:
            act({None: 3})
        assert str(refused.value).endswith(f"; delete {tmp_path} to run it anew")
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_mean_is_of_the_last_epochs_in_whatever_order_they_stand() -> None:
    records = [{"epoch": number, "a": float(number)} for number in (3, 1, 4, 2)]
    assert last_epochs_mean(records, "a", last=2) == 3.5
    assert list(by_epoch(records)) == [1, 2, 3, 4]
    for wrong, said in (([*records, records[0]], "got 2 for epoch 3"), (records[:1], "none for")):
        with pytest.raises(InputError, match=said):
            last_epochs_mean(wrong, "a")
