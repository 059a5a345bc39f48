"""Tables of numbers, for regression."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.checks import check_finite, require, seen


@dataclass(frozen=True)
class Table:
    """Samples whose targets are values.

    Attributes:
        inputs: ``[samples, features]``, float32.
        targets: ``[samples, values]``, float32.
        name: the name of the data.
        targets_checked: whether the targets are known to be right, before a task corrupts some. If
            not, test figures are marked as being by unchecked values.

    Raises:
        InputError: a shape or a dtype is not as above, or a number is not finite.

    Example:
        >>> import torch
        >>> from metaloss.tasks import Table
        >>> table = Table(torch.zeros(5, 3), torch.zeros(5, 1), "zeros")
        >>> len(table), table.sample_shape, len(table.subset(torch.tensor([0, 2])))
        (5, (3,), 2)
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
        """Return the number of samples."""
        return len(self.inputs)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return tuple(self.inputs.shape[1:])

    def subset(self, index: Int[Tensor, " chosen"]) -> Table:
        """Return a copy of some of the samples, in the order given.

        Args:
            index: their positions, int64.
        """
        return replace(self, inputs=self.inputs[index], targets=self.targets[index])

    def with_targets(self, targets: Float[Tensor, "samples values"]) -> Table:
        """Return the same samples with other targets.

        Args:
            targets: ``[samples, values]``, float32.
        """
        return replace(self, targets=targets)


def diabetes() -> Table:
    """Return the 442 diabetes patients that come with scikit-learn.

    Returns:
        Ten measurements of each patient, and the progression of the disease after a year, from 25
        to 346.

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
