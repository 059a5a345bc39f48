"""Learned adjusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.adjusters.base import BaseAdjuster, check_any
from metaloss.adjusters.initial import set_initial
from metaloss.checks import check_at_least, check_made
from metaloss.conditioners import Conditioner
from metaloss.conditioners.base import features_declared
from metaloss.losses import Hyperparameter, LossFamily
from metaloss.losses.hyperparameter import declared
from metaloss.losses.numerics import default_precision


class Adjuster(BaseAdjuster):
    r"""NARL-Adjuster, an MLP with one hidden layer and outputs within each hyperparameter's range.

    .. math:: \Lambda = s \cdot \sigma(W_2^\top \mathrm{ReLU}(W_1^\top m))
              \qquad\text{(Section 3.2)}

    Args:
        num_features: number of features.
        hyperparameters: the hyperparameters to predict.
        hidden: number of hidden units; 100 in the paper.
        initial: the prediction of a new adjuster for small features: ``"defaults"``, the
            hyperparameters' defaults, or ``"middle"``, the middle of each range, as in the paper.

    Raises:
        InputError: no hyperparameter, a size below 1, or an unknown ``initial``.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Margin
        >>> from metaloss.losses import GCE
        >>> adjuster = Adjuster.for_loss(GCE(), Margin())
        >>> adjuster(torch.zeros(5, 1)).shape
        torch.Size([5, 1])
    """

    unsaved: ClassVar[tuple[str, ...]] = ("hyperparameters", "initial")
    num_features: int

    def __init__(
        self,
        num_features: int,
        hyperparameters: Sequence[Hyperparameter],
        hidden: int = 100,
        initial: str = "defaults",
    ) -> None:
        super().__init__(check_any(hyperparameters))
        self.num_features = check_at_least("num_features", num_features, 1)
        self.hidden = check_at_least("hidden", hidden, 1)
        first, last = _linear(num_features, hidden), _linear(hidden, len(hyperparameters))
        self.net = nn.Sequential(first, nn.ReLU(), last)
        self.initial = initial
        set_initial(last, hyperparameters, initial)

    @classmethod
    def for_loss(
        cls,
        loss: LossFamily,
        conditioner: Conditioner,
        hidden: int = 100,
        initial: str = "defaults",
    ) -> Adjuster:
        """Return an adjuster for a loss and a conditioner."""
        check_made("loss", loss, LossFamily)
        check_made("conditioner", conditioner, Conditioner)
        return cls(features_declared(conditioner), declared(loss), hidden, initial)

    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """Return the hyperparameters of each sample."""
        layers: list[Any] = list(self.net)
        first, _, last = layers
        # Calls of four modules would take as long as the network.
        hidden = F.relu(F.linear(features, first.weight, first.bias))
        return self.bounded(F.linear(hidden, last.weight, last.bias))


class GroupedAdjuster(BaseAdjuster):
    """An MLP with a head for each class group, as in CMW-Net.

    The last ``num_groups`` features are the one-hot group, which selects the head. The other
    features pass through a hidden layer that all heads share.

    Args:
        num_features: number of features, including the group's.
        num_groups: number of groups.
        hyperparameters: the hyperparameters to predict.
        hidden: number of hidden units.
        initial: the initial prediction of each head, as for :class:`Adjuster`.

    Raises:
        InputError: no feature besides the group, or an unknown ``initial``.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import ClassGroup, Concat, LossValue
        >>> from metaloss.losses import WeightedCE
        >>> group = ClassGroup(num_groups=2, groups=(0, 1, 1))
        >>> adjuster = GroupedAdjuster.for_loss(WeightedCE(), Concat([LossValue(), group]), 2)
        >>> adjuster(torch.tensor([[0.5, 0.0, 1.0]])).shape
        torch.Size([1, 1])

    References:
        Shu et al., CMW-Net: learning a class-aware sample weighting mapping for robust deep
        learning, 2022.
    """

    unsaved: ClassVar[tuple[str, ...]] = ("hyperparameters", "initial")
    num_features: int

    def __init__(
        self,
        num_features: int,
        num_groups: int,
        hyperparameters: Sequence[Hyperparameter],
        hidden: int = 100,
        initial: str = "defaults",
    ) -> None:
        super().__init__(check_any(hyperparameters))
        check_at_least("num_groups", num_groups, 1)
        self.num_features = check_at_least("num_features", num_features, num_groups + 1)
        self.num_groups = num_groups
        self.hidden = check_at_least("hidden", hidden, 1)
        self.trunk = nn.Sequential(_linear(num_features - num_groups, hidden), nn.ReLU())
        self.heads = _linear(hidden, num_groups * len(hyperparameters))
        self.initial = initial
        set_initial(self.heads, hyperparameters, initial)

    @classmethod
    def for_loss(
        cls,
        loss: LossFamily,
        conditioner: Conditioner,
        num_groups: int,
        hidden: int = 100,
        initial: str = "defaults",
    ) -> GroupedAdjuster:
        """Return an adjuster for a loss and a conditioner whose last features are the group."""
        check_made("loss", loss, LossFamily)
        check_made("conditioner", conditioner, Conditioner)
        return cls(features_declared(conditioner), num_groups, declared(loss), hidden, initial)

    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """Return the hyperparameters of each sample, from its group's head."""
        shared, group = features.tensor_split([self.num_features - self.num_groups], dim=1)
        heads = self.heads(self.trunk(shared)).unflatten(1, (self.num_groups, -1))
        return self.bounded((heads * group.unsqueeze(2)).sum(dim=1))


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, dtype=default_precision())
