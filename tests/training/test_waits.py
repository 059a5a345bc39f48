"""What waits for an accelerator: on the device "meta", which holds no values, reading one fails."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import metaloss
from metaloss import AdjustedLoss, InputError
from metaloss.bilevel import ClipNorm, Lookahead
from metaloss.losses import GCE
from metaloss.training import MultiTaskTraining, Observer, Recipe, TaskTraining, TrainState
from metaloss.training.non_finite import first_bad, largest_gradient
from tests.helpers.tasks import Blobs, blobs

READ = r"Tensor.item\(\) cannot be called on meta tensors"
CRITERIA = {
    "fixed": lambda: AdjustedLoss.fixed(GCE()),
    "clean": lambda: metaloss.recommended(3).criterion,
    "noisy": lambda: metaloss.recommended(3, clean=False).criterion,
    "frozen": lambda: metaloss.from_pretrained("sl", total_steps=100),
    "with ids": lambda: metaloss.from_pretrained("gce-cifar10-context", total_steps=100),
}
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": torch.optim.Adam,
}


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def training(
    criterion: AdjustedLoss, recipe: Recipe, task: Blobs, device: str = "meta"
) -> MultiTaskTraining:
    model, criterion = network().to(device), criterion.to(device)
    state = TrainState.start(model, criterion, task, recipe)
    return MultiTaskTraining({task.name: TaskTraining(state, task, recipe)})


@pytest.mark.parametrize("update", ["before", "after"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_nothing_waits_before_the_end_of_an_epoch(
    criterion: str, optimizer: str, update: str
) -> None:
    recipe = Recipe(
        epochs=2,
        optimizer=OPTIMIZERS[optimizer],
        meta_every=2,
        meta_update=update,
        lookahead=Lookahead(hold_norm=0.9),
        clip=ClipNorm(1.0),
        max_skipped=0,
    )
    task = blobs(device="meta")
    ours = training(CRITERIA[criterion](), recipe, task)
    assert [ours.turn([task.name]) for _ in range(6)] == [*[[]] * 5, [task.name]]
    if criterion in {"clean", "noisy"}:
        assert ours.trainings[task.name].state.meta_step == 3
    with pytest.raises((RuntimeError, NotImplementedError), match="meta tensor"):
        ours.trainings[task.name].finish_epoch()  # reads the sums


@pytest.mark.parametrize("update", ["before", "after"])
@pytest.mark.parametrize("strategy", ["mixed", "unroll", "auto"])
def test_nor_does_a_strategy(strategy: str, update: str) -> None:
    lookahead = Lookahead(2, strategy)
    recipe = Recipe(epochs=1, meta_every=2, meta_update=update, lookahead=lookahead, max_skipped=0)
    task = blobs(device="meta")
    ours = training(CRITERIA["clean"](), recipe, task)
    for _ in range(6):
        ours.turn([task.name])
    assert ours.trainings[task.name].state.meta_step > 1


def test_steps_are_the_same() -> None:
    task = blobs()
    states = []
    for most in (0, 10):
        recipe = Recipe(epochs=2, meta_every=2, max_skipped=most)
        torch.manual_seed(0)
        criterion = metaloss.recommended(3).criterion
        ours = training(criterion, recipe, task, "cpu")
        ours.run()
        states.append(ours.trainings[task.name].state.model.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], rtol=0, atol=0)


class SpoilAfter(Observer):
    """Makes the gradients infinite after a step."""

    def __init__(self, model: nn.Module, step: int) -> None:
        self.model, self.at = model, step

    def step(self, step: int) -> None:
        if step == self.at:
            self.model[0].weight.register_hook(lambda gradient: gradient * math.inf)


def test_what_is_not_finite_ends_the_run_before_it_is_saved() -> None:
    task, saved = blobs(), []
    ours = training(AdjustedLoss.fixed(GCE()), Recipe(epochs=3, max_skipped=0), task, "cpu")
    spoil = SpoilAfter(ours.trainings[task.name].state.model, 8)
    with pytest.raises(InputError, match=r"step 8: a gradient is not finite; .*max_skipped"):
        ours.run(spoil, lambda: saved.append(ours.done))
    assert saved == [6]


def test_a_hypergradient_that_is_not_finite_ends_the_run_there_too() -> None:
    task = blobs()

    def broken(outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.sum() * math.inf

    recipe = Recipe(epochs=2, meta_every=2, max_skipped=0, lookahead=Lookahead(meta_loss=broken))
    ours = training(metaloss.recommended(3).criterion, recipe, task, "cpu")
    said = r"meta step 0: the hypergradient of net\.0\.weight is not finite; .*max_skipped=2"
    with pytest.raises(InputError, match=said):
        ours.run()
    assert ours.done == 6


def test_the_first_step_is_known_after_a_resume() -> None:
    task, recipe = blobs(), Recipe(epochs=1, max_skipped=0)
    ours, again = (training(AdjustedLoss.fixed(GCE()), recipe, task, "cpu") for _ in range(2))
    one, other = (each.trainings[task.name] for each in (ours, again))
    for step in range(4):
        if step == 2:
            one.state.model[0].weight.register_hook(lambda gradient: gradient * math.nan)
        ours.turn([task.name])
    other.load_state_dict(one.state_dict())
    with pytest.raises(InputError, match="step 2: a gradient is not finite"):
        other.check()


def test_parameters_without_elements_count_for_nothing() -> None:
    empty, full = nn.Parameter(torch.zeros(0, 5)), nn.Parameter(torch.zeros(2))
    empty.grad, full.grad = torch.zeros(0, 5), torch.tensor([1.0, -3.0])
    assert first_bad(torch.tensor(1.0), [empty, full]) is None
    assert [largest_gradient(each) for each in ([empty], [empty, full])] == [0, 3]


def test_a_hypergradient_that_is_not_consistent_ends_the_run_there_too() -> None:
    class Drawing(nn.Linear):
        """Draws from a generator of its own."""

        own = torch.Generator().manual_seed(0)

        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs) * torch.rand((), generator=self.own)

    task = blobs()
    criterion = metaloss.recommended(3).criterion
    recipe = Recipe(epochs=2, meta_every=2, max_skipped=0)
    state = TrainState.start(Drawing(5, 3), criterion, task, recipe)
    one = TaskTraining(state, task, recipe)
    ours = MultiTaskTraining({task.name: one})
    assert [ours.turn([task.name]) for _ in range(5)] == [[]] * 5
    with pytest.raises(InputError, match="two passes disagree"):
        one.check()
    ours.turn([task.name])
    with pytest.raises(InputError, match="two passes disagree"):
        one.finish_epoch()


def test_steps_that_may_be_skipped_wait() -> None:
    task = blobs(device="meta")
    ours = training(CRITERIA["fixed"](), Recipe(epochs=1), task)
    with pytest.raises(RuntimeError, match=READ):
        ours.turn([task.name])
