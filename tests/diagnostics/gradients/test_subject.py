"""What is taken from an experiment, and that it is a copy."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloss import InputError
from metaloss.bilevel import Lookahead
from metaloss.conditioners import Concat, Margin, MovingAverage
from metaloss.diagnostics.gradients.check import check_experiment
from metaloss.diagnostics.gradients.subject import Size, subjects
from metaloss.experiments import Adjusted, Conventional, Experiment, RunSettings
from metaloss.losses import GCE
from metaloss.training import Recipe
from tests.helpers import states
from tests.helpers.tasks import blobs


def experiment(model=lambda: nn.Linear(5, 3), steps: int = 2, **changed) -> Experiment:
    conditioner = Concat([Margin(), MovingAverage(Margin())])
    learning = Adjusted(name="A-GCE", loss=GCE(), conditioner=conditioner, detach=False)
    arguments = {
        "task": blobs,
        "model": model,
        "methods": [Conventional(name="GCE", loss=GCE()), learning],
        "recipe": Recipe(epochs=3, lookahead=Lookahead(steps)),
        "settings": RunSettings(device="cpu"),
    }
    return Experiment(**{**arguments, **changed})


def test_the_first_batches_after_the_steps_before():
    size = Size(batch=4, steps_before=2)
    ((name, found),) = subjects(experiment(), size)
    assert name == "A-GCE"
    coming = list(blobs(seed=0).train.epoch(0))
    assert len(found.train_batches) == 2
    for batch, whole in zip(found.train_batches, coming[2:4], strict=True):
        assert torch.equal(batch.inputs, whole.inputs[:4].double())
        assert torch.equal(batch.targets, whole.targets[:4])
        assert torch.equal(batch.index, whole.index[:4])
    clean = next(iter(blobs(seed=0).meta.epoch(0)))
    assert torch.equal(found.meta_batch.targets, clean.targets[:4])
    assert all("momentum_buffer" in state for state in found.optimizer.state.values())
    assert len(found.optimizer.state) == 2
    remembered = found.criterion.conditioner.conditioners[1].seen
    assert int(remembered.sum()) == 8  # what was observed in the steps before


def test_without_steps_before_the_optimizer_is_fresh():
    ((_, found),) = subjects(experiment(), Size(batch=4, steps_before=0))
    assert not found.optimizer.state
    assert not found.criterion.conditioner.conditioners[1].seen.any()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_everything_is_of_one_dtype_and_the_experiments_own_model_is_left_alone(dtype):
    own = nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3)).eval()
    before = states.of_module(own)
    ((_, found),) = subjects(experiment(lambda: own), Size(batch=4, dtype=dtype))
    tensors = [*found.model.parameters(), *found.criterion.parameters(), found.meta_batch.inputs]
    assert {t.dtype for t in tensors} == {dtype}
    assert found.dtype == dtype
    assert states.same(states.of_module(own), before)


def test_an_experiment_holds():
    threads = torch.get_num_threads()
    ((_, report),) = check_experiment(experiment(settings=RunSettings(threads=2)), Size(batch=6))
    assert report.holds, report.checks
    assert report.steps == 2
    assert torch.get_num_threads() == threads


class SinglePrecision(nn.Module):
    """Makes a tensor of a dtype of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return self.layer(x) @ torch.eye(3)


def test_a_model_that_cannot_be_cast_is_bad_input():
    with pytest.raises(InputError, match=r"can make a step in torch\.float64, but torch says"):
        list(subjects(experiment(SinglePrecision), Size(batch=4)))
    ((_, found),) = subjects(experiment(SinglePrecision), Size(batch=4, dtype=torch.float32))
    assert found.dtype == torch.float32


def test_nothing_that_learns_is_bad_input():
    fixed = [Conventional(name="GCE", loss=GCE())]
    with pytest.raises(InputError, match="expected one whose adjuster learns, got none"):
        list(subjects(experiment(methods=fixed), Size()))
