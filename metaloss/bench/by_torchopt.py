"""The meta iteration through TorchOpt's ``MetaSGD``, as its documentation uses it."""

from __future__ import annotations

import torchopt

from metaloss.bench.trial import Iteration, Trial, finish
from metaloss.bilevel.kernels import kernels_with_rules


def by_torchopt(trial: Trial) -> Iteration:
    """Unroll the steps in the network itself, which is restored afterwards.

    ``MetaSGD`` has a momentum of its own, which starts at zero.
    """
    state = trial.state
    (group,) = state.optimizer.param_groups
    optimizer = torchopt.MetaSGD(
        state.model,
        lr=group["lr"],
        momentum=group["momentum"],
        weight_decay=group["weight_decay"],
    )
    beginning = torchopt.extract_state_dict(optimizer)

    def iteration() -> None:
        network = torchopt.extract_state_dict(state.model)
        for batch in trial.window:
            with kernels_with_rules():
                outputs = state.model(batch.inputs)
            optimizer.step(trial.adjusted_loss(outputs, batch))
        meta_loss = trial.meta_loss(state.model(trial.meta_batch.inputs))
        torchopt.recover_state_dict(state.model, network)
        torchopt.recover_state_dict(optimizer, beginning)
        finish(trial, meta_loss)

    return Iteration(iteration)
