"""The meta iteration through learn2learn's ``clone_module`` and ``update_module``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from metaloss.bench.trial import Iteration, Trial, finish
from metaloss.bilevel.kernels import kernels_with_rules


def by_learn2learn(trial: Trial) -> Iteration:
    """Unroll the steps in a clone; SGD's update is written out, with the live momentum."""
    functions = _functions()
    (group,) = trial.state.optimizer.param_groups
    lr, momentum, decay = (group[name] for name in ("lr", "momentum", "weight_decay"))

    def iteration() -> None:
        network = functions.clone_module(trial.state.model)
        buffers = _momentum_buffers(trial)
        for batch in trial.window:
            params = list(network.parameters())
            with kernels_with_rules():
                loss = trial.adjusted_loss(network(batch.inputs), batch)
            slopes = torch.autograd.grad(loss, params, create_graph=True)
            grads = [g + decay * p for g, p in zip(slopes, params, strict=True)]
            buffers = [
                g if b is None else momentum * b + g for g, b in zip(grads, buffers, strict=True)
            ]
            functions.update_module(network, updates=[-lr * b for b in buffers])
        finish(trial, trial.meta_loss(network(trial.meta_batch.inputs)))

    return Iteration(iteration)


def _momentum_buffers(trial: Trial) -> list[Tensor | None]:
    optimizer = trial.state.optimizer
    return [optimizer.state[p].get("momentum_buffer") for p in trial.state.model.parameters()]


def _functions() -> Any:
    """Load ``learn2learn.utils`` alone: the package itself imports gym and more."""
    package = importlib.util.find_spec("learn2learn")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "utils" / "__init__.py"
    spec = importlib.util.spec_from_file_location("learn2learn_utils", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
