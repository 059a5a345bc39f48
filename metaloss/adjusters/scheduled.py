"""An adjuster that switches between snapshots during training."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.adjusters.base import BaseAdjuster
from metaloss.checks import require


class ScheduledAdjuster(BaseAdjuster):
    r"""Snapshots :math:`\theta^{(k)}` of an adjuster, switched during training (Algorithm 2).

    Args:
        adjusters: the snapshots, in the order of training; they become frozen.
        until: the fraction of training at which the use of each snapshot ends, ascending to 1.
            Evenly spaced if not given: 1/3, 2/3 and 1 for three snapshots, as in the paper.

    Raises:
        InputError: no snapshot, snapshots of different adjusters, or fractions that do not ascend
            to 1.

    Example:
        >>> import torch
        >>> from metaloss import ConstantAdjuster, ScheduledAdjuster
        >>> from metaloss.losses import GCE
        >>> def constant(q):
        ...     return ConstantAdjuster(GCE().hyperparameters, {"q": q})
        >>> adjuster = ScheduledAdjuster([constant(0.25), constant(0.5)])
        >>> adjuster.set_progress(0.9)
        >>> adjuster(torch.empty(1, 0))
        tensor([[0.5000]])
    """

    _noted: list[float] | None = None

    def __init__(
        self, adjusters: Sequence[BaseAdjuster], until: Sequence[float] | None = None
    ) -> None:
        require(len(adjusters) > 0, "adjusters: expected one snapshot or more, got none")
        first = adjusters[0]
        super().__init__(first.hyperparameters)
        require(
            all(
                a.hyperparameters == first.hyperparameters and a.num_features == first.num_features
                for a in adjusters
            ),
            "adjusters: expected snapshots of one adjuster, got different features or "
            "hyperparameters",
        )
        count = len(adjusters)
        self.until = tuple(until) if until else tuple((k + 1) / count for k in range(count))
        check_until("until", self.until)
        require(
            len(self.until) == count,
            f"until: expected one fraction for each of {count} snapshots, got {self.until}",
        )
        self.num_features = first.num_features
        self.adjusters = nn.ModuleList(adjusters).requires_grad_(False)
        self.current = count - 1  # the last one, until set_progress is called
        self.awaits_progress = count > 1
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def set_progress(self, fraction: float) -> None:
        """Select the snapshot for this fraction of training."""
        self.awaits_progress = False
        self.current = min(sum(fraction >= bound for bound in self.until), len(self.adjusters) - 1)

    def note_weights(self) -> None:
        """Note the weights, for :meth:`overwritten`; loading others forgets the note."""
        self._noted = None if self.low.device.type == "meta" else self._norms()

    def overwritten(self) -> bool:
        """Return whether frozen weights are others than those noted, and forget the note."""
        noted, self._noted = self._noted, None
        if noted is None or any(p.requires_grad for p in self.parameters()):
            return False
        pairs = zip(noted, self._norms(), strict=True)
        return not all(math.isclose(*pair, rel_tol=1e-3, abs_tol=1e-9) for pair in pairs)

    def _norms(self) -> list[float]:
        """Return the norm of each weight, which another device may round differently."""
        norms = [p.detach().float().norm() for p in self.adjusters.parameters()]
        return torch.stack(norms).tolist() if norms else []

    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """Return the prediction of the selected snapshot."""
        return self.adjusters[self.current](features)


def _forget(adjuster: ScheduledAdjuster, _: object) -> None:
    adjuster._noted = None


def check_until(what: str, until: Sequence[float]) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the fractions ascend to 1."""
    require(
        len(until) > 0
        and all(a < b for a, b in itertools.pairwise(until))
        and until[0] > 0
        and until[-1] == 1,
        f"{what}: expected fractions ascending to 1, got {tuple(until)}",
    )
