"""The ways to make a whole meta iteration: our strategies and the other libraries.

Each makes an :class:`~metaloss.bench.trial.Iteration` from a trial. An iteration consists of the
hypergradient, a step of the adjuster's optimizer, and an ordinary step of the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import cycle
from typing import Any

from metaloss.bench.by_betty import by_betty
from metaloss.bench.by_higher import by_higher
from metaloss.bench.by_learn2learn import by_learn2learn
from metaloss.bench.by_torchopt import by_torchopt
from metaloss.bench.trial import Iteration, Trial, ce_step
from metaloss.bilevel import Lookahead, Lookback
from metaloss.training.steps import meta_gradient, ordinary_step

Maker = Callable[[Trial], Iteration]

REFERENCE = "unroll"
"""The method whose hypergradient the others are compared with."""


@dataclass(frozen=True)
class Method:
    """A way to make a meta iteration.

    Attributes:
        make: makes the iteration from a trial.
        package: the import name of the library; empty for ours.
        tolerance: the largest relative error of the hypergradient in float32.
        note: shown where the hypergradient differs.
        real_steps: differentiates steps that were really made; none is rehearsed.
    """

    make: Maker
    package: str = ""
    tolerance: float = 1e-3
    note: str = ""
    real_steps: bool = False

    @property
    def installed(self) -> bool:
        """Whether the library can be imported here."""
        return not self.package or find_spec(self.package) is not None


def looking_ahead(strategy: str) -> Maker:
    """Rehearse K steps, step the adjuster, then make the ordinary step."""

    def make(trial: Trial) -> Iteration:
        state, lookahead = trial.state, Lookahead(len(trial.window), strategy)

        def iteration() -> None:
            solution = lookahead.solve(
                state.model, state.optimizer, state.criterion, trial.window, trial.meta_batch
            )
            trial.meta_learner.learn([meta_gradient(state, solution, trial.epoch)])
            ordinary_step(state, trial.window[0], trial.epoch, state.criterion)

        return Iteration(iteration)

    return make


def looking_back(**settings: Any) -> Maker:
    """Make the ordinary step, differentiate the last K steps, then step the adjuster.

    The K - 1 steps before are ordinary steps that training makes anyway. They are not timed.

    Args:
        settings: of :class:`~metaloss.bilevel.Lookback`.
    """

    def make(trial: Trial) -> Iteration:
        state, steps = trial.state, len(trial.window)
        lookback, batches = Lookback(steps, **settings), cycle(trial.window)

        def step() -> None:
            batch = next(batches)
            with lookback.step(state.model, state.optimizer, state.criterion, batch):
                ordinary_step(state, batch, trial.epoch, state.criterion)

        def steps_before() -> None:
            for _ in range(steps - 1):
                step()

        def iteration() -> None:
            step()
            solution = lookback.solve(trial.meta_batch)
            trial.meta_learner.learn([meta_gradient(state, solution, trial.epoch)])

        return Iteration(iteration, steps_before)

    return make


METHODS = {
    "lookback": Method(looking_back(), real_steps=True),
    "lookback-kept": Method(looking_back(keep=math.inf), real_steps=True),
    "mixed": Method(looking_ahead("mixed")),
    "unroll": Method(looking_ahead("unroll")),
    "difference": Method(looking_ahead("difference"), tolerance=1e-2),
    "higher": Method(by_higher, "higher"),
    "torchopt": Method(
        by_torchopt, "torchopt", note="MetaSGD starts without the live optimizer's momentum"
    ),
    "learn2learn": Method(by_learn2learn, "learn2learn"),
    "betty": Method(by_betty, "betty"),
}


def plain_ce(trial: Trial) -> Iteration:
    """Make an ordinary step on cross entropy, without a meta step."""
    return Iteration(lambda: ce_step(trial))


def plain_adjusted(trial: Trial) -> Iteration:
    """Make the training loop's ordinary step on the adjusted loss, without a meta step."""

    def iteration() -> None:
        state = trial.state
        ordinary_step(state, trial.window[0], trial.epoch, state.criterion)

    return Iteration(iteration)


CE, PLAIN = "CE step", "plain, adjusted"
BASELINES: dict[str, Maker] = {CE: plain_ce, PLAIN: plain_adjusted}
"""The plain steps that the methods are compared with."""


def maker(name: str) -> Maker:
    """Return what makes the iterations of a method or a baseline."""
    return METHODS[name].make if name in METHODS else BASELINES[name]
