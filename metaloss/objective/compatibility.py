"""Whether the parts of an adjusted loss fit together, and the targets fit the loss."""

from __future__ import annotations

from torch import Tensor

from metaloss.adjusters import BaseAdjuster, OracleAdjuster
from metaloss.checks import check_at_least, check_labels, check_made, require
from metaloss.conditioners import Conditioner, Flipped
from metaloss.conditioners.base import features_declared
from metaloss.kinds import kind_of
from metaloss.losses import LossFamily
from metaloss.losses.hyperparameter import declared, ranges
from metaloss.types import Targets


def check_parts(loss: LossFamily, conditioner: Conditioner | None, adjuster: BaseAdjuster) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the three parts fit together."""
    check_made("loss", loss, LossFamily)
    if conditioner is not None:
        check_made("conditioner", conditioner, Conditioner)
    check_made("adjuster", adjuster, BaseAdjuster)
    predicted, expected = adjuster.hyperparameters, declared(loss)
    require(
        predicted == expected,
        f"adjuster: expected one for {loss.family}'s {ranges(expected)}, "
        f"got one for {ranges(predicted)}",
    )
    given = 0 if conditioner is None else features_declared(conditioner)
    require(
        adjuster.num_features in {None, given},
        f"adjuster: expected one that reads the conditioner's {given} features, "
        f"got one that reads {adjuster.num_features}",
    )
    require(
        not isinstance(adjuster, OracleAdjuster) or isinstance(conditioner, Flipped),
        "conditioner: expected Flipped(...) for an OracleAdjuster, which reads whether a label is "
        f"wrong, got {type(conditioner).__name__}",
    )
    kind = None if conditioner is None else conditioner.kind
    require(
        kind in {None, loss.kind},
        f"conditioner: expected one for {loss.kind.name}, as {loss.family} is, "
        f"got {type(conditioner).__name__}, which is for {kind and kind.name}",
    )


def check_training_targets(
    loss: LossFamily, targets: Targets, num_classes: int | None, ignore_index: int
) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless the targets are of the loss's kind."""
    if num_classes is not None:
        check_at_least("num_classes", num_classes, 2)
        counted = targets[targets != ignore_index] if isinstance(targets, Tensor) else targets
        check_labels("targets", counted, num_classes)
    expected = kind_of(num_classes)
    require(
        loss.kind == expected,
        f"loss: expected one for {expected.name}, as the targets are, "
        f"got {loss.family}, which is for {loss.kind.name}",
    )
