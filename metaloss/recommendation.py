"""The composition that is recommended to begin with: loss, features, meta loss and settings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.adjusters import Adjuster
from metaloss.checks import check_at_least, require
from metaloss.conditioners import MarginStatistics
from metaloss.losses import LossFamily, PolySoft, Ranged
from metaloss.objective import AdjustedLoss
from metaloss.objective.reduction import IGNORED

if TYPE_CHECKING:
    from metaloss.bilevel import Clip, Lookback

HOLD_NORM = 0.9
MOST_CLASSES = 8000  # for which 1 + log c is less than 10, the highest lambda of PolySoft


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
    clip: Clip | None = None,
    ignore_index: int = IGNORED,
    weight: Float[Tensor, " classes"] | None = None,
) -> Recommended:
    """Returns the composition to begin with, which the page "Recommended" compares with others.

    It is PolySoft, adjusted by :class:`~metaloss.conditioners.MarginStatistics`, which need no
    sample ids, and judged by the cross entropy of clean samples. In gin it is
    ``recipes/recommended.gin``. Without clean samples ``metaloss.from_pretrained("gce")`` is
    recommended, in gin ``recipes/recommended_no_clean.gin``.

    Args:
        num_classes: the number of classes, from 2 to 8,000.
        clip: how the training steps clip their gradients.
        ignore_index: as for :class:`~metaloss.AdjustedLoss`.
        weight: as for :class:`~metaloss.AdjustedLoss`.

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
    """
    # Not above: they import TorchOpt, and `import metaloss` is light.
    from metaloss.bilevel import Lookback
    from metaloss.training.recipe import paper_adam

    loss, conditioner = recommended_loss(num_classes), MarginStatistics()
    criterion = AdjustedLoss(
        loss,
        conditioner,
        Adjuster.for_loss(loss, conditioner),
        ignore_index=ignore_index,
        weight=weight,
    )
    conditioner.prepare(torch.empty(0, dtype=torch.int64), num_classes)  # sizes it
    return Recommended(
        criterion,
        Lookback(hold_norm=HOLD_NORM, clip=clip),
        paper_adam(criterion.adjuster.parameters()),
    )


def recommended_loss(num_classes: int) -> LossFamily:
    r"""Returns PolySoft with a range of :math:`\lambda` in which a new network learns.

    A network that knows nothing has a cross entropy of :math:`\log c` on every sample. PolySoft is
    constant from :math:`\lambda` on, so the range begins at :math:`1 + \log c`.

    Args:
        num_classes: c, from 2 to 8,000.

    Raises:
        InputError: another number of classes.

    Example:
        >>> from metaloss.recommendation import recommended_loss
        >>> recommended_loss(10).hyperparameters[0].low.__round__(3)
        3.303
    """
    check_at_least("num_classes", num_classes, 2)
    require(
        num_classes <= MOST_CLASSES,
        f"num_classes: expected at most {MOST_CLASSES:,}, beyond which PolySoft teaches a new "
        f"network nothing, got {num_classes:,}",
    )
    return Ranged(PolySoft(), {"lam": (1 + math.log(num_classes), 10.0)})
