"""The loop against Algorithm 1 written out, and what surrounds the two steps."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import ClipNorm, Lookahead
from metaloss.checks import InputError
from metaloss.conditioners import Concat, Conditioner, Margin, MovingAverage, Progress
from metaloss.losses import GCE
from metaloss.training import Observer, Recipe, TrainState, train
from tests.helpers.tasks import Blobs, blobs

LR, META_LR = 0.1, 0.05


def sgd(params):
    return torch.optim.SGD(params, lr=LR)


def meta_sgd(params):
    return torch.optim.SGD(params, lr=META_LR)


def adjusted(conditioner: Conditioner | None = None) -> AdjustedLoss:
    conditioner = conditioner or Margin()
    return AdjustedLoss(GCE(), conditioner, Adjuster.for_loss(GCE(), conditioner, hidden=7))


def start(task: Blobs, recipe: Recipe, criterion: AdjustedLoss | None = None) -> TrainState:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    criterion = criterion or adjusted()
    dtype = next(iter(task.train.epoch(0))).inputs.dtype
    return TrainState.start(model.to(dtype), criterion.to(dtype), task, recipe)


def algorithm_1(state: TrainState, task: Blobs, recipe: Recipe, longest: float) -> None:
    """Algorithm 1 with gradient descent, line by line (Eq. 10, 11, 12), its gradients clipped.

    Where the recipe says "after", theta moves once the weights have moved.
    """
    model, criterion = state.model, state.criterion
    w = [p.detach().clone() for p in model.parameters()]
    theta = list(criterion.adjuster.parameters())

    def outputs(weights, x):
        return torch.tanh(x @ weights[0].T + weights[1]) @ weights[2].T + weights[3]

    def robust(weights, batch):
        z = outputs(weights, batch.inputs)
        rows = torch.arange(len(z))
        others = z.clone()
        others[rows, batch.targets] = -math.inf
        margin = (z[rows, batch.targets] - others.max(dim=1).values).detach()
        hidden = torch.relu(margin[:, None] @ theta[0].T + theta[1])
        q = torch.sigmoid(hidden @ theta[2].T + theta[3])[:, 0]
        p = torch.softmax(z, dim=1)[rows, batch.targets]
        return ((1 - p**q) / q).mean()

    def clipped(grads):
        length = sum((g**2).sum() for g in grads).sqrt()
        factor = longest / (length + 1e-6)
        return [g * factor for g in grads] if factor < 1 else grads

    t = 0
    meta = [batch for epoch in range(50) for batch in task.meta.epoch(epoch)]
    for epoch in range(recipe.epochs):
        for batch in task.train.epoch(epoch):
            moves = []
            if t % recipe.meta_every == 0:
                live = [p.detach().requires_grad_() for p in w]
                grads = torch.autograd.grad(robust(live, batch), live, create_graph=True)
                ahead = [p - LR * g for p, g in zip(live, clipped(grads), strict=True)]
                clean = meta[t // recipe.meta_every]
                loss = F.cross_entropy(outputs(ahead, clean.inputs), clean.targets)
                moves = [META_LR * g for g in torch.autograd.grad(loss, theta)]
            if recipe.meta_update == "before":
                for p, move in zip(theta, moves, strict=False):
                    p.data -= move
            live = [p.detach().requires_grad_() for p in w]
            grads = torch.autograd.grad(robust(live, batch), live)
            w = [p.detach() - LR * g for p, g in zip(live, clipped(grads), strict=True)]
            if recipe.meta_update == "after":
                for p, move in zip(theta, moves, strict=False):
                    p.data -= move
            t += 1
    for p, value in zip(model.parameters(), w, strict=True):
        p.data.copy_(value)


@pytest.mark.parametrize("update", ["before", "after"])
@pytest.mark.parametrize("longest", [math.inf, 0.1])
@pytest.mark.parametrize("every", [1, 3])
def test_is_algorithm_1(every: int, longest: float, update: str) -> None:
    task = blobs(dtype=torch.float64)
    recipe = Recipe(
        epochs=2,
        optimizer=sgd,
        meta_optimizer=meta_sgd,
        meta_every=every,
        meta_update=update,
        clip=None if longest == math.inf else ClipNorm(longest),
    )
    ours, theirs = start(task, recipe), start(task, recipe)
    theirs.model.load_state_dict(ours.model.state_dict())
    theirs.criterion.load_state_dict(ours.criterion.state_dict())
    before = copy.deepcopy(ours.criterion.adjuster.state_dict())

    train(ours, task, recipe)
    algorithm_1(theirs, task, recipe, longest)

    assert ours.meta_step == math.ceil(12 / every)
    for a, b in zip(ours.model.parameters(), theirs.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    for name, value in ours.criterion.adjuster.state_dict().items():
        torch.testing.assert_close(
            value, theirs.criterion.adjuster.state_dict()[name], rtol=1e-10, atol=1e-12
        )
        assert not torch.equal(value, before[name])


def test_frozen_adjuster_takes_no_meta_step() -> None:
    task = blobs(meta=False)
    criterion = adjusted()
    criterion.adjuster.requires_grad_(False)
    before = copy.deepcopy(criterion.adjuster.state_dict())
    recipe = Recipe(epochs=2, optimizer=sgd)
    state = start(task, recipe, criterion)
    records = train(state, task, recipe)
    assert state.meta_step == 0
    assert state.meta_learner is None
    assert all("meta_loss" not in record for record in records)
    assert all(torch.equal(before[k], v) for k, v in criterion.adjuster.state_dict().items())


def test_learning_without_clean_samples_is_refused() -> None:
    task = blobs(meta=False)
    recipe = Recipe(epochs=1, optimizer=sgd)
    with pytest.raises(InputError, match="expected samples to meta-train"):
        train(start(task, recipe), task, recipe)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"weight": torch.ones(3)}, "got class weights and the reduction 'mean'"),
        ({"reduction": "sum"}, "got the reduction 'sum'"),
    ],
)
def test_a_criterion_that_does_not_take_the_plain_mean_is_refused(settings, found: str):
    criterion = AdjustedLoss.fixed(GCE(), **settings)
    with pytest.raises(InputError, match=f"expected no class weights and the reduction.*{found}"):
        start(blobs(), Recipe(epochs=1), criterion)


def test_warm_up_is_cross_entropy_without_meta_steps() -> None:
    task = blobs(dtype=torch.float64)
    recipe = Recipe(epochs=2, optimizer=sgd, warmup_epochs=1, meta_every=1)
    state = start(task, recipe)
    plain = copy.deepcopy(state.model)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(state, task, recipe, after_epoch=stop)
    assert state.meta_step == 0
    optimizer = sgd(plain.parameters())
    for batch in task.train.epoch(0):
        optimizer.zero_grad()
        F.cross_entropy(plain(batch.inputs), batch.targets).backward()
        optimizer.step()
    for a, b in zip(state.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    train(state, task, recipe)
    assert state.meta_step == len(task.train)


def test_snapshots_are_taken_at_their_steps() -> None:
    task = blobs()
    recipe = Recipe(epochs=2, optimizer=sgd, meta_every=1)  # 12 steps: after 4, 8 and 12

    class Watch(Observer):
        seen: dict[int, torch.Tensor]

        def step(self, step: int) -> None:
            theta = state.criterion.adjuster.state_dict()["net.0.weight"]
            self.seen[step] = theta.clone()

    watch = Watch()
    watch.seen = {}
    state = start(task, recipe)
    train(state, task, recipe, watch)
    assert [fraction for fraction, _ in state.meta_learner.snapshots] == [1 / 3, 2 / 3, 1.0]
    for (_, snapshot), step in zip(state.meta_learner.snapshots, [4, 8, 12], strict=True):
        assert torch.equal(snapshot["net.0.weight"], watch.seen[step])


def test_memory_is_observed_once_a_step_and_progress_moves() -> None:
    task = blobs()
    seen: list[torch.Tensor] = []
    fractions: list[float] = []

    class Spy(MovingAverage):
        def track(self, outputs, targets, index=None):
            seen.append(index)
            return super().track(outputs, targets, index)

    class SpyProgress(Progress):
        def set_progress(self, fraction):
            fractions.append(fraction)
            super().set_progress(fraction)

    criterion = adjusted(Concat([Spy(Margin()), SpyProgress()]))
    recipe = Recipe(epochs=1, optimizer=sgd, meta_every=1, lookahead=Lookahead(steps=2))
    train(start(task, recipe, criterion), task, recipe)
    assert torch.equal(torch.cat(seen), torch.cat([b.index for b in task.train.epoch(0)]))
    assert fractions == [*(k / 6 for k in range(6)), 1.0]


def test_records_hold_what_an_independent_count_gives() -> None:
    task = blobs(validation=True)
    recipe = Recipe(epochs=1, optimizer=sgd, meta_every=2)
    state = start(task, recipe)
    (record,) = train(state, task, recipe)
    assert (record["epoch"], record["step"], record["meta_step"]) == (1, 6, 3)
    batch = next(iter(task.test.epoch(0)))
    outputs = state.model(batch.inputs)
    right = (outputs.argmax(1) == batch.targets).float().mean()
    assert record["test_accuracy"] == pytest.approx(100 * right.item())
    assert record["test_loss"] == pytest.approx(F.cross_entropy(outputs, batch.targets).item())
    assert {"validation_accuracy", "meta_loss", "q_mean", "q_clean", "q_flipped"} <= set(record)
    share = task.flipped.float().mean().item()
    mixed = share * record["q_flipped"] + (1 - share) * record["q_clean"]
    assert record["q_mean"] == pytest.approx(mixed, rel=1e-6)
    assert record["lr"] == LR


@pytest.mark.parametrize("conditioner", [Margin, lambda: MovingAverage(Margin())])
def test_a_stopped_run_goes_on_as_if_it_never_had(conditioner) -> None:
    task = blobs()
    recipe = Recipe(
        epochs=3,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        schedule=lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [1]),
        meta_every=4,
    )

    def fresh() -> TrainState:
        state = start(task, recipe, adjusted(conditioner()))
        state.model.append(nn.Dropout(0.2))
        return state

    torch.manual_seed(9)
    whole = fresh()
    torch.manual_seed(1)
    expected = train(whole, task, recipe)

    saved = {}

    def stop() -> None:
        saved.update(copy.deepcopy(first.state_dict()))
        raise KeyboardInterrupt

    torch.manual_seed(9)
    first = fresh()
    torch.manual_seed(1)
    with pytest.raises(KeyboardInterrupt):
        train(first, task, recipe, after_epoch=stop)
    second = fresh()
    second.load_state_dict(saved)
    torch.manual_seed(12345)
    second.load_state_dict(saved)
    got = train(second, task, recipe)

    timing = {"seconds", "samples_per_second"}
    for a, b in zip(expected[1:], got, strict=True):
        assert {k: v for k, v in a.items() if k not in timing} == {
            k: v for k, v in b.items() if k not in timing
        }
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)
    for (_, a), (_, b) in zip(
        whole.meta_learner.snapshots, second.meta_learner.snapshots, strict=True
    ):
        assert all(torch.equal(a[k], b[k]) for k in a)
