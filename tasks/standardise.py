"""Standardisation of floating-point inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import require, seen

from .mapped import MappedSamples, chunks


@dataclass(frozen=True)
class Standardise:
    r"""Subtract a mean and divide by a standard deviation, for each column or channel.

    Attributes:
        mean: one number for each column.
        std: one number for each column, above 0.

    Raises:
        InputError: the two differ in length, or a standard deviation is not positive. When called:
            the inputs have another number of columns.

    Example:
        >>> import torch
        >>> from metaloss.tasks.standardise import Standardise
        >>> scale = Standardise.of(torch.tensor([[1.0, 7.0], [3.0, 7.0]]))
        >>> scale(torch.tensor([[4.0, 8.0]]))
        tensor([[2., 1.]])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the two tuples."""
        require(
            len(self.mean) == len(self.std) >= 1,
            f"mean and std: expected one number a column, got {len(self.mean)} and {len(self.std)}",
        )
        require(all(std > 0 for std in self.std), "std: expected positive numbers")

    @classmethod
    def of(cls, inputs: Float[Tensor, "samples columns ..."] | MappedSamples) -> Standardise:
        """Return the one by which these samples have mean 0 and standard deviation 1.

        A column whose values are all the same is divided by 1.

        Args:
            inputs: ``[samples, columns, ...]``, floating point, in memory or in a mapped file.
        """
        mean = _mean_over(inputs, lambda columns: columns)
        std = _mean_over(inputs, lambda columns: (columns - mean[:, None]).square()).sqrt()
        std = torch.where(std > 1e-12 * mean.abs().clamp_min(1e-12), std, 1.0)
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def __call__(
        self,
        inputs: Float[Tensor, "batch columns ..."],
        generator: torch.Generator | None = None,  # noqa: ARG002 - a Transform takes one
        /,
    ) -> Float[Tensor, "batch columns ..."]:
        """Return the standardised inputs, of the same dtype."""
        require(
            isinstance(inputs, Tensor) and inputs.ndim >= 2 and inputs.shape[1] == len(self.mean),
            f"inputs: expected [batch, {len(self.mean)}, ...], got {seen(inputs)}",
        )
        shape = (-1, *(1,) * (inputs.ndim - 2))
        mean, std = (torch.tensor(v, dtype=inputs.dtype).view(shape) for v in (self.mean, self.std))
        return (inputs - mean.to(inputs.device)) / std.to(inputs.device)


def _mean_over(inputs: Tensor | MappedSamples, of: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the mean of a function of all values of each column, ``[columns]``, in float64."""
    total = torch.zeros(inputs.shape[1], dtype=torch.float64)
    for chunk in chunks(inputs):
        total += of(chunk.transpose(0, 1).flatten(1).double()).sum(1).cpu()
    return total / (len(inputs) * inputs.shape[2:].numel())
