"""The meta iteration through ``higher``: patched copies of the network and of its optimizer."""

from __future__ import annotations

from metaloss.bench.trial import Iteration, Trial, finish
from metaloss.bilevel.kernels import kernels_with_rules


def by_higher(trial: Trial) -> Iteration:
    """Unroll the steps in ``innerloop_ctx``, which takes over the live optimizer's state."""
    import higher

    def iteration() -> None:
        state = trial.state
        context = higher.innerloop_ctx(
            state.model, state.optimizer, copy_initial_weights=False, track_higher_grads=True
        )
        with context as (network, optimizer):
            for batch in trial.window:
                with kernels_with_rules():
                    outputs = network(batch.inputs)
                optimizer.step(trial.adjusted_loss(outputs, batch))
            meta_loss = trial.meta_loss(network(trial.meta_batch.inputs))
        finish(trial, meta_loss)

    return Iteration(iteration)
