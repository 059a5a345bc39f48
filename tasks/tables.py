"""Tables of numbers, for regression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import check_finite, require, seen


@dataclass(frozen=True)
class Table:
    """Samples whose targets are values.

    Attributes:
        inputs: ``[samples, features]``, float32.
        targets: ``[samples, values]``, float32.
        name: what to call it.
        targets_checked: whether the targets are known to be right, before a task corrupts some. If
            not, test figures are marked as by unchecked values.

    Raises:
        InputError: shapes or dtypes that are not these, or a number that is not finite.

    Example:
        >>> import torch
        >>> from metaloss.tasks import Table
        >>> len(Table(torch.zeros(5, 3), torch.zeros(5, 1), "nothing"))
        5
    """

    inputs: Float[Tensor, "samples features"]
    targets: Float[Tensor, "samples values"]
    name: str
    targets_checked: bool = False

    def __post_init__(self) -> None:
        """Check the tensors."""
        for what, tensor in (("inputs", self.inputs), ("targets", self.targets)):
            require(
                isinstance(tensor, Tensor)
                and tensor.dtype == torch.float32
                and tensor.ndim == 2
                and tensor.numel() > 0,
                f"{what} of {self.name}: expected float32 [samples, columns], got {seen(tensor)}",
            )
            check_finite(f"{what} of {self.name}", tensor)
        require(
            len(self.inputs) == len(self.targets),
            f"{self.name}: expected a target for each of {len(self.inputs)} inputs, "
            f"got {len(self.targets)}",
        )

    def __len__(self) -> int:
        """Samples."""
        return len(self.inputs)


def diabetes() -> Table:
    """The 442 diabetes patients that come with scikit-learn.

    Returns:
        Ten measurements each, and how far the disease had gone a year later, 25 to 346.

    Example:
        >>> from metaloss.tasks import diabetes
        >>> diabetes().inputs.shape
        torch.Size([442, 10])

    References:
        Efron et al., Least angle regression, 2004.
    """
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    inputs, targets = (torch.from_numpy(data[part]).float() for part in ("data", "target"))
    return Table(inputs, targets.unsqueeze(1), "diabetes", targets_checked=True)
