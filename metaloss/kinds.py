"""The kinds of targets, classes and values: their checks, plain losses and metrics.

A loss is of one kind, and so is a conditioner that reads targets. A task's kind follows from its
:attr:`~metaloss.types.TaskLike.num_classes`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import (
    check_finite,
    check_labels,
    check_outputs_and_targets,
    require,
    seen,
)
from metaloss.types import Outputs, Targets


@dataclass(frozen=True)
class Metric:
    """The metric of a kind on held-out samples, and how tables show it.

    Attributes:
        name: the name in records, such as "accuracy".
        title: the title of tables.
        unit: the unit, written after a number.
        digits: the number of decimal places.
        greater_is_better: whether greater values are better.
        targets: what the targets are called, "labels" or "values".

    Example:
        >>> from metaloss.kinds import CLASSIFICATION
        >>> CLASSIFICATION.metric.format_with_unit(90.0)
        '90.00%'
    """

    name: str
    title: str
    unit: str
    digits: int
    greater_is_better: bool
    targets: str

    def format(self, value: float) -> str:
        """Format a value as tables show it."""
        return f"{value:.{self.digits}f}"

    def format_with_unit(self, value: float) -> str:
        """Format a value with its unit."""
        return self.format(value) + self.unit

    def best(self, values: list[float]) -> float:
        """Return the best of several values."""
        return max(values) if self.greater_is_better else min(values)


class Kind(ABC):
    """The kind of a task's targets. It has no state; compare kinds with ``==``.

    Attributes:
        name: its name in messages.
        metric: the metric that tables show; :meth:`score` computes it for each sample.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]

    @abstractmethod
    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise an error unless shapes and dtypes are of this kind. Does not synchronize."""

    @abstractmethod
    def check_values(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise an error unless the values are valid. Synchronizes with the device."""

    def check_range(self, outputs: Tensor, targets: Tensor) -> None:  # noqa: B027 - optional
        """Raise an error if labels out of range made an operation of torch fail."""

    @abstractmethod
    def score(self, outputs: Outputs, targets: Targets) -> Float[Tensor, " batch"]:
        """Return the metric of each sample. Tables show its mean."""

    @abstractmethod
    def losses(self, outputs: Outputs, targets: Targets) -> Float[Tensor, " batch"]:
        """Return the plain loss of each sample, which clean samples are evaluated by."""

    def mean_loss(self, outputs: Outputs, targets: Targets) -> Float[Tensor, ""]:
        """Return the mean of the plain loss, the meta loss of Eq. 9."""
        return self.losses(outputs, targets).mean()


@dataclass(frozen=True)
class Classification(Kind):
    """Targets are classes: logits ``[batch, classes]`` and int64 labels ``[batch]``.

    The plain loss is cross entropy, and tables show the accuracy in percent.

    Example:
        >>> import torch
        >>> from metaloss.kinds import CLASSIFICATION
        >>> CLASSIFICATION.score(torch.tensor([[2.0, 1.0]]), torch.tensor([0]))
        tensor([100.])
    """

    name: ClassVar[str] = "classification"
    metric: ClassVar[Metric] = Metric(
        "accuracy", "Test accuracy (%)", "%", 2, greater_is_better=True, targets="labels"
    )

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise an error unless these are the logits and labels of one batch."""
        check_outputs_and_targets(outputs, targets)

    def check_values(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise an error unless labels are in range and logits finite."""
        if len(targets) == 0:  # only a mean needs samples
            return
        _check_labels(outputs, targets)
        check_finite("outputs", outputs.detach())

    def check_range(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise an error if labels on the CPU are out of range.

        On an accelerator nothing can be read after such a failure.
        """
        if targets.device.type == "cpu":
            _check_labels(outputs, targets)

    def score(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return 100 where the largest logit is the label's, else 0."""
        return 100 * (outputs.argmax(dim=1) == targets).to(outputs.dtype)

    def losses(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Return cross entropy."""
        return F.cross_entropy(outputs, targets, reduction="none")

    def mean_loss(
        self, outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
    ) -> Float[Tensor, ""]:
        """Return the mean cross entropy; one call has the faster second derivatives."""
        return F.cross_entropy(outputs, targets)


@dataclass(frozen=True)
class Regression(Kind):
    """Targets are values: outputs and targets ``[batch, values]``, floating point.

    The plain loss is half the squared error, and tables show the mean absolute error, both as means
    over the values of a sample.

    Example:
        >>> import torch
        >>> from metaloss.kinds import REGRESSION
        >>> outputs, targets = torch.tensor([[3.0]]), torch.tensor([[1.0]])
        >>> REGRESSION.score(outputs, targets), REGRESSION.losses(outputs, targets)
        (tensor([2.]), tensor([2.]))
    """

    name: ClassVar[str] = "regression"
    metric: ClassVar[Metric] = Metric(
        "mae", "Test mean absolute error", "", 4, greater_is_better=False, targets="values"
    )

    def check(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise an error unless outputs and targets are values of one shape."""
        for name, values in (("outputs", outputs), ("targets", targets)):
            require(
                isinstance(values, Tensor) and values.ndim == 2 and values.is_floating_point(),
                f"{name}: expected floating-point [batch, values] for regression, "
                f"got {seen(values)}",
            )
        require(
            outputs.shape == targets.shape,
            "outputs and targets: expected one shape [batch, values], "
            f"got {list(outputs.shape)} and {list(targets.shape)}",
        )

    def check_values(self, outputs: Tensor, targets: Tensor) -> None:
        """Raise an error unless all values are finite."""
        check_finite("targets", targets)
        check_finite("outputs", outputs.detach())

    def score(
        self, outputs: Float[Tensor, "batch values"], targets: Float[Tensor, "batch values"]
    ) -> Float[Tensor, " batch"]:
        """Return the absolute error of each sample, a mean over its values."""
        return (outputs - targets).abs().mean(dim=1)

    def losses(
        self, outputs: Float[Tensor, "batch values"], targets: Float[Tensor, "batch values"]
    ) -> Float[Tensor, " batch"]:
        """Return half the squared error of each sample, a mean over its values."""
        return torch.square(outputs - targets).mean(dim=1) / 2


def _check_labels(outputs: Tensor, targets: Tensor) -> None:
    classes = outputs.shape[-1]
    check_labels(f"targets for outputs of {classes} classes", targets, classes)


CLASSIFICATION = Classification()
"""Targets are classes."""

REGRESSION = Regression()
"""Targets are values."""

METRICS = {kind.metric.name: kind.metric for kind in (CLASSIFICATION, REGRESSION)}
"""The metrics of all kinds, by name."""


def kind_of(num_classes: int | None) -> Kind:
    """Return the kind of a task with so many classes.

    Example:
        >>> from metaloss.kinds import kind_of
        >>> kind_of(10).name, kind_of(None).name
        ('classification', 'regression')
    """
    return REGRESSION if num_classes is None else CLASSIFICATION
