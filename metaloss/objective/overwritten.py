"""Whether something else than training has overwritten a criterion's tensors.

A model that holds its criterion initializes, or loads, the criterion's tensors with its own.
"""

from __future__ import annotations

import math

import torch

from metaloss.adjusters import BaseAdjuster, ScheduledAdjuster
from metaloss.checks import InputError
from metaloss.users_code import warn

_ADVICE = "make the criterion after the model, and outside of it"


def check_not_overwritten(adjuster: BaseAdjuster) -> None:
    """Raise an error if the bounds of the hyperparameters are others, and warn of other weights.

    The bounds are in no state, so they cannot have been loaded. Weights may be changed on purpose.

    Raises:
        InputError: the bounds are not those of the hyperparameters.
    """
    if adjuster.low.device.type == "meta":
        return  # there are no numbers
    made = [module for module in adjuster.modules() if isinstance(module, BaseAdjuster)]
    declared = [h for module in made for h in module.hyperparameters]
    found = torch.cat([torch.stack([each.low, each.high], dim=1) for each in made]).tolist()
    for h, (low, high) in zip(declared, found, strict=True):
        if not (_close(low, h.low) and _close(high, h.high)):
            raise InputError(
                f"criterion: expected {h.name} between {h.low:g} and {h.high:g}, got an adjuster "
                f"that was overwritten to {low:g} and {high:g}, as by from_pretrained of a model "
                f"that holds it; {_ADVICE}"
            )
    if isinstance(adjuster, ScheduledAdjuster) and adjuster.overwritten():
        warn(
            "the weights of this criterion's adjuster have changed since it was loaded, as where "
            f"a model that holds the criterion initializes all layers; {_ADVICE}. If you mean to "
            "change them, use criterion.load_state_dict"
        )


def _close(found: float, expected: float) -> bool:
    return math.isclose(found, expected, rel_tol=1e-5, abs_tol=1e-9)
