"""Fixed hyperparameters: cross entropy, and each loss with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaloss.experiments.methods.method import Method
from metaloss.kinds import CLASSIFICATION
from metaloss.losses import LossFamily, plain_loss
from metaloss.losses.derived import widest
from metaloss.objective import AdjustedLoss
from metaloss.types import TaskLike


@dataclass(frozen=True, kw_only=True)
class Conventional(Method):
    """The same hyperparameters for every sample (Eq. 6).

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        values: hyperparameter values by name; the rest have their defaults.

    Example:
        >>> from metaloss.experiments import Conventional
        >>> from metaloss.losses import GCE
        >>> Conventional(name="GCE", loss=GCE(), values={"q": 0.5}).learns
        False
    """

    loss: LossFamily
    values: Mapping[str, float] | None = None

    def criterion(self, task: TaskLike) -> AdjustedLoss:  # noqa: ARG002 - the same for each
        """Return the loss with constant hyperparameters."""
        return AdjustedLoss.fixed(self.loss, self.values)


def baselines(losses: Sequence[LossFamily]) -> list[Method]:
    """Return the methods that adjusters are compared with: the plain loss, and fixed losses.

    Args:
        losses: the adjusters' losses, one or more, all of one kind. Losses that are the same at
            their defaults make one method.

    Example:
        >>> from metaloss.losses import GCE, SL, Ranged
        >>> from metaloss.experiments.methods.conventional import baselines
        >>> narrow = Ranged(GCE(), {"q": (0.4, 0.9)})
        >>> [method.name for method in baselines([GCE(), SL(), narrow, SL(A=-6.0)])]
        ['CE', 'GCE', 'SL(A=-4.0)', 'SL(A=-6.0)']
    """
    different = {repr(loss): loss for loss in map(widest, losses)}
    kinds = [loss.family for loss in different.values()]
    names = [
        kind if kinds.count(kind) == 1 else said
        for kind, said in zip(kinds, different, strict=True)
    ]
    plain = plain_loss(losses[0].kind)
    shown = "CE" if plain.kind == CLASSIFICATION else "L2"
    rows = zip([shown, *names], [plain, *different.values()], strict=True)
    return [Conventional(name=name, loss=loss) for name, loss in rows]
