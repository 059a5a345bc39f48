"""Checks before a run find errors and change no state."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR, ReduceLROnPlateau

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.experiments import (
    Adjusted,
    Comparison,
    Conventional,
    Experiment,
    MetaTraining,
    Method,
    RunFolder,
    RunSettings,
    TaskSpec,
    experiment,
)
from metaloss.experiments.preflight.first_steps import Excerpt, take_first_steps
from metaloss.losses import GCE, CrossEntropy
from metaloss.training import Recipe
from tests.helpers.tasks import blobs

CE = Conventional(name="CE", loss=CrossEntropy())
A_GCE = Adjusted(name="A-GCE", loss=GCE())


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


NET = net()
BODY = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8)).requires_grad_(False)


class Restless(nn.Module):
    """A network that draws from every random generator, and cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()
        self.weights = (p for p in ())

    def forward(self, inputs):
        if self.training:
            inputs = inputs * (1 + 0.01 * (np.random.rand() + random.random()))  # noqa: NPY002
            inputs = nn.functional.dropout(inputs, 0.2)
        return self.net(inputs)


class OnlyInTraining(nn.Module):
    def __init__(self, give: Callable) -> None:
        super().__init__()
        self.net, self.give = net(), give

    def forward(self, inputs):
        outputs = self.net(inputs)
        return self.give(outputs) if self.training else outputs


def states() -> tuple:
    numpy = np.random.get_state()[1].tolist()  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy, random.getstate()


def made(**changes) -> Experiment:
    settings = {
        "task": blobs,
        "model": net,
        "methods": (CE, A_GCE),
        "recipe": Recipe(epochs=3, meta_every=2),
        "settings": RunSettings(device="cpu"),
    }
    return Experiment(**{**settings, **changes})


def refused(tmp_path, message: str, **changes) -> None:
    with pytest.raises(InputError, match=message):
        made(**changes).run(RunFolder(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.bad_input  # what checks types in tests draws from Python's generator
@pytest.mark.parametrize("steps", [1, 2])
def test_a_run_is_what_it_is_without_it(tmp_path, monkeypatch, steps) -> None:
    """Results are equal to the last digit with a model that draws from all generators."""

    def run(name: str) -> dict[str, bytes]:
        np.random.seed(3)  # noqa: NPY002
        random.seed(3)
        recipe = Recipe(epochs=3, meta_every=2, lookahead=Lookahead(steps=steps))
        made(model=Restless, recipe=recipe).run(RunFolder(tmp_path / name))
        tensors = (tmp_path / name).rglob("*.safetensors")
        return {str(path.relative_to(tmp_path / name)): path.read_bytes() for path in tensors}

    with_it = run("with")
    assert len(with_it) == 6  # two runs, each with its network, its samples and its margins
    monkeypatch.setattr(experiment, "dry_run", lambda *args, **kwargs: None)
    assert run("without") == with_it


@pytest.mark.bad_input
def test_it_leaves_the_generators_alone() -> None:
    task = blobs()
    before = states()
    experiment.dry_run(task, Restless, Recipe(epochs=3), (CE, A_GCE))
    assert states() == before


def test_the_first_steps_leave_the_network_for_the_next_method() -> None:
    task, model = blobs(), net()
    few = Excerpt.of(task, list(task.train.epoch(0))[:1], list(task.meta.epoch(0))[:1])
    before = copy.deepcopy(model.state_dict())
    criterion = A_GCE.criterion(task)
    theta = [p.detach().clone() for p in criterion.adjuster.parameters()]
    take_first_steps(few, model, Recipe(epochs=1), criterion)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(map(torch.equal, theta, criterion.adjuster.parameters()))  # a meta step


def test_it_is_cheap() -> None:
    """Count passes in training mode: one check, a step for each method, and one meta step."""
    passes = []

    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net()

        def forward(self, inputs):
            passes.append(self.training)
            return self.net(inputs)

    made(model=Counted, methods=(CE,), recipe=Recipe(epochs=1000)).check()
    assert sum(passes) == 2
    passes.clear()
    made(model=Counted, recipe=Recipe(epochs=1000)).check()
    assert sum(passes) <= 2 + 4


STEPPED = "expected one that is stepped .* without metrics, got ReduceLROnPlateau"
LINEAR = partial(LambdaLR, lr_lambda=lambda epoch: 1 - epoch / 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schedule": ReduceLROnPlateau}, f"^schedule: {STEPPED}"),
        ({"meta_schedule": ReduceLROnPlateau}, f"A-GCE: meta_schedule: {STEPPED}"),
        (
            {"schedule": partial(OneCycleLR, max_lr=0.1, total_steps=2)},
            "^schedule: expected one for 3 epochs, but after epoch 3 it says: Tried to step 3",
        ),
        (
            {"meta_schedule": partial(OneCycleLR, max_lr=0.1, total_steps=2)},
            "A-GCE: meta_schedule: expected one for 3 epochs",
        ),
        ({"schedule": LINEAR}, r"learning rate after epoch 3: expected a number in \[0, inf\]"),
        ({"schedule": lambda optimizer: 0.1}, "returns a torch.optim.lr_scheduler.* returns 0.1"),
        ({"optimizer": torch.optim.LBFGS}, "^optimizer: .*whose step needs no closure, got LBFGS"),
        ({"meta_optimizer": torch.optim.LBFGS}, "A-GCE: meta_optimizer: .*needs no closure"),
        ({"optimizer": lambda params: 0.1}, "^optimizer: expected a function.* it returns 0.1"),
        (
            {"optimizer": lambda params: torch.optim.SGD(NET.parameters(), lr=0.1)},
            "^optimizer: expected a new one of the parameters given",
        ),
        (
            {"meta_optimizer": partial(torch.optim.Adam, lr=-1)},
            "A-GCE: meta_optimizer: .*Invalid learning rate: -1",
        ),
        ({"optimizer": torch.optim.NAdam}, "A-GCE: optimizer: expected torch.optim's SGD.*NAdam"),
    ],
)
@pytest.mark.bad_input
def test_optimizers_and_schedules(tmp_path, changes, message) -> None:
    refused(tmp_path, message, recipe=Recipe(epochs=3, **changes))


def test_an_optimizer_need_be_looked_ahead_with_by_what_learns_alone(tmp_path) -> None:
    recipe = Recipe(epochs=1, optimizer=torch.optim.NAdam)
    assert made(methods=(CE,), recipe=recipe).run(RunFolder(tmp_path / "run"))


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda outputs: (outputs, outputs), "in training mode, got a tuple"),
        (lambda outputs: {"logits": outputs}, "in training mode, got a dict"),
        (lambda outputs: outputs[:, :2], r"in training mode, got \[10, 2\]"),
    ],
)
@pytest.mark.bad_input
def test_outputs_that_differ_in_training_mode(tmp_path, give, message) -> None:
    refused(tmp_path, f"model: expected outputs .*{message}", model=partial(OnlyInTraining, give))


class Kept(Method):
    """A method that returns the same criterion in every call."""

    learns = True
    kept: list = []  # noqa: RUF012

    def criterion(self, task) -> AdjustedLoss:
        self.kept = self.kept or [A_GCE.criterion(task)]
        type(self).kept = self.kept
        return self.kept[0]


def one_adjuster() -> Callable[..., Adjuster]:
    kept: list[Adjuster] = []

    def make(**given) -> Adjuster:
        kept[:] = kept or [Adjuster(**given)]
        return kept[0]

    return make


SHARED_NETS = [
    (lambda: NET, "two calls share 0.weight"),
    (lambda: nn.Sequential(NET), "two calls share 0.0.weight"),
    (lambda: nn.Sequential(NET[0], nn.Linear(8, 3)), "two calls share 0.weight"),
    # Nothing is trained in its body, but batch normalisation goes on counting.
    (lambda: nn.Sequential(BODY, nn.Linear(8, 3)), "two calls share 0.1.running_mean"),
]


@pytest.mark.parametrize(("make", "message"), SHARED_NETS)
def test_one_network_for_all_runs(tmp_path, make, message) -> None:
    refused(tmp_path, f"model: .*{message}; make the layers inside the function", model=make)
    specs = [TaskSpec(name=name, task=blobs, model=make) for name in ("first", "second")]
    for cls, methods in ((Comparison, (CE,)), (MetaTraining, (A_GCE,))):
        together = cls(
            tasks=specs,
            methods=methods,
            recipe=Recipe(epochs=1),
            settings=RunSettings(device="cpu"),
        )
        with pytest.raises(InputError, match=f"^first: model: .*{message}"):
            together.run(RunFolder(tmp_path / "run"))
        assert not (tmp_path / "run").exists()


def test_a_frozen_part_that_nothing_changes_may_be_shared() -> None:
    made(model=lambda: nn.Sequential(BODY[0], nn.Linear(8, 3))).check()


def test_one_adjuster_for_all_runs(tmp_path) -> None:
    method = Adjusted(name="A", loss=GCE(), adjuster=one_adjuster())
    refused(tmp_path, "A: expected a criterion of its own .*two calls share adj", methods=(method,))
    refused(tmp_path, "K: expected a criterion of its own", methods=(Kept(name="K"),))


class TestData:
    @pytest.mark.bad_input
    @pytest.mark.parametrize("part", ["train", "meta", "test"])
    def test_loaders_of_another_kind(self, tmp_path, part: str) -> None:
        data = torch.utils.data.TensorDataset(torch.zeros(60, 5), torch.zeros(60).long())
        loader = torch.utils.data.DataLoader(data, batch_size=10)

        def task(seed, device):
            made = blobs(seed, device)
            setattr(made, part, loader)
            return made

        refused(tmp_path, f"task blobs: {part}: expected a .*, got torch's DataLoader", task=task)

    @pytest.mark.bad_input
    @pytest.mark.parametrize("part", ["train", "meta", "test"])
    def test_labels_out_of_range(self, tmp_path, part: str) -> None:
        def task(seed, device):
            made = blobs(seed, device)
            getattr(made, part).targets[:] = 3
            return made

        refused(tmp_path, rf"blobs: {part}: expected labels in 0\.\.2, got 3\.\.3", task=task)

    @pytest.mark.bad_input
    def test_what_is_no_task(self, tmp_path) -> None:
        refused(tmp_path, "task: expected .*TaskLike, but it returns 3", task=lambda **_: 3)


@pytest.mark.bad_input
def test_what_is_no_network(tmp_path) -> None:
    refused(tmp_path, "model: expected .*Module, but it returns None", model=lambda: None)
    frozen = nn.Linear(5, 3).requires_grad_(False)
    refused(tmp_path, "model: expected a trainable parameter", model=lambda: frozen)
