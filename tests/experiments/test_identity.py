"""A checkpoint is resumed only by the run that wrote it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.conditioners import Flipped, Margin, MovingAverage
from metaloss.experiments import (
    Adjusted,
    Conventional,
    Experiment,
    MetaTraining,
    RunFolder,
    RunSettings,
    TaskSpec,
    Transferred,
)
from metaloss.experiments.records.identity import difference, identity, run_identity
from metaloss.losses import GCE, JS
from metaloss.pretrained import save_adjuster
from metaloss.training import (
    Engine,
    FabricEngine,
    MultiTaskTraining,
    Observer,
    Recipe,
    TaskSampler,
    TaskTraining,
    TrainState,
)
from tests.experiments.runs import Stop
from tests.helpers.tasks import blobs

SGD = partial(torch.optim.SGD, lr=0.1)
RECIPE = Recipe(epochs=4, meta_every=2, optimizer=SGD)


def network() -> nn.Module:
    return nn.Linear(5, 3)


def experiment(**changes) -> Experiment:
    settings = {
        "task": blobs,
        "model": network,
        "recipe": RECIPE,
        "settings": RunSettings(device="cpu"),
    }
    return Experiment(**{**settings, "methods": [Adjusted(name="A", loss=GCE())], **changes})


def meta_training(**changes) -> MetaTraining:
    settings = {
        "tasks": [TaskSpec(name=name, task=blobs) for name in ("one", "two")],
        "model": network,
        "recipe": RECIPE,
        "settings": RunSettings(device="cpu"),
    }
    return MetaTraining(**{**settings, "methods": [Adjusted(name="A", loss=GCE())], **changes})


OTHERS = [
    ({"recipe": replace(RECIPE, epochs=6)}, "recipe.epochs 6, got 4"),
    ({"recipe": replace(RECIPE, meta_every=7)}, "recipe.meta_every 7, got 2"),
    ({"recipe": replace(RECIPE, snapshots=(0.5, 1.0))}, r"recipe.snapshots \[0.5, 1.0\], got"),
    (
        {"recipe": replace(RECIPE, optimizer=partial(torch.optim.SGD, lr=0.2))},
        "recipe.optimizer.keywords.lr 0.2, got 0.1",
    ),
    (
        {"recipe": replace(RECIPE, lookahead=Lookahead(steps=2))},
        "recipe.lookahead.steps 2, got 1",
    ),
    ({"methods": [Adjusted(name="A", loss=JS())]}, "method.loss.type JS, got GCE"),
    (
        {"methods": [Adjusted(name="A", loss=GCE(), detach=False)]},
        "method.detach False, got True",
    ),
]


Begun = Callable[..., Path]


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Begun:
    """Return a function that makes a run once, stopped or finished, to be copied."""

    @cache
    def folder(make: Callable[..., Any], *, stop: bool, **changes: Any) -> Path:
        path = tmp_path_factory.mktemp("begun") / "run"
        with pytest.raises(KeyboardInterrupt) if stop else nullcontext():
            make(**changes).run(RunFolder(path), Stop() if stop else None)
        return path

    return folder


SOME = [OTHERS[0], OTHERS[5]]  # of the recipe and of the method
CASES = [*[(experiment, *other) for other in OTHERS], *[(meta_training, *other) for other in SOME]]


@pytest.mark.bad_input
@pytest.mark.parametrize(("make", "changes", "message"), CASES)
def test_it_does_not_go_on_as_another_run(
    make, changes, message: str, begun: Begun, tmp_path: Path
) -> None:
    shutil.copytree(begun(make, stop=True), tmp_path / "run")
    file = tmp_path / "run/A/seed-0/checkpoint.pt"
    before = file.read_bytes()
    with pytest.raises(InputError, match=f"another run was begun here: expected .*{message}"):
        make(**changes).run(RunFolder(tmp_path / "run", resume=True))
    assert file.read_bytes() == before  # nothing is lost


@pytest.mark.bad_input
@pytest.mark.parametrize("make", [experiment, meta_training])
@pytest.mark.parametrize(("changes", "message"), SOME)
def test_a_finished_run_is_not_taken_for_another(
    make, changes, message, begun: Begun, tmp_path: Path
) -> None:
    shutil.copytree(begun(make, stop=False), tmp_path / "run")
    with pytest.raises(InputError, match=f"another run was begun here: expected .*{message}"):
        make(**changes).run(RunFolder(tmp_path / "run", resume=True))


def changed(seed: int, device: torch.device, part: str):
    """Blobs with one changed number in the inputs of one part."""
    task = blobs(seed, device, validation=True)
    if part != "none":
        getattr(task, part).inputs[-1, 0] += 1
    return task


class Plain:
    """A loader without a fingerprint."""

    def __init__(self, inner) -> None:
        self.inner = inner
        self.num_samples = inner.num_samples

    def __len__(self) -> int:
        return len(self.inner)

    def epoch(self, number: int):
        return self.inner.epoch(number)


def plain(seed: int, device: torch.device, scale: float):
    task = blobs(seed, device)
    task.test.inputs.mul_(scale)
    return replace(task, test=Plain(task.test))


UNCHANGED = partial(changed, part="none")


@pytest.mark.parametrize("stop", [True, False])
def test_nor_with_other_samples(stop: bool, begun: Begun, tmp_path: Path) -> None:
    shutil.copytree(begun(experiment, stop=stop, task=UNCHANGED), tmp_path / "run")
    place = RunFolder(tmp_path / "run", resume=True)
    for part in ("train", "meta", "validation", "test"):
        with pytest.raises(
            InputError, match=rf"expected the same tasks\.blobs\.samples\.{part}, got others"
        ):
            experiment(task=partial(changed, part=part)).run(place)
    experiment(task=UNCHANGED).run(place)


def test_samples_of_a_loader_of_ones_own_are_told_by_the_first_batch(tmp_path: Path) -> None:
    experiment(task=partial(plain, scale=1.0)).run(RunFolder(tmp_path / "run"))
    place = RunFolder(tmp_path / "run", resume=True)
    experiment(task=partial(plain, scale=1.0)).run(place)
    with pytest.raises(InputError, match=r"expected the same tasks\.blobs\.samples\.test"):
        experiment(task=partial(plain, scale=2.0)).run(place)


def test_nor_with_another_network_or_mean(tmp_path: Path) -> None:
    experiment(settings=RunSettings(last=2)).run(RunFolder(tmp_path / "run"))
    place = RunFolder(tmp_path / "run", resume=True)
    with pytest.raises(InputError, match=r"expected tasks\.blobs\.network Sequential \w+, got Lin"):
        experiment(settings=RunSettings(last=2), model=lambda: nn.Sequential(network())).run(place)
    with pytest.raises(InputError, match="expected last 3, got 2"):
        experiment(settings=RunSettings(last=3)).run(place)


@pytest.mark.parametrize("held", [None, "", "[]", "{}", "\x00"])
def test_an_identity_that_is_damaged_is_no_identity(
    held: str | None, begun: Begun, tmp_path: Path
) -> None:
    shutil.copytree(begun(experiment, stop=False), tmp_path / "run")
    file = tmp_path / "run/A/seed-0/identity.json"
    file.unlink()
    if held is not None:
        file.write_text(held)
    with pytest.raises(InputError, match=r"identity\.json|expected method"):
        experiment().run(RunFolder(tmp_path / "run", resume=True))


@pytest.mark.bad_input
def test_nor_with_other_labels_or_turns(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        meta_training().run(RunFolder(tmp_path / "run"), Stop())
    place = RunFolder(tmp_path / "run", resume=True)
    with pytest.raises(InputError, match=r"expected sampler.order shuffled, got round-robin"):
        meta_training(sampler=TaskSampler(order="shuffled")).run(place)

    def other(*, seed: int, device):
        task = blobs(seed, device)
        task.train_targets = 2 - task.train_targets
        return task

    specs = [TaskSpec(name="one", task=blobs), TaskSpec(name="two", task=other)]
    with pytest.raises(InputError, match=r"expected the same tasks.two.targets, got others"):
        meta_training(tasks=specs).run(place)


@pytest.mark.parametrize("stop", [True, False])
def test_nor_with_the_tasks_in_another_order(stop: bool, begun: Begun, tmp_path: Path) -> None:
    shutil.copytree(begun(meta_training, stop=stop), tmp_path / "run")
    tasks = [TaskSpec(name=name, task=blobs) for name in ("two", "one")]
    with pytest.raises(InputError, match="expected tasks in the order two, one, got one, two"):
        meta_training(tasks=tasks).run(RunFolder(tmp_path / "run", resume=True))
    meta_training().run(RunFolder(tmp_path / "run", resume=True))


@pytest.mark.bad_input
def test_nor_with_an_adjuster_put_in_the_place_of_its_own(tmp_path: Path) -> None:
    def learned(weight: float) -> None:
        criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin()))
        with torch.no_grad():
            next(criterion.adjuster.parameters()).fill_(weight)
        save_adjuster(tmp_path / "adjuster", criterion)

    def run(resume: bool, observer: Observer | None = None, **changes) -> None:
        method = Transferred(name="T", adjuster=tmp_path / "adjuster", **changes)
        experiment(methods=[method]).run(RunFolder(tmp_path / "run", resume), observer)

    learned(0.5)
    with pytest.raises(KeyboardInterrupt):
        run(False, Stop())
    shutil.copytree(tmp_path / "adjuster", tmp_path / "kept")
    learned(-0.5)
    with pytest.raises(InputError, match=r"expected the same method.adjuster, got others"):
        run(True)
    shutil.rmtree(tmp_path / "adjuster")
    (tmp_path / "kept").rename(tmp_path / "adjuster")
    with pytest.raises(InputError, match=r"expected method\.strength 0\.5, got 1\.0"):
        run(True, strength=0.5)
    run(True)
    with pytest.raises(InputError, match=r"expected method\.strength 0\.5, got 1\.0"):
        run(True, strength=0.5)


def test_an_identity_is_the_same_in_another_process() -> None:
    """It contains no memory address, whatever arguments are bound."""
    labels = torch.tensor([1, 2])
    made = {
        "function": partial(blobs, samples=3),
        "method": Adjusted(name="A", loss=GCE(), conditioner=MovingAverage(Margin(), decay=0.5)),
        "tensors": [labels, Flipped(labels > 1)],
        "local": lambda: None,
        "recipe": RECIPE,
    }
    said = identity(made)
    assert " at 0x" not in str(said)
    assert said["method"]["conditioner"]["args"]["decay"] == 0.5
    assert said["tensors"][0] != identity(torch.tensor([2, 1]))
    assert difference(said, identity(made)) is None


def test_the_precision_of_the_steps_belongs_to_a_run() -> None:
    task, recipe = blobs(), Recipe(epochs=1)

    def identity_with(engine: Engine) -> dict[str, Any]:
        criterion = AdjustedLoss.fixed(GCE())
        state = TrainState.start(nn.Linear(5, 3), criterion, task, recipe, engine=engine)
        trainings = MultiTaskTraining({"blobs": TaskTraining(state, task, recipe)})
        return run_identity(trainings, Conventional(name="GCE", loss=GCE()))

    full, plain = FabricEngine(accelerator="cpu"), identity_with(Engine())
    assert identity_with(full) == plain
    half = identity_with(replace(full, precision="bf16-mixed"))
    said = difference(plain, half)
    assert said == "expected tasks.blobs.precision None, got bf16-mixed"
