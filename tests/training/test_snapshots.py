"""The times at which the adjuster is kept for Algorithm 2."""

from __future__ import annotations

import torch
from torch import Tensor

from metaloss.training import Observer
from tests.training.test_multi_task import settings, start


def test_a_snapshot_is_of_the_step_that_its_fraction_means() -> None:
    class Around220(Observer):
        def step(self, step: int) -> None:
            if step in {220, 221}:
                seen.append(trainings.meta_learner.adjuster.net[0].weight.detach().clone())

    seen: list[Tensor] = []
    trainings = start(settings(epochs=25, meta_every=1, snapshots=(0.55, 1.0)))
    assert trainings.total == 400 and 0.55 * 400 > 220
    trainings.run(Around220())
    (_, snapshot), _ = trainings.meta_learner.snapshots
    assert torch.equal(snapshot["net.0.weight"], seen[0]) and not torch.equal(seen[0], seen[1])


def test_snapshots_are_taken_by_the_steps_of_all_tasks() -> None:
    seen: dict[int, Tensor] = {}

    class Watch(Observer):
        def step(self, step: int) -> None:
            seen[step] = ours.meta_learner.adjuster.net[0].weight.detach().clone()

    ours = start(settings())
    ours.run(Watch())
    assert ours.total == 32
    assert [fraction for fraction, _ in ours.meta_learner.snapshots] == [1 / 3, 2 / 3, 1.0]
    for (_, snapshot), step in zip(ours.meta_learner.snapshots, [11, 22, 32], strict=True):
        assert torch.equal(snapshot["net.0.weight"], seen[step])
