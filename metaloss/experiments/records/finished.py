"""Finished runs of classification: which run of an experiment is read, and its network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from metaloss.checks import InputError, check_one_of, require
from metaloss.experiments.records.names import slug
from metaloss.experiments.records.run_records import RunRecords
from metaloss.files import read_text


@dataclass(frozen=True)
class Choice:
    """Which run of an experiment is read.

    Attributes:
        method: the method's name; by default the first that learned an adjuster, else the
            first that was given one, else the first.
        seed: the seed; by default the first of the experiment's.
        task: the task's name, if there are several; by default the first.
    """

    method: str | None = None
    seed: int | None = None
    task: str | None = None


def config_of(run: Path) -> Path:
    """Return the configuration in the folder of a run.

    Raises:
        InputError: It is not such a folder.
    """
    config = run / "config.gin"
    require(
        config.is_file(),
        f"{run}: expected the folder of a run of `metaloss fit` or `metaloss train`, with its "
        "config.gin, got none there",
    )
    return config


def methods_and_seeds(folder: Path) -> tuple[list[str], list[int]]:
    """Return the names of the methods in a folder, and the seeds, without its configuration.

    They are those of its table, in the same order. If there is no table yet, they are those of the
    folders, in the order of the alphabet.

    Args:
        folder: the folder of an experiment, or that of one task of a comparison.

    Raises:
        InputError: no run was begun in it.
    """
    with suppress(InputError, ValueError, KeyError, TypeError):
        rows = json.loads(read_text(folder / "results.json"))["rows"]
        methods = [str(row["method"]) for row in rows]
        if rows and all(list(folder.glob(f"{slug(name)}/seed-*")) for name in methods):
            return methods, [int(seed) for seed in rows[0]["seeds"]]
    places = [p for p in sorted(folder.glob("*/seed-*")) if RunRecords(p).begun]
    require(
        len(places) > 0,
        f"{folder}: expected runs of `metaloss fit` or `metaloss train`, got none there",
    )
    seeds = {p.name.removeprefix("seed-") for p in places}
    methods = list(dict.fromkeys(_method(p) for p in places))
    return methods, sorted(int(seed) for seed in seeds if seed.isdecimal())


def _method(place: Path) -> str:
    """Return the name of a run's method: its own if it is finished, else that of its folder."""
    return str((RunRecords(place).result() or {}).get("method", place.parent.name))


def check_no_task(given: str | None) -> None:
    """Raise :class:`InputError` if a task is chosen where there is only one."""
    require(given is None, f"task: expected none, since there is only one, got {given!r}")


def chosen_task(names: Iterable[str], given: str | None) -> str:
    """Choose a task of a comparison, by default the first.

    Raises:
        InputError: there is no such task.
    """
    known = list(names)
    name = known[0] if given is None else given
    check_one_of("task", name, known)
    return name


def chosen_run(
    folder: Path, methods: Sequence[str], seeds: Sequence[int], choice: Choice
) -> tuple[str, int, RunRecords]:
    """Choose a finished run of classification.

    Returns:
        The method's name, the seed, and the run's folder.

    Raises:
        InputError: there is no such method or seed, the run is not finished or is one of
            regression.
    """
    seed = seeds[0] if choice.seed is None else choice.seed
    known = ", ".join(map(str, seeds))
    require(seed in seeds, f"seed: expected one of {known}, got {seed}")
    runs = {name: RunRecords(folder / slug(name) / f"seed-{seed}") for name in methods}
    method = choice.method
    if method is None:
        learned = [name for name, records in runs.items() if records.adjuster.is_dir()]
        frozen = [name for name, records in runs.items() if "adjuster" in (records.result() or {})]
        method = [*learned, *frozen, *runs][0]
    check_one_of("method", method, runs)
    records = runs[method]
    result = records.result()
    if result is None:
        raise InputError(f"{records.path}: expected a finished run, got one that is not finished")
    require(
        result["metric"] == "accuracy",
        f"{records.path}: expected a run of classification, whose labels are classes, got one of "
        "regression",
    )
    return str(result["method"]), seed, records


def load_network(model: nn.Module, records: RunRecords) -> None:
    """Load the weights of a run into its network.

    Raises:
        InputError: they are those of another network, or cannot be read.
    """
    try:
        model.load_state_dict(records.read_tensors("model"))
    except RuntimeError as error:
        said = str(error).splitlines()[-1].strip()
        raise InputError(f"{records.path}: expected the network of the run: {said}") from None
