"""The recommended composition: as a function, as a recipe, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import metaloss
from metaloss import InputError
from metaloss.config import configuration
from metaloss.experiments import Experiment
from metaloss.experiments.records.identity import identity
from metaloss.losses import GCE
from metaloss.meta_losses import MAE, MeanLoss
from metaloss.runner import experiment_class
from tests.helpers.tasks import blobs


@pytest.mark.parametrize("clean", [True, False])
def test_a_training_loop_learns_an_adjuster(clean) -> None:
    torch.manual_seed(0)
    criterion, lookback, meta_optimizer = metaloss.recommended(num_classes=3, clean=clean)
    model = nn.Linear(5, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = torch.randn(32, 5), torch.randint(3, (32,))
    before = [theta.detach().clone() for theta in criterion.adjuster.parameters()]
    for _ in range(2):
        with lookback.step(model, optimizer, criterion, (x, y)):
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
        grads = lookback.hypergradient((x, y))
        assert all(grad.abs().sum() > 0 for grad in grads.values())
        for name, theta in criterion.adjuster.named_parameters():
            theta.grad = grads[name]
        meta_optimizer.step()
    after = criterion.adjuster.parameters()
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_the_recipe_is_the_same() -> None:
    with configuration(["experiments/demo.gin", "recipes/recommended.gin"]) as config:
        experiment = config.build(Experiment)
        (method,), lookahead = experiment.methods, experiment.recipe.lookahead
    ours = metaloss.recommended(num_classes=10)
    assert method.loss == ours.criterion.loss
    assert type(method.conditioner) is type(ours.criterion.conditioner)
    assert lookahead.hold_norm == ours.lookback.hold_norm
    assert lookahead.meta_loss == ours.lookback.meta_loss == MeanLoss(GCE())


def test_the_recipe_that_learns_from_noisy_samples_is_the_same() -> None:
    with configuration(["experiments/demo.gin", "recipes/recommended_noisy.gin"]) as config:
        experiment = config.build(Experiment)
        (method,), recipe = experiment.methods, experiment.recipe
        task = experiment.task(seed=0, device="cpu")
    ours = metaloss.recommended(num_classes=10, clean=False)
    assert method.loss == ours.criterion.loss
    assert type(method.conditioner) is type(ours.criterion.conditioner)
    assert recipe.lookahead.hold_norm == ours.lookback.hold_norm
    assert recipe.lookahead.meta_loss == ours.lookback.meta_loss == MAE()
    assert (recipe.warmup_epochs, task.meta_samples.origin) == (3, "shared")


@pytest.mark.parametrize("name", ["demo", "smoke_digits", "laptop_cifar10", "paper_meta_cifar10"])
@pytest.mark.parametrize("clean", [True, False])
def test_on_every_experiment_it_begins_and_steps_alike(clean: bool, name: str) -> None:
    """Also where new adjusters begin in the middle, and meta steps come first."""
    files = [f"experiments/{name}.gin", f"recipes/recommended{'' if clean else '_noisy'}.gin"]
    data = ["DATA = 'nowhere'"] if "cifar" in name else []
    with configuration(files, [*data, "EPOCHS = 9"]) as config:
        experiment = config.build(experiment_class(config))
        (method,) = experiment.methods
        found = method.criterion(blobs()).adjuster
    ours = metaloss.recommended(num_classes=3, clean=clean).criterion.adjuster
    (*_, own), (*_, expected) = (
        [each.bias for each in adjuster.modules() if isinstance(each, nn.Linear)]
        for adjuster in (found, ours)
    )
    assert torch.equal(own, expected)
    assert identity(method)["adjuster"] == "Adjuster"
    assert experiment.recipe.meta_update == "after"
    assert experiment.recipe.lookahead.hold_norm == 0.9


def test_the_recipe_without_clean_samples_is_a_short_name() -> None:
    with configuration(["experiments/demo.gin", "recipes/recommended_no_clean.gin"]) as config:
        experiment = config.build(Experiment)
        (method,), task = experiment.methods, experiment.task(seed=0, device="cpu")
    assert (method.adjuster, method.learns, task.meta) == ("gce", False, None)


@pytest.mark.parametrize("num_classes", [2, 10, 21_841])
@pytest.mark.parametrize("clean", [True, False])
def test_a_network_that_knows_nothing_learns(num_classes: int, clean: bool) -> None:
    criterion = metaloss.recommended(num_classes, clean=clean).criterion
    outputs = torch.zeros(4, num_classes, requires_grad=True)
    criterion(outputs, torch.arange(4) % num_classes).backward()
    assert outputs.grad is not None
    assert (outputs.grad.abs().sum(dim=1) > 0).all()


def test_bad_input() -> None:
    with pytest.raises(InputError, match="num_classes: expected a whole number of at least 2"):
        metaloss.recommended(1)
    with pytest.raises(InputError, match="num_classes: expected a whole number of at least 2"):
        metaloss.recommended(1, clean=False)
    with pytest.raises(InputError, match="clean: expected True or False, got 100"):
        metaloss.recommended(3, clean=100)  # type: ignore[arg-type]
    for clean in (True, False):
        criterion = metaloss.recommended(3, clean=clean).criterion
        with pytest.raises(InputError, match=r"outputs: expected 3 classes, as .* got 5"):
            criterion(torch.randn(4, 5, requires_grad=True), torch.arange(4))
