"""The end of a meta iteration, which all peers share."""

from __future__ import annotations

import torch
from torch import Tensor

from metaloss.bench.trial import Trial, adjusted_step


def finish(trial: Trial, meta_loss: Tensor) -> None:
    """Differentiate the clean loss in the adjuster's parameters, then take both steps."""
    meta_optimizer = trial.meta_learner.optimizer
    grads = torch.autograd.grad(meta_loss, trial.theta)
    for theta, grad in zip(trial.theta, grads, strict=True):
        theta.grad = grad
    meta_optimizer.step()
    meta_optimizer.zero_grad(set_to_none=True)
    adjusted_step(trial)
