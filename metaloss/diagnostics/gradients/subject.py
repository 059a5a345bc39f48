"""What a check of a hypergradient is given: an experiment's parts, small and in one dtype."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metaloss.bilevel import Lookahead
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.bilevel.lookahead import rehearsal_of
from metaloss.bilevel.preconditions import check_model
from metaloss.bilevel.problem import Problem, Rehearsal
from metaloss.checks import InputError, check_at_least, require, seen
from metaloss.experiments import Experiment, Method
from metaloss.objective import AdjustedLoss
from metaloss.randomness import randomness_restored
from metaloss.seeding import derive, seed_everything
from metaloss.training.streams import stream
from metaloss.types import Batch, TaskLike


@dataclass(frozen=True)
class Subject:
    """The arguments of a lookahead, and the lookahead.

    Attributes:
        model: in the mode that it trains in.
        optimizer: of the model.
        criterion: with an adjuster that learns.
        train_batches: the batches of the K steps.
        meta_batch: clean samples.
        lookahead: with the strategy that training uses.
        looks_back: whether training looks back over real steps with these settings instead.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    criterion: AdjustedLoss
    train_batches: list[Batch]
    meta_batch: Batch
    lookahead: Lookahead
    looks_back: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        return next(self.model.parameters()).dtype

    def same_randomness(self) -> AbstractContextManager[None]:
        """Return a context that restores the random number generators when it ends."""
        return randomness_restored({p.device for p in self.model.parameters()})

    def twin(self) -> Subject:
        """Return a copy that shares no tensor with this one, with an optimizer of its own model."""
        model, optimizer, criterion = copy.deepcopy((self.model, self.optimizer, self.criterion))
        return replace(self, model=model, optimizer=optimizer, criterion=criterion)

    def step(self, batch: Batch) -> Tensor:
        """Make a real training step on a batch, and return the logits, detached."""
        with kernels_with_rules():  # as the strategies do: other kernels draw other masks
            outputs = self.model(batch.inputs)
        loss = self.criterion.per_sample(outputs, batch.targets, batch.index).losses.mean()
        self.optimizer.zero_grad()
        # The loss also depends on the adjuster, which this step must not give a gradient.
        stepped = [p for group in self.optimizer.param_groups for p in group["params"]]
        loss.backward(inputs=stepped)  # type: ignore[no-untyped-call]
        if self.lookahead.clip is not None:
            self.lookahead.clip.clip_(stepped)
        self.optimizer.step()
        return outputs.detach()

    def problem(self) -> Problem:
        """Return the problem of the lookahead, as the strategies get it."""
        return Problem.of(self.model, self.criterion, self.meta_batch, self.lookahead.meta_loss)

    def first_step(self) -> Rehearsal:
        """Return a rehearsal of the first step alone."""
        return rehearsal_of(self.lookahead, self.model, self.optimizer, self.train_batches[:1])


class Size(NamedTuple):
    """How large a part of an experiment to check.

    Attributes:
        batch: the number of samples of each batch; the first ones are taken.
        steps_before: the number of real steps before, so that the optimizer has a state.
        dtype: the dtype of model, criterion and inputs.
    """

    batch: int = 16
    steps_before: int = 3
    dtype: torch.dtype = torch.float64

    @classmethod
    def parsed(cls, batch: int, steps_before: int, dtype: str) -> Size:
        """Make one from the name of a dtype.

        Raises:
            InputError: a dtype other than float64 and float32, or a number that is too small.
        """
        check_at_least("batch", batch, 2)
        check_at_least("steps_before", steps_before, 0)
        require(
            dtype in {"float64", "float32"}, f"dtype: expected float64 or float32, got {dtype!r}"
        )
        return cls(batch, steps_before, getattr(torch, dtype))


def subjects(
    experiment: Experiment, size: Size, method: str | None = None
) -> Iterator[tuple[str, Subject]]:
    """Train the methods of an experiment that learn for a few steps, with the first seed.

    Models, criteria and batches are copies: the experiment is not changed.

    Args:
        experiment: with task, model, recipe and methods.
        size: how large a part of it to check.
        method: the name of the only method; all that learn by default.

    Yields:
        The name of a method, and the arguments of its next lookahead.

    Raises:
        InputError: no such method, or no method that learns; no clean samples; or a model, loss or
            task that cannot make a step.
    """
    check_at_least("batch", size.batch, 2)
    check_at_least("steps_before", size.steps_before, 0)
    chosen = _chosen(experiment, method)
    task = experiment.check(first_steps=False)  # the first steps are checked here
    for each in chosen:
        yield each.name, _subject(experiment, task, each, size)


def _chosen(experiment: Experiment, name: str | None) -> list[Method]:
    learning = [method for method in experiment.methods if method.learns]
    names = ", ".join(method.name for method in learning)
    require(bool(learning), "methods: expected one whose adjuster learns, got none")
    if name is None:
        return learning
    chosen = [method for method in learning if method.name == name]
    require(bool(chosen), f"method: expected one that learns ({names}), got {name!r}")
    return chosen


def _subject(experiment: Experiment, task: TaskLike, method: Method, size: Size) -> Subject:
    recipe = experiment.recipe
    before, ahead = size.steps_before, recipe.lookahead.steps
    batches = [_small(b, size) for b in islice(stream(task.train), before + ahead)]
    assert task.meta is not None  # checked by the experiment
    meta_batch = _small(next(stream(task.meta)), size)
    seed_everything(derive(experiment.settings.seeds[0], "model"))
    device = meta_batch.targets.device
    made = experiment.model()
    check_model(made)  # before it is copied: a copy has no hooks
    model = copy.deepcopy(made).to(device, size.dtype)
    criterion = copy.deepcopy(method.criterion(task)).to(device, size.dtype)
    criterion.prepare(task.train_targets, task.num_classes)
    optimizer = recipe.optimizer(p for p in model.parameters() if p.requires_grad)
    lookahead = replace(recipe.clipped_lookahead, hold_norm=0.0)  # real steps do not hold it
    begun = Subject(
        model.train(),
        optimizer,
        criterion,
        batches[before:],
        meta_batch,
        lookahead,
        looks_back=recipe.meta_update == "after",
    )
    total = recipe.epochs * len(task.train)
    try:
        for k, batch in enumerate(batches[:before]):
            criterion.progress(min(k / total, 1.0))
            outputs = begun.step(batch)
            criterion.observe(outputs, batch.targets, batch.index)
        criterion.progress(min(before / total, 1.0))
        with begun.same_randomness():
            begun.twin().step(begun.train_batches[0])
    except InputError:
        raise
    except RuntimeError as error:
        raise InputError(
            f"{method.name}: expected a model and a loss that can make a step in {size.dtype}, but "
            f"torch says: {str(error).splitlines()[0]}"
        ) from error
    optimizer.zero_grad()
    return begun


def _small(batch: Batch, size: Size) -> Batch:
    """Return the first samples, with floating-point tensors in the dtype."""
    given = batch.inputs
    require(isinstance(given, Tensor), f"batch: expected inputs as one tensor, got {seen(given)}")
    assert isinstance(given, Tensor)
    inputs, targets = given[: size.batch], batch.targets[: size.batch]
    index = None if batch.index is None else batch.index[: size.batch]
    if inputs.is_floating_point():
        inputs = inputs.to(size.dtype)
    if targets.is_floating_point():
        targets = targets.to(size.dtype)
    return Batch(inputs, targets, index)
