"""The hypergradient computed by a strategy, with checks of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from metaloss.bilevel.batches import parts_of
from metaloss.checks import check_finite, require
from metaloss.types import Batch


@dataclass(frozen=True)
class Solution:
    r"""The result of a strategy.

    Attributes:
        hypergradient: :math:`dM/d\theta`, by the adjuster's parameter names.
        meta_loss: :math:`M`, the meta loss after the training steps, a detached scalar.
        disagreement: how far two passes that should agree disagree, in multiples of a rounding
            tolerance, a scalar; ``None`` if there are no two passes to compare.
        elsewhere: for each of the network's weights whether a real step moved it elsewhere than the
            optimizer's rule says, boolean scalars by name; empty if no real step was made.
    """

    hypergradient: dict[str, Tensor]
    meta_loss: Tensor
    disagreement: Tensor | None = None
    elsewhere: Mapping[str, Tensor] = field(default_factory=dict)

    def check_consistent(self) -> None:
        """Raise an error if passes or steps that should agree do not; waits for the device once.

        Raises:
            InputError: a real step did not follow the optimizer's rule; or the model gives
                different outputs for the same weights, batch and random numbers, or its gradient is
                not the gradient of its outputs.
        """
        gaps = [] if self.disagreement is None else [self.disagreement > 1]
        flags = [*self.elsewhere.values(), *gaps]
        found = torch.stack(flags).tolist() if flags else []
        for name, moved in zip(self.elsewhere, found, strict=False):
            require(
                not moved,
                f"lookback: expected a step that moves {name} as the optimizer's rule says, got "
                "another; a hook changed the gradient, it was clipped (then pass "
                "Lookback(clip=...)), or other code wrote to the weights",
            )
        require(
            not any(found),
            "model: expected the same outputs from the same weights, batch and random numbers, and "
            "the gradient of these outputs, but two passes disagree, so the hypergradient would be "
            "wrong. In a step that is looked back over, call zero_grad() before backward(), pass a "
            "gradient scaler as step(..., scaler=...), make the forward pass first, and let the "
            "loss be the criterion's mean over exactly its batch, with nothing added to it, by the "
            "criterion and the batch that step(...) was given. In the model, draw random numbers "
            "from torch's, NumPy's or Python's global generators, and change nothing between "
            "calls. A compiled model with dropout needs torch._inductor.config.fallback_random = "
            "True",
        )

    def with_checks_of(self, earlier: Solution | None) -> Solution:
        """Return this solution, whose :meth:`check_consistent` is also that of an earlier one."""
        if earlier is None:
            return self
        gaps = [each.disagreement for each in (earlier, self) if each.disagreement is not None]
        # What is not finite is told elsewhere, and must not hide a gap.
        gap = torch.stack(gaps).nan_to_num(nan=0.0).max() if gaps else None
        elsewhere = either(earlier.elsewhere, self.elsewhere)
        return replace(self, disagreement=gap, elsewhere=elsewhere)

    def check_finite(self, batches: Mapping[str, Batch]) -> None:
        """Raise an error if the hypergradient is not finite, naming the first cause found.

        Args:
            batches: the batches that it was computed from, by name.

        Raises:
            InputError: part of it is NaN or infinite; waits for the device.
        """
        finite = torch.stack([g.isfinite().all() for g in self.hypergradient.values()])
        if bool(finite.all()):
            return
        for name, batch in batches.items():
            for part, values in parts_of(batch).items():
                check_finite(f"{name}: {part}", values)
        check_finite("meta loss", self.meta_loss)
        for name, grad in self.hypergradient.items():
            check_finite(f"hypergradient of {name}", grad)


def either(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return by name whether one of two flags is set; a name may have a single one.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.solution import either
        >>> either({"w": torch.tensor(False)}, {"w": torch.tensor(True)})
        {'w': tensor(True)}
    """
    joint = {**one, **other}
    return {name: flag | one[name] if name in one else flag for name, flag in joint.items()}
