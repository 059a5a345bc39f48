"""The compositions that are recommended to begin with: loss, features, meta loss and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.adjusters import Adjuster
from metaloss.checks import check_at_least, require
from metaloss.conditioners import Conditioner, Margin, MarginStatistics
from metaloss.losses import GCE, SL
from metaloss.meta_losses import MAE, MeanLoss
from metaloss.objective import AdjustedLoss
from metaloss.objective.reduction import IGNORED

if TYPE_CHECKING:
    from metaloss.bilevel import Clip, Lookback

HOLD_NORM = 0.9


class Recommended(NamedTuple):
    """What a training loop needs to learn an adjuster.

    Attributes:
        criterion: the adjusted loss of the network's steps.
        lookback: differentiates the meta loss through these steps.
        meta_optimizer: updates the adjuster.
    """

    criterion: AdjustedLoss
    lookback: Lookback
    meta_optimizer: torch.optim.Optimizer


def recommended(
    num_classes: int,
    *,
    clean: bool = True,
    clip: Clip | None = None,
    ignore_index: int = IGNORED,
    weight: Float[Tensor, " classes"] | None = None,
) -> Recommended:
    """Return the composition to begin with, which the page "Recommended" compares with others.

    The loss is SL.

    With clean samples it is adjusted by :class:`~metaloss.conditioners.MarginStatistics`, which
    need no sample ids. The meta loss is the GCE of these samples.

    Without clean samples it is adjusted by the margin. The meta loss is the mean absolute error of
    the noisy training samples. Begin with three epochs of ``criterion.plain_loss`` and no meta
    steps: a network that knows nothing contradicts right labels too.

    In gin they are ``recipes/recommended.gin`` and ``recipes/recommended_noisy.gin``.

    Args:
        num_classes: the number of classes, from 2. Outputs of another number are refused.
        clean: whether the samples of the meta steps have labels that somebody checked.
        clip: how the training steps clip their gradients.
        ignore_index: as for :class:`~metaloss.AdjustedLoss`.
        weight: as for :class:`~metaloss.AdjustedLoss`. It counts in the meta loss of clean samples
            too, and not in that of noisy ones, which with weights would not be symmetric.

    Returns:
        The criterion, the lookback and the meta optimizer, which is the paper's (Section 4.1).

    Raises:
        InputError: another number of classes, or a setting of a part is out of its range.

    Example:
        >>> import torch
        >>> import metaloss
        >>> criterion, lookback, meta_optimizer = metaloss.recommended(num_classes=3)
        >>> model = torch.nn.Linear(5, 3)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> x, y = torch.randn(8, 5), torch.randint(3, (8,))
        >>> with lookback.step(model, optimizer, criterion, (x, y)):
        ...     optimizer.zero_grad()
        ...     criterion(model(x), y).backward()
        ...     optimizer.step()
        >>> grads = lookback.hypergradient((x, y))  # of clean samples

        Without clean samples, the batch of the meta step is one of the noisy training samples:

        >>> metaloss.recommended(num_classes=3, clean=False).lookback.meta_loss
        MAE()
    """
    # Not above: they import TorchOpt, and `import metaloss` is light.
    from metaloss.bilevel import Lookback
    from metaloss.training.recipe import paper_adam

    require(isinstance(clean, bool), f"clean: expected True or False, got {clean!r}")
    check_at_least("num_classes", num_classes, 2)
    conditioner: Conditioner = MarginStatistics() if clean else Margin()
    criterion = AdjustedLoss(
        SL(),
        conditioner,
        Adjuster.for_loss(SL(), conditioner),
        ignore_index=ignore_index,
        weight=weight,
    )
    conditioner.prepare(torch.empty(0, dtype=torch.int64), num_classes)  # sizes it
    criterion.num_classes = num_classes
    return Recommended(
        criterion,
        Lookback(meta_loss=MeanLoss(GCE()) if clean else MAE(), hold_norm=HOLD_NORM, clip=clip),
        paper_adam(criterion.adjuster.parameters()),
    )
