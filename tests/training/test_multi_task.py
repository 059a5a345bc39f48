"""Several networks that share an adjuster, against the same written by hand."""

from __future__ import annotations

import copy
import gc

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster, InputError
from metaloss.bilevel import Lookahead
from metaloss.conditioners import Conditioner, Margin, MovingAverage
from metaloss.experiments.records.checkpoint import load_latest, save_checkpoint
from metaloss.losses import GCE
from metaloss.training import (
    MetaLearner,
    MultiTaskTraining,
    Observer,
    Recipe,
    TaskSampler,
    TaskTraining,
    TrainState,
)
from tests.helpers.exhaustive import mostly_exhaustive
from tests.helpers.tasks import Blobs, blobs

SIZES = {"one": 60, "two": 40, "three": 60}


def sgd(params):
    return torch.optim.SGD(params, lr=0.05, momentum=0.9)


def adam(params):
    return torch.optim.Adam(params, lr=0.05)


def settings(**changes) -> Recipe:
    return Recipe(
        **{"epochs": 2, "optimizer": sgd, "meta_optimizer": adam, "meta_every": 2} | changes
    )


def tasks() -> dict[str, Blobs]:
    found = {}
    for k, (name, samples) in enumerate(SIZES.items()):
        found[name] = blobs(k, samples=samples, dtype=torch.float64)
        found[name].name = name
    return found


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).double()


def start(
    recipe: Recipe, sampler: TaskSampler | None = None, conditioner: Conditioner | None = None
) -> MultiTaskTraining:
    torch.manual_seed(7)
    conditioner = conditioner or Margin()
    adjuster = Adjuster(conditioner.num_features, GCE().hyperparameters, hidden=8).double()
    meta_learner = MetaLearner.start(adjuster, recipe)
    trainings = {}
    for k, (name, task) in enumerate(tasks().items()):
        criterion = AdjustedLoss(GCE(), copy.deepcopy(conditioner).double(), adjuster)
        state = TrainState.start(network(k), criterion, task, recipe, meta_learner)
        trainings[name] = TaskTraining(state, task, recipe)
    return MultiTaskTraining(trainings, sampler)


def by_hand(recipe: Recipe, sampler: TaskSampler) -> tuple[list[nn.Module], Adjuster]:
    """Algorithm 1 over many tasks, one statement a line of it; nothing shared or fused."""
    torch.manual_seed(7)
    adjuster = Adjuster(1, GCE().hyperparameters, hidden=8).double()
    criterion = AdjustedLoss(GCE(), Margin(), adjuster)
    meta_optimizer = adam(adjuster.parameters())
    models = {name: network(k) for k, name in enumerate(SIZES)}
    optimizers = {name: sgd(model.parameters()) for name, model in models.items()}
    batches = {n: [b for e in range(9) for b in t.train.epoch(e)] for n, t in tasks().items()}
    clean = {n: [b for e in range(99) for b in t.meta.epoch(e)] for n, t in tasks().items()}
    step = dict.fromkeys(SIZES, 0)
    meta_step = dict.fromkeys(SIZES, 0)

    def move(found: list[dict[str, Tensor]]) -> None:
        if found:
            for key, theta in adjuster.named_parameters():
                theta.grad = sum(g[key] for g in found) / len(found)
            meta_optimizer.step()

    for names in sampler.turns({n: 2 * len(t.train) for n, t in tasks().items()}):
        found = []
        for name in names:
            if step[name] % recipe.meta_every == 0:
                batch, meta_batch = batches[name][step[name]], clean[name][meta_step[name]]
                found.append(
                    Lookahead(strategy="unroll").hypergradient(
                        models[name], optimizers[name], criterion, [batch], meta_batch
                    )
                )
                meta_step[name] += 1
        if recipe.meta_update == "before":
            move(found)
        for name in names:
            batch = batches[name][step[name]]
            optimizers[name].zero_grad()
            criterion.per_sample(models[name](batch.inputs), batch.targets).losses.mean().backward()
            optimizers[name].step()
            step[name] += 1
        if recipe.meta_update == "after":
            move(found)
    return list(models.values()), adjuster


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


TURNS = [("round-robin", 1, 1), ("round-robin", 3, 2), ("shuffled", 2, 1), ("shuffled", 1, 2)]
BY_HAND = {
    f"{order}-{together}-{every}-{update}": (order, together, every, update)
    for order, together, every in TURNS
    for update in ("before", "after")
}


@pytest.mark.parametrize(
    "turns", mostly_exhaustive(BY_HAND, "round-robin-3-2-after", "shuffled-1-2-before")
)
def test_as_written_by_hand(turns: tuple[str, int, int, str]) -> None:
    order, tasks_per_step, meta_every, update = turns
    recipe = settings(meta_every=meta_every, meta_update=update)
    sampler = TaskSampler(order=order, tasks_per_step=tasks_per_step)
    ours = start(recipe, sampler)
    ours.run()
    models, adjuster = by_hand(recipe, sampler)
    for each, model in zip(ours.trainings.values(), models, strict=True):
        assert_same(each.state.model, model)
    assert_same(ours.meta_learner.adjuster, adjuster)


def test_records_say_whose_they_are() -> None:
    records = start(settings()).run()
    assert [r["epoch"] for r in records if r["task"] == "two"] == [1, 2]
    assert len(records) == 6
    alone = start(settings(), TaskSampler(block=99))
    found = {(r["task"], r["epoch"]): r for r in alone.run()}
    state = alone.trainings["two"].state
    batch = next(iter(tasks()["two"].test.epoch(0)))
    accuracy = 100 * (state.model(batch.inputs).argmax(1) == batch.targets).double().mean().item()
    assert found["two", 2]["test_accuracy"] == pytest.approx(accuracy)


def test_evaluation_may_be_left_to_the_last_epochs() -> None:
    records = start(settings(epochs=3, evaluate_last=1)).run()
    assert {r["epoch"] for r in records if "test_accuracy" in r} == {3}
    assert len(records) == 9


STOPPED = {
    "round-robin": ("round-robin", Margin),
    "round-robin-average": ("round-robin", lambda: MovingAverage(Margin())),
    "shuffled": ("shuffled", Margin),
    "shuffled-average": ("shuffled", lambda: MovingAverage(Margin())),
}


@pytest.mark.parametrize("case", mostly_exhaustive(STOPPED, "round-robin", "shuffled-average"))
def test_stopped_and_taken_up_again_it_is_the_same(tmp_path, case) -> None:
    """The tasks' epochs end at different steps, so that some are in the midst of one."""
    order, conditioner = case
    recipe, sampler = settings(epochs=3), TaskSampler(order=order)
    whole = start(recipe, sampler, conditioner())
    expected = whole.run()
    first = start(recipe, sampler, conditioner())
    said: list[dict] = []

    class Listen(Observer):
        def epoch(self, record) -> None:
            said.append(record)

    def stop() -> None:
        if first.epoch == 2:
            save_checkpoint(tmp_path / "c.pt", first)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(Listen(), stop)
    assert any(c.state.step % c.per_epoch for c in first.trainings.values())
    second = start(recipe, sampler, conditioner())
    torch.manual_seed(99)
    load_latest(tmp_path / "c.pt", second)
    assert sum(second.epochs_finished.values()) == len(said)
    got = said + second.run()
    timing = {"seconds", "samples_per_second"}
    assert [{k: v for k, v in r.items() if k not in timing} for r in got] == [
        {k: v for k, v in r.items() if k not in timing} for r in expected
    ]
    for name, each in second.trainings.items():
        for a, b in zip(
            each.state.model.parameters(),
            whole.trainings[name].state.model.parameters(),
            strict=True,
        ):
            assert torch.equal(a, b)
    for (_, a), (_, b) in zip(
        second.meta_learner.snapshots, whole.meta_learner.snapshots, strict=True
    ):
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_a_checkpoint_of_other_tasks_is_refused(tmp_path) -> None:
    save_checkpoint(tmp_path / "c.pt", start(settings()))
    other = start(settings())
    other.trainings = {"another": next(iter(other.trainings.values()))}
    with pytest.raises(InputError, match="tasks: expected another, got one, two, three"):
        load_latest(tmp_path / "c.pt", other)


def test_one_learner_for_all() -> None:
    first, second = start(settings()), start(settings())
    with pytest.raises(InputError, match="expected one meta-learner for all"):
        MultiTaskTraining({"a": first.trainings["one"], "b": second.trainings["two"]})
    with pytest.raises(InputError, match="trainings: expected one or more"):
        MultiTaskTraining({})


@pytest.mark.parametrize("tasks_per_step", [1, 3])
def test_one_task_that_goes_wrong_spoils_nobody_else(tasks_per_step: int) -> None:
    def meta_loss(outputs: Tensor, targets: Tensor) -> Tensor:
        bad = torch.tensor(torch.nan if len(targets) == 5 else 1.0)
        return F.cross_entropy(outputs, targets) * bad

    recipe = settings(lookahead=Lookahead(meta_loss=meta_loss))
    ours = start(recipe, TaskSampler(tasks_per_step=tasks_per_step))
    two = ours.trainings["two"]
    two.task.meta = blobs(1, samples=60, dtype=torch.float64).train  # ten, then five in a batch
    two.task.meta._plan = two.task.meta._plan.__class__(60, 5, 0, True, True)
    records = ours.run()
    assert all(p.isfinite().all() for p in ours.meta_learner.adjuster.parameters())
    skipped = {r["task"] for r in records if "meta_steps_skipped" in r}
    assert skipped == {"two"}


def test_a_loader_that_runs_dry_is_told() -> None:
    ours = start(settings())
    train = ours.trainings["two"].task.train

    class Dry:
        num_samples = train.num_samples

        def __len__(self) -> int:
            return len(train)

        def epoch(self, number: int):
            batches = list(train.epoch(number))
            return iter(batches[: 2 if number else None])

    ours.trainings["two"].task.train = Dry()
    with pytest.raises(InputError, match=r"two: train: expected 4 batches in epoch 1, got 2"):
        ours.run()


@pytest.mark.exhaustive
def test_memory_grows_by_the_classifiers_alone() -> None:
    """However many tasks take turns, no graph is left after a step."""
    ours = start(settings(epochs=1))
    seen = []

    class Count(Observer):
        def step(self, step: int) -> None:
            graph = torch.ones(1, requires_grad=True).exp()
            found = [t for t in gc.get_objects() if issubclass(type(t), Tensor) and t.grad_fn]
            seen.append([t is graph for t in found])

    gc.collect()
    gc.freeze()  # what was there before is not searched
    ours.run(Count())
    gc.unfreeze()
    assert seen == [[True]] * ours.total
