"""The meta iteration through Betty: an engine with two problems."""

from __future__ import annotations

import copy
from itertools import cycle

import torch
from torch import Tensor

from metaloss.bench.trial import Iteration, Trial, adjusted_step
from metaloss.bilevel.kernels import kernels_with_rules
from metaloss.types import Batch


def by_betty(trial: Trial) -> Iteration:
    """Unroll the lower problem, each time from the live network and optimizer."""
    from betty.configs import Config, EngineConfig
    from betty.engine import Engine
    from betty.problems import ImplicitProblem, IterativeProblem

    state, steps = trial.state, len(trial.window)

    class Lower(IterativeProblem):
        batches = cycle(trial.window)

        def on_inner_loop_start(self) -> None:
            live = list(state.model.parameters())
            self.params = tuple(p.detach().requires_grad_() for p in live)
            self.optimizer.state = [dict(state.optimizer.state[p]) for p in live]

        def get_batch(self) -> Batch:
            return next(self.batches)

        def training_step(self, batch: Batch) -> Tensor:
            with kernels_with_rules():
                outputs = self.fmodule(self.params, self.buffers, batch.inputs)
            return trial.adjusted_loss(outputs, batch)

    class Upper(ImplicitProblem):
        def get_batch(self) -> Batch:
            return trial.meta_batch

        def training_step(self, batch: Batch) -> Tensor:
            return trial.meta_loss(lower.fmodule(lower.params, lower.buffers, batch.inputs))

    network = copy.deepcopy(state.model)
    (group,) = state.optimizer.param_groups
    settings = {name: group[name] for name in ("lr", "momentum", "weight_decay")}
    lower = Lower(
        "lower",
        # The meta step differentiates through the graph, so that it has to outlive the gradient.
        Config(unroll_steps=steps, retain_graph=True),
        network,
        torch.optim.SGD(network.parameters(), **settings),
        device=str(next(network.parameters()).device),
    )
    upper = Upper(
        "upper",
        Config(first_order=False),  # by the unrolled steps, not by the implicit function theorem
        state.criterion.adjuster,
        trial.meta_learner.optimizer,
        device=lower.device,
    )
    engine = Engine(
        problems=[upper, lower],
        config=EngineConfig(train_iters=steps),
        dependencies={"u2l": {upper: [lower]}, "l2u": {lower: [upper]}},
    )

    def iteration() -> None:
        engine.run()  # K steps of the lower problem, then one of the upper
        adjusted_step(trial)

    return Iteration(iteration)
