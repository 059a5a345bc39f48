"""The initial prediction of an adjuster."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from metaloss.checks import check_one_of
from metaloss.losses import Hyperparameter

INITIAL = ("defaults", "middle")

# The smallest initial distance from the ends of the range, as a fraction of the range. Defaults are
# often at an end: SL's gamma_2 is 1 of [0, 1]. Near the ends the sigmoid's slope, a factor of all
# gradients of the adjuster, vanishes. At 0.05 it is a fifth of the slope in the middle, which is 3
# units of the last layer's output away.
CLOSEST = 0.05


def set_initial(last: nn.Linear, hyperparameters: Sequence[Hyperparameter], initial: str) -> None:
    r"""Initialize the bias of an adjuster's last layer so that it predicts the defaults.

    The bias becomes :math:`\sigma^{-1}((\text{default} - \text{low}) / (\text{high} -
    \text{low}))`. The weights are not changed.

    Args:
        last: the layer before the sigmoid. Its outputs are the hyperparameters, repeated for each
            head if there are several.
        hyperparameters: the hyperparameters that it predicts.
        initial: ``"defaults"``, or ``"middle"``, which does not change the layer.

    Raises:
        InputError: an unknown ``initial``.
    """
    check_one_of("initial", initial, INITIAL)
    if initial == "defaults":
        logits = last.bias.new_tensor([_default_logit(h) for h in hyperparameters])
        with torch.no_grad():
            last.bias.copy_(logits.repeat(last.out_features // len(logits)))


def _default_logit(hyperparameter: Hyperparameter) -> float:
    low, high = hyperparameter.low, hyperparameter.high
    share = (hyperparameter.default - low) / (high - low)
    share = min(max(share, CLOSEST), 1 - CLOSEST)
    return math.log(share / (1 - share))
