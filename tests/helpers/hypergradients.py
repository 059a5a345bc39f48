"""Reference hypergradients by central differences of real training runs.

Each run trains a copy of the model by ``backward`` and ``step``, with a copy of its ``torch.optim``
optimizer. The slope of the meta loss along a direction in the adjuster's parameters is a central
difference of two runs, whose adjusters are nudged forward and backward along the direction.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss.bilevel import Lookahead
from metaloss.objective import AdjustedLoss

STEP = 1e-5
Batch = tuple[Tensor, ...]


@dataclass
class Training:
    """A training in progress, with all arguments of a lookahead."""

    model: nn.Module
    optimizer: Any
    criterion: AdjustedLoss
    train_batches: Sequence[Batch]
    meta_batch: Batch
    clip_norm: float | None = None
    clip_value: float | None = None

    def twin(self) -> Training:
        """Return a copy that shares no tensors with this training."""
        impl = getattr(self.optimizer, "impl", None)  # TorchOpt's functions, which are shared
        model, optimizer, criterion = copy.deepcopy(
            (self.model, self.optimizer, self.criterion), {id(impl): impl}
        )
        return replace(self, model=model, optimizer=optimizer, criterion=criterion)

    def step(self, batch: Batch, features: Tensor | None = None) -> Tensor:
        """Take an ordinary training step; return the features that the adjuster got.

        Args:
            batch: the batch to train on.
            features: the features for the adjuster; the conditioner's if not given.
        """
        inputs, *labels = batch
        outputs = self.model(inputs)
        if features is None:
            features = self.criterion.conditioner(outputs, *labels)
            told = features.detach() if self.criterion.detach else features
        else:
            told = features
        losses = self.criterion.loss(outputs, labels[0], self.criterion.adjuster(told))
        self.optimizer.zero_grad()
        losses.mean().backward()
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        if self.clip_value is not None:
            nn.utils.clip_grad_value_(self.model.parameters(), self.clip_value)
        self.optimizer.step()
        return features.detach()

    def look_ahead(self, lookahead: Lookahead, **changed: Any) -> dict[str, Tensor]:
        """Return the hypergradient under test."""
        arguments = {
            "model": self.model,
            "optimizer": self.optimizer,
            "criterion": self.criterion,
            "train_batches": self.train_batches,
            "meta_batch": self.meta_batch,
        }
        return lookahead.hypergradient(**{**arguments, **changed})


def loss_after_training(
    training: Training,
    nudge: dict[str, Tensor] | None = None,
    features: Sequence[Tensor] | None = None,
    meta_loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> float:
    """Return the meta loss after the real steps, with the current random state.

    Args:
        training: the training to start from; left unchanged.
        nudge: the change to add to the adjuster's parameters.
        features: the features for the adjuster at each step; the conditioner's if not given.
        meta_loss: the loss of the clean batch.
    """
    with torch.random.fork_rng([]):
        twin = training.twin()
        with torch.no_grad():
            parameters = dict(twin.criterion.adjuster.named_parameters())
            for name, change in (nudge or {}).items():
                parameters[name].add_(change)
        for k, batch in enumerate(twin.train_batches):
            twin.step(batch, None if features is None else features[k])
        with torch.no_grad():
            inputs, targets = twin.meta_batch
            return meta_loss(twin.model(inputs), targets).item()


def features_on_the_way(training: Training) -> list[Tensor]:
    """Return the features that the adjuster gets at each of the real steps."""
    with torch.random.fork_rng([]):
        twin = training.twin()
        return [twin.step(batch) for batch in twin.train_batches]


def slope(
    training: Training, direction: dict[str, Tensor], step: float = STEP, **how: Any
) -> float:
    """Return the slope of the meta loss along a direction in the adjuster's parameters."""
    ahead, behind = (
        loss_after_training(
            training, {name: sign * step * v for name, v in direction.items()}, **how
        )
        for sign in (1.0, -1.0)
    )
    return (ahead - behind) / (2 * step)


def inner(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the inner product of two sets of named tensors."""
    return sum(float((one[name] * other[name]).sum()) for name in one)


def directions(gradient: dict[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    """Return unit directions: the gradient's own and random ones."""
    generator = torch.Generator().manual_seed(17)
    drawn = [
        {n: torch.randn(g.shape, generator=generator, dtype=g.dtype) for n, g in gradient.items()}
        for _ in range(count - 1)
    ]
    raw = [gradient, *drawn]
    return [{n: t / inner(v, v) ** 0.5 for n, t in v.items()} for v in raw]


def assert_is_the_hypergradient(
    found: dict[str, Tensor],
    training: Training,
    rtol: float = 1e-6,
    at_least: float = 1e-5,
    count: int = 2,
    **how: Any,
) -> None:
    """Compare a hypergradient with the slopes of real training runs.

    Args:
        found: the hypergradient.
        training: the training that it was computed for.
        rtol: the largest error of a slope, relative to the hypergradient's length.
        at_least: the smallest length of the hypergradient for a meaningful comparison.
        count: the number of directions to try.
        how: arguments for :func:`slope`.
    """
    length = inner(found, found) ** 0.5
    assert length > at_least, f"too short to compare: {length}"
    for direction in directions(found, count):
        expected = slope(training, direction, **how)
        error = abs(inner(found, direction) - expected) / length
        assert error < rtol, f"off by {error:.1e} of its length {length:.1e}"


def assert_near(found: dict[str, Tensor], expected: dict[str, Tensor], rtol: float) -> None:
    assert found.keys() == expected.keys()
    gap = {name: found[name] - expected[name] for name in expected}
    length = inner(expected, expected) ** 0.5
    assert length > 1e-6, f"too short to compare: {length}"
    error = inner(gap, gap) ** 0.5 / length
    assert error < rtol, f"off by {error:.1e}"


def in_single(here: Training) -> Training:
    """Convert a training to float32, including its optimizer's state."""
    for module in (here.model, here.criterion):
        module.float()
    state = here.optimizer.state_dict()
    here.optimizer.load_state_dict(state)  # casts to the parameters' type
    here.train_batches = [(x.float(), *rest) for x, *rest in here.train_batches]
    here.meta_batch = here.meta_batch[0].float(), here.meta_batch[1]
    return here
