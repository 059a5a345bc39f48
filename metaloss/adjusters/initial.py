"""What a fresh adjuster predicts, before it has learned anything."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from metaloss.checks import require
from metaloss.losses import Hyperparameter

INITIAL = ("defaults", "middle")

# How close to an end of its range a hyperparameter may start, as a share of the range. A default is
# often an end: SL's gamma_2 is 1 of [0, 1]. The sigmoid reaches an end only at infinity, and on the
# way its slope vanishes, by which every gradient of the adjuster is multiplied. At 0.05 the slope
# is a fifth of that in the middle, and the way back is 3 units of the last layer's output.
CLOSEST = 0.05


def set_initial(last: nn.Linear, hyperparameters: Sequence[Hyperparameter], initial: str) -> None:
    r"""Let an adjuster's last layer start from the defaults of the hyperparameters.

    Its bias becomes :math:`\sigma^{-1}((\text{default} - \text{low}) / (\text{high} -
    \text{low}))`; its weights stay as they were drawn.

    Args:
        last: the layer before the sigmoid; its outputs are the hyperparameters, once or, for an
            adjuster with several heads, once a head.
        hyperparameters: what it predicts.
        initial: ``"defaults"``, or ``"middle"``, which leaves the layer as it is.

    Raises:
        InputError: another ``initial``.
    """
    require(initial in INITIAL, f"initial: expected one of {', '.join(INITIAL)}, got {initial!r}")
    if initial == "defaults":
        logits = torch.tensor([_default_logit(h) for h in hyperparameters])
        with torch.no_grad():
            last.bias.copy_(logits.repeat(last.out_features // len(logits)))


def _default_logit(hyperparameter: Hyperparameter) -> float:
    low, high = hyperparameter.low, hyperparameter.high
    share = (hyperparameter.default - low) / (high - low)
    share = min(max(share, CLOSEST), 1 - CLOSEST)
    return math.log(share / (1 - share))
