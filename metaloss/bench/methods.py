"""The ways to make a whole meta iteration: ours, and those of the peers.

Each is made ready once, from a trial, and is then a function without arguments: the meta step
(hypergradient, a step of the adjuster's optimizer) and the ordinary step that follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch

from metaloss import AdjustedLoss, losses
from metaloss.bench.by_betty import by_betty
from metaloss.bench.by_higher import by_higher
from metaloss.bench.by_learn2learn import by_learn2learn
from metaloss.bench.by_torchopt import by_torchopt
from metaloss.bench.cases import CLASSES
from metaloss.bench.trial import Trial, ce_step
from metaloss.bilevel import Lookahead, Solution
from metaloss.checks import InputError, require
from metaloss.kinds import CLASSIFICATION
from metaloss.losses import LossFamily
from metaloss.pretrained import from_pretrained
from metaloss.training import Recipe, Speed
from metaloss.training.steps import look_ahead, ordinary_step

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
        ablation: leaves out a part of ours, to see what the part gives; only measured if named.
    """

    make: Maker
    package: str = ""
    tolerance: float = 1e-3
    remark: str = ""
    ablation: bool = False

    @property
    def installed(self) -> bool:
        """Whether it can be run here."""
        return not self.package or find_spec(self.package) is not None


class Apart(Lookahead):
    """Leaves the ordinary step its own forward pass."""

    def solve(self, *args: Any, share: bool = False) -> Solution:  # noqa: ARG002
        """As ever, and nothing shared."""
        return super().solve(*args)


def ours(strategy: str, kind: type[Lookahead] = Lookahead, **settings: Any) -> Maker:
    """The training loop's own two steps, one forward pass shared where the strategy can."""

    def make(trial: Trial) -> Iteration:
        recipe = Recipe(epochs=1, lookahead=kind(len(trial.window), strategy, **settings))

        def iteration() -> None:
            state, batch, metrics = trial.state, trial.window[0], trial.metrics
            meta_gradient = look_ahead(state, recipe, trial.window, trial.meta_batch, metrics)
            trial.meta_learner.learn([meta_gradient])
            ordinary_step(state, batch, metrics, state.criterion, meta_gradient.outputs)

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
    "mixed-keep-0": Method(ours("mixed", keep=0.0), ablation=True),
    "mixed-apart": Method(ours("mixed", Apart), ablation=True),
}


def plain_ce(trial: Trial) -> Iteration:
    """No meta step, cross entropy."""
    return lambda: ce_step(trial)


def plain_adjusted(trial: Trial) -> Iteration:
    """No meta step, the training loop's ordinary step on the adjusted loss."""

    def iteration() -> None:
        state = trial.state
        ordinary_step(state, trial.window[0], trial.metrics, state.criterion)

    return iteration


def faster(**settings: Any) -> Maker:
    """The plain adjusted step with settings of :class:`~metaloss.training.Speed`."""

    def make(trial: Trial) -> Iteration:
        speed = Speed(**settings)
        trial.state.forward = speed.prepare(trial.state.model)
        trial.window = [speed.laid_out(batch) for batch in trial.window]
        return plain_adjusted(trial)

    return make


def criterion(name: str) -> AdjustedLoss:
    """A loss with its defaults, by the name of its family, or a learned adjuster's criterion.

    Raises:
        InputError: it is neither, or not for classes.
    """
    family = getattr(losses, name, None)
    if isinstance(family, type) and issubclass(family, LossFamily):
        try:
            found = AdjustedLoss.fixed(family())
        except TypeError:  # abstract, or made of another family
            raise InputError(
                f"{name}: expected a loss that can be made without arguments"
            ) from None
    else:
        found = from_pretrained(name)
    require(
        found.loss.kind == CLASSIFICATION,
        f"{name}: expected a loss for {CLASSIFICATION.name}, got one for {found.loss.kind.name}",
    )
    return found


def transferred(name: str) -> Maker:
    """The plain step on another criterion, learned elsewhere or with nothing to learn."""

    def make(trial: Trial) -> Iteration:
        targets = torch.cat([batch.targets for batch in trial.window])
        trial.state.criterion = criterion(name).to(targets.device)
        trial.state.criterion.prepare(targets, CLASSES)
        trial.state.criterion.progress(1.0)  # its snapshots cost the same
        ids = torch.arange(len(targets), device=targets.device).chunk(len(trial.window))
        trial.window = [b._replace(index=i) for b, i in zip(trial.window, ids, strict=True)]
        return plain_adjusted(trial)

    return make


CE, PLAIN = "CE step", "plain, adjusted"
SPEEDS: dict[str, Maker] = {
    "plain, channels last": faster(channels_last=True),
    "plain, autocast": faster(autocast=True),
    "plain, compiled": faster(compile="default"),
    "plain, all three": faster(channels_last=True, autocast=True, compile="default"),
}
"""What settings make of the plain step."""

PLAIN_ON = "plain on "
"""Before the name of a criterion: the plain step on it."""

BASELINES: dict[str, Maker] = {CE: plain_ce, PLAIN: plain_adjusted, **SPEEDS}
"""What the methods are compared with, and more that does not look ahead."""


def maker(name: str) -> Maker:
    """What makes a method or a baseline ready; ``"plain on NAME"`` is that of a criterion."""
    if name in METHODS:
        return METHODS[name].make
    return BASELINES.get(name) or transferred(name.removeprefix(PLAIN_ON))
