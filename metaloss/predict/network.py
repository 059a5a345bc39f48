"""The network of a finished run, without the data that it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from metaloss.checks import require
from metaloss.config import Config
from metaloss.experiments import Comparison, Experiment
from metaloss.experiments.makers import fresh
from metaloss.experiments.records.finished import (
    Choice,
    check_no_task,
    chosen_run,
    chosen_task,
    load_network,
    methods_and_seeds,
)
from metaloss.experiments.records.names import slug
from metaloss.files import user_path
from metaloss.inputs import Inputs
from metaloss.machine import chosen_device
from metaloss.randomness import randomness_restored
from metaloss.runner import configuration_of, experiment_class
from metaloss.types import TaskSpec


@dataclass(frozen=True)
class RunNetwork:
    """A trained network, and how its inputs are made.

    Attributes:
        folder: the folder of its run.
        method: the method's name.
        seed: the seed.
        model: the network, in evaluation mode.
        inputs: how its inputs are made.
        device: the device that it is on.
    """

    folder: Path
    method: str
    seed: int
    model: nn.Module = field(repr=False)
    inputs: Inputs
    device: torch.device


def read_network(
    run: str | Path, choice: Choice | None = None, device: str | None = None
) -> RunNetwork:
    """Build the network of a finished run again, and load its weights.

    Of the configuration only the network is built: neither the data nor the adjusters need exist
    any more.

    Args:
        run: the folder that ``metaloss train`` wrote to.
        choice: which of its runs.
        device: the device to predict on; by default a GPU if there is one.

    Raises:
        InputError: It is no such folder, there is no such run in it, the run is not finished or is
            one of regression, it does not say how its inputs are made, or its weights are those of
            another network.
    """
    place, choice, on = user_path(run), choice or Choice(), chosen_device(device)
    with configuration_of(place) as parsed, randomness_restored([on]):
        folder, make = _network(parsed, place, choice.task)
        method, seed, records = chosen_run(folder, *methods_and_seeds(folder), choice)
        inputs = records.read_inputs()
        require(
            inputs.kind != "unknown",
            f"{records.path}: expected a run whose inputs can be made again, but {inputs.reason}",
        )
        model = fresh(make(), seed)
        load_network(model, records)
    return RunNetwork(records.path, method, seed, model.to(on).eval(), inputs, on)


def _network(
    parsed: Config, place: Path, task: str | None
) -> tuple[Path, Callable[[], Callable[[], nn.Module]]]:
    """Return the folder of one task's runs, and what reads the function that makes the network."""
    kind = experiment_class(parsed)
    require(
        kind in {Experiment, Comparison},
        f"{place}: expected a run that keeps its networks, got a meta-training, which does not",
    )
    if kind is Experiment:
        check_no_task(task)
        return place, lambda: parsed.argument(Experiment, "model")
    # The tasks are specifications: no data are read.
    specs: dict[str, TaskSpec] = {s.name: s for s in parsed.argument(Comparison, "tasks")}
    name = chosen_task(specs, task)
    own = specs[name].model
    return place / slug(name), lambda: own or parsed.argument(Comparison, "model")
