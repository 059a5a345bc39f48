"""The two steps that training alternates between."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from metaloss.bilevel import Clip, Solution
from metaloss.checks import InputError, require
from metaloss.objective import AdjustedLoss
from metaloss.processes import joint_rows, mean_over
from metaloss.training.epoch import Epoch
from metaloss.training.meta_learner import MetaGradient
from metaloss.training.non_finite import first_bad, largest_gradient
from metaloss.training.state import TrainState
from metaloss.types import Batch


def meta_gradient(
    state: TrainState, solution: Solution, epoch: Epoch, *, check_now: bool = True
) -> MetaGradient:
    """Record a hypergradient of the meta loss (Eq. 10, 11), and return it for the adjuster's step.

    Args:
        state: the state of the training.
        solution: the hypergradient.
        epoch: the means and checks of the epoch.
        check_now: whether to check the solution, which waits for the device, or to leave that to
            the end of the epoch.

    Raises:
        InputError: with ``check_now``, a real step did not follow the optimizer's rule, or passes
            through the network that should agree disagree.
    """
    finite = epoch.checks.hypergradient(solution, state.meta_step, now=check_now)
    epoch.metrics.add("meta_loss", solution.meta_loss)
    state.meta_step += 1
    return MetaGradient(solution.hypergradient, finite)


def ordinary_step(
    state: TrainState,
    batch: Batch,
    epoch: Epoch,
    criterion: AdjustedLoss,
    *,
    clip: Clip | None = None,
    max_skipped: int = 1,
) -> bool:
    """Take an ordinary step of the network (Eq. 12); the conditioner observes the batch.

    If the loss or a gradient is not finite, the step is skipped, and leaves no trace in the
    weights, the optimizer, the running statistics and the conditioner's memory. With
    ``max_skipped`` 0 it is taken, without a wait for the device, and noted in ``epoch.checks``.
    With a gradient scaler this goes for the loss. The scaler skips the optimizer's step where a
    gradient overflows; this is how it finds its factor, and is not counted.

    While warming up, ``criterion`` is the plain loss and not that of the state.

    Returns:
        Whether the step was taken.

    Raises:
        InputError: too many steps in a row were skipped, or a weight is not finite.
    """
    if max_skipped > 0:
        state.kept.keep()
    state.model.train()
    outputs = (state.forward or state.model)(batch.inputs)
    losses, hparams = criterion.per_sample(outputs, batch.targets, batch.index, track=True)
    if criterion is not state.criterion:  # the conditioner observes batches of the warm-up too
        state.criterion.observe(outputs, batch.targets, batch.index)
    loss = losses.mean()
    state.optimizer.zero_grad(set_to_none=True)
    # The loss depends on the adjuster too, whose gradient this step does not need.
    stepped = [p for group in state.optimizer.param_groups for p in group["params"]]
    state.engine.backward(loss, stepped)
    (joint,) = mean_over([loss.detach()])  # so that all processes skip a step, or none does
    bad = None
    read = stepped if state.engine.scaler is None else []  # a scaler looks at gradients itself
    if max_skipped > 0:
        bad = first_bad(joint, read)
    else:
        epoch.checks.read_later(joint, largest_gradient(read), state.step)
    if bad is not None:
        _skip(state, epoch, None if bad is joint else state.name_of(bad), max_skipped)
        return False
    state.skipped = 0
    if clip is not None:
        state.engine.unscale(state.optimizer)
        clip.clip_(stepped)
    state.engine.step(state.optimizer)
    state.optimizer.zero_grad(set_to_none=True)  # the next turn may be another network's
    ids = [] if batch.index is None else [batch.index]
    losses, hparams, outputs, targets, *ids = joint_rows(
        [losses, hparams, outputs, batch.targets, *ids]
    )
    index = ids[0] if ids else None
    epoch.metrics.add_batch(losses, hparams, outputs, targets, index)
    if state.margins is not None and index is not None:
        state.margins.add(outputs, targets, index)
    return True


def _skip(state: TrainState, epoch: Epoch, bad: str | None, max_skipped: int) -> None:
    """Undo what the forward pass wrote, and count the step; ``bad`` is a parameter's name."""
    state.optimizer.zero_grad(set_to_none=True)
    check_finite_weights(state)  # raises if the cause was the step before
    state.kept.restore()
    state.skipped += 1
    epoch.checks.skip_step(state.step, bad or "loss")
    where = f"the gradient of {bad}" if bad else "the training loss"
    require(
        state.skipped < max_skipped,
        f"step {state.step}: {where} is not finite"
        + (f", and so it was in {max_skipped} steps in a row" if max_skipped > 1 else "")
        + "; check the inputs, or lower the learning rate",
    )


def check_finite_loss(loss: float, step: int) -> None:
    """Raise InputError if a training loss is not finite."""
    if not math.isfinite(loss):
        raise InputError(
            f"step {step}: the training loss is {loss}; check the inputs, or lower the "
            "learning rate"
        )


def check_some_taken(means: Mapping[str, float], step: int, per_epoch: int) -> None:
    """Raise InputError if all steps of an epoch were skipped: then there is nothing to report."""
    require(
        "train_loss" in means,
        f"epoch {step // per_epoch}: all {per_epoch} steps were skipped, because their loss or "
        "gradient was not finite; check the inputs, or lower the learning rate",
    )


def check_finite_weights(state: TrainState) -> None:
    """Raise InputError if the last step left a weight that is not finite.

    A loss can be finite while its gradient is not. The loss of the next step would show this, but
    the weights may be saved after an epoch's last step, before the next one. The check waits for
    the device.
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
