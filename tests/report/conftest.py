"""Small finished runs that reports are written about. Tests copy them before they change them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from metaloss.conditioners import Concat, LossValue, Margin
from metaloss.experiments import (
    Adjusted,
    Comparison,
    Conventional,
    Experiment,
    Oracle,
    RunFolder,
    RunSettings,
)
from metaloss.losses import GCE, Barron, CrossEntropy, PolySoft, SquaredError
from metaloss.models import MLP
from metaloss.tasks import corruption, diabetes, regression_task
from metaloss.training import Recipe
from tests.experiments.runs import HELD_OUT, SPECS, meta_training, network
from tests.helpers.tasks import blobs

ODD = 'A<b>&"$x$" $'
METHODS = (
    Conventional(name="CE", loss=CrossEntropy()),
    Adjusted(name="A-GCE", loss=GCE()),
    Adjusted(name=ODD, loss=PolySoft(), conditioner=Concat([Margin(), LossValue()])),
    Oracle(name="oracle", loss=GCE()),
)
RUN = "A-GCE/seed-0"

Copy = Callable[[str], Path]


def seeds(*given: int) -> RunSettings:
    return RunSettings(seeds=given, last=2, device="cpu", record_samples=(0.5, 1.0))


def _classes(folder: Path) -> None:
    Experiment(
        task=blobs,
        model=lambda: MLP(5, 3, hidden=(8,)),
        methods=METHODS,
        recipe=Recipe(epochs=4, meta_every=1),
        settings=seeds(0, 1),
    ).run(RunFolder(folder), documents={"config.gin": "EPOCHS = 4  # <&>\n"})


def _values(folder: Path) -> None:
    noise = partial(corruption.shifted, rate=0.4)
    Experiment(
        task=partial(regression_task, data=diabetes, num_meta=60, num_test=120, noise=noise),
        model=partial(MLP, 10, 1, hidden=(8,)),
        methods=[
            Conventional(name="L2", loss=SquaredError()),
            Adjusted(name="A-Barron", loss=Barron()),
        ],
        recipe=Recipe(epochs=3, meta_every=2),
        settings=seeds(0),
    ).run(RunFolder(folder))


def _comparison(folder: Path) -> None:
    Comparison(
        tasks=SPECS,
        methods=[METHODS[0], METHODS[1]],
        recipe=Recipe(epochs=2, meta_every=2),
        model=network,
        settings=seeds(0),
    ).run(RunFolder(folder))


def _meta(folder: Path) -> None:
    meta_training(methods=[METHODS[1]], held_out=HELD_OUT).run(RunFolder(folder))


_MAKE = {"classes": _classes, "values": _values, "comparison": _comparison, "meta": _meta}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """Return a function that makes a run of this kind once."""
    place = tmp_path_factory.mktemp("reported")

    def make(kind: str) -> Path:
        if not (place / kind).exists():
            _MAKE[kind](place / kind)
        return place / kind

    return make


@pytest.fixture
def copied(made: Copy, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies a run of this kind, to be changed."""

    def copy(kind: str, name: str | None = None) -> Path:
        return Path(shutil.copytree(made(kind), tmp_path / (name or kind)))

    return copy


def changed(path: Path, **entries: Any) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def lines_of(run: Path) -> list[dict[str, Any]]:
    """Return the metrics of a run."""
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def rewritten(run: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change each line of a run's metrics in place."""
    lines = lines_of(run)
    for line in lines:
        change(line)
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
