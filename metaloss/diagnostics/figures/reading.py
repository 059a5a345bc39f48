"""What the figures read of a run's folder, and how to come by it where it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from metaloss.checks import require
from metaloss.experiments.recorded_samples import Recorded, recorded
from metaloss.experiments.records.run_records import RunRecords
from metaloss.losses import LossFamily
from metaloss.objective import AdjustedLoss
from metaloss.pretrained import load_adjuster

_MOST = 5  # times that can be read side by side


class Pair(NamedTuple):
    """Two finished runs of one loss.

    Attributes:
        adjusted: with learned hyperparameters, such as ``RunFolder("RUN", resume=True).run("A-GCE",
            seed=0)``.
        fixed: with the same hyperparameters for every sample; the loss's defaults take its place
            where it is not given.
    """

    adjusted: RunRecords
    fixed: RunRecords | None = None


def method_of(records: RunRecords) -> str:
    """Return the name of a finished run's method."""
    return str(records.finished_result()["method"])


def learned(records: RunRecords, components: Iterable[type] = ()) -> AdjustedLoss:
    """Return the loss of a finished run with its learned adjuster.

    Raises:
        InputError: The run is not finished, or learned no adjuster.
    """
    method = method_of(records)
    require(
        records.adjuster.is_dir(),
        f"{records.path}: expected a run that learned an adjuster (experiments.Adjusted), got "
        f"{method}, which has none",
    )
    return load_adjuster(records.adjuster, components=components)


def at_the_end(records: RunRecords) -> dict[str, Tensor]:
    """Return the training samples at the end of a finished run."""
    return dict(recorded(records)[-1].samples)


def over_training(records: RunRecords) -> list[Recorded]:
    """Return the training samples at several times of a finished run, five at most.

    Of more times the first, the last and three between them are taken, evenly spaced in number.

    Raises:
        InputError: The run recorded its samples at its end alone.
    """
    found = recorded(records)
    require(
        len(found) > 1,
        f"{records.path}: expected samples recorded over training, got those of its end alone; "
        "record them with RunSettings(record_samples=(1/3, 2/3, 1.0)), in gin "
        "RECORD_SAMPLES = (0.333, 0.667, 1.0)",
    )
    return evenly_spaced(found, _MOST)


def evenly_spaced(times: Sequence[Recorded], most: int) -> list[Recorded]:
    """Return times, or of more than ``most`` the first, the last and some between them."""
    places = np.linspace(0, len(times) - 1, min(len(times), most)).round().astype(int)
    return [times[place] for place in places]


def column_of(records: RunRecords, samples: Mapping[str, Tensor], name: str) -> Tensor:
    """Return a column of recorded samples.

    Raises:
        InputError: It is not there, such as a margin in a run of regression.
    """
    require(
        name in samples,
        f"{records.path}: expected samples with their {name}, got {', '.join(samples)}; run it "
        "anew in another folder to record them",
    )
    return samples[name]


def fixed_values(pair: Pair, loss: LossFamily) -> tuple[float, ...]:
    """Return the hyperparameters of the fixed run of a pair, or the loss's defaults without one.

    Raises:
        InputError: The fixed run has another loss, or hyperparameters that are not fixed.
    """
    if pair.fixed is None:
        return loss.defaults
    method = method_of(pair.fixed)
    values = at_the_end(pair.fixed)["hparams"]
    require(
        values.shape[1] == len(loss.hyperparameters),
        f"{pair.fixed.path}: expected a run of {loss.family} with its "
        f"{len(loss.hyperparameters)} hyperparameters, got {method} with {values.shape[1]}",
    )
    require(
        bool((values == values[0]).all()),
        f"{pair.fixed.path}: expected a run with the same hyperparameters for every sample, got "
        f"{method}",
    )
    first: tuple[float, ...] = tuple(values[0].tolist())
    return first
