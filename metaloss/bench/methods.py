"""The ways to make a whole meta iteration: ours, and those of the peers.

Each is made ready once, from a trial, and is then a function without arguments: the meta step
(hypergradient, a step of the adjuster's optimizer) and the ordinary step that follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from metaloss.bench.by_betty import by_betty
from metaloss.bench.by_higher import by_higher
from metaloss.bench.by_learn2learn import by_learn2learn
from metaloss.bench.by_torchopt import by_torchopt
from metaloss.bench.trial import Trial, ce_step
from metaloss.bilevel import Lookahead
from metaloss.training import Recipe
from metaloss.training.steps import meta_step, ordinary_step

Iteration = Callable[[], None]
Maker = Callable[[Trial], Iteration]

REFERENCE = "unroll"
"""The method whose hypergradient the others are held against."""


@dataclass(frozen=True)
class Method:
    """A way to make a meta iteration.

    Attributes:
        make: makes it ready.
        package: whose it is, as it is imported; ours if empty.
        tolerance: of the hypergradient's relative error in float32.
        remark: what to know where its hypergradient differs.
    """

    make: Maker
    package: str = ""
    tolerance: float = 1e-3
    remark: str = ""

    @property
    def installed(self) -> bool:
        """Whether it can be run here."""
        return not self.package or find_spec(self.package) is not None


def ours(strategy: str) -> Maker:
    """The training loop's own two steps, one forward pass shared where the strategy can."""

    def make(trial: Trial) -> Iteration:
        recipe = Recipe(epochs=1, lookahead=Lookahead(len(trial.window), strategy))

        def iteration() -> None:
            state, batch, tally = trial.state, trial.window[0], trial.tally
            outputs = meta_step(state, recipe, trial.window, trial.meta_batch, tally)
            ordinary_step(state, batch, tally, state.criterion, outputs)

        return iteration

    return make


METHODS = {
    "mixed": Method(ours("mixed")),
    "unroll": Method(ours("unroll")),
    "difference": Method(ours("difference"), tolerance=1e-2),
    "higher": Method(by_higher, "higher"),
    "torchopt": Method(
        by_torchopt, "torchopt", remark="MetaSGD starts without the live optimizer's momentum"
    ),
    "learn2learn": Method(by_learn2learn, "learn2learn"),
    "betty": Method(by_betty, "betty"),
}


def plain_ce(trial: Trial) -> Iteration:
    """No meta step, cross entropy."""
    return lambda: ce_step(trial)


def plain_adjusted(trial: Trial) -> Iteration:
    """No meta step, the training loop's ordinary step on the adjusted loss."""

    def iteration() -> None:
        state = trial.state
        ordinary_step(state, trial.window[0], trial.tally, state.criterion)

    return iteration


CE, PLAIN = "CE step", "plain, adjusted"
BASELINES: dict[str, Maker] = {CE: plain_ce, PLAIN: plain_adjusted}
"""What the methods are compared with."""


def maker(name: str) -> Maker:
    """What makes a method or a baseline ready."""
    return BASELINES[name] if name in BASELINES else METHODS[name].make
