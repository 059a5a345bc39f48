"""The hypergradient that training finds where it looks back over its real steps."""

from __future__ import annotations

from metaloss.bilevel import Lookback, Solution
from metaloss.diagnostics.gradients.subject import Subject


def looked_back(subject: Subject) -> Solution:
    """Make the real steps, and return the hypergradient that looking back over them gives.

    Args:
        subject: where to start; it is not changed.

    Raises:
        InputError: as for :class:`~metaloss.bilevel.Lookback`.
    """
    settings = subject.lookahead
    lookback = Lookback(
        settings.steps, settings.meta_loss, clip=settings.clip, strategy=settings.strategy
    )
    with subject.same_randomness():
        twin = subject.twin()
        for batch in twin.train_batches:
            with lookback.step(twin.model, twin.optimizer, twin.criterion, batch):
                twin.step(batch)
        return lookback.solve(twin.meta_batch)
