"""Checks that what is made anew for each run shares no tensor with another."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from metaloss.checks import require
from metaloss.experiments.preflight.restored import tensors
from metaloss.objective import AdjustedLoss


def shared(first: nn.Module, second: nn.Module) -> list[str]:
    """Return the names of the tensors of ``first`` that share memory with ``second``.

    Args:
        first: a module.
        second: another module. Both have to be alive, since freed memory is used again.

    Example:
        >>> from torch import nn
        >>> from metaloss.experiments.preflight.distinct import shared
        >>> body = nn.Linear(2, 2)
        >>> shared(nn.Sequential(body, nn.Linear(2, 2)), nn.Sequential(body))
        ['0.weight', '0.bias']
    """
    taken = {place for t in tensors(second).values() if (place := _place(t))}
    return [name for name, t in tensors(first).items() if _place(t) in taken]


class Distinct:
    """Checks that the criteria of different runs share no trainable parameter."""

    def __init__(self) -> None:
        self._seen: list[tuple[str, AdjustedLoss]] = []

    def add(self, name: str, criterion: AdjustedLoss) -> None:
        """Compare a criterion with those added before.

        Raises:
            InputError: It was added before, or shares a trainable parameter with one that was.
        """
        learned = {n for n, p in criterion.named_parameters() if p.requires_grad}
        for other, before in self._seen:
            common = sorted(learned.intersection(shared(criterion, before)))
            require(
                criterion is not before and not common,
                f"expected a criterion of its own for each run, but "
                f"{'two calls' if other == name else f'this one and that of {other}'} share "
                f"{common[0] if common else 'one'}; make it anew in each call",
            )
        self._seen.append((name, criterion))


def _place(tensor: Tensor) -> int:
    """Return the address of a tensor's data, or 0 if it has none."""
    return 0 if is_lazy(tensor) or tensor.is_meta else tensor.data_ptr()
