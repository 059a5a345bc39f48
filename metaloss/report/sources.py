"""What a report reads of the folder of an experiment. Nothing is written to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from metaloss.checks import InputError, require
from metaloss.experiments.records.names import slug
from metaloss.experiments.records.run_folder import holds_run
from metaloss.experiments.records.run_records import RunRecords
from metaloss.experiments.tables.results import by_epoch
from metaloss.files import read_text, user_path

_HELD_OUT = "held-out"
# Below RUN: METHOD/seed-0, TASK/METHOD/seed-0, held-out/TASK/METHOD/seed-0.
_DEPTHS = ("*", "*/*", f"{_HELD_OUT}/*/*")


class Trained(NamedTuple):
    """A finished run: a method with a seed on a task.

    Attributes:
        method: the method's name.
        seed: the seed.
        task: the task's name in the table.
        score: what the table shows: the mean of the metric over the run's last epochs.
        result: what ``result.json`` holds.
        epochs: the lines of ``metrics.jsonl`` about this task, in order.
        records: the run's folder.
    """

    method: str
    seed: int
    task: str
    score: float
    result: Mapping[str, Any]
    epochs: Sequence[Mapping[str, Any]]
    records: RunRecords

    def over_epochs(self, key: str) -> dict[int, float]:
        """Return a metric by epoch; epochs in which it is missing, or not finite, are left out."""
        return {line["epoch"]: line[key] for line in self.epochs if line.get(key) is not None}

    def said(self, key: str) -> bool:
        """Return whether the result has a mark for this task: for all of them, or by its name."""
        marked = self.result.get(key, False)
        return self.task_name in marked if isinstance(marked, list) else bool(marked)

    @property
    def task_name(self) -> str:
        """The task's own name, which the files of the run use."""
        return str(self.result.get("task", self.task.removesuffix(LEARNED_ON)))

    @property
    def identity(self) -> dict[str, Any]:
        """What identifies the run; nothing if its file is missing or damaged."""
        return _object(self.records.path / "identity.json")


LEARNED_ON = " (meta-training)"
"""What marks the tasks that an adjuster was learned on, beside those held out."""


class Source(NamedTuple):
    """The folder of an experiment, a comparison or a meta-training.

    Attributes:
        path: the folder.
        metric: the name of the runs' metric.
        trained: its finished runs, method by method in the order of the table.
        unfinished: a line for each run that is not finished: its folder and number of epochs.
        config: the configuration; ``None`` if it was started from Python.
        about: the machine and the versions, as far as they are known.
    """

    path: Path
    metric: str
    trained: Sequence[Trained]
    unfinished: Sequence[str]
    config: str | None
    about: Mapping[str, Any]


def read_source(folder: str | Path) -> Source:
    """Read the folder of an experiment.

    Args:
        folder: the folder that ``metaloss train`` wrote, or that of one task of a comparison.

    Raises:
        InputError: There is no such folder, no run is in it, none is finished, or the metrics of
            its runs differ.
    """
    path = user_path(folder)
    expected = f"{path}: expected the folder of a run (of metaloss fit or metaloss train)"
    require(path.is_dir(), f"{expected}, got {'a file' if path.exists() else 'nothing there'}")
    require(holds_run(path), f"{expected}, got one without a run")
    places = [place for depth in _DEPTHS for place in path.glob(f"{depth}/seed-*")]
    found = [RunRecords(place) for place in places if place.is_dir()]
    tables = [_table(path / part) for part in ("", _HELD_OUT)]
    trained, unfinished = [], []
    for records in found:
        result = records.result()
        if result is not None:
            trained += _trained(path, records, result, tables)
        elif records.begun:
            epochs = len({line["epoch"] for line in records.metrics.read({})})
            name = records.path.relative_to(path).as_posix()
            many = f"{epochs} epoch{'' if epochs == 1 else 's'}"
            unfinished.append(f"{name} is not finished: {many} so far")
    require(
        len(trained) > 0,
        f"{path}: expected one finished run or more, got "
        f"{'; '.join(sorted(unfinished)) or 'none that was begun'}",
    )
    metrics = {run.result["metric"]: run.records.path for run in trained}
    require(len(metrics) == 1, f"{path}: expected runs with one metric, got {listed(metrics)}")
    about = [_object(path / name) for name in ("results.json", "meta_training.json")]
    config = path / "config.gin"
    return Source(
        path=path,
        metric=next(iter(metrics)),
        trained=_ordered(trained, tables),
        unfinished=sorted(unfinished),
        config=read_text(config) if config.is_file() else None,
        about=next((each for each in about if "machine" in each), {}),
    )


def listed(metrics: Mapping[str, Path]) -> str:
    """Return metrics with a folder that each was found in."""
    return " and ".join(f"{name} in {path}" for name, path in metrics.items())


def _trained(
    path: Path, records: RunRecords, result: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]
) -> list[Trained]:
    """Return a run; that of a meta-training is one for each of its tasks."""
    lines = records.metrics.read({})

    def one(task: str, score: float, own: Sequence[Mapping[str, Any]]) -> Trained:
        try:
            epochs = list(by_epoch(own).values()) if own else []
        except InputError as error:
            raise InputError(f"{records.metrics.path}: {error}") from None
        return Trained(result["method"], result["seed"], task, score, result, epochs, records)

    if "tasks" in result:
        several = any("task" in line for line in lines)
        return [
            one(
                name + LEARNED_ON,
                score,
                [line for line in lines if not several or line.get("task") == name],
            )
            for name, score in result["tasks"].items()
        ]
    score = result[result["metric"]]
    folder = records.path.parent.parent
    if folder == path:
        return [one(str(result.get("task", path.name)), score, lines)]
    # A comparison names its tasks itself; its folders are named after them.
    names = {slug(task): task for table in tables for task in table["tasks"]}
    return [one(names.get(folder.name, folder.name), score, lines)]


def _table(folder: Path) -> dict[str, list[str]]:
    """Return the methods and tasks in the order of the table of a folder, if there is one."""
    rows = _object(folder / "results.json").get("rows") or []
    methods = [str(row.get("method")) for row in rows]
    return {"methods": methods, "tasks": list(rows[0].get("tasks") or ()) if rows else []}


def _ordered(
    trained: Sequence[Trained], tables: Sequence[Mapping[str, Sequence[str]]]
) -> list[Trained]:
    """Return runs in the order of the tables; those in none come last, by name."""
    methods = [name for table in tables for name in table["methods"]]
    tasks = [name for table in tables for name in table["tasks"]]

    def place(name: str, names: Sequence[str]) -> tuple[int, str]:
        return (names.index(name), "") if name in names else (len(names), name)

    return sorted(
        trained, key=lambda run: (place(run.method, methods), place(run.task, tasks), run.seed)
    )


def _object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if it is missing or damaged."""
    with suppress(OSError, ValueError, RecursionError):
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}
