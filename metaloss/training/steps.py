"""The two steps that training alternates between."""

from __future__ import annotations

import math

import torch

from metaloss.bilevel import Clip, Solution
from metaloss.checks import InputError
from metaloss.objective import AdjustedLoss
from metaloss.training.meta_learner import MetaGradient
from metaloss.training.state import TrainState
from metaloss.training.tally import Tally
from metaloss.types import Batch


def meta_gradient(state: TrainState, solution: Solution, tally: Tally) -> MetaGradient:
    """Take note of a hypergradient of the clean loss (Eq. 10, 11).

    Args:
        state: counts the meta step.
        solution: the hypergradient and the clean loss.
        tally: the epoch's figures.

    Raises:
        InputError: passes through the network disagreed that have to agree.
    """
    if solution.meta_loss.device.type == "cpu":  # elsewhere it would wait for the device
        solution.check_consistent()
    tally.add("meta_loss", solution.meta_loss)
    finite = tally.watch.see(solution.hypergradient, state.meta_step)
    state.meta_step += 1
    return MetaGradient(solution.hypergradient, finite)


def ordinary_step(
    state: TrainState,
    batch: Batch,
    tally: Tally,
    criterion: AdjustedLoss,
    *,
    clip: Clip | None = None,
) -> None:
    """The network's step (Eq. 12); the conditioner remembers the batch.

    Args:
        state: changed in place.
        batch: to train on.
        tally: the epoch's figures.
        criterion: the loss; the state's own but for warming up.
        clip: how gradients are clipped; not at all if not given.
    """
    state.model.train()
    outputs = (state.forward or state.model)(batch.inputs)
    losses, hparams = criterion.per_sample(outputs, batch.targets, batch.index, track=True)
    if criterion is not state.criterion:  # warming up: it remembers all the same
        state.criterion.observe(outputs, batch.targets, batch.index)
    loss = losses.mean()
    if loss.device.type == "cpu":  # elsewhere it would wait for the device: looked at by epochs
        value = loss.item()
        if not math.isfinite(value):
            check_finite_weights(state)  # then it was the step before
        check_finite_loss(value, state.step)
    state.optimizer.zero_grad(set_to_none=True)
    # The loss passes through the adjuster, whose gradient is no business of this step.
    stepped = [p for group in state.optimizer.param_groups for p in group["params"]]
    loss.backward(inputs=stepped)  # type: ignore[no-untyped-call]
    if clip is not None:
        clip.clip_(stepped)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)  # the next turn may be another network's
    tally.add_batch(losses, hparams, outputs, batch.targets, batch.index)


def check_finite_loss(loss: float, step: int) -> None:
    """Raise InputError if a training loss is no number any more."""
    if not math.isfinite(loss):
        raise InputError(
            f"step {step}: the training loss is {loss}; check the inputs, or lower the "
            "learning rate"
        )


def check_finite_weights(state: TrainState) -> None:
    """Raise InputError if the last step left a weight that is no number.

    A loss can be finite where its gradient is not. The next step's loss would show it, but after an
    epoch's last step there may be none before the weights are written. This waits for the device.
    """
    weights = {
        **dict(state.model.named_parameters()),
        **{f"adjuster.{name}": p for name, p in state.criterion.adjuster.named_parameters()},
    }
    finite = [p.detach().isfinite().all() for p in weights.values() if p.requires_grad]
    names = [name for name, p in weights.items() if p.requires_grad]
    if finite and not (found := torch.stack(finite)).all():
        name = names[int(found.int().argmin())]
        raise InputError(
            f"step {state.step - 1}: it left {name} with values that are not finite; check the "
            "gradient of the loss and hooks on it, or lower the learning rate"
        )
